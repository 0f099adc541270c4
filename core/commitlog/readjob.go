package commitlog

import (
	"errors"
	"fmt"

	"lignum/core/env"
	"lignum/core/record"
)

// ReadJob finds batches in the files of one segment.
type ReadJob struct {
	view    view
	request ReadRequest
	until   record.Offset // the read ends below it
	exact   bool          // until is where the file ends

	generation uint64
	scratch    env.Buffer

	file             env.File // the result's, with a reference of its own
	position, length int64
	more             bool // see ReadResult
	past             bool // the segment has no batch that reaches From
	badIndex         bool
	err              error
}

// Run does the work. Jobs only.
func (j *ReadJob) Run() {
	if j.err = j.view.open(); j.err == nil {
		j.err = j.find()
	}
	if j.err == nil && j.length > 0 {
		j.file = j.view.files.log
		j.file.Retain()
	}
	j.view.done()
}

func (j *ReadJob) find() error {
	from, first, err := j.view.seek(j.request.From, j.scratch.Bytes(), &j.badIndex)
	if err != nil {
		return err
	}
	if first == 0 {
		j.past = true
		return nil
	}
	limit := int64(j.request.MaxBytes)
	if limit < first {
		if !j.request.AtLeastOne {
			limit = 0
		} else {
			limit = first
		}
	}
	end := j.view.size
	if !j.exact && limit > 0 {
		if end, err = j.view.endBelow(j.until, from, from+limit, j.scratch.Bytes()); err != nil {
			return err
		}
	}
	j.position, j.length = from, max(min(end-from, limit), 0)
	j.more = j.until < j.request.UpTo || end-from > limit
	return nil
}

// seek finds the first batch that reaches the offset: its position and size; size 0 if there is none. What the index says is
// checked against the batch; if it cannot be right, the segment is walked from its start.
func (v *view) seek(o record.Offset, block []byte, badIndex *bool) (pos, n int64, err error) {
	last, start, err := v.floorPosition(o, block)
	if errors.Is(err, errIndex) {
		*badIndex, err = true, nil
	}
	if err != nil {
		return 0, 0, err
	}
	first := true
	visit := func(h header, at int64) (bool, error) {
		if first && start > 0 && h.LastOffset() != last {
			return false, errIndex
		}
		first = false
		if h.NextOffset() > o {
			pos, n = at, int64(h.size())
			return false, nil
		}
		return true, nil
	}
	if start >= v.size && start > 0 {
		err = errIndex
	} else {
		err = v.walk(block, start, visit)
	}
	if start > 0 && first && err != nil && (errors.Is(err, errIndex) || errors.Is(err, ErrCorrupt)) {
		*badIndex, start = true, 0
		err = v.walk(block, 0, visit)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", join(v.dir, fileName(v.base, logSuffix)), err)
	}
	return pos, n, nil
}

// errIndex says that an index entry does not fit the batch it points to, or cannot be read.
var errIndex = errors.New("index entry does not fit")

// walk is walk over the segment. It refuses a batch that lies about its offsets, as far as its neighbours and the segment's borders tell:
// what is unreadable must not pass for a gap.
func (v *view) walk(block []byte, from int64, visit func(h header, at int64) (more bool, err error)) error {
	low := v.base
	return walk(v.files.log, block, from, v.size, func(h header, at int64) (bool, error) {
		if h.BaseOffset() < low || (h.NextOffset() > v.next && !v.loose) {
			return false, fmt.Errorf("%w: batch at %d: it says that it holds the offsets %d to %d, which belong between %d and %d",
				ErrCorrupt, at, h.BaseOffset(), h.LastOffset(), low, v.next-1)
		}
		low = h.NextOffset()
		return visit(h, at)
	})
}

// endBelow finds where the batches end that lie wholly below the offset, but looks no further than limit.
func (v *view) endBelow(o record.Offset, from, limit int64, block []byte) (int64, error) {
	last, start, err := v.floorPosition(o, block)
	if err != nil && !errors.Is(err, errIndex) {
		return 0, err
	}
	if start >= limit && start < v.size {
		return limit, nil
	}
	if start < from || start >= v.size {
		start = from
	}
	end, good := v.size, from
	visit := func(h header, at int64) (bool, error) {
		if at == start && at > from && h.LastOffset() != last {
			return false, errIndex
		}
		across := h.BaseOffset() < o && h.NextOffset() > o // if the next one says so too
		switch {
		case h.NextOffset() <= o:
			good = at + int64(h.size())
		case end == v.size:
			end = at
		}
		return at < limit && (end == v.size || across), nil
	}
	err = v.walk(block, start, visit)
	if err != nil && start > from {
		start, end, good = from, v.size, from
		err = v.walk(block, from, visit)
	}
	if errors.Is(err, ErrCorrupt) && good > from {
		end, err = good, nil // the next read says what is wrong behind it
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", join(v.dir, fileName(v.base, logSuffix)), err)
	}
	return end, nil
}

// Finish takes back a job that has run. Like Read it returns a result, or another job where the segment had no such batch.
func (l *Log) Finish(j *ReadJob) (ReadResult, *ReadJob, error) {
	j.scratch.Release()
	s := l.landedView(&j.view, j.generation, j.badIndex)
	r := j.request
	switch {
	case j.err != nil && (s == nil || j.generation != l.generation):
		r.UpTo = min(r.UpTo, l.end)
		if r.From < l.ReadableStart() || r.From > l.end {
			return ReadResult{}, nil, fmt.Errorf("%w: %d was removed meanwhile", ErrOutOfRange, r.From)
		}
		return l.read(r, r.From)
	case j.err != nil:
		return ReadResult{}, nil, j.err
	case j.past:
		return l.read(r, max(j.until, r.From))
	case j.length == 0:
		return ReadResult{More: j.more}, nil, nil
	}
	length := j.length
	if s != nil && j.generation == l.generation {
		length = s.trail.cut(j.position, j.length)
	}
	return ReadResult{File: j.file, Position: j.position, Length: length, More: j.more || length < j.length}, nil, nil
}

// landedView takes back what a job had of a segment, and returns the segment if it is still there.
func (l *Log) landedView(v *view, generation uint64, badIndex bool) *segment {
	s := l.segmentAt(v.base)
	l.keep(v, s, generation)
	if badIndex && s != nil && generation == l.generation {
		l.mend(s)
	}
	return s
}

// segmentAt is the segment with that base; nil if there is none.
func (l *Log) segmentAt(base record.Offset) *segment {
	if s := l.floorSegment(base); s != nil && s.base == base {
		return s
	}
	return nil
}

// keep takes over the files that a job has opened. Since a truncation their names may be other files'.
func (l *Log) keep(v *view, s *segment, generation uint64) {
	if v.opened == (coldFiles{}) {
		return
	}
	l.cold.put(l, v.base, v.opened)
	if s == nil || l.closed || l.failure != nil || generation != l.generation {
		l.cold.forget(l, v.base)
	}
}

// mend has the indexes of a segment built anew by the next Writes. The active segment is completed first.
func (l *Log) mend(s *segment) {
	if s.mended || s.damaged || s.settle || s.cutting > 0 || l.failure != nil || l.closed {
		return
	}
	if !s.sealed {
		l.roll(s.next, s.next, AppendInfo{Wall: s.recvWall})
	}
	s.mended = true
	l.lagging = append(l.lagging, s)
}
