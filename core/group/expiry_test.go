package group

import (
	"math"
	"testing"
	"time"

	"lignum/core/record"
	"lignum/core/wire"
)

// TestExpiry: the offsets of an empty group go after the retention, those of a group in use stay (KIP-211).
func TestExpiry(t *testing.T) {
	w, dynamic, _ := stableGroup(t)
	w.commits(t, Commit{Member: dynamic, Generation: 2})
	w.commits(t, Commit{Group: "simple", Generation: -1})
	retention := time.Duration(w.settings.OffsetsRetentionMillis) * time.Millisecond
	for end := w.now.Add(retention + time.Hour); w.now < end; {
		w.pass(5 * time.Second)
		w.log.commit(w.log.end)
		w.groups.EndDrain()
		for i, m := range w.shard(t).find("g").classic.members {
			if code := w.beats(t, m.id, m.instance, 2); code != wire.None {
				t.Fatalf("member %d: %v", i, code)
			}
		}
		w.wall += 3_600_000
		w.pass(time.Duration(w.settings.OffsetsRetentionCheckMillis) * time.Millisecond / 200)
	}
	w.pass(time.Hour)
	w.settled()
	s := w.shard(t)
	if s.find("simple") != nil {
		t.Error("the offsets of a group that nobody uses are still there")
	}
	if g := s.find("g"); g == nil || g.offsets.empty() {
		t.Error("the offsets of a group that was in use a moment ago are gone")
	}
}

// TestDeleteOffsets: only of topics that no member wants.
func TestDeleteOffsets(t *testing.T) {
	w, dynamic, _ := stableGroup(t)
	w.shard(t).Commit(&Commit{Group: "g", Member: dynamic, Generation: 2, Retention: -1, Offsets: []Offset{
		{Topic: "t", Committed: Committed{Offset: 1}}, {Topic: "u", Committed: Committed{Offset: 2}},
	}}, func([]wire.ErrorCode) {})
	var got [][]wire.ErrorCode
	w.shard(t).DeleteOffsets("g", []WantedOffsets{{"t", []int32{0}}, {"u", []int32{0}}}, func(_ wire.ErrorCode, codes [][]wire.ErrorCode) { got = codes })
	w.settled()
	if got[0][0] != wire.GroupSubscribedToTopic || got[1][0] != wire.None {
		t.Errorf("codes %v", got)
	}
	if g := w.shard(t).find("g"); g.offsets.get("t", 0) == nil || g.offsets.get("u", 0) != nil {
		t.Error("the wrong one is gone")
	}
}

// TestKeptForEver (C6): an old client wants its offset kept for as long as a number can say. That is not over before it began.
func TestKeptForEver(t *testing.T) {
	w := newWorld(t)
	w.shard(t).Commit(&Commit{
		Group: "g", Generation: -1, Retention: math.MaxInt64, Offsets: []Offset{{Topic: "t", Committed: Committed{Offset: 7, LeaderEpoch: -1}}},
	}, func([]wire.ErrorCode) {})
	w.settled()
	for range 3 {
		w.pass(24 * time.Hour)
		w.settled()
	}
	if g := w.shard(t).find("g"); g == nil || g.offsets.get("t", 0) == nil {
		t.Error("it is gone")
	}
}

// TestStagedOffsetDoesNotExpire: a transaction that is open keeps what it has staged, and the group (C6), and nobody is told the older
// value who asks for stable ones (C9).
func TestStagedOffsetDoesNotExpire(t *testing.T) {
	w := newWorld(t)
	w.commits(t, Commit{Group: "g", Generation: -1})
	stage := &Commit{Group: "g", Generation: -1, Retention: -1, Offsets: []Offset{{Topic: "t", Committed: Committed{Offset: 9}}}}
	w.shard(t).CommitInTransaction(stage, 5, 0, func(codes []wire.ErrorCode) {
		if codes[0] != wire.None {
			t.Errorf("staged: %v", codes)
		}
	})
	w.settled()
	fetch := func(stable bool) (f FoundOffset) {
		w.shard(t).FetchOffsets(&FetchOffsets{Group: "g", Epoch: -1, Stable: stable, Topics: []WantedOffsets{{"t", []int32{0}}}}, func(out FetchedOffsets) {
			f = out.Topics[0].Offsets[0]
		})
		w.settled()
		return f
	}
	if f := fetch(true); f.Code != wire.UnstableOffsetCommit || f.Offset != -1 {
		t.Errorf("stable: %+v", f)
	}
	if f := fetch(false); f.Code != wire.None || f.Offset != 7 {
		t.Errorf("plain: %+v", f)
	}
	w.wall += 30 * 24 * 3_600_000
	w.pass(time.Hour)
	w.settled()
	if f := fetch(false); f.Offset != 7 {
		t.Errorf("behind the retention: %+v", f)
	}
	w.shard(t).host.EndTransaction(5, 0, record.Marker{Type: record.Commit}, func(wire.ErrorCode) {})
	w.settled()
	if f := fetch(true); f.Code != wire.None || f.Offset != 9 {
		t.Errorf("committed: %+v", f)
	}
}

// TestLastRecordCounts: of one key the last record counts, not the last transaction to end (CG12).
func TestLastRecordCounts(t *testing.T) {
	for _, stagedFirst := range []bool{true, false} {
		w := newWorld(t)
		stage := &Commit{Group: "g", Generation: -1, Retention: -1, Offsets: []Offset{{Topic: "t", Committed: Committed{Offset: 9}}}}
		want := int64(9)
		if stagedFirst {
			want = 7
			w.shard(t).CommitInTransaction(stage, 5, 0, func([]wire.ErrorCode) {})
			w.commits(t, Commit{Generation: -1})
		} else {
			w.commits(t, Commit{Generation: -1})
			w.shard(t).CommitInTransaction(stage, 5, 0, func([]wire.ErrorCode) {})
		}
		w.shard(t).host.EndTransaction(5, 0, record.Marker{Type: record.Commit}, func(wire.ErrorCode) {})
		w.settled()
		if got := w.shard(t).find("g").offsets.get("t", 0); int64(got.Offset) != want {
			t.Errorf("staged first %v: %d, want %d", stagedFirst, got.Offset, want)
		}
	}
}

// TestLoadedTailIsNotSafe: what a new leader finds above the high watermark is not told before it is committed (C1, C4).
func TestLoadedTailIsNotSafe(t *testing.T) {
	w := newWorld(t)
	w.shard(t).Commit(&Commit{Group: "g", Generation: -1, Retention: -1, Offsets: []Offset{{Topic: "t", Committed: Committed{Offset: 1}}}}, func(codes []wire.ErrorCode) {
		if codes[0] != wire.NotCoordinator {
			t.Errorf("the old leader's answer: %v", codes)
		}
	})
	w.elect(w.log.end)
	w.run()
	told := false
	w.shard(t).FetchOffsets(&FetchOffsets{Group: "g", Epoch: -1}, func(f FetchedOffsets) { told = f.Code == wire.None })
	w.groups.EndDrain()
	if told {
		t.Error("the tail is told before it is committed")
	}
	w.settled()
	if !told {
		t.Error("the tail is never told")
	}
}
