package api

import (
	"fmt"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestLeaderFailsDuringALookUp (X5): a reader finds a leader's log damaged while the disk looks for a time of which no record is committed.
func TestLeaderFailsDuringALookUp(t *testing.T) {
	d := newStuck(t)
	d.Jobs = d.lanes
	p := partition.New(record.Partition{Topic: record.TopicID{2}}, "u", 1, config.DefaultTopic(), &partition.Cluster{
		Clock: d.Clock, Leased: func() bool { return true }, Active: func(record.NodeID) bool { return true },
		BrokerEpoch: func(record.NodeID) int64 { return 1 },
	})
	state := partition.State{Leader: 1, Replicas: []record.NodeID{1, 2}, ISR: []record.NodeID{1}}
	p.Follow(state)
	d.store.Create(p.ID, "u", config.DefaultTopic(), p.Opened)
	d.work()
	d.Partitions.Add(p)
	for time := range int64(2) {
		b := record.NewBuilder(record.None)
		b.Append(record.Record{Timestamp: time})
		if _, refusal := p.Produce(b.Build(), record.Facts{MaxTimestamp: record.NoTimestamp}, partition.AcksLeader, 0, nil, 0); refusal != nil {
			t.Fatal(refusal)
		}
		d.work()
		state.ISR, state.PartitionEpoch = []record.NodeID{1, 2}, state.PartitionEpoch+1
		p.Follow(state)
	}
	d.replies = nil
	d.Handle(NewSession(1, env.ConnInfo{}, d), &Call{
		Header: wire.Header{Key: wire.ListOffsets, Version: 10},
		Body: &wire.ListOffsetsRequest{Topics: []wire.ListOffsetsTopic{
			{Name: []byte("u"), Partitions: []wire.ListOffsetsPartition{{LeaderEpoch: -1, Timestamp: 1}}},
		}},
	})
	if p.HighWatermark() != 1 || p.EndOffset() != 2 || len(d.replies) > 0 {
		t.Fatalf("mark %d, end %d, %d replies: nothing can be shown", p.HighWatermark(), p.EndOffset(), len(d.replies))
	}
	p.ReadFailed(fmt.Errorf("a cold read: %w", commitlog.ErrCorrupt))
	d.work()
	if len(d.replies) != 1 {
		t.Fatalf("%d replies", len(d.replies))
	}
	if out := d.replies[0].(*wire.ListOffsetsResponse).Topics[0].Partitions[0]; out.Offset != -1 {
		t.Errorf("%+v", out)
	}
}
