package api

import (
	"time"

	"lignum/core/env"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// forwardTimeout is how long a request that is for the controller is passed on again and again, and forwardPause the time between.
const (
	forwardTimeout = 30 * time.Second
	forwardPause   = 50 * time.Millisecond
)

// forController reports whether the active controller answers a request, wherever a client has sent it.
func forController(k wire.Key) bool {
	switch k {
	case wire.CreateTopics, wire.DeleteTopics, wire.CreatePartitions, wire.AlterConfigs, wire.IncrementalAlterConfigs, wire.ElectLeaders,
		wire.AlterPartitionReassignments, wire.ListPartitionReassignments, wire.UnregisterBroker, wire.UpdateFeatures, wire.DescribeQuorum,
		wire.AddRaftVoter, wire.RemoveRaftVoter:
		return true
	}
	return false
}

// forwarding is a request on its way to the active controller.
type forwarding struct {
	h        *Handlers
	call     *Call
	deadline env.Instant
	pause    timer.Timer
}

// forward has the active controller answer a call. While there is none it waits; in the end the call is answered as one whose outcome nobody knows.
func (h *Handlers) forward(c *Call) {
	f := &forwarding{h: h, call: c, deadline: h.Clock.Now().Add(forwardTimeout)}
	f.try()
}

func (f *forwarding) try() {
	h, c := f.h, f.call
	if h.Active() {
		h.handleRare(c, c.Body.(kmsg.Request))
		return
	}
	request := kmsg.NewPtrEnvelopeRequest()
	request.RequestData = c.frame.Bytes()
	request.ClientHostAddress = []byte{127, 0, 0, 1}
	h.AskController(request, func(r kmsg.Response, err error) {
		if err == nil {
			if out := r.(*kmsg.EnvelopeResponse); out.ErrorCode == 0 {
				c.Answer(encoded(append([]byte(nil), out.ResponseData...)))
				return
			}
		}
		if now := h.Clock.Now(); now < f.deadline && !c.session.gone {
			h.Timers.Start(&f.pause, now.Add(forwardPause), f.try)
			return
		}
		h.handleRare(c, c.Body.(kmsg.Request))
	})
}

// encoded is a response frame without its length, as another node has made it.
type encoded []byte

// envelope answers a client's request that another broker passes on. API key 58, version 0.
func (h *Handlers) envelope(c *Call, r *kmsg.EnvelopeRequest) {
	out := r.ResponseKind().(*kmsg.EnvelopeResponse)
	refuse := func(code wire.ErrorCode) {
		out.ErrorCode = int16(code)
		c.Answer(out)
	}
	if !h.Active() {
		refuse(wire.NotController)
		return
	}
	// What is inside is looked at here, on the loop: nothing but what a controller answers, and no record batches.
	if inside, _, err := wire.DecodeHeader(r.RequestData); err != nil || !forController(inside.Key) {
		refuse(wire.InvalidRequest)
		return
	}
	request, err := Decode(plain(r.RequestData), nil)
	if err != nil {
		refuse(wire.InvalidRequest)
		return
	}
	inner := request.(*Call)
	s := NewSession(c.session.ID, c.session.Info, &relay{Network: c.session.network, answer: func(p []byte) {
		out.ResponseData = p
		c.Answer(out)
	}})
	s.admit(inner)
	h.handleRare(inner, inner.Body.(kmsg.Request))
}

// relay is the network of a session whose one answer goes back inside another.
type relay struct {
	env.Network
	answer func(frame []byte) // without its length
}

// Send implements env.Network.
func (r *relay) Send(_ env.ConnID, out env.Outgoing) {
	var w env.Pieces
	out.Encode(&w)
	var frame []byte
	for _, p := range w.AppendTo(nil) {
		frame = append(frame, p.Bytes...)
	}
	out.Release()
	r.answer(frame[4:])
}

// Resume implements env.Network.
func (*relay) Resume(env.ConnID) {}

// plain is memory that nobody else holds.
type plain []byte

// Bytes implements env.Buffer.
func (p plain) Bytes() []byte { return p }

// Retain implements env.Buffer.
func (plain) Retain() {}

// Release implements env.Buffer.
func (plain) Release() {}
