package transport

import (
	"net"
	"sync"
	"testing"
	"time"

	"lignum/core/env"
)

// relay is a node that passes what it is asked on to another one, and the reply back.
type relay struct {
	net              env.Network
	asker            env.ConnID
	connected, ended map[env.ConnID]bool
	outgoing, closed map[env.ConnID]bool
	replies          []string
}

// outward starts a relay.
func outward(t *testing.T, o Options) (*relay, *host) {
	h := &host{t: t, loop: NewLoop(NewClock()), log: &lines{}, pool: NewPool(PoolOptions{Footprint: 64 << 20, Poison: true})}
	o.Memory, o.Decode = h.pool, decodeEcho
	o.Listeners = []Listener{{Name: "PLAINTEXT", Address: "127.0.0.1:0"}}
	s, err := Listen(h.loop, o)
	if err != nil {
		t.Fatal(err)
	}
	h.server, h.addr = s, s.Addresses()[0].String()
	n := &relay{net: s, connected: map[env.ConnID]bool{}, ended: map[env.ConnID]bool{}, outgoing: map[env.ConnID]bool{}, closed: map[env.ConnID]bool{}}
	var ran sync.WaitGroup
	ran.Go(func() { h.loop.Run(n) })
	s.Serve()
	t.Cleanup(func() {
		s.Shutdown(5 * time.Second)
		h.loop.Stop()
		ran.Wait()
		for c := range n.outgoing {
			if !n.ended[c] {
				t.Errorf("connection %d has not ended", c)
			}
		}
		for c := range n.connected {
			if !n.ended[c] {
				t.Errorf("connection %d has not ended", c)
			}
		}
		if used := h.pool.InUse(); used != 0 || s.replies.whole.used.Load() != 0 || s.clients.whole.used.Load() != 0 {
			t.Errorf("%d bytes are in use, %d and %d of the budgets", used, s.replies.whole.used.Load(), s.clients.whole.used.Load())
		}
		if s.opened != 0 {
			t.Errorf("%d connections are counted", s.opened)
		}
	})
	return n, h
}

func (n *relay) Connected(c env.ConnID, info env.ConnInfo) {
	if n.connected[c] || n.ended[c] || n.closed[c] || info.Outgoing != n.outgoing[c] {
		panic("connected twice, or though nobody wants it any more, or nobody knows by whom")
	}
	n.connected[c] = true
}

func (n *relay) Disconnected(c env.ConnID) {
	if n.ended[c] {
		panic("disconnected twice")
	}
	n.ended[c] = true
}

func (n *relay) Received(c env.ConnID, req env.Request) {
	r := req.(*echoRequest)
	if n.outgoing[c] {
		n.replies = append(n.replies, string(r.frame.Bytes()))
		n.net.Resume(c)
		if n.asker == 0 {
			r.Release()
			return
		}
		n.net.Send(n.asker, (*echoReply)(r))
		n.net.Resume(n.asker)
		return
	}
	n.asker = c
	if len(n.outgoing) == 0 { // there is nobody to ask: it waits for ever
		r.Release()
		return
	}
	for out := range n.outgoing {
		n.net.Send(out, (*echoReply)(r))
	}
}

func (n *relay) dial(address string) env.ConnID {
	c := n.net.Dial(address)
	n.outgoing[c] = true
	return c
}

// close closes a connection.
func (n *relay) close(c env.ConnID) {
	n.closed[c] = true
	n.net.Close(c)
}

func (n *relay) Tick()                 {}
func (n *relay) EndDrain()             {}
func (n *relay) Deadline() env.Instant { return env.Never }

// is reads the node's state on its loop.
func (h *host) is(f func() bool) func() bool {
	return func() (yes bool) {
		h.on(func() { yes = f() })
		return yes
	}
}

func TestDialTimeout(t *testing.T) {
	n, h := outward(t, Options{DialTimeout: 150 * time.Millisecond})
	address := silentAddress(t)
	began := time.Now()
	var c env.ConnID
	h.on(func() { c = n.dial(address) })
	h.until("the end", h.is(func() bool { return n.ended[c] }))
	if took := time.Since(began); took < 140*time.Millisecond || n.connected[c] {
		t.Errorf("ended after %v, connected %v", took, n.connected[c])
	}
}

// TestCloseWhileDialing: a node that does not want a connection any more is rid of it at once.
func TestCloseWhileDialing(t *testing.T) {
	n, h := outward(t, Options{DialTimeout: time.Hour})
	address := silentAddress(t)
	var c env.ConnID
	h.on(func() { c = n.dial(address) })
	time.Sleep(10 * time.Millisecond)
	h.on(func() { n.close(c) })
	h.until("the end", h.is(func() bool { return n.ended[c] && !n.connected[c] }))
}

// TestShutdownWhileDialing: who waits for a peer that does not answer does not hold the end up.
func TestShutdownWhileDialing(t *testing.T) {
	n, h := outward(t, Options{DialTimeout: time.Hour})
	address := silentAddress(t)
	replies := make([]*countedReply, 20)
	h.on(func() {
		for i := range replies {
			replies[i] = &countedReply{}
			n.net.Send(n.dial(address), replies[i])
		}
	})
	began := time.Now()
	h.server.Shutdown(20 * time.Second)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	h.on(func() {
		for _, r := range replies {
			if r.released != 1 {
				t.Errorf("released %d times", r.released)
			}
		}
		// From now on nothing is opened.
		r := &countedReply{}
		c := n.dial(h.addr)
		n.net.Send(c, r)
		if r.released != 1 {
			t.Error("a frame for nobody is kept")
		}
	})
	h.until("the end of all", h.is(func() bool { return len(n.ended) == len(replies)+1 }))
}

type countedReply struct{ released int }

func (r *countedReply) Encode(w *env.Pieces) { w.Buf = append(w.Buf, 0, 0, 0, 1, 'n') }
func (r *countedReply) Release()             { r.released++ }

// TestOutgoingIsNotIdle: it is for the end that accepts to close what nobody uses.
func TestOutgoingIsNotIdle(t *testing.T) {
	there := start(t, Options{})
	n, h := outward(t, Options{IdleTimeout: 20 * time.Millisecond})
	var c env.ConnID
	h.on(func() { c = n.dial(there.addr) })
	time.Sleep(200 * time.Millisecond)
	h.on(func() {
		if !n.connected[c] || n.ended[c] {
			t.Error("it has ended")
		}
	})
}

// TestRepliesHaveTheirOwnBudget: requests that fill the memory do not keep out the replies that they wait for.
func TestRepliesHaveTheirOwnBudget(t *testing.T) {
	there := start(t, Options{})
	n, h := outward(t, Options{RequestBytes: 100})
	var c env.ConnID
	h.on(func() { c = n.dial(there.addr) })
	h.server.clients.whole.more(100)
	h.on(func() { n.net.Send(c, (*bufferReply)(h.pool.get(50))) })
	h.until("the reply", h.is(func() bool { return len(n.replies) == 1 }))
	h.server.clients.whole.give(100)
}

type bufferReply buffer

func (r *bufferReply) Encode(w *env.Pieces) {
	b := (*buffer)(r).Bytes()
	b[0] = doEcho
	w.Buf = append(w.Buf, framed(b)...)
}
func (r *bufferReply) Release() { (*buffer)(r).Release() }

// TestShutdownWaitsForReplies: a request that was passed on is answered before the connection to the other node ends.
func TestShutdownWaitsForReplies(t *testing.T) {
	there := start(t, Options{})
	n, h := outward(t, Options{})
	h.on(func() { n.dial(there.addr) })
	c := h.dial()
	c.send(framed([]byte("h-far away")))
	there.until("the question", func() bool { return there.node.received.Load() == 1 })
	done := make(chan struct{})
	go func() {
		h.server.Shutdown(10 * time.Second)
		close(done)
	}()
	h.until("refusal", func() bool {
		nc, err := net.Dial("tcp", h.addr)
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	there.on(there.node.release)
	if got := c.receive(); string(got) != "h-far away" {
		t.Fatalf("%q", got)
	}
	<-done
}

// TestDialsComeAndGo: connections that are opened, closed at any moment, and torn by the other side.
func TestDialsComeAndGo(t *testing.T) {
	there := start(t, Options{})
	n, h := outward(t, Options{MaxOutgoing: 30})
	for round := range 40 {
		var ids []env.ConnID
		h.on(func() {
			for i := range 10 {
				c := n.dial(there.addr)
				ids = append(ids, c)
				for range i % 3 {
					n.net.Send(c, &countedReply{})
				}
				if i%4 == 0 {
					n.close(c)
				}
			}
		})
		if round%3 == 0 {
			for _, c := range there.server.connections() {
				c.kill(errClosing)
			}
		}
		time.Sleep(time.Duration(round%5) * 200 * time.Microsecond)
		h.on(func() {
			for _, c := range ids {
				n.close(c)
			}
		})
	}
	h.until("the end of all", h.is(func() bool { return len(n.ended) == len(n.outgoing) }))
}
