package quorum_test

import (
	"testing"
	"time"
)

// TestHandOverBehindACheck: a leader that looks now and then whether a majority hears it begins to count anew each time. Who is to take over is known
// all the same.
func TestHandOverBehindACheck(t *testing.T) {
	t.Parallel()
	for at := range 70 { // at different moments between two looks, which the clock's steps shift against the heartbeats
		c := calmCluster(t, 3)
		for range at {
			c.pass(30 * time.Millisecond)
			c.still()
		}
		l, done := c.leader(), false
		l.q.HandOver(func() { done = true })
		c.until("it has handed over", 2*time.Second, func() bool { return done })
		if l.q.Leading() {
			t.Errorf("after %d steps nobody is found who could take over", at)
		}
	}
}

// TestHandOverToTheRemoved: the only one who could take over is removed while it is to do that. Nobody waits for it.
func TestHandOverToTheRemoved(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	l := c.leader()
	first, second := c.machines[l.id%3], c.machines[(l.id+1)%3]
	removed := func(m *machine) func() bool {
		gone := false
		l.q.RemoveVoter(m.id, m.options.Directory, func(err error) {
			if gone = true; err != nil {
				t.Error(err)
			}
		})
		return func() bool { return gone }
	}
	c.until("one is removed", 2*time.Second, removed(first))
	first.kill()
	gone, done := removed(second), false
	l.drained() // the removal is on its way
	l.q.HandOver(func() { done = true })
	c.until("the other is removed", 2*time.Second, gone)
	c.until("nobody waits any more", 2*l.options.ElectionTimeout, func() bool { return done })
	if voters := l.q.Voters(); len(voters) != 1 || voters[0] != l.id || !l.q.Leading() {
		t.Errorf("voters %v, it leads: %v", voters, l.q.Leading())
	}
}
