package sim

import (
	"encoding/binary"
	"fmt"

	"lignum/core/env"
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

// Conn is a connection. The near end has opened it, the far end has accepted it; each is a host's or the workload's. The
// methods that send and close are for the workload's end, if it has one.
type Conn struct {
	world     *World
	id        env.ConnID
	rand      Stream
	near, far end
	up, down  stream // from the near end to the far one, and back
	broken    bool
}

// Dial opens a connection to a listener of the host, from where clients are that name no site.
func (w *World) Dial(h *Host, listener string, client Client) *Conn {
	return w.DialFrom(0, h, listener, client)
}

// DialFrom opens a connection from a site to a listener of the host.
func (w *World) DialFrom(site End, h *Host, listener string, client Client) *Conn {
	c := w.newConn()
	c.near.place, c.near.client = site, client
	c.far.accepts(h)
	c.far.info = env.ConnInfo{
		Listener: listener,
		Local:    fmt.Sprintf("10.0.0.%d:9092", h.number),
		Remote:   fmt.Sprintf("10.1.%d.%d:%d", c.id>>8&255, c.id&255, 1024+c.id%60000),
	}
	c.begin()
	return c
}

func (w *World) newConn() *Conn {
	w.lastConn++
	c := &Conn{world: w, id: w.lastConn, rand: w.Stream(DomainNetwork, uint64(w.lastConn))}
	c.up.up = true
	c.near.conn, c.near.in, c.near.out = c, &c.down, &c.up
	c.far.conn, c.far.in, c.far.out = c, &c.up, &c.down
	w.conns[c.id] = c
	return c
}

// begin sends the first signal on its way.
func (c *Conn) begin() {
	c.up.last = c.world.now.Add(c.latency(&c.up))
	c.world.push(c.up.last, Event{Kind: EventConnect, Host: c.number(&c.far), A: uint64(c.id)})
}

// number is the host's that an end belongs to, or the other one's if the end is the workload's.
func (c *Conn) number(e *end) uint32 {
	if e.host == nil {
		e = e.other()
	}
	return e.host.number
}

// mine is the workload's end; the far one if both are hosts'.
func (c *Conn) mine() *end {
	if c.near.host == nil {
		return &c.near
	}
	return &c.far
}

// ID is the connection's name, which the node at the other end sees too.
func (c *Conn) ID() env.ConnID { return c.mine().other().id }

// Host is the host at the other end.
func (c *Conn) Host() *Host { return c.mine().other().host }

// Send sends a frame: its length, and the body, which may be used again at once.
func (c *Conn) Send(body []byte) {
	w := c.world
	w.scratch = append(binary.BigEndian.AppendUint32(w.scratch[:0], uint32(len(body))), body...)
	c.SendRaw(w.scratch)
}

// SendRaw sends bytes as they are.
func (c *Conn) SendRaw(p []byte) {
	if e := c.mine(); !e.done && !c.broken && !e.half {
		c.send(e.out, p)
	}
}

// CloseWrite closes the client's side behind what it has sent. The client goes on to receive.
func (c *Conn) CloseWrite() {
	if e := c.mine(); !e.done && !e.half {
		e.half = true
		e.tell(toldFinished)
	}
}

// Close closes the connection behind what the client has sent. The client hears nothing more of it.
func (c *Conn) Close() {
	c.CloseWrite()
	c.mine().done = true
}

// Reset ends the connection at once: what is on its way to the client is lost, and the host learns of it behind what is
// on its way there. The client hears nothing more of it.
func (c *Conn) Reset() {
	if e := c.mine(); !e.done {
		e.done = true
		e.tell(toldReset)
	}
}

// Vanish is a client whose machine loses its power: it is not heard of again, and the host's end stays half-open until it
// notices by itself.
func (c *Conn) Vanish() {
	if e := c.mine(); !e.done {
		e.done = true
		c.pushEnd(c.world.now.Add(c.rand.Between(0, c.world.options.Network.Unnoticed)), e.other().itself())
	}
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
	c.world.push(at, Event{Kind: EventEnd, Host: c.number(c.concerned(how)), A: uint64(c.id), B: how})
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
	if c.far.done && c.near.done {
		delete(w.conns, c.id)
		delete(w.conns, c.near.id)
	}
}

// carrier is the stream that an event comes over; nil if it comes over none.
func (c *Conn) carrier(e Event) *stream {
	switch {
	case e.Kind == EventUp && e.B > 0, e.Kind == EventConnect && e.B == 0, e.Kind == EventEnd && (e.B == endUp || e.B == endFinished):
		return &c.up
	case e.Kind == EventDown && (e.B > 0 || c.near.host == nil), e.Kind == EventConnect, e.Kind == EventEnd && (e.B == endDown || e.B == endDownReset):
		return &c.down
	}
	return nil
}

func (c *Conn) happen(e Event) {
	switch e.Kind {
	case EventConnect:
		if e.B == 0 {
			c.far.connect()
		} else {
			c.near.connected()
		}
	case EventUp:
		c.far.bytes(int(e.B))
	case EventDown:
		c.near.bytes(int(e.B))
	case EventEncode:
		if s := c.edge(e.B); s.lives() {
			c.world.guard(s.host, s.encode)
		}
	case EventFlush:
		if s := c.edge(e.B); s.lives() {
			c.world.guard(s.host, s.flush)
		}
	case EventEnd:
		c.endEvent(e.B)
	}
}

// edge is the end whose writer an event is about.
func (c *Conn) edge(b uint64) *end {
	if b == nearEdge {
		return &c.near
	}
	return &c.far
}

// nearEdge is in B of an event about the writer of the near end.
const nearEdge = 1

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
