package replication_test

import (
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/record"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestNobodyIsLeftBehindForAFlush: what a replica under async copies is flushed when it may be let in with that, batch by batch where the in-sync set is
// too small and the mark stands still. The next request waits for that: without a session the leader would hold one that does not name the partition
// for half a second, and hear of no other.
func TestNobodyIsLeftBehindForAFlush(t *testing.T) {
	r := newRigOf(t, 2, 1)
	r.topic.FlushPolicy, r.topic.MinInSyncReplicas = config.Async, 2
	r.brokers[0].withoutSessions()
	r.create(1, 1)
	r.create(2, 1)
	r.run(time.Second)
	r.brokers[1].down = true
	const batches = 30
	for range batches {
		r.produce(part(1, 0), "a batch")
	}
	r.run(20 * time.Second) // only the leader is in sync
	r.controller = func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) { return nil, errTimeout }
	r.brokers[1].down = false
	r.decide(part(1, 0), r.states[part(1, 0)])
	copied := func() record.Offset { return r.brokers[1].set.Get(part(1, 0)).EndOffset() }
	wait := func(limit time.Duration, end record.Offset) {
		t.Helper()
		for began := r.clock.Now(); copied() < end; r.run(10 * time.Millisecond) {
			if r.clock.Now().Sub(began) > limit {
				t.Fatalf("it has %d of %d", copied(), batches)
			}
		}
	}
	wait(20*time.Second, 1) // it has heard that its last fetch is lost
	wait(time.Second, batches)
}
