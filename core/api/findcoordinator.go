package api

import (
	"strconv"

	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/group"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of keys that FindCoordinator knows.
const (
	coordinatorOfGroup       = 0
	coordinatorOfTransaction = 1
)

// findCoordinator names the broker that looks after a group or a transactional id. API key 10, versions 0 to 6.
//
//	v1  transactional ids
//	v4  several keys in one request
//
// The first question about a group creates the topic that groups live in; the answer waits for it. There are no transactions yet:
// for their keys no coordinator is available.
func (h *Handlers) findCoordinator(c *Call, r *kmsg.FindCoordinatorRequest) {
	if r.CoordinatorType == coordinatorOfGroup && h.Image.Topic(group.TopicName) == nil {
		h.createOffsetsTopic(func() { h.answerFindCoordinator(c, r) })
		return
	}
	h.answerFindCoordinator(c, r)
}

func (h *Handlers) answerFindCoordinator(c *Call, r *kmsg.FindCoordinatorRequest) {
	out := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
	if r.Version < 4 {
		k := h.coordinatorOf(c, r.CoordinatorType, r.CoordinatorKey)
		out.ErrorCode, out.ErrorMessage, out.NodeID, out.Host, out.Port = k.ErrorCode, k.ErrorMessage, k.NodeID, k.Host, k.Port
		c.Answer(out)
		return
	}
	out.Coordinators = make([]kmsg.FindCoordinatorResponseCoordinator, 0, len(r.CoordinatorKeys))
	for _, key := range r.CoordinatorKeys {
		out.Coordinators = append(out.Coordinators, h.coordinatorOf(c, r.CoordinatorType, key))
	}
	c.Answer(out)
}

func (h *Handlers) coordinatorOf(c *Call, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	k := kmsg.NewFindCoordinatorResponseCoordinator()
	k.Key, k.NodeID, k.Port = key, -1, -1
	no := func(code wire.ErrorCode, message string) kmsg.FindCoordinatorResponseCoordinator {
		k.ErrorCode, k.ErrorMessage = int16(code), &message
		return k
	}
	if kind == coordinatorOfTransaction {
		return no(wire.CoordinatorNotAvailable, "this broker has no coordinator for transactions")
	}
	if kind != coordinatorOfGroup {
		return no(wire.InvalidRequest, "there are no coordinators of type "+strconv.Itoa(int(kind)))
	}
	t := h.Image.Topic(group.TopicName)
	if t == nil {
		return no(wire.CoordinatorNotAvailable, "the topic "+group.TopicName+" does not exist yet")
	}
	p := h.Image.Partition(record.Partition{Topic: t.ID, Index: h.Groups.PartitionOf(key)})
	if p == nil || p.Leader == metadata.NoNode {
		return no(wire.CoordinatorNotAvailable, "the group's partition of "+group.TopicName+" has no leader")
	}
	if b := h.Image.Broker(p.Leader); b != nil && b.Active() {
		if e, ok := h.endpoint(c, b); ok {
			k.NodeID, k.Host, k.Port, k.ErrorMessage = e.ID, e.Host, e.Port, new(string)
			return k
		}
	}
	return no(wire.CoordinatorNotAvailable, "the group's coordinator cannot be reached on this listener")
}

// createOffsetsTopic has the controller make the topic that groups live in and calls then once it is there, or is not to be had.
func (h *Handlers) createOffsetsTopic(then func()) {
	h.haveTopics([]controller.NewTopic{h.offsetsTopic()}, then)
}

// offsetsTopic is how that topic is made: as many replicas as the cluster's size asks for, and nothing is ever deleted by age or size.
func (h *Handlers) offsetsTopic() controller.NewTopic {
	s := h.Config()
	replicas := s.Groups.TopicReplication
	if replicas == 0 {
		replicas = config.DefaultReplication
		if s.Lone() && len(h.Image.Brokers()) == 1 {
			replicas = 1
		}
	}
	return controller.NewTopic{
		Name: group.TopicName, Partitions: s.Groups.TopicPartitions, ReplicationFactor: replicas,
		Configs: []controller.ConfigValue{
			{Key: "cleanup.policy", Value: "compact"},
			{Key: "compression.type", Value: "producer"},
			{Key: "segment.bytes", Value: strconv.Itoa(int(s.Groups.TopicSegment))},
		},
	}
}
