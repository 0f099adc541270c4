package api

import "github.com/twmb/franz-go/pkg/kmsg"

// handleCluster answers the requests about replicas, leaders and the quorum.
func (h *Handlers) handleCluster(c *Call, request kmsg.Request) {
	switch r := request.(type) {
	case *kmsg.AlterPartitionAssignmentsRequest:
		h.alterPartitionReassignments(c, r)
	case *kmsg.ListPartitionReassignmentsRequest:
		h.listPartitionReassignments(c, r)
	case *kmsg.ElectLeadersRequest:
		h.electLeaders(c, r)
	case *kmsg.UnregisterBrokerRequest:
		h.unregisterBroker(c, r)
	case *kmsg.UpdateFeaturesRequest:
		h.updateFeatures(c, r)
	case *kmsg.AlterReplicaLogDirsRequest:
		h.alterReplicaLogDirs(c, r)
	case *kmsg.DescribeQuorumRequest:
		h.describeQuorum(c, r)
	case *kmsg.AddRaftVoterRequest:
		h.addRaftVoter(c, r)
	case *kmsg.RemoveRaftVoterRequest:
		h.removeRaftVoter(c, r)
	}
}
