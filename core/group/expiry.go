package group

import (
	"time"

	"lignum/core/coordinator"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// sweep is the walk over all groups that finds expired offsets (KIP-211), some groups at a time.
type sweep struct {
	timer timer.Timer
	left  []string
}

const (
	// sweepGroups and sweepRecords bound a step of the sweep.
	sweepGroups  = 500
	sweepRecords = 2000
	sweepPause   = 20 * time.Millisecond
)

func (s *Shard) armSweep() {
	after := time.Duration(s.settings().OffsetsRetentionCheckMillis) * time.Millisecond
	s.timers().Start(&s.sweep.timer, s.host.Now().Add(after), func() {
		s.sweep.left = s.ids()
		s.sweepOn()
	})
}

func (s *Shard) sweepOn() {
	var records []coordinator.Record
	n := 0
	for ; n < len(s.sweep.left) && n < sweepGroups && len(records) < sweepRecords; n++ {
		if g := s.find(s.sweep.left[n]); g != nil {
			records = s.expired(records, g)
		}
	}
	s.sweep.left = s.sweep.left[n:]
	s.appendAll(records)
	if s.gone {
		return
	}
	if len(s.sweep.left) == 0 {
		s.sweep.left = nil
		s.armSweep()
		return
	}
	s.timers().Start(&s.sweep.timer, s.host.Now().Add(sweepPause), s.sweepOn)
}

// appendAll writes records that need not stand together, in batches of which none is too large. What is refused comes again with the
// next sweep.
func (s *Shard) appendAll(records []coordinator.Record) {
	for len(records) > 0 && !s.gone {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size < 256<<10) {
			size += len(records[n].Key) + len(records[n].Value)
			n++
		}
		if s.append(records[:n], func(wire.ErrorCode) {}) != wire.None {
			return
		}
		records = records[n:]
	}
}

// expired adds what ends a group's expired offsets, and the group itself if it has nothing any more.
func (s *Shard) expired(records []coordinator.Record, g *group) []coordinator.Record {
	since, may := g.expires()
	wall, retention := int64(s.host.Wall()), s.settings().OffsetsRetentionMillis
	all := true
	for i := range g.offsets.topics {
		t := &g.offsets.topics[i]
		wanted := g.wants(t.name)
		for j := range t.list {
			c := &t.list[j]
			if !may || wanted || !c.expired(since, wall, retention) || s.staged(g.id, t.name, c.Partition) {
				all = false
				continue
			}
			records = append(records, tombstone(key{version: keyOffset, group: g.id, name: t.name, partition: c.Partition}))
		}
	}
	if _, staged := s.staging(g.id); !all || staged || !g.idle() {
		return records
	}
	return append(records, g.tombstones()...)
}

// idle reports whether nobody is in the group, or about to come.
func (g *group) idle() bool {
	if g.consumer != nil {
		return g.consumer.empty()
	}
	return g.classic.bare()
}

// tombstones are what ends the group itself in the log.
func (g *group) tombstones() []coordinator.Record {
	if g.consumer != nil {
		return g.consumer.tombstones(g.id)
	}
	if !g.stored {
		return nil
	}
	return []coordinator.Record{tombstone(key{version: keyClassic, group: g.id})}
}

// expires says from when on the retention of the group's offsets counts, -1 for each offset's commit; false if none may expire.
func (g *group) expires() (since int64, may bool) {
	if g.consumer != nil {
		return -1, true // wants has the last word
	}
	c := g.classic
	switch {
	case c.protocolType == "":
		return -1, true
	case c.state == empty:
		return c.since, true
	case c.protocolType == consumerType && c.knows && c.state == stable:
		return -1, true
	}
	return 0, false
}

func (c *Committed) expired(since, wall, retention int64) bool {
	if c.expires != noExpiry {
		return wall >= c.expires
	}
	if since < c.committed {
		since = c.committed
	}
	return wall-since >= retention
}

// TopicDeleted forgets what was committed for a topic that is gone. It is called for each that is.
func (s *Shard) TopicDeleted(name string, id record.TopicID) {
	var records []coordinator.Record
	for _, group := range s.ids() {
		g := s.groups[group]
		if i, ok := g.offsets.search(name); ok {
			for _, c := range g.offsets.topics[i].list {
				if c.Topic.IsZero() || c.Topic == id {
					records = append(records, tombstone(key{version: keyOffset, group: group, name: name, partition: c.Partition}))
				}
			}
		}
	}
	s.appendAll(records)
}
