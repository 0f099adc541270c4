package controller

import (
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// changedBroker is a broker as it will be, for those whose partitions depend on it.
type changedBroker struct {
	id     record.NodeID
	before *metadata.Broker // where it is restarted: the last registration, also if that was unregistered; nil if it is new
	after  *metadata.Broker // nil: it is unregistered
	// restarted: this is a new life; unclean: the one before ended without everything being synced.
	restarted, unclean bool
}

// reelect goes through the partitions that a changed broker has replicas of, and yields records for those whose leader or sets change.
func (c *Controller) reelect(b changedBroker) []metadata.Record {
	v := &view{Controller: c, changes: true, id: b.id, broker: b.after}
	var records []metadata.Record
	for _, topic := range c.Image.Topics() {
		var rules topicRules
		known := false
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if !slices.Contains(p.Replicas, b.id) {
				continue
			}
			if !known {
				rules, known = rulesOf(c.topicSettings(topic)), true
			}
			t := v.turn(p, rules)
			t.keepMinimum = true
			if b.restarted {
				t.restart(b)
			}
			if t.settle() {
				records = append(records, &metadata.PartitionChanged{Topic: topic.ID, Index: int32(i), Partition: t.next})
			}
		}
	}
	return records
}

// restart takes a broker's earlier life out of a partition. It stays eligible only if it cannot have lost anything that it had reported (I7): it
// lies where it lay, and it either ended in order or reported only what it had synced.
func (t *turn) restart(b changedBroker) {
	lost := t.moved(b.before, b.after)
	if lost || b.unclean && t.old.Flush != metadata.FlushSynced {
		t.lossy, t.wiped = b.id, lost
	}
	t.next.ISR = without(t.next.ISR, b.id)
	t.newEpoch = t.old.Leader == b.id
	t.placeIn(b.id, onlyDirectory(b.after))
}

// moved: the directory in which a broker's replica lay is not among its directories any more.
func (t *turn) moved(before, after *metadata.Broker) bool {
	d := t.old.Directory(after.ID)
	if d != (metadata.UUID{}) {
		return !slices.Contains(after.Directories, d)
	}
	if before == nil {
		return true
	}
	return slices.ContainsFunc(before.Directories, func(d metadata.UUID) bool { return !slices.Contains(after.Directories, d) })
}

// placeIn notes in which directory a replica lies.
func (t *turn) placeIn(id record.NodeID, d metadata.UUID) {
	directories := make([]metadata.UUID, len(t.next.Replicas))
	copy(directories, t.next.Directories)
	directories[slices.Index(t.next.Replicas, id)] = d
	t.next.Directories = directories
}

// ElectionType is what leaders a request asks for, with Kafka's numbers.
type ElectionType int8

// The types of elections.
const (
	PreferredElection ElectionType = 0
	UncleanElection   ElectionType = 1
)

// TopicPartitions are some partitions of a topic.
type TopicPartitions struct {
	Topic      string
	Partitions []int32
}

// ElectedLeader answers for one partition.
type ElectedLeader struct {
	Topic string
	Index int32
	Refusal
}

// ElectLeaders decides about leaders: that the preferred replica leads, or that somebody does. Without a list it is about all partitions,
// and those that need no election get no answer. The refusal is for the whole request.
func (c *Controller) ElectLeaders(kind ElectionType, list []TopicPartitions, all bool) ([]metadata.Record, []ElectedLeader, Refusal) {
	if kind != PreferredElection && kind != UncleanElection {
		return nil, nil, refuse(wire.InvalidRequest, fmt.Sprintf("Unknown election type %d", kind))
	}
	var records []metadata.Record
	answers := []ElectedLeader{}
	v := &view{Controller: c}
	if all {
		for _, topic := range c.Image.Topics() {
			rules := rulesOf(c.topicSettings(topic))
			for i := range topic.Partitions {
				more, refusal := v.electLeader(kind, topic, rules, int32(i))
				records = append(records, more...)
				if refusal.Code != wire.ElectionNotNeeded {
					answers = append(answers, ElectedLeader{topic.Name, int32(i), refusal})
				}
			}
		}
		return records, answers, Refusal{}
	}
	seen := map[record.Partition]bool{}
	for _, l := range list {
		topic := c.Image.Topic(l.Topic)
		var rules topicRules
		if topic != nil {
			rules = rulesOf(c.topicSettings(topic))
		}
		for _, i := range l.Partitions {
			answer := ElectedLeader{Topic: l.Topic, Index: i}
			var more []metadata.Record
			switch {
			case topic == nil:
				answer.Refusal = refuse(wire.UnknownTopicOrPartition, "No such topic as "+l.Topic)
			case c.Image.Partition(record.Partition{Topic: topic.ID, Index: i}) == nil:
				answer.Refusal = refuse(wire.UnknownTopicOrPartition, fmt.Sprintf("No such partition as %s-%d", l.Topic, i))
			case seen[record.Partition{Topic: topic.ID, Index: i}]:
				answer.Refusal = refuse(wire.ElectionNotNeeded, "")
			default:
				seen[record.Partition{Topic: topic.ID, Index: i}] = true
				more, answer.Refusal = v.electLeader(kind, topic, rules, i)
			}
			records = append(records, more...)
			answers = append(answers, answer)
		}
	}
	return records, answers, Refusal{}
}

func (v *view) electLeader(kind ElectionType, topic *metadata.Topic, rules topicRules, index int32) ([]metadata.Record, Refusal) {
	p := &topic.Partitions[index]
	t := v.turn(p, rules)
	t.keepMinimum = true
	none := wire.PreferredLeaderNotAvailable
	t.kind = electPreferred
	switch {
	case kind == PreferredElection && p.Leader == p.Replicas[0]:
		return nil, refuse(wire.ElectionNotNeeded, "")
	case kind == UncleanElection && p.Leader != metadata.NoNode:
		return nil, refuse(wire.ElectionNotNeeded, "")
	case kind == UncleanElection:
		t.kind, none = electAny, wire.EligibleLeadersNotAvailable
	}
	if !t.settle() || t.next.Leader == p.Leader {
		return nil, refuse(none, "")
	}
	return []metadata.Record{&metadata.PartitionChanged{Topic: topic.ID, Index: index, Partition: t.next}}, Refusal{}
}

// maxBalanced bounds how many leaders change at once without anybody having asked for it.
const maxBalanced = 1000

// BalanceLeaders gives leadership back to preferred replicas that are in sync, where more of those that a broker should lead than Settings allow are led
// by others. more says that there may be others to change; the next decision does it.
func (c *Controller) BalanceLeaders() (records []metadata.Record, more bool) {
	type share struct{ preferred, elsewhere int }
	shares := map[record.NodeID]share{}
	c.eachLed(func(_ *metadata.Topic, _ int, p *metadata.Partition) bool {
		s := shares[p.Replicas[0]]
		s.preferred++
		if p.Leader != p.Replicas[0] {
			s.elsewhere++
		}
		shares[p.Replicas[0]] = s
		return true
	})
	v := &view{Controller: c}
	c.eachLed(func(topic *metadata.Topic, i int, p *metadata.Partition) bool {
		s := shares[p.Replicas[0]]
		if p.Leader == p.Replicas[0] || !slices.Contains(p.ISR, p.Replicas[0]) || s.elsewhere*100 <= s.preferred*c.ImbalancePercent {
			return true
		}
		if len(records) == maxBalanced {
			more = true
			return false
		}
		changed, _ := v.electLeader(PreferredElection, topic, rulesOf(c.topicSettings(topic)), int32(i))
		records = append(records, changed...)
		return true
	})
	return records, more
}

// eachLed visits the partitions that have a leader until visit says no.
func (c *Controller) eachLed(visit func(topic *metadata.Topic, index int, p *metadata.Partition) bool) {
	for _, topic := range c.Image.Topics() {
		for i := range topic.Partitions {
			if p := &topic.Partitions[i]; p.Leader != metadata.NoNode && !visit(topic, i, p) {
				return
			}
		}
	}
}

// RaiseLeaderEpoch decides about a partition whose log was written in later leader epochs than the image knows, because its directory
// came from another cluster: the leader goes on in an epoch above all of them, since epochs in a log never decrease (L3).
func (c *Controller) RaiseLeaderEpoch(id record.Partition, above record.Epoch) []metadata.Record {
	p := c.Image.Partition(id)
	if p == nil || p.LeaderEpoch > above {
		return nil
	}
	next := *p
	next.LeaderEpoch = above + 1
	next.Epoch++
	return []metadata.Record{&metadata.PartitionChanged{Topic: id.Topic, Index: id.Index, Partition: next}}
}
