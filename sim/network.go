package sim

import (
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
)

// NetworkOptions describe the network. Zero values mean the defaults.
type NetworkOptions struct {
	// Latency bounds what each segment takes; the default is 50 us to 500 us.
	Latency [2]time.Duration
	// SplitRate is how many sends in a million arrive in two parts, cut at any byte.
	SplitRate int64
	// BreakRate is how many sends in a million break their connection.
	BreakRate int64
	// Unnoticed is the longest that a peer takes to learn that a machine without power is gone; the default is 30 s.
	Unnoticed time.Duration
}

func (o NetworkOptions) withDefaults() NetworkOptions {
	if o.Latency[1] == 0 {
		o.Latency = [2]time.Duration{50 * time.Microsecond, 500 * time.Microsecond}
	}
	if o.Unnoticed == 0 {
		o.Unnoticed = 30 * time.Second
	}
	return o
}

// SetNetwork changes the network from now on.
func (w *World) SetNetwork(o NetworkOptions) { w.options.Network = o.withDefaults() }

// hostNetwork is a host's env.Network.
type hostNetwork Host

func (n *hostNetwork) conn(id env.ConnID) *Conn {
	c := n.world.conns[id]
	if c == nil || c.host != (*Host)(n) || c.life != n.life || c.hostDone {
		return nil
	}
	return c
}

// Send queues one frame.
func (n *hostNetwork) Send(id env.ConnID, out env.Outgoing) {
	c := n.conn(id)
	if c == nil || c.closing {
		out.Release()
		return
	}
	c.queue = append(c.queue, out)
	c.encodeSoon()
}

// Close sends what is queued and closes.
func (n *hostNetwork) Close(id env.ConnID) {
	if c := n.conn(id); c != nil {
		c.closing = true
		c.encodeSoon() // also if nothing is queued: the end comes as an event of its own
	}
}

// Resume lets the connection read another request.
func (n *hostNetwork) Resume(id env.ConnID) {
	c := n.conn(id)
	if c == nil {
		return
	}
	if c.unanswered--; c.unanswered < 0 {
		invariant.Violated("connection %d resumed more often than it had requests", id)
	}
	c.world.push(c.world.now+1, Event{Kind: EventUp, Host: n.number, A: uint64(id)})
}

// byteQueue holds bytes that are on their way.
type byteQueue struct {
	b    []byte
	head int
}

func (q *byteQueue) bytes() []byte { return q.b[q.head:] }

func (q *byteQueue) push(p []byte) {
	if q.head > 4096 && q.head*2 > len(q.b) {
		q.b = q.b[:copy(q.b, q.b[q.head:])]
		q.head = 0
	}
	q.b = append(q.b, p...)
}

func (q *byteQueue) drop(n int) {
	if q.head += n; q.head == len(q.b) {
		q.b, q.head = q.b[:0], 0
	}
}

// stream is one direction of a connection.
type stream struct {
	transit byteQueue
	arrived byteQueue   // and not yet a whole frame
	last    env.Instant // when the last segment arrives: order is kept
}

// send puts p on its way, in one part or two.
func (c *Conn) send(s *stream, kind EventKind, p []byte) {
	o := &c.world.options.Network
	if c.rand.Chance(o.BreakRate) {
		cut := int(c.rand.Below(int64(len(p) + 1)))
		s.transit.push(p[:cut])
		c.segment(s, kind, cut)
		c.Break()
		return
	}
	s.transit.push(p)
	first := len(p)
	if c.rand.Chance(o.SplitRate) && len(p) > 1 {
		first = 1 + int(c.rand.Below(int64(len(p)-1)))
		c.segment(s, kind, first)
		first = len(p) - first
	}
	c.segment(s, kind, first)
}

func (c *Conn) segment(s *stream, kind EventKind, n int) {
	s.last = max(s.last, c.world.now.Add(c.latency()))
	c.world.push(s.last, Event{Kind: kind, Host: c.host.number, A: uint64(c.id), B: uint64(n)})
}

func (c *Conn) latency() time.Duration {
	o := &c.world.options.Network
	d := c.rand.Between(o.Latency[0], o.Latency[1])
	if c.rand.Below(256) == 0 {
		d *= 20
	}
	return d
}

// Clog holds back everything that is sent from now on, both ways, for some time.
func (c *Conn) Clog(d time.Duration) {
	until := c.world.now.Add(d)
	c.up.last, c.down.last = max(c.up.last, until), max(c.down.last, until)
}
