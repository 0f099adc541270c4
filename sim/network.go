package sim

import (
	"fmt"
	"strconv"
	"strings"
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
	// Bandwidth is what one direction of a connection carries, in bytes per second; 0 means any amount.
	Bandwidth int64
	// ConnectTimeout is how long a client waits for a connection over a link that is cut; the default is 10 s.
	ConnectTimeout time.Duration
	// GiveUp is how long an end waits for its bytes to be taken over a link that is cut before it ends the connection by
	// itself; the default is 60 s.
	GiveUp time.Duration
}

func (o NetworkOptions) withDefaults() NetworkOptions {
	if o.Latency[1] == 0 {
		o.Latency = [2]time.Duration{50 * time.Microsecond, 500 * time.Microsecond}
	}
	if o.Unnoticed == 0 {
		o.Unnoticed = 30 * time.Second
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 10 * time.Second
	}
	if o.GiveUp == 0 {
		o.GiveUp = time.Minute
	}
	return o
}

// SetNetwork changes the network from now on.
func (w *World) SetNetwork(o NetworkOptions) { w.options.Network = o.withDefaults() }

// hostNetwork is a host's env.Network.
type hostNetwork Host

// end is the node's end of a connection, nil if it has none.
func (n *hostNetwork) end(id env.ConnID) *end {
	c := n.world.conns[id]
	if c == nil {
		return nil
	}
	e := &c.far
	if c.near.id == id {
		e = &c.near
	}
	if e.host != (*Host)(n) || e.life != n.life || e.done {
		return nil
	}
	return e
}

// Send queues one frame.
func (n *hostNetwork) Send(id env.ConnID, out env.Outgoing) {
	e := n.end(id)
	if e == nil || e.closing {
		out.Release()
		return
	}
	if e.queue = append(e.queue, out); e.stands {
		e.encodeSoon()
	}
}

// Close sends what is queued and closes.
func (n *hostNetwork) Close(id env.ConnID) {
	if e := n.end(id); e != nil {
		if e.closing = true; !e.stands {
			e.dropFrames()
		}
		e.encodeSoon() // also if nothing is queued: the end comes as an event of its own
	}
}

// Dial opens a connection to a host's listener, or to a place where the workload listens.
func (n *hostNetwork) Dial(address string) env.ConnID {
	h := (*Host)(n)
	w := h.world
	c := w.newConn()
	w.lastConn++
	e := &c.near
	e.host, e.place, e.id, e.life = h, h.End(), w.lastConn, h.life
	e.info = env.ConnInfo{Local: fmt.Sprintf("10.0.0.%d:%d", h.number, 1024+c.id%60000), Remote: address, Outgoing: true}
	w.conns[e.id] = c
	opened := 0
	for _, other := range h.conns {
		if other.info.Outgoing {
			opened++
		}
	}
	h.conns = append(h.conns, e)
	c.far.place = nowhere
	if opened >= h.options.MaxOutgoing {
		c.far.done = true
		c.pushEnd(w.now.Add(c.latency(&c.up)), endClient)
		return e.id
	}
	c.find(address)
	c.begin()
	return e.id
}

// nowhere is the place of an address that leads to nobody.
const nowhere = ^End(0)

// find makes the far end that of whoever has the address; nobody's if there is none.
func (c *Conn) find(address string) {
	far := &c.far
	if s, ok := c.world.listening[address]; ok {
		far.place, far.accept = s.at, s.accept
		return
	}
	colon := max(strings.LastIndexByte(address, ':'), 0)
	port, _ := strconv.Atoi(strings.TrimPrefix(address[colon:], ":"))
	for _, h := range c.world.hosts {
		if h.options.Name != address[:colon] {
			continue
		}
		far.place = h.End()
		for _, l := range h.options.Listeners {
			if l.Port == port {
				far.accepts(h)
				far.info = env.ConnInfo{Listener: l.Name, Local: address, Remote: c.near.info.Local}
				return
			}
		}
	}
}

// site is a place where the workload listens.
type site struct {
	at     End
	accept func(c *Conn) Client
}

// Listen has the workload accept, at a site, the connections that hosts open to an address. Accept may return nil, to
// refuse; if it is nil itself nobody listens there any more.
func (w *World) Listen(at End, address string, accept func(c *Conn) Client) {
	if accept == nil {
		delete(w.listening, address)
		return
	}
	w.listening[address] = site{at, accept}
}

// Resume lets the connection read another request.
func (n *hostNetwork) Resume(id env.ConnID) {
	e := n.end(id)
	if e == nil {
		return
	}
	if e.unanswered--; e.unanswered < 0 {
		invariant.Violated("connection %d resumed more often than it had requests", id)
	}
	if len(e.in.arrived.bytes()) == 0 && !e.finished {
		return // there is nothing to read
	}
	kind := EventUp
	if e.isNear() {
		kind = EventDown
	}
	n.world.push(n.world.now+1, Event{Kind: kind, Host: n.number, A: uint64(e.conn.id)})
}
