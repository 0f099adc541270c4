package sim

import (
	"maps"
	"slices"
	"time"
)

// End is a place on the network: a host, or a site where clients are. The zero End is the site of clients that name none.
type End uint32

// firstSite is the first End that is no host's.
const firstSite End = 1 << 16

// Link is how one end reaches another, one way.
type Link struct {
	// Cut lets nothing pass. Bytes are sent again until it is healed; connections stay as they are, and each side believes
	// what it can see.
	Cut bool
	// Latency and Bandwidth are as in NetworkOptions; zero means as everywhere.
	Latency   [2]time.Duration
	Bandwidth int64
}

type way struct{ from, to End }

// NetworkFault is a way in which the network misbehaves.
type NetworkFault uint8

// The kinds of faults of the network.
const (
	NetworkSplit    NetworkFault = iota + 1 // a send arrived in two parts
	NetworkBreak                            // a connection broke
	NetworkClog                             // a connection was held back
	NetworkHeld                             // something met a cut
	NetworkGaveUp                           // an end gave a connection up over a cut
	NetworkHalfOpen                         // bytes reached a process that knew nothing of their connection
	networkFaults
)

var networkNames = [...]string{"", "splits", "broken connections", "clogs", "met a cut", "given up", "half-open ends"}

// String is the kind's name for people.
func (k NetworkFault) String() string { return networkNames[k] }

// EachNetworkFault calls visit with every kind of fault of the network and how often it really happened.
func (w *World) EachNetworkFault(visit func(k NetworkFault, times uint64)) {
	for k := NetworkFault(1); k < networkFaults; k++ {
		visit(k, w.network[k])
	}
}

// End is the host's place on the network.
func (h *Host) End() End { return End(h.number) }

// NewSite is a new place for clients; see DialFrom.
func (w *World) NewSite() End {
	w.sites++
	return firstSite + End(w.sites)
}

// SetLink changes the way from one end to another, from now on. The way back is a link of its own.
func (w *World) SetLink(from, to End, l Link) {
	if (l == Link{}) {
		delete(w.links, way{from, to})
	} else {
		w.links[way{from, to}] = l
	}
	w.flow()
}

// Cut lets nothing pass from one end to another. What is on its way meets the cut too.
func (w *World) Cut(from, to End) {
	l := w.links[way{from, to}]
	l.Cut = true
	w.SetLink(from, to, l)
}

// Heal takes a Cut back.
func (w *World) Heal(from, to End) {
	l := w.links[way{from, to}]
	l.Cut = false
	w.SetLink(from, to, l)
}

// Partition cuts all of one set off from all of the other, both ways. Ends in neither set reach everybody.
func (w *World) Partition(some, others []End) {
	for _, a := range some {
		for _, b := range others {
			w.Cut(a, b)
			w.Cut(b, a)
		}
	}
}

// HealAll makes all links, and all connections, as they were.
func (w *World) HealAll() {
	clear(w.links)
	//house:anyorder each is changed by itself
	for _, c := range w.conns {
		c.up.cut, c.down.cut = false, false
	}
	w.flow()
}

// flow lets all connections go on that can.
func (w *World) flow() {
	for _, id := range slices.Sorted(maps.Keys(w.conns)) {
		if c := w.conns[id]; c.id == id {
			c.flow(&c.up)
			c.flow(&c.down)
		}
	}
}

// Between lists the connections between two ends, whoever has opened them, in the order of their ids.
func (w *World) Between(a, b End) (list []*Conn) {
	for _, id := range slices.Sorted(maps.Keys(w.conns)) {
		c := w.conns[id]
		if from, to := c.near.place, c.far.place; c.id == id && (from == a && to == b || from == b && to == a) {
			list = append(list, c)
		}
	}
	return list
}

// link is what a stream of the connection goes over now.
func (c *Conn) link(s *stream) Link {
	o := &c.world.options.Network
	var l Link
	if len(c.world.links) > 0 {
		l = c.world.links[c.way(s)]
	}
	if l.Latency[1] == 0 {
		l.Latency = o.Latency
	}
	if l.Bandwidth == 0 {
		l.Bandwidth = o.Bandwidth
	}
	return l
}

func (c *Conn) way(s *stream) way {
	if s.up {
		return way{c.near.place, c.far.place}
	}
	return way{c.far.place, c.near.place}
}

// CutUp lets nothing of this connection pass to the end that has accepted it, until Heal.
func (c *Conn) CutUp() { c.up.cut = true }

// CutDown lets nothing of this connection pass to the end that has opened it, until Heal.
func (c *Conn) CutDown() { c.down.cut = true }

// Heal takes CutUp and CutDown back.
func (c *Conn) Heal() {
	c.up.cut, c.down.cut = false, false
	c.flow(&c.up)
	c.flow(&c.down)
}
