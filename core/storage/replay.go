package storage

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/journal"
	"lignum/core/record"
)

// replay applies the journal to the logs. A first pass finds where each log was cut, so that the second one puts back nothing that was
// cut later: it only ever appends, a bounded piece at a time, each written before the next is read.
//
// What a log holds on disk is never older than its last cut in the journal, for a cut is journaled when it is durable on disk (S2). So
// whatever is below a log's end stays, and batches of the journal go behind it.
type replay struct {
	recovery *journal.Recovery
	plans    map[record.Partition]*plan
	entries  []journal.Entry
	first    uint64                       // sequence of entries[0]
	rests    []restOfLog                  // to be read before the journal
	keep     map[record.Partition]*keeper // whose entries are to be kept, because their logs cannot be used
}

// plan is what the first pass found out about one log.
type plan struct {
	cuts   []cut // in order of sequence
	last   uint64
	anchor record.Offset // everything below it is durable in the log's own files
	// truncations is how many the log had had by then, or at the last one that the journal has.
	truncations uint64
	most        record.Offset // no batch in the journal reaches beyond it
	end         record.Offset // where the log ended at the last entry
	epoch       record.Epoch  // of the last batch
	deleted     bool
	base        uint64 // entries that rest files hold: they come before the journal's
	fresh       bool   // the journal has some that none holds
	join        uint64 // sequence of the last Join
	void        uint64 // sequence of a Join that was never anchored: what follows it was never acknowledged, and counts for nothing
}

// cut says that everything from an offset on that was there at a point of the journal has gone, or does not need the journal.
type cut struct {
	seq    uint64
	offset record.Offset
}

// replayState is what the second pass knows of one log.
type replayState struct {
	cuts []cut // those to come
	void uint64
	end  record.Offset // where the log ends by what the journal said last
	// short: nothing more can be put behind the log's end until the journal comes to a cut at or below it. The log is ahead of the journal, or
	// lacks what was never durable.
	short bool
	// cutBack: a truncation that the journal may not know of explains why the log ends before its first entry.
	cutBack bool
	fault   error // the log lacks records that were durable
	deleted bool
	base    uint64        // entries of rest files
	seen    uint64        // those that have been applied
	start   record.Offset // where the log shall start: what is before it had to be put back with what follows
}

// readPlans is the first pass, behind what rest files say: a job.
func readPlans(r *journal.Recovery, plans map[record.Partition]*plan) error {
	for {
		seq := r.Seq()
		entries, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			seq++
			p := plans[e.Log]
			if p == nil {
				p = &plan{}
				plans[e.Log] = p
			}
			p.last = seq
			if e.Kind != journal.None {
				p.fresh = true
				p.note(e, p.base+seq)
			}
		}
	}
	//house:anyorder each by itself
	for _, p := range plans {
		slices.SortStableFunc(p.cuts, func(a, b cut) int { return cmp.Compare(a.seq, b.seq) })
		for i := len(p.cuts) - 2; i >= 0; i-- {
			p.cuts[i].offset = min(p.cuts[i].offset, p.cuts[i+1].offset) // nothing above the least cut to come is put back
		}
	}
	return nil
}

// note takes an entry into account.
func (p *plan) note(e *journal.Entry, seq uint64) {
	p.deleted = e.Kind == journal.Delete
	switch e.Kind {
	case journal.Append:
		if b, ok := lastBatch(e.Data); ok {
			p.end, p.epoch = b.NextOffset(), b.LeaderEpoch()
			p.most = max(p.most, p.end)
		}
	case journal.Truncate, journal.Reset:
		p.cuts = append(p.cuts, cut{seq, e.Offset})
		p.anchor, p.truncations, p.end = min(p.anchor, e.Offset), e.Truncations(), e.Offset
	case journal.Delete:
		p.cuts = append(p.cuts, cut{seq, 0})
		p.void, p.anchor, p.end = 0, 0, 0
	case journal.Join:
		p.join, p.end = seq, e.Offset
		if p.void == 0 {
			p.void = seq
		}
	case journal.Anchor:
		// Everything that was there at the Join is in the log's own files.
		p.cuts = append(p.cuts, cut{p.join, 0})
		p.void, p.anchor, p.truncations = 0, e.Offset, e.Truncations()
	}
}

// lastBatch finds the last batch of an entry.
func lastBatch(data [][]byte) (last record.Batch, ok bool) {
	for _, p := range data {
		for len(p) > 0 {
			b, rest, err := record.Next(p)
			if err != nil {
				return last, ok
			}
			last, p, ok = b, rest, true
		}
	}
	return last, ok
}

// beginReplay starts the second pass.
func (s *Store) beginReplay() {
	r, complete := s.startup.replay, len(s.startup.replay.keep) == 0
	for _, l := range s.order {
		l.taken, l.replay.end = l.EndOffset(), l.EndOffset()
		if p := r.plans[l.id]; p != nil {
			l.replay.cuts, l.replay.void, l.replay.base, l.last = p.cuts, p.void, p.base, p.last
			complete = complete && l.EndOffset() >= p.most
		}
	}
	if !complete {
		r.rests = s.openRests()
		r.recovery.Rewind()
		s.readNext()
		return
	}
	// As after the end of a process alone: all that is in the journal is in the logs.
	for _, l := range s.order {
		if p := r.plans[l.id]; p != nil {
			l.replay.end, l.replay.short, l.replay.deleted = p.end, p.void != 0, p.deleted
		}
	}
	s.replayed()
}

// readJournal reads the next piece.
func (s *Store) readJournal() {
	r := s.startup.replay
	s.Jobs.Start(laneJournal, func() func() {
		first := r.recovery.Seq() + 1
		entries, err := r.recovery.Read()
		if failed := r.keepEntries(entries, errors.Is(err, io.EOF)); failed != nil {
			err = failed
		}
		return func() {
			switch {
			case errors.Is(err, io.EOF):
				s.kept()
				s.replayed()
			case err != nil:
				s.fail(err)
			default:
				r.entries, r.first = entries, first
				s.applyEntries()
			}
		}
	})
}

// applyEntries applies the piece; what it appends must be written before the next one is read.
func (s *Store) applyEntries() {
	r := s.startup.replay
	for i := range r.entries {
		if l := s.logs[r.entries[i].Log]; l != nil && r.entries[i].Kind != journal.None {
			s.apply(l, &r.entries[i], l.replay.base+r.first+uint64(i))
		}
	}
	s.startTurn()
	s.startup.turnDone(s)
}

// turnDone goes on when everything that was applied is written.
func (st *startup) turnDone(s *Store) {
	if s.turns == 0 && s.failure == nil && st.replay != nil {
		s.memory.bound(s)
		s.readNext()
	}
}

// apply applies one entry.
func (s *Store) apply(l *Log, e *journal.Entry, seq uint64) {
	t := &l.replay
	for len(t.cuts) > 0 && t.cuts[0].seq <= seq {
		t.cuts = t.cuts[1:]
	}
	t.deleted = e.Kind == journal.Delete
	if t.void != 0 && seq >= t.void && (e.Kind == journal.Append || e.Kind == journal.Join) {
		t.short = true
		return
	}
	switch e.Kind {
	case journal.Append:
		l.putBack(e)
	case journal.Truncate, journal.Join, journal.Reset:
		t.end, t.short = e.Offset, l.EndOffset() < e.Offset
	case journal.Delete:
		t.end, t.start, t.short = 0, 0, false
	}
}

// limit is the least offset of the cuts to come: what is not below it goes again.
func (t *replayState) limit() record.Offset {
	if len(t.cuts) == 0 {
		return 1<<63 - 1
	}
	return t.cuts[0].offset
}

// putBack puts those batches of an entry behind the log's end that are not there yet.
func (l *Log) putBack(e *journal.Entry) {
	t := &l.replay
	if e.Offset > l.EndOffset() && e.Offset < t.limit() && !t.short {
		t.short = true
		if !t.cutBack && t.fault == nil {
			t.fault = fmt.Errorf("%s: the log ends at offset %d, but the journal goes on at %d: %w", l.dir, l.EndOffset(), e.Offset, commitlog.ErrCorrupt)
		}
	}
	for _, p := range e.Data {
		for len(p) > 0 {
			b, rest, err := record.Next(p)
			if err == nil && !t.short && b.NextOffset() > l.EndOffset() && b.NextOffset() <= t.limit() {
				err = l.putBatch(b)
			}
			if err != nil {
				t.short, t.fault = true, fmt.Errorf("%s: batch in the journal behind offset %d: %w", l.dir, t.end, err)
				return
			}
			t.end, p = b.NextOffset(), rest
		}
	}
}

// putBatch appends the next batch. Where the log has gone on with a later leader, or with other batches, it was cut before the journal was told; what it
// holds is what was decided last.
func (l *Log) putBatch(b record.Batch) error {
	if at := l.StartOffset(); at == l.EndOffset() && b.BaseOffset() < at {
		// The start lies within this batch, and all the log had was lost: it has to begin with the whole batch.
		l.replay.start = max(l.replay.start, at)
		l.Log.TruncateFullyAndStartAt(b.BaseOffset())
	}
	if b.BaseOffset() < l.EndOffset() || b.LeaderEpoch() < l.LatestEpoch() {
		l.replay.short = true
		return nil
	}
	return l.AppendAt(b, commitlog.AppendInfo{})
}

// replayed ends the replay: logs that lack something go offline, the journal goes on, and what it does not cover is synced.
func (s *Store) replayed() {
	r := s.startup.replay
	s.journal = journal.New(r.recovery, s.Rand)
	for _, l := range slices.Clone(s.order) {
		t := &l.replay
		switch {
		case t.deleted:
			s.drop(l)
			r := &removal{id: l.id, dir: l.dir, done: func(error) {}}
			s.deleting = append(s.deleting, r)
			s.end(r, l)
		case t.fault != nil:
			s.drop(l)
			s.setOffline(Offline{ID: l.id, Topic: l.topic, Dir: l.dir, Err: t.fault})
		default:
			s.resume(l, r.plans[l.id])
		}
	}
	s.endDeleted(r)
	s.releaseMissing(r)
	for _, dir := range s.startup.found.deleted {
		s.planUnlink(unlinking{dir: dir}, 0)
	}
	s.ready(nil)
}

// resume lets a log go on where the journal left it.
func (s *Store) resume(l *Log, p *plan) {
	t := &l.replay
	l.written = l.last
	// With the same end and the same epoch of the last record the journal holds what the log holds, and not what was there before a truncation. A log
	// whose start was put back with it must be synced, so that the start is durable again before anybody reads (R3).
	if p != nil && !t.short && !t.cutBack && t.start == 0 && t.end == l.EndOffset() && l.EpochAt(t.end-1) == p.epoch {
		m := l.RecoveryMark()
		m.End = l.EndOffset()
		l.joined, l.base = true, t.end
		l.Journaled(m)
	}
	if t.start <= l.EndOffset() {
		l.Log.AdvanceStart(t.start)
	}
	l.highWatermark = max(l.StartOffset(), min(l.highWatermark, l.EndOffset()))
	l.unsaid = t.short || t.cutBack
	if s.rests[l.id] != nil {
		l.restEnd = l.EndOffset()
		s.want(l)
	}
	l.replay = replayState{}
	s.markDirty(l)
	s.follow(l)
	s.say(l)
}

// releaseMissing lets the journal forget the logs that are not in use. Those without a directory are reported, unless they were deleted.
func (s *Store) releaseMissing(r *replay) {
	var ids []record.Partition
	//house:anyorder sorted below
	for id := range r.plans {
		if s.logs[id] == nil && !slices.ContainsFunc(s.deleting, func(r *removal) bool { return r.id == id }) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, record.Partition.Compare)
	for _, id := range ids {
		p := r.plans[id]
		if s.rests[id] != nil && p.deleted && s.startup.found.unnamed[id.Index] == nil {
			s.dropRests(id, p.last)
			continue
		}
		s.journal.Safe(id, p.last)
		known := slices.ContainsFunc(s.offline, func(o Offline) bool { return o.ID == id })
		if !known && !p.deleted {
			err := fmt.Errorf("the journal holds records of partition %s, but its directory is missing: %w", id, commitlog.ErrCorrupt)
			if s.startup.found.unnamed[id.Index] != nil {
				err = fmt.Errorf("the journal holds records of partition %s, but its directory is not known: %w", id, s.startup.found.unnamed[id.Index])
			}
			s.offline = append(s.offline, Offline{ID: id, Err: err})
		}
	}
}
