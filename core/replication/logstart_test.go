package replication_test

import (
	"testing"
	"time"

	"lignum/core/record"
	"lignum/core/wire"
)

// TestLogStartReachesFollowers: DeleteRecords is answered when the start has moved everywhere, without a wait for the fetch that the leader holds.
func TestLogStartReachesFollowers(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	r.run(time.Second)
	id := part(1, 0)
	for i := range 4 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	var low record.Offset = -1
	start := r.clock.Now()
	took := time.Duration(-1)
	r.brokers[0].set.Get(id).DeleteRecords(3, nil, func(o record.Offset, code wire.ErrorCode) {
		if low, took = o, r.clock.Now().Sub(start); code != wire.None {
			t.Error(code)
		}
	})
	r.run(2 * time.Second)
	if low != 3 || took < 0 || took > 100*time.Millisecond {
		t.Errorf("low watermark %d after %v", low, took)
	}
	for _, b := range r.brokers {
		if o := b.set.Get(id).StartOffset(); o != 3 {
			t.Errorf("the log of broker %d starts at %d", b.id, o)
		}
	}
}

// TestFollowerBehindTheLogStart starts anew where the leader's log begins.
func TestFollowerBehindTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1, 0)
	id := part(1, 0)
	r.brokers[1].down = true
	for i := range 4 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	r.brokers[0].set.Get(id).DeleteRecords(3, nil, func(record.Offset, wire.ErrorCode) {})
	r.run(time.Second)
	r.brokers[1].down = false
	r.run(40 * time.Second)
	r.same(id, 4)
	if o := r.brokers[1].set.Get(id).StartOffset(); o != 3 || len(r.states[id].ISR) != 2 {
		t.Errorf("the follower starts at %d, ISR %v", o, r.states[id].ISR)
	}
}

// TestNothingInCommonAtTheLogStart (I1, F2): a follower ends where the leader's log begins, with a record that was never committed, of an epoch that the
// leader has forgotten. It does not join with it, but begins anew: its log start alone is not durable yet.
func TestNothingInCommonAtTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	id, a, b := part(1, 0), r.brokers[0], r.brokers[1]
	r.run(time.Second)
	r.produce(id, "a")
	r.run(time.Second)
	a.down = true
	r.elect(id, 1)
	r.run(10 * time.Millisecond)
	r.produce(id, "never committed")
	r.run(10 * time.Millisecond)
	a.down, b.down = false, true
	s := r.states[id]
	s.ISR = []record.NodeID{0}
	r.decide(id, s)
	for _, l := range a.store.Logs() {
		if l.ID() == id {
			l.TruncateFullyAndStartAt(2) // as if all had been deleted, another record at 1 included
			l.SetHighWatermark(2)
		}
	}
	r.elect(id, 0)
	r.run(time.Second)
	if a.set.Get(id).StartOffset() != 2 || b.set.Get(id).EndOffset() != 2 {
		t.Fatalf("the leader begins at %d, the follower ends at %d", a.set.Get(id).StartOffset(), b.set.Get(id).EndOffset())
	}
	b.down = false
	r.decide(id, r.states[id])
	r.run(time.Minute) // the requests from before have to time out
	r.same(id, 2)
	if epoch, _ := b.set.Get(id).EpochEnd(1); epoch != record.NoEpoch {
		t.Errorf("it is in sync, and knows of epoch %d", epoch)
	}
	r.produce(id, "c")
	r.run(time.Second)
	r.same(id, 3)
}

// TestInSyncAtTheLogStart (I2, I7): who is in sync has what was committed, also when the leader has forgotten the epoch of it. It does not begin anew, for
// until that is durable its power could take back what it had.
func TestInSyncAtTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	id, a, b := part(1, 0), r.brokers[0], r.brokers[1]
	r.run(time.Second)
	r.produce(id, "a")
	r.run(time.Second)
	for _, l := range a.store.Logs() {
		if l.ID() == id {
			l.TruncateFullyAndStartAt(1) // as if it had been deleted
			l.SetHighWatermark(1)
		}
	}
	r.elect(id, 0)
	r.run(time.Minute)
	r.same(id, 1)
	if epoch, _ := b.set.Get(id).EpochEnd(0); epoch != 0 {
		t.Errorf("it knows of epoch %d", epoch)
	}
}
