package commitlog

import (
	"hash/crc32"
	"slices"

	"lignum/core/commitlog/epochs"
	"lignum/core/record"
)

// found is what the files said when the log was opened. As long as that is still so, there is nothing to do at a close: of thousands of
// logs most have not changed since the last start.
type found struct {
	// intact: a clean stop or Create has left everything that a close leaves, and nothing was written to the files since.
	intact     bool
	first      record.Offset // base of the first segment
	active     record.Offset // of the last one
	end        record.Offset
	generation uint64
	state      uint32 // checksum of the producers' snapshot
	epochs     int    // entries that stand for records
	latest     epochs.Entry
}

// look notes what was found.
func (r *Recovery) look() found {
	f := found{
		intact: r.intact, first: r.segments[0].base, active: r.segments[len(r.segments)-1].base, end: r.end, generation: r.generation,
		state: crc32.ChecksumIEEE(r.producers.Snapshot()),
	}
	f.epochs, f.latest = withRecords(r.epochs, r.end)
	return f
}

// asFound reports whether a close would only write what is there already. An election behind which nothing was appended need not outlive
// a stop: the next leader has a later epoch, which begins at the same offset.
func (l *Log) asFound(state []byte) bool {
	f := &l.found
	if !f.intact || l.end != f.end || l.generation != f.generation || l.segments[0].base != f.first || l.active().base != f.active {
		return false
	}
	if l.written < l.end || l.dirDirty || l.startDue() || slices.ContainsFunc(l.segments, (*segment).unsettled) || crc32.ChecksumIEEE(state) != f.state {
		return false
	}
	n, latest := withRecords(l.epochs, l.end)
	return n == f.epochs && latest == f.latest
}

// unsettled reports whether a close has something to write or sync of the segment.
func (s *segment) unsettled() bool { return s.dirty || s.snapDirty || s.hintDirty }

// withRecords counts the epochs that began before the end, and returns the last of them.
func withRecords(c *epochs.Cache, end record.Offset) (n int, latest epochs.Entry) {
	for _, e := range c.Entries() {
		if e.Start < end {
			n, latest = n+1, e
		}
	}
	return n, latest
}
