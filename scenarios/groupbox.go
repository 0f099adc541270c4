package scenarios

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lignum/core/coordinator"
	"lignum/core/env"
	"lignum/core/group"
	"lignum/core/record"
	"lignum/scenarios/inspect"
	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupLook is how often it is looked for a coordinator that has just loaded; groupLooks of them are a look at any.
const (
	groupLook  = 100 * time.Millisecond
	groupLooks = 10
)

// groupBox holds what coordinators believe against the fold of their logs (C5).
type groupBox struct {
	s      *groups
	looks  int
	loads  uint64               // that were compared
	loaded map[loadedShard]bool // of those that were looked at
	reader *record.Reader
}

// loadedShard is one load.
type loadedShard struct {
	member *member
	life   uint64
	index  int32
	epoch  record.Epoch
}

func (x *groupBox) begin(s *groups) {
	x.s, x.loaded, x.reader = s, map[loadedShard]bool{}, record.NewReader(record.Limits{})
	x.later()
}

func (x *groupBox) later() {
	x.s.world.After(groupLook, func() {
		x.later()
		x.look()
	})
}

// tell tells what coordinators believe.
func (x *groupBox) tell() {
	for _, m := range x.s.members {
		if !m.host.Running() || m.node.Groups() == nil {
			continue
		}
		for index := range x.s.plan.partitions {
			seen, end, ok := m.node.Groups().LookAt(index)
			x.s.tell("check", fmt.Sprintf("%s, partition %d: %v, %d", m.host.Name(), index, ok, end))
			for _, g := range seen {
				x.s.tell("check", fmt.Sprintf("group %s, as in the log %v: %v, %q", g.ID, g.Live, g.Offsets, g.Facts))
			}
		}
	}
}

// look compares shards that were loaded since the last time, and now and then another one.
func (x *groupBox) look() {
	x.looks++
	for _, m := range x.s.members {
		if !m.host.Running() || !m.ready || m.node.Groups() == nil {
			continue
		}
		for _, l := range m.node.Logs() {
			if l.Topic() != group.TopicName || l.Failure() != nil || !l.AtRest() {
				continue
			}
			load := loadedShard{m, m.host.Life(), l.ID().Index, l.LatestEpoch()}
			fresh := !x.loaded[load]
			if !fresh && (x.looks%groupLooks != 0 || x.looks/groupLooks%int(x.s.plan.partitions) != int(l.ID().Index)) {
				continue
			}
			seen, end, ok := m.node.Groups().LookAt(l.ID().Index)
			if !ok || end != l.EndOffset() {
				continue
			}
			if x.loaded[load] = true; fresh {
				x.loads++
			}
			x.compare(m, l.Dir(), l.StartOffset(), end, seen)
		}
	}
}

// compare holds a shard's groups against the log: the offsets against the records as Apache Kafka's tools read them, the rest against a replay.
func (x *groupBox) compare(m *member, dir string, start, end record.Offset, seen []group.Seen) {
	type key struct {
		group, topic string
		partition    int32
	}
	want := map[key]kmsg.OffsetCommitValue{}
	ports := coordinator.Ports{Clock: stillClock{}}
	world := group.World{Log: func(env.Level, string, ...any) {}}
	folded := group.Fold(ports, world, func(replay func(coordinator.Position, coordinator.Record)) {
		x.each(m.eye, dir, start, end, func(at record.Offset, r record.Record) {
			replay(coordinator.Position{Offset: at, Producer: record.NoProducer, ProducerEpoch: record.NoProducerEpoch}, coordinator.Record{
				Key: slices.Clone(r.Key), Value: slices.Clone(r.Value),
			})
			var k kmsg.OffsetCommitKey
			if len(r.Key) < 2 || r.Key[0] != 0 || r.Key[1] > 1 || k.ReadFrom(r.Key) != nil {
				return
			}
			var v kmsg.OffsetCommitValue
			if name := (key{k.Group, k.Topic, k.Partition}); r.Value == nil {
				delete(want, name)
			} else if m.check("C5", v.ReadFrom(r.Value) == nil, "%s: the value at offset %d cannot be read: %x", dir, at, r.Value) {
				want[name] = v
			}
		})
	})
	n := 0
	for i := range seen {
		for _, o := range seen[i].Offsets {
			v, ok := want[key{seen[i].ID, o.Topic, o.Partition}]
			n++
			m.check("C5", ok && v.Offset == int64(o.Offset) && v.Metadata == o.Metadata, inspect.WhiteBox+"%s: group %s has committed %d for %s-%d, the log says %d (%v)",
				dir, seen[i].ID, o.Offset, o.Topic, o.Partition, v.Offset, ok)
		}
		at, ok := slices.BinarySearchFunc(folded, seen[i].ID, func(g group.Seen, id string) int { return cmp.Compare(g.ID, id) })
		if !seen[i].Live {
			continue
		}
		m.check("C5", ok && folded[at].Facts == seen[i].Facts || !ok && seen[i].Facts == "", inspect.WhiteBox+"%s: group %s is not what its log says: %q, %s", dir, seen[i].ID,
			seen[i].Facts, folding{folded, at, ok})
	}
	m.check("C5", n == len(want), inspect.WhiteBox+"%s: %d offsets are committed, the log says %d", dir, n, len(want))
}

// folding is what a fold says of a group, for people.
type folding struct {
	list []group.Seen
	at   int
	ok   bool
}

// String is what the group is made of.
func (f folding) String() string {
	if !f.ok {
		return "nothing"
	}
	return fmt.Sprintf("%q", f.list[f.at].Facts)
}

// each visits the records of a log below its end.
func (x *groupBox) each(eye *inspect.Inspector, dir string, start, end record.Offset, visit func(record.Offset, record.Record)) {
	eye.EachBatch(dir, start, func(b record.Batch) {
		if b.IsControl() || b.BaseOffset() >= end {
			return
		}
		err := x.reader.Each(b, func(r record.Record) error {
			visit(b.BaseOffset()+record.Offset(r.OffsetDelta), r)
			return nil
		})
		x.s.cluster.books.Check("C5", err == nil, "%s: the batch at offset %d cannot be read: %v", dir, b.BaseOffset(), err)
	})
}

// stillClock is the clock of a shard that only replays.
type stillClock struct{}

// Now implements env.Clock.
func (stillClock) Now() env.Instant { return 0 }

// Wall implements env.Clock.
func (stillClock) Wall() env.Millis { return 0 }

var _ env.Clock = stillClock{}

// domainGroups is of this scenario's draws.
const domainGroups = sim.DomainUser + 12
