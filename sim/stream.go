package sim

import (
	"time"

	"lignum/core/env"
)

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
	free    env.Instant // when the link has carried what it was given, if its bandwidth is bounded

	up     bool        // from the near end to the far one
	cut    bool        // nothing gets through on this connection, this way
	held   []Event     // what arrived at the cut, in order
	outage uint64      // counts the times that held began to fill
	later  env.Instant // what was held arrives then, and nothing before it
}

// send puts p on its way, in one part or two, or in more if it takes its time.
func (c *Conn) send(s *stream, p []byte) {
	o := &c.world.options.Network
	if c.rand.Chance(o.BreakRate) {
		cut := int(c.rand.Below(int64(len(p) + 1)))
		s.transit.push(p[:cut])
		c.segment(s, cut)
		c.world.network[NetworkBreak]++
		c.Break()
		return
	}
	s.transit.push(p)
	rest := len(p)
	if c.rand.Chance(o.SplitRate) && len(p) > 1 {
		first := 1 + int(c.rand.Below(int64(len(p)-1)))
		c.segment(s, first)
		c.world.network[NetworkSplit]++
		rest -= first
	}
	if c.link(s).Bandwidth > 0 {
		for ; rest > largestSegment; rest -= largestSegment {
			c.segment(s, largestSegment)
		}
	}
	c.segment(s, rest)
}

// largestSegment is how much arrives at once where the bandwidth is bounded.
const largestSegment = 16 << 10

func (c *Conn) segment(s *stream, n int) {
	now, link := c.world.now, c.link(s)
	at := now.Add(c.latencyOf(link))
	if link.Bandwidth > 0 {
		s.free = max(s.free, now).Add(time.Duration(int64(n) * int64(time.Second) / link.Bandwidth))
		at = max(at, s.free.Add(link.Latency[0]))
	}
	s.last = max(s.last, at)
	kind, to := EventDown, &c.near
	if s.up {
		kind, to = EventUp, &c.far
	}
	c.world.push(s.last, Event{Kind: kind, Host: c.number(to), A: uint64(c.id), B: uint64(n)})
}

// latency is what a signal takes this way.
func (c *Conn) latency(s *stream) time.Duration { return c.latencyOf(c.link(s)) }

func (c *Conn) latencyOf(l Link) time.Duration {
	d := c.rand.Between(l.Latency[0], l.Latency[1])
	if c.rand.Below(256) == 0 {
		d *= 20
	}
	return d
}

// Clog holds back everything that is sent from now on, both ways, for some time.
func (c *Conn) Clog(d time.Duration) {
	until := c.world.now.Add(d)
	c.up.last, c.down.last = max(c.up.last, until), max(c.down.last, until)
	c.world.network[NetworkClog]++
}

// hold keeps an event that cannot pass a cut; false if it passes. Behind what is held nothing passes. The sender of bytes
// gives up after a time.
func (c *Conn) hold(s *stream, e Event) bool {
	switch {
	case c.world.now < s.later:
		c.world.push(s.later, e)
		return true
	case len(s.held) == 0 && !s.cut && !c.link(s).Cut:
		return false
	case len(s.held) == 0:
		s.outage++
		c.world.network[NetworkHeld]++
		wait, side := c.world.options.Network.GiveUp, outage{number: s.outage, up: s.up, far: !s.up}
		if e.Kind == EventConnect {
			wait, side.far = c.world.options.Network.ConnectTimeout, false
		}
		c.pushEnd(c.world.now.Add(wait), endGaveUp|side.pack())
	}
	s.held = append(s.held, e)
	return true
}

// outage is a time in which something is held, and who waits for it to pass.
type outage struct {
	number uint64
	up     bool // of the stream
	far    bool // the far end waits, not the near one
}

func (o outage) pack() uint64 {
	b := o.number << 10
	if o.up {
		b |= 1 << 8
	}
	if o.far {
		b |= 1 << 9
	}
	return b
}

func unpackOutage(b uint64) outage {
	return outage{number: b >> 10, up: b>>8&1 != 0, far: b>>9&1 != 0}
}

// flow sends on what is held, if nothing is in the way any more: it was lost, and its sender tries again now and then.
func (c *Conn) flow(s *stream) {
	if len(s.held) == 0 || s.cut || c.link(s).Cut {
		return
	}
	held := s.held
	s.held = nil
	s.later = c.world.now.Add(c.latency(s) + c.rand.Between(0, retryTime))
	for _, e := range held {
		c.world.push(s.later, e)
	}
	s.last = max(s.last, s.later+1) // behind what is on its way and has to wait for these
}

// retryTime is how long it takes at most until a sender notices that a cut is healed.
const retryTime = 500 * time.Millisecond

// giveUp ends the side that has waited for an outage to end, if it still lasts. What the other side learns of it has to pass the cut.
func (c *Conn) giveUp(o outage) {
	s := &c.down
	if o.up {
		s = &c.up
	}
	if s.outage != o.number || len(s.held) == 0 {
		return
	}
	c.world.network[NetworkGaveUp]++
	e := &c.near
	if o.far {
		e = &c.far
	}
	if e.host != nil {
		if e.lives() {
			c.world.guard(e.host, e.end)
		}
		return
	}
	e.endClientSide()
	c.pushEnd(c.world.now.Add(c.latency(e.out)), e.told(toldOver))
}
