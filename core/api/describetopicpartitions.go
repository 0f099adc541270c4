package api

import (
	"slices"

	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeTopicPartitions describes topics page by page (KIP-966). API key 75, version 0.
//
// Topics come in the order of their names. A reply holds as many partitions as the request and the broker allow, and says
// where the next one starts.
func (h *Handlers) describeTopicPartitions(c *Call, r *kmsg.DescribeTopicPartitionsRequest) {
	out := r.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	out.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{}
	left := int(min(max(r.ResponsePartitionLimit, 1), h.Config().DescribePartitionsMax))
	first, from := "", int32(0)
	if r.Cursor != nil {
		first, from = r.Cursor.Topic, r.Cursor.Partition
		if from < 0 {
			out.Topics = append(out.Topics, unknownTopic(first, wire.InvalidRequest))
			c.Answer(out)
			return
		}
	}
	for _, name := range h.namesFrom(r, first) {
		if left == 0 {
			out.NextCursor = cursorAt(name, 0)
			break
		}
		start := int32(0)
		if name == first {
			start = from
		}
		t := h.Image.Topic(name)
		if t == nil {
			code := wire.UnknownTopicOrPartition
			if controller.ValidTopicName(name) != nil {
				code = wire.InvalidTopicException
			}
			out.Topics = append(out.Topics, unknownTopic(name, code))
			continue
		}
		to, next := h.topicPage(t, int(start), left)
		out.Topics = append(out.Topics, to)
		left -= len(to.Partitions)
		if next < len(t.Partitions) {
			out.NextCursor = cursorAt(name, int32(next))
			break
		}
	}
	c.Answer(out)
}

// namesFrom lists the topics that are wanted, from one on, in order and each once.
func (h *Handlers) namesFrom(r *kmsg.DescribeTopicPartitionsRequest, first string) []string {
	var names []string
	if len(r.Topics) == 0 {
		for _, t := range h.Image.TopicsFrom(first) {
			names = append(names, t.Name)
		}
		return names
	}
	for _, t := range r.Topics {
		if t.Topic >= first {
			names = append(names, t.Topic)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// topicPage describes at most limit partitions from one on; next is the first that is left out.
func (h *Handlers) topicPage(t *metadata.Topic, from, limit int) (to kmsg.DescribeTopicPartitionsResponseTopic, next int) {
	to = kmsg.NewDescribeTopicPartitionsResponseTopic()
	to.Topic, to.TopicID, to.IsInternal = &t.Name, t.ID, t.Internal()
	to.AuthorizedOperations = topicOperations
	to.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	next = max(from, 0)
	for ; next < len(t.Partitions) && len(to.Partitions) < limit; next++ {
		p := &t.Partitions[next]
		po := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		po.Partition, po.LeaderID, po.LeaderEpoch = int32(next), int32(p.Leader), int32(p.LeaderEpoch)
		if p.Leader == metadata.NoNode {
			po.ErrorCode = int16(wire.LeaderNotAvailable)
		}
		po.Replicas, po.ISR = numbers(p.Replicas), numbers(p.ISR)
		po.EligibleLeaderReplicas, po.LastKnownELR = numbers(p.ELR), numbers(p.LastKnownELR)
		po.OfflineReplicas = []int32{}
		for _, id := range p.Replicas {
			if !h.Image.Active(id) {
				po.OfflineReplicas = append(po.OfflineReplicas, int32(id))
			}
		}
		to.Partitions = append(to.Partitions, po)
	}
	return to, next
}

// numbers is the list as the protocol has it; never null, which Java's admin client cannot read.
func numbers(list []record.NodeID) []int32 {
	out := make([]int32, len(list))
	for i, id := range list {
		out[i] = int32(id)
	}
	return out
}

func unknownTopic(name string, code wire.ErrorCode) kmsg.DescribeTopicPartitionsResponseTopic {
	to := kmsg.NewDescribeTopicPartitionsResponseTopic()
	to.Topic, to.ErrorCode = &name, int16(code)
	to.AuthorizedOperations = topicOperations
	to.Partitions = []kmsg.DescribeTopicPartitionsResponseTopicPartition{}
	return to
}

func cursorAt(topic string, partition int32) *kmsg.DescribeTopicPartitionsResponseNextCursor {
	next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
	next.Topic, next.Partition = topic, partition
	return &next
}
