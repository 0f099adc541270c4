package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of DecodeRecords and DecodeSnapshot.
var (
	// ErrCorrupt: the bytes are no records.
	ErrCorrupt = errors.New("corrupt metadata")
	// ErrUnknown: a record was written by a later release. It must not be passed over, for this
	// node's image would then differ from the others'.
	ErrUnknown = errors.New("metadata of a later release")
)

// AppendRecords encodes the records of one entry behind dst.
func AppendRecords(dst []byte, records []Record) []byte {
	var scratch writer
	for _, r := range records {
		dst = appendRecord(dst, r, &scratch)
	}
	return dst
}

func appendRecord(dst []byte, r Record, scratch *writer) []byte {
	scratch.buf = scratch.buf[:0]
	scratch.uvarint(uint64(r.kind()))
	scratch.uvarint(recordVersion)
	r.appendFields(scratch)
	dst = binary.AppendUvarint(dst, uint64(len(scratch.buf)))
	return append(dst, scratch.buf...)
}

// recordVersion is the layout in which records are written. What it added is in fields.go: records of version 0 lack
//
//	BrokerRegistered   Changed
//	BrokerChanged      Failed
//	PartitionChanged   MinISR, Flush
const recordVersion = 1

// DecodeRecords reads the records of one entry. They do not refer to p.
func DecodeRecords(p []byte) ([]Record, error) {
	var records []Record
	for len(p) > 0 {
		n, size := binary.Uvarint(p)
		if size <= 0 || n > uint64(len(p)-size) {
			return nil, fmt.Errorf("%w: record %d has a length of %d in %d bytes", ErrCorrupt, len(records), n, len(p))
		}
		one, err := decodeRecord(p[size : size+int(n)])
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", len(records), err)
		}
		records = append(records, one)
		p = p[size+int(n):]
	}
	return records, nil
}

func decodeRecord(p []byte) (Record, error) {
	r := reader{rest: p}
	k, version := kind(r.uvarint()), r.uvarint()
	rec := blank(k)
	switch {
	case r.failed:
		return nil, fmt.Errorf("%w: no kind and version", ErrCorrupt)
	case rec == nil || version > recordVersion:
		return nil, fmt.Errorf("%w: kind %d in version %d", ErrUnknown, k, version)
	}
	rec.readFields(&r, version)
	if r.failed || len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: fields of kind %d do not end with the record", ErrCorrupt, k)
	}
	return rec, nil
}

// writer appends fields.
type writer struct{ buf []byte }

func (w *writer) uvarint(v uint64) { w.buf = binary.AppendUvarint(w.buf, v) }
func (w *writer) varint(v int64)   { w.buf = binary.AppendVarint(w.buf, v) }
func (w *writer) bytes(p []byte)   { w.buf = append(w.buf, p...) }

func (w *writer) boolean(b bool) {
	v := byte(0)
	if b {
		v = 1
	}
	w.buf = append(w.buf, v)
}

func (w *writer) text(s string) {
	w.uvarint(uint64(len(s)))
	w.buf = append(w.buf, s...)
}

func appendNumbers[T ~int32](w *writer, list []T) {
	w.uvarint(uint64(len(list)))
	for _, v := range list {
		w.varint(int64(v))
	}
}

func appendUUIDs(w *writer, list []UUID) {
	w.uvarint(uint64(len(list)))
	for _, v := range list {
		w.bytes(v[:])
	}
}

// reader takes fields off the front of rest. After the first fault every read gives zero and failed is set.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) fail() {
	r.rest, r.failed = nil, true
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// narrow reads a signed number that must fit T.
func narrow[T ~int16 | ~int32 | ~int64](r *reader) T {
	v := r.varint()
	if int64(T(v)) != v {
		r.fail()
		return 0
	}
	return T(v)
}

func (r *reader) boolean() bool {
	p := r.take(1)
	if p != nil && p[0] > 1 {
		r.fail()
		return false
	}
	return p != nil && p[0] == 1
}

// take returns the next n bytes, or nil.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) uuid() (id UUID) {
	copy(id[:], r.take(uint64(len(id))))
	return id
}

// count reads the length of a list whose items take at least size bytes each, so that no list is made that the input
// cannot fill.
func (r *reader) count(size uint64) int {
	n := r.uvarint()
	if n > uint64(len(r.rest))/size {
		r.fail()
		return 0
	}
	return int(n)
}

func readNumbers[T ~int32](r *reader) []T {
	n := r.count(1)
	if n == 0 {
		return nil
	}
	list := make([]T, n)
	for i := range list {
		list[i] = narrow[T](r)
	}
	return list
}

func readUUIDs(r *reader) []UUID {
	n := r.count(uint64(len(UUID{})))
	if n == 0 {
		return nil
	}
	list := make([]UUID, n)
	for i := range list {
		list[i] = r.uuid()
	}
	return list
}
