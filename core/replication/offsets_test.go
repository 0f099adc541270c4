package replication_test

import (
	"testing"
	"time"

	"lignum/core/api"
	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// listVersion is a flexible one, as the rig expects it.
const listVersion = 7

// list looks an offset up at a broker.
func (r *rig) list(at record.NodeID, id record.Partition, timestamp int64) wire.ListOffsetsResult {
	r.Helper()
	to := r.brokers[at]
	name := to.set.Get(id).Topic
	var response wire.ListOffsetsResponse
	s := api.NewSession(2000, env.ConnInfo{}, (*network)(to))
	to.replies[s.ID] = append(to.replies[s.ID], func(body []byte) {
		if err := response.Decode(body, listVersion); err != nil {
			r.Fatal(err)
		}
	})
	to.handlers.Handle(s, &api.Call{Header: wire.Header{Key: wire.ListOffsets, Version: listVersion}, Body: &wire.ListOffsetsRequest{ReplicaID: -1, Topics: []wire.ListOffsetsTopic{{
		Name: []byte(name), Partitions: []wire.ListOffsetsPartition{{Index: id.Index, LeaderEpoch: -1, Timestamp: timestamp}},
	}}}})
	r.run(0)
	if len(response.Topics) == 0 {
		r.Fatalf("no answer to a look-up at %d", timestamp)
	}
	return response.Topics[0].Partitions[0]
}

// TestLookUpsEndAtTheMark: whatever is asked for, what is not committed is not told of (F1); and a new leader that may lack what the one before has told does not
// say what it does not know (H4).
func TestLookUpsEndAtTheMark(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	id := part(1, 0)
	r.run(time.Second)
	const early, late = 1_700_000_000_000, 1_700_000_005_000
	put := func(timestamp int64) {
		b := record.NewBuilder(record.None)
		b.Append(record.Record{Timestamp: timestamp, Value: []byte("x")})
		if _, refusal := r.brokers[0].set.Get(id).Produce(b.Build(), record.Facts{MaxTimestamp: record.NoTimestamp}, partition.AcksLeader, r.clock.Wall(), nil, 0); refusal != nil {
			t.Fatal(refusal.Message)
		}
		r.run(100 * time.Millisecond)
	}
	put(early)
	r.run(time.Second)
	r.brokers[1].down, r.brokers[2].down = true, true
	put(late)
	check := func(when string, timestamp, offset int64, code wire.ErrorCode) {
		t.Helper()
		if got := r.list(0, id, timestamp); got.Offset != offset || got.Error != code {
			t.Errorf("%s: at %d: offset %d and %v, want %d and %v", when, timestamp, got.Offset, got.Error, offset, code)
		}
	}
	for _, c := range []struct{ timestamp, offset int64 }{
		{wire.EarliestTimestamp, 0}, {wire.LatestTimestamp, 1}, {wire.MaxTimestamp, 0}, {early - 1, 0}, {early, 0}, {early + 1, -1}, {late, -1}, {late + 1, -1},
	} {
		check("one of two is committed", c.timestamp, c.offset, wire.None)
	}
	r.elect(id, 0)
	r.run(10 * time.Millisecond)
	for _, c := range []struct {
		timestamp, offset int64
		code              wire.ErrorCode
	}{
		{wire.EarliestTimestamp, 0, wire.None}, {early, 0, wire.None},
		{wire.LatestTimestamp, -1, wire.OffsetNotAvailable}, {wire.MaxTimestamp, -1, wire.OffsetNotAvailable}, {early + 1, -1, wire.OffsetNotAvailable},
		{late, -1, wire.OffsetNotAvailable},
	} {
		check("behind an election", c.timestamp, c.offset, c.code)
	}
	r.brokers[1].down, r.brokers[2].down = false, false
	r.run(40 * time.Second)
	for _, c := range []struct{ timestamp, offset int64 }{{wire.LatestTimestamp, 2}, {wire.MaxTimestamp, 1}, {early + 1, 1}, {late + 1, -1}} {
		check("with all committed", c.timestamp, c.offset, wire.None)
	}
}
