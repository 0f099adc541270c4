package commitlog

import (
	"slices"
	"sort"

	"lignum/core/record"
)

// Bounds of what is remembered of where batches are in the files.
const (
	trailStep = 256 << 10 // bytes between two places at least, or a trailPart of a small segment
	trailPart = 64
	trailMost = 2048 // places of one segment; beyond, the older half is forgotten
	trailKept = 2    // segments of a log that have a trail, the last ones
)

// trail remembers where in a segment's file some of its batches begin. A reader that goes through a log is served from place to place
// without a look at the disk: the range of the file is known, and whoever sends it reads it.
type trail []place

// place says that a read from the offset on starts at pos: all batches before it lie below the offset.
type place struct {
	offset record.Offset
	pos    int64
}

// note remembers where a batch goes, if it is far enough behind the last place; end is the log end before it.
func (t *trail) note(end record.Offset, pos, segmentBytes int64) {
	if n := len(*t); n > 0 && pos < (*t)[n-1].pos+min(trailStep, segmentBytes/trailPart) {
		return
	}
	if len(*t) == trailMost {
		*t = slices.Delete(*t, 0, trailMost/2)
	}
	*t = append(*t, place{end, pos})
}

// at finds the place of exactly that offset; ok is false if there is none.
func (t trail) at(o record.Offset) (i int, ok bool) {
	i = sort.Search(len(t), func(i int) bool { return t[i].offset >= o })
	return i, i < len(t) && t[i].offset == o
}

// cut shortens a range of the file so that it ends at the last place within; it stays as it is if there is none.
func (t trail) cut(pos, n int64) int64 {
	i := sort.Search(len(t), func(i int) bool { return t[i].pos > pos+n })
	if i == 0 || t[i-1].pos <= pos {
		return n
	}
	return t[i-1].pos - pos
}

// follow serves a read that starts at a place and ends at another, or where the segment or its part on disk alone ends. It is not ok if
// the disk has to be asked.
func (l *Log) follow(r ReadRequest, s *segment, at, until record.Offset) (out ReadResult, ok bool) {
	i, found := s.trail.at(at)
	if !found || !s.settled() {
		return out, false
	}
	file := l.filesOf(s).data
	if file == nil {
		return out, false
	}
	from := s.trail[i].pos
	fits := func(p place) bool {
		return p.offset <= until && p.pos <= s.written && p.pos-from <= int64(r.MaxBytes)
	}
	rest := s.trail[i+1:]
	end := place{at, from}
	if k := sort.Search(len(rest), func(k int) bool { return !fits(rest[k]) }); k > 0 {
		end = rest[k-1]
	}
	if last, ok := l.ending(s); ok && last.pos > end.pos && fits(last) {
		end = last
	}
	if end.pos == from {
		return out, false
	}
	file.Retain()
	return ReadResult{File: file, Position: from, Length: end.pos - from, More: end.offset < r.UpTo}, true
}

// ending is where that part of the segment ends which is not in memory, if that is known.
func (l *Log) ending(s *segment) (place, bool) {
	if len(l.ring.chunks) > 0 {
		if c := l.ring.chunks[0]; c.segment == s {
			return place{c.lo, c.pos}, true
		}
	}
	return place{s.next, s.size}, s.sealed
}

// forgetTrail drops the trail of the segment that is now too old for one.
func (l *Log) forgetTrail() {
	if n := len(l.segments); n > trailKept {
		l.segments[n-1-trailKept].trail = nil
	}
}
