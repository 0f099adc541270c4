package transport

import (
	"crypto/rand"
	"encoding/binary"
)

// Rand draws from the operating system's randomness, many numbers at a time. It belongs to one goroutine, the loop.
type Rand struct {
	stock [512]byte
	used  int
}

// NewRand returns a source of unpredictable numbers.
func NewRand() *Rand { return &Rand{used: 512} }

// Uint64 returns 64 random bits. A number is wiped from the stock when it is drawn.
func (r *Rand) Uint64() uint64 {
	if r.used == len(r.stock) {
		_, _ = rand.Read(r.stock[:]) // never fails: the program stops first
		r.used = 0
	}
	at := r.stock[r.used : r.used+8]
	v := binary.BigEndian.Uint64(at)
	clear(at)
	r.used += 8
	return v
}
