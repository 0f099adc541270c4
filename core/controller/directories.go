package controller

import (
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// AssignDirectories is a broker's word on where its replicas lie (KIP-858). With the directory metadata.LostDirectory it says that a replica
// is damaged or gone: it is in no set then until the broker has placed it again and it has caught up (L7).
type AssignDirectories struct {
	Broker      record.NodeID
	BrokerEpoch metadata.BrokerEpoch
	Directories []AssignDirectory
}

// AssignDirectory is one directory with replicas that lie in it.
type AssignDirectory struct {
	ID         metadata.UUID
	Partitions []record.Partition
}

// AssignedDirectory answers for one replica, in the order of the request.
type AssignedDirectory struct {
	Directory metadata.UUID
	ID        record.Partition
	Refusal
}

// AssignDirectories decides about the places of replicas. The last result is a refusal of the whole request.
func (c *Controller) AssignDirectories(r AssignDirectories) ([]metadata.Record, []AssignedDirectory, Refusal) {
	if refusal := c.checkBroker(r.Broker, r.BrokerEpoch); refusal.Refused() {
		return nil, nil, refusal
	}
	v := &view{Controller: c}
	var records []metadata.Record
	answers := []AssignedDirectory{}
	seen := map[record.Partition]bool{}
	for i := range r.Directories {
		for _, id := range r.Directories[i].Partitions {
			answer := AssignedDirectory{Directory: r.Directories[i].ID, ID: id}
			topic, p := c.Image.TopicByID(id.Topic), c.Image.Partition(id)
			switch {
			case topic == nil:
				answer.Refusal = refuse(wire.UnknownTopicID, "")
			case p == nil:
				answer.Refusal = refuse(wire.UnknownTopicOrPartition, "")
			case !slices.Contains(p.Replicas, r.Broker):
				answer.Refusal = refuse(wire.NotLeaderOrFollower, "")
			case seen[id]:
				answer.Refusal = refuse(wire.InvalidRequest, "the request has the replica more than once")
			default:
				seen[id] = true
				t := v.turn(p, rulesOf(c.topicSettings(topic)))
				if t.assign(r.Broker, answer.Directory); t.settle() {
					records = append(records, &metadata.PartitionChanged{Topic: id.Topic, Index: id.Index, Partition: t.next})
				}
			}
			answers = append(answers, answer)
		}
	}
	return records, answers, Refusal{}
}

func (t *turn) assign(id record.NodeID, d metadata.UUID) {
	t.keepMinimum = true
	if t.old.Directory(id) == d {
		return
	}
	t.placeIn(id, d)
	if d == metadata.LostDirectory {
		t.lossy, t.wiped = id, true
		t.newEpoch = t.old.Leader == id
	}
}
