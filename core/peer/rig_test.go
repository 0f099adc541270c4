package peer_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lignum/core/env"
	"lignum/core/peer"
	"lignum/core/timer"
	"lignum/core/wire"
	"lignum/sim"
)

// rig is a caller at the host "near" and a server at the host "far". Calls are quorum messages with a number as payload.
type rig struct {
	t         reporter
	world     *sim.World
	near, far *sim.Host
	caller    *caller
	server    *server
	served    map[uint64]int // how often the server has carried each call out
	calls     []*called
}

// called is a call and what became of it.
type called struct {
	number   uint64
	at       env.Instant
	timeout  time.Duration
	done     int
	doneAt   env.Instant
	err      error
	answered uint64
	dead     bool // its process is
}

const farAddress = "far:9093"

// reporter is a *testing.T or a *rapid.T.
type reporter interface {
	Helper()
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

func newRig(t reporter, seed uint64, network sim.NetworkOptions, o peer.Options) *rig {
	r := &rig{t: t, world: sim.NewWorld(sim.Options{Seed: seed, Network: network}), served: map[uint64]int{}}
	r.near = r.world.AddHost(sim.HostOptions{
		Name:   "near",
		Decode: func(_ env.ConnInfo, f env.Buffer) (env.Request, error) { return peer.DecodeReply(f) },
		Boot: func(p sim.Ports) env.Node {
			r.caller = &caller{clock: p.Clock}
			r.caller.set = peer.NewSet(peer.Ports{Network: p.Network, Clock: p.Clock, Rand: p.Rand, Timers: &r.caller.timers}, o)
			return r.caller
		},
	})
	r.far = r.world.AddHost(sim.HostOptions{
		Name: "far", Listeners: []sim.Listener{{Name: "CONTROLLER", Port: 9093}, {Name: "OTHER", Port: 9094}},
		Decode: decodeRequest,
		Boot: func(p sim.Ports) env.Node {
			r.server = &server{network: p.Network, clock: p.Clock, rig: r}
			return r.server
		},
	})
	r.near.Start()
	r.far.Start()
	return r
}

func (r *rig) close() {
	for _, f := range r.world.Findings() {
		r.t.Errorf("%s\n%s", f, f.Stack)
	}
	r.world.Close()
}

// call makes a call that carries a number of its own.
func (r *rig) call(address string, timeout time.Duration) *called {
	c := &called{number: uint64(len(r.calls) + 1), timeout: timeout}
	r.calls = append(r.calls, c)
	if !r.near.Running() {
		c.dead = true
		return c
	}
	r.near.Do(func() { r.issue(c, address) })
	return c
}

func (r *rig) issue(c *called, address string) {
	c.at = r.world.Now()
	message := wire.QuorumMessageRequest{ClusterID: []byte("cluster"), Payload: binary.BigEndian.AppendUint64(nil, c.number)}
	calling := true
	r.link(address).Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return message.AppendTo(dst, 0) }, c.timeout,
		func(reply peer.Reply, err error) {
			if calling {
				r.t.Errorf("call %d ended before Call returned", c.number)
			}
			c.done++
			c.doneAt, c.err = r.world.Now(), err
			if err == nil {
				var m wire.QuorumMessageResponse
				if e := m.Decode(reply.Body, 0); e != nil {
					r.t.Error(e)
					return
				}
				c.answered = binary.BigEndian.Uint64(m.Payload)
			}
			r.world.Note(c.number)
		})
	calling = false
}

func (r *rig) link(address string) *peer.Link { return r.caller.set.Link(2, peer.Quorum, address) }

func (r *rig) run(d time.Duration) { r.world.Run(r.world.Now().Add(d)) }

// do has f run on the caller's loop.
func (r *rig) do(f func()) {
	done := false
	r.near.Do(func() { f(); done = true })
	for limit := r.world.Now().Add(time.Minute); !done; {
		if !r.world.Step(limit) {
			r.t.Fatal("the loop does not come round")
		}
	}
}

// ends expects a call to have ended in a way.
func (r *rig) ends(c *called, want error) {
	r.t.Helper()
	if c.done != 1 || !errors.Is(c.err, want) || want == nil && c.answered != c.number {
		r.t.Errorf("call %d ended %d times, with %v and answer %d; want %v", c.number, c.done, c.err, c.answered, want)
	}
}

// caller is a node that has a Set and nothing else.
type caller struct {
	set    *peer.Set
	clock  env.Clock
	timers timer.Queue
	faults []string
}

func (n *caller) Connected(c env.ConnID, info env.ConnInfo) {
	if !n.set.Connected(c, info) || !info.Outgoing {
		n.faults = append(n.faults, fmt.Sprintf("connection %d is nobody's", c))
	}
}

func (n *caller) Received(c env.ConnID, req env.Request) {
	if !n.set.Received(c, req) {
		n.faults = append(n.faults, fmt.Sprintf("a reply on connection %d is nobody's", c))
		req.Release()
	}
}

func (n *caller) Disconnected(c env.ConnID) {
	if !n.set.Disconnected(c) {
		n.faults = append(n.faults, fmt.Sprintf("connection %d ends and was nobody's", c))
	}
}

func (n *caller) Tick()                 { n.timers.Fire(n.clock.Now()) }
func (n *caller) EndDrain()             {}
func (n *caller) Deadline() env.Instant { return n.timers.Deadline() }

// server answers quorum messages with their own payload, in order, each after a delay.
type server struct {
	network   env.Network
	clock     env.Clock
	rig       *rig
	timers    timer.Queue
	connected int
	delay     time.Duration
	mute      bool
	open      map[env.ConnID]bool
}

type served struct {
	frame  env.Buffer
	header wire.Header
	body   any
}

func (s *served) Release() { s.frame.Release() }

func decodeRequest(_ env.ConnInfo, f env.Buffer) (env.Request, error) {
	h, body, err := wire.DecodeHeader(f.Bytes())
	if err != nil {
		return nil, err
	}
	m, err := wire.DecodeBody(h, body)
	if err != nil {
		return nil, err
	}
	return &served{f, h, m}, nil
}

func (n *server) Connected(c env.ConnID, _ env.ConnInfo) {
	if n.open == nil {
		n.open = map[env.ConnID]bool{}
	}
	n.open[c] = true
	n.connected++
}

func (n *server) Disconnected(c env.ConnID) { delete(n.open, c) }

func (n *server) Received(c env.ConnID, req env.Request) {
	q := req.(*served)
	number := uint64(0)
	if m, ok := q.body.(*wire.QuorumMessageRequest); ok {
		number = binary.BigEndian.Uint64(m.Payload)
		n.rig.served[number]++
	}
	reply := wire.BeginResponse(nil, q.header.Key, q.header.Version, q.header.CorrelationID)
	response := wire.QuorumMessageResponse{Payload: binary.BigEndian.AppendUint64(nil, number)}
	reply = response.AppendTo(reply, 0)
	if r, ok := answerMessage(q); ok {
		reply = r
	}
	wire.EndFrame(reply, 0, 0)
	q.Release()
	if n.mute {
		return
	}
	n.timers.Start(new(timer.Timer), n.clock.Now().Add(n.delay), func() {
		n.network.Send(c, outgoing(reply))
		n.network.Resume(c)
	})
}

func (n *server) Tick()                 { n.timers.Fire(n.clock.Now()) }
func (n *server) EndDrain()             {}
func (n *server) Deadline() env.Instant { return n.timers.Deadline() }

type outgoing []byte

func (o outgoing) Encode(w *env.Pieces) { w.Bytes(o) }
func (o outgoing) Release()             {}
