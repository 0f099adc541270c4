package inspect

import (
	"encoding/binary"

	"lignum/core/record"
	"lignum/sim"
)

// checkIndexes holds the index files against the batches (L5): so that a look-up that starts from an entry ends where a scan would.
func (f *fold) checkIndexes(x *Inspector) {
	for i := f.fresh; i < len(f.segments); i++ {
		s := &f.segments[i]
		f.checkOffsets(x, s)
		f.checkTimes(x, s)
	}
}

// checkOffsets: each entry names an offset of the batch that begins at its position, and both rise.
func (f *fold) checkOffsets(x *Inspector, s *segment) {
	content, _ := x.peek(sim.Cached, f.dir+"/"+segmentName(s.base, indexEnd))
	all := f.batches[s.from:s.to]
	last, k := record.NoOffset, 0
	for i := 0; i+8 <= len(content); i += 8 {
		offset := s.base + record.Offset(binary.BigEndian.Uint32(content[i:]))
		position := int64(binary.BigEndian.Uint32(content[i+4:]))
		for k < len(all) && all[k].at < position {
			k++
		}
		sound := k < len(all) && all[k].at == position && all[k].first <= offset && offset <= all[k].last
		if !sound || offset <= last {
			x.check("L5", false, "%s/%d: index entry %d says that offset %d is at position %d", f.dir, s.base, i/8, offset, position)
		}
		last = offset
	}
	x.check("L5", true, "")
}

// checkTimes: each entry is the greatest timestamp up to the batch that it names, and that is the first batch to have it. The last entry of a complete
// segment speaks for all of it.
func (f *fold) checkTimes(x *Inspector, s *segment) {
	content, _ := x.peek(sim.Cached, f.dir+"/"+segmentName(s.base, timesEnd))
	all := f.batches[s.from:s.to]
	last, greatest, k := int64(record.NoTimestamp), int64(record.NoTimestamp), 0
	for i := 0; i+12 <= len(content); i += 12 {
		at := int64(binary.BigEndian.Uint64(content[i:]))
		offset := s.base + record.Offset(binary.BigEndian.Uint32(content[i+8:]))
		for k < len(all) && all[k].last < offset {
			greatest = max(greatest, all[k].maxTime)
			k++
		}
		sound := k < len(all) && all[k].last == offset && all[k].maxTime == at && greatest < at
		if !sound || at <= last {
			x.check("L5", false, "%s/%d: time index entry %d says that %d is the greatest timestamp up to offset %d", f.dir, s.base, i/12, at, offset)
		}
		last = at
	}
	x.check("L5", true, "")
	if !s.sealed {
		return
	}
	for _, b := range all[min(k, len(all)):] {
		greatest = max(greatest, b.maxTime)
	}
	x.check("L5", greatest <= last, "%s/%d: the time index of the complete segment ends with %d, its greatest timestamp is %d", f.dir, s.base, last, greatest)
}

// epochEnd is where an epoch ends, by scan.
func (f *fold) epochEnd(i int) record.Offset {
	if i+1 < len(f.epochs) {
		return f.epochs[i+1].Start
	}
	return f.end
}
