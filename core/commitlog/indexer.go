package commitlog

import (
	"encoding/binary"

	"lignum/core/record"
)

// Sizes of the entries of the index files.
const (
	indexEntry = 8
	timesEntry = 12
	txnsEntry  = 34
)

// indexer decides the entries of a segment's offset and time index. They are a function of the batches and the
// interval alone, so that what is written while appending and what is rebuilt from the file are the same.
//
// An entry of the offset index names the last offset of a batch and the batch's position, one for the first batch behind
// each interval of bytes. With it goes an entry of the time index, if the greatest timestamp so far has grown:
// that timestamp, and the last offset of the first batch that has it. A segment that is complete ends with such an entry for all of it.
type indexer struct {
	base     record.Offset
	interval int64
	size     int64         // bytes of the batches so far
	indexed  int64         // position of the last batch with an entry; 0 if there is none
	first    int64         // greatest timestamp of the first batch; NoTimestamp if there is none
	maxTime  int64         // greatest timestamp so far; NoTimestamp if there is none
	maxLast  record.Offset // last offset of the first batch that has it
	lastTime int64         // timestamp of the last entry of the time index; NoTimestamp if there is none

	index, times table
}

// table is one index file: its length, and those bytes at its end that are not yet taken by whoever writes them.
type table struct {
	size    int64 // bytes, those of fresh included
	written int64 // bytes known to be on disk
	fresh   []byte
}

// at is the position of the first fresh byte.
func (t *table) at() int64 { return t.size - int64(len(t.fresh)) }

func newIndexer(base record.Offset, interval int64) indexer {
	return indexer{
		base: base, interval: interval,
		first: record.NoTimestamp, maxTime: record.NoTimestamp, lastTime: record.NoTimestamp, maxLast: base,
	}
}

// add notes a batch of n bytes behind those before.
func (x *indexer) add(last record.Offset, maxTime int64, n int64) {
	if x.size == 0 {
		x.first = maxTime
	}
	if maxTime > x.maxTime {
		x.maxTime, x.maxLast = maxTime, last
	}
	if x.size-x.indexed > x.interval {
		x.index.fresh = binary.BigEndian.AppendUint32(x.index.fresh, uint32(last-x.base))
		x.index.fresh = binary.BigEndian.AppendUint32(x.index.fresh, uint32(x.size))
		x.index.size += indexEntry
		x.indexed = x.size
		x.addTime()
	}
	x.size += n
}

// addTime appends to the time index what is greatest so far, unless it is there already. Called on its own it makes the
// last entry of a segment that is complete.
func (x *indexer) addTime() {
	if x.maxTime <= x.lastTime {
		return
	}
	x.times.fresh = binary.BigEndian.AppendUint64(x.times.fresh, uint64(x.maxTime))
	x.times.fresh = binary.BigEndian.AppendUint32(x.times.fresh, uint32(x.maxLast-x.base))
	x.times.size += timesEntry
	x.lastTime = x.maxTime
}

// full reports whether an index has no room for another entry; the time index keeps one for the end of the segment.
func (x *indexer) full(limit int64) bool {
	return x.index.size/indexEntry >= limit/indexEntry || x.times.size/timesEntry >= limit/timesEntry-1
}
