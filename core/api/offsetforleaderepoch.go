package api

import (
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetForLeaderEpoch tells where a leader epoch ends in this leader's log. API key 23, versions 2 to 4.
//
//	v2  the asker's own leader epoch (KIP-320)
//	v4  flexible encoding
//
// The answer is the greatest epoch not above the one asked for, and its end (KIP-279).
func (h *Handlers) offsetForLeaderEpoch(c *Call, r *kmsg.OffsetForLeaderEpochRequest) {
	out := r.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, t := range r.Topics {
		to := kmsg.NewOffsetForLeaderEpochResponseTopic()
		to.Topic = t.Topic
		for _, ask := range t.Partitions {
			po := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			po.Partition, po.LeaderEpoch, po.EndOffset = ask.Partition, -1, -1
			p, code := h.byName([]byte(t.Topic), ask.Partition)
			switch {
			case code != wire.None:
			case r.ReplicaID >= 0:
				code = p.Leading()
			default:
				code = p.Available()
			}
			if code == wire.None {
				code = p.CheckEpoch(record.Epoch(ask.CurrentLeaderEpoch))
			}
			po.ErrorCode = int16(code)
			if code == wire.None {
				epoch, end := p.EpochEnd(record.Epoch(ask.LeaderEpoch))
				po.LeaderEpoch, po.EndOffset = int32(epoch), int64(end)
			}
			to.Partitions = append(to.Partitions, po)
		}
		out.Topics = append(out.Topics, to)
	}
	c.Answer(out)
}
