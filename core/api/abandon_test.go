package api

import (
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stuck is a desk that leads the topic t, on a disk whose jobs run only when they are told to.
type stuck struct {
	*desk
	lanes *sim.Lanes
	store *storage.Store
	p     *partition.Partition
}

func newStuck(t *testing.T) *stuck {
	d := &stuck{desk: newDesk(t), lanes: sim.NewLanes(1)}
	d.Full, d.Clock = func() bool { return false }, sim.NewClock(1)
	ports := storage.Ports{Disk: sim.NewDisk(sim.DiskOptions{Seed: 1}), Jobs: d.lanes, Memory: sim.NewMemory(), Clock: d.Clock, Rand: sim.NewRand(1)}
	o := storage.Options{Journal: journal.Options{FileBytes: 16 << 10}, ChunkBytes: 256 << 10}
	o.Meta.NodeID, o.Meta.ClusterID = 1, "cluster"
	ready := false
	d.store = storage.New(ports, o, storage.Events{Ready: func(err error) { ready = err == nil }})
	d.store.Start()
	d.p = partition.New(record.Partition{Topic: record.TopicID{1}}, "t", 1, config.DefaultTopic(), nil)
	d.p.Follow(partition.State{Leader: 1, Replicas: []record.NodeID{1}, ISR: []record.NodeID{1}})
	d.work()
	d.store.Create(d.p.ID, "t", config.DefaultTopic(), d.p.Opened)
	d.work()
	if !ready || !d.p.Open() {
		t.Fatal("there is no log")
	}
	d.Partitions.Add(d.p)
	return d
}

// work lets the disk do all that it has to.
func (d *stuck) work() {
	for range 200 {
		d.store.EndDrain()
		d.lanes.Step()
	}
}

func (d *stuck) produce(t *testing.T, s *Session) {
	t.Helper()
	r, err := Decode(&frame{bytes: produceFrame(9, testBatch(record.None, "a")), refs: 1}, record.NewReader(record.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	c := r.(*Call)
	c.Body.(*wire.ProduceRequest).TimeoutMillis = 1_000
	d.Handle(s, c)
}

func (d *stuck) delete(s *Session) {
	q := kmsg.NewPtrDeleteRecordsRequest()
	q.Version, q.TimeoutMillis = 2, 1_000
	to, part := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	to.Topic, part.Offset = "t", 0
	to.Partitions = append(to.Partitions, part)
	q.Topics = append(q.Topics, to)
	d.Handle(s, &Call{Header: wire.Header{Key: wire.DeleteRecords, Version: 2}, Body: q})
}

// TestNobodyWaits: clients whose requests were answered for their time, or whose connections are gone, send them again and again.
func TestNobodyWaits(t *testing.T) {
	for _, gone := range []bool{false, true} {
		d := newStuck(t)
		for range 500 {
			s := NewSession(1, env.ConnInfo{}, d)
			d.produce(t, s)
			if s.Pending() != 1 {
				t.Fatal("it is answered at once")
			}
			if gone {
				s.Disconnected()
			} else {
				d.now = d.now.Add(2 * time.Second)
				d.timers.Fire(d.now)
			}
			if s.Pending() != 0 || d.timers.Len() != 0 {
				t.Fatalf("gone %v: %d calls wait, %d timers", gone, s.Pending(), d.timers.Len())
			}
		}
		if n := d.p.Waiting(); n > 64 {
			t.Errorf("gone %v: %d requests are held back", gone, n)
		}
		if answered := len(d.replies); answered != 500 && !gone || answered != 0 && gone {
			t.Errorf("gone %v: %d answers", gone, answered)
		}
		if d.work(); d.p.Waiting() != 0 || d.p.HighWatermark() != 500 {
			t.Errorf("gone %v: %d requests are held back, the mark is %d", gone, d.p.Waiting(), d.p.HighWatermark())
		}
	}
}

// TestGoneWithManyCalls: a connection ends while it has more of them than its line is tidied up at, of all kinds.
func TestGoneWithManyCalls(t *testing.T) {
	d := newStuck(t)
	s, readers := NewSession(1, env.ConnInfo{}, d), NewSession(2, env.ConnInfo{}, d)
	ended := 0
	for range 200 {
		d.produce(t, s)
		d.delete(s)
		c := &Call{}
		c.cancel = cut(func() { ended++; c.cancel = nil; c.Drop() })
		readers.admit(c)
	}
	s.Disconnected()
	readers.Disconnected()
	if s.Pending() != 0 || ended != 200 || d.timers.Len() != 0 || len(d.replies) != 0 {
		t.Errorf("%d calls are open, %d of 200 were cut short, %d timers, %d answers", s.Pending(), ended, d.timers.Len(), len(d.replies))
	}
	if d.work(); d.p.Waiting() != 0 {
		t.Errorf("%d requests are held back", d.p.Waiting())
	}
}

// TestRecompressedTooLate: a batch whose request was answered for its time, while it was being recompressed, goes in, and the reply stays what it was:
// the edge may be writing it.
func TestRecompressedTooLate(t *testing.T) {
	d := newStuck(t)
	settings := config.DefaultTopic()
	settings.Compression = config.Gzip
	d.p.Configure(settings)
	d.Jobs = d.lanes
	s := NewSession(1, env.ConnInfo{}, d)
	d.produce(t, s)
	d.now = d.now.Add(2 * time.Second)
	d.timers.Fire(d.now)
	if len(d.replies) != 1 || d.p.EndOffset() != 0 {
		t.Fatalf("%d answers, the log ends at %d", len(d.replies), d.p.EndOffset())
	}
	d.work()
	out := d.replies[0].(*wire.ProduceResponse).Topics[0].Partitions[0]
	if out.Error != wire.RequestTimedOut || out.BaseOffset != -1 || d.p.EndOffset() != 1 || d.p.Waiting() != 0 {
		t.Errorf("answered with %v and offset %d, the log ends at %d, %d requests are held back", out.Error, out.BaseOffset, d.p.EndOffset(), d.p.Waiting())
	}
}

// TestNothingIsDeletedFromInternalTopics: groups live there, also where somebody has set cleanup.policy to delete.
func TestNothingIsDeletedFromInternalTopics(t *testing.T) {
	for topic, want := range map[string]wire.ErrorCode{"t": wire.None, "__consumer_offsets": wire.InvalidTopicException} {
		d := newStuck(t)
		d.p.Topic = topic
		d.Partitions.Remove(d.p.ID.Topic)
		d.Partitions.Add(d.p)
		q := kmsg.NewPtrDeleteRecordsRequest()
		to, part := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
		to.Topic, part.Offset = topic, -1
		to.Partitions = append(to.Partitions, part)
		q.Topics, q.TimeoutMillis = append(q.Topics, to), 1_000
		q.Version, d.replies = 2, nil
		d.Handle(NewSession(1, env.ConnInfo{}, d), &Call{Header: wire.Header{Key: wire.DeleteRecords, Version: 2}, Body: q})
		d.work()
		if len(d.replies) != 1 {
			t.Fatalf("%s: %d replies", topic, len(d.replies))
		}
		if got := wire.ErrorCode(d.replies[0].(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0].ErrorCode); got != want {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
}

// cut is a canceller of a test.
type cut func()

func (c cut) cutShort() { c() }
