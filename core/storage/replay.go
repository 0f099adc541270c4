package storage

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/journal"
	"lignum/core/record"
)

// replay applies the journal to the logs: a bounded piece at a time, each written before the next is read.
type replay struct {
	recovery *journal.Recovery
	entries  []journal.Entry
	at       int                         // next entry
	first    uint64                      // sequence of entries[0]
	rest     []byte                      // of an entry that was begun
	missing  map[record.Partition]uint64 // logs that have entries but no directory: the last sequence
}

// replayState is what the replay knows of one log.
type replayState struct {
	seen bool
	// end is where the log ends by what the journal said last.
	end record.Offset
	// short: the log turned out to end before the offset where it joined the journal, so nothing that follows can be put behind it. That is a loss
	// of nothing that was acknowledged, unless an Anchor says otherwise.
	short bool
	// fault: the log lacks records that were durable. A truncation below them heals it.
	fault   error
	deleted bool
	start   record.Offset // where the log shall start, if it reaches that far; 0: where it does
}

// readJournal reads the next piece.
func (s *Store) readJournal() {
	r := s.startup.replay
	s.Jobs.Start(laneJournal, func() func() {
		first := r.recovery.Seq() + 1
		entries, err := r.recovery.Read()
		return func() {
			switch {
			case errors.Is(err, io.EOF):
				s.replayed()
			case err != nil:
				s.fail(err)
			default:
				r.entries, r.at, r.first, r.rest = entries, 0, first, nil
				s.applyEntries()
			}
		}
	})
}

// applyEntries applies entries until one has to wait for a turn, or the piece is at its end.
func (s *Store) applyEntries() {
	r := s.startup.replay
	for ; r.at < len(r.entries); r.at++ {
		seq := r.first + uint64(r.at)
		if !s.apply(&r.entries[r.at], seq) {
			break
		}
	}
	s.startTurn()
	if s.turns == 0 && s.failure == nil {
		s.applied()
	}
}

// turnDone goes on when everything that was applied is written.
func (st *startup) turnDone(s *Store) {
	if s.turns == 0 && s.failure == nil && st.replay != nil {
		s.applied()
	}
}

func (s *Store) applied() {
	if r := s.startup.replay; r.at < len(r.entries) {
		s.applyEntries()
		return
	}
	s.memory.bound(s)
	s.readJournal()
}

// apply applies one entry. It is false if the entry, or its rest, has to wait until the log's writes are done.
func (s *Store) apply(e *journal.Entry, seq uint64) bool {
	r := s.startup.replay
	l := s.logs[e.Log]
	if l == nil {
		r.missing[e.Log] = seq
		if e.Kind == journal.Delete {
			delete(r.missing, e.Log)
		}
		return true
	}
	t := &l.replay
	t.seen, t.deleted = true, e.Kind == journal.Delete
	l.last = seq
	switch e.Kind {
	case journal.Append:
		return s.applyAppend(l, e)
	case journal.Truncate, journal.Join:
		l.cutTo(e.Offset)
		t.short = e.Kind == journal.Join && l.EndOffset() < e.Offset
	case journal.Reset:
		if l.StartOffset() != e.Offset || l.EndOffset() != e.Offset {
			l.TruncateFullyAndStartAt(e.Offset)
		}
		*t = replayState{seen: true, end: e.Offset}
	case journal.Start:
		t.start = e.Offset // the records in between may only come
	case journal.Anchor:
		if t.short && t.fault == nil {
			t.fault = fmt.Errorf("%s: the log ends at offset %d, but everything below %d was synced: %w", l.dir, l.EndOffset(), e.Offset, commitlog.ErrCorrupt)
		}
	case journal.Delete:
		t.fault, t.short = nil, false
	}
	return true
}

// cutTo makes the log end at the offset, as it did at this point of its life. What followed is in the journal as well (S2).
func (l *Log) cutTo(o record.Offset) {
	t := &l.replay
	t.end = o
	if o < t.start {
		t.start = 0
	}
	if o <= l.EndOffset() {
		t.fault, t.short = nil, false
	}
	if o < l.EndOffset() {
		l.TruncateTo(o)
	}
}

// applyAppend puts the batches behind the log's end that are not there yet.
func (s *Store) applyAppend(l *Log, e *journal.Entry) bool {
	r, t := s.startup.replay, &l.replay
	if r.rest == nil {
		if len(e.Data) == 0 {
			return true
		}
		r.rest = e.Data[0]
		if e.Offset > l.EndOffset() && !t.short && t.fault == nil {
			t.fault = fmt.Errorf("%s: the log ends at offset %d, but the journal goes on at %d: %w", l.dir, l.EndOffset(), e.Offset, commitlog.ErrCorrupt)
		}
	}
	for len(r.rest) > 0 {
		b, rest, err := record.Next(r.rest)
		if err != nil {
			t.fault = fmt.Errorf("%s: batch in the journal behind offset %d: %w", l.dir, t.end, err)
			break
		}
		if done, err := l.put(b); err != nil {
			t.fault = err
			break
		} else if !done {
			return false
		}
		r.rest, t.end = rest, b.NextOffset()
	}
	r.rest = nil
	return true
}

// put appends a batch of the journal if it is the next one. It is false if a truncation must be written first.
func (l *Log) put(b record.Batch) (bool, error) {
	t := &l.replay
	switch {
	case t.short || t.fault != nil || b.NextOffset() <= l.EndOffset():
		return true, nil
	case b.BaseOffset() < l.EndOffset() || b.LeaderEpoch() < l.LatestEpoch():
		// The log is ahead: it was cut, and went on, before the journal was told. What it holds now is what was decided last.
		t.short = true
		return true, nil
	}
	err := l.AppendAt(b, commitlog.AppendInfo{})
	if errors.Is(err, commitlog.ErrRebuilding) {
		return false, nil
	}
	return true, err
}

// replayed ends the replay: logs that lack something go offline, the journal goes on, and what is not covered by it is synced.
func (s *Store) replayed() {
	r := s.startup.replay
	deleted := s.startup.found.deleted
	s.journal = journal.New(r.recovery, s.Rand)
	for _, l := range slices.Clone(s.order) {
		t := &l.replay
		l.taken = l.EndOffset()
		switch {
		case t.deleted:
			deleted = append(deleted, l.dir)
			s.drop(l)
			s.journal.Safe(l.id, l.last)
		case t.fault != nil:
			s.drop(l)
			s.journal.Safe(l.id, l.last)
			s.setOffline(Offline{ID: l.id, Topic: l.topic, Dir: l.dir, Err: t.fault})
		default:
			s.resume(l)
		}
	}
	s.reportMissing(r)
	for _, dir := range deleted {
		s.planUnlink(unlinking{dir: dir}, 0)
	}
	s.ready(nil)
}

// resume lets a log go on where the journal left it.
func (s *Store) resume(l *Log) {
	t := &l.replay
	l.written = l.last
	l.bound = t.seen
	if t.seen && !t.short && t.end == l.EndOffset() {
		m := l.RecoveryMark()
		m.End = l.EndOffset()
		l.joined, l.base = true, t.end
		l.Journaled(m)
	}
	if t.start <= l.EndOffset() {
		l.Log.AdvanceStart(t.start)
	}
	l.highWatermark = max(l.StartOffset(), min(l.highWatermark, l.EndOffset()))
	l.replay = replayState{}
	s.markDirty(l)
	s.follow(l)
}

// reportMissing takes the partitions offline that the journal knows and the disk does not.
func (s *Store) reportMissing(r *replay) {
	var ids []record.Partition
	//house:anyorder sorted below
	for id := range r.missing {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, record.Partition.Compare)
	for _, id := range ids {
		s.journal.Safe(id, r.missing[id])
		err := fmt.Errorf("the journal holds records of partition %s, but its directory is missing: %w", id, commitlog.ErrCorrupt)
		s.offline = append(s.offline, Offline{ID: id, Err: err})
	}
}
