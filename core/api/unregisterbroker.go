package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// unregisterBroker has the cluster forget a broker that will not come back. API key 64, version 0.
func (h *Handlers) unregisterBroker(c *Call, r *kmsg.UnregisterBrokerRequest) {
	var refusal controller.Refusal
	h.decide(func() (records []metadata.Record) {
		records, refusal = h.Controller.UnregisterBroker(record.NodeID(r.BrokerID))
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.UnregisterBrokerResponse)
		out.ErrorCode, out.ErrorMessage = outcome(refusal, err)
		c.Answer(out)
	})
}
