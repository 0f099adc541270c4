package storage

import (
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// TestPhantomWritesAreNoTornEnd: whatever of a log's own files never reaches the medium, although it was acknowledged and synced, behind a loss of power
// the log holds everything that counted for acks=all, or says that it does not (L7). What is bad below a mark that is durable is damage, and the
// journal has the rest.
func TestPhantomWritesAreNoTornEnd(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	whole, damaged, ahead := 0, 0, 0
	for seed := range seeds {
		w := newWorld(t, seed)
		w.boot()
		w.create()
		w.settle()
		m := w.models[0]
		m.settings.FlushPolicy = config.Sync
		m.log.Configure(m.settings)
		w.settle()
		struck := false
		w.disk.Inject(func(op sim.Op) error {
			log := op.Kind == sim.OpWrite && strings.HasPrefix(op.Path, m.topic) && strings.HasSuffix(op.Path, ".log")
			if log && !m.log.cut && m.log.cutsOut == 0 && w.rand.Below(20) == 0 {
				struck = true
				return sim.ErrPhantom
			}
			return nil
		})
		safe := record.Offset(0)
		for range 300 {
			switch k := w.rand.Below(20); {
			case k < 5:
				w.append(m)
			case k < 9:
				w.store.EndDrain()
			case k < 16:
				w.lanes.Step()
			case k < 17:
				w.store.want(m.log)
			case k < 18:
				w.clock.Advance(time.Second)
				w.store.Tick()
			case k < 19 && w.rand.Below(4) == 0 && !struck: // a cut looks for its place by reading
				w.truncate(m)
				m.start, m.asked = 0, 0
				safe = min(safe, m.log.EndOffset())
			}
			safe = max(safe, m.log.SafeEnd())
			if m.log.joined && m.log.RecoveryPoint() > m.log.JournaledEnd() {
				ahead++
			}
		}
		w.disk.Inject(nil)
		w.disk.Power()
		w.boot()
		if l := w.store.Log(m.id); l == nil {
			damaged++
		} else if whole++; l.EndOffset() < safe {
			t.Fatalf("seed %d: the log ends at %d without a word, but %d was safe", seed, l.EndOffset(), safe)
		}
	}
	if whole == 0 || damaged == 0 || ahead == 0 {
		t.Errorf("%d logs were whole, %d known to be damaged, a sync was faster than the journal %d times: nothing was shown", whole, damaged, ahead)
	}
}

// TestCheckpointedMarkIsDurable: what lies below a high watermark that a start finds must be what lay there when the mark was written down. A follower
// may know a mark within what it has not flushed yet; power would bring back what a cut has taken, below the mark.
func TestCheckpointedMarkIsDurable(t *testing.T) {
	w := settledWorld(t, config.Async)
	m := w.models[0]
	w.append(m)
	w.settle()
	m.log.SetHighWatermark(m.log.EndOffset())
	mark := func() record.Offset {
		t.Helper()
		w.store.checkpoint(func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
		w.settle()
		p, err := checkpoint.Read(w.disk, rootDir, checkpoint.HighWatermarkFile)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := checkpoint.ParseOffsets(p)
		if err != nil || len(lines) != 1 {
			t.Fatalf("%v, %v", lines, err)
		}
		return lines[0].Offset
	}
	if o := mark(); o != 0 {
		t.Errorf("the mark is said to be %d, and durable is %d", o, m.log.DurableEnd())
	}
	w.store.want(m.log)
	w.settle()
	if o := mark(); o != m.log.EndOffset() {
		t.Errorf("the mark is said to be %d, and durable is %d", o, m.log.DurableEnd())
	}
}

// TestMarkOfATruncationGoesForGood: it would have recovery take for unflushed what has been flushed since.
func TestMarkOfATruncationGoesForGood(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	step := func() {
		w.store.want(m.log)
		w.settle()
		w.store.checkpoint(func(error) {})
		w.settle()
	}
	for range 3 {
		w.append(m)
		step()
	}
	w.disk.SyncAll()
	next, removed := "", false
	w.disk.Watch(func(op sim.Op, _ error) {
		if removed && next == "" {
			next = op.Kind.String() + " " + op.Path
		}
		removed = removed || op.Kind == sim.OpRemove && strings.HasSuffix(op.Path, truncationFile)
	})
	m.log.TruncateTo(0)
	m.values, m.durable, m.written = m.values[:0], 0, 0
	m.epoch++
	w.append(m)
	w.settle()
	step()
	w.disk.Watch(nil)
	if want := "syncdir " + m.log.dir; !removed || next != want {
		t.Errorf("removed %v, then comes %q; want %q", removed, next, want)
	}
	w.disk.PowerBy(sim.LoseAll())
	if there, err := exists(w.disk, m.log.dir+"/"+truncationFile); there || err != nil {
		t.Errorf("the mark came back: %v, %v", there, err)
	}
}

// TestRotIsNoTornEnd: a batch that rots in the files of a log is never taken for the torn end of what was not flushed, wherever the process is killed: what the
// journal has let go of counts as flushed, behind a cut as well (L7).
func TestRotIsNoTornEnd(t *testing.T) {
	seeds := uint64(600)
	if testing.Short() {
		seeds = 200
	}
	whole, damaged := 0, 0
	for seed := range seeds {
		if seed == 0 {
			seed = 8000 // a cut that the journal does not know of yet, behind an anchor that it has
		}
		again := seed%3 > 0
		w := settledWorldOf(t, seed, config.Sync)
		m := w.models[0]
		safe := w.appendAndCut(m, 0, 100+w.rand.Below(200))
		if again { // another life, behind a cut mostly
			if w.disk.Kill(); seed%3 == 1 {
				w.disk.Power()
			}
			w.boot()
			m.log = w.store.Log(m.id)
			if m.log.EndOffset() < safe {
				t.Fatalf("seed %d: the log ends at %d, but %d was safe", seed, m.log.EndOffset(), safe)
			}
			m.log.Configure(m.settings)
			m.values, m.older = append(m.values, make([]uint64, m.log.EndOffset())...)[:m.log.EndOffset()], nil
			m.epoch++
			m.log.BeginEpoch(m.epoch)
			safe = w.appendAndCut(m, safe, w.rand.Below(80))
		}
		w.disk.Kill()
		entries, err := w.disk.ReadDir(m.log.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name, ".log") && e.Size > 0 {
				w.rotPayload(m.log.dir+"/"+e.Name, e.Size)
			}
		}
		w.boot()
		if l := w.store.Log(m.id); l == nil {
			damaged++
		} else if whole++; l.EndOffset() < safe {
			t.Fatalf("seed %d: the log ends at %d without a word, but %d was safe", seed, l.EndOffset(), safe)
		}
	}
	if whole == 0 || damaged == 0 {
		t.Errorf("%d logs were whole, %d known to be damaged: nothing was shown", whole, damaged)
	}
}

// appendAndCut takes some steps, and returns the end of what counts for acks=all.
func (w *world) appendAndCut(m *model, safe record.Offset, steps int64) record.Offset {
	for range steps {
		switch k := w.rand.Below(20); {
		case k < 6:
			w.append(m)
		case k < 10:
			w.store.EndDrain()
		case k < 17:
			w.lanes.Step()
		case k < 18:
			w.clock.Advance(time.Second)
			w.store.Tick()
		case k < 19:
			restarts := m.restarts
			w.truncate(m)
			m.start, m.asked = 0, 0
			if safe = min(safe, m.log.EndOffset()); m.restarts > restarts {
				safe = 0
			}
		}
		safe = max(safe, m.log.SafeEnd())
	}
	return safe
}

// rotPayload changes a byte that a checksum covers.
func (w *world) rotPayload(path string, size int64) {
	f, err := w.disk.Open(path, env.ReadOnly)
	if err != nil {
		w.fatalf("open %s: %v", path, err)
	}
	all := make([]byte, size)
	if _, err := f.ReadAt(all, 0); err != nil {
		w.fatalf("read %s: %v", path, err)
	}
	const covered = 21 // bytes of a batch's header before that
	at := w.rand.Below(size)
	for from, rest := int64(0), all; len(rest) > 0; {
		b, behind, err := record.Next(rest)
		if err != nil {
			return // the end is torn
		}
		if n := int64(len(b)); at < from+n {
			w.disk.Rot(path, max(at, from+covered), 1)
			return
		} else {
			from, rest = from+n, behind
		}
	}
}
