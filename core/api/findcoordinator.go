package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// findCoordinator names the broker that looks after a group or a transactional id. API key 10, versions 0 to 6.
//
//	v1  transactional ids
//	v4  several keys in one request
//
// This broker has no coordinators: it says so for every key, and clients try again later.
func (h *Handlers) findCoordinator(c *Call, r *kmsg.FindCoordinatorRequest) {
	out := r.ResponseKind().(*kmsg.FindCoordinatorResponse)
	message := "this broker has no coordinator for groups or transactions"
	if r.Version < 4 {
		out.ErrorCode, out.ErrorMessage = int16(wire.CoordinatorNotAvailable), &message
		out.NodeID, out.Port = -1, -1
		c.Answer(out)
		return
	}
	for _, key := range r.CoordinatorKeys {
		k := kmsg.NewFindCoordinatorResponseCoordinator()
		k.Key, k.NodeID, k.Port = key, -1, -1
		k.ErrorCode, k.ErrorMessage = int16(wire.CoordinatorNotAvailable), &message
		out.Coordinators = append(out.Coordinators, k)
	}
	c.Answer(out)
}
