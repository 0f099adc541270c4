package transport

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"lignum/core/env"
)

// Classes are powers of two up to 1 MiB, and from there on multiples of that.
const (
	leastPower  = 8  // 256 bytes
	topPower    = 20 // 1 MiB
	classes     = topPower - leastPower + maxStep
	maxStep     = 16              // MiB; larger buffers are made and dropped
	leastMapped = 14 - leastPower // class of 16 KiB; buffers from here on are outside the Go heap
)

const defaultRetain = 24 << 20

// poison is what released memory is filled with if the pool was asked to.
const poison = 0xdb

// Pool hands out reference-counted buffers in classes of sizes and keeps released ones, up to a bound. All but small ones are
// memory of their own from the system: a reference that is never dropped leaks, and one that is used after its release crashes. Of a large
// buffer that is new only what has been written to takes up memory. Its methods may be called on any goroutine.
type Pool struct {
	classes  [classes]class
	retained atomic.Int64 // bytes in all classes
	large    atomic.Int64 // bytes in the classes above 1 MiB
	inUse    atomic.Int64 // bytes handed out and not released
	bound    int64
	poisoned bool
}

type class struct {
	mu   sync.Mutex
	free []*buffer
}

// PoolOptions are the settings of a Pool.
type PoolOptions struct {
	// Retain bounds the bytes that are kept for reuse; default 24 MiB, below zero nothing is kept.
	Retain int64
	// Poison overwrites released memory and checks that nobody wrote to it since. For tests.
	Poison bool
}

// NewPool returns an empty pool.
func NewPool(o PoolOptions) *Pool {
	if o.Retain == 0 {
		o.Retain = defaultRetain
	}
	return &Pool{bound: o.Retain, poisoned: o.Poison}
}

// Get returns a buffer of exactly n bytes with one reference. Its content is arbitrary.
func (p *Pool) Get(n int) env.Buffer { return p.get(n) }

func (p *Pool) get(n int) *buffer {
	k := classOf(n)
	b := p.kept(k)
	if b == nil {
		b = p.fresh(n, k)
	} else {
		p.count(b, -int64(len(b.mem)))
		if p.poisoned {
			b.mustBePoisoned()
		}
	}
	p.inUse.Add(int64(len(b.mem)))
	b.n = n
	b.refs.Store(1)
	return b
}

// kept takes a buffer out of the class, nil if there is none. A large one may also be larger: they are few, and their sizes many.
func (p *Pool) kept(class int) *buffer {
	if class >= classes {
		return nil
	}
	b := p.classes[class].pop()
	if class > topClass && p.large.Load() > 0 {
		for k := class + 1; b == nil && k < classes; k++ {
			b = p.classes[k].pop()
		}
	}
	return b
}

// count adds to the number of bytes that are kept and returns it.
func (p *Pool) count(b *buffer, bytes int64) (all, large int64) {
	if b.class > topClass {
		large = p.large.Add(bytes)
	}
	return p.retained.Add(bytes), large
}

func (p *Pool) fresh(n, class int) *buffer {
	b := &buffer{pool: p, class: class}
	n = sizeOf(class, n)
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
		for i := range b.mem {
			b.mem[i] = poison
		}
	}
	size := int64(len(b.mem))
	p.inUse.Add(-size)
	if b.class >= classes {
		b.drop()
		return
	}
	// Large buffers leave a part of the bound to the many others.
	if all, large := p.count(b, size); all > p.bound || large > p.bound/4*3 {
		p.count(b, -size)
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
	return b
}

func (c *class) push(b *buffer) {
	c.mu.Lock()
	c.free = append(c.free, b)
	c.mu.Unlock()
}

// topClass is the class of 1 MiB.
const topClass = topPower - leastPower

// classOf returns the smallest class that holds n bytes.
func classOf(n int) int {
	switch {
	case n <= 1<<leastPower:
		return 0
	case n <= 1<<topPower:
		return bits.Len(uint(n-1)) - leastPower
	}
	return topClass - 1 + (n+1<<topPower-1)>>topPower
}

// sizeOf returns the size of the buffers of a class; n if it is above all classes.
func sizeOf(class, n int) int {
	switch {
	case class <= topClass:
		return 1 << (class + leastPower)
	case class < classes:
		return (class - topClass + 1) << topPower
	}
	return n
}

// buffer is an env.Buffer.
type buffer struct {
	pool   *Pool
	mem    []byte // the whole of the class
	mapped bool   // mem is not on the heap
	n      int    // bytes that were asked for
	class  int
	refs   atomic.Int32

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
	for i, v := range b.mem {
		if v != poison {
			panic(fmt.Sprintf("transport: byte %d of a released buffer was written to", i))
		}
	}
}
