package replication_test

import (
	"errors"
	"testing"
	"time"

	"lignum/core/record"
	"lignum/core/replication"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestWishIsOvertaken: while a wish is on its way to the controller the metadata shows another state, and the leader wishes anew. When the first turns out to
// be lost it must not take the place of the second, which nobody would send then.
func TestWishIsOvertaken(t *testing.T) {
	r := newRig(t, 3)
	id := part(1, 0)
	var asked []*kmsg.AlterPartitionRequest
	var answers []func(kmsg.Response, error)
	leader := r.brokers[0]
	leader.manager.Control = func(q kmsg.Request, done func(kmsg.Response, error)) {
		asked, answers = append(asked, q.(*kmsg.AlterPartitionRequest)), append(answers, done)
	}
	r.create(1, 1, 0, 1)
	r.run(time.Second)
	s := r.states[id]
	if len(asked) != 1 || asked[0].Topics[0].Partitions[0].PartitionEpoch != s.PartitionEpoch {
		t.Fatalf("%d wishes", len(asked))
	}
	r.decide(id, s) // whatever it was
	r.run(2 * time.Second)
	answers[0](nil, errors.New("no answer"))
	r.run(time.Second)
	if len(asked) != 2 || asked[1].Topics[0].Partitions[0].PartitionEpoch != s.PartitionEpoch+1 {
		t.Fatalf("%d wishes: the second is lost", len(asked))
	}
	leader.manager.Control = leader.control
	answers[1](nil, errors.New("no answer"))
	r.run(time.Second)
	if isr := r.states[id].ISR; len(isr) != 3 {
		t.Errorf("ISR %v", isr)
	}
}

// TestAnswerToAnEarlierRequest: the same broker leads in another epoch, which the follower's latest request says, when the answer to the request before
// comes. What it brings may have been cut off in between, however well it fits (L1).
func TestAnswerToAnEarlierRequest(t *testing.T) {
	r := newRig(t, 2)
	id, follower := part(1, 0), r.brokers[1]
	r.create(1, 1)
	r.run(time.Second)
	sent := follower.manager.Ports.Fetch
	var first func([]byte, error) // answers the first request from now on
	requests, answered := 0, 0
	follower.manager.Fetch = func(leader record.NodeID, n int, q *wire.FetchRequest, timeout time.Duration, done func([]byte, error)) bool {
		if requests++; requests == 1 {
			first, done = done, func([]byte, error) { answered++ }
		}
		return sent(leader, n, q, timeout, done)
	}
	for first == nil {
		r.run(100 * time.Millisecond)
	}
	b := record.NewBuilder(record.None)
	b.Append(record.Record{Timestamp: 1_700_000_000_000, Value: []byte("lost")})
	lost := b.Build()
	result := wire.NewFetchResult(0, wire.None)
	result.HighWatermark, result.LastStable, result.LogStart, result.RecordBytes = 0, 0, 0, len(lost)
	late := wire.FetchResponse{SessionID: 1, Topics: []wire.FetchTopicResult{{ID: id.Topic, Partitions: []wire.FetchResult{result}}}}
	r.elect(id, 0)
	r.run(10 * time.Millisecond)
	if requests != 2 || answered != 1 {
		t.Fatalf("%d requests, %d answers: the follower does not say at once that the epoch is another", requests, answered)
	}
	first(late.AppendTo(nil, replication.FetchVersion, func(dst []byte, _, _ int) []byte { return append(dst, lost...) }), nil)
	r.settle()
	if end := follower.set.Get(id).EndOffset(); end != 0 {
		t.Errorf("the follower has %d records that its leader never had", end)
	}
	kept := r.produce(id, "kept")
	r.run(2 * time.Second)
	if !kept.done || kept.code != wire.None {
		t.Errorf("told %v %v", kept.done, kept.code)
	}
	r.same(id, 1)
}
