package sim_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// pair is two hosts that can reach each other under "a:9092" and "b:9092", and keep account of what they see.
type pair struct {
	t     *testing.T
	world *sim.World
	hosts [2]*sim.Host
	nodes [2]*chatterer
}

func newPair(t *testing.T, o sim.Options) *pair {
	p := &pair{t: t, world: sim.NewWorld(o)}
	for i, name := range []string{"a", "b"} {
		p.hosts[i] = p.world.AddHost(sim.HostOptions{
			Name:   name,
			Decode: func(_ env.ConnInfo, f env.Buffer) (env.Request, error) { return heard{f}, nil },
			Boot: func(ports sim.Ports) env.Node {
				p.nodes[i] = &chatterer{net: ports.Network, open: map[env.ConnID]bool{}}
				return p.nodes[i]
			},
		})
		p.hosts[i].Start()
	}
	t.Cleanup(func() {
		for _, f := range p.world.Findings() {
			t.Errorf("%s\n%s", f, f.Stack)
		}
		p.world.Close()
	})
	return p
}

func (p *pair) run(d time.Duration) { p.world.Run(p.world.Now().Add(d)) }

// dial has a open a connection to b.
func (p *pair) dial() (id env.ConnID) {
	p.hosts[0].Do(func() { id = p.nodes[0].net.Dial("b:9092") })
	p.run(100 * time.Millisecond)
	if !p.nodes[0].open[id] || len(p.nodes[1].open) == 0 {
		p.t.Fatal("the connection does not stand")
	}
	return id
}

// say has a host send a word on all its connections.
func (p *pair) say(from int, word string) {
	n := p.nodes[from]
	p.hosts[from].Do(func() {
		for _, c := range n.order {
			n.net.Send(c, spoken(word))
		}
	})
}

func (p *pair) holds(at int, connections int, words ...string) {
	p.t.Helper()
	n := p.nodes[at]
	if len(n.open) != connections || !slices.Equal(n.words, words) {
		p.t.Errorf("%s has %d connections and heard %q; want %d and %q", p.hosts[at].Name(), len(n.open), n.words, connections, words)
	}
}

type heard struct{ env.Buffer }

type spoken string

func (s spoken) Encode(w *env.Pieces) {
	w.Buf = append(binary.BigEndian.AppendUint32(w.Buf, uint32(len(s))), s...)
}
func (s spoken) Release() {}

// chatterer hears.
type chatterer struct {
	net   env.Network
	open  map[env.ConnID]bool
	order []env.ConnID
	infos []env.ConnInfo
	words []string
	ended []env.ConnID
	holds bool // it answers nothing
}

func (n *chatterer) Connected(c env.ConnID, info env.ConnInfo) {
	n.open[c] = true
	n.order = append(n.order, c)
	n.infos = append(n.infos, info)
}

func (n *chatterer) Disconnected(c env.ConnID) {
	delete(n.open, c)
	n.ended = append(n.ended, c)
}

func (n *chatterer) Received(c env.ConnID, req env.Request) {
	h := req.(heard)
	n.words = append(n.words, string(h.Bytes()))
	h.Release()
	if !n.holds {
		n.net.Resume(c)
	}
}

func (n *chatterer) Tick()                 {}
func (n *chatterer) EndDrain()             {}
func (n *chatterer) Deadline() env.Instant { return env.Never }

func TestHostsTalk(t *testing.T) {
	for name, o := range map[string]sim.NetworkOptions{
		"plain": {}, "split": {SplitRate: sim.Million}, "slow link": {Bandwidth: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, sim.Options{Seed: 3, Network: o})
			p.dial()
			a, b := p.nodes[0].infos[0], p.nodes[1].infos[0]
			if !a.Outgoing || b.Outgoing || a.Remote != "b:9092" || b.Local != a.Remote || a.Local != b.Remote || b.Listener != "PLAINTEXT" {
				t.Errorf("%+v and %+v", a, b)
			}
			long := strings.Repeat("long", 20_000)
			var want []string
			for i := range 50 {
				want = append(want, fmt.Sprint(i), long)
				p.say(0, fmt.Sprint(i))
				p.say(0, long)
				p.say(1, fmt.Sprint(i))
				p.say(1, long)
			}
			p.run(20 * time.Second)
			p.holds(0, 1, want...)
			p.holds(1, 1, want...)
		})
	}
}

// TestHostsAreFoundByName: a listener that is not there refuses, another one that is has its name.
func TestHostsAreFoundByName(t *testing.T) {
	p := newPair(t, sim.Options{Seed: 3})
	c := p.world.AddHost(sim.HostOptions{
		Name: "c", Listeners: []sim.Listener{{Name: "INTERNAL", Port: 1}, {Name: "CONTROLLER", Port: 2}},
		Decode: func(_ env.ConnInfo, f env.Buffer) (env.Request, error) { return heard{f}, nil },
		Boot: func(ports sim.Ports) env.Node {
			p.nodes[1] = &chatterer{net: ports.Network, open: map[env.ConnID]bool{}}
			return p.nodes[1]
		},
	})
	c.Start()
	p.hosts[0].Do(func() {
		for _, address := range []string{"c:2", "c:9092", "d:1", "c:1"} {
			p.nodes[0].net.Dial(address)
		}
	})
	p.run(time.Second)
	if got := p.nodes[1].infos; len(got) != 2 || len(p.nodes[0].ended) != 2 {
		t.Fatalf("%+v, %d in vain", got, len(p.nodes[0].ended))
	}
	names := []string{p.nodes[1].infos[0].Listener, p.nodes[1].infos[1].Listener}
	slices.Sort(names)
	if names[0] != "CONTROLLER" || names[1] != "INTERNAL" {
		t.Error(names)
	}
}

// TestKilledHost: the other end learns of a process that ends, soon, whichever of them has opened the connection.
func TestKilledHost(t *testing.T) {
	for victim := range 2 {
		p := newPair(t, sim.Options{Seed: 5})
		p.dial()
		p.say(victim, "last words")
		p.run(time.Millisecond * 50)
		p.hosts[victim].Kill()
		p.run(time.Millisecond * 50)
		p.holds(1-victim, 0, "last words")
	}
}

// TestPowerlessHost: the other end of a machine without power believes for a while; a machine that is back says what it does not know.
func TestPowerlessHost(t *testing.T) {
	for victim := range 2 {
		late := false
		for seed := range uint64(8) {
			p := newPair(t, sim.Options{Seed: seed})
			p.dial()
			p.hosts[victim].Power()
			p.run(100 * time.Millisecond)
			late = late || len(p.nodes[1-victim].open) == 1
			p.run(30 * time.Second)
			p.holds(1-victim, 0)
		}
		if !late {
			t.Error("every power cut is noticed at once")
		}
		p := newPair(t, sim.Options{Seed: 1, Network: sim.NetworkOptions{Unnoticed: time.Hour}})
		p.dial()
		p.hosts[victim].Power()
		p.run(time.Second)
		p.hosts[victim].Start()
		p.run(time.Second)
		p.holds(1-victim, 1)
		p.say(1-victim, "are you there?")
		p.run(time.Second)
		p.holds(1-victim, 0)
		p.holds(victim, 0)
	}
}

// TestCutBetweenHosts: what meets a cut arrives when it heals, in order; the other way is open; who waits too long gives up.
func TestCutBetweenHosts(t *testing.T) {
	for from := range 2 {
		p := newPair(t, sim.Options{Seed: 7})
		p.dial()
		p.world.Cut(p.hosts[from].End(), p.hosts[1-from].End())
		p.say(from, "one")
		p.say(from, "two")
		p.say(1-from, "back")
		p.run(10 * time.Second)
		p.holds(from, 1, "back")
		p.holds(1-from, 1)
		p.world.Heal(p.hosts[from].End(), p.hosts[1-from].End())
		p.run(time.Second)
		p.holds(1-from, 1, "one", "two")

		p.world.Partition([]sim.End{p.hosts[0].End()}, []sim.End{p.hosts[1].End()})
		p.say(from, "three")
		p.run(59 * time.Second)
		p.holds(from, 1, "back")
		p.run(2 * time.Second)
		p.holds(from, 0, "back")
		p.holds(1-from, 1, "one", "two") // it sees nothing
		p.world.HealAll()
		p.run(5 * time.Second)
		if len(p.nodes[1-from].open) != 0 {
			t.Error("the other end does not learn of it")
		}
	}
}

// TestDialOverCut: a connection over a cut comes about when it heals in time.
func TestDialOverCut(t *testing.T) {
	for _, c := range []struct {
		healed time.Duration
		want   int
	}{{5 * time.Second, 1}, {time.Minute, 0}} {
		p := newPair(t, sim.Options{Seed: 7})
		p.world.Cut(p.hosts[1].End(), p.hosts[0].End()) // it reaches b, but b's answer does not come
		p.hosts[0].Do(func() { p.nodes[0].net.Send(p.nodes[0].net.Dial("b:9092"), spoken("hello")) })
		p.run(c.healed)
		if n := len(p.nodes[0].open); n != 0 {
			t.Errorf("%d connections", n)
		}
		p.world.HealAll()
		p.run(10 * time.Second)
		if n := len(p.nodes[0].open); n != c.want || len(p.nodes[1].words) != c.want || len(p.nodes[0].ended) != 1-c.want {
			t.Errorf("%d connections, b heard %q", n, p.nodes[1].words)
		}
		if n := len(p.nodes[1].open); n != c.want {
			t.Errorf("b has %d connections", n)
		}
	}
}

func TestClogBetweenHosts(t *testing.T) {
	p := newPair(t, sim.Options{Seed: 7})
	p.dial()
	p.dial()
	between := p.world.Between(p.hosts[1].End(), p.hosts[0].End())
	if len(between) != 2 || between[0].ID() >= between[1].ID() || between[0].Host() != p.hosts[0] {
		t.Fatalf("%d connections", len(between))
	}
	for _, c := range between {
		c.Clog(3 * time.Second)
	}
	p.say(0, "word")
	p.run(2900 * time.Millisecond)
	p.holds(1, 2)
	p.run(200 * time.Millisecond)
	p.holds(1, 2, "word", "word")
	between[0].Break()
	p.run(time.Second)
	p.holds(0, 1)
	p.holds(1, 1, "word", "word")
}

// TestTornFromOutside: a connection that the workload has accepted and tears ends at once, whatever its host still has to say; one that
// it closes in order leaves the host some time.
func TestTornFromOutside(t *testing.T) {
	for _, torn := range []bool{true, false} {
		p := newPair(t, sim.Options{Seed: 7})
		p.nodes[0].holds = true
		var far *sim.Conn
		p.world.Listen(p.world.NewSite(), "outside:1", func(c *sim.Conn) sim.Client { far = c; return silent{} })
		p.hosts[0].Do(func() { p.nodes[0].net.Dial("outside:1") })
		p.run(time.Second)
		far.Send([]byte("word"))
		p.run(time.Second)
		if torn {
			far.Reset()
		} else {
			far.CloseWrite()
		}
		p.run(time.Second)
		want := 1
		if torn {
			want = 0
		}
		p.holds(0, want, "word")
		p.run(2 * time.Second)
		p.holds(0, 0, "word")
	}
}

type silent struct{}

func (silent) Connected(*sim.Conn)        {}
func (silent) Received(*sim.Conn, []byte) {}
func (silent) Disconnected(*sim.Conn)     {}

// TestPausedHost: a process that stands still keeps its connections; what was sent to it is there when it goes on.
func TestPausedHost(t *testing.T) {
	p := newPair(t, sim.Options{Seed: 7})
	p.dial()
	p.hosts[0].Pause(5 * time.Second)
	p.say(1, "word")
	p.say(0, "late")
	p.run(4 * time.Second)
	p.holds(0, 1)
	p.holds(1, 1)
	p.run(2 * time.Second)
	p.holds(0, 1, "word")
	p.holds(1, 1, "late")
}

// TestHostsTellOneStory: two worlds of one seed are the same, event for event, and every event can be put in words.
func TestHostsTellOneStory(t *testing.T) {
	for seed := range uint64(30) {
		var worlds [2]*sim.World
		for i := range worlds {
			p := newPair(t, sim.Options{Seed: seed, Network: sim.NetworkOptions{SplitRate: 200_000, BreakRate: 10_000}})
			chatter(p, seed)
			p.world.Tell(func(l sim.Line) {
				if strings.Contains(l.Text, "<") || l.Text == "" {
					t.Errorf("line %q", l)
				}
			})
			worlds[i] = p.world
		}
		if err := sim.Twins(worlds[0], worlds[1], env.Instant(30*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
}

// chatter schedules talk and trouble.
func chatter(p *pair, seed uint64) {
	draw := p.world.Stream(sim.DomainUser, seed)
	for i := range 200 {
		step, which := draw.Below(12), int(draw.Below(2))
		p.world.After(draw.Between(0, 20*time.Second), func() {
			h, n := p.hosts[which], p.nodes[which]
			switch step {
			case 0:
				h.Kill()
			case 1:
				h.Power()
			case 2:
				p.world.Cut(p.hosts[which].End(), p.hosts[1-which].End())
			case 3:
				p.world.HealAll()
			case 4:
				for _, c := range p.world.Between(p.hosts[0].End(), p.hosts[1].End()) {
					c.Clog(time.Second)
				}
			case 5, 6:
				h.Start()
			case 7, 8:
				h.Do(func() { n.net.Send(n.net.Dial([]string{"b:9092", "a:9092", "b:1"}[i%3]), spoken("first")) })
			default:
				if h.Running() {
					p.say(which, fmt.Sprint(i))
				}
			}
		})
	}
}
