package partition

import (
	"slices"
	"testing"

	"lignum/core/record"
	"lignum/core/wire"
)

// TestDeleteWaitsForFollowers (R3): DeleteRecords is answered when the logs of all replicas that may lead next begin there; else what is deleted would come
// back with one of them.
func TestDeleteWaitsForFollowers(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(4)
	for _, n := range []*node{b, z} {
		n.follow()
	}
	low, code := record.NoOffset, wire.UnknownServerError
	a.p.DeleteRecords(3, nil, func(o record.Offset, e wire.ErrorCode) { low, code = o, e })
	a.work(30)
	told := func(n *node) { // it learns of the start with one fetch, makes it durable, and says so with the next
		n.exchange()
		n.work(30)
		n.exchange()
	}
	told(b)
	if a.p.StartOffset() != 3 || b.p.StartOffset() != 3 || z.p.StartOffset() != 0 {
		t.Fatalf("the logs start at %d, %d, %d", a.p.StartOffset(), b.p.StartOffset(), z.p.StartOffset())
	}
	if low != record.NoOffset {
		t.Errorf("answered with %d and %v while one log begins at 0", low, code)
	}
	told(z)
	if low != 3 || code != wire.None || z.p.StartOffset() != 3 {
		t.Errorf("answered with %d and %v, the last log begins at %d", low, code, z.p.StartOffset())
	}
	c.inspect(a)
}

// TestDeleteWaitsForWhoMayLead: a broker that is fenced, and whose replica may be elected when it comes back, has to know what was deleted (R3).
func TestDeleteWaitsForWhoMayLead(t *testing.T) {
	c, a, b, z := newScenario(t, 3)
	a.put(4)
	b.follow()
	z.follow()
	b.follow()
	c.fence(z.id, "session over")
	a.learn(len(c.history))
	b.learn(len(c.history))
	if s := a.p.state; !slices.Equal(s.ELR, []record.NodeID{z.id}) || a.p.HighWatermark() != 4 {
		t.Fatalf("%v are eligible, the mark is %d", s.ELR, a.p.HighWatermark())
	}
	answered := false
	a.p.DeleteRecords(3, nil, func(o record.Offset, e wire.ErrorCode) {
		answered = true
		if o != 3 || e != wire.None || z.p.StartOffset() != 3 {
			t.Errorf("answered with %d and %v, the log that is eligible begins at %d", o, e, z.p.StartOffset())
		}
	})
	a.work(30)
	b.follow()
	a.p.Tick(c.clock.Now())
	if answered || b.p.StartOffset() != 3 {
		t.Errorf("answered (%v) while who may be elected begins at %d", answered, z.p.StartOffset())
	}
	m := c.copy()
	m.active[z.id] = true
	c.decide(m, "let in again")
	a.learn(len(c.history))
	z.learn(len(c.history))
	z.follow()
	if !answered {
		t.Error("not answered although all logs begin there")
	}
}

// TestJoinsWithTheLogStart: a replica that was down while records were deleted comes back, and joins no sooner than its log begins durably where it was
// promised: its power could fail then, and it lead with what was deleted (R3).
func TestJoinsWithTheLogStart(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(4)
	for range 2 {
		b.follow()
		z.follow()
	}
	c.fence(z.id, "session over")
	a.learn(len(c.history))
	b.learn(len(c.history))
	answered := false
	a.p.DeleteRecords(3, nil, func(_ record.Offset, e wire.ErrorCode) { answered = e == wire.None })
	a.work(30)
	b.follow()
	b.follow()
	m := c.copy()
	m.active[z.id] = true
	c.decide(m, "let in again")
	a.learn(len(c.history))
	z.learn(len(c.history))
	if !answered || slices.Contains(a.p.state.ISR, z.id) {
		t.Fatalf("answered (%v), in sync are %v", answered, a.p.state.ISR)
	}
	z.exchange()
	if p := a.p.lead.pending; p != nil || z.p.StartOffset() != 0 {
		t.Errorf("%+v is asked for while its log begins at %d", p, z.p.StartOffset())
	}
	z.work(30)
	z.exchange()
	if p := a.p.lead.pending; !p.adds(z.id) || z.p.StartOffset() != 3 {
		t.Errorf("%+v is asked for although its log begins at %d", p, z.p.StartOffset())
	}
}

// TestDeletesUpToTheMark: records that are not committed cannot be deleted, and what was deleted stays so (R1).
func TestDeletesUpToTheMark(t *testing.T) {
	_, a, b, z := newScenario(t, 1)
	a.put(3)
	b.follow()
	z.follow()
	a.put(2)
	b.follow()
	low, code := record.Offset(-3), wire.UnknownServerError
	remove := func(to record.Offset) {
		low, code = -3, wire.UnknownServerError
		a.p.DeleteRecords(to, nil, func(o record.Offset, e wire.ErrorCode) { low, code = o, e })
	}
	for _, to := range []record.Offset{-2, 4, 5, 6} {
		if remove(to); low != -1 || code != wire.OffsetOutOfRange {
			t.Errorf("up to %d, where 3 are committed: %d and %v", to, low, code)
		}
	}
	z.follow()
	for _, q := range []struct{ to, low record.Offset }{{1, 1}, {2, 2}, {1, 2}, {0, 2}} {
		remove(q.to)
		a.work(30)
		b.follow()
		z.follow()
		if low != q.low || code != wire.None {
			t.Errorf("up to %d: %d and %v, want %d", q.to, low, code, q.low)
		}
	}
	if remove(6); low != -1 || code != wire.OffsetOutOfRange {
		t.Errorf("beyond the end: %d and %v", low, code)
	}
}
