package broker_test

import (
	"errors"
	"testing"
	"time"

	"lignum/sim"
)

// leave asks a node to hand over what it leads, then ends it. took is how long the handing over took, on virtual time, and whether it is over.
func (r *rig) leave() (took func() (time.Duration, bool)) {
	began, end, left := r.world.Now(), r.world.Now(), false
	r.host.Do(func() {
		r.node.Leave(func() {
			end, left = r.world.Now(), true
			r.world.After(0, r.host.Kill)
		})
	})
	return func() (time.Duration, bool) { return end.Sub(began), left }
}

// TestLeaveDoesNotWaitForHeartbeats: who leaves is let go when all others know it, and they say so at once.
func TestLeaveDoesNotWaitForHeartbeats(t *testing.T) {
	for at := range 5 { // at different moments between the heartbeats of the others
		c, _, other, _ := newLed(t)
		c.world.Run(c.world.Now().Add(time.Duration(at) * 60 * time.Millisecond))
		took := other.leave()
		c.until("it may go", func() bool { _, left := took(); return left })
		if d, _ := took(); d > 150*time.Millisecond {
			t.Errorf("it took %v, half of the time between two heartbeats", d)
		}
	}
}

// TestAllLeaveAtOnce: nodes that have nobody to hand over to do not wait for a controller, which is stopping itself.
func TestAllLeaveAtOnce(t *testing.T) {
	c, _, _, _ := newLed(t)
	var all []func() (time.Duration, bool)
	for _, node := range c.nodes {
		all = append(all, node.leave())
	}
	for i, took := range all {
		c.until("it may go", func() bool { _, left := took(); return left })
		if d, _ := took(); d > 500*time.Millisecond {
			t.Errorf("node %d waited %v", i+1, d)
		}
	}
}

// TestLeaveDuringAStart (V1): who is to stop before it serves is not let in any more, or hands over what it was given: when it is gone no session has to end
// before others lead. Between the two its connections have time to end.
func TestLeaveDuringAStart(t *testing.T) {
	late := 0
	for at := range 60 {
		c, active, other, _ := newLed(t)
		id := c.id(other)
		other.host.Kill()
		c.until("it is fenced", func() bool { return active.registered(id).Fenced })
		other.restart()
		c.world.Run(c.world.Now().Add(time.Duration(at) * 10 * time.Millisecond))
		if other.ready {
			late++
		}
		gone := false
		other.host.Do(func() {
			other.node.Leave(func() {
				other.node.StopWaiting()
				c.world.After(2*time.Second, func() { gone = true })
			})
		})
		c.until("it is gone", func() bool { return gone })
		if !active.registered(id).Fenced {
			t.Errorf("%d0 ms after its start, it serves: %v: it is gone, and may lead: %+v", at, other.ready, active.registered(id))
		}
	}
	if late == 0 || late == 60 {
		t.Errorf("of 60 starts %d were over, which shows nothing of the others", late)
	}
}

// TestFailureDuringAStop (O1): a broker's disk fails while the broker waits for others to take over. It does not wait any more, and does not say that it has
// stopped in order.
func TestFailureDuringAStop(t *testing.T) {
	c, _, other, led := newLed(t)
	other.dial()
	c.deafen(other)
	left, ended := false, false
	var reason error
	other.host.Do(func() {
		other.node.Leave(func() {
			left = true
			other.node.StopWaiting()
			other.node.Shutdown(func(err error) { ended, reason = true, err })
		})
	})
	c.world.Run(c.world.Now().Add(100 * time.Millisecond))
	if left {
		t.Fatal("it waits for nobody, which shows nothing")
	}
	failure := errors.New("the disk fails")
	other.host.Disk().Inject(func(sim.Op) error { return failure })
	other.send(produceRequest("t", led, 1, batch("x")), 12)
	other.until(func() bool { return other.failed != nil })
	began := c.world.Now()
	other.until(func() bool { return ended })
	if d := c.world.Now().Sub(began); d > time.Second {
		t.Errorf("it waits for another %v", d)
	}
	if !errors.Is(reason, failure) {
		t.Errorf("the stop ends with %v", reason)
	}
}
