package storage

import (
	"encoding/binary"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/journal"
	"lignum/core/record"
)

// maxTurns is how many turns may be on the write lane: one that runs and one that follows it at once. While both are out,
// appends gather.
const maxTurns = 2

// turn is what one drain writes: a job.
type turn struct {
	items []item
}

// item is one log's part of a turn.
type item struct {
	log    *Log
	writes *commitlog.Writes
	bytes  int64
	seq    uint64 // last entry in the journal whose effect is in the log's own files with this
}

// ack is what happens when the journal is durable up to a sequence.
type ack struct {
	seq    uint64
	log    *Log
	writes *commitlog.Writes // held since the take, for its bytes; may be nil
	done   func(error)       // may be nil
}

// EndDrain starts what the drain has decided: writes, a commit, and background work.
func (s *Store) EndDrain() {
	if s.failure != nil || s.state == created || s.state == starting || s.state == stopped {
		return
	}
	s.startTurn()
	s.startCommit()
	s.startPrepare()
	s.continueRecycle()
	s.startSyncs()
	s.startCheckpoint()
	s.memory.bound(s)
	s.continueStop()
}

// startTurn takes the writes of all dirty logs.
func (s *Store) startTurn() {
	if len(s.dirty) == 0 || s.turns >= maxTurns {
		return
	}
	t := s.newTurn()
	for _, l := range s.dirty {
		l.dirty = false
		w := l.Log.TakeWrites()
		if w == nil {
			continue
		}
		if s.journal != nil {
			s.enter(l, w)
		}
		t.items = append(t.items, item{l, w, l.pending, l.last})
		l.taken, l.pending = w.Mark().End, 0
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
	if len(t.items) == 0 {
		s.spareTurns = append(s.spareTurns, t)
		return
	}
	s.turns++
	s.Jobs.Start(laneWrite, func() func() {
		for i := range t.items {
			t.items[i].writes.Run()
		}
		return func() { s.wrote(t) }
	})
}

func (s *Store) newTurn() *turn {
	if n := len(s.spareTurns); n > 0 {
		t := s.spareTurns[n-1]
		s.spareTurns = s.spareTurns[:n-1]
		return t
	}
	return &turn{}
}

// wrote takes back a turn.
func (s *Store) wrote(t *turn) {
	s.turns--
	for _, it := range t.items {
		l := it.log
		s.unwritten -= it.bytes
		if err := l.Log.Wrote(it.writes); err != nil {
			s.fail(err)
			continue
		}
		l.written = it.seq
		s.memory.count(l)
		s.touch(l)
		s.collectDeletes(l)
		s.follow(l)
	}
	clear(t.items)
	t.items = t.items[:0]
	s.spareTurns = append(s.spareTurns, t)
	if s.startup != nil {
		s.startup.turnDone(s)
	}
	s.notify()
}

// enter puts what the Writes holds into the journal, if the log belongs there.
func (s *Store) enter(l *Log, w *commitlog.Writes) {
	if l.bound && l.policy == config.Async && l.last <= s.journal.DurableSeq() && !s.journal.Holds(l.id) {
		l.bound, l.joined, l.gate = false, false, 0
	}
	if l.policy == config.Async && !l.bound {
		return
	}
	end, batches := l.taken, w.Batches()
	cut, isCut := w.Truncates()
	if isCut {
		end = cut.To
		if !cut.Restart {
			end = min(end, l.taken)
		}
		l.base = min(l.base, end)
	}
	if !isCut && len(batches) == 0 {
		return
	}
	if !l.joined {
		s.join(l, end)
	}
	switch {
	case cut.Restart:
		s.enterEntry(l, journal.Entry{Kind: journal.Reset, Offset: cut.To})
	case isCut:
		s.enterEntry(l, journal.Entry{Kind: journal.Truncate, Offset: cut.To})
	}
	if len(batches) > 0 {
		s.enterEntry(l, journal.Entry{Kind: journal.Append, Offset: end, Epoch: epochOf(batches), Data: batches})
	}
	w.Retain()
	s.acks = append(s.acks, ack{seq: l.last, log: l, writes: w})
}

// epochOf reads the leader epoch of the first batch.
func epochOf(batches [][]byte) record.Epoch {
	const at = 12
	return record.Epoch(binary.BigEndian.Uint32(batches[0][at:]))
}

func (s *Store) enterEntry(l *Log, e journal.Entry) {
	e.Log = l.id
	l.last = s.journal.Add(e)
	l.bound = true
}

// join makes the journal hold the log from the offset on. What is below must be durable in the log's own files before anything above
// counts (S3).
func (s *Store) join(l *Log, at record.Offset) {
	l.joined, l.base = true, at
	s.enterEntry(l, journal.Entry{Kind: journal.Join, Offset: at})
	if l.RecoveryPoint() >= at {
		l.gate = 0
		s.enterEntry(l, journal.Entry{Kind: journal.Anchor, Offset: at})
		return
	}
	l.gate = gateShut
	s.want(l)
}

// anchor is called when a sync of the log has ended: it opens the gate once the journal knows that the sync has been.
func (s *Store) anchor(l *Log) {
	if l.gone || l.gate != gateShut || l.RecoveryPoint() < l.base {
		return
	}
	s.enterEntry(l, journal.Entry{Kind: journal.Anchor, Offset: l.base})
	l.gate = l.last
	s.acks = append(s.acks, ack{seq: l.last, log: l})
}

// startCommit commits what is queued in the journal.
func (s *Store) startCommit() {
	c := s.journal.TakeCommit()
	if c == nil {
		return
	}
	s.committing = true
	s.Jobs.Start(laneJournal, func() func() {
		c.Run()
		return func() { s.committed(c) }
	})
}

// committed takes back a commit and releases exactly what it made durable.
func (s *Store) committed(c *journal.Commit) {
	s.committing = false
	if err := s.journal.Committed(c); err != nil {
		s.fail(err)
		return
	}
	durable := s.journal.DurableSeq()
	n := 0
	for n < len(s.acks) && s.acks[n].seq <= durable {
		n++
	}
	reached := append(s.reached[:0], s.acks[:n]...)
	s.acks = slices.Delete(s.acks, 0, n)
	for _, a := range reached {
		s.acked(a, durable)
	}
	clear(reached)
	s.reached = reached
	s.notify()
}

func (s *Store) acked(a ack, durable uint64) {
	l := a.log
	if a.writes != nil {
		l.reached, l.hasMark = a.writes.Mark(), true
		a.writes.Release()
	}
	if l.gate <= durable {
		l.gate = 0
	}
	if l.gate == 0 && l.hasMark {
		l.Log.Journaled(l.reached)
		l.hasMark = false
	}
	s.touch(l)
	if a.done != nil {
		a.done(nil)
	}
}

// startPrepare runs the next background step of the journal.
func (s *Store) startPrepare() {
	p := s.journal.TakePrepare()
	if p == nil {
		return
	}
	s.Jobs.Start(lanePrepare, func() func() {
		p.Run()
		return func() {
			if err := s.journal.Prepared(p); err != nil {
				s.fail(err)
			}
		}
	})
}
