package api

import (
	"encoding/binary"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type callState uint8

const (
	callOpen   callState = iota // no reply yet
	callReady                   // reply is set
	callSilent                  // done, and nothing is sent: acks=0
)

// Call is one request on its way through the broker and back. Decode makes it at the edge; the loop owns it from Handle until the
// reply is sent; then the edge encodes and releases it. It is an env.Request on the way in and an env.Outgoing on the way out.
type Call struct {
	Header wire.Header
	// Body is the decoded request: one of wire's own types or a kmsg.Request; nil for an ApiVersions request of a version
	// that is not served, which is answered all the same.
	Body any

	// batches are the verdicts on the record batches of a produce request, one for each partition in the order of the request.
	batches []verdict
	batch0  [1]verdict

	cancel  canceller  // nil if it does not wait for records
	abandon func()     // ends the wait for replicas when nobody is there to be answered; may be nil
	frame   env.Buffer // what Body points into; nil once given back
	session *Session
	state   callState
	reply   any // the body of the response: a *fetchReply, one of wire's own types, or a kmsg.Response
}

// verdict is what the edge found out about one partition's records in a produce request.
type verdict struct {
	batch   record.Batch
	facts   record.Facts
	code    wire.ErrorCode
	message string
}

// canceller is what waits for records: it is answered with what there is.
type canceller interface{ cutShort() }

// dropFrame gives back the frame as soon as nothing needs the request's bytes any more.
func (c *Call) dropFrame() {
	if c.frame != nil {
		c.frame.Release()
		c.frame, c.batches = nil, nil
	}
}

// Answer sets the reply and sends it as soon as its turn comes.
func (c *Call) Answer(r any) {
	if c.state != callOpen {
		invariant.Violated("request %d of key %d is answered twice", c.Header.CorrelationID, c.Header.Key)
	}
	c.reply, c.state = r, callReady
	// A reply has copies of what it repeats, so that who does not read it holds no memory that others wait for. Of the quorum's messages somebody may still be reading.
	if _, inUse := c.Body.(*wire.QuorumMessageRequest); !inUse {
		c.dropFrame()
	}
	c.session.flush()
}

// Drop ends a call that gets no reply.
func (c *Call) Drop() {
	if c.state != callOpen {
		invariant.Violated("request %d of key %d is dropped after its answer", c.Header.CorrelationID, c.Header.Key)
	}
	c.state = callSilent
	c.session.flush()
}

// Encode writes the response frame.
func (c *Call) Encode(w *env.Pieces) {
	if p, ok := c.reply.(encoded); ok {
		w.Buf = append(binary.BigEndian.AppendUint32(w.Buf, uint32(len(p))), p...)
		return
	}
	start, before := len(w.Buf), w.Len()
	key, version := c.Header.Key, c.Header.Version
	w.Buf = wire.BeginResponse(w.Buf, key, version, c.Header.CorrelationID)
	switch r := c.reply.(type) {
	case *wire.ProduceResponse:
		w.Buf = r.AppendTo(w.Buf, version)
	case *fetchReply:
		r.encode(w, version)
	case *wire.ListOffsetsResponse:
		w.Buf = r.AppendTo(w.Buf, version)
	case *wire.MetadataResponse:
		w.Buf = r.AppendTo(w.Buf, version)
	case *wire.QuorumMessageResponse:
		w.Buf = r.AppendTo(w.Buf, version)
	case kmsg.Response:
		w.Buf = r.AppendTo(w.Buf)
	}
	binary.BigEndian.PutUint32(w.Buf[start:], uint32(w.Len()-before-4))
}

// Size is about how long the response is; the transport bounds what waits for slow readers by it.
func (c *Call) Size() int64 {
	if f, ok := c.reply.(*fetchReply); ok {
		return f.response.RecordBytes()
	}
	return 0
}

// Release gives back everything that the call holds.
func (c *Call) Release() {
	c.dropFrame()
	if f, ok := c.reply.(*fetchReply); ok {
		f.release()
	}
	c.reply, c.Body = nil, nil
}
