package commitlog

import (
	"slices"
	"sort"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// roll completes the active segment and begins the next one, for a batch with offsets from base to last. The new segment's base is
// the log end, unless that is too far below the batch for relative offsets.
func (l *Log) roll(base, last record.Offset, a AppendInfo) *segment {
	s := l.active()
	s.addTime()
	s.sealed = true
	l.receipts = true
	l.rolled++
	if at := l.end; last-at <= maxRelative {
		base = at
	}
	return l.begin(base, a.Wall)
}

// TakeRolled is how many segments were completed since the last call. Each keeps its file open until it is synced.
func (l *Log) TakeRolled() int {
	n := l.rolled
	l.rolled = 0
	return n
}

// begin adds an empty active segment. The producers' state goes with it as a snapshot, so that recovery can start there.
func (l *Log) begin(base record.Offset, wall env.Millis) *segment {
	if n := len(l.segments); n > 0 && l.segments[n-1].base >= base {
		invariant.Violated("log %s: segment %d after %d", l.id, base, l.segments[n-1].base)
	}
	s := &segment{
		indexer:     newIndexer(base, l.settings.IndexIntervalBytes),
		next:        base,
		createdWall: wall,
		recvWall:    wall,
	}
	if !l.stale && base > 0 {
		s.snapshot = l.producers.Snapshot()
	}
	l.limitAge(s)
	l.segments = append(l.segments, s)
	l.forgetTrail()
	return s
}

// TruncateTo removes everything from the offset on. The log goes on in a new segment. It decides at once; the next Writes does it
// on disk, durably, before anything that is appended later is written. If producers are known, they are empty until that Writes
// has been given back, see ErrRebuilding. A truncation below the log start leaves an empty log that starts there.
func (l *Log) TruncateTo(o record.Offset) {
	if l.epochs.TruncateFromEnd(o) {
		l.epochsDirty = true
	}
	if o >= l.end || l.failure != nil || l.closed {
		return
	}
	if o < l.segments[0].base {
		l.TruncateFullyAndStartAt(o)
		return
	}
	if l.stale {
		l.staleFrom = min(l.staleFrom, o)
	} else if !l.producers.Empty() {
		l.stale, l.staleFrom = true, o
		l.producers = l.producers.New()
	}
	wall := l.active().createdWall
	l.lower(o)
	in, pos, exact := l.ring.cutFrom(o)
	keep := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base >= o })
	for _, s := range l.segments[keep:] {
		l.discard(s)
	}
	l.segments = slices.Delete(l.segments, keep, len(l.segments))
	if keep > 0 && l.segments[keep-1].next > o {
		s := l.segments[keep-1]
		s.cutAt(o)
		if exact && in == s {
			s.size = pos
		}
		s.taken = min(s.taken, s.size)
	}
	l.start, l.end = min(l.start, o), o
	l.begin(o, wall)
	l.check()
}

// cutAt makes the segment end below the offset. What its indexes shall hold is found when the file is cut.
func (s *segment) cutAt(o record.Offset) {
	s.next, s.sealed, s.settle, s.trail = o, true, true, nil
	s.index.keep(0)
	s.times.keep(0)
	s.txns.keep(abortedBelow(s.txns.fresh, o))
	s.aborted = s.aborted[:abortedBelow(s.aborted, o)]
}

// keep forgets the fresh bytes but for the first n.
func (t *table) keep(n int) {
	t.size -= int64(len(t.fresh) - n)
	t.fresh = t.fresh[:n]
}

// TruncateFullyAndStartAt removes everything; the log is empty and starts at the offset.
func (l *Log) TruncateFullyAndStartAt(o record.Offset) {
	if l.failure != nil || l.closed {
		return
	}
	wall := l.active().createdWall
	l.lower(min(o, l.start))
	l.ring.cutFrom(0)
	for _, s := range l.segments {
		l.discard(s)
	}
	l.segments = l.segments[:0]
	l.producers, l.stale = l.producers.New(), false
	l.epochs.Clear()
	l.epochsDirty = true
	l.truncation.restarts, l.truncation.restart, l.truncation.marked, l.truncation.unmark = true, o, true, false
	l.start, l.end, l.written = o, o, o
	l.begin(o, wall)
	l.check()
}

// lower takes back every promise about offsets from o on, those of jobs that are under way included.
func (l *Log) lower(o record.Offset) {
	t := &l.truncation
	kept := l.kept.offset
	if l.syncing != nil {
		kept = max(kept, l.syncing.start.offset)
	}
	if o < l.recovery || o < kept {
		if synced := min(o, l.recovery); !t.mark || synced < t.synced {
			t.synced = synced
		}
		t.mark, t.marked, t.unmark = true, true, false
	}
	if !t.due || o < t.to {
		t.to = o
	}
	t.due = true
	l.generation++
	l.written = min(l.written, o)
	l.recovery = min(l.recovery, o)
	l.journaled = min(l.journaled, o)
	l.kept.offset = min(l.kept.offset, o)
	if l.syncing != nil {
		l.syncing.end = min(l.syncing.end, o)
	}
	for _, w := range l.outstanding {
		w.end = min(w.end, o)
	}
}

// discard takes the segment out of the log. Its files, if there are any, go with the next Writes.
func (l *Log) discard(s *segment) {
	s.dead = true
	if s.created {
		l.removes = append(l.removes, s.base)
	}
	l.cold.forget(l, s.base)
	l.retire(&s.file)
	l.receipts = true
}

// retire hands a file that may be open to a job that closes it.
func (l *Log) retire(f *env.File) {
	if *f != nil {
		l.closing = append(l.closing, *f)
		*f = nil
	}
}
