package storage

import (
	"slices"
	"strings"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// follow appends a record to a log as a follower does, and waits for the disk.
func (w *world) follow(m *model, l *Log, value uint64) {
	w.t.Helper()
	if err := l.AppendAt(batchOf(value, 1, 50, l.EndOffset(), m), commitlog.AppendInfo{}); err != nil {
		w.t.Fatal(err)
	}
	m.values = append(m.values, 0)
	w.settle()
}

// TestCutThatWasNotFlushed: a process is killed between the cut of a log and the sync of it. The next one goes on behind the cut, and what it
// answers for must not be replaced by what the cut had taken, when power brings that back.
func TestCutThatWasNotFlushed(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	put := func(l *Log, value uint64) { w.follow(m, l, value) }
	for value := range uint64(3) {
		put(m.log, value)
	}
	w.stop() // the journal is given up
	w.boot()
	w.disk.Watch(func(op sim.Op, _ error) {
		if op.Kind == sim.OpTruncate && strings.HasSuffix(op.Path, ".log") {
			w.disk.CrashAt(1)
		}
	})
	l := w.store.Log(m.id)
	l.Configure(m.settings)
	l.TruncateTo(2)
	m.values = m.values[:2]
	if w.disk.Attempt(w.settle) {
		t.Fatal("the process outlives the cut")
	}
	w.disk.Watch(nil)
	w.disk.Kill()
	w.boot()
	m.epoch++
	l = w.store.Log(m.id)
	if l.EndOffset() != 2 {
		t.Fatalf("the log ends at %d: nothing can be shown", l.EndOffset())
	}
	l.Configure(m.settings)
	l.BeginEpoch(m.epoch)
	put(l, 100)
	if l.SafeEnd() != 3 {
		t.Fatalf("safe end %d, want 3", l.SafeEnd())
	}
	want := w.readLog(l)
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	l = w.store.Log(m.id)
	if got := w.readLog(l); l.EndOffset() != record.Offset(3) || !slices.Equal(got, want) {
		t.Errorf("the log ends at %d and holds %v, want %v", l.EndOffset(), got, want)
	}
}

// TestCutBeforeAStop: a clean stop forgets cuts that its checkpoints have covered. What was flushed behind one must not pass for a torn end at an unclean
// start that follows (L7).
func TestCutBeforeAStop(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	put := func(l *Log, value uint64) { w.follow(m, l, value) }
	for value := range uint64(3) {
		put(m.log, value)
	}
	w.stop()
	w.boot()
	l := w.store.Log(m.id)
	l.Configure(m.settings)
	l.TruncateTo(2)
	m.values = m.values[:2]
	m.epoch++
	l.BeginEpoch(m.epoch)
	put(l, 100)
	put(l, 101)
	if there, err := exists(w.disk, l.Dir()+"/"+truncationFile); !there || err != nil {
		t.Fatalf("the cut is not remembered: %v", err)
	}
	w.stop()
	w.boot()
	w.disk.PowerBy(sim.LoseAll())
	if there, err := exists(w.disk, l.Dir()+"/"+truncationFile); there || err != nil {
		t.Errorf("the cut is remembered: %v, %v", there, err)
	}
	w.disk.Rot(l.Dir()+"/00000000000000000002.log", 70, 1)
	w.boot()
	if len(w.store.Offline()) != 1 {
		t.Errorf("the log ends at %d", w.store.Log(m.id).EndOffset())
	}
}
