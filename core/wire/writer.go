package wire

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kbin"
)

// writer appends the fields of a body. It is a value: no field of it is shared, none escapes.
type writer struct {
	dst      []byte
	flexible bool
}

func (w *writer) bool(v bool)      { w.dst = kbin.AppendBool(w.dst, v) }
func (w *writer) int8(v int8)      { w.dst = append(w.dst, byte(v)) }
func (w *writer) int16(v int16)    { w.dst = binary.BigEndian.AppendUint16(w.dst, uint16(v)) }
func (w *writer) int32(v int32)    { w.dst = binary.BigEndian.AppendUint32(w.dst, uint32(v)) }
func (w *writer) int64(v int64)    { w.dst = binary.BigEndian.AppendUint64(w.dst, uint64(v)) }
func (w *writer) uuid(v [16]byte)  { w.dst = append(w.dst, v[:]...) }
func (w *writer) uvarint(v int)    { w.dst = kbin.AppendUvarint(w.dst, uint32(v)) }
func (w *writer) code(v ErrorCode) { w.int16(int16(v)) }

// length writes the length of an array or of bytes; -1 is null.
func (w *writer) length(n int) {
	if w.flexible {
		w.uvarint(n + 1)
	} else {
		w.int32(int32(n))
	}
}

func (w *writer) stringLength(n int) {
	if w.flexible {
		w.uvarint(n + 1)
	} else {
		w.int16(int16(n))
	}
}

func (w *writer) string(s string) {
	w.stringLength(len(s))
	w.dst = append(w.dst, s...)
}

func (w *writer) stringBytes(s []byte) {
	w.stringLength(len(s))
	w.dst = append(w.dst, s...)
}

// nullableStringBytes writes nil as null.
func (w *writer) nullableStringBytes(s []byte) {
	if s == nil {
		w.stringLength(-1)
		return
	}
	w.stringBytes(s)
}

func (w *writer) nullableString(s *string) {
	if s == nil {
		w.stringLength(-1)
		return
	}
	w.string(*s)
}

// nullableBytes writes nil as null.
func (w *writer) nullableBytes(p []byte) {
	if p == nil {
		w.length(-1)
		return
	}
	w.length(len(p))
	w.dst = append(w.dst, p...)
}

func (w *writer) int32s(v []int32) {
	w.length(len(v))
	for _, n := range v {
		w.int32(n)
	}
}

// tags writes the number of tagged fields that follow.
func (w *writer) tags(n int) {
	if w.flexible {
		w.uvarint(n)
	}
}

// tag begins one tagged field of size bytes.
func (w *writer) tag(number, size int) {
	w.uvarint(number)
	w.uvarint(size)
}

// compactString is the size of s in a flexible version.
func compactString(s string) int { return compactLength(len(s)+1) + len(s) }

func compactLength(n int) int { return kbin.UvarintLen(uint32(n)) }
