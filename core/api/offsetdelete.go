package api

import (
	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetDelete forgets offsets of topics that no member of the group wants (KIP-496). API key 47, version 0.
func (h *Handlers) offsetDelete(c *Call, r *kmsg.OffsetDeleteRequest) {
	out := r.ResponseKind().(*kmsg.OffsetDeleteResponse)
	out.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(r.Topics))
	var wanted []group.WantedOffsets
	var places [][]*int16
	for i := range r.Topics {
		t, to := &r.Topics[i], &out.Topics[i]
		topic := h.Image.Topic(t.Topic)
		to.Topic = t.Topic
		to.Partitions = make([]kmsg.OffsetDeleteResponseTopicPartition, len(t.Partitions))
		w, place := group.WantedOffsets{Topic: t.Topic}, []*int16(nil)
		for j := range t.Partitions {
			p := t.Partitions[j].Partition
			to.Partitions[j].Partition = p
			if topic == nil || p < 0 || int(p) >= len(topic.Partitions) {
				to.Partitions[j].ErrorCode = int16(wire.UnknownTopicOrPartition)
				continue
			}
			w.Partitions, place = append(w.Partitions, p), append(place, &to.Partitions[j].ErrorCode)
		}
		wanted, places = append(wanted, w), append(places, place)
	}
	refuse := func(code wire.ErrorCode) {
		out.ErrorCode, out.Topics = int16(code), []kmsg.OffsetDeleteResponseTopic{}
		c.Answer(out)
	}
	s := h.coordinating(r.Group, refuse)
	if s == nil {
		return
	}
	s.DeleteOffsets(r.Group, wanted, func(code wire.ErrorCode, codes [][]wire.ErrorCode) {
		if code != wire.None {
			refuse(code)
			return
		}
		for i := range codes {
			for j := range codes[i] {
				*places[i][j] = int16(codes[i][j])
			}
		}
		c.Answer(out)
	})
}
