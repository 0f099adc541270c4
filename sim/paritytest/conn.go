package paritytest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"lignum/core/env"
)

// Limits are the bounds of the side under test.
type Limits struct {
	MaxFrame int
	InFlight int
}

// Side is one side of the seam env.Network: a host that drives a node, and clients that reach it.
type Side interface {
	// Start runs the node. Decode is what the host makes requests with.
	Start(l Limits, boot func(n env.Network) env.Node, decode func(env.ConnInfo, env.Buffer) (env.Request, error))
	// Dial connects a client.
	Dial() Peer
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

// RunConnections runs every case of connection semantics on a side of its own.
func RunConnections(t *testing.T, open func(t *testing.T) Side) {
	seen := map[string]bool{}
	for _, group := range [][]connCase{streamCases, endCases, boundCases} {
		for _, c := range group {
			if seen[c.name] {
				t.Errorf("two cases are called %q", c.name)
			}
			seen[c.name] = true
			t.Run(c.name, func(t *testing.T) { runConnCase(t, open(t), c) })
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
	t    *testing.T
	node *connNode
}

func runConnCase(t *testing.T, s Side, c connCase) {
	b := &connBench{Side: s, t: t, node: &connNode{lives: map[env.ConnID]*connLife{}}}
	s.Start(Limits{MaxFrame: 1 << 20, InFlight: 4}, func(n env.Network) env.Node {
		b.node.net = n
		return b.node
	}, decodeConn)
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
	before := 0
	b.Do(func() { before = len(b.node.order) })
	p := b.Dial()
	b.node.peers = append(b.node.peers, p)
	b.eventually("the node knows of the connection", func() bool { return len(b.node.order) > before })
	var l *connLife
	b.Do(func() { l = b.node.lives[b.node.order[before]] })
	return p, l
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
