package partition

import (
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/sim"
)

// newJoining is two nodes: the first leads and is alone in sync, the second has been away. Each batch that the first has got is of one record, and was
// acknowledged under sync; now the topic is under async.
func newJoining(t *testing.T, batches int) (c *cluster, a, b *node) {
	c = newCluster(t, 2, config.Sync, 1, 1)
	a, b = c.nodes[0], c.nodes[1]
	c.suspend(b)
	a.learn(len(c.history))
	for range batches {
		a.put(1)
	}
	if c.inspect(a); len(c.acked) != batches {
		t.Fatalf("%d records are acknowledged", len(c.acked))
	}
	c.settings.FlushPolicy = config.Async
	for _, n := range c.nodes {
		n.p.Configure(c.settings)
	}
	b.learn(len(c.history))
	return c, a, b
}

// TestMovedUnderAsync (D1): a replica that takes the place of another one has what that one had synced on stable storage, too.
func TestMovedUnderAsync(t *testing.T) {
	c, a, b := newJoining(t, 3)
	b.follow()
	c.grant()
	m := c.copy()
	if len(m.state.ISR) != 2 {
		t.Fatalf("ISR %v", m.state.ISR)
	}
	m.state.Replicas, m.state.ISR, m.state.Leader = []record.NodeID{b.id}, []record.NodeID{b.id}, b.id
	m.state.LeaderEpoch++
	c.decide(m, "moved")
	a.up = false // its files go
	b.up = false
	b.disk.PowerBy(sim.LoseAll())
	b.boot()
	if end := b.p.EndOffset(); end != 3 {
		t.Errorf("of three acknowledged records %d are left", end)
	}
}

// TestCopyIsFlushedAtItsEnd: not on the way there, and not in the in-sync set, where async is what it says.
func TestCopyIsFlushedAtItsEnd(t *testing.T) {
	c, a, b := newJoining(t, 3)
	look := func(when string, end, flushed record.Offset, fetches bool) {
		t.Helper()
		if _, ok := b.p.FetchState(); b.p.EndOffset() != end || b.p.log.FlushedEnd() != flushed || ok != fetches {
			t.Fatalf("%s: the log ends at %d, %d of it are flushed, fetches %v", when, b.p.EndOffset(), b.p.log.FlushedEnd(), ok)
		}
	}
	written := func() {
		for b.store.EndDrain(); b.p.log.WrittenEnd() < b.p.EndOffset() && b.lanes.Step(); {
		}
	}
	b.request()
	answer := c.flights[len(c.flights)-1].answer
	first, _, _ := record.Next(answer.Records)
	answer.Records = first
	c.deliver(len(c.flights)-1, false)
	b.work(30)
	look("on the way", 1, 0, true)
	b.exchange()
	written()
	look("copied", 3, 0, false)
	b.work(30)
	look("flushed", 3, 3, true)
	a.put(1)
	b.exchange()
	b.work(30)
	look("waits to be let in", 4, 4, true)
	b.exchange()
	c.grant()
	a.learn(len(c.history))
	b.learn(len(c.history))
	a.put(1)
	b.exchange()
	b.work(30)
	look("in sync", 5, 4, true)
	c.suspend(b)
	b.learn(len(c.history))
	look("out again", 5, 4, false)
	b.work(30)
	look("flushed again", 5, 5, true)
}

// TestJoinsWhileItWaits: a replica that waits for the sync goes on at once when it hears that it is in the set, and looks anew at each leader epoch.
func TestJoinsWhileItWaits(t *testing.T) {
	c, a, b := newJoining(t, 1)
	b.follow()
	c.grant()
	a.learn(len(c.history))
	a.put(1)
	b.exchange()
	for b.store.EndDrain(); b.p.log.WrittenEnd() < 2 && b.lanes.Step(); {
	}
	calls := 0
	b.p.cluster.Fetchable = func(*Partition) { calls++ }
	if _, ok := b.p.FetchState(); ok {
		t.Fatal("it does not wait")
	}
	b.learn(len(c.history))
	if _, ok := b.p.FetchState(); !ok || calls != 1 {
		t.Errorf("fetches %v, %d calls", ok, calls)
	}
	b.work(30)
	c.suspend(b)
	b.learn(len(c.history))
	a.learn(len(c.history))
	a.put(2)
	b.exchange()
	b.work(30)
	b.p.committed = 9 // of this leader epoch: the next one knows nothing of it
	c.elected(a)
	b.learn(len(c.history))
	if b.p.committed != 0 {
		t.Errorf("%d are said to be committed by a leader that has not said anything", b.p.committed)
	}
}
