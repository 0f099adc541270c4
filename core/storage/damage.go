package storage

import "lignum/core/journal"

// damage takes a log out of use whose files turned out not to hold what was written to them, where a truncation looked for its place or for
// what it leaves of the producers. The others go on. The log keeps its place until it is deleted or set aside; it takes nothing, and whoever
// listens to it learns of its failure (L7).
//
// The checkpoint says from now on that all was flushed that was promised of it. So a later start either finds all of that, or takes the
// partition offline, whatever the journal has let go of by then: it must not be held by a log that nothing can be synced of.
func (s *Store) damage(l *Log, err error) {
	if l.damaged || l.gone {
		return
	}
	l.damaged = true
	if s.startup != nil {
		l.replay.short, l.replay.fault = true, err // replayed takes it offline
		return
	}
	s.unwritten -= l.pending
	l.pending = 0
	starts := l.starts
	l.starts = nil
	for _, w := range starts {
		w.done(err)
	}
	s.touch(l)
	s.checkpoint(func(err error) {
		if err == nil {
			l.released = true
			s.journal.Safe(l.id, l.last)
		}
	})
}

// release lets the journal's oldest file go as far as it is held by damaged logs. It returns what else holds it.
func (s *Store) release(all []journal.Covered) []journal.Covered {
	kept := all[:0]
	for _, c := range all {
		l := s.logs[c.Log]
		switch {
		case l == nil: // its deletion releases it
		case !l.damaged:
			kept = append(kept, c)
		case l.released:
			s.journal.Safe(c.Log, c.Seq)
		}
	}
	return kept
}
