package api

import "lignum/core/wire"

// quorumMessage hands what another member of the metadata quorum says to this node's. API key 10000, version 0: Lignum's own.
//
// It replies when the quorum has something to say, or knows that it has not.
func (h *Handlers) quorumMessage(c *Call, r *wire.QuorumMessageRequest) {
	if string(r.ClusterID) != h.ClusterID {
		c.Answer(&wire.QuorumMessageResponse{Error: wire.InconsistentClusterID})
		return
	}
	h.QuorumPayload(r.Payload, func(payload []byte) { c.Answer(&wire.QuorumMessageResponse{Payload: payload}) })
}
