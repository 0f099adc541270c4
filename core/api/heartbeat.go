package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heartbeat keeps a member's session. API key 12, versions 0 to 4.
//
//	v3  instance ids
//	v4  flexible encoding
//
// Clients do not expect to hear that the coordinator is loading: they look for it again instead.
func (h *Handlers) heartbeat(c *Call, r *kmsg.HeartbeatRequest) {
	answer := func(code wire.ErrorCode) {
		if code == wire.CoordinatorLoadInProgress {
			code = wire.CoordinatorNotAvailable
		}
		out := r.ResponseKind().(*kmsg.HeartbeatResponse)
		out.ErrorCode = int16(code)
		c.Answer(out)
	}
	if s := h.coordinating(r.Group, answer); s != nil {
		s.Heartbeat(r.Group, r.MemberID, orEmpty(r.InstanceID), r.Generation, answer)
	}
}
