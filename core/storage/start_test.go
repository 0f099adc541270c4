package storage

import (
	"errors"
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// start starts a store on the world's disk and returns what Ready said, once everything has come to rest.
func (w *world) start() (s *Store, err error) {
	lanes, said := sim.NewLanes(w.rand.Uint64()), false
	o := Options{Journal: tinyJournal, ChunkBytes: 256 << 10, CheckpointInterval: 3 * time.Second}
	o.Meta.NodeID, o.Meta.ClusterID = 1, "cluster"
	s = New(Ports{Disk: w.disk, Jobs: lanes, Memory: sim.NewMemory(), Clock: w.clock, Rand: w.rand}, o, Events{
		Ready: func(e error) {
			if said {
				w.fatalf("Ready is called twice")
			}
			said, err = true, e
		},
	})
	s.Start()
	lanes.Drain()
	if !said {
		w.fatalf("Ready is not called")
	}
	return s, err
}

// TestFailedCallAtStart: a disk that fails a call while the directory is loaded says nothing of the partitions. The start fails as a whole, whatever
// else is under way, and the next one finds everything.
func TestFailedCallAtStart(t *testing.T) {
	w := settledWorld(t, config.Sync, config.Async, config.Sync)
	for range 5 {
		for _, m := range w.models {
			w.append(m)
		}
		w.settle()
	}
	promised := map[record.Partition]record.Offset{}
	for _, m := range w.models {
		promised[m.id] = m.durable
	}
	failures := 0
	for n := uint64(1); ; n++ {
		w.disk.Kill()
		from := w.disk.Calls()
		w.disk.Inject(func(op sim.Op) error {
			if op.Number == from+n {
				return sim.ErrIO
			}
			return nil
		})
		s, err := w.start()
		w.disk.Inject(nil)
		if errors.Is(err, sim.ErrIO) {
			failures++
		}
		if err == nil && len(s.Offline()) > 0 {
			t.Fatalf("call %d failed: %s is offline: %v", n, s.Offline()[0].ID, s.Offline()[0].Err)
		}
		if w.disk.Calls() < from+n {
			break
		}
	}
	if failures < 10 {
		t.Errorf("%d calls made the start fail", failures)
	}
	w.disk.Kill()
	s, err := w.start()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range w.models {
		if l := s.Log(m.id); l == nil || l.EndOffset() < promised[m.id] {
			t.Errorf("%s: log %v, promised up to %d", m.topic, l, promised[m.id])
		}
	}
}

// TestWhenDurable: what the process before has written counts as safe only once it is synced.
func TestWhenDurable(t *testing.T) {
	w := settledWorld(t, config.Async)
	w.append(w.models[0])
	w.settle()
	end := w.models[0].log.EndOffset()
	w.disk.Kill()
	w.boot()
	l := w.store.Log(w.models[0].id)
	called := false
	l.WhenDurable(func() { called = true })
	w.settle()
	if !called || l.DurableEnd() < end || l.EndOffset() != end {
		t.Errorf("called %v, durable up to %d of [.., %d), want %d", called, l.DurableEnd(), l.EndOffset(), end)
	}
}
