package storage

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// cutDamaged has a follower's log cut where its batches have rotted: the log fails, and nothing else does.
func cutDamaged(t *testing.T) (w *world, bad, good *model) {
	w = settledWorld(t, config.Sync, config.Sync)
	bad, good = w.models[0], w.models[1]
	bad.gone = true // for the world's own books
	for value := range uint64(6) {
		if err := bad.log.AppendAt(batchOf(value, 1, 50, bad.log.EndOffset(), bad), commitlog.AppendInfo{}); err != nil {
			t.Fatal(err)
		}
	}
	w.append(good)
	w.settle()
	if bad.log.RecoveryPoint() > 0 || bad.log.SafeEnd() != 6 {
		t.Fatal("nothing is in the journal alone")
	}
	w.disk.Rot(bad.log.Dir()+"/00000000000000000000.log", 16, 0xff) // the first batch's magic
	told := 0
	bad.log.OnAdvance(func() {
		if bad.log.Failure() != nil {
			told++
		}
	})
	bad.log.TruncateTo(4)
	w.settle()
	if err := bad.log.Failure(); !errors.Is(err, commitlog.ErrCorrupt) || !strings.Contains(err.Error(), "00000000000000000000.log") || told == 0 {
		t.Fatalf("after the cut: %v; told %d times", err, told)
	}
	if err := bad.log.AppendAt(batchOf(9, 1, 50, 4, bad), commitlog.AppendInfo{}); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Fatalf("an append to the damaged log: %v", err)
	}
	return w, bad, good
}

// work goes round the journal's ring some times, whose files are used again.
func (w *world) work(m *model) {
	for range 100 {
		w.append(m)
		w.settle()
		if names, err := w.disk.ReadDir(journalDir); err != nil || len(names) > tinyJournal.Files+2 || m.log.SafeEnd() < m.log.EndOffset() {
			w.fatalf("%d files of the journal, %v; %s ends at %d, and %d is safe", len(names), err, m.topic, m.log.EndOffset(), m.log.SafeEnd())
		}
	}
	w.clock.Advance(time.Minute)
	w.store.Tick()
	w.settle()
}

// TestCutOfADamagedLog: the broker goes on, the journal is not held, and neither a stop nor a crash brings the log back as if nothing had been.
func TestCutOfADamagedLog(t *testing.T) {
	for _, end := range []string{"power", "kill", "stop"} {
		t.Run(end, func(t *testing.T) {
			w, bad, good := cutDamaged(t)
			w.work(good)
			switch end {
			case "power":
				w.disk.PowerBy(sim.LoseAll())
			case "stop":
				w.stop()
			}
			w.disk.Kill()
			w.boot()
			off := w.store.Offline()
			if len(off) != 1 || off[0].ID != bad.id || !errors.Is(off[0].Err, commitlog.ErrCorrupt) {
				t.Fatalf("offline: %v", off)
			}
			if l := w.store.Log(good.id); l == nil || l.EndOffset() != record.Offset(len(good.values)) {
				t.Fatalf("the good log: %v", l)
			}
		})
	}
}

// TestDamagedLogIsSetAside: and another one takes its place.
func TestDamagedLogIsSetAside(t *testing.T) {
	w, bad, good := cutDamaged(t)
	aside := ""
	w.store.SetAside(bad.id, func(to string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		aside = to
		w.store.Create(bad.id, bad.topic, bad.settings, func(l *Log, err error) {
			if err != nil {
				t.Fatal(err)
			}
			bad.log, bad.gone, bad.values, bad.durable, bad.written = l, false, nil, 0, 0
		})
	})
	w.settle()
	if aside == "" || bad.log.Failure() != nil {
		t.Fatalf("set aside as %q; the new log: %v", aside, bad.log.Failure())
	}
	w.work(good)
	w.work(bad)
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	w.verify(false)
}
