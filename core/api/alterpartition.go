package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartition changes in-sync sets as their leaders ask. API key 56, versions 2 and 3.
//
//	v2  topics by id
//	v3  the members with their broker epochs (KIP-903)
//
// It replies with each partition's state once it is committed.
func (h *Handlers) alterPartition(r *kmsg.AlterPartitionRequest, answer func(kmsg.Response)) {
	out := r.ResponseKind().(*kmsg.AlterPartitionResponse)
	request := isrChanges(r)
	var results []controller.AlteredPartition
	var refusal controller.Refusal
	h.decideFirst(func() (records []metadata.Record) {
		records, results, refusal = h.Controller.AlterPartition(request)
		return records
	}, func(err error) {
		if out.ErrorCode = undecided(refusal, err); out.ErrorCode == 0 {
			out.Topics = alteredTopics(results)
		}
		answer(out)
	})
}

func isrChanges(r *kmsg.AlterPartitionRequest) controller.AlterPartition {
	out := controller.AlterPartition{Broker: record.NodeID(r.BrokerID), BrokerEpoch: metadata.BrokerEpoch(r.BrokerEpoch)}
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			change := controller.ISRChange{
				ID: record.Partition{Topic: r.Topics[i].TopicID, Index: p.Partition}, LeaderEpoch: record.Epoch(p.LeaderEpoch),
				PartitionEpoch: metadata.PartitionEpoch(p.PartitionEpoch), Recovered: p.LeaderRecoveryState == 0,
			}
			p.UnknownTags.Each(func(tag uint32, _ []byte) { change.Synced = change.Synced || tag == wire.TagSynced })
			for _, id := range p.NewISR {
				change.NewISR = append(change.NewISR, controller.ISRMember{ID: record.NodeID(id), BrokerEpoch: metadata.NoBrokerEpoch})
			}
			for _, m := range p.NewEpochISR {
				change.NewISR = append(change.NewISR, controller.ISRMember{ID: record.NodeID(m.BrokerID), BrokerEpoch: metadata.BrokerEpoch(m.BrokerEpoch)})
			}
			out.Changes = append(out.Changes, change)
		}
	}
	return out
}

// alteredTopics puts neighbours of one topic together.
func alteredTopics(results []controller.AlteredPartition) []kmsg.AlterPartitionResponseTopic {
	var topics []kmsg.AlterPartitionResponseTopic
	for i := range results {
		r := &results[i]
		if n := len(topics); n == 0 || topics[n-1].TopidID != r.ID.Topic {
			t := kmsg.NewAlterPartitionResponseTopic()
			t.TopidID = r.ID.Topic
			topics = append(topics, t)
		}
		p := kmsg.NewAlterPartitionResponseTopicPartition()
		p.Partition, p.ErrorCode = r.ID.Index, int16(r.Code)
		if !r.Refused() {
			p.LeaderID, p.LeaderEpoch, p.PartitionEpoch = int32(r.State.Leader), int32(r.State.LeaderEpoch), int32(r.State.Epoch)
			for _, id := range r.State.ISR {
				p.ISR = append(p.ISR, int32(id))
			}
			if r.State.Recovering {
				p.LeaderRecoveryState = 1
			}
		}
		t := &topics[len(topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return topics
}
