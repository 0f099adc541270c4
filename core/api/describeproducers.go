package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeProducers lists the idempotent producers that partitions remember. API key 61, version 0.
func (h *Handlers) describeProducers(c *Call, r *kmsg.DescribeProducersRequest) {
	out := r.ResponseKind().(*kmsg.DescribeProducersResponse)
	r.Topics = distinct(r.Topics, func(t *kmsg.DescribeProducersRequestTopic) string { return t.Topic })
	for _, t := range r.Topics {
		to := kmsg.NewDescribeProducersResponseTopic()
		to.Topic = t.Topic
		for _, index := range distinct(t.Partitions, func(i *int32) int32 { return *i }) {
			to.Partitions = append(to.Partitions, h.producersOf(t.Topic, index))
		}
		out.Topics = append(out.Topics, to)
	}
	c.Answer(out)
}

func (h *Handlers) producersOf(topic string, index int32) kmsg.DescribeProducersResponseTopicPartition {
	po := kmsg.NewDescribeProducersResponseTopicPartition()
	po.Partition = index
	p, code := h.byName([]byte(topic), index)
	if code == wire.None {
		code = p.Available()
	}
	po.ErrorCode = int16(code)
	if code != wire.None {
		return po
	}
	for _, s := range p.Producers() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch = int64(s.ID), int32(s.Epoch)
		a.LastSequence, a.LastTimestamp = s.LastSequence, s.LastTimestamp
		a.CoordinatorEpoch, a.CurrentTxnStartOffset = s.CoordinatorEpoch, int64(s.TxnFirst)
		po.ActiveProducers = append(po.ActiveProducers, a)
	}
	return po
}
