package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeCluster describes the brokers. API key 60, versions 0 to 2.
//
//	v1  brokers or controllers
//	v2  fenced brokers too, if asked for (KIP-1073)
func (h *Handlers) describeCluster(c *Call, r *kmsg.DescribeClusterRequest) {
	const brokers = 1
	out := r.ResponseKind().(*kmsg.DescribeClusterResponse)
	out.ClusterID, out.ControllerID = h.ClusterID, int32(h.controllerFor(c))
	out.EndpointType = brokers
	if r.Version >= 1 && r.EndpointType != brokers {
		out.ErrorCode = int16(wire.MismatchedEndpointType)
		message := "this listener is for clients of brokers, not of controllers"
		out.ErrorMessage = &message
		c.Answer(out)
		return
	}
	out.ClusterAuthorizedOperations = wire.NoOperations
	if r.IncludeClusterAuthorizedOperations {
		out.ClusterAuthorizedOperations = clusterOperations
	}
	for _, b := range h.Image.Brokers() {
		e, ok := h.endpoint(c, b)
		if !ok || b.Fenced && !r.IncludeFencedBrokers {
			continue
		}
		to := kmsg.NewDescribeClusterResponseBroker()
		to.NodeID, to.Host, to.Port, to.Rack, to.IsFenced = e.ID, e.Host, e.Port, e.Rack, b.Fenced
		out.Brokers = append(out.Brokers, to)
	}
	c.Answer(out)
}
