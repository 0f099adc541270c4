package group

import (
	"strings"

	"lignum/core/coordinator"
	"lignum/core/record"
)

// Seen is a group as those see it who look at a coordinator from outside.
type Seen struct {
	ID      string
	Offsets []SeenOffset // by topic and partition
	// Facts are the records that make what is known of the group itself. Live is false while a round is under way of which the log
	// does not know, and when a classic group is empty, which the log need not have taken.
	Facts string
	Live  bool
}

// SeenOffset is a committed offset.
type SeenOffset struct {
	Topic     string
	Partition int32
	Offset    record.Offset
	Metadata  string
}

// Look lists the groups of a shard in order.
func (s *Shard) Look() []Seen {
	var out []Seen
	for _, id := range s.ids() {
		g := s.groups[id]
		seen := Seen{ID: id, Live: true}
		for i := range g.offsets.topics {
			t := &g.offsets.topics[i]
			for _, c := range t.list {
				seen.Offsets = append(seen.Offsets, SeenOffset{t.name, c.Partition, c.Offset, c.Metadata})
			}
		}
		var facts []coordinator.Record
		switch {
		case g.consumer != nil:
			facts = g.consumer.facts(id)
		case g.stored:
			facts = g.classic.record(id, held)
			seen.Live = g.classic.state == stable
		}
		var text strings.Builder
		for _, r := range facts {
			text.Write(r.Key)
			text.Write(r.Value)
		}
		if seen.Facts = text.String(); len(seen.Offsets) > 0 || len(facts) > 0 {
			out = append(out, seen)
		}
	}
	return out
}

// facts are the records that make the group what it is.
func (c *consumer) facts(id string) []coordinator.Record {
	list := []coordinator.Record{epochRecord(id, c.epoch, c.hash), targetEpochRecord(id, c.targetEpoch)}
	for _, member := range c.ids() {
		m := c.members[member]
		list = append(list, memberRecord(id, member, &m.facts), targetRecord(id, member, c.target[member]), currentRecord(id, member, &m.current))
	}
	for _, regex := range c.expressions() {
		list = append(list, regexRecord(id, regex, c.regexes[regex], 0, 0))
	}
	return list
}

// LookAt lists the groups of one partition of the offsets topic, and the end of the log that they are the fold of; false if they are not here, or not loaded.
func (c *Coordinator) LookAt(index int32) (groups []Seen, end record.Offset, ok bool) {
	s, end, ok := c.Look(index)
	if !ok {
		return nil, 0, false
	}
	return s.(*Shard).Look(), end, true
}

// Fold replays records, as a load does, and lists the groups that come of it.
func Fold(p coordinator.Ports, w World, each func(replay func(coordinator.Position, coordinator.Record))) []Seen {
	s := New(coordinator.Detached(p), &w)
	each(s.Replay)
	return s.Look()
}
