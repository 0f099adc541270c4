package sim

import (
	"math/bits"
	"time"
)

// Domain keeps the draws for one purpose apart from those for another, so that a draw more in one place does not shift
// the story everywhere else.
type Domain uint64

// The domains of this package. Scenarios and workloads use numbers from DomainUser on.
const (
	DomainNode Domain = iota + 1 // what a node draws through env.Rand
	DomainPower
	DomainCache
	DomainFault
	DomainDisk
	DomainJobs
	DomainLoop
	DomainNetwork
	DomainClock
	DomainUser Domain = 1 << 16
)

// Million is the unit of rates: a rate of Million always happens.
const Million = 1_000_000

const golden = 0x9e3779b97f4a7c15

// mix is a bijection whose output bits each depend on all input bits (the finisher of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func key(seed uint64, d Domain, actor uint64) uint64 {
	h := mix(seed + golden)
	h = mix(h ^ uint64(d)*golden)
	return mix(h ^ (actor+1)*0xd1342543de82ef95)
}

// Draw is the random number for one seed, domain, actor and ordinal. The first number of a Stream has ordinal 1.
func Draw(seed uint64, d Domain, actor, ordinal uint64) uint64 {
	return mix(key(seed, d, actor) + ordinal*golden)
}

// Stream is the sequence of draws of one actor in one domain. It is an env.Rand.
type Stream struct {
	key     uint64
	ordinal uint64
}

// NewStream starts the stream of an actor at its first ordinal.
func NewStream(seed uint64, d Domain, actor uint64) Stream {
	return Stream{key: key(seed, d, actor)}
}

// NewRand returns an env.Rand for unit tests.
func NewRand(seed uint64) *Stream {
	s := NewStream(seed, DomainNode, 0)
	return &s
}

// Uint64 is the next draw.
func (s *Stream) Uint64() uint64 {
	s.ordinal++
	return mix(s.key + s.ordinal*golden)
}

// Below draws from [0, n); 0 if n is not positive.
func (s *Stream) Below(n int64) int64 {
	if n <= 1 {
		return 0
	}
	hi, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int64(hi)
}

// Chance is true at the given rate, in millionths. It always takes one draw.
func (s *Stream) Chance(rate int64) bool {
	hi, _ := bits.Mul64(s.Uint64(), Million)
	return int64(hi) < rate
}

// Between draws a duration from [lo, hi].
func (s *Stream) Between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.Below(int64(hi-lo)+1))
}
