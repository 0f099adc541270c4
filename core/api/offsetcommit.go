package api

import (
	"lignum/core/group"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit commits offsets of a group. API key 8, versions 2 to 9.
//
//	v5  no retention of their own any more
//	v6  leader epochs
//	v7  instance ids
//	v8  flexible encoding
//	v9  groups of the consumer protocol (KIP-848)
//
// It replies when the offsets are as safe as acks=all. A group may have no name, as it may for whoever fetches, describes or deletes: old clients that
// assign partitions themselves do not say one.
func (h *Handlers) offsetCommit(c *Call, r *kmsg.OffsetCommitRequest) {
	request := &group.Commit{
		Group: r.Group, Member: r.MemberID, Instance: orEmpty(r.InstanceID), Generation: r.Generation,
		Retention: -1, Modern: r.Version >= 9,
	}
	if r.Version <= 4 {
		request.Retention = r.RetentionTimeMillis
	}
	out := r.ResponseKind().(*kmsg.OffsetCommitResponse)
	var places []*int16 // of the codes that the group gives
	out.Topics = make([]kmsg.OffsetCommitResponseTopic, len(r.Topics))
	for i := range r.Topics {
		t := &r.Topics[i]
		topic := h.Image.Topic(t.Topic)
		to := &out.Topics[i]
		to.Topic = t.Topic
		to.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			p := &t.Partitions[j]
			to.Partitions[j].Partition = p.Partition
			if topic == nil || p.Partition < 0 || int(p.Partition) >= len(topic.Partitions) {
				to.Partitions[j].ErrorCode = int16(wire.UnknownTopicOrPartition)
				continue
			}
			request.Offsets = append(request.Offsets, group.Offset{Topic: topic.Name, Committed: committed(p, topic.ID)})
			places = append(places, &to.Partitions[j].ErrorCode)
		}
	}
	c.dropFrame()
	if len(places) == 0 && len(r.Topics) > 0 {
		c.Answer(out)
		return
	}
	s, code := h.Groups.Find(r.Group)
	if code != wire.None {
		for _, place := range places {
			*place = int16(code)
		}
		c.Answer(out)
		return
	}
	s.Commit(request, func(codes []wire.ErrorCode) {
		for i, code := range codes {
			*places[i] = int16(code)
		}
		c.Answer(out)
	})
}

func committed(p *kmsg.OffsetCommitRequestTopicPartition, topic record.TopicID) group.Committed {
	return group.Committed{
		Partition: p.Partition, Offset: record.Offset(p.Offset), LeaderEpoch: record.Epoch(p.LeaderEpoch), Topic: topic, Metadata: orEmpty(p.Metadata),
	}
}
