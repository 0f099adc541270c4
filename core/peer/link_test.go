package peer

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"lignum/core/env"
	"lignum/core/timer"
	"lignum/core/wire"
)

// wireless is a network on which nothing happens by itself.
type wireless struct {
	dialed, resumed int
	sent            map[env.ConnID]int
	closed          map[env.ConnID]bool
}

func (n *wireless) Dial(string) env.ConnID { n.dialed++; return env.ConnID(n.dialed) }
func (n *wireless) Resume(env.ConnID)      { n.resumed++ }
func (n *wireless) Close(c env.ConnID)     { n.closed[c] = true }
func (n *wireless) Send(c env.ConnID, out env.Outgoing) {
	n.sent[c]++
	out.Release()
}

// Now and Wall make it a clock that stands still.
func (n *wireless) Now() env.Instant { return 1000 }
func (n *wireless) Wall() env.Millis { return 0 }

// Uint64 makes it the least of chances.
func (n *wireless) Uint64() uint64 { return 0 }

type plain struct {
	b        []byte
	released int
}

func (p *plain) Bytes() []byte { return p.b }
func (p *plain) Retain()       { p.released-- }
func (p *plain) Release()      { p.released++ }

func reply(correlation int32) (*Reply, *plain) {
	p := &plain{b: append(binary.BigEndian.AppendUint32(nil, uint32(correlation)), 0)}
	return &Reply{Frame: p}, p
}

func nothing(dst []byte) []byte { return dst }

// TestLateInputs: what still comes from a connection that was given up is taken, released, and makes no difference.
func TestLateInputs(t *testing.T) {
	net := &wireless{sent: map[env.ConnID]int{}, closed: map[env.ConnID]bool{}}
	var timers timer.Queue
	s := NewSet(Ports{Network: net, Clock: net, Rand: net, Timers: &timers}, Options{})
	var ends []error
	done := func(_ Reply, err error) { ends = append(ends, err) }

	s.Link(1, Quorum, "a:1").Call(wire.QuorumMessage, 0, nothing, 1000, done)
	s.Connected(1, env.ConnInfo{})
	l := s.Link(1, Quorum, "b:1") // the call on connection 1 ends unknown
	l.Call(wire.QuorumMessage, 0, nothing, 1000, done)
	s.Connected(2, env.ConnInfo{})
	if !net.closed[1] || net.sent[1] != 1 || net.sent[2] != 1 {
		t.Fatalf("%+v", net)
	}
	late, lateFrame := reply(1)
	if !s.Received(1, late) || lateFrame.released != 1 || net.resumed != 1 || !l.Up() || l.Pending() != 1 {
		t.Error("a late reply made a difference")
	}
	if !s.Disconnected(1) || !l.Up() || s.Disconnected(1) {
		t.Error("a late end made a difference")
	}
	timers.Fire(net.Now())
	if len(ends) != 1 || ends[0] != ErrUnknown {
		t.Errorf("ends %v", ends)
	}
	good, frame := reply(2)
	if !s.Received(2, good) || frame.released != 1 || len(ends) != 2 || ends[1] != nil || l.Pending() != 0 {
		t.Errorf("ends %v", ends)
	}
	stranger, strangersFrame := reply(3)
	if s.Received(9, stranger) || strangersFrame.released != 0 || s.Connected(9, env.ConnInfo{}) || s.Disconnected(9) {
		t.Error("another's connection was taken")
	}
	s.Disconnected(2)
	if len(s.conns) != 0 || timers.Len() != 0 || l.Up() {
		t.Errorf("%d connections and %d timers are kept", len(s.conns), timers.Len())
	}
}

// TestOrderOfCalls: calls leave the list from anywhere, the others keep their order, and it takes no more room than they need.
func TestOrderOfCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Link
		var model []*call
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if i := rapid.IntRange(-3, len(model)-1).Draw(t, "remove"); i < 0 {
				c := new(call)
				l.calls, model = append(l.calls, c), append(model, c)
			} else {
				if rapid.Bool().Draw(t, "first") {
					i = 0
				}
				l.take(model[i])
				model = append(model[:i:i], model[i+1:]...)
			}
			if l.Pending() != len(model) || len(l.calls) > 2*len(model)+1 {
				t.Fatalf("%d calls in %d places, want %d", l.Pending(), len(l.calls), len(model))
			}
			for i, c := range l.calls[l.first:] {
				if c != model[i] {
					t.Fatalf("call %d is another one", i)
				}
			}
		}
	})
}

// TestBackoff: it doubles up to its bound, and chance moves it by no more than a fifth.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{BackoffMin: 50e6, BackoffMax: 1000e6}
		rand := fixed(rapid.Uint64().Draw(t, "chance"))
		l := Link{set: &Set{options: o, ports: Ports{Rand: rand}}, failures: rapid.IntRange(1, 1<<40).Draw(t, "failures")}
		want := min(o.BackoffMin<<min(l.failures-1, 10), o.BackoffMax)
		if d := l.backoff(); d < want*4/5 || d > want*6/5 {
			t.Fatalf("%v after %d failures", d, l.failures)
		}
	})
}

type fixed uint64

func (f fixed) Uint64() uint64 { return uint64(f) }
