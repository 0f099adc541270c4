package partition

import (
	"slices"
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"
	"lignum/sim"
)

// TestDeposedLeaderStaysWhileItMayServe (F7): who has not fetched from the new leader may not know of it, and may answer readers until its session
// ends, however short the new leader's replica.lag.time.max.ms is. The mark must not pass it by.
func TestDeposedLeaderStaysWhileItMayServe(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	c.elected(b)
	z.learn(len(c.history))
	b.put(2)
	z.follow() // a is cut off, and believes that it leads
	b.p.Tick(c.clock.Now().Add(lagMax))
	z.follow()
	c.clock.Advance(sessionMax)
	b.p.Tick(c.clock.Now())
	c.inspect(b)
	if len(c.changes) != 0 || c.top != 0 || !a.p.Leads() {
		t.Fatalf("%d wishes, %d are committed, while the old leader serves (%v)", len(c.changes), c.top, a.p.Leads())
	}
	c.clock.Advance(1)
	b.p.Tick(c.clock.Now())
	if c.grant(); len(c.now().state.ISR) != 2 {
		t.Errorf("ISR %v after the session", c.now().state.ISR)
	}
}

// TestReassignmentWaitsForWhoMayServe (F7): a leader lets those go that a reassignment takes away when each of them has fetched from it, or is in sync no
// more, and when all that stay are in sync. One of them led before, and does not know yet that it leads no more.
func TestReassignmentWaitsForWhoMayServe(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	m := c.copy()
	m.state.Leader, m.state.LeaderEpoch, m.state.Removing = b.id, m.state.LeaderEpoch+1, []record.NodeID{a.id}
	c.decide(m, "a is to go and hands over")
	b.learn(len(c.history))
	z.learn(len(c.history))
	b.put(2)
	z.follow()
	b.p.Tick(c.clock.Now())
	if c.inspect(b); len(c.changes) != 0 || c.top != 0 || !a.p.Leads() {
		t.Fatalf("%d wishes, %d are committed, while the old leader serves (%v)", len(c.changes), c.top, a.p.Leads())
	}
	c.suspend(z)
	b.learn(len(c.history))
	a.learn(len(c.history))
	a.request()
	if c.inspect(b); len(c.changes) != 0 {
		t.Fatalf("one that stays is not in sync: %d wishes", len(c.changes))
	}
	z.learn(len(c.history))
	z.follow()
	c.grant()
	b.learn(len(c.history))
	if c.grant(); len(c.now().state.ISR) != 2 || slices.Contains(c.now().state.ISR, a.id) {
		t.Errorf("ISR %v when all know", c.now().state.ISR)
	}
}

// TestFetchOfAnEarlierLife (I6): what a follower had before it lost its power says nothing of what it has now, though it is in sync once more.
func TestFetchOfAnEarlierLife(t *testing.T) {
	c := newCluster(t, 3, config.Async, 1, 1)
	a, b, z := c.nodes[0], c.nodes[1], c.nodes[2]
	a.put(3)
	b.exchange()
	b.work(30)
	b.fetch() // at 3, and it takes its time
	late := c.flights[len(c.flights)-1]
	b.up = false
	b.disk.PowerBy(sim.LoseAll())
	b.boot()
	if b.p.EndOffset() != 0 || late.fetch.Offset != 3 {
		t.Fatalf("b ends at %d, and has told %d", b.p.EndOffset(), late.fetch.Offset)
	}
	a.learn(len(c.history))
	b.request() // the answer takes its time
	c.grant()
	a.learn(len(c.history))
	if len(c.now().state.ISR) != 3 {
		t.Fatalf("ISR %v", c.now().state.ISR)
	}
	c.flights = append(c.flights[:0], late)
	c.deliver(0, false)
	if code := c.flights[0].answer.Error; code != wire.NotLeaderOrFollower {
		t.Errorf("the late fetch is answered with %v", code)
	}
	z.learn(len(c.history))
	z.follow()
	c.inspect(a)
	if c.top != 0 {
		t.Errorf("%d are committed, b ends at %d", c.top, b.p.EndOffset())
	}
	b.learn(len(c.history))
	b.follow()
	c.inspect(a)
	if c.top != 3 {
		t.Errorf("%d are committed", c.top)
	}
}

// TestFetchOfALifeThatIsUnheardOf (D1): a follower came back, and the controller took it out of the in-sync set; the leader has heard of neither. What it
// counted as acknowledged by two would be in sync on one alone.
func TestFetchOfALifeThatIsUnheardOf(t *testing.T) {
	c := newCluster(t, 2, config.Async, 2, 1)
	a, b := c.nodes[0], c.nodes[1]
	a.put(3)
	b.follow()
	b.crash(false)
	b.boot()
	a.put(2)
	b.request()
	if code := c.flights[len(c.flights)-1].answer.Error; code != wire.UnknownLeaderEpoch {
		t.Errorf("the fetch is answered with %v", code)
	}
	c.inspect(a)
	if c.top != 3 {
		t.Errorf("%d are committed while %v is in sync", c.top, c.now().state.ISR)
	}
	a.learn(len(c.history))
	b.follow()
	c.grant()
	a.learn(len(c.history))
	b.follow()
	c.inspect(a)
	if c.top != 5 {
		t.Errorf("%d are committed", c.top)
	}
}

// TestLeaderWithoutALease serves nobody but its followers (F7).
func TestLeaderWithoutALease(t *testing.T) {
	_, a, _, _ := newScenario(t, 1)
	ports := a.ports()
	ports.Leased = func() bool { return false }
	a.answersNoReads(t, ports)
	end := a.p.EndOffset()
	a.append(1, AcksLeader)
	if a.p.EndOffset() != end {
		t.Error("it has appended")
	}
}

// TestLeaderThatHasResigned answers no reads (F7), but takes records: until it hears of its successor that is where producers are sent.
func TestLeaderThatHasResigned(t *testing.T) {
	_, a, _, _ := newScenario(t, 1)
	ports := a.ports()
	ports.Resigned = func() bool { return true }
	a.answersNoReads(t, ports)
	end := a.p.EndOffset()
	a.append(1, AcksLeader)
	if a.p.EndOffset() != end+1 {
		t.Error("it has not appended")
	}
}

// answersNoReads: a leader that has these ports from now on leads on for its followers alone.
func (n *node) answersNoReads(t *testing.T, ports *Cluster) {
	t.Helper()
	n.p.cluster = ports
	if n.p.Available() != wire.NotLeaderOrFollower || n.p.Leading() != wire.None || n.p.Readable() != wire.NotLeaderOrFollower {
		t.Errorf("%v, %v, %v", n.p.Available(), n.p.Leading(), n.p.Readable())
	}
}
