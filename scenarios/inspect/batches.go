package inspect

import (
	"cmp"
	"slices"

	"lignum/core/record"
	"lignum/sim"
)

// EachBatch visits the batches of a partition's directory, as processes see it, that do not end below an offset.
func (x *Inspector) EachBatch(dir string, from record.Offset, visit func(record.Batch)) {
	f := x.folds[dir]
	if f != nil {
		if f.list(x, dir); !f.holds(dir) {
			f = nil
		}
	}
	bases := x.bases[:0]
	for _, name := range x.list(sim.Cached, dir) {
		if base, ok := offsetOf(name, logEnd); ok {
			bases = append(bases, base)
		}
	}
	x.bases = bases
	for i, base := range bases {
		if i+1 < len(bases) && bases[i+1] <= from {
			continue
		}
		for rest := x.peekFrom(dir+"/"+segmentName(base, logEnd), f.position(base, from)); len(rest) > 0; {
			b, after, err := record.Next(rest)
			if err != nil {
				return
			}
			if rest = after; b.NextOffset() > from {
				visit(b)
			}
		}
	}
}

// position is where in a segment the first batch begins that does not end below an offset, as far as it was read; at most that. Of a segment that was not
// read it is the beginning.
func (f *fold) position(base, from record.Offset) int64 {
	if f == nil {
		return 0
	}
	i, known := slices.BinarySearchFunc(f.segments, base, func(s segment, base record.Offset) int { return cmp.Compare(s.base, base) })
	if !known {
		return 0
	}
	s := &f.segments[i]
	all := f.batches[s.from:s.to]
	k, _ := slices.BinarySearchFunc(all, from, func(b batch, from record.Offset) int { return cmp.Compare(b.last, from) })
	if k < len(all) {
		return all[k].at
	}
	return s.size
}
