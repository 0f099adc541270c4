package storage

import (
	"lignum/core/config"
	"lignum/core/journal"
)

// maxSyncs is how many syncs of logs run at a time, on the lanes of the logs.
const maxSyncs = 8

// want asks for a sync of the log.
func (s *Store) want(l *Log) {
	if !l.wantSync && !l.gone {
		l.wantSync = true
		s.syncs = append(s.syncs, l)
	}
}

// startSyncs starts the syncs that are wanted. A log whose sync is under way keeps its place.
func (s *Store) startSyncs() {
	kept := s.syncs[:0]
	for i, l := range s.syncs {
		if s.syncing >= maxSyncs {
			kept = append(kept, s.syncs[i:]...)
			break
		}
		if l.syncing {
			kept = append(kept, l)
			continue
		}
		if l.wantSync = !s.startSync(l); l.wantSync {
			kept = append(kept, l)
		}
	}
	clear(s.syncs[len(kept):])
	s.syncs = kept
}

// follow asks for another sync if someone waits for more than the last one could cover: it takes only what was written before, and no log start beyond that.
func (s *Store) follow(l *Log) {
	waits := l.gate == gateShut || len(l.starts) > 0 || l.policy == config.Sync && !l.joined && l.DurableEnd() < l.WrittenEnd()
	if waits && l.RecoveryPoint() < l.WrittenEnd() {
		s.want(l)
	}
	s.armFlush(l)
}

// writtenSeq is the last entry whose effect is in the log's own files. Entries that write nothing there, an Anchor or a Start, count as soon
// as everything else is written: a log that comes to rest behind one must not hold the journal's oldest file for ever.
func (l *Log) writtenSeq() uint64 {
	if l.dirty || l.cut || l.cutsOut > 0 || len(l.late) > 0 || l.WrittenEnd() < l.EndOffset() {
		return l.written
	}
	return l.last
}

// startSync starts a sync of what is written. It is false if the log cannot be synced now: a truncation comes first.
func (s *Store) startSync(l *Log) bool {
	if l.damaged {
		return true
	}
	from, late := l.writtenSeq(), len(l.late)
	job := l.Log.TakeSync()
	if job == nil {
		if l.cut || l.cutsOut > 0 || l.RecoveryPoint() < l.WrittenEnd() {
			return l.Log.Failure() != nil
		}
		s.syncedTo(l, from, late)
		return true
	}
	l.syncing = true
	s.syncing++
	s.Jobs.Start(s.laneOf(l.id), func() func() {
		job.Run()
		return func() {
			l.syncing = false
			s.syncing--
			switch err := l.Log.Synced(job); {
			case l.damaged:
				return
			case err != nil:
				s.fail(err)
				return
			}
			s.syncedTo(l, from, late)
			s.follow(l)
			s.touch(l)
			s.notify()
		}
	})
	return true
}

// syncedTo notes that what was written up to a sequence is durable, and so are the truncations before the first so many late items.
func (s *Store) syncedTo(l *Log, from uint64, late int) {
	l.synced = max(l.synced, from)
	if l.gone {
		return
	}
	s.enterLate(l, late)
	s.say(l)
	s.anchor(l)
	l.settleStarts()
	s.markDirty(l) // files below the log start can go now
}

// recycle frees the oldest file of the journal: sync its logs, write the checkpoints, tell the journal (S4).
type recycle struct {
	covered []journal.Covered
	at      int // those before it are synced
	waiting bool
	claimed bool // the checkpoints that speak of them are written
}

// continueRecycle takes the next step.
func (s *Store) continueRecycle() {
	if s.stopper != nil && s.stopper.step != draining {
		return // up to then the last commits may need a file
	}
	r := &s.recycle
	if r.claimed && !s.endRecycle() || r.waiting || len(r.covered) == 0 && !s.beginRecycle() {
		return
	}
	for ; r.at < len(r.covered); r.at++ {
		c := r.covered[r.at]
		l := s.logs[c.Log]
		if l == nil || l.damaged || l.synced >= c.Seq {
			continue // a log that is gone is released by its deletion
		}
		s.want(l)
		return
	}
	r.waiting = true
	s.checkpoint(func(err error) { r.claimed = err == nil })
}

// endRecycle tells the journal what the checkpoints say. It is false as long as they cannot speak for one of the logs: another round does when they can.
func (s *Store) endRecycle() bool {
	r := &s.recycle
	for _, c := range r.covered {
		l := s.logs[c.Log]
		if l == nil || l.damaged || s.claimable(l) {
			continue
		}
		s.want(l)
		if l.unsaid || l.lastCut > s.journal.DurableSeq() {
			s.journal.Extend() // what ends that is in the queue itself
		}
		return false
	}
	for _, c := range r.covered {
		if l := s.logs[c.Log]; l != nil && !l.damaged {
			s.journal.Safe(c.Log, l.checkpointedSeq)
			if l.lastCut > s.journal.DurableSeq() {
				s.journal.Extend() // the file is held by a truncation that is in the queue itself
			}
		}
	}
	*r = recycle{covered: r.covered[:0]}
	return true
}

// beginRecycle looks whether there is a file to free, and asks for the syncs of all its logs at once.
func (s *Store) beginRecycle() bool {
	if !s.journal.Pressing() {
		return false
	}
	all := s.release(s.journal.Oldest())
	if !s.journal.Pressing() {
		return false
	}
	if len(all) == 0 {
		// Only logs that are being deleted, or are damaged, hold the file, and what that waits for may be in the queue itself.
		s.journal.Extend()
		return false
	}
	s.recycle = recycle{covered: all}
	for _, c := range all {
		if l := s.logs[c.Log]; l.synced < c.Seq {
			s.want(l)
		}
	}
	return true
}
