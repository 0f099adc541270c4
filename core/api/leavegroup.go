package api

import (
	"lignum/core/group"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveGroup takes members out of a classic group. API key 13, versions 0 to 5.
//
//	v3  many members, by member or instance id
//	v4  flexible encoding
//	v5  the reason
func (h *Handlers) leaveGroup(c *Call, r *kmsg.LeaveGroupRequest) {
	leavers := make([]group.Leaver, 0, max(len(r.Members), 1))
	if r.Version < 3 {
		leavers = append(leavers, group.Leaver{Member: r.MemberID})
	}
	for i := range r.Members {
		leavers = append(leavers, group.Leaver{Member: r.Members[i].MemberID, Instance: orEmpty(r.Members[i].InstanceID)})
	}
	answer := func(code wire.ErrorCode, codes []wire.ErrorCode) {
		out := r.ResponseKind().(*kmsg.LeaveGroupResponse)
		out.ErrorCode, out.Members = int16(code), []kmsg.LeaveGroupResponseMember{}
		if code == wire.None && r.Version < 3 {
			out.ErrorCode = int16(codes[0])
		}
		for i := range codes {
			if r.Version >= 3 && code == wire.None {
				m := kmsg.NewLeaveGroupResponseMember()
				m.MemberID, m.InstanceID, m.ErrorCode = r.Members[i].MemberID, r.Members[i].InstanceID, int16(codes[i])
				out.Members = append(out.Members, m)
			}
		}
		c.Answer(out)
	}
	if s := h.coordinating(r.Group, func(code wire.ErrorCode) { answer(code, nil) }); s != nil {
		s.Leave(r.Group, leavers, answer)
	}
}
