package group

import (
	"encoding/binary"
	"errors"
)

// errMalformed: a record's bytes are not what its version says.
var errMalformed = errors.New("malformed record")

// reader takes the fields off a record in Kafka's encoding. After a fault every field is zero.
type reader struct {
	p        []byte
	flexible bool // compact lengths, and tagged fields at the end of each structure
	failed   bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.p) {
		r.failed = true
		return nil
	}
	out := r.p[:n:n]
	r.p = r.p[n:]
	return out
}

func (r *reader) int8() int8 {
	if p := r.take(1); p != nil {
		return int8(p[0])
	}
	return 0
}

func (r *reader) int16() int16 {
	if p := r.take(2); p != nil {
		return int16(binary.BigEndian.Uint16(p))
	}
	return 0
}

func (r *reader) int32() int32 {
	if p := r.take(4); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

func (r *reader) int64() int64 {
	if p := r.take(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

func (r *reader) uvarint() int {
	v, n := binary.Uvarint(r.p)
	if n <= 0 || v > 1<<31-1 {
		r.failed = true
		return 0
	}
	r.take(n)
	return int(v)
}

// length reads the length of a string (int16) or of bytes or a list (int32); -1 is null.
func (r *reader) length(wide bool) int {
	switch {
	case r.flexible:
		return r.uvarint() - 1
	case wide:
		return int(r.int32())
	}
	return int(r.int16())
}

func (r *reader) string() string {
	s, _ := r.maybeString()
	return s
}

// maybeString reads a string that may be null; false if it is.
func (r *reader) maybeString() (string, bool) {
	n := r.length(false)
	if n < 0 {
		return "", false
	}
	return string(r.take(n)), true
}

func (r *reader) bytes() []byte {
	n := r.length(true)
	if n < 0 {
		return nil
	}
	return append([]byte{}, r.take(n)...)
}

// count reads how many items a list has, each of at least so many bytes.
func (r *reader) count(least int) int {
	n := r.length(true)
	if n < 0 {
		return 0
	}
	if n*least > len(r.p) {
		r.failed = true
		return 0
	}
	return n
}

func (r *reader) int32s() []int32 {
	n := r.count(4)
	if n == 0 {
		return nil
	}
	list := make([]int32, 0, n)
	for range n {
		list = append(list, r.int32())
	}
	return list
}

// tags reads tagged fields and calls known for each; what it does not know it leaves.
func (r *reader) tags(known func(tag int, value *reader)) {
	if !r.flexible {
		return
	}
	for n := r.uvarint(); n > 0 && !r.failed; n-- {
		tag := r.uvarint()
		value := reader{p: r.take(r.uvarint()), flexible: true}
		if known != nil && !r.failed {
			known(tag, &value)
			r.failed = r.failed || value.failed
		}
	}
}

// err is nil if every field was there.
func (r *reader) err() error {
	if r.failed {
		return errMalformed
	}
	return nil
}

// writer appends fields in Kafka's encoding.
type writer struct {
	p        []byte
	flexible bool
}

func (w *writer) int8(v int8)      { w.p = append(w.p, byte(v)) }
func (w *writer) int16(v int16)    { w.p = binary.BigEndian.AppendUint16(w.p, uint16(v)) }
func (w *writer) int32(v int32)    { w.p = binary.BigEndian.AppendUint32(w.p, uint32(v)) }
func (w *writer) int64(v int64)    { w.p = binary.BigEndian.AppendUint64(w.p, uint64(v)) }
func (w *writer) uuid(id [16]byte) { w.p = append(w.p, id[:]...) }
func (w *writer) uvarint(v int)    { w.p = binary.AppendUvarint(w.p, uint64(v)) }
func (w *writer) count(n int)      { w.length(n, true) }
func (w *writer) noTags()          { w.tagCount(0) }
func (w *writer) tagCount(n int) {
	if w.flexible {
		w.uvarint(n)
	}
}

func (w *writer) length(n int, wide bool) {
	switch {
	case w.flexible:
		w.uvarint(n + 1)
	case wide:
		w.int32(int32(n))
	default:
		w.int16(int16(n))
	}
}

func (w *writer) string(s string) {
	w.length(len(s), false)
	w.p = append(w.p, s...)
}

// maybeString writes null for an empty string.
func (w *writer) maybeString(s string) {
	if s == "" {
		w.length(-1, false)
		return
	}
	w.string(s)
}

func (w *writer) bytes(p []byte) {
	w.length(len(p), true)
	w.p = append(w.p, p...)
}

func (w *writer) int32s(list []int32) {
	w.count(len(list))
	for _, v := range list {
		w.int32(v)
	}
}
