package api

import (
	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetFetch tells what groups have committed. API key 9, versions 1 to 9.
//
//	v2  all partitions, an error for the group
//	v5  leader epochs
//	v6  flexible encoding
//	v7  offsets that no open transaction may change (KIP-447)
//	v8  many groups
//	v9  members of groups of the consumer protocol
//
// A partition without a commit has offset -1 and no error; so has every partition of a group that does not exist.
func (h *Handlers) offsetFetch(c *Call, r *kmsg.OffsetFetchRequest) {
	out := r.ResponseKind().(*kmsg.OffsetFetchResponse)
	out.Topics = []kmsg.OffsetFetchResponseTopic{}
	if r.Version < 8 {
		request := &group.FetchOffsets{Group: r.Group, Epoch: -1, Stable: r.RequireStable}
		if r.Topics != nil {
			request.Topics = make([]group.WantedOffsets, 0, len(r.Topics))
		}
		for i := range r.Topics {
			request.Topics = append(request.Topics, group.WantedOffsets{Topic: r.Topics[i].Topic, Partitions: r.Topics[i].Partitions})
		}
		h.fetchOffsets(request, func(f group.FetchedOffsets) {
			oldOffsetFetch(out, request, f)
			c.Answer(out)
		})
		return
	}
	r.Groups = distinct(r.Groups, func(g *kmsg.OffsetFetchRequestGroup) string { return g.Group })
	out.Groups = make([]kmsg.OffsetFetchResponseGroup, len(r.Groups))
	one := gather(len(r.Groups), func() { c.Answer(out) })
	for i := range r.Groups {
		from, to := &r.Groups[i], &out.Groups[i]
		request := &group.FetchOffsets{Group: from.Group, Member: orEmpty(from.MemberID), Epoch: from.MemberEpoch, Stable: r.RequireStable}
		if from.Topics != nil {
			request.Topics = make([]group.WantedOffsets, 0, len(from.Topics))
		}
		for j := range from.Topics {
			request.Topics = append(request.Topics, group.WantedOffsets{Topic: from.Topics[j].Topic, Partitions: from.Topics[j].Partitions})
		}
		to.Group = from.Group
		h.fetchOffsets(request, func(f group.FetchedOffsets) {
			to.ErrorCode, to.Topics = int16(f.Code), fetchedTopics(f)
			one()
		})
	}
	one()
}

func (h *Handlers) fetchOffsets(r *group.FetchOffsets, reply func(group.FetchedOffsets)) {
	s, code := h.Groups.Find(r.Group)
	if code != wire.None {
		reply(group.FetchedOffsets{Code: code})
		return
	}
	s.FetchOffsets(r, reply)
}

func fetchedTopics(f group.FetchedOffsets) []kmsg.OffsetFetchResponseGroupTopic {
	topics := make([]kmsg.OffsetFetchResponseGroupTopic, len(f.Topics))
	for i := range f.Topics {
		topics[i].Topic = f.Topics[i].Topic
		topics[i].Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(f.Topics[i].Offsets))
		for j := range f.Topics[i].Offsets {
			o, to := &f.Topics[i].Offsets[j], &topics[i].Partitions[j]
			to.Partition, to.Offset, to.LeaderEpoch, to.Metadata, to.ErrorCode = o.Partition, int64(o.Offset), int32(o.LeaderEpoch), &o.Metadata, int16(o.Code)
		}
	}
	return topics
}

// oldOffsetFetch answers in the layout for one group. Version 1 has no place for the group's error: every partition gets it.
func oldOffsetFetch(out *kmsg.OffsetFetchResponse, r *group.FetchOffsets, f group.FetchedOffsets) {
	out.ErrorCode = int16(f.Code)
	for _, t := range fetchedTopics(f) {
		to := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			to.Partitions = append(to.Partitions, kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, ErrorCode: p.ErrorCode,
			})
		}
		out.Topics = append(out.Topics, to)
	}
	if f.Code == wire.None || out.Version > 1 {
		return
	}
	for _, t := range r.Topics {
		to := kmsg.OffsetFetchResponseTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			to.Partitions = append(to.Partitions, kmsg.OffsetFetchResponseTopicPartition{
				Partition: p, Offset: -1, LeaderEpoch: -1, Metadata: new(string), ErrorCode: int16(f.Code),
			})
		}
		out.Topics = append(out.Topics, to)
	}
}
