package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/timer"
	"lignum/core/wire"
)

// Reply is the response to a call. It is good while the call's done runs; whoever needs Body longer retains Frame.
type Reply struct {
	Body  []byte
	Frame env.Buffer
}

var _ env.Request = (*Reply)(nil)

// Release gives the frame back.
func (r *Reply) Release() { r.Frame.Release() }

// ErrShortReply is the error of a frame that is too short for a response.
var ErrShortReply = errors.New("response header cut short")

// DecodeReply makes the input of a frame on a connection that this node has opened (env.ConnInfo.Outgoing). It is pure and runs
// at the edge. It takes over the caller's reference to the frame, unless there is an error.
func DecodeReply(frame env.Buffer) (env.Request, error) {
	if len(frame.Bytes()) < 4 {
		return nil, ErrShortReply
	}
	return &Reply{Frame: frame}, nil
}

func (r *Reply) correlation() int32 { return int32(binary.BigEndian.Uint32(r.Frame.Bytes())) }

// call is a request that has no reply yet.
type call struct {
	key         wire.Key
	version     int16
	correlation int32
	frame       []byte // nil once it was sent
	sent        bool
	done        func(Reply, error)
	expiry      timer.Timer
}

// Call sends one request, whose body is written at once. Done is called later, once, on the loop.
func (l *Link) Call(key wire.Key, version int16, body func(dst []byte) []byte, timeout time.Duration, done func(Reply, error)) {
	if !wire.Accepts(key, version, true) {
		invariant.Violated("version %d of %v is called, which no node serves", version, key)
	}
	s := l.set
	c := &call{key: key, version: version, done: done}
	switch {
	case l.state == closed:
		s.later(c, ErrUnreachable)
		return
	case l.Pending() >= s.options.MaxQueued:
		s.later(c, ErrBusy)
		return
	}
	l.correlation++
	c.correlation = l.correlation
	head := wire.BeginRequest(make([]byte, 0, 128), wire.Header{Key: key, Version: version, CorrelationID: c.correlation, ClientID: s.clientID})
	c.frame = body(head)
	wire.EndFrame(c.frame, 0, 0)
	l.calls = append(l.calls, c)
	s.ports.Timers.Start(&c.expiry, s.ports.Clock.Now().Add(max(timeout, 0)), func() { l.expired(c) })
	if l.state == up {
		l.send(c)
		return
	}
	l.connect()
}

// CallMessage sends a request of kmsg at its version and reads the response with kmsg. A response that cannot be read
// counts as ErrUnknown.
func (l *Link) CallMessage(m kmsg.Request, timeout time.Duration, done func(kmsg.Response, error)) {
	key, version := wire.Key(m.Key()), m.GetVersion()
	l.Call(key, version, m.AppendTo, timeout, func(r Reply, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		response, err := wire.DecodeResponse(key, version, r.Body)
		if err != nil {
			done(nil, fmt.Errorf("%w: response to %v: %w", ErrUnknown, key, err))
			return
		}
		done(response, nil)
	})
}

// request is an encoded frame on its way.
type request []byte

// Encode implements env.Outgoing.
func (r request) Encode(w *env.Pieces) { w.Bytes(r) }

// Release implements env.Outgoing.
func (r request) Release() {}

// Size is the number of bytes: the network counts what waits.
func (r request) Size() int64 { return int64(len(r)) }
