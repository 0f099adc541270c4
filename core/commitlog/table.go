package commitlog

import (
	"encoding/binary"
	"fmt"
	"sort"

	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/record"
)

// indexAt reads an entry of the offset index.
func indexAt(p []byte, base record.Offset) (last record.Offset, pos int64) {
	return base + record.Offset(int32(binary.BigEndian.Uint32(p))), int64(int32(binary.BigEndian.Uint32(p[4:])))
}

// timeAt reads an entry of the time index.
func timeAt(p []byte, base record.Offset) (t int64, last record.Offset) {
	return int64(binary.BigEndian.Uint64(p)), base + record.Offset(int32(binary.BigEndian.Uint32(p[8:])))
}

// floor finds the last entry of an index file of so many bytes for which below holds; it holds for a prefix of the entries. The result
// is nil if it holds for none. It lies in block, which holds as many entries as are read at once at the end of the search.
func floor(f env.File, bytes int64, entry int, block []byte, below func(p []byte) bool) ([]byte, error) {
	lo, hi := int64(0), bytes/int64(entry) // below holds in [0, lo), not from hi on
	for hi-lo >= int64(len(block)/entry) {
		mid := lo + (hi-lo)/2
		if err := readFull(f, block[:entry], mid*int64(entry)); err != nil {
			return nil, err
		}
		if below(block[:entry]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	from := max(lo-1, 0)
	n := int(hi - from)
	if err := readFull(f, block[:n*entry], from*int64(entry)); err != nil {
		return nil, err
	}
	at := func(i int) []byte { return block[i*entry : (i+1)*entry] }
	if i := sort.Search(n, func(i int) bool { return !below(at(i)) }); i > 0 {
		return at(i - 1), nil
	}
	return nil, nil
}

// floorPosition is where a search for the offset starts: at the last indexed batch that ends at or below it, or at 0. It is errIndex if the
// index cannot be read.
func (v *view) floorPosition(o record.Offset, block []byte) (last record.Offset, pos int64, err error) {
	if v.index == 0 {
		return v.base - 1, 0, nil
	}
	if v.files.index == nil {
		if v.files.index, err = v.table(indexSuffix); err != nil {
			return 0, 0, err
		}
		v.opened.index = v.files.index
	}
	p, err := floor(v.files.index, v.index, indexEntry, block, func(p []byte) bool {
		last, _ := indexAt(p, v.base)
		return last <= o
	})
	if err != nil {
		return v.base - 1, 0, fmt.Errorf("%w: %w", errIndex, err)
	}
	if p == nil {
		return v.base - 1, 0, nil
	}
	last, pos = indexAt(p, v.base)
	return last, pos, nil
}

// appendAborted writes an entry of the transaction index, version 0.
func appendAborted(dst []byte, a producers.Aborted) []byte {
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Producer))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.First))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Last))
	return binary.BigEndian.AppendUint64(dst, uint64(a.LastStable))
}

// abortedAt reads an entry of the transaction index.
func abortedAt(p []byte) (producers.Aborted, error) {
	if v := binary.BigEndian.Uint16(p); v != 0 {
		return producers.Aborted{}, fmt.Errorf("%w: transaction index has version %d", ErrCorrupt, v)
	}
	return producers.Aborted{
		Producer:   record.ProducerID(binary.BigEndian.Uint64(p[2:])),
		First:      record.Offset(binary.BigEndian.Uint64(p[10:])),
		Last:       record.Offset(binary.BigEndian.Uint64(p[18:])),
		LastStable: record.Offset(binary.BigEndian.Uint64(p[26:])),
	}, nil
}

// abortedBelow is how many bytes the entries take whose transactions ended below the offset; the entries were made by this process.
func abortedBelow(p []byte, o record.Offset) int {
	n := 0
	for n < len(p) && record.Offset(binary.BigEndian.Uint64(p[n+18:])) < o {
		n += txnsEntry
	}
	return n
}

// readTable reads a whole index file, as far as it has whole entries.
func readTable(f env.File, entry int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	p := make([]byte, size/entry*entry)
	return p, readFull(f, p, 0)
}

// txnsBelow is how long the transaction index is with the entries of transactions that ended below the offset.
func txnsBelow(f env.File, o record.Offset) (int64, error) {
	p, err := readTable(f, txnsEntry)
	if err != nil {
		return 0, err
	}
	for at := 0; at < len(p); at += txnsEntry {
		a, err := abortedAt(p[at:])
		if err != nil {
			return 0, err
		}
		if a.Last >= o {
			return int64(at), nil
		}
	}
	return int64(len(p)), nil
}
