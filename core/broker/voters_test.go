package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
)

// TestClusterRequestsOfOne: a broker alone answers what is about replicas, leaders and the quorum.
func TestClusterRequestsOfOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.create("t", 1)
	quorum := kmsg.NewPtrDescribeQuorumRequest()
	quorum.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
	if p := ask[*kmsg.DescribeQuorumResponse](r, quorum, 2).Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.CurrentVoters) != 1 || p.HighWatermark < 1 {
		t.Errorf("%+v", p)
	}
	if out := ask[*kmsg.ListPartitionReassignmentsResponse](r, kmsg.NewPtrListPartitionReassignmentsRequest(), 0); out.ErrorCode != 0 || len(out.Topics) > 0 {
		t.Errorf("%+v", out)
	}
	reassign := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	reassign.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "t", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{7}}}}}
	out := ask[*kmsg.AlterPartitionAssignmentsResponse](r, reassign, 0)
	if p := out.Topics[0].Partitions[0]; wire.ErrorCode(p.ErrorCode) != wire.InvalidReplicaAssignment {
		t.Errorf("%+v", p)
	}
	if out := ask[*kmsg.ElectLeadersResponse](r, kmsg.NewPtrElectLeadersRequest(), 2); out.ErrorCode != 0 || len(out.Topics) > 0 {
		t.Errorf("%+v", out)
	}
	remove := kmsg.NewPtrRemoveRaftVoterRequest()
	remove.VoterID, remove.VoterDirectoryID = 5, [16]byte{5}
	if out := ask[*kmsg.RemoveRaftVoterResponse](r, remove, 0); wire.ErrorCode(out.ErrorCode) != wire.VoterNotFound {
		t.Errorf("%+v", out)
	}
	dirs := kmsg.NewPtrAlterReplicaLogDirsRequest()
	dirs.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{{Dir: "nowhere", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: []int32{0}}}}}
	if p := ask[*kmsg.AlterReplicaLogDirsResponse](r, dirs, 2).Topics[0].Partitions[0]; wire.ErrorCode(p.ErrorCode) != wire.LogDirNotFound {
		t.Errorf("%+v", p)
	}
	if out := ask[*kmsg.UnregisterBrokerResponse](r, &kmsg.UnregisterBrokerRequest{BrokerID: 9}, 0); wire.ErrorCode(out.ErrorCode) != wire.BrokerIDNotRegistered {
		t.Errorf("%+v", out)
	}
}
