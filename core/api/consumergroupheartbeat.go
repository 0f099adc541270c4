package api

import (
	"lignum/core/group"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumerGroupHeartbeat is all that a member of a group of the consumer protocol says (KIP-848). API key 68, versions 0 and 1.
//
//	v1  subscriptions by regular expression; the member makes its own id
//
// It replies when what it tells the member is as safe as acks=all.
func (h *Handlers) consumerGroupHeartbeat(c *Call, r *kmsg.ConsumerGroupHeartbeatRequest) {
	request := &group.Beat{
		Connection: uint64(c.session.ID), Group: r.Group, Member: r.MemberID, Epoch: r.MemberEpoch, Instance: r.InstanceID, Rack: r.RackID,
		ClientID: string(c.Header.ClientID), Host: c.clientHost(), RebalanceTimeout: r.RebalanceTimeoutMillis,
		Topics: r.SubscribedTopicNames, Regex: r.SubscribedTopicRegex, Assignor: r.ServerAssignor, SaysOwned: r.Topics != nil,
	}
	for i := range r.Topics {
		for _, p := range r.Topics[i].Partitions {
			request.Owned = append(request.Owned, record.Partition{Topic: r.Topics[i].TopicID, Index: p})
		}
	}
	answer := func(b group.BeatReply) {
		out := r.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		out.ErrorCode, out.ErrorMessage = int16(b.Code), orNull(b.Message)
		if b.Code == wire.None {
			out.MemberID, out.MemberEpoch, out.HeartbeatIntervalMillis = orNull(b.Member), b.Epoch, b.Heartbeat
		}
		if b.Tells {
			out.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: heartbeatTopics(b.Assigned)}
		}
		c.Answer(out)
	}
	if r.Version >= 1 && r.MemberID == "" && r.Group != "" {
		answer(group.BeatReply{Code: wire.InvalidRequest, Message: "MemberId can't be empty."})
		return
	}
	s := h.coordinating(r.Group, func(code wire.ErrorCode) {
		if code == wire.InvalidGroupID {
			answer(group.BeatReply{Code: wire.InvalidRequest, Message: "GroupId can't be empty."})
			return
		}
		answer(group.BeatReply{Code: code})
	})
	if s != nil {
		s.Beat(request, answer)
	}
}

// heartbeatTopics puts partitions of one topic together; they are sorted.
func heartbeatTopics(list []record.Partition) []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic {
	topics := []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}
	for _, p := range list {
		if n := len(topics); n == 0 || topics[n-1].TopicID != p.Topic {
			t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
			t.TopicID = p.Topic
			topics = append(topics, t)
		}
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, p.Index)
	}
	return topics
}
