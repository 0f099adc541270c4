package controller

import (
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// AlterPartition is what a broker asks for the partitions that it leads (KIP-497).
type AlterPartition struct {
	Broker      record.NodeID
	BrokerEpoch metadata.BrokerEpoch
	Changes     []ISRChange
}

// ISRChange is a leader's wish for one partition.
type ISRChange struct {
	ID             record.Partition
	LeaderEpoch    record.Epoch
	PartitionEpoch metadata.PartitionEpoch // of the state that the leader goes by
	NewISR         []ISRMember
	// Recovered: the leader need not recover from an unclean election, or has done so. A leader that must recover is alone in its ISR.
	Recovered bool
	// Synced: in this leader epoch every member of NewISR has told that it has synced everything below the end that the leader's log had when the epoch
	// began, and so has the leader; and no other change is on its way. It ends FlushPending (I7).
	Synced bool
}

// ISRMember is a replica in sync, with the broker epoch under which it proved that; NoBrokerEpoch if the leader does not know it, which
// does for one that is in the ISR already.
type ISRMember struct {
	ID          record.NodeID
	BrokerEpoch metadata.BrokerEpoch
}

// AlteredPartition answers for one partition. If it is not refused State is how it is from now on.
type AlteredPartition struct {
	ID record.Partition
	Refusal
	State metadata.Partition
}

// AlterPartition decides about the in-sync sets that a leader wants. A change is refused unless it starts from the present state (I5); one that is
// asked for again after it was made gets the present state for an answer. The last result is a refusal of the whole request.
func (c *Controller) AlterPartition(r AlterPartition) ([]metadata.Record, []AlteredPartition, Refusal) {
	if refusal := c.checkBroker(r.Broker, r.BrokerEpoch); refusal.Refused() {
		return nil, nil, refusal
	}
	v := &view{Controller: c}
	var records []metadata.Record
	answers := make([]AlteredPartition, 0, len(r.Changes))
	seen := make(map[record.Partition]bool, len(r.Changes))
	rules := map[record.TopicID]topicRules{}
	for i := range r.Changes {
		change := &r.Changes[i]
		answer := AlteredPartition{ID: change.ID}
		topic, p := c.Image.TopicByID(change.ID.Topic), c.Image.Partition(change.ID)
		if answer.Refusal = checkAlterable(topic, p, seen[change.ID]); answer.Refused() {
			answers = append(answers, answer)
			continue
		}
		seen[change.ID] = true
		if _, known := rules[topic.ID]; !known {
			rules[topic.ID] = rulesOf(c.topicSettings(topic))
		}
		var changed bool
		answer.State, changed, answer.Refusal = v.alterISR(r.Broker, p, change, rules[topic.ID])
		if changed {
			records = append(records, &metadata.PartitionChanged{Topic: topic.ID, Index: change.ID.Index, Partition: answer.State})
		}
		answers = append(answers, answer)
	}
	return records, answers, Refusal{}
}

func checkAlterable(topic *metadata.Topic, p *metadata.Partition, twice bool) Refusal {
	switch {
	case topic == nil:
		return refuse(wire.UnknownTopicID, "")
	case p == nil:
		return refuse(wire.UnknownTopicOrPartition, "")
	case twice:
		return refuse(wire.InvalidUpdateVersion, "the request has the partition more than once")
	}
	return Refusal{}
}

// alterISR is the partition's state if the change is made. A change that takes the lead from the one who asked is made and refused.
func (v *view) alterISR(leader record.NodeID, p *metadata.Partition, r *ISRChange, rules topicRules) (metadata.Partition, bool, Refusal) {
	isr := make([]record.NodeID, len(r.NewISR))
	for i, m := range r.NewISR {
		isr[i] = m.ID
	}
	if refusal := checkEpochs(leader, p, r); refusal.Refused() {
		return metadata.Partition{}, false, refusal
	}
	if r.PartitionEpoch < p.Epoch {
		if r.PartitionEpoch+1 == p.Epoch && sameMembers(p.ISR, isr) && r.Recovered == !p.Recovering {
			return *p, false, Refusal{} // it was made, and the answer was lost
		}
		return metadata.Partition{}, false, refuse(wire.InvalidUpdateVersion, fmt.Sprintf("the partition epoch is %d, not %d", p.Epoch, r.PartitionEpoch))
	}
	if refusal := checkISR(p, isr, r.Recovered); refusal.Refused() {
		return metadata.Partition{}, false, refusal
	}
	t := v.turn(p, rules)
	t.keepMinimum = true
	if refusal := t.checkMembers(r.NewISR); refusal.Refused() {
		// The leader goes on without those replicas. A copy of the request that comes when they are eligible again must find another epoch.
		t.next.Epoch++
		return t.next, true, refusal
	}
	if !sameMembers(p.ISR, isr) {
		t.next.ISR = isr
	}
	t.next.Recovering = !r.Recovered
	changed := t.settle()
	if r.Synced && rules.sync && t.flushBarrier(isr) {
		t.next.Flush = metadata.FlushSynced
		if !changed {
			t.next.Epoch, changed = t.next.Epoch+1, true
		}
	}
	if t.next.Leader != leader || t.next.LeaderEpoch != p.LeaderEpoch {
		return t.next, changed, refuse(wire.NewLeaderElected, "the change completes a reassignment, or makes its leader hand over, which begins a new leader epoch")
	}
	return t.next, changed, Refusal{}
}

// flushBarrier: what the leader says of its ISR holds of everybody who counts. Somebody eligible who is not there cannot have told anything.
func (t *turn) flushBarrier(isr []record.NodeID) bool {
	return t.old.Flush == metadata.FlushPending && len(t.next.ELR) == 0 && subset(t.next.ISR, isr)
}

func checkEpochs(leader record.NodeID, p *metadata.Partition, r *ISRChange) Refusal {
	switch {
	case r.LeaderEpoch > p.LeaderEpoch || r.PartitionEpoch > p.Epoch:
		// Somebody decides who knows more than this controller.
		return refuse(wire.NotController, "")
	case r.LeaderEpoch < p.LeaderEpoch:
		return refuse(wire.FencedLeaderEpoch, fmt.Sprintf("the leader epoch is %d, not %d", p.LeaderEpoch, r.LeaderEpoch))
	case leader != p.Leader:
		return refuse(wire.InvalidRequest, fmt.Sprintf("broker %d is the leader, not %d", p.Leader, leader))
	}
	return Refusal{}
}

func checkISR(p *metadata.Partition, isr []record.NodeID, recovered bool) Refusal {
	switch {
	case !subset(isr, p.Replicas) || hasTwice(isr):
		return refuse(wire.InvalidRequest, fmt.Sprintf("%v is no in-sync set of the replicas %v", isr, p.Replicas))
	case !slices.Contains(isr, p.Leader):
		return refuse(wire.InvalidRequest, fmt.Sprintf("the in-sync set %v is without the leader %d", isr, p.Leader))
	case !recovered && len(isr) > 1:
		return refuse(wire.InvalidRequest, fmt.Sprintf("the leader has not recovered and is not alone in the in-sync set %v", isr))
	case !recovered && !p.Recovering:
		return refuse(wire.InvalidRequest, "a leader that has recovered cannot undo that")
	}
	return Refusal{}
}

// checkMembers refuses replicas that cannot be in sync. One that joins must be registered with the very broker epoch under which it caught
// up: a later life may have lost what it had then (KIP-841, KIP-903, I6).
func (t *turn) checkMembers(isr []ISRMember) Refusal {
	var why string
	for _, m := range isr {
		joins := !slices.Contains(t.old.ISR, m.ID)
		switch b := t.find(m.ID); {
		case b == nil:
			why += fmt.Sprintf(" %d (not registered)", m.ID)
		case b.ShuttingDown:
			why += fmt.Sprintf(" %d (shutting down)", m.ID)
		case b.Fenced:
			why += fmt.Sprintf(" %d (fenced)", m.ID)
		case m.BrokerEpoch != b.Epoch && (joins || m.BrokerEpoch != metadata.NoBrokerEpoch):
			why += fmt.Sprintf(" %d (broker epoch mismatch: requested=%d VS expected=%d)", m.ID, m.BrokerEpoch, b.Epoch)
		case !t.holds(b):
			why += fmt.Sprintf(" %d (its directory is lost)", m.ID)
		}
	}
	if why != "" {
		return refuse(wire.IneligibleReplica, "replicas that cannot be in sync:"+why)
	}
	return Refusal{}
}

func sameMembers(a, b []record.NodeID) bool { return len(a) == len(b) && subset(a, b) && subset(b, a) }

func hasTwice(list []record.NodeID) bool {
	for i, id := range list {
		if slices.Contains(list[:i], id) {
			return true
		}
	}
	return false
}
