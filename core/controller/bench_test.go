package controller

import (
	"fmt"
	"testing"

	"lignum/core/metadata"
	"lignum/core/record"
)

// BenchmarkFence moves what one of three brokers leads, of 10,000 partitions in 100 topics.
func BenchmarkFence(b *testing.B) {
	c := newCluster(3)
	for i := range 100 {
		c.create(NewTopic{Name: fmt.Sprint("t", i), Partitions: 100, ReplicationFactor: 3})
	}
	epoch := c.Image.Broker(1).Epoch
	b.ReportAllocs()
	for b.Loop() {
		if records := c.ExpireBroker(1, epoch); len(records) != 10_001 {
			b.Fatalf("%d records", len(records))
		}
	}
}

// BenchmarkAlterPartition changes the ISR of 1,000 partitions at once.
func BenchmarkAlterPartition(b *testing.B) {
	c := newCluster(3)
	c.create(NewTopic{Name: "t", Partitions: 3_000, ReplicationFactor: 3})
	t := c.Image.Topic("t")
	r := AlterPartition{Broker: 1, BrokerEpoch: c.Image.Broker(1).Epoch}
	for i := range t.Partitions {
		if t.Partitions[i].Leader == 1 {
			r.Changes = append(r.Changes, ISRChange{ID: record.Partition{Topic: t.ID, Index: int32(i)}, Recovered: true, NewISR: []ISRMember{{1, metadata.NoBrokerEpoch}}})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if records, _, _ := c.AlterPartition(r); len(records) != 1_000 {
			b.Fatalf("%d records", len(records))
		}
	}
}
