package transport

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"lignum/core/env"
)

// Classes are powers of two up to 1 MiB, and one for all that is larger, up to 16 MiB: of memory from the system only what has been
// written to is really there, so that one size can serve them all.
const (
	leastPower  = 8               // 256 bytes
	topPower    = 20              // 1 MiB
	leastMapped = 14 - leastPower // class of 16 KiB; buffers from here on are outside the Go heap
	largeClass  = topPower - leastPower + 1
	largeBytes  = 16 << 20
	noClass     = largeClass + 1 // larger still: made and dropped
)

const defaultFootprint = 64 << 20

// poison is what released memory is filled with if the pool was asked to.
const poison = 0xdb

// Pool hands out reference-counted buffers in classes of sizes and keeps released ones, up to a bound. All but small ones are
// memory of their own from the system: a reference that is never dropped leaks, and one that is used after its release crashes. Of a large
// buffer that is new only what has been written to takes up memory. Its methods may be called on any goroutine.
type Pool struct {
	classes  [noClass]class
	retained atomic.Int64 // bytes in all classes
	inUse    atomic.Int64 // bytes handed out and not released
	bound    int64        // for retained and inUse together
	poisoned bool
}

type class struct {
	mu   sync.Mutex
	free []*buffer
	low  int // least length of free since the last Trim
}

// PoolOptions are the settings of a Pool.
type PoolOptions struct {
	// Footprint is how many bytes, handed out and kept for reuse together, there may be for a released buffer to be kept; default 64 MiB,
	// below zero nothing is kept.
	Footprint int64
	// Poison overwrites released memory and checks that nobody wrote to it since. For tests.
	Poison bool
}

// NewPool returns an empty pool.
func NewPool(o PoolOptions) *Pool {
	if o.Footprint == 0 {
		o.Footprint = defaultFootprint
	}
	return &Pool{bound: o.Footprint, poisoned: o.Poison}
}

// Get returns a buffer of exactly n bytes with one reference. Its content is arbitrary.
func (p *Pool) Get(n int) env.Buffer { return p.get(n) }

func (p *Pool) get(n int) *buffer {
	k := classOf(n)
	var b *buffer
	if k != noClass {
		b = p.classes[k].pop()
	}
	if b == nil {
		b = p.fresh(n, k)
	} else {
		p.retained.Add(-b.resident)
		if p.poisoned {
			b.mustBePoisoned()
		}
	}
	b.resident = max(b.resident, int64(n))
	p.inUse.Add(b.resident)
	b.n = n
	b.refs.Store(1)
	return b
}

func (p *Pool) fresh(n, class int) *buffer {
	b := &buffer{pool: p, class: class}
	switch {
	case class < largeClass:
		n = 1 << (class + leastPower)
		b.resident = int64(n)
	case class == largeClass:
		n = largeBytes
	}
	if class >= leastMapped {
		b.mem = mapMemory(n)
		b.mapped = b.mem != nil
	}
	if b.mem == nil {
		b.mem = make([]byte, n)
	}
	return b
}

// Retained is the number of bytes kept for reuse.
func (p *Pool) Retained() int64 { return p.retained.Load() }

// InUse is the number of bytes that are referred to.
func (p *Pool) InUse() int64 { return p.inUse.Load() }

func (p *Pool) put(b *buffer) {
	if p.poisoned {
		for i := range b.mem[:b.resident] {
			b.mem[i] = poison
		}
	}
	others := p.inUse.Add(-b.resident)
	if b.class == noClass {
		b.drop()
		return
	}
	if p.retained.Add(b.resident)+others > p.bound {
		p.retained.Add(-b.resident)
		b.drop()
		return
	}
	p.classes[b.class].push(b)
}

func (c *class) pop() *buffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.free) - 1
	if last < 0 {
		return nil
	}
	b := c.free[last]
	c.free[last] = nil
	c.free = c.free[:last]
	c.low = min(c.low, last)
	return b
}

// Trim gives back the buffers that nobody has asked for since it was called last.
func (p *Pool) Trim() {
	for k := range p.classes {
		for _, b := range p.classes[k].surplus() {
			p.retained.Add(-b.resident)
			b.drop()
		}
	}
}

func (c *class) surplus() []*buffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := slices.Clone(c.free[:c.low])
	c.free = slices.Delete(c.free, 0, c.low)
	c.low = len(c.free)
	return idle
}

func (c *class) push(b *buffer) {
	c.mu.Lock()
	c.free = append(c.free, b)
	c.mu.Unlock()
}

// classOf returns the smallest class that holds n bytes.
func classOf(n int) int {
	switch {
	case n <= 1<<leastPower:
		return 0
	case n <= 1<<topPower:
		return bits.Len(uint(n-1)) - leastPower
	case n <= largeBytes:
		return largeClass
	}
	return noClass
}

// buffer is an env.Buffer.
type buffer struct {
	pool     *Pool
	mem      []byte // the whole of the class
	mapped   bool   // mem is not on the heap
	resident int64  // bytes of mem that may have been written to
	n        int    // bytes that were asked for
	class    int
	refs     atomic.Int32

	// What a request's frame takes of the budget, given back with the memory.
	budget  *budget
	charged int64
}

// Bytes is the buffer's memory.
func (b *buffer) Bytes() []byte { return b.mem[:b.n:b.n] }

// Retain adds a reference.
func (b *buffer) Retain() {
	if b.refs.Add(1) <= 1 {
		panic("transport: buffer retained after its release")
	}
}

// Release drops a reference; the last one gives the memory back.
func (b *buffer) Release() {
	left := b.refs.Add(-1)
	if left > 0 {
		return
	}
	if left < 0 {
		panic("transport: buffer released too often")
	}
	budget, charged := b.budget, b.charged
	b.budget, b.charged = nil, 0
	b.pool.put(b)
	if budget != nil {
		budget.give(charged)
	}
}

// drop gives the memory to whom it came from.
func (b *buffer) drop() {
	mem := b.mem
	b.mem = nil
	if b.mapped {
		unmapMemory(mem)
	}
}

func (b *buffer) mustBePoisoned() {
	for i, v := range b.mem[:b.resident] {
		if v != poison {
			panic(fmt.Sprintf("transport: byte %d of a released buffer was written to", i))
		}
	}
}
