package sim

import (
	"encoding/binary"
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
)

// end is one end of a connection.
type end struct {
	conn    *Conn
	place   End
	in, out *stream
	done    bool // it knows nothing of the connection any more

	// The workload's.
	client Client
	accept func(c *Conn) Client // of the far end, until it has a client
	half   bool                 // it sends no more

	// A host's.
	host         *Host
	id           env.ConnID // the node's name for it
	life         uint64     // of the host; 0 until the host has accepted
	info         env.ConnInfo
	stands       bool
	queue, taken []env.Outgoing
	encoding     bool // an encode or a flush is in the queue
	pieces       env.Pieces
	parts        []env.Piece
	ends         []int64 // where each frame of pieces ends
	scratch      []byte
	unanswered   int
	closing      bool // the node wants it closed
	finished     bool // the last byte of the other end has arrived
	refused      bool // the host has said that it does not know the connection
}

// accepts makes a far end a host's.
func (e *end) accepts(h *Host) { e.host, e.place, e.id = h, h.End(), e.conn.id }

func (e *end) isNear() bool { return e == &e.conn.near }

func (e *end) other() *end {
	if e.isNear() {
		return &e.conn.far
	}
	return &e.conn.near
}

// lives says whether the process that opened or accepted the connection still has it.
func (e *end) lives() bool {
	return e.host != nil && !e.done && e.life == e.host.life && e.host.node != nil
}

// connect is the far end when somebody wants to be connected.
func (e *end) connect() {
	c, h := e.conn, e.host
	switch {
	case c.broken:
		return
	case h != nil && h.node != nil:
		e.life, e.stands = h.life, true
		h.conns = append(h.conns, e)
		h.put(input{kind: inputConnected, end: e})
	case e.accept != nil:
		if e.client = e.accept(c); e.client != nil {
			e.client.Connected(c)
			break
		}
		fallthrough
	default:
		e.done = true
		c.pushEnd(c.world.now.Add(c.latency(&c.down)), endDown)
		return
	}
	c.down.last = c.world.now.Add(c.latency(&c.down))
	c.world.push(c.down.last, Event{Kind: EventConnect, Host: c.number(&c.near), A: uint64(c.id), B: 1})
}

// connected is the near end when it learns that the connection stands.
func (e *end) connected() {
	switch {
	case e.conn.broken:
	case e.host == nil:
		if !e.done {
			e.client.Connected(e.conn)
		}
	case e.lives():
		if e.stands = true; e.closing {
			return
		}
		e.host.put(input{kind: inputConnected, end: e})
		if len(e.queue) > 0 {
			e.encodeSoon()
		}
	default:
		e.refuse()
	}
}

// bytes is n bytes that arrive; none if the end reads on.
func (e *end) bytes(n int) {
	switch {
	case e.host == nil:
		if !e.done && e.conn.arrive(e.in, n) {
			e.deliver()
		}
	case e.lives():
		if e.conn.arrive(e.in, n) {
			e.conn.world.guard(e.host, e.pump)
		}
	default:
		e.refuse()
	}
}

// refuse is a process that hears of a connection of an earlier life: it says so.
func (e *end) refuse() {
	c, h := e.conn, e.host
	if h.node == nil || e.life == h.life || e.refused || c.broken {
		return
	}
	e.refused = true
	c.world.network[NetworkHalfOpen]++
	c.pushEnd(c.world.now.Add(c.latency(e.out)), e.told(toldOver))
}

// pump gives the node what has arrived, up to the bound.
func (e *end) pump() {
	h, limit := e.host, e.host.options.MaxFrame
	if e.info.Outgoing {
		limit = h.options.MaxReply
	}
	for e.unanswered < h.options.InFlight && !e.closing && !e.done {
		p, ok := e.in.frame(limit)
		if !ok {
			e.end()
			return
		}
		if p == nil {
			break
		}
		buf := h.memory.Get(len(p))
		copy(buf.Bytes(), p)
		e.in.arrived.drop(4 + len(p))
		req, err := h.options.Decode(e.info, buf)
		if err != nil {
			buf.Release()
			e.end()
			return
		}
		e.unanswered++
		h.put(input{kind: inputReceived, end: e, req: req})
	}
	e.endIfIdle()
}

// deliver gives the workload the frames that have arrived.
func (e *end) deliver() {
	c := e.conn
	for !e.done {
		p, ok := e.in.frame(1 << 30)
		if !ok {
			from := e.other()
			c.world.Fail("framing", "%s sent a frame on connection %d whose length makes no sense", from.host.Name(), from.id)
			c.Break()
			return
		}
		if p == nil {
			return
		}
		e.client.Received(c, p)
		e.in.arrived.drop(4 + len(p))
	}
}

func (e *end) encodeSoon() {
	if !e.encoding {
		e.encoding = true
		e.edgeEvent(EventEncode)
	}
}

func (e *end) edgeEvent(kind EventKind) {
	c := e.conn
	event := Event{Kind: kind, Host: e.host.number, A: uint64(c.id)}
	if e.isNear() {
		event.B = nearEdge
	}
	c.world.push(c.world.now.Add(c.rand.Between(1, 30*time.Microsecond)), event)
}

// encode is the first half of what a connection's writer does; the bytes are looked at later, in flush.
func (e *end) encode() {
	e.taken, e.queue = e.queue, e.taken[:0]
	e.pieces.Reset()
	e.ends = e.ends[:0]
	for _, out := range e.taken {
		out.Encode(&e.pieces)
		e.ends = append(e.ends, e.pieces.Len())
	}
	e.edgeEvent(EventFlush)
}

// flush hands the bytes to the wire and releases the frames.
func (e *end) flush() {
	c := e.conn
	e.parts = e.pieces.AppendTo(e.parts[:0])
	e.scratch = e.scratch[:0]
	whole := true
	for _, p := range e.parts {
		if p.File == nil {
			e.scratch = append(e.scratch, p.Bytes...)
		} else if whole = e.sendFile(p); !whole {
			break
		}
	}
	if whole {
		e.checkFrames()
	}
	for _, out := range e.taken {
		out.Release()
	}
	clear(e.taken)
	e.taken = e.taken[:0]
	clear(e.parts)
	e.pieces.Reset()
	e.encoding = false
	if len(e.scratch) > 0 && !c.broken && !e.other().deaf() {
		c.send(e.out, e.scratch)
	}
	switch {
	case !whole:
		e.end()
	case len(e.queue) > 0:
		e.encodeSoon()
	case e.closing:
		e.end()
	default:
		e.endIfIdle()
	}
}

// deaf says that nothing that is sent to this end makes a difference: the workload has closed it.
func (e *end) deaf() bool { return e.host == nil && e.done }

// sendFile appends a range of a file as the kernel reads it now; false if the device fails.
func (e *end) sendFile(p env.Piece) bool {
	f, ok := p.File.(*file)
	if !ok || f.disk != e.host.disk || f.life != f.disk.life || f.refs <= 0 {
		invariant.Violated("a frame refers to a file that is not open")
	}
	from := len(e.scratch)
	e.scratch = append(e.scratch, make([]byte, p.Len)...)
	n, err := f.read(e.scratch[from:], p.Off)
	e.scratch = e.scratch[:from+n]
	if err != nil && err != ErrIO {
		invariant.Violated("a frame refers to %d bytes at %d of %s, of which %d are there: %v", p.Len, p.Off, f.path, n, err)
	}
	f.doubtful = f.doubtful || err != nil
	return err == nil
}

// checkFrames holds the length in front of each frame against the frame.
func (e *end) checkFrames() {
	from := int64(0)
	for _, end := range e.ends {
		if end-from < 4 || int64(binary.BigEndian.Uint32(e.scratch[from:])) != end-from-4 {
			invariant.Violated("a frame of %d bytes on connection %d has another length in front", end-from, e.id)
		}
		from = end
	}
}
