package commitlog

import (
	"encoding/binary"
	"fmt"

	"lignum/core/record"
)

// header is the fixed part of a batch that is known to be good. The batch may be cut off behind it.
type header []byte

func (h header) batch() record.Batch       { return record.Batch(h[:record.HeaderSize]) }
func (h header) BaseOffset() record.Offset { return h.batch().BaseOffset() }
func (h header) LastOffset() record.Offset { return h.batch().LastOffset() }
func (h header) NextOffset() record.Offset { return h.batch().NextOffset() }
func (h header) MaxTimestamp() int64       { return h.batch().MaxTimestamp() }

// size is the length of the whole batch.
func (h header) size() int {
	return record.LogOverhead + int(int32(binary.BigEndian.Uint32(h[record.LogOverhead-4:])))
}

// parseHeader checks the structure of a batch of which at least the header is there.
func parseHeader(p []byte) (header, error) {
	if len(p) < record.HeaderSize {
		return nil, record.ErrShort
	}
	h := header(p)
	length := int32(binary.BigEndian.Uint32(p[record.LogOverhead-4:]))
	if length < record.HeaderSize-record.LogOverhead {
		return nil, fmt.Errorf("%w: length %d", record.ErrCorrupt, length)
	}
	if magic := p[magicAt]; magic != magic2 {
		return nil, fmt.Errorf("%w: magic %d", record.ErrMagic, int8(magic))
	}
	b := h.batch()
	if b.LastOffsetDelta() < 0 || b.Count() < 0 || b.BaseOffset() < 0 || b.NextOffset() < 0 {
		return nil, fmt.Errorf("%w: offsets %d to %d, count %d", record.ErrCorrupt, b.BaseOffset(), b.LastOffset(), b.Count())
	}
	return h, nil
}

const (
	magicAt = 16
	magic2  = 2
)
