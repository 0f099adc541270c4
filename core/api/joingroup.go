package api

import (
	"bytes"

	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup makes the sender a member of a classic group. API key 11, versions 0 to 9.
//
//	v1  the timeout of a rebalance
//	v4  a new member gets an id first (KIP-394)
//	v5  instance ids (KIP-345)
//	v6  flexible encoding
//	v7  the protocol's type in the answer
//	v8  the reason
//	v9  an assignment can be kept (KIP-814)
//
// It replies when the group's next generation begins.
func (h *Handlers) joinGroup(c *Call, r *kmsg.JoinGroupRequest) {
	request := &group.JoinRequest{
		Group: r.Group, Member: r.MemberID, Instance: orEmpty(r.InstanceID), ClientID: string(c.Header.ClientID), Host: c.clientHost(),
		ProtocolType: r.ProtocolType, SessionTimeout: r.SessionTimeoutMillis, RebalanceTimeout: r.RebalanceTimeoutMillis,
		NeedsID: r.Version >= 4, MaySkip: r.Version >= 9,
	}
	if r.Version == 0 {
		request.RebalanceTimeout = r.SessionTimeoutMillis
	}
	for i := range r.Protocols {
		p := &r.Protocols[i]
		request.Protocols = append(request.Protocols, group.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
	}
	c.dropFrame()
	answer := func(g group.JoinReply) { c.Answer(joined(r, g)) }
	s := h.coordinating(r.Group, func(code wire.ErrorCode) {
		answer(group.JoinReply{Code: code, MemberID: r.MemberID, Generation: -1})
	})
	if s != nil {
		s.Join(request, answer)
	}
}

func joined(r *kmsg.JoinGroupRequest, g group.JoinReply) *kmsg.JoinGroupResponse {
	out := r.ResponseKind().(*kmsg.JoinGroupResponse)
	out.ErrorCode, out.Generation, out.LeaderID, out.MemberID = int16(g.Code), g.Generation, g.Leader, g.MemberID
	out.SkipAssignment, out.Members = g.SkipAssignment, []kmsg.JoinGroupResponseMember{}
	if out.ProtocolType, out.Protocol = orNull(g.ProtocolType), orNull(g.Protocol); out.Protocol == nil && r.Version < 7 {
		out.Protocol = new(string)
	}
	for i := range g.Members {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.InstanceID, m.ProtocolMetadata = g.Members[i].ID, orNull(g.Members[i].Instance), g.Members[i].Metadata
		out.Members = append(out.Members, m)
	}
	return out
}
