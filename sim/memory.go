package sim

import (
	"bytes"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"

	"lignum/core/env"
	"lignum/core/invariant"
)

// Memory is the env.Memory of the simulator. Its reference counts are plain integers, for everything runs on one
// goroutine. A released buffer is overwritten with poison and rests in quarantine before its memory is handed out
// again: who reads it late reads poison, who writes it late is found when the memory is taken up again or by Check.
// A second release, and any use of a released handle, is an invariant violation.
type Memory struct {
	resting   [32][][]byte // by the power of two of their size, oldest first
	poison    [4096]byte
	live      buffer // ring of buffers that are held
	held      int
	heldBytes int64
	peakBytes int64
	gets      uint64
	origins   bool
}

const (
	poisonByte = 0xdb
	// quarantine is how many released buffers of one size rest before the oldest is used again.
	quarantine = 8
)

type buffer struct {
	mem        *Memory
	p          []byte
	whole      []byte
	refs       int
	number     uint64
	pcs        []uintptr
	prev, next *buffer
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	m := &Memory{}
	for i := range m.poison {
		m.poison[i] = poisonByte
	}
	m.live.prev, m.live.next = &m.live, &m.live
	return m
}

// RecordOrigins makes Leaks name the code that took each buffer. It is slow: for hunting a leak that is known.
func (m *Memory) RecordOrigins() { m.origins = true }

// Get returns a buffer of exactly n bytes, full of poison.
func (m *Memory) Get(n int) env.Buffer {
	if n < 0 || n > 1<<31-1 {
		invariant.Violated("memory: buffer of %d bytes", n)
	}
	whole := m.take(bits.Len(uint(max(n, 1) - 1)))
	m.gets++
	b := &buffer{mem: m, p: whole[:n:n], whole: whole, refs: 1, number: m.gets}
	b.prev, b.next = m.live.prev, &m.live
	b.prev.next, b.next.prev = b, b
	m.held++
	m.heldBytes += int64(n)
	m.peakBytes = max(m.peakBytes, m.heldBytes)
	if m.origins {
		b.pcs = make([]uintptr, 12)
		b.pcs = b.pcs[:runtime.Callers(2, b.pcs)]
	}
	return b
}

func (m *Memory) take(class int) []byte {
	resting := m.resting[class]
	if len(resting) > quarantine {
		whole := resting[0]
		copy(resting, resting[1:])
		m.resting[class] = resting[:len(resting)-1]
		m.checkPoison(whole)
		return whole
	}
	whole := make([]byte, 1<<class)
	m.spoil(whole)
	return whole
}

func (m *Memory) spoil(p []byte) {
	for len(p) > 0 {
		p = p[copy(p, m.poison[:]):]
	}
}

func (m *Memory) checkPoison(p []byte) {
	size := len(p)
	for len(p) > 0 {
		n := min(len(p), len(m.poison))
		if !bytes.Equal(p[:n], m.poison[:n]) {
			at := size - len(p) + slices.IndexFunc(p[:n], func(b byte) bool { return b != poisonByte })
			invariant.Violated("memory: a buffer of up to %d bytes was written at %d after its last release", size, at)
		}
		p = p[n:]
	}
}

// Check looks at all resting memory for writes after release.
func (m *Memory) Check() {
	for _, resting := range m.resting {
		for _, whole := range resting {
			m.checkPoison(whole)
		}
	}
}

// Held is how many buffers are held and how many bytes they have.
func (m *Memory) Held() (buffers int, bytes int64) { return m.held, m.heldBytes }

// Peak is the largest number of bytes that were held at a time.
func (m *Memory) Peak() int64 { return m.peakBytes }

// Leaks describes each buffer that is still held, oldest first; nil if there is none.
func (m *Memory) Leaks() []string {
	var out []string
	for b := m.live.next; b != &m.live; b = b.next {
		out = append(out, fmt.Sprintf("buffer %d of %d bytes, %d references%s", b.number, len(b.p), b.refs, b.origin()))
	}
	return out
}

func (b *buffer) origin() string {
	if len(b.pcs) == 0 {
		return ""
	}
	var out strings.Builder
	frames := runtime.CallersFrames(b.pcs)
	for {
		f, more := frames.Next()
		fmt.Fprintf(&out, "\n\t%s %s:%d", f.Function, f.File, f.Line)
		if !more {
			return out.String()
		}
	}
}

func (b *buffer) mustLive(what string) {
	if b.refs <= 0 {
		invariant.Violated("memory: %s of buffer %d (%d bytes) after its last release%s", what, b.number, len(b.p), b.origin())
	}
}

// Bytes is the whole buffer.
func (b *buffer) Bytes() []byte {
	b.mustLive("use")
	return b.p
}

// Retain adds one reference.
func (b *buffer) Retain() {
	b.mustLive("retain")
	b.refs++
}

// Release drops one reference.
func (b *buffer) Release() {
	b.mustLive("release")
	if b.refs--; b.refs > 0 {
		return
	}
	m := b.mem
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
	m.held--
	m.heldBytes -= int64(len(b.p))
	m.spoil(b.whole)
	class := bits.Len(uint(len(b.whole) - 1))
	m.resting[class] = append(m.resting[class], b.whole)
	b.whole = nil
}
