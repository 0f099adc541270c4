package controller

import (
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// Reassign asks for other replicas of some partitions (KIP-455).
type Reassign struct {
	Partitions []ReassignPartition
	// AllowFactorChange: the number of replicas may become another (KIP-860).
	AllowFactorChange bool
}

// ReassignPartition asks for a partition to have these replicas, the preferred leader first; or, with Cancel, to keep those that it had before.
type ReassignPartition struct {
	Topic    string
	Index    int32
	Replicas []record.NodeID
	Cancel   bool
}

// ReassignedPartition answers for one partition.
type ReassignedPartition struct {
	Topic string
	Index int32
	Refusal
}

// Reassign decides about replicas. There is an answer for each item, in the order of the request. First the new replicas join the old ones; when all that
// shall stay are in sync one of them leads, and the others go as soon as they know.
func (c *Controller) Reassign(r Reassign) ([]metadata.Record, []ReassignedPartition) {
	v := &view{Controller: c}
	var records []metadata.Record
	answers := make([]ReassignedPartition, 0, len(r.Partitions))
	seen := make(map[record.Partition]bool, len(r.Partitions))
	for i := range r.Partitions {
		ask := &r.Partitions[i]
		answer := ReassignedPartition{Topic: ask.Topic, Index: ask.Index}
		var next *metadata.PartitionChanged
		next, answer.Refusal = v.reassign(ask, r.AllowFactorChange, seen)
		if next != nil {
			records = append(records, next)
		}
		answers = append(answers, answer)
	}
	return records, answers
}

func (v *view) reassign(ask *ReassignPartition, factorMayChange bool, seen map[record.Partition]bool) (*metadata.PartitionChanged, Refusal) {
	topic := v.Image.Topic(ask.Topic)
	if topic == nil {
		return nil, refuse(wire.UnknownTopicOrPartition, fmt.Sprintf("Unable to find a topic named %s.", ask.Topic))
	}
	id := record.Partition{Topic: topic.ID, Index: ask.Index}
	p := v.Image.Partition(id)
	switch {
	case p == nil:
		return nil, refuse(wire.UnknownTopicOrPartition, fmt.Sprintf("Unable to find partition %s:%d.", ask.Topic, ask.Index))
	case seen[id]:
		return nil, refuse(wire.InvalidRequest, "the request has the partition more than once")
	case len(seen) == maxPartitionsPerRequest:
		return nil, refuse(wire.PolicyViolation, tooManyPartitions)
	}
	seen[id] = true
	t := v.turn(p, rulesOf(v.topicSettings(topic)))
	var refusal Refusal
	if ask.Cancel {
		refusal = t.cancelReassignment(topic.Name, ask.Index)
	} else {
		refusal = t.reassignTo(ask.Replicas, factorMayChange)
	}
	if refusal.Refused() || !t.settle() {
		return nil, refusal
	}
	return &metadata.PartitionChanged{Topic: topic.ID, Index: ask.Index, Partition: t.next}, Refusal{}
}

// cancelReassignment goes back to the replicas from before. What was added goes at once, unless it is in sync: then it goes as at the end of any
// reassignment. One that only waits for those that go is not cancelled any more.
func (t *turn) cancelReassignment(topic string, index int32) Refusal {
	p := t.old
	if !p.Reassigning() || t.allJoined() {
		return refuse(wire.NoReassignmentInProgress, "")
	}
	stays := func(id record.NodeID) bool { return !slices.Contains(p.Adding, id) }
	complete := union(p.ISR, p.ELR)
	if len(complete) > 0 && len(only(complete, stays)) == 0 && !t.unclean {
		return refuse(wire.InvalidReplicaAssignment,
			fmt.Sprintf("Unable to revert partition assignment for %s:%d because it would require an unclean leader election.", topic, index))
	}
	t.moveTo(only(p.Replicas, stays), p.ISR)
	return Refusal{}
}

// reassignTo begins a reassignment. One that is on its way is replaced: what it was adding and is not wanted any more goes at once, unless it is
// complete already and might be needed.
func (t *turn) reassignTo(target []record.NodeID, factorMayChange bool) Refusal {
	if refusal := t.checkReplicas(target); refusal.Refused() {
		return refusal
	}
	p := t.old
	if before := len(p.Replicas) - len(p.Removing); !factorMayChange && before != len(target) {
		return refuse(wire.InvalidReplicationFactor, fmt.Sprintf("The replication factor is changed from %d to %d", before, len(target)))
	}
	t.moveTo(target, union(union(p.ISR, p.ELR), p.LastKnownELR))
	return Refusal{}
}

// moveTo makes target the replicas that stay. Of those that were to be added and are not among them the needed ones stay until it is complete.
func (t *turn) moveTo(target, needed []record.NodeID) {
	p := t.old
	removing := only(p.Replicas, func(id record.NodeID) bool {
		return !slices.Contains(target, id) && (!slices.Contains(p.Adding, id) || slices.Contains(needed, id))
	})
	adding := only(target, func(id record.NodeID) bool { return !slices.Contains(p.Replicas, id) || slices.Contains(p.Adding, id) })
	t.setReplicas(append(slices.Clone(target), removing...))
	t.next.Adding, t.next.Removing = slices.Clone(adding), slices.Clone(removing)
	slices.Sort(t.next.Adding)
	slices.Sort(t.next.Removing)
}

// checkReplicas refuses replicas that cannot be assigned.
func (v *view) checkReplicas(replicas []record.NodeID) Refusal {
	if len(replicas) == 0 {
		return refuse(wire.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	for i, id := range replicas {
		switch {
		case slices.Contains(replicas[:i], id):
			return refuse(wire.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes the broker %d more than once.", id))
		case v.find(id) == nil:
			return refuse(wire.InvalidReplicaAssignment,
				fmt.Sprintf("The manual partition assignment includes broker %d, but no such broker is registered.", id))
		}
	}
	return Refusal{}
}

// Reassignment is a reassignment that is on its way.
type Reassignment struct {
	Topic                      string
	Index                      int32
	Replicas, Adding, Removing []record.NodeID
}

// Reassignments lists what is being reassigned: among some partitions, or among all.
func (c *Controller) Reassignments(list []TopicPartitions, all bool) []Reassignment {
	var found []Reassignment
	add := func(t *metadata.Topic, i int32) {
		p := c.Image.Partition(record.Partition{Topic: t.ID, Index: i})
		if p != nil && p.Reassigning() {
			found = append(found, Reassignment{t.Name, i, p.Replicas, p.Adding, p.Removing})
		}
	}
	if all {
		for _, t := range c.Image.Topics() {
			for i := range t.Partitions {
				add(t, int32(i))
			}
		}
		return found
	}
	for _, l := range list {
		if t := c.Image.Topic(l.Topic); t != nil {
			for _, i := range l.Partitions {
				add(t, i)
			}
		}
	}
	return found
}
