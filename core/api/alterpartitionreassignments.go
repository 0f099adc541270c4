package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartitionReassignments gives partitions other replicas, or ends that (KIP-455). API key 45, version 0.
//
// It replies when the reassignments have begun; they end when the new replicas have caught up. The number of replicas may change with them, since only
// version 1 can forbid that.
func (h *Handlers) alterPartitionReassignments(c *Call, r *kmsg.AlterPartitionAssignmentsRequest) {
	request := controller.Reassign{AllowFactorChange: r.Version < 1 || r.AllowReplicationFactorChange}
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			request.Partitions = append(request.Partitions, controller.ReassignPartition{
				Topic: r.Topics[i].Topic, Index: p.Partition, Replicas: nodes(p.Replicas), Cancel: p.Replicas == nil,
			})
		}
	}
	var answers []controller.ReassignedPartition
	h.decide(func() (records []metadata.Record) {
		records, answers = h.Controller.Reassign(request)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
		out.AllowReplicationFactorChange = request.AllowFactorChange
		out.Topics = []kmsg.AlterPartitionAssignmentsResponseTopic{}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = outcome(controller.Refusal{}, err)
			c.Answer(out)
			return
		}
		next := 0
		for i := range r.Topics {
			to := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			to.Topic, to.Partitions = r.Topics[i].Topic, []kmsg.AlterPartitionAssignmentsResponseTopicPartition{}
			for range r.Topics[i].Partitions {
				po := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
				po.Partition = answers[next].Index
				po.ErrorCode, po.ErrorMessage = outcome(answers[next].Refusal, nil)
				to.Partitions = append(to.Partitions, po)
				next++
			}
			out.Topics = append(out.Topics, to)
		}
		c.Answer(out)
	})
}

// listPartitionReassignments lists the reassignments that are on their way (KIP-455). API key 46, version 0.
func (h *Handlers) listPartitionReassignments(c *Call, r *kmsg.ListPartitionReassignmentsRequest) {
	var list []controller.TopicPartitions
	for _, t := range r.Topics {
		list = append(list, controller.TopicPartitions{Topic: t.Topic, Partitions: t.Partitions})
	}
	out := r.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	out.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	// The empty decision waits for those before it: what the answer says is true now (M7).
	h.decide(func() []metadata.Record { return nil }, func(err error) {
		if err != nil {
			out.ErrorCode, out.ErrorMessage = outcome(controller.Refusal{}, err)
			c.Answer(out)
			return
		}
		for _, a := range h.Controller.Reassignments(list, r.Topics == nil) {
			if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != a.Topic {
				to := kmsg.NewListPartitionReassignmentsResponseTopic()
				to.Topic = a.Topic
				out.Topics = append(out.Topics, to)
			}
			to := &out.Topics[len(out.Topics)-1]
			po := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			po.Partition, po.Replicas, po.AddingReplicas, po.RemovingReplicas = a.Index, numbers(a.Replicas), numbers(a.Adding), numbers(a.Removing)
			to.Partitions = append(to.Partitions, po)
		}
		c.Answer(out)
	})
}
