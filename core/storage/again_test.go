package storage

import (
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// TestMadeAgain: a replica is moved away and given back, or set aside for its damage. The end of the first log is still in the journal when the next
// start reads it; it must not be taken for that of the second, which is in the journal with nothing under async.
func TestMadeAgain(t *testing.T) {
	for _, policy := range []config.FlushPolicy{config.Async, config.Sync} {
		for _, aside := range []bool{false, true} {
			w := newWorld(t, 1)
			w.boot()
			id := record.Partition{Topic: record.TopicID{7}, Index: 3}
			ended := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			for life := range 3 {
				m := &model{id: id, topic: "t", settings: w.settings(policy), epoch: record.Epoch(life)}
				w.models = []*model{m}
				w.store.Create(id, "t", m.settings, func(l *Log, err error) { ended(err); m.log = l })
				w.settle()
				for range life * 3 { // the first one stays empty
					w.append(m)
				}
				w.settle()
				w.disk.Kill()
				w.boot()
				w.verify(true)
				if len(w.models) != 1 || len(w.models[0].values) != len(m.values) {
					t.Fatalf("policy %v, aside %v: log %d is gone", policy, aside, life)
				}
				if aside {
					w.store.SetAside(id, func(_ string, err error) { ended(err) })
				} else {
					w.store.Delete(id, ended)
				}
				w.settle()
			}
		}
	}
}

// TestCheckpointsForget: the only log goes before a checkpoint was written in this life, and there is nothing to say of any other. What the files still
// say of it must go all the same: the next log of that name has not got so far.
func TestCheckpointsForget(t *testing.T) {
	for _, aside := range []bool{false, true} {
		w := settledWorld(t, config.Sync)
		first := w.models[0]
		for range 3 {
			w.append(first)
		}
		w.settle()
		w.stop()
		w.boot()
		if aside {
			w.store.SetAside(first.id, func(string, error) {})
		} else {
			w.store.Delete(first.id, func(error) {})
		}
		w.settle()
		second := record.Partition{Topic: record.TopicID{99}, Index: first.id.Index}
		w.store.Create(second, first.topic, first.settings, func(*Log, error) {})
		w.settle()
		w.disk.PowerBy(sim.LoseAll())
		w.boot()
		if len(w.store.Offline()) > 0 || w.store.Log(second) == nil {
			t.Errorf("aside %v: offline is %v", aside, w.store.Offline())
		}
	}
}
