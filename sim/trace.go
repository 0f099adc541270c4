package sim

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Trace is a running 128-bit hash over everything that happened: equal traces mean equal stories.
type Trace struct {
	hi, lo uint64
}

// Word takes one number in.
func (t *Trace) Word(x uint64) {
	a, b := bits.Mul64(t.lo^x, 0xa0761d6478bd642f)
	c, d := bits.Mul64(t.hi^bits.RotateLeft64(x, 32), 0xe7037ed1a0b428db)
	t.lo = a ^ b ^ bits.RotateLeft64(t.hi, 17)
	t.hi = c ^ d ^ (t.lo + golden)
}

// Bytes takes a string of bytes in, its length too.
func (t *Trace) Bytes(p []byte) {
	t.Word(uint64(len(p)))
	for ; len(p) >= 8; p = p[8:] {
		t.Word(binary.LittleEndian.Uint64(p))
	}
	var rest uint64
	for i, c := range p {
		rest |= uint64(c) << (8 * i)
	}
	t.Word(rest)
}

// Text takes a string in.
func (t *Trace) Text(s string) {
	t.Word(uint64(len(s)))
	var word uint64
	for i := range len(s) {
		if word |= uint64(s[i]) << (8 * (i % 8)); i%8 == 7 {
			t.Word(word)
			word = 0
		}
	}
	t.Word(word)
}

// String is the hash in hexadecimal.
func (t Trace) String() string { return fmt.Sprintf("%016x%016x", t.hi, t.lo) }
