package transport

import (
	"net"
	"time"

	"lignum/core/env"
)

const (
	// batchBytes is how much of a connection's queue is encoded before it is written.
	batchBytes = 1 << 20
	// keepEncoded is the largest scratch memory, in bytes, that an outbox keeps.
	keepEncoded = 64 << 10
)

// outbox is the part of a connection's queue that is being written.
type outbox struct {
	socket socket
	pieces env.Pieces
	parts  []env.Piece
	frames []frame // encoded in parts, released when all of it has left
}

// enqueue adds a frame to the queue; false if the connection takes no more.
func (c *conn) enqueue(out env.Outgoing, size int64) bool {
	if c.finishing.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	c.queue = append(c.queue, frame{out, size})
	c.unsent.Add(1)
	c.unsentBytes.Add(size)
	return true
}

// kick makes somebody write the queue. It is called on the loop.
func (c *conn) kick() {
	c.mu.Lock()
	idle := !c.busy && !c.gone
	c.busy = true
	c.mu.Unlock()
	if idle {
		c.wake.open()
	}
}

// write is the goroutine that writes.
func (c *conn) write() {
	defer c.abandon()
	for {
		<-c.wake
		if c.dead.Load() {
			return
		}
		for c.load() {
			c.writing.Store(true)
			c.moved()
			err := c.out.socket.send(c.out.parts)
			c.writing.Store(false)
			if err != nil {
				c.kill(err)
				return
			}
			c.unload()
		}
		if c.finishing.Load() {
			c.closeWrite()
		}
	}
}

// load moves frames from the queue to the outbox and encodes them. If there are none it gives the turn to write back and
// returns false.
func (c *conn) load() bool {
	o := &c.out
	c.mu.Lock()
	o.frames, c.queue = c.queue, o.frames[:0]
	if len(o.frames) == 0 {
		c.busy = c.finishing.Load()
		c.mu.Unlock()
		return false
	}
	c.mu.Unlock()
	for i, f := range o.frames {
		f.out.Encode(&o.pieces)
		if i+1 < len(o.frames) && o.pieces.Len() >= batchBytes {
			c.putBack(i + 1)
			break
		}
	}
	o.parts = o.pieces.AppendTo(o.parts[:0])
	return true
}

// putBack returns the frames from the n'th on to the head of the queue.
func (c *conn) putBack(n int) {
	o := &c.out
	c.mu.Lock()
	c.queue = append(append([]frame(nil), o.frames[n:]...), c.queue...)
	c.mu.Unlock()
	clear(o.frames[n:])
	o.frames = o.frames[:n]
}

// unload releases what has been written.
func (c *conn) unload() {
	o := &c.out
	var bytes int64
	for i := range o.frames {
		bytes += o.frames[i].size
		o.frames[i].out.Release()
	}
	c.unsent.Add(-int32(len(o.frames)))
	c.unsentBytes.Add(-bytes)
	o.reset()
	c.changed()
}

func (o *outbox) reset() {
	clear(o.frames)
	clear(o.parts)
	o.frames, o.parts = o.frames[:0], o.parts[:0]
	o.pieces.Reset()
	if cap(o.pieces.Buf) > keepEncoded {
		o.pieces.Buf = nil
	}
}

// abandon releases everything when the connection is dead.
func (c *conn) abandon() {
	c.mu.Lock()
	c.gone = true
	left := c.queue
	c.queue = nil
	c.mu.Unlock()
	c.unload()
	for _, f := range left {
		f.out.Release()
	}
	c.unsent.Store(0)
	c.unsentBytes.Store(0)
	c.changed()
}

// closeWrite tells the peer that nothing more comes, and the reader to stop soon.
func (c *conn) closeWrite() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		c.kill(errFinished)
		return
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	c.gate.open()
}

// plainSend writes to any connection, a piece at a time.
func plainSend(nc net.Conn, parts []env.Piece, moved func()) error {
	for _, p := range parts {
		if p.File != nil {
			if err := copyFile(nc, p, moved); err != nil {
				return err
			}
			continue
		}
		for b := p.Bytes; len(b) > 0; {
			n, err := nc.Write(b[:min(len(b), copySize)])
			if err != nil {
				return err
			}
			b = b[n:]
			moved()
		}
	}
	return nil
}
