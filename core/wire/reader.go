package wire

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kbin"
)

// ErrMalformed is the error of a body that is not what its key and version say: cut short, with a length that
// points outside, with null where there is no null, or with more elements than a request may have.
var ErrMalformed = errors.New("malformed request")

// maxElements bounds the array elements and tagged fields of one body. An element on the wire may be as short as two
// bytes and a hundred in memory, so the length of the frame alone bounds memory too loosely.
const maxElements = 1 << 20

// reader takes a body apart. After the first fault every answer is zero and err tells.
type reader struct {
	src      []byte
	flexible bool
	failed   bool
	elements int // array elements and tags seen so far
}

func (r *reader) fail() {
	r.src, r.failed = nil, true
}

func (r *reader) err() error {
	if r.failed {
		return ErrMalformed
	}
	return nil
}

func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail()
		return nil
	}
	p := r.src[:n:n]
	r.src = r.src[n:]
	return p
}

func (r *reader) bool() bool { return r.int8() != 0 }

func (r *reader) int8() int8 {
	if len(r.src) < 1 {
		r.fail()
		return 0
	}
	v := int8(r.src[0])
	r.src = r.src[1:]
	return v
}

func (r *reader) int16() int16 {
	if len(r.src) < 2 {
		r.fail()
		return 0
	}
	v := int16(binary.BigEndian.Uint16(r.src))
	r.src = r.src[2:]
	return v
}

func (r *reader) int32() int32 {
	if len(r.src) < 4 {
		r.fail()
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.src))
	r.src = r.src[4:]
	return v
}

func (r *reader) int64() int64 {
	if len(r.src) < 8 {
		r.fail()
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.src))
	r.src = r.src[8:]
	return v
}

func (r *reader) uuid() (id [16]byte) {
	copy(id[:], r.span(16))
	return id
}

func (r *reader) uvarint() int {
	v, n := kbin.Uvarint(r.src)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return int(v)
}

// length reads the length of an array or of bytes; -1 is null.
func (r *reader) length() int {
	n := 0
	if r.flexible {
		n = r.uvarint() - 1
	} else {
		n = int(r.int32())
	}
	if r.failed || n < -1 || n > len(r.src) {
		r.fail()
		return 0
	}
	return n
}

// nullableArray reads the length of an array whose elements take least bytes or more each; -1 is null.
func (r *reader) nullableArray(least int) int {
	n := r.length()
	if n > 0 && !r.count(n, least) {
		return 0
	}
	return n
}

// array is nullableArray where null is a fault.
func (r *reader) array(least int) int {
	n := r.nullableArray(least)
	if n < 0 {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) count(n, least int) bool {
	r.elements += n
	if n > len(r.src)/least || r.elements > maxElements {
		r.fail()
		return false
	}
	return true
}

// nullableBytes reads bytes; null is nil, and empty is not.
func (r *reader) nullableBytes() []byte {
	n := r.length()
	if n < 0 {
		return nil
	}
	return r.span(n)
}

// bytes is nullableBytes where null is a fault.
func (r *reader) bytes() []byte {
	p := r.nullableBytes()
	if p == nil {
		r.fail()
	}
	return p
}

// nullableString reads a string's bytes; null is nil, and empty is not.
func (r *reader) nullableString() []byte {
	n := 0
	if r.flexible {
		n = r.uvarint() - 1
	} else {
		n = int(r.int16())
	}
	if r.failed || n < -1 || n > maxString {
		r.fail()
		return nil
	}
	if n < 0 {
		return nil
	}
	return r.span(n)
}

// maxString is the longest string of the protocol, in bytes; compact strings share the limit.
const maxString = 1<<15 - 1

// string is nullableString where null is a fault.
func (r *reader) string() []byte {
	s := r.nullableString()
	if s == nil {
		r.fail()
	}
	return s
}

// int32s reads an array of int32; null is a fault.
func (r *reader) int32s() []int32 {
	n := r.array(4)
	if n == 0 {
		return nil
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = r.int32()
	}
	return v
}

// tags begins the tagged fields of a structure and returns how many there are; each is read with tag.
func (r *reader) tags() int {
	if !r.flexible {
		return 0
	}
	n := r.uvarint()
	if n > 0 && !r.count(n, 2) {
		return 0
	}
	return n
}

// tag reads one tagged field: its number and its content.
func (r *reader) tag() (number int, content reader) {
	number = r.uvarint()
	content = reader{src: r.span(r.uvarint()), flexible: true, failed: r.failed, elements: r.elements}
	return number, content
}

// join takes over what a tagged field's reader has found out.
func (r *reader) join(content *reader) {
	r.elements = content.elements
	if content.failed {
		r.fail()
	}
}

// skipTags passes over the tagged fields of a structure that has none that are known.
func (r *reader) skipTags() {
	for range r.tags() {
		r.uvarint()
		r.span(r.uvarint())
	}
}
