// Package record reads, verifies and builds Kafka's record batches (magic 2), and holds the small types that
// name things in a log: offsets, epochs, producers, partitions.
//
// A batch on the wire and on disk, all numbers big-endian:
//
//	 0  base offset           int64
//	 8  length                int32   bytes behind this field
//	12  partition leader epoch int32
//	16  magic                 int8    2
//	17  crc                   uint32  CRC-32C of everything from byte 21 on
//	21  attributes            int16   bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon
//	23  last offset delta     int32
//	27  base timestamp        int64   milliseconds; records count from here
//	35  max timestamp         int64
//	43  producer id           int64
//	51  producer epoch        int16
//	53  base sequence         int32
//	57  count                 int32
//	61  records, compressed as a whole by the codec
//
// A record: varint length of the rest, attributes int8 (0), varint timestamp delta, varint offset delta, key and
// value each as varint length (-1: null) and bytes, varint number of headers, each with key and value likewise.
// All varints are zigzag.
//
// Offset and leader epoch lie outside the checksum, so that a leader can set them in place.
//
// Nothing here starts a goroutine or keeps state between calls, except the caller's own Reader, Compressor
// and Builder.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Errors of this package, wrapped with what was found; test for them with errors.Is.
var (
	// ErrShort: the bytes end before the batch does.
	ErrShort = errors.New("batch is cut short")
	// ErrMagic: a message format other than 2.
	ErrMagic = errors.New("unsupported message format")
	// ErrCorrupt: not a batch, or one that changed since it was built.
	ErrCorrupt = errors.New("batch is corrupt")
	// ErrInvalid: an intact batch that no client may send: its records or flags break a rule.
	ErrInvalid = errors.New("batch is invalid")
	// ErrTimestamp: a client claims that the broker has set the timestamps.
	ErrTimestamp = errors.New("timestamp type is invalid")
	// ErrCodec: the attributes name a codec that does not exist.
	ErrCodec = errors.New("unknown compression codec")
	// ErrTooLarge: the records exceed the Limits once they are decompressed.
	ErrTooLarge = errors.New("batch is too large when decompressed")
)

// HeaderSize is the length of a batch without records; LogOverhead is how far its length field ends from the start.
const (
	HeaderSize  = 61
	LogOverhead = 12
)

// Positions of the fields.
const (
	atLength          = 8
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57
)

// Bits of the attributes.
const (
	codecMask         = 0x07
	logAppendTimeBit  = 0x08
	transactionalBit  = 0x10
	controlBit        = 0x20
	deleteHorizonBit  = 0x40
	magicV2           = 2
	leastOldMessage   = 14 // bytes behind the length field of the smallest message of magic 0
	attributesLowByte = atAttributes + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view of one whole record batch, no byte more. Only Next and Builder make one: its size fields have
// been checked, so that no accessor can fail.
type Batch []byte

// Next takes the first batch off p and checks its structure: length, magic and signs, not the checksum. The error
// is ErrShort if p may be the start of a good batch, otherwise ErrMagic or ErrCorrupt.
func Next(p []byte) (b Batch, rest []byte, err error) {
	if len(p) < LogOverhead {
		return nil, p, ErrShort
	}
	length := int32(binary.BigEndian.Uint32(p[atLength:]))
	if length < leastOldMessage {
		return nil, p, fmt.Errorf("%w: length %d", ErrCorrupt, length)
	}
	if len(p) <= atMagic {
		return nil, p, ErrShort
	}
	if p[atMagic] != magicV2 {
		return nil, p, fmt.Errorf("%w: magic %d", ErrMagic, int8(p[atMagic]))
	}
	if length < HeaderSize-LogOverhead {
		return nil, p, fmt.Errorf("%w: length %d is less than a header", ErrCorrupt, length)
	}
	size := LogOverhead + int(length)
	if len(p) < size {
		return nil, p, ErrShort
	}
	b = Batch(p[:size:size])
	if b.LastOffsetDelta() < 0 || b.Count() < 0 {
		return nil, p, fmt.Errorf("%w: last offset delta %d, count %d", ErrCorrupt, b.LastOffsetDelta(), b.Count())
	}
	return b, p[size:], nil
}

func (b Batch) int64At(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
func (b Batch) int32At(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
func (b Batch) attributes() byte     { return b[attributesLowByte] }

// BaseOffset is the first record's offset.
func (b Batch) BaseOffset() Offset { return Offset(b.int64At(0)) }

// LastOffset is the last record's offset, also if compaction has taken that record out.
func (b Batch) LastOffset() Offset { return b.BaseOffset() + Offset(b.LastOffsetDelta()) }

// NextOffset is the offset behind the batch.
func (b Batch) NextOffset() Offset { return b.LastOffset() + 1 }

// Size is the length of the whole batch in bytes.
func (b Batch) Size() int { return len(b) }

// Count is the number of records; less than LastOffsetDelta+1 after a compaction.
func (b Batch) Count() int32 { return b.int32At(atCount) }

// LastOffsetDelta is the distance from the base offset to the last.
func (b Batch) LastOffsetDelta() int32 { return b.int32At(atLastOffsetDelta) }

// BaseTimestamp is what the records' timestamp deltas count from, in milliseconds. A compacted control batch may
// hold its delete horizon there.
func (b Batch) BaseTimestamp() int64 { return b.int64At(atBaseTimestamp) }

// MaxTimestamp is the greatest timestamp of the records, or the time of the append if HasLogAppendTime.
func (b Batch) MaxTimestamp() int64 { return b.int64At(atMaxTimestamp) }

// Codec is how the records are compressed. It may be one that does not exist; see Codec.Valid.
func (b Batch) Codec() Codec { return Codec(b.attributes() & codecMask) }

// IsTransactional reports whether the batch belongs to a transaction.
func (b Batch) IsTransactional() bool { return b.attributes()&transactionalBit != 0 }

// IsControl reports whether the batch holds control records, which are not for clients.
func (b Batch) IsControl() bool { return b.attributes()&controlBit != 0 }

// HasLogAppendTime reports whether every record's timestamp is MaxTimestamp, the time of the append.
func (b Batch) HasLogAppendTime() bool { return b.attributes()&logAppendTimeBit != 0 }

// HasDeleteHorizon reports whether the base timestamp says when the cleaner may drop the batch's marks.
func (b Batch) HasDeleteHorizon() bool { return b.attributes()&deleteHorizonBit != 0 }

// HasProducer reports whether an idempotent producer wrote the batch.
func (b Batch) HasProducer() bool { return b.ProducerID() > NoProducer }

// ProducerID is NoProducer if the producer is not idempotent.
func (b Batch) ProducerID() ProducerID { return ProducerID(b.int64At(atProducerID)) }

// ProducerEpoch is the life of the producer that wrote the batch.
func (b Batch) ProducerEpoch() ProducerEpoch {
	return ProducerEpoch(binary.BigEndian.Uint16(b[atProducerEpoch:]))
}

// BaseSequence is the sequence of the first record, NoSequence if there is none.
func (b Batch) BaseSequence() int32 { return b.int32At(atBaseSequence) }

// LastSequence is the sequence of the last record, NoSequence if there is none.
func (b Batch) LastSequence() int32 {
	if b.BaseSequence() < 0 {
		return NoSequence
	}
	return AddSequence(b.BaseSequence(), b.LastOffsetDelta())
}

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() Epoch { return Epoch(b.int32At(atLeaderEpoch)) }

// CRC is the checksum that the batch carries.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[atCRC:]) }

// Records is the payload as it is stored, compressed or not.
func (b Batch) Records() []byte { return b[HeaderSize:] }

// CheckCRC compares the checksum with the content; the error is ErrCorrupt.
func (b Batch) CheckCRC() error {
	if got := b.checksum(); got != b.CRC() {
		return fmt.Errorf("%w: checksum %08x, stored %08x", ErrCorrupt, got, b.CRC())
	}
	return nil
}

func (b Batch) checksum() uint32 { return crc32.Checksum(b[atAttributes:], castagnoli) }

// SetBaseOffset moves the batch. The checksum does not cover it.
func (b Batch) SetBaseOffset(o Offset) { binary.BigEndian.PutUint64(b, uint64(o)) }

// SetLeaderEpoch names the leader that appends the batch. The checksum does not cover it.
func (b Batch) SetLeaderEpoch(e Epoch) { binary.BigEndian.PutUint32(b[atLeaderEpoch:], uint32(e)) }

// SetLogAppendTime gives all records the time of the append, in milliseconds, and renews the checksum.
func (b Batch) SetLogAppendTime(millis int64) {
	if b.HasLogAppendTime() && b.MaxTimestamp() == millis {
		return
	}
	b[attributesLowByte] |= logAppendTimeBit
	b.setMaxTimestamp(millis)
}

// SetMaxTimestamp repairs the header of a batch whose client computed it wrongly, and renews the checksum. The
// right value is in the Facts that Validate returns.
func (b Batch) SetMaxTimestamp(millis int64) {
	if b.MaxTimestamp() != millis {
		b.setMaxTimestamp(millis)
	}
}

func (b Batch) setMaxTimestamp(millis int64) {
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(millis))
	binary.BigEndian.PutUint32(b[atCRC:], b.checksum())
}
