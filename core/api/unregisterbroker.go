package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unregisterBroker has the cluster forget a broker that will not come back. API key 64, version 0.
//
// It refuses only once it is certain that this node still is the active controller: its successor may have seen the broker register, or stop (M7).
func (h *Handlers) unregisterBroker(c *Call, r *kmsg.UnregisterBrokerRequest) {
	var refusal controller.Refusal
	h.decide(func() (records []metadata.Record) {
		records, refusal = h.Controller.UnregisterBroker(record.NodeID(r.BrokerID))
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.UnregisterBrokerResponse)
		out.ErrorCode, out.ErrorMessage = outcome(refusal, err)
		if !refusal.Refused() || h.Quorum.Confirm == nil {
			c.Answer(out)
			return
		}
		h.Quorum.Confirm(func(err error) {
			if err != nil {
				out.ErrorCode, out.ErrorMessage = outcome(controller.Refusal{}, err)
			}
			c.Answer(out)
		})
	})
}
