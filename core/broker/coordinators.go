package broker

import (
	"errors"
	"time"

	"lignum/core/config"
	"lignum/core/coordinator"
	"lignum/core/env"
	"lignum/core/group"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// laneGroups is the first of the lanes on which coordinators load their logs.
const laneGroups env.Lane = 1 << 42

// newGroups makes the coordinator of groups. Its shards come with the partitions that this broker leads.
func (b *Broker) newGroups() *group.Coordinator {
	ports := coordinator.Ports{Clock: b.Clock, Jobs: b.Jobs, Timers: &b.timers, Log: b.Log}
	world := group.World{
		Rand: b.Rand, Log: b.Log, Settings: func() *config.Groups { return &b.effective().Groups }, Topics: b.groupTopics(),
		Own: func(id string) config.Overrides { return b.image.GroupConfig(id) },
	}
	return group.NewCoordinator(ports, laneGroups, world, func() int32 {
		if t := b.image.Topic(group.TopicName); t != nil {
			return int32(len(t.Partitions))
		}
		return 0
	})
}

// groupTopics shows groups the topics of the image.
func (b *Broker) groupTopics() group.Topics {
	seen := func(t *metadata.Topic) (group.Topic, bool) {
		if t == nil {
			return group.Topic{}, false
		}
		return group.Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}, true
	}
	return group.Topics{
		Version: func() record.Offset { return b.topicsAt },
		ByName:  func(name string) (group.Topic, bool) { return seen(b.image.Topic(name)) },
		ByID:    func(id record.TopicID) (group.Topic, bool) { return seen(b.image.TopicByID(id)) },
		Names: func() []string {
			var names []string
			for _, t := range b.image.Topics() {
				if !t.Internal() {
					names = append(names, t.Name)
				}
			}
			return names
		},
	}
}

// noteTopics notes whether topics have come or gone, or have more partitions: groups look at their subscriptions again then.
func (b *Broker) noteTopics(c metadata.Changes) {
	changed := len(c.Deleted) > 0
	for _, id := range c.Partitions {
		if p := b.image.Partition(id); p != nil && p.Epoch == 0 {
			changed = true
		}
	}
	if changed {
		b.topicsAt = b.image.Offset()
	}
}

// coordinate tells the coordinators what has become of a replica: it leads, or leads in another epoch, or leads no more. It is called
// whenever that may have changed; news that are none do no harm.
func (b *Broker) coordinate(p *partition.Partition) {
	if p.Topic != group.TopicName {
		return
	}
	if b.groups == nil {
		b.groups = b.newGroups()
	}
	log, ok := b.groupLogs[p.ID.Index]
	if !ok || log.partition != p {
		log = &groupLog{broker: b, partition: p}
		b.groupLogs[p.ID.Index] = log
	}
	b.groups.Elected(p.ID.Index, log)
}

// dropCoordinators ends all shards: whoever waits is told to look for another broker.
func (b *Broker) dropCoordinators() {
	if b.groups != nil {
		b.groups.Close(wire.NotCoordinator)
	}
}

// errClosed: the replica's log failed, or the topic was deleted, while a coordinator loaded it.
var errClosed = errors.New("the partition has no log any more")

// groupLog is a partition of the offsets topic as its coordinator uses it. It is a coordinator.Log.
type groupLog struct {
	broker    *Broker
	partition *partition.Partition
}

var _ coordinator.Log = (*groupLog)(nil)

// Leads implements coordinator.Log.
func (g *groupLog) Leads() (record.Epoch, bool) {
	_, epoch := g.partition.Leader()
	return epoch, g.partition.Leading() == wire.None
}

// Leased implements coordinator.Log.
func (g *groupLog) Leased() bool { return g.partition.Available() == wire.None }

// Overlap implements coordinator.Log: no lease is longer than a session, on whichever broker.
func (g *groupLog) Overlap() time.Duration {
	if g.broker.config.Lone() {
		return 0
	}
	return time.Duration(g.broker.config.SessionTimeoutMillis) * time.Millisecond
}

// Bounds implements coordinator.Log.
func (g *groupLog) Bounds() (start, highWatermark, end record.Offset) {
	if !g.partition.Open() {
		return 0, 0, 0
	}
	return g.partition.StartOffset(), g.partition.HighWatermark(), g.partition.EndOffset()
}

// Append implements coordinator.Log. Nobody is told what becomes of it: a coordinator watches the high watermark instead.
func (g *groupLog) Append(b record.Batch, f record.Facts) wire.ErrorCode {
	_, refusal := g.partition.Produce(b, f, partition.AcksAll, g.broker.Clock.Wall(), nil, 0)
	if refusal != nil {
		return refusal.Code
	}
	return wire.None
}

// Watch implements coordinator.Log.
func (g *groupLog) Watch(fire func()) { g.partition.Watch(partition.NewWatch(fire)) }

// Read implements coordinator.Log.
func (g *groupLog) Read(from, upTo record.Offset, maxBytes int, done func([]byte, error)) {
	if !g.partition.Open() {
		done(nil, errClosed)
		return
	}
	found, cold, err := g.partition.Read(partition.ReadRequest{From: from, UpTo: upTo, MaxBytes: maxBytes, AtLeastOne: true})
	g.take(found, cold, err, done)
}

// Damaged implements coordinator.Log.
func (g *groupLog) Damaged(err error) { g.partition.ReadFailed(err) }

// take brings what a read has found into memory of its own, on a lane of the loads.
func (g *groupLog) take(found partition.Records, cold *partition.ColdRead, err error, done func([]byte, error)) {
	if cold == nil && err != nil {
		done(nil, err)
		return
	}
	lane := laneGroups + env.Lane(uint32(g.partition.ID.Index)%coordinator.LoadLanes)
	if cold != nil {
		g.broker.Jobs.Start(lane, func() func() {
			cold.Run()
			return func() {
				found, next, err := cold.Finish()
				g.take(found, next, err, done)
			}
		})
		return
	}
	g.broker.Jobs.Start(lane, func() func() {
		data, err := copyRecords(&found)
		return func() {
			found.Release()
			done(data, err)
		}
	})
}

// copyRecords copies what was found, from memory or from its file, which it closes. Jobs only.
func copyRecords(found *partition.Records) ([]byte, error) {
	data := make([]byte, 0, found.Size())
	for i := range found.Spans() {
		data = append(data, found.Span(i).Bytes...)
	}
	if found.File == nil {
		return data, nil
	}
	at := len(data)
	data = data[:at+int(found.Length)]
	for done := 0; at+done < len(data); {
		n, err := found.File.ReadAt(data[at+done:], found.Position+int64(done))
		done += n
		if err != nil && at+done < len(data) {
			_ = found.File.Close() // it was only read from
			return nil, err
		}
	}
	_ = found.File.Close()
	return data, nil
}
