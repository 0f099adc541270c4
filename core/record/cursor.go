package record

import "io"

// cursor reads the fields of records, either from bytes that are all there or through a window over a stream. The first
// field that cannot be read makes it bad, and it stays so; fields read from then on are zero.
type cursor struct {
	p     []byte // what is at hand
	i     int    // next byte of p
	start int64  // position of p[0] in the whole
	in    io.Reader
	err   error // of in; io.EOF at its end
	bad   bool
}

// pos is how much was read.
func (c *cursor) pos() int64 { return c.start + int64(c.i) }

// more reports whether anything is left.
func (c *cursor) more() bool { return c.i < len(c.p) || c.fill() }

// fill gets more bytes from the stream and reports whether there were any. What is at hand and unread moves to the
// front; if that takes the whole window, the window grows.
func (c *cursor) fill() bool {
	if c.in == nil || c.err != nil {
		return false
	}
	if c.i > 0 {
		n := copy(c.p, c.p[c.i:])
		c.start += int64(c.i)
		c.p, c.i = c.p[:n], 0
	}
	if len(c.p) == cap(c.p) {
		c.p = append(c.p, 0)[:len(c.p)]
	}
	for range 100 { // a codec that gives nothing so often is broken
		n, err := c.in.Read(c.p[len(c.p):cap(c.p)])
		c.p = c.p[:len(c.p)+n]
		c.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	c.err = io.ErrNoProgress
	return false
}

// need gets the next n bytes to hand. The window grows with what comes, never by what is claimed.
func (c *cursor) need(n int) bool {
	for len(c.p)-c.i < n {
		if !c.fill() {
			c.bad = true
			return false
		}
	}
	return true
}

func (c *cursor) byte() byte {
	if !c.more() {
		c.bad = true
		return 0
	}
	b := c.p[c.i]
	c.i++
	return b
}

// varint reads a zigzag number of at most 5 bytes.
func (c *cursor) varint() int32 {
	if i := c.i; i < len(c.p) && c.p[i] < 0x80 {
		c.i = i + 1
		u := c.p[i]
		return int32(u>>1) ^ -int32(u&1)
	}
	u := c.uvarint(35)
	return int32(uint32(u)>>1) ^ -int32(u&1)
}

// varlong reads a zigzag number of at most 10 bytes.
func (c *cursor) varlong() int64 {
	u := c.uvarint(70)
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) uvarint(maxBits uint) uint64 {
	var u uint64
	for shift := uint(0); shift < maxBits; shift += 7 {
		var b byte
		if c.i < len(c.p) {
			b = c.p[c.i]
			c.i++
		} else {
			b = c.byte()
		}
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return u
		}
	}
	c.bad = true
	return 0
}

// skip passes over n bytes; n < 0 is a null and passes over none.
func (c *cursor) skip(n int32) {
	if int(n) <= len(c.p)-c.i {
		if n > 0 {
			c.i += int(n)
		}
		return
	}
	c.skipStream(int(n))
}

func (c *cursor) skipStream(n int) {
	for n > 0 {
		if !c.more() {
			c.bad = true
			return
		}
		step := min(n, len(c.p)-c.i)
		c.i += step
		n -= step
	}
}

// bytes takes n bytes that are at hand; nil if n < 0.
func (c *cursor) bytes(n int32) []byte {
	if n < 0 {
		return nil
	}
	if int(n) > len(c.p)-c.i {
		c.bad = true
		return nil
	}
	b := c.p[c.i : c.i+int(n) : c.i+int(n)]
	c.i += int(n)
	return b
}

// reason is the error of a cursor that is bad or should be at its end.
func (c *cursor) reason() error {
	if c.err != nil && c.err != io.EOF {
		return asInvalid(c.err)
	}
	return ErrInvalid
}
