package partition

import (
	"errors"
	"testing"

	"lignum/core/record"
)

// expire has retention remove all that is committed at a node, which must be all that it has, and with that all leader epochs that have ended.
func (n *node) expire() {
	n.c.settings.RetentionBytes = 0
	n.p.Configure(n.c.settings)
	n.p.log.Log.Expire(n.c.clock.Now(), n.p.log.HighWatermark())
	for range 3 {
		n.p.log.Flush()
		n.work(30)
	}
	if start, end := n.p.StartOffset(), n.p.EndOffset(); start != end {
		n.c.fatalf("the log of %d has [%d, %d): nothing can be shown", n.id, start, end)
	}
}

// TestKeepsItsPlaceAtTheLogStart (I7): a replica in sync ends behind the leader's log start with an epoch of which the leader knows nothing, or has
// forgotten. It gives up what is not committed, and not for a moment what is.
func TestKeepsItsPlaceAtTheLogStart(t *testing.T) {
	newLate := func() (a, b, z *node) {
		_, a, b, z = newScenario(t, 1)
		a.put(1)
		for range 2 {
			b.follow()
			z.follow()
		}
		return a, b, z
	}
	whole := func(z *node, leader *node) {
		t.Helper()
		z.exchange()
		if safe, start := z.p.log.SafeEnd(), leader.p.StartOffset(); safe < start {
			t.Errorf("%d are committed, and %d safe", start, safe)
		}
		z.follow()
		if end := z.p.EndOffset(); end != leader.p.EndOffset() || z.p.StartOffset() != leader.p.StartOffset() {
			t.Errorf("it has [%d, %d), the leader [%d, %d)", z.p.StartOffset(), end, leader.p.StartOffset(), leader.p.EndOffset())
		}
	}

	a, b, z := newLate()
	a.c.elected(z) // and appends nothing
	a.c.elected(b)
	b.remove(1, false)
	b.work(30)
	if b.p.StartOffset() != 1 || z.p.log.LatestEpoch() != 1 {
		t.Fatalf("it starts at %d, and the last epoch is %d: nothing can be shown", b.p.StartOffset(), z.p.log.LatestEpoch())
	}
	z.learn(len(z.c.history))
	whole(z, b)

	a, b, z = newLate()
	a.append(2, AcksAll)
	z.follow() // b does not
	a.c.elected(b)
	b.expire()
	if epoch, _ := b.p.EpochEnd(0); epoch != 0 || b.p.EpochAt(0) != record.NoEpoch {
		t.Fatal("the leader remembers the epoch, which shows nothing")
	}
	z.learn(len(z.c.history))
	whole(z, b)
}

// TestIsLetInAtTheLogStart (I7): while the controller lets a replica in, retention removes all that the leader has, and with that the epoch in which the
// replica ends.
func TestIsLetInAtTheLogStart(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	c.suspend(z)
	a.learn(len(c.history))
	b.learn(len(c.history))
	a.put(1)
	b.follow()
	c.elected(b)
	a.learn(len(c.history))
	z.learn(len(c.history))
	a.exchange()
	z.exchange()
	z.work(30)
	z.exchange()
	if !b.p.lead.pending.adds(z.id) {
		t.Fatal("nobody asks for it to be let in")
	}
	b.expire()
	z.exchange()
	c.grant()
	z.follow()
	if z.p.EndOffset() != 1 || z.p.StartOffset() != 1 {
		t.Errorf("it has [%d, %d)", z.p.StartOffset(), z.p.EndOffset())
	}
}

// TestWaitsAtTheLogStart: the leader has heard that a replica is in sync no more, and the replica has not. Until it has, it neither gives up what it holds
// nor asks for the same again and again.
func TestWaitsAtTheLogStart(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(1)
	for range 2 {
		b.follow()
		z.follow()
	}
	c.elected(b)
	b.expire()
	z.learn(len(c.history))
	c.suspend(z)
	b.learn(len(c.history))
	s, _ := z.p.FetchState()
	out := b.p.Replicate(FollowerFetch{
		Node: z.id, BrokerEpoch: z.epoch, LeaderEpoch: s.LeaderEpoch, Offset: s.Offset, LastFetchedEpoch: s.LastFetchedEpoch, LogStart: s.LogStart, Now: c.clock.Now(),
	}, 0)
	if err := z.p.Fetched(s, &out); out.Diverging == nil || !errors.Is(err, ErrNoCommonPoint) || z.p.log.SafeEnd() != 1 {
		t.Errorf("told %+v, it says %v, and has %d safe", out, err, z.p.log.SafeEnd())
	}
	z.learn(len(c.history))
	z.follow()
	if z.p.EndOffset() != 1 || z.p.StartOffset() != 1 {
		t.Errorf("it has [%d, %d)", z.p.StartOffset(), z.p.EndOffset())
	}
}
