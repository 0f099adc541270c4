package broker_test

import (
	"testing"
	"time"
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
