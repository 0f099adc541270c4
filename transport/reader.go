package transport

import (
	"encoding/binary"
	"io"
	"time"
)

const (
	// A connection reads into a small buffer until it has filled it once, then into a large one: most have
	// little to say.
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10

	// trusted is the most that the budget is charged with on the word of a frame's length alone. A longer frame is charged for as its
	// bytes arrive, which is also when they begin to take up memory. It is more than a reader's buffer holds.
	trusted = 64 << 10

	lengthSize = 4
)

// intake is what a reader works on: a buffer of bytes that have arrived, of which [from, to) are not yet
// used, and requests that the loop has not got yet.
type intake struct {
	c        *conn
	buf      *buffer
	from, to int
	batch    []input
}

// read frames and decodes what arrives until the connection ends. It returns io.EOF if the peer has ended it
// between two frames.
func (c *conn) read() error {
	in := &intake{c: c, buf: c.s.o.Memory.get(smallBuffer)}
	defer func() {
		in.post()
		in.buf.Release()
	}()
	for {
		if err := in.frames(); err != nil {
			return err
		}
		in.post()
		in.makeRoom()
		c.inFrame.Store(in.to > in.from)
		n, err := c.nc.Read(in.buf.Bytes()[in.to:])
		if n > 0 {
			in.to += n
			c.readAt.Store(c.s.now.Load())
		}
		if err != nil {
			return in.ended(err)
		}
		if c.finishing.Load() {
			return c.discard()
		}
	}
}

// ended translates the error that ended the reading.
func (in *intake) ended(err error) error {
	c := in.c
	switch {
	case c.leaving.Load():
		return errClosing
	case c.finishing.Load():
		return errFinished
	case err == io.EOF && in.to > in.from:
		return fault("the peer hung up inside a frame")
	}
	return err
}

// frames takes all whole frames out of the buffer, and a larger frame that begins there out of the socket.
func (in *intake) frames() error {
	for {
		b := in.buf.Bytes()[in.from:in.to]
		if len(b) < lengthSize {
			return nil
		}
		n := int(int32(binary.BigEndian.Uint32(b)))
		if n < 0 || n > in.c.limit {
			return fault("frame of %d bytes; the limit is %d", n, in.c.limit)
		}
		if len(b) < lengthSize+n && lengthSize+n <= largeBuffer {
			return nil
		}
		f, err := in.take(b[lengthSize:], n)
		if err != nil {
			return err
		}
		if err := in.deliver(f); err != nil {
			return err
		}
	}
}

// take makes a frame of n bytes, of which b holds the first or all.
func (in *intake) take(b []byte, n int) (*buffer, error) {
	if len(b) < n {
		return in.takeLong(b, n)
	}
	whole := &in.c.account.whole
	if err := in.admit(whole); err != nil {
		return nil, err
	}
	f := in.c.s.o.Memory.get(n)
	f.charge(whole, n)
	in.from += lengthSize + copy(f.Bytes(), b)
	return f, nil
}

// takeLong makes a frame of what has arrived and what is still in the socket. Once it is here it waits as any other does.
func (in *intake) takeLong(b []byte, n int) (*buffer, error) {
	c := in.c
	if err := in.admit(&c.account.arriving); err != nil {
		return nil, err
	}
	f := c.s.o.Memory.get(n)
	f.charge(&c.account.arriving, min(n, trusted))
	used := copy(f.Bytes(), b)
	in.from += lengthSize + used
	err := c.rest(f, used)
	if err != nil {
		f.Release()
		return nil, in.ended(err)
	}
	if err := in.admit(&c.account.whole); err != nil {
		f.Release()
		return nil, err
	}
	f.budget.give(f.charged)
	f.charge(&c.account.whole, n)
	return f, nil
}

// charge has a budget pay for so many bytes. One was taken at the gate.
func (b *buffer) charge(who *budget, n int) {
	b.budget, b.charged = who, int64(n)
	who.more(b.charged - 1)
}

// rest reads the bytes of a frame from the used'th on.
func (c *conn) rest(f *buffer, used int) error {
	b := f.Bytes()
	c.began.Store(c.s.now.Load())
	c.arrived.Store(int64(used))
	c.inFrame.Store(true)
	c.arriving.Store(true)
	defer c.arriving.Store(false)
	for used < len(b) {
		// What has been charged for is what may arrive.
		if int64(used) == f.charged {
			more := min(f.charged, int64(len(b))-f.charged)
			f.budget.more(more)
			f.charged += more
		}
		k, err := c.nc.Read(b[used:f.charged])
		used += k
		c.arrived.Store(int64(used))
		if k > 0 {
			c.readAt.Store(c.s.now.Load())
		}
		if err == io.EOF && used < len(b) {
			return fault("the peer hung up inside a frame")
		}
		if err != nil && used < len(b) {
			return err
		}
	}
	return nil
}

// deliver decodes a frame and adds the request to the batch.
func (in *intake) deliver(f *buffer) error {
	req, err := in.c.s.o.Decode(in.c.info, f)
	if err != nil {
		f.Release()
		return &faultError{err: err}
	}
	in.c.unanswered.Add(1)
	in.batch = append(in.batch, input{conn: in.c.id, req: req})
	return nil
}

// post hands the batch to the loop.
func (in *intake) post() {
	if len(in.batch) == 0 {
		return
	}
	if !in.c.s.loop.put(in.batch...) {
		for i := range in.batch {
			in.batch[i].req.Release()
		}
	}
	clear(in.batch)
	in.batch = in.batch[:0]
}

// makeRoom moves what is left of the buffer to its beginning, and to a larger buffer once this one was full.
func (in *intake) makeRoom() {
	from, full := in.from, in.to == in.buf.n
	if from > 0 {
		in.from, in.to = 0, copy(in.buf.Bytes(), in.buf.Bytes()[from:in.to])
	}
	if full && in.buf.n < largeBuffer {
		large := in.c.s.o.Memory.get(largeBuffer)
		copy(large.Bytes(), in.buf.Bytes()[:in.to])
		in.buf.Release()
		in.buf = large
	}
}

// admit waits until a frame may be let in, and takes one byte of the budget for it, so that a
// budget that is used up keeps frames of any size out.
func (in *intake) admit(to *budget) error {
	c := in.c
	if c.mayRead() && to.take(1) {
		return nil
	}
	in.post()
	c.waiting.Store(true)
	defer func() {
		c.readAt.Store(c.s.now.Load()) // the peer is not to blame for the wait
		c.waiting.Store(false)
	}()
	for {
		switch {
		case c.dead.Load():
			return io.ErrClosedPipe
		case c.leaving.Load():
			return errClosing
		case c.finishing.Load():
			return c.discard()
		}
		if !c.mayRead() {
			<-c.gate
			continue
		}
		if to.take(1) {
			to.pass()
			return nil
		}
		in.await(to)
	}
}

// await waits for bytes in the budget. It asks once more when it stands in the queue, for some may have been given
// back just before.
func (in *intake) await(to *budget) {
	c := in.c
	to.enqueue(c.gate)
	if !to.spent() {
		c.gate.open()
	}
	<-c.gate
	to.leave(c.gate)
	if c.dead.Load() || c.leaving.Load() || c.finishing.Load() {
		to.pass() // the turn may have been this connection's
	}
}

// mayRead reports whether the connection keeps its own limits.
func (c *conn) mayRead() bool {
	limit := int32(c.s.o.InFlight)
	return c.unanswered.Load() < limit && c.unsent.Load() < limit && c.unsentBytes.Load() < c.s.o.UnsentBytes &&
		!c.leaving.Load() && !c.finishing.Load()
}

// discard waits until what is queued has been sent and then reads on without looking until the peer has closed, for a
// while: closing a socket that has unread bytes would destroy answers that are still on their way.
func (c *conn) discard() error {
	c.waiting.Store(true)
	for c.unsent.Load() > 0 && !c.dead.Load() {
		<-c.gate
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c.nc}, make([]byte, smallBuffer))
	return errFinished
}
