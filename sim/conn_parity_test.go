package sim_test

import (
	"fmt"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/sim"
	"lignum/sim/paritytest"
)

func TestConnectionParity(t *testing.T) {
	for name, o := range map[string]sim.NetworkOptions{
		"plain":     {},
		"split":     {SplitRate: sim.Million},
		"slow link": {Bandwidth: 10 << 20, SplitRate: 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			paritytest.RunConnections(t, func(t *testing.T) paritytest.Side {
				s := &connSide{t: t, world: sim.NewWorld(sim.Options{Seed: 1, Network: o})}
				t.Cleanup(s.close)
				return s
			})
		})
	}
}

// connSide is the simulated side of the seam env.Network.
type connSide struct {
	t     *testing.T
	world *sim.World
	host  *sim.Host

	places int
}

func (s *connSide) Start(l paritytest.Limits, boot func(env.Network) env.Node, decode func(env.ConnInfo, env.Buffer) (env.Request, error)) {
	s.host = s.world.AddHost(sim.HostOptions{
		Boot: func(p sim.Ports) env.Node { return boot(p.Network) }, Decode: decode,
		MaxFrame: l.MaxFrame, MaxReply: l.MaxFrame, InFlight: l.InFlight, MaxOutgoing: l.MaxOutgoing,
	})
	s.host.Start()
}

func (s *connSide) close() {
	for _, f := range s.world.Findings() {
		s.t.Errorf("%s\n%s", f, f.Stack)
	}
	s.world.Close()
}

func (s *connSide) Do(f func()) {
	done := false
	s.host.Do(func() { f(); done = true })
	if !s.Until(func() bool { return done }) {
		s.t.Fatal("the loop does not come round")
	}
}

func (s *connSide) Until(ok func() bool) bool {
	for limit := s.world.Now().Add(time.Minute); !ok(); {
		if !s.world.Step(limit) {
			return ok()
		}
	}
	return true
}

func (s *connSide) Settle() { s.world.Run(s.world.Now().Add(100 * time.Millisecond)) }

func (s *connSide) File(content []byte) env.File {
	f, err := s.host.Disk().Open("file", env.Create)
	must(s.t, err)
	must(s.t, f.Truncate(0), f.WriteAt(0, content))
	return f
}

func (s *connSide) Held() int64 {
	_, bytes := s.host.Memory().Held()
	return bytes
}

func (s *connSide) Dial() paritytest.Peer {
	p := &connPeer{side: s}
	p.conn = s.world.Dial(s.host, "PLAINTEXT", p)
	return p
}

func (s *connSide) Listen() paritytest.Place {
	p := &connPlace{side: s, address: fmt.Sprintf("place-%d:1", s.places)}
	s.places++
	s.world.Listen(s.world.NewSite(), p.address, p.accept)
	return p
}

func (s *connSide) Address(k paritytest.AddressKind) string {
	switch k {
	case paritytest.Refusing:
		return s.host.Name() + ":1"
	case paritytest.Own:
		return s.host.Name() + ":9092"
	case paritytest.Unknown:
		return "nobody:9092"
	}
	site := s.world.NewSite()
	s.world.Listen(site, "silent:1", func(*sim.Conn) sim.Client { s.t.Error("a cut lets something pass"); return nil })
	s.world.Cut(s.host.End(), site)
	return "silent:1"
}

// connPlace is a place where the node's connections are accepted.
type connPlace struct {
	side     *connSide
	address  string
	accepted []*connPeer
	reset    bool
}

func (p *connPlace) accept(c *sim.Conn) sim.Client {
	peer := &connPeer{side: p.side, conn: c, reset: p.reset}
	p.accepted = append(p.accepted, peer)
	return peer
}

func (p *connPlace) Address() string { return p.address }
func (p *connPlace) Reset()          { p.reset = true }

func (p *connPlace) Accept() paritytest.Peer {
	if !p.side.Until(func() bool { return len(p.accepted) > 0 }) {
		p.side.t.Fatal("nobody connects in a minute")
	}
	peer := p.accepted[0]
	p.accepted = p.accepted[1:]
	return peer
}

type connPeer struct {
	side   *connSide
	conn   *sim.Conn
	frames [][]byte
	over   bool
	reset  bool // tear it at once
}

func (p *connPeer) Connected(*sim.Conn) {
	if p.reset {
		p.conn.Reset()
	}
}
func (p *connPeer) Disconnected(*sim.Conn) { p.over = true }
func (p *connPeer) Received(_ *sim.Conn, frame []byte) {
	p.frames = append(p.frames, append([]byte(nil), frame...))
}

func (p *connPeer) Write(b []byte) { p.conn.SendRaw(b) }
func (p *connPeer) CloseWrite()    { p.conn.CloseWrite() }
func (p *connPeer) Close()         { p.conn.Close() }
func (p *connPeer) Reset()         { p.conn.Reset() }

func (p *connPeer) Frame() ([]byte, bool) {
	if !p.side.Until(func() bool { return len(p.frames) > 0 || p.over }) {
		p.side.t.Fatal("neither a frame nor the end in a minute")
	}
	if len(p.frames) == 0 {
		return nil, false
	}
	b := p.frames[0]
	p.frames = p.frames[1:]
	return b, true
}
