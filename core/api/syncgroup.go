package api

import (
	"bytes"

	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncGroup gives a member its part of a generation; the leader's request brings all parts. API key 14, versions 0 to 5.
//
//	v3  instance ids
//	v4  flexible encoding
//	v5  the protocol, to compare
//
// It replies when the assignment is as safe as acks=all.
func (h *Handlers) syncGroup(c *Call, r *kmsg.SyncGroupRequest) {
	request := &group.SyncRequest{
		Group: r.Group, Member: r.MemberID, Instance: orEmpty(r.InstanceID), Generation: r.Generation,
		ProtocolType: orEmpty(r.ProtocolType), Protocol: orEmpty(r.Protocol), Assignments: make(map[string][]byte, len(r.GroupAssignment)),
	}
	for i := range r.GroupAssignment {
		request.Assignments[r.GroupAssignment[i].MemberID] = bytes.Clone(r.GroupAssignment[i].MemberAssignment)
	}
	c.dropFrame()
	answer := func(g group.SyncReply) {
		out := r.ResponseKind().(*kmsg.SyncGroupResponse)
		out.ErrorCode, out.ProtocolType, out.Protocol = int16(g.Code), orNull(g.ProtocolType), orNull(g.Protocol)
		out.MemberAssignment = g.Assignment
		c.Answer(out)
	}
	s := h.coordinating(r.Group, func(code wire.ErrorCode) { answer(group.SyncReply{Code: code}) })
	switch {
	case s == nil:
	case r.Version >= 5 && (r.ProtocolType == nil || r.Protocol == nil):
		answer(group.SyncReply{Code: wire.InconsistentGroupProtocol})
	default:
		s.Sync(request, answer)
	}
}
