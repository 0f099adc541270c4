package storage

import (
	"strings"
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// TestLinesOfTheMissing: the process dies when the directory of a deleted log has lost its name, and the checkpoints still tell of it. The next log of that
// name, which another one may have or the same replica that is back, is not what they tell of: it has not got so far, and begins at 0.
func TestLinesOfTheMissing(t *testing.T) {
	for _, records := range []int{2, 20} {
		for _, same := range []bool{false, true} {
			w := settledWorld(t, config.Sync)
			first := w.models[0]
			for range 9 {
				w.add(first)
			}
			w.settle()
			first.log.AdvanceStart(3, func(error) {})
			w.settle()
			w.stop()
			w.boot()
			w.disk.Watch(func(op sim.Op, _ error) {
				if op.Kind == sim.OpRename && strings.HasSuffix(op.To, deleteSuffix) {
					w.disk.CrashAt(2) // behind the sync of the directory
				}
			})
			w.store.Delete(first.id, func(error) {})
			if w.disk.Attempt(w.settle) {
				t.Fatal("the process outlives the deletion")
			}
			w.disk.Watch(nil)
			w.disk.Kill()
			w.boot()
			m := &model{id: first.id, topic: first.topic, settings: first.settings, epoch: 1}
			if !same {
				m.id.Topic = record.TopicID{99}
			}
			w.models = []*model{m}
			w.store.Create(m.id, m.topic, m.settings, func(l *Log, _ error) { m.log = l })
			w.settle()
			for range records {
				w.add(m)
			}
			w.settle()
			w.disk.Kill()
			w.boot()
			l := w.store.Log(m.id)
			if l == nil {
				t.Errorf("%d records, same id %v: offline is %v", records, same, w.store.Offline())
			} else if l.StartOffset() > 0 || l.EndOffset() != record.Offset(records) || l.HighWatermark() > 0 {
				t.Errorf("%d records, same id %v: the log is [%d, %d), its high watermark %d", records, same, l.StartOffset(), l.EndOffset(), l.HighWatermark())
			}
		}
	}
}

// TestOfflineUntilItsEndCounts: a damaged log is being set aside, and the process dies before that is in the journal. The log is there still, and what the
// checkpoints said of it must be, too: else what is bad would pass for a torn end (L7).
func TestOfflineUntilItsEndCounts(t *testing.T) {
	for _, aside := range []bool{false, true} {
		w := settledWorld(t, config.Sync)
		bad := w.models[0]
		for range 6 {
			w.add(bad)
		}
		w.settle()
		w.stop()
		w.boot()
		w.disk.Rot(bad.log.Dir()+"/00000000000000000000.log", 300, 0xff)
		w.disk.Kill()
		w.boot()
		if len(w.store.Offline()) != 1 {
			t.Fatal("the log is not offline")
		}
		if aside {
			w.store.SetAside(bad.id, func(string, error) {})
		} else {
			w.store.Delete(bad.id, func(error) {})
		}
		written := false
		w.store.checkpoint(func(err error) { written = err == nil })
		w.store.startCheckpoint() // before the commit
		w.lanes.Drain()
		w.disk.Kill()
		w.boot()
		if l := w.store.Log(bad.id); !written || l != nil {
			t.Errorf("aside %v: checkpoints were written: %v; the log is %v", aside, written, l)
		}
	}
}
