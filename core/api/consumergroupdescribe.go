package api

import (
	"lignum/core/group"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupDescribe describes groups of the consumer protocol (KIP-848). API key 69, versions 0 and 1.
//
//	v1  which protocol a member speaks
func (h *Handlers) consumerGroupDescribe(c *Call, r *kmsg.ConsumerGroupDescribeRequest) {
	out := r.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	r.Groups = distinct(r.Groups, same)
	out.Groups = make([]kmsg.ConsumerGroupDescribeResponseGroup, len(r.Groups))
	one := gather(len(r.Groups), func() { c.Answer(out) })
	for i, id := range r.Groups {
		to := &out.Groups[i]
		reply := func(d group.DescribedConsumer) {
			*to = h.describedConsumer(r, &d)
			one()
		}
		s, code := h.Groups.Find(id)
		if id == "" {
			code = wire.InvalidGroupID
		}
		if code != wire.None {
			reply(group.DescribedConsumer{ID: id, Code: code})
			continue
		}
		s.DescribeConsumer(id, reply)
	}
	one()
}

// The types of members in version 1.
const (
	classicMember  = 0
	consumerMember = 1
)

func (h *Handlers) describedConsumer(r *kmsg.ConsumerGroupDescribeRequest, d *group.DescribedConsumer) kmsg.ConsumerGroupDescribeResponseGroup {
	to := kmsg.NewConsumerGroupDescribeResponseGroup()
	to.ErrorCode, to.ErrorMessage, to.Group, to.State = int16(d.Code), orNull(d.Message), d.ID, d.State
	to.Epoch, to.AssignmentEpoch, to.AssignorName = d.Epoch, d.AssignmentEpoch, d.Assignor
	to.Members = []kmsg.ConsumerGroupDescribeResponseGroupMember{}
	if r.IncludeAuthorizedOperations {
		to.AuthorizedOperations = groupOperations
	}
	for i := range d.Members {
		m, from := kmsg.NewConsumerGroupDescribeResponseGroupMember(), &d.Members[i]
		m.MemberID, m.InstanceID, m.RackID, m.MemberEpoch = from.ID, orNull(from.Instance), orNull(from.Rack), from.Epoch
		m.ClientID, m.ClientHost, m.SubscribedTopicRegex = from.ClientID, from.Host, orNull(from.Regex)
		m.SubscribedTopics = append([]string{}, from.Topics...)
		m.Assignment.TopicPartitions, m.TargetAssignment.TopicPartitions = h.assigned(from.Assigned), h.assigned(from.Target)
		if m.MemberType = consumerMember; from.Classic {
			m.MemberType = classicMember
		}
		to.Members = append(to.Members, m)
	}
	return to
}

// assigned puts partitions of one topic together, with the topic's name. Topics that are gone are left out.
func (h *Handlers) assigned(list []record.Partition) []kmsg.AssignmentTopicPartition {
	topics := []kmsg.AssignmentTopicPartition{}
	for _, p := range list {
		t := h.Image.TopicByID(p.Topic)
		if t == nil {
			continue
		}
		if n := len(topics); n == 0 || topics[n-1].TopicID != p.Topic {
			topics = append(topics, kmsg.AssignmentTopicPartition{TopicID: p.Topic, Topic: t.Name})
		}
		last := &topics[len(topics)-1]
		last.Partitions = append(last.Partitions, p.Index)
	}
	return topics
}
