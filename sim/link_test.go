package sim_test

import (
	"encoding/binary"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// acked counts what each writer of a story was promised.
func (s *story) acked() (n []int) {
	for _, c := range s.writers {
		n = append(n, len(c.acked))
	}
	return n
}

func quietStory(seed uint64) *story {
	s := newStory(seed, ledgerOptions{})
	s.world.SetNetwork(sim.NetworkOptions{})
	s.run(time.Second)
	return s
}

// A cut one way: what is sent waits, nobody is told, and after the heal everything goes on where it stood.
func TestOneWayCuts(t *testing.T) {
	for name, c := range map[string]struct {
		cut  func(s *story, c *sim.Conn)
		heal func(s *story, c *sim.Conn)
	}{
		"connection, up":   {func(_ *story, c *sim.Conn) { c.CutUp() }, func(_ *story, c *sim.Conn) { c.Heal() }},
		"connection, down": {func(_ *story, c *sim.Conn) { c.CutDown() }, func(s *story, _ *sim.Conn) { s.world.HealAll() }},
		"link, up":         {func(s *story, _ *sim.Conn) { s.world.Cut(0, s.host.End()) }, func(s *story, _ *sim.Conn) { s.world.Heal(0, s.host.End()) }},
		"link, down":       {func(s *story, _ *sim.Conn) { s.world.Cut(s.host.End(), 0) }, func(s *story, _ *sim.Conn) { s.world.HealAll() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := quietStory(1)
			defer s.world.Close()
			conn := s.writers[0].conn
			before := s.acked()[0]
			c.cut(s, conn)
			s.run(20 * time.Second)
			if now := s.acked()[0]; now > before+1 || s.writers[0].conn != conn {
				t.Errorf("%d were acknowledged over a cut, a new connection: %v", now-before, s.writers[0].conn != conn)
			}
			c.heal(s, conn)
			s.run(time.Second)
			if now := s.acked()[0]; now < before+50 || s.writers[0].conn != conn {
				t.Errorf("%d after the heal, a new connection: %v", now-before, s.writers[0].conn != conn)
			}
			s.mustBeSound(t)
		})
	}
}

// Who waits too long over a cut gives up; the other end stays half-open until the news gets through.
func TestGivingUpOverACut(t *testing.T) {
	s := quietStory(2)
	defer s.world.Close()
	conn := s.writers[0].conn
	conn.CutUp()
	s.run(70 * time.Second)
	if s.writers[0].conn == conn {
		t.Error("the client still waits")
	}
	if held := hostConnections(s); held != 5 {
		t.Errorf("the host knows of %d connections, want the half-open one too", held)
	}
	conn.Heal()
	s.run(time.Second)
	if held := hostConnections(s); held != 4 {
		t.Errorf("the host knows of %d connections after the heal", held)
	}
	s.mustBeSound(t)
}

// hostConnections is how many connections the host's node believes in.
func hostConnections(s *story) int { return s.node.connected - len(s.node.gone) }

func TestPartitionOfSites(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 3})
	defer w.Close()
	here, there := w.NewSite(), w.NewSite()
	h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
	h.Start()
	a, b := newWriter(w, h, 1), newWriter(w, h, 2)
	a.site, b.site = here, there
	w.Run(env.Instant(time.Second))
	beforeA, beforeB := len(a.acked), len(b.acked)
	w.Partition([]sim.End{here}, []sim.End{h.End()})
	w.Run(env.Instant(2 * time.Second))
	if len(a.acked) > beforeA+1 || len(b.acked) < beforeB+100 {
		t.Errorf("%d on the wrong side, %d on the other", len(a.acked)-beforeA, len(b.acked)-beforeB)
	}
	w.HealAll()
	w.Run(env.Instant(3 * time.Second))
	if len(a.acked) < beforeA+100 {
		t.Error("the heal changed nothing")
	}
}

func TestDialOverACut(t *testing.T) {
	for _, up := range []bool{true, false} {
		w := sim.NewWorld(sim.Options{Seed: 1})
		h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
		h.Start()
		if up {
			w.Cut(0, h.End())
		} else {
			w.Cut(h.End(), 0)
		}
		r := &reader{}
		w.Dial(h, "PLAINTEXT", r)
		w.Run(env.Instant(9 * time.Second))
		if r.over || r.ok {
			t.Error("the client knows already")
		}
		w.Run(env.Instant(12 * time.Second))
		if !r.over || r.ok {
			t.Error("the client was not told")
		}
		w.HealAll()
		w.Run(env.Instant(30 * time.Second))
		w.Close()
	}
}

// talker sends numbers as fast as it can and checks that answers come in order.
type talker struct {
	t    *testing.T
	sent uint64
	got  uint64
	over bool
}

func (k *talker) Connected(*sim.Conn)    {}
func (k *talker) Disconnected(*sim.Conn) { k.over = true }
func (k *talker) Received(_ *sim.Conn, frame []byte) {
	k.got++
	if n := binary.BigEndian.Uint64(frame[9:]); n != k.got {
		k.t.Fatalf("answer %d instead of %d", n, k.got)
	}
}

func (k *talker) talk(w *sim.World, c *sim.Conn) {
	k.sent++
	c.Send(binary.BigEndian.AppendUint64([]byte{'a'}, k.sent))
	if k.sent < 2000 {
		w.After(time.Millisecond, func() { k.talk(w, c) })
	}
}

// However links flap, a connection loses nothing and keeps its order.
func TestFlappingKeepsTheOrder(t *testing.T) {
	for seed := range uint64(20) {
		w := sim.NewWorld(sim.Options{Seed: seed, Network: sim.NetworkOptions{SplitRate: 200_000, Bandwidth: 100_000}})
		h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
		h.Start()
		w.Run(env.Instant(100 * time.Millisecond))
		k := &talker{t: t}
		c := w.Dial(h, "PLAINTEXT", k)
		r := w.Stream(sim.DomainUser, 9)
		var flap func()
		flap = func() {
			switch r.Below(5) {
			case 0:
				c.CutUp()
			case 1:
				c.CutDown()
			case 2:
				w.Cut(h.End(), 0)
			case 3:
				w.SetLink(0, h.End(), sim.Link{Latency: [2]time.Duration{time.Millisecond, 80 * time.Millisecond}})
			case 4:
				w.HealAll()
			}
			w.After(r.Between(0, 100*time.Millisecond), flap)
		}
		w.After(time.Millisecond, flap)
		k.talk(w, c)
		w.Run(env.Instant(5 * time.Second))
		flap = func() {}
		w.HealAll()
		w.Run(env.Instant(20 * time.Second))
		if k.got != 2000 || k.over || len(w.Findings()) != 0 {
			t.Fatalf("seed %d: %d of 2000 answers, over %v, findings %v", seed, k.got, k.over, w.Findings())
		}
		w.Close()
	}
}

// The end of a connection whose host has lost its power is half-open: who says something learns it from the next life, who
// does not stays in the dark.
func TestHalfOpenEnds(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1})
	defer w.Close()
	h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
	h.Start()
	talks, silent := &talker{t: t}, &talker{t: t}
	c := w.Dial(h, "PLAINTEXT", talks)
	w.Dial(h, "PLAINTEXT", silent)
	w.Run(env.Instant(100 * time.Millisecond))
	w.Power(h)
	h.Start()
	talks.sent = 1999
	talks.talk(w, c)
	w.Run(env.Instant(200 * time.Millisecond))
	if !talks.over || silent.over {
		t.Errorf("who talks knows: %v, who is silent knows: %v", talks.over, silent.over)
	}
	w.Run(env.Instant(31 * time.Second))
	if !silent.over {
		t.Error("it is never noticed")
	}
	count := map[string]uint64{}
	w.EachNetworkFault(func(k sim.NetworkFault, n uint64) { count[k.String()] = n })
	if count["half-open ends"] != 1 {
		t.Errorf("counts %v", count)
	}
}

func TestVanishedClient(t *testing.T) {
	s := quietStory(4)
	defer s.world.Close()
	s.writers[0].conn.Vanish()
	s.run(time.Millisecond)
	if n := hostConnections(s); n != 4 {
		t.Errorf("%d connections at once", n)
	}
	s.run(31 * time.Second)
	if n := hostConnections(s); n != 3 {
		t.Errorf("%d connections in the end", n)
	}
	s.mustBeSound(t)
}

func TestBandwidth(t *testing.T) {
	for _, bandwidth := range []int64{0, 10_000} {
		s := quietStory(5)
		before := len(readLedger(s.host.Disk()))
		s.world.SetLink(s.host.End(), s.world.NewSite(), sim.Link{Bandwidth: 1}) // somebody else's
		s.world.SetNetwork(sim.NetworkOptions{Bandwidth: bandwidth})
		r := &reader{}
		start := s.world.Now()
		s.world.Dial(s.host, "PLAINTEXT", r)
		for !r.ok && s.world.Step(env.Never) {
		}
		took := s.world.Now().Sub(start)
		least := time.Duration(before) * time.Second / 10_000
		if (bandwidth > 0) != (took > least) {
			t.Errorf("%d bytes took %v at %d bytes per second", len(r.data), took, bandwidth)
		}
		s.world.Close()
	}
}

func TestClocksDriftApart(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 9})
	defer w.Close()
	var clock env.Clock
	h := w.AddHost(sim.HostOptions{Decode: decode, Wall: 1_000_000, Boot: func(p sim.Ports) env.Node {
		clock = p.Clock
		return &jobNode{}
	}})
	h.Start()
	start := clock.Now()
	h.Drift(200, -1000)
	w.Run(env.Instant(1000 * time.Second))
	if got := clock.Now().Sub(start); got != 1000*time.Second+200*time.Millisecond {
		t.Errorf("the fast clock shows %v", got)
	}
	if got := clock.Wall(); got != 1_000_000+1_000_000-1000 {
		t.Errorf("the slow wall clock shows %d", got)
	}
	h.Drift(0, 0)
	h.JumpWall(5000)
	w.Run(env.Instant(2000 * time.Second))
	if steady, wall := clock.Now().Sub(start), clock.Wall(); steady != 2000*time.Second+200*time.Millisecond || wall != 3_004_000 {
		t.Errorf("later %v and %d", steady, wall)
	}
}

// A node's timers follow its own clock.
func TestTimersFollowTheDriftingClock(t *testing.T) {
	ticks := map[int64]int{}
	for _, drift := range []int64{-100_000, 0, 100_000} {
		s := newStory(1, ledgerOptions{})
		s.host.Drift(drift, 0)
		for _, c := range s.writers {
			c.conn, c.host = nil, nil
		}
		s.run(100*time.Second + 500*time.Millisecond)
		s.mustBeSound(t)
		ticks[drift] = s.node.ticks
		s.world.Close()
	}
	if ticks[-100_000] < 88 || ticks[-100_000] > 91 || ticks[0] < 98 || ticks[0] > 101 || ticks[100_000] < 108 || ticks[100_000] > 111 {
		t.Errorf("ticks in 100 seconds: %v", ticks)
	}
}

// Power of a set at once: no host sees another die.
func TestPowerOfManyHosts(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1})
	defer w.Close()
	var hosts []*sim.Host
	for range 3 {
		h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
		h.Start()
		hosts = append(hosts, h)
	}
	w.Run(env.Instant(time.Second))
	w.Power(hosts[0], hosts[2])
	if hosts[0].Running() || !hosts[1].Running() || hosts[2].Running() {
		t.Error("the wrong ones run")
	}
	w.Kill(hosts...)
	if hosts[1].Running() {
		t.Error("it still runs")
	}
}
