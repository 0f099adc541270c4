package record

import (
	"encoding/binary"
	"math"
	"math/bits"

	"lignum/core/invariant"
)

// Builder makes batches. What is set stays set from one batch to the next; Reset forgets the records only. It serves
// one caller at a time.
type Builder struct {
	codec         Codec
	attributes    byte
	base          Offset
	leaderEpoch   Epoch
	producer      ProducerID
	producerEpoch ProducerEpoch
	sequence      int32

	records       []byte // uncompressed
	count         int32
	lastDelta     int32 // -1 before the first record
	baseTimestamp int64
	maxTimestamp  int64

	compressor Compressor
}

// NewBuilder makes a Builder of batches at offset 0, without leader epoch and producer. The codec must exist.
func NewBuilder(c Codec) *Builder {
	b := &Builder{codec: c, leaderEpoch: NoEpoch}
	b.SetProducer(NoProducer, NoProducerEpoch, NoSequence)
	b.Reset()
	return b
}

// Reset forgets the records.
func (b *Builder) Reset() {
	b.records, b.count, b.lastDelta = b.records[:0], 0, -1
	b.baseTimestamp, b.maxTimestamp = NoTimestamp, NoTimestamp
}

// SetBaseOffset says where the batch will stand.
func (b *Builder) SetBaseOffset(o Offset) { b.base = o }

// SetLeaderEpoch says whose batch it is.
func (b *Builder) SetLeaderEpoch(e Epoch) { b.leaderEpoch = e }

// SetProducer makes batches of an idempotent producer.
func (b *Builder) SetProducer(id ProducerID, epoch ProducerEpoch, baseSequence int32) {
	b.producer, b.producerEpoch, b.sequence = id, epoch, baseSequence
}

// SetTransactional makes batches of a transaction.
func (b *Builder) SetTransactional() { b.attributes |= transactionalBit }

// SetControl makes control batches.
func (b *Builder) SetControl() { b.attributes |= controlBit }

// SetLastOffsetDelta is for a compacted batch, which covers offsets behind its last record. Call it behind the records.
func (b *Builder) SetLastOffsetDelta(delta int32) {
	if delta < b.lastDelta {
		invariant.Violated("last offset delta %d behind a record with %d", delta, b.lastDelta)
	}
	b.lastDelta = delta
}

// Count is the number of records so far.
func (b *Builder) Count() int32 { return b.count }

// Size is the length of the batch so far, if it were not compressed.
func (b *Builder) Size() int { return HeaderSize + len(b.records) }

// Append adds a record at the next offset; r.OffsetDelta is not looked at.
func (b *Builder) Append(r Record) {
	r.OffsetDelta = b.lastDelta + 1
	b.AppendAt(r)
}

// AppendAt adds a record at its OffsetDelta, which must be behind the last one's.
func (b *Builder) AppendAt(r Record) {
	if r.OffsetDelta <= b.lastDelta {
		invariant.Violated("record with offset delta %d behind one with %d", r.OffsetDelta, b.lastDelta)
	}
	if b.count == 0 {
		b.baseTimestamp, b.maxTimestamp = r.Timestamp, r.Timestamp
	}
	b.records = appendRecord(b.records, r, r.Timestamp-b.baseTimestamp)
	b.maxTimestamp = max(b.maxTimestamp, r.Timestamp)
	b.lastDelta = r.OffsetDelta
	b.count++
}

// Build returns the batch in memory of its own.
func (b *Builder) Build() Batch {
	return Batch(b.AppendTo(make([]byte, 0, HeaderSize+len(b.records))))
}

// AppendTo appends the batch to dst. There must be a record, or else a last offset delta.
func (b *Builder) AppendTo(dst []byte) []byte {
	if b.lastDelta < 0 {
		invariant.Violated("a batch without offsets")
	}
	at := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	if b.count > 0 {
		dst = b.compressor.Compress(b.codec, dst, b.records)
	}
	length := len(dst) - at - LogOverhead
	if length > math.MaxInt32 {
		invariant.Violated("a batch of %d bytes", length)
	}
	h := dst[at:]
	binary.BigEndian.PutUint64(h, uint64(b.base))
	binary.BigEndian.PutUint32(h[atLength:], uint32(length))
	binary.BigEndian.PutUint32(h[atLeaderEpoch:], uint32(b.leaderEpoch))
	h[atMagic] = magicV2
	h[attributesLowByte] = b.attributes | byte(b.codec)
	binary.BigEndian.PutUint32(h[atLastOffsetDelta:], uint32(b.lastDelta))
	binary.BigEndian.PutUint64(h[atBaseTimestamp:], uint64(b.baseTimestamp))
	binary.BigEndian.PutUint64(h[atMaxTimestamp:], uint64(b.maxTimestamp))
	binary.BigEndian.PutUint64(h[atProducerID:], uint64(b.producer))
	binary.BigEndian.PutUint16(h[atProducerEpoch:], uint16(b.producerEpoch))
	binary.BigEndian.PutUint32(h[atBaseSequence:], uint32(b.sequence))
	binary.BigEndian.PutUint32(h[atCount:], uint32(b.count))
	binary.BigEndian.PutUint32(h[atCRC:], Batch(h).checksum())
	return dst
}

func appendRecord(dst []byte, r Record, timestampDelta int64) []byte {
	dst = binary.AppendVarint(dst, int64(recordSize(r, timestampDelta)))
	dst = append(dst, 0) // attributes
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(r.OffsetDelta))
	dst = appendNullable(dst, r.Key)
	dst = appendNullable(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendNullable(dst, h.Value)
	}
	return dst
}

func appendNullable(dst, p []byte) []byte {
	if p == nil {
		return append(dst, 1) // -1
	}
	dst = binary.AppendVarint(dst, int64(len(p)))
	return append(dst, p...)
}

// recordSize is the length of a record behind its length field.
func recordSize(r Record, timestampDelta int64) int {
	n := 1 + varintSize(timestampDelta) + varintSize(int64(r.OffsetDelta)) + nullableSize(r.Key) + nullableSize(r.Value)
	n += varintSize(int64(len(r.Headers)))
	for _, h := range r.Headers {
		n += varintSize(int64(len(h.Key))) + len(h.Key) + nullableSize(h.Value)
	}
	return n
}

func nullableSize(p []byte) int {
	if p == nil {
		return 1
	}
	return varintSize(int64(len(p))) + len(p)
}

func varintSize(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
