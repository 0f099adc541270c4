package producers

import (
	"sort"

	"lignum/core/invariant"
	"lignum/core/record"
)

// transaction is a transaction that is open, or that ended at an offset which may not be below the high watermark yet.
type transaction struct {
	first record.Offset
	end   record.Offset // of its marker; NoOffset while it is open
}

// transactions are kept in the order of their first offsets, which is the order in which they begin. Whatever is done
// with them costs a constant time on average.
type transactions struct {
	list    []transaction
	open0   int           // everything before it in list has ended
	settled record.Offset // greatest high watermark that was seen
	sweep   int           // length of list at which those that are settled are taken out of its middle
}

const leastSweep = 64

func (t *transactions) empty() bool { return len(t.list) == 0 }

func (t *transactions) open(first record.Offset) {
	if n := len(t.list); n > 0 && t.list[n-1].first >= first {
		invariant.Violated("transaction at %d opens behind one at %d", first, t.list[n-1].first)
	}
	if len(t.list) >= max(t.sweep, leastSweep) {
		t.compact()
	}
	t.list = append(t.list, transaction{first, record.NoOffset})
}

// compact takes out what is settled: one transaction that stays open would otherwise keep all that came later.
func (t *transactions) compact() {
	keep := t.list[:0]
	open0 := -1
	for _, x := range t.list {
		if x.end >= 0 && x.end < t.settled {
			continue
		}
		if x.end < 0 && open0 < 0 {
			open0 = len(keep)
		}
		keep = append(keep, x)
	}
	if open0 < 0 {
		open0 = len(keep)
	}
	t.list, t.open0, t.sweep = keep, open0, 2*len(keep)
}

func (t *transactions) end(first, marker record.Offset) {
	i := sort.Search(len(t.list), func(i int) bool { return t.list[i].first >= first })
	if i == len(t.list) || t.list[i].first != first || t.list[i].end >= 0 {
		invariant.Violated("transaction at %d ends and is not open", first)
	}
	t.list[i].end = marker
	t.skip()
}

func (t *transactions) skip() {
	for t.open0 < len(t.list) && t.list[t.open0].end >= 0 {
		t.open0++
	}
}

// oldestOpen is where the oldest open transaction begins, or what is given.
func (t *transactions) oldestOpen(otherwise record.Offset) record.Offset {
	if t.open0 == len(t.list) {
		return otherwise
	}
	return t.list[t.open0].first
}

// settle forgets the oldest ones that have ended below the high watermark and returns where the next begins; if there is
// none, the high watermark.
func (t *transactions) settle(highWatermark record.Offset) record.Offset {
	t.settled = max(t.settled, highWatermark)
	n := 0
	for n < t.open0 && t.list[n].end < highWatermark {
		n++
	}
	if n > 0 {
		t.list = t.list[n:] // the memory goes when the list next grows
		t.open0 -= n
	}
	if len(t.list) == 0 {
		return highWatermark
	}
	return t.list[0].first
}
