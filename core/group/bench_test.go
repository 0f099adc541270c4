package group

import (
	"fmt"
	"runtime"
	"testing"

	"lignum/core/record"
	"lignum/core/wire"
)

// BenchmarkLoad loads 10,000 groups with 10 committed offsets each, and tells what they take in memory.
func BenchmarkLoad(b *testing.B) {
	const groups, partitions = 10_000, 10
	w := newWorld(b)
	w.settings.LoadBytes = 5 << 20
	s, _ := w.groups.Find("g")
	for g := range groups {
		r := &Commit{Group: fmt.Sprintf("group-%05d", g), Generation: -1, Retention: -1}
		for p := range int32(partitions) {
			r.Offsets = append(r.Offsets, Offset{Topic: "topic-of-some-length", Committed: Committed{Partition: p, Offset: 1000, LeaderEpoch: 3}})
		}
		s.Commit(r, func([]wire.ErrorCode) {})
		w.log.commit(w.log.end)
		w.groups.EndDrain()
	}
	w.groups.Close(wire.NotCoordinator)
	s = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	for b.Loop() {
		w.elect(w.log.end)
		w.settled()
	}
	b.StopTimer()
	s, _ = w.groups.Find("g")
	if n := len(s.groups); n != groups {
		b.Fatalf("%d groups", n)
	}
	w.jobs = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/groups, "B/group")
	runtime.KeepAlive(s)
}

// BenchmarkCommit is one offset committed to one partition of the offsets topic, all but the disk.
func BenchmarkCommit(b *testing.B) {
	w := newWorld(b)
	s, _ := w.groups.Find("g")
	r := &Commit{Group: "g", Generation: -1, Retention: -1, Offsets: []Offset{{Topic: "t", Committed: Committed{Offset: 1, LeaderEpoch: 3}}}}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		s.Commit(r, func([]wire.ErrorCode) {})
		if n++; n%32 == 0 {
			w.log.mark = w.log.end
			w.log.wake()
			w.groups.EndDrain()
			w.log.batches = w.log.batches[:0]
		}
	}
}

// BenchmarkConsumerRebalance: 100 members join a group one after another and settle on 1,000 partitions.
func BenchmarkConsumerRebalance(b *testing.B) {
	for _, assignor := range []string{uniformAssignor, rangeAssignor} {
		b.Run(assignor, func(b *testing.B) {
			beats := 0
			for b.Loop() {
				beats += settleConsumers(b, assignor, 100, 1000)
			}
			b.ReportMetric(float64(beats)/float64(b.N), "heartbeats")
		})
	}
}

func settleConsumers(b *testing.B, assignor string, members, partitions int32) (beats int) {
	w := newWorld(b)
	w.topics = []Topic{{Name: "t", ID: record.TopicID{1}, Partitions: partitions}}
	s, _ := w.groups.Find("g")
	epochs, owned := make([]int32, members), make([][]record.Partition, members)
	beat := func(i int32) {
		beats++
		r := &Beat{Group: "g", Member: fmt.Sprintf("member-%03d", i), Epoch: epochs[i], RebalanceTimeout: -1, SaysOwned: true, Owned: owned[i]}
		if r.Epoch == 0 {
			r.RebalanceTimeout, r.Topics, r.Assignor = 60_000, []string{"t"}, &assignor
		}
		s.Beat(r, func(out BeatReply) {
			if out.Code != wire.None {
				b.Fatal(out)
			}
			epochs[i] = out.Epoch
			if out.Tells {
				owned[i] = out.Assigned
			}
		})
		w.log.mark = w.log.end
		w.log.wake()
		w.groups.EndDrain()
	}
	for i := range members {
		beat(i)
	}
	for s.find("g").consumer.state() != consumerStable {
		for i := range members {
			beat(i)
		}
	}
	return beats
}

// BenchmarkClassicRebalance is one round of 100 members that share 1,000 partitions: join, sync, and what goes into the log.
func BenchmarkClassicRebalance(b *testing.B) {
	const members = 100
	w := newWorld(b)
	s, _ := w.groups.Find("g")
	metadata, part := make([]byte, 200), make([]byte, 10*4+40)
	ids := make([]string, members)
	var leader string
	var generation int32
	parts := map[string][]byte{}
	round := func() {
		for i := range ids {
			r := &JoinRequest{
				Group: "g", Member: ids[i], ProtocolType: consumerType, Protocols: []Protocol{{"range", metadata}}, SessionTimeout: 10_000, RebalanceTimeout: 60_000,
			}
			s.Join(r, func(out JoinReply) {
				if out.Code != wire.None {
					b.Fatal(out)
				}
				ids[i], leader, generation = out.MemberID, out.Leader, out.Generation
			})
		}
		w.pass(1)
		w.pass(1_000_000)
	}
	round()
	for _, id := range ids {
		parts[id] = part
	}
	b.ReportAllocs()
	for b.Loop() {
		if generation > 1 {
			// The leader comes first: its join begins the round.
			for i, id := range ids {
				if id == leader {
					ids[0], ids[i] = ids[i], ids[0]
				}
			}
			round()
		}
		answered := 0
		for _, id := range ids {
			r := &SyncRequest{Group: "g", Member: id, Generation: generation}
			if id == leader {
				r.Assignments = parts
			}
			s.Sync(r, func(SyncReply) { answered++ })
		}
		w.log.mark = w.log.end
		w.log.wake()
		w.groups.EndDrain()
		if answered != members {
			b.Fatalf("%d of %d members have their part", answered, members)
		}
		w.log.batches = w.log.batches[:0]
		generation = max(generation, 2)
	}
}
