package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
)

// Client is an end of a connection that belongs to no host: the workload's. All calls come as events.
type Client interface {
	// Connected: the connection stands.
	Connected(c *Conn)
	// Received: a whole frame has arrived, its length left out. It is valid during the call.
	Received(c *Conn, frame []byte)
	// Disconnected: the connection is over, or never came about; the last word about it. It does not come
	// after the client's own Close.
	Disconnected(c *Conn)
}

// Conn is a connection between a client and a host. Its methods are the client's.
type Conn struct {
	world  *World
	id     env.ConnID
	from   End
	host   *Host
	life   uint64 // of the host; 0 until the host has accepted
	client Client
	info   env.ConnInfo
	rand   Stream

	up, down stream

	// The host's side.
	queue, taken []env.Outgoing
	encoding     bool // an encode or a flush is in the queue
	pieces       env.Pieces
	parts        []env.Piece
	ends         []int64 // where each frame of pieces ends
	scratch      []byte
	unanswered   int
	closing      bool // the node wants it closed
	finished     bool // the client's last byte has arrived
	half         bool // the client sends no more
	refused      bool // the host has said that it does not know the connection
	hostDone     bool
	clientDone   bool
	broken       bool
}

// Dial opens a connection to a listener of the host, from where clients are that name no site.
func (w *World) Dial(h *Host, listener string, client Client) *Conn {
	return w.DialFrom(0, h, listener, client)
}

// DialFrom opens a connection from a site to a listener of the host.
func (w *World) DialFrom(site End, h *Host, listener string, client Client) *Conn {
	w.lastConn++
	id := w.lastConn
	c := &Conn{world: w, id: id, from: site, host: h, client: client, rand: w.Stream(DomainNetwork, uint64(id))}
	c.up.up = true
	c.info = env.ConnInfo{
		Listener: listener,
		Local:    fmt.Sprintf("10.0.0.%d:9092", h.number),
		Remote:   fmt.Sprintf("10.1.%d.%d:%d", id>>8&255, id&255, 1024+id%60000),
	}
	w.conns[id] = c
	c.up.last = w.now.Add(c.latency(&c.up))
	w.push(c.up.last, Event{Kind: EventConnect, Host: h.number, A: uint64(id)})
	return c
}

// ID is the connection's name, which the node sees too.
func (c *Conn) ID() env.ConnID { return c.id }

// Host is the host at the other end.
func (c *Conn) Host() *Host { return c.host }

// Send sends a frame: its length, and the body, which may be used again at once.
func (c *Conn) Send(body []byte) {
	w := c.world
	w.scratch = append(binary.BigEndian.AppendUint32(w.scratch[:0], uint32(len(body))), body...)
	c.SendRaw(w.scratch)
}

// SendRaw sends bytes as they are.
func (c *Conn) SendRaw(p []byte) {
	if !c.clientDone && !c.broken && !c.half {
		c.send(&c.up, p)
	}
}

// CloseWrite closes the client's side behind what it has sent. The client goes on to receive.
func (c *Conn) CloseWrite() {
	if c.clientDone || c.half {
		return
	}
	c.half = true
	c.up.last = max(c.up.last, c.world.now.Add(c.latency(&c.up)))
	c.pushEnd(c.up.last, endFinished)
}

// Close closes the connection behind what the client has sent. The client hears nothing more of it.
func (c *Conn) Close() {
	c.CloseWrite()
	c.clientDone = true
}

// Reset ends the connection at once: what is on its way to the client is lost, and the host learns of it behind what is
// on its way there. The client hears nothing more of it.
func (c *Conn) Reset() {
	if c.clientDone {
		return
	}
	c.clientDone = true
	c.up.last = max(c.up.last, c.world.now.Add(c.latency(&c.up)))
	c.pushEnd(c.up.last, endUp)
}

// Vanish is a client whose machine loses its power: it is not heard of again, and the host's end stays half-open until it
// notices by itself.
func (c *Conn) Vanish() {
	if c.clientDone {
		return
	}
	c.clientDone = true
	c.pushEnd(c.world.now.Add(c.rand.Between(0, c.world.options.Network.Unnoticed)), endHost)
}

// Break tears the connection: what is on its way and not yet due is lost, and each side learns of it by itself.
func (c *Conn) Break() {
	if c.broken {
		return
	}
	c.broken = true
	c.pushEnd(c.world.now.Add(c.latency(&c.up)), endHost)
	c.pushEnd(c.world.now.Add(c.latency(&c.down)), endClient)
}

func (c *Conn) pushEnd(at env.Instant, how uint64) {
	c.world.push(at, Event{Kind: EventEnd, Host: c.host.number, A: uint64(c.id), B: how})
}

// connEvent is what happens to a connection.
func (w *World) connEvent(e Event) {
	c := w.conns[env.ConnID(e.A)]
	if c == nil {
		return
	}
	if s := c.carrier(e); s == nil || !c.hold(s, e) {
		c.happen(e)
	}
	if c.hostDone && c.clientDone {
		delete(w.conns, c.id)
	}
}

// carrier is the stream that an event comes over; nil if it comes over none.
func (c *Conn) carrier(e Event) *stream {
	switch {
	case e.Kind == EventUp && e.B > 0, e.Kind == EventConnect && e.B == 0, e.Kind == EventEnd && (e.B == endUp || e.B == endFinished):
		return &c.up
	case e.Kind == EventDown, e.Kind == EventConnect, e.Kind == EventEnd && e.B == endDown:
		return &c.down
	}
	return nil
}

func (c *Conn) happen(e Event) {
	w, h := c.world, c.host
	switch e.Kind {
	case EventConnect:
		c.connect(e.B != 0)
	case EventUp:
		switch {
		case c.hostLives():
			if c.arrive(&c.up, int(e.B)) {
				w.guard(h, c.pump)
			}
		case h.node != nil && c.life != h.life:
			c.refuse()
		}
	case EventDown:
		if !c.clientDone && c.arrive(&c.down, int(e.B)) {
			c.deliver()
		}
	case EventEncode:
		if c.hostLives() {
			w.guard(h, c.encode)
		}
	case EventFlush:
		if c.hostLives() {
			w.guard(h, c.flush)
		}
	case EventEnd:
		c.endEvent(e.B)
	}
}

// refuse is a process that gets bytes of a connection of an earlier life: it says so.
func (c *Conn) refuse() {
	if c.refused || c.broken {
		return
	}
	c.refused = true
	c.world.network[NetworkHalfOpen]++
	c.pushEnd(c.world.now.Add(c.latency(&c.down)), endDown)
}

// hostLives says whether the process that accepted the connection still has it.
func (c *Conn) hostLives() bool {
	return !c.hostDone && c.life == c.host.life && c.host.node != nil
}

func (c *Conn) connect(atClient bool) {
	h := c.host
	switch {
	case c.broken:
	case atClient:
		if !c.clientDone {
			c.client.Connected(c)
		}
	case h.node == nil:
		c.hostDone = true
		c.pushEnd(c.world.now.Add(c.latency(&c.down)), endDown)
	default:
		c.life = h.life
		h.conns = append(h.conns, c)
		h.put(input{kind: inputConnected, conn: c})
		c.down.last = c.world.now.Add(c.latency(&c.down))
		c.world.push(c.down.last, Event{Kind: EventConnect, Host: h.number, A: uint64(c.id), B: 1})
	}
}

// arrive moves n bytes from the wire to the receiver; false if the wire is torn.
func (c *Conn) arrive(s *stream, n int) bool {
	if c.broken {
		return false
	}
	p := s.transit.bytes()[:n]
	c.world.trace.Bytes(p)
	s.arrived.push(p)
	s.transit.drop(n)
	return true
}

// frame returns the next whole frame that has arrived, or nil; ok is false if the length makes no sense.
func (s *stream) frame(limit int) (p []byte, ok bool) {
	b := s.arrived.bytes()
	if len(b) < 4 {
		return nil, true
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > limit {
		return nil, false
	}
	if len(b) < 4+n {
		return nil, true
	}
	return b[4 : 4+n : 4+n], true
}

// pump gives the node the requests that have arrived, up to the bound.
func (c *Conn) pump() {
	h := c.host
	for c.unanswered < h.options.InFlight && !c.closing && !c.hostDone {
		p, ok := c.up.frame(h.options.MaxFrame)
		if !ok {
			c.endHostSide()
			return
		}
		if p == nil {
			break
		}
		buf := h.memory.Get(len(p))
		copy(buf.Bytes(), p)
		c.up.arrived.drop(4 + len(p))
		req, err := h.options.Decode(c.info, buf)
		if err != nil {
			buf.Release()
			c.endHostSide()
			return
		}
		c.unanswered++
		h.put(input{kind: inputReceived, conn: c, req: req})
	}
	c.endIfIdle()
}

// deliver gives the client the frames that have arrived.
func (c *Conn) deliver() {
	for !c.clientDone {
		p, ok := c.down.frame(1 << 30)
		if !ok {
			c.world.Fail("framing", "%s sent a frame on connection %d whose length makes no sense", c.host.Name(), c.id)
			c.Break()
			return
		}
		if p == nil {
			return
		}
		c.client.Received(c, p)
		c.down.arrived.drop(4 + len(p))
	}
}

func (c *Conn) encodeSoon() {
	if !c.encoding {
		c.encoding = true
		c.edgeEvent(EventEncode)
	}
}

func (c *Conn) edgeEvent(kind EventKind) {
	at := c.world.now.Add(c.rand.Between(1, 30*time.Microsecond))
	c.world.push(at, Event{Kind: kind, Host: c.host.number, A: uint64(c.id)})
}

// encode is the first half of what a connection's writer does; the bytes are looked at later, in flush.
func (c *Conn) encode() {
	c.taken, c.queue = c.queue, c.taken[:0]
	c.pieces.Reset()
	c.ends = c.ends[:0]
	for _, out := range c.taken {
		out.Encode(&c.pieces)
		c.ends = append(c.ends, c.pieces.Len())
	}
	c.edgeEvent(EventFlush)
}

// flush hands the bytes to the wire and releases the frames.
func (c *Conn) flush() {
	c.parts = c.pieces.AppendTo(c.parts[:0])
	c.scratch = c.scratch[:0]
	whole := true
	for _, p := range c.parts {
		if p.File == nil {
			c.scratch = append(c.scratch, p.Bytes...)
		} else if whole = c.sendFile(p); !whole {
			break
		}
	}
	if whole {
		c.checkFrames()
	}
	for _, out := range c.taken {
		out.Release()
	}
	clear(c.taken)
	c.taken = c.taken[:0]
	clear(c.parts)
	c.pieces.Reset()
	c.encoding = false
	if len(c.scratch) > 0 && !c.broken && !c.clientDone {
		c.send(&c.down, c.scratch)
	}
	switch {
	case !whole:
		c.endHostSide()
	case len(c.queue) > 0:
		c.encodeSoon()
	case c.closing:
		c.endHostSide()
	default:
		c.endIfIdle()
	}
}

// sendFile appends a range of a file as the kernel reads it now; false if the device fails.
func (c *Conn) sendFile(p env.Piece) bool {
	f, ok := p.File.(*file)
	if !ok || f.disk != c.host.disk || f.life != f.disk.life || f.refs <= 0 {
		invariant.Violated("a frame refers to a file that is not open")
	}
	from := len(c.scratch)
	c.scratch = append(c.scratch, make([]byte, p.Len)...)
	n, err := f.read(c.scratch[from:], p.Off)
	c.scratch = c.scratch[:from+n]
	if err != nil && err != ErrIO {
		invariant.Violated("a frame refers to %d bytes at %d of %s, of which %d are there: %v", p.Len, p.Off, f.path, n, err)
	}
	return err == nil
}

// checkFrames holds the length in front of each frame against the frame.
func (c *Conn) checkFrames() {
	from := int64(0)
	for _, end := range c.ends {
		if end-from < 4 || int64(binary.BigEndian.Uint32(c.scratch[from:])) != end-from-4 {
			invariant.Violated("a frame of %d bytes on connection %d has another length in front", end-from, c.id)
		}
		from = end
	}
}
