package storage

import (
	"errors"
	"testing"

	"lignum/core/config"
	"lignum/core/record"
)

// TestDeletedWhileItIsMade: a topic is deleted while its logs are on their way, or wait for the name that an earlier one still holds. Nothing of it
// may stay: it would keep the name from the next topic that has it.
func TestDeletedWhileItIsMade(t *testing.T) {
	for topics := byte(2); topics <= 4; topics++ {
		for seed := range uint64(20) {
			w := newWorld(t, seed)
			w.boot()
			made, ended := 0, 0
			var last record.Partition
			for n := range topics {
				last = record.Partition{Topic: record.TopicID{n + 1}}
				w.store.Create(last, "t", w.settings(config.Sync), func(l *Log, err error) {
					switch {
					case err == nil && l.id == last:
						made++
					case !errors.Is(err, errUnwanted):
						t.Errorf("seed %d: topic %d of %d: %v", seed, n+1, topics, err)
					}
				})
				for range w.rand.Below(3) {
					w.store.EndDrain()
				}
				if n+1 < topics {
					w.store.Delete(last, func(err error) {
						if ended++; err != nil {
							t.Error(err)
						}
					})
				}
			}
			w.settle()
			if logs := w.store.Logs(); made != 1 || ended != int(topics)-1 || len(logs) != 1 || logs[0].id != last {
				t.Fatalf("seed %d: %d logs were made, %d deletions ended, there are %d logs", seed, made, ended, len(logs))
			}
			w.disk.Kill()
			w.boot()
			if logs := w.store.Logs(); len(logs) != 1 || logs[0].id != last || len(w.store.Offline()) > 0 {
				t.Fatalf("seed %d: behind a kill there are %d logs, offline %v", seed, len(logs), w.store.Offline())
			}
		}
	}
}
