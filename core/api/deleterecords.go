package api

import (
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteRecords moves log starts forward. API key 21, versions 0 to 2. Offset -1 means the high watermark.
//
// Internal topics are refused, as in Apache Kafka, whatever their cleanup.policy. It replies once the new starts are durable on every replica whose broker is
// up (R3), or the request's time is over.
func (h *Handlers) deleteRecords(c *Call, r *kmsg.DeleteRecordsRequest) {
	out := r.ResponseKind().(*kmsg.DeleteRecordsResponse)
	waiting, answered := 1, false
	var timeout timer.Timer
	answer := func() {
		if answered {
			return
		}
		answered = true
		h.Timers.Stop(&timeout)
		c.Answer(out)
	}
	waits := func() bool { return !answered }
	done := func() {
		if waiting--; waiting == 0 {
			answer()
		}
	}
	out.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(r.Topics))
	for i, t := range r.Topics {
		to := &out.Topics[i]
		to.Topic = t.Topic
		to.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for j, ask := range t.Partitions {
			po := &to.Partitions[j]
			po.Partition, po.LowWatermark = ask.Partition, -1
			p, code := h.byName([]byte(t.Topic), ask.Partition)
			switch {
			case code != wire.None:
			case metadata.InternalTopic(p.Topic):
				code = wire.InvalidTopicException // what is in there is for coordinators to remove
			default:
				code = p.Available()
			}
			if code != wire.None {
				po.ErrorCode = int16(code)
				continue
			}
			waiting++
			po.ErrorCode = int16(wire.RequestTimedOut)
			p.DeleteRecords(record.Offset(ask.Offset), waits, func(start record.Offset, code wire.ErrorCode) {
				if !answered {
					po.LowWatermark, po.ErrorCode = int64(start), int16(code)
				}
				done()
			})
		}
	}
	if waiting > 1 {
		c.abandon = answer
		h.Timers.Start(&timeout, h.Clock.Now().Add(millis(r.TimeoutMillis)), answer)
	}
	done()
}
