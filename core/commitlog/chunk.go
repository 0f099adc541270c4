package commitlog

import (
	"sort"
	"time"

	"lignum/core/env"
	"lignum/core/record"
)

// Sizes of chunks, in bytes. A chunk that filled up within fastFill is followed by one of twice its size, one that took
// longer than slowFill by one of half of it. A batch that is larger than the greatest gets a chunk of its own.
const (
	leastChunk = 16 << 10
	mostChunk  = 1 << 20
	fastFill   = time.Second
	slowFill   = 10 * time.Second
)

// markBytes is how much of a chunk lies between two of its marks: what a search has to walk at most, but for a larger batch.
const markBytes = 2 << 10

// chunk is a piece of memory that holds whole batches of one segment, one behind the other as in the file.
type chunk struct {
	buf     env.Buffer
	data    []byte
	used    int
	segment *segment
	pos     int64         // position in the segment's file of data[0]
	lo      record.Offset // where the log ended when the chunk was begun: it answers for offsets in [lo, next)
	next    record.Offset
	marks   []mark
	opened  env.Instant
}

// mark is the start of a batch.
type mark struct {
	offset record.Offset
	at     int
}

// locate finds the first batch whose last offset is at or above o: its position, or used if there is none.
func (c *chunk) locate(o record.Offset) int {
	if o >= c.next {
		return c.used
	}
	i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].offset > o })
	at := 0
	if i > 0 {
		at = c.marks[i-1].at
	}
	for at < c.used {
		h := header(c.data[at:])
		if h.NextOffset() > o {
			return at
		}
		at += h.size()
	}
	return c.used
}

// cut is the end of the last whole batch that lies within [from, limit); from if there is none.
func (c *chunk) cut(from, limit int) int {
	if limit >= c.used {
		return c.used
	}
	i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].at > limit })
	at := from
	if i > 0 {
		at = max(from, c.marks[i-1].at)
	}
	for at < c.used {
		n := header(c.data[at:]).size()
		if at+n > limit {
			break
		}
		at += n
	}
	return at
}

// ring is the tail of the log in memory: chunks without a gap between their offsets, the last one open for appends.
type ring struct {
	mem    env.Memory
	chunks []*chunk
	size   int   // size of the next chunk
	bytes  int64 // memory of all chunks
	sealed bool  // the last chunk takes no more batches
	spare  *chunk
}

// room returns n bytes behind what the segment has so far, in the open chunk or in a new one.
func (r *ring) room(s *segment, n int, end record.Offset, now env.Instant) (*chunk, []byte) {
	if k := len(r.chunks); k > 0 && !r.sealed {
		c := r.chunks[k-1]
		if c.segment == s && c.used+n <= len(c.data) {
			return c, c.data[c.used : c.used+n]
		}
		if c.segment == s {
			r.adapt(now.Sub(c.opened))
		}
	}
	c := r.open(s, max(n, r.size), end, now)
	return c, c.data[:n]
}

// adapt chooses the size of the next chunk by how long the last one took to fill.
func (r *ring) adapt(took time.Duration) {
	switch {
	case took < fastFill:
		r.size = min(2*r.size, mostChunk)
	case took > slowFill:
		r.size = max(r.size/2, leastChunk)
	}
}

func (r *ring) open(s *segment, n int, end record.Offset, now env.Instant) *chunk {
	c := r.spare
	if c == nil {
		c = &chunk{}
	}
	r.spare = nil
	buf := r.mem.Get(n)
	*c = chunk{buf: buf, data: buf.Bytes(), segment: s, pos: s.size, lo: end, next: end, marks: c.marks[:0], opened: now}
	r.chunks = append(r.chunks, c)
	r.bytes += int64(len(c.data))
	r.sealed = false
	return c
}

// took notes that a batch was copied to the room it was given.
func (c *chunk) took(base, next record.Offset, n int) {
	if k := len(c.marks); k == 0 || c.used-c.marks[k-1].at >= markBytes {
		c.marks = append(c.marks, mark{base, c.used})
	}
	c.used += n
	c.next = next
}

// seal makes the next append start a new chunk: some reader may hold what lies behind the end.
func (r *ring) seal() { r.sealed = true }

// find is the index of the chunk that answers for the offset; ok is false if the offset lies before the ring.
func (r *ring) find(o record.Offset) (i int, ok bool) {
	if len(r.chunks) == 0 || o < r.chunks[0].lo {
		return 0, false
	}
	return sort.Search(len(r.chunks), func(i int) bool { return r.chunks[i].next > o }), true
}

// cutFrom forgets everything from o on. If o lies within the ring it returns the segment and the position there of the first
// byte that is forgotten.
func (r *ring) cutFrom(o record.Offset) (s *segment, pos int64, ok bool) {
	r.seal()
	for k := len(r.chunks) - 1; k >= 0 && r.chunks[k].next > o; k-- {
		c := r.chunks[k]
		at := c.locate(o)
		s, pos, ok = c.segment, c.pos+int64(at), c.lo <= o
		if at > 0 {
			c.used, c.next = at, o
			for len(c.marks) > 0 && c.marks[len(c.marks)-1].at >= at {
				c.marks = c.marks[:len(c.marks)-1]
			}
			break
		}
		r.chunks[k] = nil
		r.chunks = r.chunks[:k]
		r.drop(c)
	}
	return s, pos, ok
}

// dropOldest gives back the oldest chunk.
func (r *ring) dropOldest() int64 {
	c := r.chunks[0]
	n := copy(r.chunks, r.chunks[1:])
	r.chunks[n] = nil
	r.chunks = r.chunks[:n]
	return r.drop(c)
}

func (r *ring) drop(c *chunk) int64 {
	n := int64(len(c.data))
	r.bytes -= n
	c.buf.Release()
	*c = chunk{marks: c.marks[:0]}
	r.spare = c
	return n
}
