package replication_test

import (
	"testing"
	"time"

	"lignum/core/api"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/replication"
	"lignum/core/wire"
)

// watched is the network of somebody who looks at where an answer's records are.
type watched struct {
	*network
	bytes  int64
	inFile bool
}

func (w *watched) Send(_ env.ConnID, out env.Outgoing) {
	var pieces env.Pieces
	out.Encode(&pieces)
	for _, p := range pieces.AppendTo(nil) {
		if p.File != nil {
			w.inFile = true
			w.bytes += p.Len
		}
		w.bytes += int64(len(p.Bytes))
	}
	out.Release()
}

// TestWhatMayBeCutIsNotLeftInItsFile: a follower gets what is not committed too. That may be cut off, and something else be written in its place, before an answer
// has left, so the answer holds the bytes (L1, X3).
func TestWhatMayBeCutIsNotLeftInItsFile(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	id, leader := part(1, 0), r.brokers[0]
	r.run(time.Second)
	r.brokers[1].down, r.brokers[2].down = true, true
	for i := range 5 {
		r.produce(id, number(i))
	}
	r.run(100 * time.Millisecond)
	for _, l := range leader.store.Logs() {
		l.ReleaseMemory(1 << 40)
	}
	fetch := func(replica int32) *watched {
		w := &watched{network: (*network)(leader)}
		s := api.NewSession(3000, env.ConnInfo{}, w)
		s.Inter, s.Control = true, true
		leader.handlers.Handle(s, &api.Call{Header: wire.Header{Key: wire.Fetch, Version: replication.FetchVersion}, Body: &wire.FetchRequest{
			ReplicaID: replica, ReplicaEpoch: int64(replica) + 1, SessionEpoch: -1, MaxBytes: 1 << 20, Topics: []wire.FetchTopic{{ID: id.Topic, Partitions: []wire.FetchPartition{{
				Index: id.Index, LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20,
			}}}},
		}})
		r.run(0)
		return w
	}
	if p := leader.set.Get(id); p.HighWatermark() != 0 || p.EndOffset() != record.Offset(5) {
		t.Fatalf("%d of %d are committed", p.HighWatermark(), p.EndOffset())
	}
	if w := fetch(2); w.inFile || w.bytes < 300 {
		t.Errorf("what is not committed is left in its file: %v, %d bytes", w.inFile, w.bytes)
	}
	r.brokers[1].down, r.brokers[2].down = false, false
	r.run(40 * time.Second)
	r.same(id, 5)
	for _, l := range leader.store.Logs() {
		l.ReleaseMemory(1 << 40)
	}
	if w := fetch(2); !w.inFile {
		t.Errorf("what is committed is copied: %d bytes", w.bytes)
	}
}
