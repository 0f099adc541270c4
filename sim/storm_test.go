package sim_test

import (
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// caller is a client that holds on to one connection at a time and counts how each ended.
type caller struct {
	t     *testing.T
	world *sim.World
	host  *sim.Host
	site  sim.End
	conn  *sim.Conn
	ended map[*sim.Conn]int
	got   int
}

func (k *caller) dial()                 { k.conn = k.world.DialFrom(k.site, k.host, "PLAINTEXT", k) }
func (k *caller) Connected(c *sim.Conn) { c.Send([]byte("a12345678")) }
func (k *caller) Received(c *sim.Conn, _ []byte) {
	if k.got++; k.ended[c] > 0 {
		k.t.Error("a frame behind the end")
	}
	c.Send([]byte("a12345678"))
}

func (k *caller) Disconnected(c *sim.Conn) {
	if k.ended[c]++; k.ended[c] > 1 || c != k.conn {
		k.t.Errorf("connection %d ends %d times, or is not the present one", c.ID(), k.ended[c])
	}
	k.world.After(5*time.Millisecond, k.dial)
}

// leave ends the connection from the client's side, which then hears nothing of it, and dials anew.
func (k *caller) leave(how int64) {
	if k.conn == nil || k.ended[k.conn] > 0 {
		return
	}
	k.ended[k.conn] = 1
	switch how {
	case 0:
		k.conn.Vanish()
	case 1:
		k.conn.Reset()
	case 2:
		k.conn.Close()
	}
	k.dial()
}

// storm is a world in which everything happens to connections.
type storm struct {
	t       *testing.T
	world   *sim.World
	host    *sim.Host
	node    *ledger // of the present life
	callers []*caller
	rand    sim.Stream
}

func newStorm(t *testing.T, seed uint64) *storm {
	w := sim.NewWorld(sim.Options{Seed: seed, Network: sim.NetworkOptions{
		SplitRate: 100_000, BreakRate: 1_000, GiveUp: time.Second, ConnectTimeout: 500 * time.Millisecond, Unnoticed: time.Second,
	}})
	s := &storm{t: t, world: w, rand: w.Stream(sim.DomainUser, 1)}
	boot := bootLedger(ledgerOptions{})
	s.host = w.AddHost(sim.HostOptions{Decode: decode, Boot: func(p sim.Ports) env.Node {
		s.node = boot(p).(*ledger)
		return s.node
	}})
	s.host.Start()
	for range 3 {
		k := &caller{t: t, world: w, host: s.host, site: w.NewSite(), ended: map[*sim.Conn]int{}}
		s.callers = append(s.callers, k)
		k.dial()
	}
	return s
}

func (s *storm) strike() {
	k, here := s.callers[s.rand.Below(3)], s.host.End()
	switch s.rand.Below(12) {
	case 0:
		k.conn.CutUp()
	case 1:
		k.conn.CutDown()
	case 2:
		s.world.Cut(k.site, here)
	case 3:
		s.world.Partition([]sim.End{k.site, s.callers[0].site}, []sim.End{here})
	case 4, 5:
		s.world.HealAll()
	case 6:
		k.conn.Break()
	case 7, 8, 9:
		k.leave(s.rand.Below(3))
	case 10:
		s.host.Kill()
	case 11:
		s.world.Power(s.host)
	}
	s.host.Start()
}

// answers lets a second pass and counts what the clients get in it.
func (s *storm) answers() (n int) {
	for _, k := range s.callers {
		n -= k.got
	}
	s.world.Run(s.world.Now().Add(time.Second))
	for _, k := range s.callers {
		n += k.got
	}
	return n
}

// Whatever happens to connections, hosts and links: each connection ends once on each side, nothing comes behind its end, and when
// all is healed each client has one connection and the host knows of no other.
func TestStorm(t *testing.T) {
	count := map[sim.NetworkFault]uint64{}
	for seed := range uint64(25) {
		s := newStorm(t, seed)
		for at := time.Duration(0); at < 10*time.Second; at += s.rand.Between(0, 150*time.Millisecond) {
			s.world.At(env.Instant(at), s.strike)
		}
		s.world.Run(env.Instant(10 * time.Second))
		s.world.HealAll()
		s.world.SetNetwork(sim.NetworkOptions{})
		s.world.Run(env.Instant(20 * time.Second))
		if n := s.answers(); n < 100 {
			t.Errorf("seed %d: %d answers in the last second", seed, n)
		}
		if n := s.node.connected - len(s.node.gone); n != 3 {
			t.Errorf("seed %d: the host knows of %d connections", seed, n)
		}
		for _, f := range s.world.Findings() {
			t.Errorf("%s\n%s", f, f.Stack)
		}
		for _, k := range s.callers {
			k.conn.Close()
		}
		s.world.Run(env.Instant(30 * time.Second))
		if leaks := s.host.Memory().Leaks(); leaks != nil {
			t.Errorf("seed %d: leaks %v", seed, leaks)
		}
		s.world.EachNetworkFault(func(k sim.NetworkFault, n uint64) { count[k] += n })
		s.world.Close()
	}
	for k := sim.NetworkSplit; k <= sim.NetworkHalfOpen; k++ {
		if count[k] == 0 && k != sim.NetworkClog {
			t.Errorf("%s: never", k)
		}
	}
	t.Log(count)
}
