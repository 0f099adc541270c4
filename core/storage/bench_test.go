package storage

import (
	"fmt"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/record"
	"lignum/disk"
	"lignum/sim"
	"lignum/transport"
)

// BenchmarkDrain measures one drain on a real disk with a batch for each of some logs: the appends, the turn, the commit, and the background
// work, all one after another on one goroutine.
func BenchmarkDrain(b *testing.B) {
	for _, policy := range []config.FlushPolicy{config.Sync, config.Async} {
		for _, shape := range []struct{ logs, bytes int }{{1, 1 << 10}, {10, 1 << 10}, {100, 1 << 10}, {10, 64 << 10}} {
			name := fmt.Sprintf("policy=%d/%dx%d", policy, shape.logs, shape.bytes)
			b.Run(name, func(b *testing.B) { benchmarkDrain(b, policy, shape.logs, shape.bytes) })
		}
	}
}

func benchmarkDrain(b *testing.B, policy config.FlushPolicy, logs, size int) {
	d, err := disk.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	lanes := sim.NewLanes(1)
	o := Options{}
	o.Meta.NodeID = 1
	s := New(Ports{Disk: d, Jobs: lanes, Memory: transport.NewPool(transport.PoolOptions{}), Clock: transport.NewClock(), Rand: sim.NewRand(1)}, o, Events{
		Ready:  func(err error) { fail(b, err) },
		Failed: func(err error) { fail(b, err) },
	})
	rest := func() {
		for s.EndDrain(); lanes.Waiting() > 0; s.EndDrain() {
			lanes.Drain()
		}
	}
	s.Start()
	lanes.Drain()
	settings := config.DefaultTopic()
	settings.FlushPolicy = policy
	for i := range logs {
		s.Create(record.Partition{Topic: record.TopicID{1}, Index: int32(i)}, "bench", settings, func(_ *Log, err error) { fail(b, err) })
		rest()
	}
	m := &model{}
	batch := batchOf(1, 1, size, 0, m)
	b.SetBytes(int64(logs * batch.Size()))
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range s.Logs() {
			if _, err := l.Append(batch, commitlog.AppendInfo{}); err != nil {
				b.Fatal(err)
			}
		}
		rest()
		if l := s.Logs()[0]; l.SafeEnd() != l.EndOffset() {
			b.Fatalf("safe end %d of %d", l.SafeEnd(), l.EndOffset())
		}
	}
	s.Shutdown(1, func(err error) { fail(b, err) })
	rest()
	fail(b, d.Close())
}

func fail(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
