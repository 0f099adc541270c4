package storage

import (
	"testing"

	"lignum/core/config"
	"lignum/sim"
)

// TestStartBeyondWhatIsWritten: a log start is moved to where the log has not been written yet, and a sync comes before the write. Whoever waits for the start is
// told without more of what has nothing to do with it.
func TestStartBeyondWhatIsWritten(t *testing.T) {
	for _, policy := range []config.FlushPolicy{config.Async, config.Sync} {
		w := settledWorld(t, policy)
		m := w.models[0]
		for range 2 { // the second time there is nothing else to sync
			w.add(m)
			done := false
			m.log.AdvanceStart(m.log.EndOffset(), func(err error) { done = err == nil })
			w.settle()
			if !done || m.log.DurableStart() != m.log.EndOffset() {
				t.Errorf("policy %v: told %v, the start is %d, durably %d", policy, done, m.log.StartOffset(), m.log.DurableStart())
			}
		}
	}
}

// TestDeletedBeforeItIsDurable: a start waits until what its logs hold is durable, and one of them is deleted meanwhile.
func TestDeletedBeforeItIsDurable(t *testing.T) {
	for _, aside := range []bool{false, true} {
		w := settledWorld(t, config.Async)
		m := w.models[0]
		w.add(m)
		w.settle()
		w.disk.Kill()
		w.boot()
		l := w.store.Log(m.id)
		if l.DurableEnd() == l.EndOffset() {
			t.Fatal("all is durable")
		}
		told := 0
		l.WhenDurable(func() { told++ })
		if aside {
			w.store.SetAside(m.id, func(string, error) {})
		} else {
			w.store.Delete(m.id, func(error) {})
		}
		w.settle()
		if told != 1 {
			t.Errorf("aside %v: told %d times", aside, told)
		}
	}
}

// TestMarkBehindAReplay: the power has taken what lay below the high watermark from the log's own files, and the journal puts it back. So is the mark there.
func TestMarkBehindAReplay(t *testing.T) {
	w := settledWorld(t, config.Sync)
	m := w.models[0]
	for range 3 {
		w.add(m)
	}
	w.settle()
	m.log.SetHighWatermark(2)
	w.store.checkpoint(func(error) {})
	w.settle()
	if m.log.RecoveryPoint() > 0 {
		t.Fatal("the log's own files have it")
	}
	w.disk.PowerBy(sim.LoseAll())
	w.boot()
	if l := w.store.Log(m.id); l.EndOffset() != 3 || l.HighWatermark() != 2 {
		t.Errorf("the log ends at %d, the high watermark is %d", l.EndOffset(), l.HighWatermark())
	}
}
