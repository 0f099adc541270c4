package commitlog

import (
	"slices"

	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Writes is everything that was decided since the last TakeWrites, to be done on disk in this order: files of removed segments are
// renamed away, then each segment's data and index entries are written, files are cut, and new files are made.
//
// It has one reference; Wrote drops it. Whoever needs Batches for longer, as the journal does, holds another one.
type Writes struct {
	lane    *writer
	mark    Mark
	end     record.Offset // what the log may count as written with it; a later truncation lowers it
	cut     truncation
	removes []record.Offset
	parts   []part
	batches [][]byte
	bufs    []env.Buffer
	scratch []byte // index entries and the like of all parts
	closing []env.File
	rebuild *producers.State // empty state to rebuild the producers in; nil: not wanted
	asOf    record.Offset    // which offset to rebuild them for
	refs    int

	err     error
	rebuilt bool
	removed []string // names that end in .deleted
}

// part is what one segment gets.
type part struct {
	segment *segment // for the loop alone
	base    record.Offset
	next    record.Offset // if settling: where the segment ends
	create  bool
	settle  bool  // cut the file at next and build its indexes anew
	mend    bool  // nothing is to be cut: only the indexes are bad
	at      int64 // where the batches go
	end     int64 // size of the file with them; 0 if there are none
	batches span
	snap    span // producer snapshot to be written with the creation
	hasSnap bool
	index   patch
	times   patch
	txns    patch

	interval int64
	opened   env.File // for the loop
	settled  settled
	damaged  bool // the batches themselves are bad: all is left as it was
}

// span is a range of one of the slices of a Writes.
type span struct{ lo, hi int }

// patch is a range of scratch and the position in a file where it goes.
type patch struct {
	span
	at int64
}

// settled is what a cut has found.
type settled struct {
	size, index, times, txns int64
	maxTime                  int64
	maxLast                  record.Offset
}

// Batches are the bytes of the appended batches in order, for the journal. They are valid as long as a reference is held.
func (w *Writes) Batches() [][]byte { return w.batches }

// Mark is the log end that the Writes reaches, for Journaled.
func (w *Writes) Mark() Mark { return w.mark }

// Truncation says where a log was cut.
type Truncation struct {
	To      record.Offset
	Restart bool // the log was emptied and starts at To
}

// Truncates reports whether the Writes starts with a truncation. The journal notes it before the batches.
func (w *Writes) Truncates() (Truncation, bool) {
	if w.cut.restarts {
		return Truncation{To: w.cut.restart, Restart: true}, true
	}
	return Truncation{To: w.cut.to}, w.cut.due
}

// Retain adds a reference. Loop only, as is Release.
func (w *Writes) Retain() { w.refs++ }

// Release drops a reference.
func (w *Writes) Release() {
	if w.refs--; w.refs > 0 {
		return
	}
	for _, b := range w.bufs {
		b.Release()
	}
	clear(w.bufs)
	clear(w.batches)
	clear(w.parts)
	w.bufs, w.batches, w.parts = w.bufs[:0], w.batches[:0], w.parts[:0]
}

// TakeWrites hands out what is to be done on disk; nil if there is nothing. Several may be outstanding: they run in the order in which
// they were taken, on one lane, and are given back to Wrote in that order.
func (l *Log) TakeWrites() *Writes {
	if l.failure != nil || l.closed || !l.due() {
		return nil
	}
	w := l.spare
	if w == nil || w.refs > 0 {
		w = &Writes{}
	}
	l.spare = nil
	*w = Writes{
		lane: l.lane, mark: Mark{l.end, l.generation}, end: l.end, cut: l.truncation, refs: 1,
		parts: w.parts, batches: w.batches, bufs: w.bufs, scratch: w.scratch[:0],
		removes: l.removes, closing: l.closing,
	}
	l.removes, l.closing = nil, nil
	l.truncation = truncation{marked: l.truncation.marked}
	if l.stale && w.cut.due {
		w.rebuild, w.asOf = l.producers.New(), l.staleFrom
	}
	from := len(l.segments) - 1
	for from > 0 && l.segments[from-1].due() {
		from--
	}
	for _, s := range l.lagging {
		if !s.dead && s.due() && s.base < l.segments[from].base {
			w.add(s)
		}
	}
	l.lagging = nil
	for _, s := range l.segments[from:] {
		w.addData(&l.ring, s)
		w.add(s)
	}
	l.outstanding = append(l.outstanding, w)
	return w
}

// due reports whether there is anything to write.
func (l *Log) due() bool {
	return l.active().due() || l.truncation.due || l.truncation.unmark || len(l.removes) > 0 || len(l.lagging) > 0
}

// addData takes the batches of the segment that are not taken yet.
func (w *Writes) addData(r *ring, s *segment) {
	p := part{at: s.taken, end: s.size, batches: span{len(w.batches), len(w.batches)}}
	for _, c := range r.chunks {
		if c.segment != s || c.pos+int64(c.used) <= s.taken {
			continue
		}
		from := max(s.taken-c.pos, 0)
		c.buf.Retain()
		w.bufs = append(w.bufs, c.buf)
		w.batches = append(w.batches, c.data[from:c.used:c.used])
		p.batches.hi++
	}
	s.taken = s.size
	w.parts = append(w.parts, p)
}

// add takes the rest of what the segment waits for, into the part that addData has made or a new one.
func (w *Writes) add(s *segment) {
	n := len(w.parts)
	if n == 0 || w.parts[n-1].segment != nil {
		w.parts = append(w.parts, part{})
		n++
	}
	p := &w.parts[n-1]
	p.segment, p.base, p.next, p.interval = s, s.base, s.next, s.interval
	p.create, p.settle, p.mend = !s.created, s.settle || s.mended, !s.settle && s.mended
	if s.entriesDue() {
		p.index, p.times = w.patch(&s.index), w.patch(&s.times)
	}
	p.txns = w.patch(&s.txns)
	if p.create {
		p.hasSnap = s.snapshot != nil
		p.snap = w.keep(s.snapshot)
		s.snapshot = nil
	}
	if p.settle {
		s.cutting++
	}
	s.created, s.settle, s.mended = true, false, false
}

func (w *Writes) keep(p []byte) span {
	lo := len(w.scratch)
	w.scratch = append(w.scratch, p...)
	return span{lo, len(w.scratch)}
}

func (w *Writes) patch(t *table) patch {
	p := patch{w.keep(t.fresh), t.at()}
	t.fresh = t.fresh[:0]
	return p
}

func (w *Writes) bytes(s span) []byte { return w.scratch[s.lo:s.hi] }

// Wrote takes back the oldest outstanding Writes, which has run. An error is final: the log has failed.
func (l *Log) Wrote(w *Writes) error {
	if len(l.outstanding) == 0 || l.outstanding[0] != w {
		invariant.Violated("log %s: Writes given back out of order", l.id)
	}
	l.outstanding = slices.Delete(l.outstanding, 0, 1)
	for i := range w.parts {
		l.landed(&w.parts[i], w.err)
	}
	l.unlinks = append(l.unlinks, w.removed...)
	if w.err == nil {
		l.finish(w)
	}
	err := w.err
	l.spare = w
	w.Release()
	if err != nil {
		return l.fail(err)
	}
	return l.failure
}

// finish moves the marks that a Writes without an error moves.
func (l *Log) finish(w *Writes) {
	if len(w.removed) > 0 || w.cut.due || w.cut.unmark {
		l.dirDirty = true
	}
	if l.failure != nil {
		return
	}
	l.written = max(l.written, w.end)
	if w.rebuilt && l.stale && w.mark.generation == l.generation {
		l.producers, l.stale = w.rebuild, false
		l.replay(w.asOf)
	}
	l.check()
}

// landed notes what became of one segment's part.
func (l *Log) landed(p *part, err error) {
	s := p.segment
	if p.opened != nil {
		if s.dead {
			l.retire(&p.opened)
		} else {
			l.adopt(s, &p.opened)
		}
	}
	if err != nil {
		return
	}
	if p.create {
		l.dirDirty = true
		s.snapDirty = p.hasSnap
	}
	if n := p.batches.hi - p.batches.lo; n > 0 {
		s.dirty = true
	}
	s.written = max(s.written, p.end)
	s.landedEntries(&s.index, p.index)
	s.landedEntries(&s.times, p.times)
	s.landedEntries(&s.txns, p.txns)
	s.aborted = s.aborted[min(p.txns.hi-p.txns.lo, len(s.aborted)):]
	switch {
	case p.damaged:
		s.cutting--
		s.damaged = true
	case p.settle:
		s.adjust(p.settled)
	}
}

// landedEntries notes entries that were written to an index file.
func (s *segment) landedEntries(t *table, p patch) {
	if p.hi > p.lo {
		t.written = max(t.written, p.at+int64(p.hi-p.lo))
		s.hintDirty = true
	}
}

// adopt takes over the file that the write lane has opened.
func (l *Log) adopt(s *segment, opened *env.File) {
	l.retire(&s.file)
	s.file, *opened = *opened, nil
}

// adjust takes over the sizes that a cut has found, unless another cut is to come.
func (s *segment) adjust(f settled) {
	s.cutting--
	if s.settle || s.cutting > 0 {
		return
	}
	s.size, s.taken, s.written = f.size, f.size, f.size
	s.index, s.times, s.txns = table{f.index, f.index, nil}, table{f.times, f.times, nil}, table{f.txns, f.txns, nil}
	s.maxTime, s.maxLast, s.lastTime = f.maxTime, f.maxLast, f.maxTime
}

// replay tells the producers of the batches that were appended from the offset on. They are all in memory: while the producers are
// unknown no chunk is given back.
func (l *Log) replay(from record.Offset) {
	for _, c := range l.ring.chunks {
		for at := c.locate(from); at < c.used; {
			h := header(c.data[at:])
			b := record.Batch(c.data[at : at+h.size()])
			at += h.size()
			l.apply(c.segment, b, noTime) // what records say of their time is the client's affair
		}
	}
}

// Journaled notes that the journal has made everything up to the mark durable. A mark from before a truncation says nothing: the
// Writes with the truncation, or one behind it, brings a new one.
func (l *Log) Journaled(m Mark) {
	if m.generation == l.generation {
		l.journaled = max(l.journaled, m.End)
	}
}
