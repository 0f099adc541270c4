package quorum_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/quorum"
	"lignum/core/record"
)

// TestListedLater: a voter that was added later, and stands beside the first ones in its own configuration since, loses its disk. The others did not begin
// with it: they know that it is none of the first, and it gets its vote back as anybody does. It makes no difference how the others find the quorum.
func TestListedLater(t *testing.T) {
	t.Parallel()
	for _, bootstrap := range []bool{false, true} {
		c := calmCluster(t, 3)
		if bootstrap {
			for _, m := range c.machines[:3] {
				m.kill()
				m.options.Bootstrap, m.options.Observer, m.options.Voters = []string{address(1), address(2), address(3)}, true, nil
				m.boot()
			}
			c.until("somebody leads", 5*time.Second, c.led)
		}
		m := c.machines[3]
		m.kill()
		m.options.Observer, m.options.Voters = false, nil
		for id := record.NodeID(1); id <= 4; id++ {
			m.options.Voters = append(m.options.Voters, quorum.Voter{ID: id, Address: address(id)})
		}
		m.boot()
		c.leader().q.AddVoter(m.id, m.options.Directory, m.options.Address, func(error) {})
		c.until("it votes", 5*time.Second, func() bool { return c.isVoter(m) })
		c.calm(time.Second)
		c.empty(m)
		c.until("it votes again", 10*time.Second, func() bool { return c.isVoter(m) })
	}
}

// TestRemovedWhileItIsReplaced: a voter that has lost its disk is removed by an administrator while a learner is to take its place. If that is not
// refused the node does not vote any more.
func TestRemovedWhileItIsReplaced(t *testing.T) {
	t.Parallel()
	refused := 0
	for at := range 20 { // at different moments behind that at which it is a learner
		c := calmCluster(t, 3)
		l := c.leader()
		m := c.machines[l.id%3]
		voter := m.options.Directory
		c.empty(m)
		for began := c.clock.Now(); m.log.EndOffset() == 0; c.slowly() {
			if c.clock.Now().Sub(began) > 10*time.Second {
				t.Fatal("it is not replaced")
			}
		}
		for range at * 500 {
			c.slowly()
		}
		done, failed := false, false
		l.q.RemoveVoter(m.id, voter, func(err error) { done, failed = true, err != nil })
		c.until("it is answered", 5*time.Second, func() bool { return done })
		c.calm(3 * time.Second)
		switch {
		case failed:
			refused++ // there is no such voter any more
		case c.isVoter(m):
			t.Errorf("%d: who was removed votes", at)
		}
	}
	if refused == 0 || refused == 20 {
		t.Errorf("%d of 20 are refused, which shows nothing of the others", refused)
	}
}

// slowly lets a little happen.
func (c *cluster) slowly() {
	c.faults = false
	c.pass(100 * time.Microsecond)
	for _, m := range c.machines {
		m.step()
	}
	c.collect()
	c.deliver()
}

// TestLeaderKnowsMoreThanItCommits (V1): a voter has pulled an entry that was committed, and becomes the leader before raft has told it so. It commits the entry
// with those only that lack everything since the last checkpoint, and they get what they lack.
func TestLeaderKnowsMoreThanItCommits(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 5)
	l := c.leader()
	var others []*machine
	for _, m := range c.machines[:5] {
		if m != l {
			others = append(others, m)
		}
	}
	next, witness, behind := others[0], others[1], others[2:]
	for _, m := range behind {
		m.kill()
	}
	for i := range 40 {
		c.write(fmt.Sprint("entry ", i, strings.Repeat("x", 50)))
	}
	c.calm(time.Second)
	before := next.log.EndOffset()
	if before != l.log.EndOffset() || next.log.StartOffset() <= behind[0].log.EndOffset() {
		t.Fatal("the others lack nothing, or it lacks something")
	}
	l.q.Propose([]byte("last"), func(error) {})
	for next.log.EndOffset() == before {
		c.slowly()
	}
	c.deaf[next.id] = env.Never // from here on, while what it says is heard
	c.until("another one knows that it is committed", time.Second, func() bool { return witness.has("last") })
	l.kill()
	c.deaf[next.id] = 0
	if next.has("last") {
		t.Fatal("it knows it, too, which shows nothing")
	}
	c.until("it has heard of it", 10*time.Second, func() bool { return next.has("last") })
	witness.kill()
	for _, m := range behind {
		c.checked[m] = 0
		m.boot()
	}
	c.until("it leads", 10*time.Second, func() bool { return next.q.Leading() })
	c.write("behind")
	c.until("all have it", 5*time.Second, func() bool { return behind[0].has("behind") && behind[1].has("last") })
}

// TestRemovalThatLosesTheQuorum (V1): one of three is lost, and an administrator removes one of those that are not. With the one that is left there would be no
// majority ever again.
func TestRemovalThatLosesTheQuorum(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	l := c.leader()
	lost, well := c.machines[l.id%3], c.machines[(l.id+1)%3]
	lost.kill()
	c.calm(5 * time.Second)
	done := false
	l.q.RemoveVoter(well.id, well.options.Directory, func(err error) {
		if done = true; !errors.Is(err, quorum.ErrLastVoter) {
			t.Errorf("the removal is answered with %v", err)
		}
	})
	c.until("it is answered", 5*time.Second, func() bool { return done })
	c.checked[lost] = 0
	c.empty(lost)
	c.until("it votes again", 10*time.Second, func() bool { return c.isVoter(lost) })
}
