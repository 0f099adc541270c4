package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// TestTooManyFiles: a process with few descriptors refuses the log that is one too many, and nothing else: those that are there take
// records, go through segments, are read, and come back after a crash, without a call that fails.
func TestTooManyFiles(t *testing.T) {
	const limit, most = 64, 40
	w := newWorld(t, 5)
	w.disk.SetMaxOpen(limit)
	w.boot()
	for range most {
		w.create()
		w.settle()
	}
	refused := func(n int) (got error) {
		id := record.Partition{Topic: record.TopicID{200}, Index: int32(n)}
		w.store.Create(id, "surplus", w.settings(config.Sync), func(_ *Log, err error) { got = err })
		w.settle()
		return got
	}
	if err := refused(0); !errors.Is(err, env.ErrTooManyFiles) || !strings.Contains(err.Error(), "raise it to at least 72") {
		t.Fatalf("log %d: %v", most+1, err)
	}
	for life := range 3 {
		for range 8 {
			for _, m := range w.models {
				w.append(m)
			}
			w.settle()
		}
		if err := refused(life); !errors.Is(err, env.ErrTooManyFiles) {
			t.Fatalf("life %d: %v", life, err)
		}
		if life == 1 {
			w.disk.PowerBy(sim.LoseAll())
		} else {
			w.disk.Kill()
		}
		w.boot()
		for _, m := range w.models {
			m.log = w.store.Log(m.id)
			if m.log == nil || m.log.EndOffset() < m.durable {
				t.Fatalf("life %d: %s: log %v, promised up to %d", life, m.topic, m.log, m.durable)
			}
			m.values = m.values[:m.log.EndOffset()]
			m.written, m.durable = m.log.EndOffset(), m.log.DurableEnd()
		}
	}
	w.disk.Kill()
	w.disk.SetMaxOpen(limit - 8)
	if _, err := w.start(); !errors.Is(err, env.ErrTooManyFiles) || !strings.Contains(fmt.Sprint(err), "raise it to at least 64") {
		t.Fatalf("start with a lower limit: %v", err)
	}
	w.disk.Kill()
	w.disk.SetMaxOpen(limit)
	w.boot()
	for _, m := range w.models {
		if l := w.store.Log(m.id); l == nil || l.EndOffset() < m.durable {
			t.Errorf("%s: log %v, promised up to %d", m.topic, l, m.durable)
		}
	}
}
