package storage

import (
	"fmt"
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
)

// stopper is a clean stop on its way.
type stopper struct {
	step        stopStep
	closing     int
	brokerEpoch int64
	done        func(error)
}

type stopStep uint8

const (
	draining stopStep = iota // turns, commits, syncs
	closing                  // the logs
	noting                   // the checkpoints
	ending
)

// Shutdown ends the store: everything is written and synced, the logs are closed, the checkpoints written, and last of all the
// marker of a clean stop, which speaks of the broker epoch (S6). done gets the first error; there is no marker then, nor beside a
// partition that is offline or damaged.
func (s *Store) Shutdown(brokerEpoch int64, done func(error)) {
	if s.failure != nil || s.state != running {
		s.state = stopped
		done(s.failure)
		return
	}
	s.state = stopping
	s.stopper = &stopper{brokerEpoch: brokerEpoch, done: done}
}

// continueStop takes the next step when the one before has ended.
func (s *Store) continueStop() {
	st := s.stopper
	if st == nil {
		return
	}
	switch st.step {
	case draining:
		idle := s.turns == 0 && len(s.dirty) == 0 && !s.committing && len(s.acks) == 0 && s.syncing == 0 && len(s.syncs) == 0
		if idle && len(s.making)+len(s.deleting) == 0 && !s.checkpoints.running && len(s.checkpoints.waiting) == 0 {
			st.step = closing
			s.closeLogs()
		}
	case closing:
		if st.closing == 0 && !s.preparing {
			st.step = noting
			s.checkpoint(func(err error) {
				if err == nil {
					s.leaveMarker()
				}
			})
			s.startCheckpoint()
		}
	}
}

// closeLogs syncs and closes every log.
func (s *Store) closeLogs() {
	st := s.stopper
	st.closing = len(s.order)
	for i, l := range s.order {
		s.closeLog(l, laneClose+env.Lane(i%closeLanes), func(err error) {
			st.closing--
			if err != nil {
				s.fail(fmt.Errorf("close %s: %w", l.dir, err))
			}
		})
	}
}

// leaveMarker is the last step. What logs remember of truncations goes before it: the checkpoints say that all is flushed, and a start that is cut short
// behind this stop takes the marker away. Beside a partition that is offline or damaged no stop is clean: the next start would take what is bad there for good, and
// the log for shorter than what was promised of it (L7).
func (s *Store) leaveMarker() {
	st, disk, closeJournal := s.stopper, s.Disk, s.journal.Close()
	clean := len(s.offline) == 0 && !slices.ContainsFunc(s.order, func(l *Log) bool { return l.damaged })
	st.step = ending
	var unmarks []func() error
	for _, l := range s.order {
		if job := l.TakeUnmark(); job != nil && !l.damaged {
			unmarks = append(unmarks, job)
		}
	}
	s.Jobs.Start(laneFiles, func() func() {
		err := closeJournal()
		for _, job := range unmarks {
			if err == nil {
				err = job()
			}
		}
		if err == nil && clean {
			err = checkpoint.Write(disk, rootDir, checkpoint.CleanShutdownFile, checkpoint.EncodeCleanShutdown(st.brokerEpoch))
		}
		return func() {
			if err != nil {
				s.fail(err)
				return
			}
			st.finish(s, nil)
		}
	})
}

// finish answers whoever asked for the stop.
func (st *stopper) finish(s *Store, err error) {
	if s.state != stopped {
		s.state = stopped
		st.done(err)
	}
}
