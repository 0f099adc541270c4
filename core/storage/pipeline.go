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
	from   record.Offset // where the batches go
	seq    uint64        // last entry in the journal whose effect is in the log's own files with this
	// cut: it starts with a truncation, and is entered in the journal when that is durable on disk (S2). late: it follows one that is not
	// entered yet.
	cut, late bool
}

// ack is what happens when the journal is durable up to a sequence.
type ack struct {
	seq    uint64
	log    *Log              // nil: a deletion
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
	s.startTurn() // a log of which all was synced already may have files to remove: nothing else has a drain follow that
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
		it := item{log: l, writes: w, bytes: l.pending, from: l.taken}
		l.taken, l.pending = w.Mark().End, 0
		s.noteCut(&it)
		if s.journal != nil && !it.cut && !it.late {
			s.enter(&it)
		}
		t.items = append(t.items, it)
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

// noteCut finds out whether the item takes back something that was taken before. What follows it then waits with it.
func (s *Store) noteCut(it *item) {
	l := it.log
	cut, ok := it.writes.Truncates()
	l.cut = false
	switch {
	case ok && cut.Restart, ok && cut.To < it.from:
		it.cut, it.from = true, cut.To
		l.base, l.known = min(l.base, cut.To), min(l.known, cut.To)
		l.behind++
		l.cutsOut++
	case l.behind > 0:
		it.late = true
		l.behind++
	}
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
	for i := range t.items {
		it := &t.items[i]
		l := it.log
		s.unwritten -= it.bytes
		if it.cut || it.late {
			it.writes.Retain() // for the journal
		}
		if err := l.Log.Wrote(it.writes); err != nil {
			if !corrupt(err) {
				s.fail(err)
				continue
			}
			if it.cut || it.late {
				it.writes.Release()
			}
			s.damage(l, err)
			continue
		}
		s.wroteCut(it)
		s.memory.count(l)
		s.touch(l)
		s.collectDeletes(l)
		s.boundRolled(l)
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

// wroteCut keeps what must not be entered before a truncation is durable, and asks for the sync that makes it so.
func (s *Store) wroteCut(it *item) {
	l := it.log
	if !it.cut && !it.late {
		l.written = it.seq
		return
	}
	if it.cut {
		l.cutsOut--
	}
	l.late = append(l.late, *it)
	if s.journal == nil || l.gone || !it.cut && len(l.late) == 1 {
		s.enterLate(l, 1)
		return
	}
	s.want(l)
}

// enterLate enters the first n of what waited for a sync, and what follows up to the next truncation, whose sync is still to come.
func (s *Store) enterLate(l *Log, n int) {
	for n < len(l.late) && !l.late[n].cut {
		n++
	}
	if n == 0 {
		return
	}
	for i := range l.late[:n] {
		it := &l.late[i]
		if s.journal != nil && !l.gone {
			s.enter(it)
		}
		it.writes.Release()
	}
	l.late = slices.Delete(l.late, 0, n)
	l.behind -= n
	l.written = l.last
	if len(l.late) > 0 {
		s.want(l)
	}
}

// enter puts what the Writes holds into the journal, if the log belongs there.
func (s *Store) enter(it *item) {
	l, w := it.log, it.writes
	defer func() { it.seq = l.last }()
	cut, _ := w.Truncates()
	if it.cut && (l.joined || l.last > s.journal.DurableSeq() || s.remembered(l.id)) {
		kind := journal.Truncate
		if cut.Restart {
			kind = journal.Reset
		}
		s.enterEntry(l, journal.Entry{Kind: kind, Offset: cut.To}.Behind(w.Mark().Truncations()))
		l.lastCut = l.last
	}
	if l.policy == config.Async {
		l.joined, l.gate, l.hasMark = false, 0, false
		return
	}
	batches := w.Batches()
	if len(batches) == 0 {
		if _, cuts := w.Truncates(); cuts && l.joined {
			s.awaitMark(l, w) // no mark from before the cut counts any more
		}
		return
	}
	if !l.joined {
		s.join(l, it.from)
	}
	s.enterEntry(l, journal.Entry{Kind: journal.Append, Offset: it.from, Epoch: epochOf(batches), Data: batches})
	s.awaitMark(l, w)
}

// awaitMark has the log count as durable what it holds with the Writes, once the journal has its last entry.
func (s *Store) awaitMark(l *Log, w *commitlog.Writes) {
	if l.last <= s.journal.DurableSeq() {
		l.reached, l.hasMark = w.Mark(), true
		l.count()
		s.touch(l)
		return
	}
	w.Retain()
	s.acks = append(s.acks, ack{seq: l.last, log: l, writes: w})
}

// count passes on how far the journal has the log, if that counts by now.
func (l *Log) count() {
	if l.joined && l.gate == 0 && l.hasMark {
		l.Log.Journaled(l.reached)
		l.hasMark = false
	}
}

// epochOf reads the leader epoch of the first batch.
func epochOf(batches [][]byte) record.Epoch {
	const at = 12
	return record.Epoch(binary.BigEndian.Uint32(batches[0][at:]))
}

func (s *Store) enterEntry(l *Log, e journal.Entry) {
	e.Log = l.id
	l.last = s.journal.Add(e)
}

// join makes the journal hold the log from the offset on. What is below must be durable in the log's own files before anything above
// counts (S3). So must be the end of a cut that the process before began: power could bring back what it has taken, in the place of what follows.
func (s *Store) join(l *Log, at record.Offset) {
	l.joined, l.base = true, at
	s.enterEntry(l, journal.Entry{Kind: journal.Join, Offset: at})
	l.gate = gateShut
	if l.RecoveryPoint() < at || l.unsaid {
		s.want(l)
		return
	}
	s.anchor(l)
	if l.known >= at {
		l.gate = 0
	}
}

// say has the journal hold a log from here on, if nothing durable tells how much of it was durable: it was opened behind an unclean stop, and does not end
// where the journal does, or it was under async.
func (s *Store) say(l *Log) {
	if s.journal != nil && !l.joined && !l.gone && !l.damaged && l.policy != config.Async && l.known < l.taken && !l.cut && l.behind == 0 {
		s.join(l, l.taken)
	}
}

// anchor is called when a sync of the log has ended: it opens the gate once the journal knows that the sync has been.
func (s *Store) anchor(l *Log) {
	if l.gone || l.gate != gateShut || l.RecoveryPoint() < l.base {
		return
	}
	s.enterAnchor(l)
	l.gate = l.last
	s.acks = append(s.acks, ack{seq: l.last, log: l})
}

// enterAnchor says that what is below the Join is durable in the log's own files.
func (s *Store) enterAnchor(l *Log) {
	s.enterEntry(l, journal.Entry{Kind: journal.Anchor, Offset: l.base}.Behind(l.RecoveryMark().Truncations()))
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
	if l == nil {
		a.done(nil)
		return
	}
	if a.writes != nil {
		l.reached, l.hasMark = a.writes.Mark(), true
		a.writes.Release()
	}
	if l.gate <= durable {
		if l.joined && l.gate > 0 {
			l.known = max(l.known, l.base)
		}
		l.gate = 0
		l.unsaid = l.unsaid && !l.joined // an anchor ends what older entries say
	}
	l.count()
	s.touch(l)
	if a.done != nil {
		a.done(nil)
	}
}

// startPrepare runs the next background step of the journal.
func (s *Store) startPrepare() {
	if s.state == stopping && s.stopper.step != draining {
		return // the journal is about to be closed; before, a commit may need the file
	}
	p := s.journal.TakePrepare()
	if p == nil {
		return
	}
	s.preparing = true
	s.Jobs.Start(lanePrepare, func() func() {
		p.Run()
		return func() {
			s.preparing = false
			if err := s.journal.Prepared(p); err != nil {
				s.fail(err)
			}
		}
	})
}
