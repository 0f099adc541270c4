package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// assignReplicasToDirs takes a broker's word on where its replicas lie (KIP-858). API key 73, version 0; between nodes only.
//
// It replies when the active controller's log has it.
func (h *Handlers) assignReplicasToDirs(r *kmsg.AssignReplicasToDirsRequest, answer func(kmsg.Response)) {
	request := controller.AssignDirectories{Broker: record.NodeID(r.BrokerID), BrokerEpoch: metadata.BrokerEpoch(r.BrokerEpoch)}
	for i := range r.Directories {
		d := controller.AssignDirectory{ID: metadata.UUID(r.Directories[i].ID)}
		for _, t := range r.Directories[i].Topics {
			for _, p := range t.Partitions {
				d.Partitions = append(d.Partitions, record.Partition{Topic: t.TopicID, Index: p.Partition})
			}
		}
		request.Directories = append(request.Directories, d)
	}
	var answers []controller.AssignedDirectory
	var refusal controller.Refusal
	h.decideFirst(func() (records []metadata.Record) {
		records, answers, refusal = h.Controller.AssignDirectories(request)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.AssignReplicasToDirsResponse)
		if out.ErrorCode = undecided(refusal, err); out.ErrorCode == 0 {
			out.Directories = assignedDirectories(r, answers)
		}
		answer(out)
	})
}

// assignedDirectories lays the answers out as the request was.
func assignedDirectories(r *kmsg.AssignReplicasToDirsRequest, answers []controller.AssignedDirectory) []kmsg.AssignReplicasToDirsResponseDirectory {
	var out []kmsg.AssignReplicasToDirsResponseDirectory
	next := 0
	for i := range r.Directories {
		d := kmsg.NewAssignReplicasToDirsResponseDirectory()
		d.ID = r.Directories[i].ID
		for _, t := range r.Directories[i].Topics {
			to := kmsg.NewAssignReplicasToDirsResponseDirectoryTopic()
			to.TopicID = t.TopicID
			for range t.Partitions {
				po := kmsg.NewAssignReplicasToDirsResponseDirectoryTopicPartition()
				po.Partition, po.ErrorCode = answers[next].ID.Index, int16(answers[next].Code)
				to.Partitions = append(to.Partitions, po)
				next++
			}
			d.Topics = append(d.Topics, to)
		}
		out = append(out, d)
	}
	return out
}
