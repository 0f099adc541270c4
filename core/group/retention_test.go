package group

import (
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestOffsetsKeepTheirTime: an offset goes when its group was empty for the full retention, and the offset is as old, whoever coordinates (C6).
func TestOffsetsKeepTheirTime(t *testing.T) {
	for _, reload := range []bool{false, true} {
		w, dynamic, static := stableGroup(t)
		w.settings.OffsetsRetentionMillis, w.settings.OffsetsRetentionCheckMillis = 600_000, 1000
		load := func() {
			w.elect(w.log.end)
			w.settled()
		}
		load() // so that it looks at the settings
		w.commits(t, Commit{Member: dynamic, Generation: 2})
		w.wall += 500_000
		w.shard(t).Leave("g", []Leaver{{Member: dynamic}, {Member: static, Instance: "i"}}, func(wire.ErrorCode, []wire.ErrorCode) {})
		w.settled()
		empty := w.wall
		kept := func(after env.Millis) bool {
			if w.wall = empty + after; reload {
				load()
			}
			w.pass(3 * time.Second)
			w.settled()
			g := w.shard(t).find("g")
			return g != nil && g.offsets.get("t", 0) != nil
		}
		if !kept(100_000) || !kept(590_000) {
			t.Errorf("reload %v: an offset is gone that was committed before the group was empty, and long ago, before it was empty for long", reload)
		}
		w.wall = empty + 593_000
		w.commits(t, Commit{Generation: -1})
		if !kept(610_000) || !kept(1_180_000) {
			t.Errorf("reload %v: an offset is gone that was committed a moment ago", reload)
		}
		if kept(1_200_000) {
			t.Errorf("reload %v: an offset that nobody uses is still there", reload)
		}
	}
}

// TestOffsetsOfATopicThatCameBack: a topic was deleted and made again while no coordinator heard of it. Nobody is told what was committed for the first one.
func TestOffsetsOfATopicThatCameBack(t *testing.T) {
	w := newWorld(t)
	commit := func(o record.Offset) {
		w.shard(t).Commit(&Commit{Group: "g", Generation: -1, Retention: -1, Offsets: []Offset{
			{Topic: "t", Committed: Committed{Partition: 1, Offset: o, Topic: w.topics[0].ID}},
		}}, func([]wire.ErrorCode) {})
		w.settled()
	}
	fetched := func(topics []WantedOffsets) (o record.Offset) {
		o = record.NoOffset
		w.shard(t).FetchOffsets(&FetchOffsets{Group: "g", Epoch: -1, Topics: topics}, func(f FetchedOffsets) {
			for _, topic := range f.Topics {
				o = topic.Offsets[0].Offset
			}
		})
		w.settled()
		return o
	}
	commit(5)
	for _, c := range []struct {
		what string
		do   func()
		want record.Offset
	}{
		{"committed", func() {}, 5},
		{"with the topic made again", func() { w.topics[0].ID = record.TopicID{9} }, record.NoOffset},
		{"and loaded", func() { w.elect(w.log.end); w.settled() }, record.NoOffset},
		{"committed anew", func() { commit(3) }, 3},
	} {
		c.do()
		w.version++
		for _, topics := range [][]WantedOffsets{{{Topic: "t", Partitions: []int32{1}}}, nil} {
			if got := fetched(topics); got != c.want {
				t.Errorf("%s: %d, want %d (of %v)", c.what, got, c.want, topics)
			}
		}
	}
}

// TestNewMemberThatVanishes: a client that went away while it waited for its first generation cannot be told from one that waits, so it has some minutes and no
// more, however long the round is (KAFKA-7610).
func TestNewMemberThatVanishes(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	told := wire.ErrorCode(-2)
	w.shard(t).Join(&JoinRequest{
		Group: "g", ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}}, SessionTimeout: 10_000, RebalanceTimeout: 900_000,
	}, func(out JoinReply) { told = out.Code })
	w.settled()
	c := w.shard(t).find("g").classic
	for i := range 62 {
		if w.pass(5 * time.Second); i < 50 && len(c.members) != 3 {
			t.Fatalf("it was waited for %d times five seconds", i)
		}
		for member, instance := range map[string]string{dynamic: "", static: "i"} {
			if code := w.beats(t, member, instance, 2); code != wire.RebalanceInProgress {
				t.Fatalf("a heartbeat in the round: %v", code)
			}
		}
	}
	if len(c.members) != 2 || told != wire.UnknownMemberID || c.state != preparing {
		t.Errorf("%d members, it was told %v, the group is %v", len(c.members), told, c.state)
	}
}
