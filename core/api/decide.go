package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// decide has the controller decide and calls answer once what it decided is applied and there, or with the reason why that is not
// known.
func (h *Handlers) decide(decision func() []metadata.Record, answer func(error)) {
	h.Decide(func() ([]metadata.Record, func(error)) { return decision(), answer }, answer)
}

// decideAndOpen is decide, but the answer also waits until the partitions that were asked for are open here.
func (h *Handlers) decideAndOpen(decision func() []metadata.Record, answer func(error)) {
	h.decide(decision, func(err error) { h.WhenOpened(func() { answer(err) }) })
}

// outcome is what the client is told of one item: that it was refused, or that nobody knows what became of the whole.
func outcome(r controller.Refusal, err error) (code int16, message *string) {
	switch {
	case r.Refused():
		text := r.Message
		if text == "" {
			text = r.Code.Message()
		}
		return int16(r.Code), &text
	case err != nil:
		text := err.Error()
		return int16(wire.RequestTimedOut), &text
	}
	return 0, nil
}

func nodes(list []int32) []record.NodeID {
	out := make([]record.NodeID, len(list))
	for i, id := range list {
		out[i] = record.NodeID(id)
	}
	return out
}
