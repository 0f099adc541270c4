package peer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/peer"
	"lignum/core/wire"
	"lignum/sim"
)

// answerMessage answers what CallMessage asks in these tests.
func answerMessage(q *served) ([]byte, bool) {
	r, ok := q.body.(*kmsg.BrokerHeartbeatRequest)
	if !ok {
		return nil, false
	}
	response := kmsg.NewPtrBrokerHeartbeatResponse()
	response.SetVersion(q.header.Version)
	response.IsFenced = r.WantFence
	response.ThrottleMillis = r.BrokerID
	return response.AppendTo(wire.BeginResponse(nil, q.header.Key, q.header.Version, q.header.CorrelationID)), true
}

func TestCalls(t *testing.T) {
	for name, network := range map[string]sim.NetworkOptions{"plain": {}, "split": {SplitRate: sim.Million}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, network, peer.Options{ClientID: "near"})
			defer r.close()
			for range 300 {
				r.call(farAddress, time.Second)
				r.run(50 * time.Microsecond)
			}
			r.run(time.Second)
			for _, c := range r.calls {
				r.ends(c, nil)
			}
			if r.server.connected != 1 {
				t.Errorf("%d connections", r.server.connected)
			}
			r.do(func() {
				if l := r.link(farAddress); !l.Up() || l.Pending() != 0 || l.Address() != farAddress {
					t.Errorf("up %v, %d calls wait", l.Up(), l.Pending())
				}
			})
		})
	}
}

func TestCallMessage(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	m := kmsg.NewPtrBrokerHeartbeatRequest()
	m.SetVersion(1)
	m.BrokerID, m.WantFence = 7, true
	var got kmsg.Response
	r.do(func() {
		r.link(farAddress).CallMessage(m, time.Second, func(response kmsg.Response, err error) {
			if err != nil {
				t.Error(err)
			}
			got = response
		})
	})
	r.run(time.Second)
	h, ok := got.(*kmsg.BrokerHeartbeatResponse)
	if !ok || !h.IsFenced || h.ThrottleMillis != 7 || h.Version != 1 {
		t.Errorf("response %+v", got)
	}
	var unread error
	r.do(func() { // nodes do not read such a response with kmsg
		r.link(farAddress).CallMessage(kmsg.NewPtrApiVersionsRequest(), time.Second, func(_ kmsg.Response, err error) { unread = err })
	})
	r.run(time.Second)
	var unsupported *wire.UnsupportedError
	if !errors.Is(unread, peer.ErrUnknown) || !errors.As(unread, &unsupported) {
		t.Error(unread)
	}
}

// TestReplyIsKept: what a caller retains stays when its done has returned.
func TestReplyIsKept(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	var kept peer.Reply
	m := wire.QuorumMessageRequest{Payload: []byte("12345678")}
	r.do(func() {
		r.link(farAddress).Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return m.AppendTo(dst, 0) }, time.Second,
			func(reply peer.Reply, _ error) {
				kept = reply
				kept.Frame.Retain()
			})
	})
	r.run(time.Second)
	var got wire.QuorumMessageResponse
	if err := got.Decode(kept.Body, 0); err != nil || string(got.Payload) != "12345678" {
		t.Errorf("%q %v", got.Payload, err)
	}
	if n, _ := r.near.Memory().Held(); n != 1 {
		t.Errorf("%d buffers are held", n)
	}
	r.do(func() { kept.Frame.Release() })
	if n, _ := r.near.Memory().Held(); n != 0 {
		t.Errorf("%d buffers are held", n)
	}
}

func TestReconnect(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	first := r.call(farAddress, time.Second)
	r.run(time.Second)
	r.ends(first, nil)
	r.server.mute = true
	asked := r.call(farAddress, 10*time.Second)
	r.run(100 * time.Millisecond)
	r.far.Kill()
	r.run(100 * time.Millisecond)
	r.ends(asked, peer.ErrUnknown)
	inVain := r.call(farAddress, 10*time.Second)
	r.run(2 * time.Second)
	r.ends(inVain, peer.ErrUnreachable)
	r.far.Start()
	again := r.call(farAddress, 5*time.Second)
	r.run(2 * time.Second)
	r.ends(again, nil)
}

// TestNoStorm: a caller that never gives up does not make the link knock more often than it should.
func TestNoStorm(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second})
	defer r.close()
	knocks := 0
	r.world.Listen(r.world.NewSite(), "closes:1", func(c *sim.Conn) sim.Client {
		if knocks++; knocks%2 == 0 {
			return nil
		}
		return hangUp{}
	})
	ended := 0
	var again func(peer.Reply, error)
	again = func(peer.Reply, error) {
		ended++
		r.link("closes:1").Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return new(wire.QuorumMessageRequest).AppendTo(dst, 0) }, time.Minute, again)
	}
	r.do(func() { again(peer.Reply{}, nil) })
	r.run(30 * time.Second)
	if knocks < 28 || knocks > 42 {
		t.Errorf("%d attempts in thirty seconds", knocks)
	}
	if ended > knocks+1 {
		t.Errorf("%d calls ended with %d attempts", ended, knocks)
	}
}

// hangUp is a peer that closes what it has accepted.
type hangUp struct{}

func (hangUp) Connected(c *sim.Conn)      { c.Close() }
func (hangUp) Received(*sim.Conn, []byte) {}
func (hangUp) Disconnected(*sim.Conn)     {}

func TestTimeout(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	r.server.mute = true
	slow, late, patient := r.call(farAddress, 300*time.Millisecond), r.call(farAddress, 200*time.Millisecond), r.call(farAddress, time.Hour)
	r.run(250 * time.Millisecond)
	r.ends(late, peer.ErrTimeout)
	r.ends(slow, peer.ErrUnknown)
	r.ends(patient, peer.ErrUnknown)
	if d := late.doneAt.Sub(late.at); d < 200*time.Millisecond || d > 215*time.Millisecond {
		t.Errorf("ended after %v", d)
	}
	r.run(3 * time.Second)
	if len(r.server.open) != 0 {
		t.Errorf("the server has %d connections", len(r.server.open))
	}
	r.server.mute = false
	next := r.call(farAddress, time.Second)
	r.run(time.Second)
	r.ends(next, nil)
	if r.server.connected != 2 {
		t.Errorf("%d connections", r.server.connected)
	}
}

// TestSilence: over a cut, a call ends in time, and once the cut is healed the next one does not wait for long.
func TestSilence(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	r.world.Cut(r.near.End(), r.far.End())
	c := r.call(farAddress, 2*time.Second)
	r.run(2100 * time.Millisecond)
	r.ends(c, peer.ErrUnreachable)
	again := r.call(farAddress, time.Minute)
	r.run(5 * time.Second)
	r.ends(again, peer.ErrUnreachable) // with the attempt that it waited for
	r.world.HealAll()
	last := r.call(farAddress, time.Minute)
	r.run(5 * time.Second)
	r.ends(last, nil)
	if len(r.server.open) != 1 {
		t.Errorf("%d connections are open: attempts that were given up came about", len(r.server.open))
	}
}

// TestBackoffIsForgotten: a reply makes up for all failures, and another address for those of the old one.
func TestBackoffIsForgotten(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{BackoffMin: 10 * time.Millisecond, BackoffMax: time.Hour})
	defer r.close()
	fails := func(n int) {
		r.far.Kill()
		for range n {
			c := r.call(farAddress, time.Hour)
			for c.done == 0 {
				r.run(100 * time.Millisecond)
			}
		}
		r.far.Start()
	}
	r.call(farAddress, time.Second)
	r.run(time.Second)
	fails(12)
	waits := r.call(farAddress, time.Minute)
	r.run(10 * time.Second)
	if waits.done != 0 {
		t.Fatal("there is no backoff")
	}
	moved := r.call("far:9094", time.Second) // the one that waits goes along
	r.run(200 * time.Millisecond)
	r.ends(moved, nil)
	for range 12 {
		fails(1)
		r.run(time.Second)
		c := r.call(farAddress, time.Second)
		r.run(200 * time.Millisecond)
		r.ends(c, nil)
	}
}

func TestBusy(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{MaxQueued: 3})
	defer r.close()
	var calls []*called
	for range 5 {
		calls = append(calls, r.call(farAddress, time.Second))
	}
	r.run(time.Second)
	for i, c := range calls {
		if i < 3 {
			r.ends(c, nil)
		} else {
			r.ends(c, peer.ErrBusy)
		}
	}
	r.server.delay = 10 * time.Millisecond // also while they wait for replies
	calls = nil
	for range 5 {
		calls = append(calls, r.call(farAddress, time.Second))
	}
	r.run(time.Second)
	r.ends(calls[2], nil)
	r.ends(calls[3], peer.ErrBusy)
}

func TestRedirect(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	r.server.mute = true
	old := r.call(farAddress, time.Minute)
	r.run(100 * time.Millisecond)
	r.server.mute = false
	moved := r.call("far:9094", time.Minute)
	r.run(100 * time.Millisecond)
	r.ends(old, peer.ErrUnknown)
	r.ends(moved, nil)
	r.run(3 * time.Second) // the server waits for a moment whether the old one is to be answered
	if len(r.server.open) != 1 {
		t.Errorf("%d connections are open", len(r.server.open))
	}
	// A call that was not sent goes to the new address.
	waits := r.call("nobody:1", time.Minute)
	r.do(func() { r.link("far:9093") })
	r.run(100 * time.Millisecond)
	r.ends(waits, nil)
}

func TestPurposesAreApart(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	ended := 0
	r.do(func() {
		for _, p := range []peer.Purpose{peer.Control, peer.Fetch, peer.Forward, peer.Quorum} {
			m := wire.QuorumMessageRequest{Payload: make([]byte, 8)}
			r.caller.set.Link(2, p, farAddress).Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return m.AppendTo(dst, 0) }, time.Second,
				func(_ peer.Reply, err error) {
					if ended++; err != nil {
						t.Error(err)
					}
				})
		}
	})
	r.run(time.Second)
	if ended != 4 || r.server.connected != 4 {
		t.Errorf("%d calls ended on %d connections", ended, r.server.connected)
	}
	r.do(func() { r.caller.set.Drop(2) })
	r.run(time.Second)
	if len(r.server.open) != 0 {
		t.Errorf("%d connections are open", len(r.server.open))
	}
}

func TestDrop(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	r.server.mute = true
	sent := r.call(farAddress, time.Minute)
	r.run(100 * time.Millisecond)
	var link *peer.Link
	r.do(func() {
		link = r.link(farAddress)
		r.caller.set.Drop(2)
	})
	r.run(time.Millisecond * 20)
	r.ends(sent, peer.ErrUnknown)
	var end error
	r.do(func() {
		link.Call(wire.QuorumMessage, 0, func(dst []byte) []byte { return dst }, time.Second, func(_ peer.Reply, err error) { end = err })
	})
	r.run(20 * time.Millisecond)
	if end != peer.ErrUnreachable {
		t.Error(end)
	}
	r.server.mute = false
	fresh := r.call(farAddress, time.Second) // a link of its own
	r.run(3 * time.Second)
	r.ends(fresh, nil)
	if len(r.server.open) != 1 {
		t.Errorf("%d connections are open", len(r.server.open))
	}
}

func TestCloseAll(t *testing.T) {
	r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
	defer r.close()
	r.server.mute = true
	sent := r.call(farAddress, time.Minute)
	r.run(100 * time.Millisecond)
	r.do(func() {
		r.caller.set.CloseAll()
		if sent.done != 1 {
			t.Error("the call has not ended")
		}
	})
	r.ends(sent, peer.ErrUnknown)
	after := r.call(farAddress, time.Minute)
	r.run(3 * time.Second)
	r.ends(after, peer.ErrUnreachable)
	if len(r.server.open) != 0 || r.caller.timers.Len() != 0 {
		t.Errorf("%d connections, %d timers", len(r.server.open), r.caller.timers.Len())
	}
}

// TestWrongReplies: what is no reply to the first call costs the connection, and the calls on it end unknown.
func TestWrongReplies(t *testing.T) {
	for name, reply := range map[string][]byte{
		"another correlation": {0, 0, 0, 9, 0, 0, 0, 1},
		"header cut short":    {0, 0, 0, 1},
		"too short":           {0, 0, 1},
		"empty":               {},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, sim.NetworkOptions{}, peer.Options{})
			defer r.close()
			w := &wrong{reply: reply}
			r.world.Listen(r.world.NewSite(), "wrong:1", func(*sim.Conn) sim.Client { return w })
			a, b := r.call("wrong:1", time.Minute), r.call("wrong:1", time.Minute)
			r.run(100 * time.Millisecond)
			r.ends(a, peer.ErrUnknown)
			r.ends(b, peer.ErrUnknown)
			if !w.over {
				t.Error("the connection is open")
			}
			unasked := &wrong{reply: reply, atOnce: true}
			r.world.Listen(r.world.NewSite(), "wrong:2", func(*sim.Conn) sim.Client { return unasked })
			r.call("wrong:2", time.Minute)
			r.run(time.Second)
			if !unasked.over {
				t.Error("the connection is open")
			}
		})
	}
}

type wrong struct {
	reply        []byte
	atOnce, over bool
}

func (w *wrong) Connected(c *sim.Conn) {
	if w.atOnce {
		c.Send(w.reply)
	}
}
func (w *wrong) Received(c *sim.Conn, _ []byte) { c.Send(w.reply) }
func (w *wrong) Disconnected(*sim.Conn)         { w.over = true }
