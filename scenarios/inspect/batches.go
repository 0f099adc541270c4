package inspect

import (
	"lignum/core/record"
	"lignum/sim"
)

// EachBatch visits the batches of a partition's directory, as processes see it, that do not end below an offset.
func (x *Inspector) EachBatch(dir string, from record.Offset, visit func(record.Batch)) {
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
		content, _ := x.peek(sim.Cached, dir+"/"+segmentName(base, logEnd))
		for rest := content; len(rest) > 0; {
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
