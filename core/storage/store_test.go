package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// S1 to S6 under random work, kills and power cuts at any call, also in the middle of a start or a stop.
func TestPromisesSurviveRandomCrashes(t *testing.T) {
	seeds := uint64(100)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		w := newWorld(t, seed)
		w.boot()
		for range 6 {
			w.day()
		}
	}
}

// day is some hundred steps, in the middle of which a crash may come, at times a stop, and another start.
func (w *world) day() {
	w.disk.CrashAt(uint64(w.rand.Below(400)) + 1)
	stopped := false
	w.disk.Attempt(func() {
		for range 400 {
			w.step()
		}
		if w.rand.Below(2) == 0 {
			stopped = w.stop()
		}
	})
	w.crashAndVerify(stopped)
}

// stop is a clean stop; it is false if it did not come to its end.
func (w *world) stop() (clean bool) {
	w.logf("stop")
	w.store.Shutdown(7, func(err error) {
		if err != nil {
			w.fatalf("stop: %v", err)
		}
		clean = true
	})
	w.settle()
	if !clean {
		w.fatalf("the store does not stop")
	}
	for _, m := range w.models {
		m.durable = max(m.durable, record.Offset(len(m.values)))
	}
	if buffers, _ := w.memory.Held(); buffers > 0 {
		w.fatalf("%d buffers are still held: %v", buffers, w.memory.Leaks())
	}
	return clean
}

// crashAndVerify ends the life, and perhaps some more lives in the middle of their starts.
func (w *world) crashAndVerify(stopped bool) {
	killed := true
	stopped = stopped && len(w.blind) == 0
	w.back()
	for tries := 0; ; tries++ {
		if w.rand.Below(3) > 0 {
			w.logf("power")
			w.disk.Power()
			killed = false
		} else {
			w.logf("kill")
			w.disk.Kill()
		}
		w.drawBlindness()
		if tries < 2 {
			w.disk.CrashAt(uint64(w.rand.Below(200)) + 1)
		}
		if w.disk.Attempt(w.boot) {
			if clean, epoch := w.store.WasClean(); clean != (stopped && tries == 0) && (tries == 0 || clean && !stopped) || clean && epoch != 7 {
				w.fatalf("clean %v under epoch %d, stopped %v", clean, epoch, stopped)
			}
			break
		}
	}
	w.disk.CrashAt(0)
	if w.blinds {
		w.disk.Inject(nil)
	}
	w.verify(killed)
}

// settledWorld is a store with one log per policy.
func settledWorld(t *testing.T, policies ...config.FlushPolicy) *world {
	return settledWorldOf(t, 1, policies...)
}

func settledWorldOf(t *testing.T, seed uint64, policies ...config.FlushPolicy) *world {
	w := newWorld(t, seed)
	w.boot()
	for _, p := range policies {
		w.create()
		m := w.models[len(w.models)-1]
		w.settle()
		m.settings.FlushPolicy = p
		m.log.Configure(m.settings)
	}
	w.settle()
	return w
}

// An acks=all answer under sync waits for the commit, one under async for the write.
func TestSafeEndByPolicy(t *testing.T) {
	w := settledWorld(t, config.Sync, config.Async)
	durable, fast := w.models[0], w.models[1]
	w.append(durable)
	w.append(fast)
	w.store.EndDrain()
	safe := func(m *model) record.Offset { return m.log.SafeEnd() }
	all := record.Offset(len(fast.values))
	syncs := 0
	w.disk.Inject(func(op sim.Op) error {
		if op.Kind == sim.OpSync && strings.HasPrefix(op.Path, "journal/") {
			syncs++
			if safe(durable) != 0 {
				t.Error("safe before the journal is synced")
			}
		}
		return nil
	})
	w.lanes.Drain()
	w.disk.Inject(nil)
	if safe(durable) != record.Offset(len(durable.values)) || safe(fast) != all || syncs == 0 {
		t.Fatalf("safe ends %d and %d after %d syncs of the journal", safe(durable), safe(fast), syncs)
	}
	if fast.log.DurableEnd() != 0 {
		t.Fatalf("durable end %d of the log under async", fast.log.DurableEnd())
	}
}

// flush.messages and flush.ms bound what a log under async can lose.
func TestAsyncFlushBounds(t *testing.T) {
	w := settledWorld(t, config.Async)
	m := w.models[0]
	m.settings.FlushMessages = 3
	m.log.Configure(m.settings)
	for range 5 {
		w.append(m)
		w.settle()
		if lag := m.log.SafeEnd() - m.log.DurableEnd(); lag > 3 {
			t.Fatalf("%d records are safe and not durable", lag)
		}
	}
	if m.log.SafeEnd() != m.log.EndOffset() {
		t.Fatalf("safe end %d of %d", m.log.SafeEnd(), m.log.EndOffset())
	}
	m.settings.FlushMessages, m.settings.FlushMillis = 1<<40, 500
	m.log.Configure(m.settings)
	w.append(m)
	w.settle()
	if m.log.RecoveryPoint() == m.log.EndOffset() {
		t.Fatal("flushed without a reason")
	}
	if wait := w.store.Deadline().Sub(w.clock.Now()); wait > 500*time.Millisecond {
		t.Fatalf("the next tick is due in %v", wait)
	}
	w.clock.Advance(500 * time.Millisecond)
	w.store.Tick()
	w.settle()
	if m.log.RecoveryPoint() != m.log.EndOffset() {
		t.Fatal("not flushed after flush.ms")
	}
}

// O1: after a failed write or sync nothing is accepted, nothing becomes durable, and no marker is left.
func TestFailureIsFinal(t *testing.T) {
	for _, kind := range []sim.OpKind{sim.OpWrite, sim.OpSync, sim.OpRename} {
		t.Run(kind.String(), func(t *testing.T) {
			w := settledWorld(t, config.Sync, config.Async)
			failures := 0
			w.store.events.Failed = func(error) { failures++ }
			w.disk.Inject(func(op sim.Op) error {
				if op.Kind == kind {
					return sim.ErrIO
				}
				return nil
			})
			for range 40 {
				if w.store.Failure() != nil {
					break
				}
				w.append(w.models[0])
				w.append(w.models[1])
				w.settle()
				w.clock.Advance(time.Second)
				w.store.Tick()
			}
			if failures != 1 || !errors.Is(w.store.Failure(), sim.ErrIO) {
				t.Fatalf("%d failures: %v", failures, w.store.Failure())
			}
			w.disk.Inject(nil)
			for _, m := range w.models {
				durable := m.log.DurableEnd()
				err := m.log.AppendAt(batchOf(1, 1, 8, m.log.EndOffset(), m), commitlog.AppendInfo{})
				w.store.EndDrain()
				w.lanes.Drain()
				if err == nil || m.log.DurableEnd() != durable {
					t.Fatalf("append after the failure: %v, durable end moved from %d to %d", err, durable, m.log.DurableEnd())
				}
			}
			w.store.Shutdown(1, func(err error) {
				if err == nil {
					t.Fatal("a clean stop after a failure")
				}
			})
			w.lanes.Drain()
			if _, err := checkpoint.Read(w.disk, rootDir, checkpoint.CleanShutdownFile); !errors.Is(err, env.ErrNotExist) {
				t.Fatalf("the marker of a clean stop: %v", err)
			}
		})
	}
}

// L7: what was flushed and is bad takes its partition offline, with the file and the position; the others go on, and so does what is
// known of it.
func TestDamagedPartitionGoesOffline(t *testing.T) {
	w := settledWorld(t, config.Sync, config.Sync)
	bad, good := w.models[0], w.models[1]
	for range 4 {
		w.append(bad)
		w.append(good)
		w.settle()
	}
	w.clock.Advance(time.Minute)
	w.store.Tick()
	w.settle()
	w.clock.Advance(time.Minute)
	w.store.Tick()
	w.settle()
	entries, _ := w.disk.ReadDir(bad.log.Dir())
	file := ""
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ".log") && e.Size > 0 {
			file = bad.log.Dir() + "/" + e.Name
		}
	}
	for round := range 3 {
		if round == 2 {
			w.store.Shutdown(1, func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			})
			w.settle()
		}
		w.disk.Kill()
		w.disk.Rot(file, 70, 1)
		w.boot()
		off := w.store.Offline()
		if len(off) != 1 || off[0].ID != bad.id || !strings.Contains(off[0].Err.Error(), file) {
			t.Fatalf("offline: %v", off)
		}
		if l := w.store.Log(good.id); l == nil || l.EndOffset() != record.Offset(len(good.values)) {
			t.Fatalf("the good log: %v", l)
		}
		w.settle()
		w.clock.Advance(time.Minute)
		w.store.Tick()
		w.settle()
		w.disk.Rot(file, 70, 1) // the next round rots it again
	}
	w.store.Create(bad.id, bad.topic, bad.settings, func(_ *Log, err error) {
		if !errors.Is(err, ErrExists) {
			t.Fatalf("create over an offline partition: %v", err)
		}
	})
	deleted := false
	w.store.Delete(bad.id, func(err error) { deleted = err == nil })
	w.settle()
	if !deleted || len(w.store.Offline()) != 0 {
		t.Fatal("an offline partition cannot be deleted")
	}
}

// Tails of many logs together stay within the bound, and those of idle logs are given back.
func TestChunkMemoryIsBounded(t *testing.T) {
	w := settledWorld(t, config.Sync, config.Async, config.Sync, config.Async)
	w.store.o.ChunkBytes = 100 << 10
	for range 400 {
		for _, m := range w.models {
			w.append(m)
		}
		w.settle()
		if _, held := w.memory.Held(); held > 100<<10 || held != w.store.memory.held {
			t.Fatalf("%d bytes are held, the store counts %d", held, w.store.memory.held)
		}
	}
	for range 3 {
		w.clock.Advance(time.Minute)
		w.store.Tick()
		w.settle()
	}
	if buffers, held := w.memory.Held(); buffers > 0 {
		t.Fatalf("%d bytes are held by idle logs", held)
	}
}

// Retention removes old segments, only below the high watermark, and their files after the delay.
func TestRetention(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	m.settings.RetentionBytes = 6 << 10
	m.log.Configure(m.settings)
	files := func() (n int) {
		entries, _ := w.disk.ReadDir(m.log.Dir())
		for _, e := range entries {
			if strings.Contains(e.Name, ".log") {
				n++
			}
		}
		return n
	}
	for range 40 {
		w.append(m)
		w.settle()
	}
	before := files()
	tick := func(d time.Duration) {
		w.clock.Advance(d)
		w.store.Tick()
		w.settle()
	}
	tick(6 * time.Minute)
	if m.log.StartOffset() != 0 {
		t.Fatal("records above the high watermark were removed")
	}
	m.log.SetHighWatermark(m.log.EndOffset())
	tick(6 * time.Minute)
	start := m.log.StartOffset()
	if start == 0 || files() != before {
		t.Fatalf("start %d, %d files, before %d", start, files(), before)
	}
	tick(2 * time.Second)
	if files() >= before {
		t.Fatalf("%d files after the delay", files())
	}
	w.disk.Power()
	w.boot()
	if got := w.store.Log(m.id).StartOffset(); got != start {
		t.Fatalf("start %d after a restart, want %d", got, start)
	}
}

func TestWrongDirectoryIsRefused(t *testing.T) {
	w := settledWorld(t)
	w.disk.Kill()
	for _, meta := range []checkpoint.Meta{{NodeID: 2}, {NodeID: 1, ClusterID: "other"}} {
		var got error
		lanes := sim.NewLanes(1)
		s := New(Ports{Disk: w.disk, Jobs: lanes, Memory: w.memory, Clock: w.clock, Rand: w.rand}, Options{Meta: meta},
			Events{Ready: func(err error) { got = err }})
		s.Start()
		lanes.Drain()
		if got == nil || !strings.Contains(got.Error(), "belongs to") {
			t.Fatalf("%+v: error %v", meta, got)
		}
	}
}

func TestParseDir(t *testing.T) {
	for name, want := range map[string]string{
		"a-0": "a 0", "a-b-12": "a-b 12", "__cluster_metadata-0": "__cluster_metadata 0",
		"a": "", "-1": "", "a-": "", "a-01": "", "a-+1": "", "a--1": "a- 1", "a-x": "", "a-0.5c-delete": "", "a-99999999999": "",
	} {
		topic, index, ok := parseDir(name)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %d", topic, index)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
