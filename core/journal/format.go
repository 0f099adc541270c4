package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"lignum/core/record"
)

// ErrCorrupt: the journal lacks something that was durable once. The error names file and position.
var ErrCorrupt = errors.New("journal is corrupt")

const (
	block            = 4096 // groups start at multiples of it; also the size of the file header's block
	fileHeaderBytes  = 48
	groupHeaderBytes = 64
	entryHeaderBytes = 48
	fileMagic        = "LIGNUMJ1"
	groupMagic       = 0x4c475250 // "LGRP"
	noGroup          = 0          // group numbers start at 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Kind says what an entry does to its log.
type Kind uint8

// The kinds of entries. The numbers are on disk.
const (
	// None: the entry counts for nothing (Skip). It is never on disk.
	None Kind = 0
	// Append: Data is whole batches; the first one's base offset is Offset.
	Append Kind = 1
	// Truncate: everything from Offset on was cut off.
	Truncate Kind = 2
	// Reset: the log was emptied and starts at Offset.
	Reset Kind = 3
	// Delete: the partition was deleted here.
	Delete Kind = 4
	// Join: from here on the journal has everything of this log from Offset on. What is below may not be durable
	// yet: if the log turns out to be shorter, nothing behind this entry was ever acknowledged.
	Join Kind = 5
	// Anchor: everything below Offset is durable in the log's own files. A log that turns out to be shorter has lost data.
	Anchor Kind = 6
)

func (k Kind) valid() bool { return k >= Append && k <= Anchor }

// String is the kind's name.
func (k Kind) String() string {
	names := [...]string{"none", "append", "truncate", "reset", "delete", "join", "anchor"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Entry is one step in the life of one log.
type Entry struct {
	Kind   Kind
	Log    record.Partition
	Offset record.Offset
	Epoch  record.Epoch // of an Append, its first batch's; of a Truncate, Reset or Anchor see Truncations
	// Data is written piece by piece without a copy: it must stay as it is until the entry's commit is done.
	Data [][]byte
}

// Behind is the entry as it is for a log that has had so many truncations.
func (e Entry) Behind(truncations uint64) Entry {
	if truncations <= math.MaxInt32 {
		e.Epoch = record.Epoch(truncations)
	}
	return e
}

// Truncations is how many truncations the log had had, that of a Truncate or Reset included; 0 if that is not known.
func (e *Entry) Truncations() uint64 { return uint64(max(e.Epoch, 0)) }

// dataBytes is the length of all pieces.
func (e *Entry) dataBytes() int64 {
	n := int64(0)
	for _, p := range e.Data {
		n += int64(len(p))
	}
	return n
}

// identity is what distinguishes one life of a file from all others.
type identity struct {
	generation uint64
	salt       uint64
}

// fileHeader is the content of a file's first block.
type fileHeader struct {
	identity
	first uint64 // the oldest generation that was needed when the file was named
}

func (h fileHeader) encode() []byte {
	p := make([]byte, block)
	copy(p, fileMagic)
	binary.BigEndian.PutUint64(p[16:], h.generation)
	binary.BigEndian.PutUint64(p[24:], h.salt)
	binary.BigEndian.PutUint64(p[32:], h.first)
	binary.BigEndian.PutUint32(p[8:], crc32.Checksum(p[16:fileHeaderBytes], castagnoli))
	return p
}

func decodeFileHeader(p []byte) (fileHeader, error) {
	if len(p) < fileHeaderBytes || string(p[:8]) != fileMagic {
		return fileHeader{}, fmt.Errorf("%w: no file header", ErrCorrupt)
	}
	if crc32.Checksum(p[16:fileHeaderBytes], castagnoli) != binary.BigEndian.Uint32(p[8:]) {
		return fileHeader{}, fmt.Errorf("%w: checksum of the file header", ErrCorrupt)
	}
	return fileHeader{
		identity: identity{binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint64(p[24:])},
		first:    binary.BigEndian.Uint64(p[32:]),
	}, nil
}

// groupHeader stands before the entries of one commit.
type groupHeader struct {
	identity
	number  uint64
	first   uint64 // the oldest generation that was needed when the group was written
	bytes   int64  // with this header, without the padding
	entries uint32
	crc     uint32 // of the entries
}

// padded is the space that the group takes in its file.
func (h groupHeader) padded() int64 { return (h.bytes + block - 1) / block * block }

func (h groupHeader) encode(p []byte) {
	clear(p[:groupHeaderBytes])
	binary.BigEndian.PutUint32(p, groupMagic)
	binary.BigEndian.PutUint32(p[8:], h.crc)
	binary.BigEndian.PutUint32(p[12:], h.entries)
	binary.BigEndian.PutUint64(p[16:], h.generation)
	binary.BigEndian.PutUint64(p[24:], h.salt)
	binary.BigEndian.PutUint64(p[32:], h.number)
	binary.BigEndian.PutUint64(p[40:], h.first)
	binary.BigEndian.PutUint64(p[48:], uint64(h.bytes))
	binary.BigEndian.PutUint32(p[4:], crc32.Checksum(p[8:groupHeaderBytes], castagnoli))
}

// decodeGroupHeader reads the header of a group of the file life id; ok is false for anything else.
func decodeGroupHeader(p []byte, id identity) (h groupHeader, ok bool) {
	if len(p) < groupHeaderBytes || binary.BigEndian.Uint32(p) != groupMagic {
		return h, false
	}
	h = groupHeader{
		identity: identity{binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint64(p[24:])},
		number:   binary.BigEndian.Uint64(p[32:]),
		first:    binary.BigEndian.Uint64(p[40:]),
		bytes:    int64(binary.BigEndian.Uint64(p[48:])),
		entries:  binary.BigEndian.Uint32(p[12:]),
		crc:      binary.BigEndian.Uint32(p[8:]),
	}
	if h.identity != id || crc32.Checksum(p[8:groupHeaderBytes], castagnoli) != binary.BigEndian.Uint32(p[4:]) {
		return h, false
	}
	return h, h.number != noGroup && h.bytes >= groupHeaderBytes && h.bytes < math.MaxInt64-block
}

// encodeHeader writes everything of the entry but its data.
func (e *Entry) encodeHeader(p []byte) {
	clear(p[:entryHeaderBytes])
	p[0] = byte(e.Kind)
	binary.BigEndian.PutUint32(p[4:], uint32(e.Log.Index))
	copy(p[8:24], e.Log.Topic[:])
	binary.BigEndian.PutUint64(p[24:], uint64(e.Offset))
	binary.BigEndian.PutUint32(p[32:], uint32(e.Epoch))
	binary.BigEndian.PutUint64(p[40:], uint64(e.dataBytes()))
}

// decodeEntries reads the count entries that fill p; their data refers to p.
func decodeEntries(p []byte, count uint32, dst []Entry) ([]Entry, error) {
	pieces := make([][]byte, 0, min(int(count), len(p)/entryHeaderBytes))
	for n := uint32(0); n < count; n++ {
		if len(p) < entryHeaderBytes {
			return dst, fmt.Errorf("%w: entry %d of %d is cut", ErrCorrupt, n, count)
		}
		e := Entry{
			Kind:   Kind(p[0]),
			Log:    record.Partition{Topic: record.TopicID(p[8:24]), Index: int32(binary.BigEndian.Uint32(p[4:]))},
			Offset: record.Offset(binary.BigEndian.Uint64(p[24:])),
			Epoch:  record.Epoch(binary.BigEndian.Uint32(p[32:])),
		}
		size := binary.BigEndian.Uint64(p[40:])
		p = p[entryHeaderBytes:]
		if !e.Kind.valid() || size > uint64(len(p)) {
			return dst, fmt.Errorf("%w: entry %d of %d: %v with %d bytes", ErrCorrupt, n, count, e.Kind, size)
		}
		if size > 0 {
			pieces = append(pieces, p[:size:size])
			e.Data = pieces[len(pieces)-1 : len(pieces) : len(pieces)]
		}
		p = p[size:]
		dst = append(dst, e)
	}
	if len(p) > 0 {
		return dst, fmt.Errorf("%w: %d bytes behind the last of %d entries", ErrCorrupt, len(p), count)
	}
	return dst, nil
}
