package partition

import (
	"testing"

	"lignum/core/record"
	"lignum/core/wire"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// settled notes who was told what.
type settled struct {
	told []wire.ErrorCode
	who  []int
}

func (s *settled) Settled(index int, code wire.ErrorCode) {
	s.who, s.told = append(s.who, index), append(s.told, code)
}

// TestProducesAreReleasedUpToTheMark compares the queue with a list: each request is settled exactly once, in order, and not
// before the mark has passed it.
func TestProducesAreReleasedUpToTheMark(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			q         produceQueue
			s         settled
			want      []int
			ends      []record.Offset
			end, mark record.Offset
		)
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "append") {
				end += record.Offset(rapid.IntRange(1, 3).Draw(t, "records"))
				q.all.push(pendingProduce{end: end, to: &s, index: len(ends)})
				ends = append(ends, end)
				continue
			}
			mark = record.Offset(rapid.Int64Range(int64(mark), int64(end)).Draw(t, "mark"))
			q.committed(mark)
			for len(want) < len(ends) && ends[len(want)] <= mark {
				want = append(want, len(want))
			}
			if diff := cmp.Diff(want, s.who); diff != "" {
				t.Fatal(diff)
			}
		}
		q.failAll(wire.NotLeaderOrFollower)
		if len(s.who) != len(ends) {
			t.Fatalf("%d of %d were told", len(s.who), len(ends))
		}
		for i, code := range s.told {
			if failed := i >= len(want); failed != (code == wire.NotLeaderOrFollower) {
				t.Fatalf("request %d was told %v", i, code)
			}
		}
	})
}

// TestWatchFiresOnce, whichever of its partitions has the news, and not after it was cancelled.
func TestWatchFiresOnce(t *testing.T) {
	var a, b watchList
	fired := 0
	w := NewWatch(func() { fired++ })
	a.add(w)
	b.add(w)
	b.wake()
	a.wake()
	b.wake()
	if fired != 1 {
		t.Errorf("fired %d times", fired)
	}
	w = NewWatch(func() { t.Error("fired after it was cancelled") })
	a.add(w)
	w.Cancel()
	a.wake()
}

// TestWatchesThatAreGoneTakeNoRoom: a partition without news, which readers ask for again and again.
func TestWatchesThatAreGoneTakeNoRoom(t *testing.T) {
	var l watchList
	live := NewWatch(func() {})
	l.add(live)
	for range 10_000 {
		w := NewWatch(func() {})
		l.add(w)
		w.Cancel()
	}
	if len(l.list) > 64 {
		t.Errorf("the list has %d watches, one of which is alive", len(l.list))
	}
	again := 0
	rearm := NewWatch(nil)
	rearm.fire = func() { again++; l.add(NewWatch(func() { again += 100 })) }
	l.add(rearm)
	l.wake()
	if again != 1 {
		t.Errorf("a watch that was put on while others fired has fired too: %d", again)
	}
	l.wake()
	if again != 101 {
		t.Errorf("it fires at the next news: %d", again)
	}
}
