package transport

import (
	"errors"
	"sync"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/peer"
	"lignum/core/timer"
	"lignum/core/wire"
)

// calling is a node that makes calls, and answers those of others with what they say.
type calling struct {
	net    *Server
	loop   *Loop
	clock  *Clock
	timers timer.Queue
	set    *peer.Set
	ran    sync.WaitGroup
}

// startCalling runs a node that is reached on loopback.
func startCalling(t *testing.T) *calling {
	n := &calling{clock: NewClock()}
	n.loop = NewLoop(n.clock)
	s, err := Listen(n.loop, Options{
		Listeners: []Listener{{Name: "CONTROLLER", Address: "127.0.0.1:0"}}, Memory: NewPool(PoolOptions{Poison: true}),
		Decode: func(info env.ConnInfo, frame env.Buffer) (env.Request, error) {
			if info.Outgoing {
				return peer.DecodeReply(frame)
			}
			return &echoRequest{frame}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.net = s
	n.set = peer.NewSet(peer.Ports{Network: s, Clock: n.clock, Rand: NewRand(), Timers: &n.timers}, peer.Options{ClientID: "near"})
	n.ran.Go(func() { n.loop.Run(n) })
	s.Serve()
	return n
}

func (n *calling) stop() {
	n.net.Shutdown(time.Second)
	n.loop.Stop()
	n.ran.Wait()
}

func (n *calling) Connected(c env.ConnID, info env.ConnInfo) { n.set.Connected(c, info) }
func (n *calling) Disconnected(c env.ConnID)                 { n.set.Disconnected(c) }
func (n *calling) Tick()                                     { n.timers.Fire(n.clock.Now()) }
func (n *calling) EndDrain()                                 {}
func (n *calling) Deadline() env.Instant                     { return n.timers.Deadline() }

func (n *calling) Received(c env.ConnID, req env.Request) {
	if n.set.Received(c, req) {
		return
	}
	r := req.(*echoRequest)
	h, body, err := wire.DecodeHeader(r.frame.Bytes())
	var question wire.QuorumMessageRequest
	if err != nil || question.Decode(body, h.Version) != nil {
		panic("not a quorum message")
	}
	answer := wire.BeginResponse(nil, h.Key, h.Version, h.CorrelationID)
	answer = (&wire.QuorumMessageResponse{Payload: question.Payload}).AppendTo(answer, 0)
	wire.EndFrame(answer, 0, 0)
	r.Release()
	n.net.Send(c, ready(answer))
	n.net.Resume(c)
}

type ready []byte

func (r ready) Encode(w *env.Pieces) { w.Bytes(r) }
func (r ready) Release()             {}

// ask makes a call and has its outcome sent.
func (n *calling) ask(address, what string, outcome chan<- error) {
	n.loop.Post(func() {
		m := wire.QuorumMessageRequest{Payload: []byte(what)}
		n.set.Link(1, peer.Quorum, address).Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return m.AppendTo(dst, 0) }, 5*time.Second,
			func(r peer.Reply, err error) {
				var answer wire.QuorumMessageResponse
				if err == nil && (answer.Decode(r.Body, 0) != nil || string(answer.Payload) != what) {
					err = errors.New("another answer")
				}
				outcome <- err
			})
	})
}

// TestPeersOverLoopback: the calls of core/peer over real connections, while the node that is called goes away and comes back.
func TestPeersOverLoopback(t *testing.T) {
	near, far := startCalling(t), startCalling(t)
	address := far.net.Addresses()[0].String()
	outcomes := make(chan error, 1000)
	for i := range 500 {
		near.ask(address, string(pattern(i*37)), outcomes)
	}
	for range 500 {
		if err := <-outcomes; err != nil {
			t.Fatal(err)
		}
	}
	far.stop()
	near.ask(address, "gone", outcomes)
	if err := <-outcomes; !errors.Is(err, peer.ErrUnreachable) && !errors.Is(err, peer.ErrUnknown) {
		t.Error(err)
	}
	far = startCalling(t)
	near.ask(far.net.Addresses()[0].String(), "again", outcomes)
	if err := <-outcomes; err != nil {
		t.Error(err)
	}
	near.loop.Post(near.set.CloseAll)
	near.stop()
	far.stop()
	if n := near.net.o.Memory.InUse(); n != 0 {
		t.Errorf("%d bytes are in use", n)
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	return p
}
