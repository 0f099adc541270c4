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
