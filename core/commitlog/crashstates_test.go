package commitlog_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// crashCase is a step of which every crash state is visited: the power fails in each of its calls and behind it, and what was not
// durable then is kept or lost in every combination. After each the log must recover: what was flushed is there, and nothing but
// what was appended.
type crashCase struct {
	settings commitlog.Settings
	prepare  func(r *crashRig) // what is durable before
	act      func(r *crashRig)
	verify   func(r *crashRig)
	whole    bool // leave tears out
}

// crashRig is a rig that remembers what was appended.
type crashRig struct {
	*rig
	appended history
	floor    record.Offset // flushed
}

func (r *crashRig) add(b record.Batch) {
	r.t.Helper()
	first, err := r.log.Append(b, r.info(0))
	r.must(err)
	b.SetBaseOffset(first)
	b.SetLeaderEpoch(0)
	r.appended = append(r.appended, b)
}

// sync makes durable what was appended, and has the store write it down.
func (r *crashRig) synced() {
	r.must(r.settle())
	r.floor = r.log.RecoveryPoint()
	r.checkpoint()
}

const mostPending = 12

// walk visits all crash states of a case and returns how many there were.
func (c crashCase) walk(t *testing.T) (states, calls int) {
	t.Helper()
	most := 0
	for n, finished := uint64(1), false; !finished; n++ {
		calls++
		w := &sim.Walk{Whole: c.whole}
		for w.Next() {
			r := &crashRig{rig: newRig(t, 1, c.settings)}
			r.disk = sim.NewDisk(sim.DiskOptions{Seed: 1, NoWriteback: true, SectorSize: 4096})
			r.create()
			c.prepare(r)
			r.disk.SyncAll()
			r.disk.CrashAt(n)
			finished = r.disk.Attempt(func() { c.act(r) })
			r.disk.CrashAt(0)
			r.disk.PowerBy(w)
			states++
			most = max(most, w.Choices())
			r.recovers(c.verify)
			if t.Failed() {
				t.Fatalf("in call %d, way %d of the power cut (%d things at stake), names %s", n, w.Runs(), w.Choices(), strings.Join(r.names(), " "))
			}
		}
	}
	if most > mostPending {
		t.Errorf("%d things at stake, want at most %d", most, mostPending)
	}
	t.Logf("%d crash states in %d calls, at most %d things at stake", states, calls, most)
	return states, calls
}

// recovers opens the log again, looks at it, uses it, and opens it once more: L6.
func (r *crashRig) recovers(verify func(r *crashRig)) {
	t := r.t.(*testing.T)
	r.mem = sim.NewMemory()
	if err := r.open(false); err != nil {
		t.Errorf("open: %v", err)
		return
	}
	if !r.sound(t) {
		return
	}
	if verify != nil {
		verify(r)
	}
	end := r.log.EndOffset()
	r.appended = r.appended.below(end)
	r.add(batchOf(10, 1))
	r.synced()
	r.disk.PowerBy(sim.LoseAll())
	r.mem = sim.NewMemory()
	if err := r.open(false); err != nil {
		t.Errorf("open a second time: %v", err)
		return
	}
	if r.log.EndOffset() != end+1 {
		t.Errorf("the log ends at %d, and later at %d", end, r.log.EndOffset())
	}
	r.sound(t)
}

// sound holds the log against what was appended.
func (r *crashRig) sound(t *testing.T) bool {
	end := r.log.EndOffset()
	if end < r.floor {
		t.Errorf("the log ends at %d, %d was flushed", end, r.floor)
		return false
	}
	got, want := r.all(), r.appended.below(end)
	if len(want) == 0 || want.end(0) != end {
		t.Errorf("the log ends at %d, inside a batch", end)
		return false
	}
	for len(want) > 0 && want[0].NextOffset() <= r.log.StartOffset() {
		want = want[1:]
	}
	if len(got) != len(want) {
		t.Errorf("%d batches, want %d", len(got), len(want))
		return false
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("batch %d is another", i)
			return false
		}
	}
	return true
}

// full is a log whose segment takes no more batches of 300 bytes.
func full(r *crashRig) {
	for i := range 3 {
		r.add(batchOf(200, int64(i)))
	}
	r.synced()
}

// one are settings under which three batches of 200 bytes fill a segment, and every batch has an index entry.
func one() commitlog.Settings {
	s := tiny()
	s.IndexIntervalBytes = 0
	return s
}

// sparse are the same, but no batch has an index entry, so that less is at stake.
func sparse() commitlog.Settings {
	s := tiny()
	s.IndexIntervalBytes = 1 << 20
	return s
}

func TestCrashStatesOfASegmentRoll(t *testing.T) {
	crashCase{
		settings: sparse(), whole: true, prepare: full,
		act: func(r *crashRig) {
			r.add(batchOf(200, 7))
			r.must(r.settle())
			r.floor = r.log.RecoveryPoint()
		},
	}.walk(t)
}

// An index flush: batches and their entries in both indexes, which a sync makes durable.
func TestCrashStatesOfAnIndexFlush(t *testing.T) {
	for _, whole := range []bool{true, false} {
		crashCase{
			settings: one(), whole: whole,
			prepare: func(r *crashRig) {
				r.add(batchOf(10, 1))
				r.synced()
			},
			act: func(r *crashRig) {
				r.add(batchOf(10, 2))
				r.must(r.flush())
				r.add(batchOf(10, 3))
				r.must(r.settle())
				r.floor = r.log.RecoveryPoint()
			},
		}.walk(t)
	}
}

// A producer snapshot goes with a roll. Whatever is left of it, the producers are known as a fold of the log knows them.
func TestCrashStatesOfAProducerSnapshot(t *testing.T) {
	crashCase{
		settings: sparse(), whole: true,
		prepare: func(r *crashRig) {
			for i := range int32(13) {
				r.add(batchFrom(5, i, false, 1))
			}
			r.synced()
		},
		act: func(r *crashRig) {
			r.add(batchFrom(5, 13, false, 1))
			r.must(r.flush())
		},
		verify: func(r *crashRig) {
			want, _, _ := r.appended.below(r.log.EndOffset()).fold()
			if !sameProducers(r.log.Producers(), want) {
				r.t.Fatalf("producers %+v, want %+v", r.log.Producers().All(), want.All())
			}
		},
	}.walk(t)
}

func sameProducers(a, b *producers.State) bool {
	x, y := a.All(), b.All()
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].ID != y[i].ID || x[i].Epoch != y[i].Epoch || x[i].LastSequence != y[i].LastSequence {
			return false
		}
	}
	return true
}

// A checkpoint has the old content or the new.
func TestCrashStatesOfACheckpoint(t *testing.T) {
	states := 0
	for n, finished := uint64(1), false; !finished; n++ {
		w := &sim.Walk{}
		for w.Next() {
			d := sim.NewDisk(sim.DiskOptions{NoWriteback: true})
			mustBe(t, checkpoint.Write(d, ".", "x", bytes.Repeat([]byte("old"), 300)))
			d.CrashAt(n)
			finished = d.Attempt(func() { mustBe(t, checkpoint.Write(d, ".", "x", bytes.Repeat([]byte("new"), 300))) })
			d.PowerBy(w)
			states++
			got, err := checkpoint.Read(d, ".", "x")
			if err != nil || string(got) != strings.Repeat("old", 300) && !finished && string(got) != strings.Repeat("new", 300) ||
				finished && string(got) != strings.Repeat("new", 300) {
				t.Fatalf("call %d, way %d: %.12q, %v", n, w.Runs(), got, err)
			}
			mustBe(t, checkpoint.Write(d, ".", "x", []byte("again")))
		}
		if w.Choices() > mostPending {
			t.Errorf("%d things at stake", w.Choices())
		}
	}
	t.Logf("%d crash states", states)
}

func mustBe(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// logOf is the name of a log file.
func logOf(base string) string { return strings.Repeat("0", 20-len(base)) + base + ".log" }

// A compaction puts one file in the place of two segments, as Apache Kafka does it: the result under a name ending in .cleaned,
// durable; then .swap, durable: it is decided. Here the power fails before that, and in whatever a recovery does behind it. No record is
// there twice afterwards: old segments do not stay beside the new one (K7).
func TestCrashStatesOfAFileSwap(t *testing.T) {
	two := func(r *crashRig) {
		full(r)
		for i := range 3 {
			r.add(batchOf(200, int64(i)))
		}
		r.synced()
		r.add(batchOf(200, 9))
		r.synced()
		r.pass(time.Second)
	}
	merge := func(r *crashRig) {
		a, b := r.content(logOf("0")), r.content(logOf("3"))
		f, err := r.disk.Open(dir+"/"+logOf("0")+".cleaned", env.CreateNew)
		r.must(err)
		r.must(f.WriteAt(0, a, b))
		r.must(f.Sync())
		r.must(f.Close())
	}
	swap := func(r *crashRig) {
		r.must(r.disk.SyncDir(dir))
		r.must(r.disk.Rename(dir+"/"+logOf("0")+".cleaned", dir+"/"+logOf("0")+".swap"))
		r.must(r.disk.SyncDir(dir))
	}
	once := func(r *crashRig) {
		var want int64
		for _, b := range r.appended.below(r.log.EndOffset()) {
			want += int64(b.Size())
		}
		if got := r.log.Size(); got != want {
			t.Errorf("the log has %d bytes, want %d: %s", got, want, strings.Join(r.names(), " "))
		}
	}
	t.Run("deciding", func(t *testing.T) {
		crashCase{settings: one(), whole: true, prepare: two, act: func(r *crashRig) { merge(r); swap(r) }, verify: once}.walk(t)
	})
	t.Run("recovering", func(t *testing.T) {
		crashCase{
			settings: one(), whole: true,
			prepare: func(r *crashRig) {
				two(r)
				merge(r)
				swap(r)
				r.disk.Kill()
			},
			act: func(r *crashRig) {
				r.mem = sim.NewMemory()
				r.must(r.open(false))
			},
			verify: once,
		}.walk(t)
	})
}
