package storage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
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
// else is under way, or leaves out one partition of which something cannot be read, and the next one finds everything.
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
	failures, outs := 0, 0
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
		could := func(o Offline) bool { return !errors.Is(o.Err, env.ErrUnreadable) }
		if err == nil && len(s.Offline()) > 0 {
			outs++
		}
		if err == nil && slices.ContainsFunc(s.Offline(), could) {
			t.Fatalf("call %d failed: %s is offline: %v", n, s.Offline()[0].ID, s.Offline()[0].Err)
		}
		if w.disk.Calls() < from+n {
			break
		}
	}
	if failures < 10 || outs < 3 {
		t.Errorf("%d calls made the start fail, %d a partition go offline", failures, outs)
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

// TestStartDoesNotOutrunTheFlush: a log start that retention has moved over records which only the journal holds is not written down before the log's
// own files have them. Else a loss of power would leave an empty log, and with the records everything that was known of their producers (P1).
func TestStartDoesNotOutrunTheFlush(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	var last record.Batch
	for m.log.Segments() < 2 {
		last = batchOf(1, 1, 1500, m.log.EndOffset(), m)
		if err := m.log.AppendAt(last, commitlog.AppendInfo{}); err != nil {
			t.Fatal(err)
		}
		m.values = append(m.values, valuesOf(last)...)
		w.settle()
	}
	end := m.log.EndOffset()
	if m.log.DurableEnd() != end || m.log.RecoveryPoint() != 0 {
		t.Fatalf("durable up to %d of %d, flushed up to %d: nothing can be shown", m.log.DurableEnd(), end, m.log.RecoveryPoint())
	}
	m.log.Log.AdvanceStart(end) // as retention does: nobody waits for a sync
	w.store.checkpoint(func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	w.settle()
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	l := w.store.Log(m.id)
	if l == nil || l.EndOffset() != end {
		t.Fatalf("log %v, want one that ends at %d", l, end)
	}
	if v, err := l.Producers().Check(last); err != nil || !v.Duplicate {
		t.Errorf("a retry of the last batch: %+v, %v; want a duplicate", v, err)
	}
}

// TestTimeOfDayJumps (P1): a broker starts with a clock that is wrong, or sleeps, and is put right. Producers that have written a moment ago are remembered, and forgotten when
// they have written nothing for their time.
func TestTimeOfDayJumps(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	last := batchOf(1, 1, 10, m.log.EndOffset(), m)
	if err := m.log.AppendAt(last, commitlog.AppendInfo{}); err != nil {
		t.Fatal(err)
	}
	m.values = append(m.values, valuesOf(last)...)
	known := func() bool {
		w.store.Tick()
		w.settle()
		v, err := m.log.Producers().Check(last)
		return err == nil && v.Duplicate
	}
	for _, days := range []env.Millis{20_000, -20_000, 2} {
		w.clock.Jump(days * 24 * 60 * 60 * 1000)
		w.clock.Advance(time.Hour)
		if !known() {
			t.Fatalf("a jump by %d days: the producer is forgotten", days)
		}
	}
	w.clock.Advance(24 * time.Hour)
	if known() {
		t.Error("a day later it is still known")
	}
}
