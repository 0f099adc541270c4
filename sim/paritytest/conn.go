package paritytest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"lignum/core/env"
)

// Limits are the bounds of the side under test.
type Limits struct {
	MaxFrame    int // also of what arrives on connections that the node has opened
	InFlight    int
	MaxOutgoing int
}

// Side is one side of the seam env.Network: a host that drives a node, and clients that reach it.
type Side interface {
	// Start runs the node. Decode is what the host makes requests with.
	Start(l Limits, boot func(n env.Network) env.Node, decode func(env.ConnInfo, env.Buffer) (env.Request, error))
	// Dial connects a client.
	Dial() Peer
	// Listen opens a place that the node can dial.
	Listen() Place
	// Address is an address at which nobody listens, one that does not answer, one that makes no sense, or the node's own.
	Address(k AddressKind) string
	// Do has f run on the node's loop and returns when it has.
	Do(f func())
	// Until lets things happen until ok, which is called on the loop, is true; false if it does not come about.
	Until(ok func() bool) bool
	// Settle lets things happen for a while in which whatever is to happen happens.
	Settle()
	// File is an open file of the host with a content.
	File(content []byte) env.File
	// Held is how many bytes of the host's memory are in use.
	Held() int64
}

// Peer is a client's end of a connection, a plain stream of bytes.
type Peer interface {
	// Write sends bytes.
	Write(p []byte)
	// CloseWrite says that no more will come.
	CloseWrite()
	// Close closes both ways in order.
	Close()
	// Reset tears the connection.
	Reset()
	// Frame waits for the next frame, its length left out; false if the connection ended instead.
	Frame() ([]byte, bool)
}

// Place is where clients wait for the node to open connections.
type Place interface {
	// Address is what the node dials.
	Address() string
	// Accept waits for the next connection.
	Accept() Peer
	// Reset has the next connections torn as soon as they come.
	Reset()
}

// AddressKind is what is wrong with an address.
type AddressKind int

// The kinds of addresses.
const (
	Refusing AddressKind = iota
	Silent
	Unknown
	Own
)

// RunConnections runs every case of connection semantics on a side of its own.
func RunConnections(t *testing.T, open func(t *testing.T) Side) {
	seen := map[string]bool{}
	for _, group := range [][]connCase{streamCases, endCases, boundCases, dialCases} {
		for _, c := range group {
			if seen[c.name] {
				t.Errorf("two cases are called %q", c.name)
			}
			seen[c.name] = true
			t.Run(c.name, func(t *testing.T) { runConnCase(t, open(t), c, false) })
		}
	}
	// It makes no difference which end has opened a connection.
	for _, group := range [][]connCase{streamCases, endCases, boundCases} {
		for _, c := range group {
			seen["dialed: "+c.name] = true
			t.Run("dialed: "+c.name, func(t *testing.T) { runConnCase(t, open(t), c, true) })
		}
	}
	t.Logf("%d cases", len(seen))
}

type connCase struct {
	name string
	run  func(b *connBench)
}

// connBench is one case at work.
type connBench struct {
	Side
	t     *testing.T
	node  *connNode
	place Place // where the node connects to, if it is the one that dials
}

func runConnCase(t *testing.T, s Side, c connCase, dialed bool) {
	b := &connBench{Side: s, t: t, node: &connNode{lives: map[env.ConnID]*connLife{}}}
	s.Start(Limits{MaxFrame: 1 << 20, InFlight: 4, MaxOutgoing: 40}, func(n env.Network) env.Node {
		b.node.net = n
		return b.node
	}, decodeConn)
	if dialed {
		b.place = s.Listen()
	}
	c.run(b)
	// Whatever happened: each connection ends once, last, and everything that was given away was given back.
	s.Do(b.node.open)
	for _, p := range b.node.peers {
		p.Close()
	}
	b.eventually("every connection ends", func() bool { return b.node.over() })
	s.Do(b.node.open)
	b.eventually("every answer is released", func() bool { return b.node.released() })
	b.eventually("all memory is given back", func() bool { return s.Held() == 0 })
	s.Settle()
	s.Do(func() {
		for _, fault := range b.node.faults {
			t.Error(fault)
		}
		for _, r := range b.node.replies {
			if encodes, releases := r.encodes.Load(), r.releases.Load(); encodes > 1 || releases != 1 {
				t.Errorf("an answer was encoded %d and released %d times", encodes, releases)
			}
		}
	})
}

func (b *connBench) eventually(what string, ok func() bool) {
	b.t.Helper()
	if !b.Until(ok) {
		b.t.Fatalf("not so: %s", what)
	}
}

// dial connects, and waits until the node knows.
func (b *connBench) dial() (Peer, *connLife) {
	b.t.Helper()
	if b.place != nil {
		return b.reach(b.place)
	}
	before := 0
	b.Do(func() { before = len(b.node.order) })
	p := b.Dial()
	b.node.peers = append(b.node.peers, p)
	b.eventually("the node knows of the connection", func() bool { return len(b.node.order) > before })
	var l *connLife
	b.Do(func() { l = b.node.lives[b.node.order[before]] })
	return p, l
}

// reach has the node connect to a place, and waits until it has.
func (b *connBench) reach(place Place) (Peer, *connLife) {
	b.t.Helper()
	l := b.try(place.Address())
	p := place.Accept()
	b.node.peers = append(b.node.peers, p)
	b.eventually("the connection stands", func() bool { return l.connected == 1 })
	return p, l
}

// try has the node dial.
func (b *connBench) try(address string) (l *connLife) {
	b.t.Helper()
	b.Do(func() { l = b.node.dial(address) })
	return l
}

// inVain expects a connection not to come about.
func (b *connBench) inVain(l *connLife) {
	b.t.Helper()
	b.eventually("the node hears that it is not connected", func() bool { return l.disconnected > 0 })
	b.Settle()
	b.Do(func() {
		if l.connected != 0 || l.disconnected != 1 {
			b.t.Errorf("it was connected %d times and ended %d times", l.connected, l.disconnected)
		}
	})
}

// answers expects the next frames.
func (b *connBench) answers(p Peer, want ...string) {
	b.t.Helper()
	for _, w := range want {
		got, ok := p.Frame()
		if !ok {
			b.t.Fatalf("the end instead of %.40q", w)
		}
		if string(got) != w {
			b.t.Fatalf("answer %.40q instead of %.40q", got, w)
		}
	}
}

// ends expects the end of the connection.
func (b *connBench) ends(p Peer) {
	b.t.Helper()
	if got, ok := p.Frame(); ok {
		b.t.Fatalf("%.40q instead of the end", got)
	}
}

// received expects the node to have got so many requests on a connection, now and after a while.
func (b *connBench) received(l *connLife, n int) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%d requests arrive", n), func() bool { return l.received >= n })
	b.Settle()
	b.Do(func() {
		if l.received != n {
			b.t.Errorf("%d requests arrived, want %d", l.received, n)
		}
	})
}

// frame puts the length in front.
func frame(parts ...string) []byte {
	var out []byte
	for _, s := range parts {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
	}
	return out
}
