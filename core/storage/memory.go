package storage

import (
	"time"

	"lignum/core/env"
)

// memory bounds the chunks of all logs together. The logs are in a ring by when they last took an append; whoever was idle for
// longest gives first, oldest chunks first.
type memory struct {
	held  int64
	limit int64 // held above which an append looks for what can be released
	ring  Log   // its fresher is the stalest log, its staler the freshest
}

func (m *memory) init() { m.ring.fresher, m.ring.staler = &m.ring, &m.ring }

// use notes an append.
func (m *memory) use(l *Log, now env.Instant) {
	l.used = now
	m.unlink(l)
	last := m.ring.staler
	l.staler, l.fresher = last, &m.ring
	last.fresher, m.ring.staler = l, l
	m.count(l)
}

// count brings the sum up to date with what the log holds.
func (m *memory) count(l *Log) {
	if l.gone {
		return
	}
	n := l.Memory()
	m.held += n - l.held
	l.held = n
}

func (m *memory) unlink(l *Log) {
	if l.fresher != nil {
		l.staler.fresher, l.fresher.staler = l.fresher, l.staler
		l.staler, l.fresher = nil, nil
	}
}

func (m *memory) forget(l *Log) {
	m.unlink(l)
	m.held -= l.held
	l.held = 0
}

// bound releases what is above the bound.
func (m *memory) bound(s *Store) {
	for l := m.ring.fresher; l != &m.ring && m.held > s.o.ChunkBytes; l = l.fresher {
		l.ReleaseMemory(m.held - s.o.ChunkBytes)
		m.count(l)
	}
	m.limit = max(m.held, s.o.ChunkBytes) + boundStep
}

// boundStep is how much memory is taken between two searches for what can be released: there may be nothing yet.
const boundStep = 512 << 10

// releaseIdle takes the tails of logs that were idle for long, and says when to look again.
func (m *memory) releaseIdle(idle time.Duration, now env.Instant) env.Instant {
	for m.ring.fresher != &m.ring {
		l := m.ring.fresher
		if due := l.used.Add(idle); due > now {
			return due
		}
		l.ReleaseMemory(1<<63 - 1)
		m.count(l)
		if l.held > 0 {
			return now.Add(idle) // not written yet
		}
		m.unlink(l)
	}
	return env.Never
}
