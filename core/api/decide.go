package api

import (
	"strings"

	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// decide has the controller decide and calls answer once what it decided is applied and there, or with the reason why that is not
// known: then a refusal means nothing, either. A decision that changes nothing is answered once it is certain that this node was the active controller when
// it was made (M7): another one may have been elected that this node has not heard of. What that one has decided since is not refused, a broker that it
// knows is not turned away, and a broker's lease does not begin later than the session that it gives it (F7).
func (h *Handlers) decide(decision func() []metadata.Record, answer func(error)) {
	h.decideBy(h.Decide, decision, answer)
}

// decideFirst is decide for what a broker asks for.
func (h *Handlers) decideFirst(decision func() []metadata.Record, answer func(error)) {
	h.decideBy(h.DecideFirst, decision, answer)
}

func (h *Handlers) decideBy(decide func(controller.Decision, func(error)), decision func() []metadata.Record, answer func(error)) {
	decide(func() ([]metadata.Record, func(error)) {
		records := decision()
		return records, func(err error) {
			if err != nil || len(records) > 0 || h.Quorum.Confirm == nil {
				answer(err)
				return
			}
			h.Quorum.Confirm(answer)
		}
	}, answer)
}

// decideAndOpen is decide, but the answer also waits until the partitions that were asked for are open here.
func (h *Handlers) decideAndOpen(decision func() []metadata.Record, answer func(error)) {
	h.decide(decision, func(err error) { h.WhenOpened(func() { answer(err) }) })
}

// outcome is what the client is told of one item: that it was refused, or that nobody knows what became of the whole.
func outcome(r controller.Refusal, err error) (code int16, message *string) {
	switch {
	case err != nil:
		return int16(wire.RequestTimedOut), tellable(err.Error())
	case r.Refused():
		text := r.Message
		if text == "" {
			text = r.Code.Message()
		}
		return int16(r.Code), tellable(text)
	}
	return 0, nil
}

// longestText bounds what an answer says about one item, in bytes.
const longestText = 4096

// tellable is a text for people as an answer can hold it. Texts repeat what was asked for, and that may be as long as a client likes, while strings in answers
// of versions that are not flexible have 16 bits for their length.
func tellable(text string) *string {
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "..."
	}
	return &text
}

func nodes(list []int32) []record.NodeID {
	out := make([]record.NodeID, len(list))
	for i, id := range list {
		out[i] = record.NodeID(id)
	}
	return out
}
