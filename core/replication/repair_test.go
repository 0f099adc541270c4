package replication_test

import (
	"fmt"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestForgottenReplicas: a replica that is gone is fetched for no more, and a new one of the same name is.
func TestForgottenReplicas(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 2)
	r.run(time.Second)
	b := r.brokers[1]
	p := b.set.Take(part(1, 0))
	p.Close(wire.UnknownTopicOrPartition)
	b.manager.Forget(p)
	r.run(time.Second)
	s := r.states[part(1, 0)]
	again := partition.New(part(1, 0), "t1", 1, r.topic, b.cluster)
	b.set.Add(again)
	again.Follow(s)
	b.store.Delete(part(1, 0), func(error) { b.store.Create(part(1, 0), "t1", r.topic, again.Opened) })
	r.run(time.Second)
	done := r.produce(part(1, 0), "a")
	r.run(time.Second)
	if !done.done || done.code != wire.None {
		t.Errorf("told %v %v", done.done, done.code)
	}
}

// newWritten is three brokers with a partition of three records, which all of them have; so many have to be in sync.
func newWritten(t *testing.T, minimum int32) (*rig, record.Partition) {
	r := newRig(t, 3)
	r.topic.MinInSyncReplicas = minimum
	r.create(1, 1)
	id := part(1, 0)
	r.run(time.Second)
	for i := range 3 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	return r, id
}

// TestDamagedReplica is reported, taken out of every set, and copied anew; a leader hands over before that (L7).
func TestDamagedReplica(t *testing.T) {
	r, id := newWritten(t, 1)
	r.brokers[0].set.Get(id).ReadFailed(fmt.Errorf("a cold read: %w", commitlog.ErrCorrupt))
	r.run(5 * time.Second)
	if r.renewed != 1 || len(r.lost) != 0 || r.states[id].Leader == 0 || len(r.states[id].ISR) != 3 {
		t.Errorf("renewed %d times, lost %v, leader %d, ISR %v", r.renewed, r.lost, r.states[id].Leader, r.states[id].ISR)
	}
	r.same(id, 3)
}

// TestDamagedLeaderThatIsAlone hands over to a replica that may be elected, if one is up: it has all that was committed (L7).
func TestDamagedLeaderThatIsAlone(t *testing.T) {
	for _, up := range []bool{true, false} {
		r, id := newWritten(t, 2)
		r.brokers[1].down, r.brokers[2].down = !up, true
		s := r.states[id]
		s.ISR, s.ELR = []record.NodeID{0}, []record.NodeID{1}
		r.decide(id, s)
		r.run(3 * time.Millisecond)
		r.brokers[0].set.Get(id).ReadFailed(fmt.Errorf("a cold read: %w", commitlog.ErrCorrupt))
		r.run(5 * time.Second)
		if leader := r.states[id].Leader; (leader == 1) != up || (r.renewed == 1) != up {
			t.Errorf("with another one that is up (%v) the leader is %d, and %d were renewed", up, leader, r.renewed)
		}
	}
}

// TestUnreadableReplica: a replica whose log cannot be read is copied anew if another one can take its place; otherwise nobody gives it up, for it may be
// well at the next start.
func TestUnreadableReplica(t *testing.T) {
	for _, alone := range []bool{false, true} {
		r, id := newWritten(t, 1)
		if alone {
			r.brokers[1].down, r.brokers[2].down = true, true
			s := r.states[id]
			s.ISR, s.ELR = []record.NodeID{0}, nil
			r.decide(id, s)
			r.run(3 * time.Millisecond)
		}
		r.brokers[0].set.Get(id).Opened(nil, fmt.Errorf("open log: %w", env.ErrUnreadable))
		r.run(5 * time.Second)
		if s := r.states[id]; (r.renewed == 0) != alone || (s.Leader == 0) != alone || s.Lost {
			t.Errorf("alone %v: renewed %d times, leader %d, ISR %v, lost %v", alone, r.renewed, s.Leader, s.ISR, s.Lost)
		}
		if !alone {
			r.same(id, 3)
		}
	}
}

// TestLeaderWithDamagedRecords: followers do not take them, and ask again; the leader looks at them then, and gives up.
func TestLeaderWithDamagedRecords(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	id := part(1, 0)
	r.run(time.Second)
	lost := r.produce(id, "a")
	p := r.brokers[0].set.Get(id)
	found, _, err := p.Read(partition.ReadRequest{UpTo: p.EndOffset(), MaxBytes: 1 << 20, AtLeastOne: true})
	if err != nil {
		t.Fatal(err)
	}
	bytes := found.Span(0).Bytes
	bytes[len(bytes)-1] ^= 1
	found.Release()
	r.run(20 * time.Second)
	if lost.code != wire.NotLeaderOrFollower && lost.code != wire.KafkaStorageError {
		t.Errorf("told %v, %v", lost.done, lost.code)
	}
	s := r.states[id]
	if s.Leader == 0 || len(s.ISR) != 3 || r.renewed != 1 {
		t.Fatalf("leader %d, ISR %v, renewed %d times", s.Leader, s.ISR, r.renewed)
	}
	if again := r.produce(id, "a"); again.done {
		t.Error(again.code)
	}
	r.run(time.Second)
	r.same(id, 1)
}
