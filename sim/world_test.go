package sim_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lignum/core/env"
	"lignum/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type story struct {
	world   *sim.World
	host    *sim.Host
	writers []*writer
	node    *ledger // of the present life
}

func newStory(seed uint64, o ledgerOptions) *story {
	w := sim.NewWorld(sim.Options{
		Seed:    seed,
		Network: sim.NetworkOptions{SplitRate: 200_000, BreakRate: 2_000},
	})
	s := &story{world: w}
	boot := bootLedger(o)
	h := w.AddHost(sim.HostOptions{Decode: decode, Wall: 1_700_000_000_000, Boot: func(p sim.Ports) env.Node {
		s.node = boot(p).(*ledger)
		return s.node
	}})
	s.host = h
	for i := range uint64(4) {
		s.writers = append(s.writers, newWriter(w, h, i+1))
	}
	h.Start()
	return s
}

// crashes kills the host, or cuts its power, again and again, at times and in I/O calls that the seed chooses.
func (s *story) crashes(power bool) {
	r := s.world.Stream(sim.DomainUser, 0)
	var next func()
	next = func() {
		s.host.Start()
		switch at := uint64(r.Below(50) + 1); {
		case power && r.Below(2) == 0:
			s.host.PowerAt(at)
		case r.Below(2) == 0:
			s.host.KillAt(at)
		case power:
			s.world.After(r.Between(0, 50*time.Millisecond), s.host.Power)
		default:
			s.world.After(r.Between(0, 50*time.Millisecond), s.host.Kill)
		}
		s.world.After(r.Between(10*time.Millisecond, 200*time.Millisecond), next)
	}
	next()
}

func (s *story) run(d time.Duration) { s.world.Run(s.world.Now().Add(d)) }

// lost counts acknowledged records that the disk does not hold in their place.
func (s *story) lost() (lost, acked int) {
	data := readLedger(s.host.Disk())
	for _, c := range s.writers {
		for number, at := range c.acked {
			acked++
			if at+8 > int64(len(data)) || binary.BigEndian.Uint64(data[at:]) != number {
				lost++
			}
		}
	}
	return lost, acked
}

func (s *story) mustBeSound(t *testing.T) {
	t.Helper()
	for _, f := range s.world.Findings() {
		t.Fatalf("finding: %s\n%s", f, f.Stack)
	}
	for _, c := range s.writers {
		if c.wrong != "" {
			t.Error(c.wrong)
		}
	}
}

func TestQuietWorld(t *testing.T) {
	s := newStory(1, ledgerOptions{})
	defer s.world.Close()
	s.world.SetNetwork(sim.NetworkOptions{})
	s.run(5 * time.Second)
	s.mustBeSound(t)
	r := &reader{}
	s.world.Dial(s.host, "PLAINTEXT", r)
	s.run(time.Second)
	s.mustBeSound(t)
	lost, acked := s.lost()
	if lost != 0 || acked < 1000 || !r.ok || len(r.data) < 8000 {
		t.Errorf("%d of %d lost, %d bytes read", lost, acked, len(r.data))
	}
	for _, c := range s.writers {
		c.conn.Close()
	}
	s.run(10 * time.Second)
	if leaks := s.host.Memory().Leaks(); leaks != nil {
		t.Errorf("leaks: %v", leaks)
	}
	s.host.Memory().Check()
}

func TestAcknowledgedSurvives(t *testing.T) {
	for _, power := range []bool{false, true} {
		total := 0
		for seed := range uint64(30) {
			s := newStory(seed, ledgerOptions{})
			s.crashes(power)
			s.run(3 * time.Second)
			s.host.Power()
			s.mustBeSound(t)
			lost, acked := s.lost()
			if lost != 0 {
				t.Errorf("power %v seed %d: %d of %d lost", power, seed, lost, acked)
			}
			if s.host.Life() < 5 {
				t.Errorf("power %v seed %d: only %d lives", power, seed, s.host.Life())
			}
			total += acked
			s.world.Close()
		}
		if total < 500 {
			t.Errorf("power %v: only %d acknowledged", power, total)
		}
	}
}

// Without syncs, KILL loses nothing and POWER does.
func TestUnsyncedIsLostByPowerOnly(t *testing.T) {
	for _, power := range []bool{false, true} {
		sum := 0
		for seed := range uint64(20) {
			s := newStory(seed, ledgerOptions{noSync: true})
			s.crashes(power)
			s.run(2 * time.Second)
			s.host.Kill()
			s.mustBeSound(t)
			lost, _ := s.lost()
			sum += lost
			s.world.Close()
		}
		if power != (sum > 0) {
			t.Errorf("power %v: %d lost", power, sum)
		}
	}
}

func TestTwins(t *testing.T) {
	seen := map[string]uint64{}
	for seed := range uint64(20) {
		a, b := newStory(seed, ledgerOptions{}), newStory(seed, ledgerOptions{})
		a.crashes(true)
		b.crashes(true)
		if err := sim.Twins(a.world, b.world, env.Instant(2*time.Second)); err != nil {
			t.Error(err)
		}
		hash := a.world.Trace().String()
		if other, ok := seen[hash]; ok {
			t.Errorf("seeds %d and %d tell one story", seed, other)
		}
		seen[hash] = seed
		a.world.Close()
		b.world.Close()
	}
}

func TestTwinsNameTheFirstDifference(t *testing.T) {
	a, b := newStory(1, ledgerOptions{}), newStory(1, ledgerOptions{noSync: true})
	defer a.world.Close()
	defer b.world.Close()
	err := sim.Twins(a.world, b.world, env.Instant(2*time.Second))
	if err == nil || !strings.Contains(err.Error(), "from event") {
		t.Errorf("error %v", err)
	}
	t.Log(err)
}

func TestWallClockJumpsAndTheOtherDoesNot(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 9})
	defer w.Close()
	var clock env.Clock
	h := w.AddHost(sim.HostOptions{Decode: decode, Wall: 1_000_000, Boot: func(p sim.Ports) env.Node {
		clock = p.Clock
		return &jobNode{}
	}})
	h.Start()
	start := clock.Now()
	w.Run(env.Instant(2 * time.Second))
	if clock.Wall() != 1_002_000 || clock.Now().Sub(start) != 2*time.Second {
		t.Errorf("wall %d, now %d after the start", clock.Wall(), clock.Now().Sub(start))
	}
	h.JumpWall(-5000)
	if clock.Wall() != 997_000 || clock.Now().Sub(start) != 2*time.Second {
		t.Errorf("wall %d, now %d after the start", clock.Wall(), clock.Now().Sub(start))
	}
	h.Kill()
	h.Start()
	if clock.Now() == start.Add(2*time.Second) {
		t.Error("the monotonic clock of a new life goes on from the old one")
	}
}

func TestWrongNodesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		options ledgerOptions
		want    string
	}{
		"panic on the loop":      {ledgerOptions{panicAfter: 100}, "panic: had enough"},
		"I/O on the loop":        {ledgerOptions{loopIO: true}, "violation: open x on the loop"},
		"a deadline that stays":  {ledgerOptions{stuckTimer: true}, "a thousand Ticks"},
		"a frame's wrong length": {ledgerOptions{badFrame: true}, "another length in front"},
		"an early release":       {ledgerOptions{early: true}, "after its last release"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(7, c.options)
			defer s.world.Close()
			s.run(3 * time.Second)
			found := s.world.Findings()
			if len(found) == 0 || !strings.Contains(found[0].String(), c.want) || found[0].Stack == "" {
				t.Fatalf("findings %v, want %q", found, c.want)
			}
			if s.host.Running() {
				t.Error("the node still runs")
			}
			s.host.Reconfigure(bootLedger(ledgerOptions{}))
			s.host.Start()
			s.run(time.Second)
			if !s.host.Running() || len(s.world.Findings()) != len(found) {
				t.Errorf("the next life: %v", s.world.Findings())
			}
		})
	}
}

// jobNode runs one job in each life.
type jobNode struct {
	ledger
}

func (n *jobNode) EndDrain()             {}
func (n *jobNode) Deadline() env.Instant { return env.Never }

func TestPanicInAJobIsTheNodesCrash(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1})
	defer w.Close()
	h := w.AddHost(sim.HostOptions{Decode: decode, Boot: func(p sim.Ports) env.Node {
		p.Jobs.Start(1, func() func() {
			if err := p.Disk.Mkdir("d"); err != nil {
				panic(err)
			}
			panic("a job fails")
		})
		return &jobNode{}
	}})
	h.Start()
	w.Run(env.Instant(time.Second))
	if f := w.Findings(); len(f) != 1 || f[0].Message != "a job fails" || h.Running() {
		t.Errorf("findings %v, running %v", f, h.Running())
	}
}

// Abandoned jobs do not touch the disk of the next life, not even in their deferred calls.
func TestAbandonedJobsAreSilent(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1})
	defer w.Close()
	cleanups := 0
	h := w.AddHost(sim.HostOptions{Decode: decode, Boot: func(p sim.Ports) env.Node {
		p.Jobs.Start(1, func() func() {
			defer func() {
				cleanups++
				if p.Disk.Mkdir("late") == nil {
					t.Error("a dead node makes a directory")
				}
			}()
			for i := 0; ; i++ {
				if err := p.Disk.Mkdir(fmt.Sprint(i)); err != nil {
					return nil
				}
			}
		})
		return &jobNode{}
	}})
	h.Start()
	h.KillAt(5)
	w.Run(env.Instant(time.Second))
	entries, err := h.Disk().ReadDir(".")
	if len(entries) != 4 || err != nil || cleanups != 1 {
		t.Errorf("%v, %v, %d cleanups", entries, err, cleanups)
	}
}

// Lanes are kept in order, and run side by side.
func TestLanesOfAHost(t *testing.T) {
	overlaps := 0
	for seed := range uint64(20) {
		w := sim.NewWorld(sim.Options{Seed: seed})
		var order [3][]int
		running := 0
		h := w.AddHost(sim.HostOptions{Decode: decode, Boot: func(p sim.Ports) env.Node {
			for i := range 10 {
				for lane := range 3 {
					p.Jobs.Start(env.Lane(lane), func() func() {
						if running++; running > 1 {
							overlaps++
						}
						_, _ = p.Disk.ReadDir(".")
						running--
						return func() { order[lane] = append(order[lane], i) }
					})
				}
			}
			return &jobNode{}
		}})
		h.Start()
		w.Run(env.Instant(time.Second))
		w.Close()
		for lane := range order {
			for i, n := range order[lane] {
				if i != n {
					t.Fatalf("seed %d lane %d: order %v", seed, lane, order[lane])
				}
			}
			if len(order[lane]) != 10 {
				t.Fatalf("seed %d lane %d: %d of 10 jobs", seed, lane, len(order[lane]))
			}
		}
	}
	if overlaps == 0 {
		t.Error("lanes never ran side by side")
	}
}

func TestPause(t *testing.T) {
	s := newStory(3, ledgerOptions{})
	defer s.world.Close()
	s.run(time.Second)
	_, acked := s.lost()
	s.host.Pause(time.Second)
	s.run(900 * time.Millisecond)
	if _, now := s.lost(); now > acked+8 {
		t.Errorf("%d were acknowledged during the pause", now-acked)
	}
	s.run(2 * time.Second)
	if _, now := s.lost(); now < acked+100 {
		t.Errorf("only %d were acknowledged after the pause", now-acked)
	}
	s.mustBeSound(t)
}

func TestConnectionToADeadHost(t *testing.T) {
	w := sim.NewWorld(sim.Options{Seed: 1})
	defer w.Close()
	h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
	r := &reader{}
	w.Dial(h, "PLAINTEXT", r)
	w.Run(env.Instant(time.Second))
	if !r.over || r.ok {
		t.Error("the client was not told")
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	for name, raw := range map[string]string{
		"negative length":   "\xff\xff\xff\xff",
		"huge length":       "\x7f\xff\xff\xff",
		"refused by decode": "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			w := sim.NewWorld(sim.Options{Seed: 1})
			defer w.Close()
			h := w.AddHost(sim.HostOptions{Boot: bootLedger(ledgerOptions{}), Decode: decode})
			h.Start()
			r := &rawClient{send: raw}
			w.Dial(h, "PLAINTEXT", r)
			w.Run(env.Instant(time.Second))
			if !r.over || len(w.Findings()) != 0 {
				t.Errorf("over %v, findings %v", r.over, w.Findings())
			}
			if n, _ := h.Memory().Held(); n != 0 {
				t.Errorf("%d buffers held", n)
			}
		})
	}
}

type rawClient struct {
	send string
	over bool
}

func (r *rawClient) Connected(c *sim.Conn)      { c.SendRaw([]byte(r.send)) }
func (r *rawClient) Received(*sim.Conn, []byte) {}
func (r *rawClient) Disconnected(*sim.Conn)     { r.over = true }
