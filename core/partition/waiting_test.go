package partition

import (
	"encoding/binary"
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
	gone bool // nobody waits
}

func (s *settled) Waits() bool { return !s.gone }

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

// TestAbandonedRequestsTakeNoRoom: followers are stuck, so the mark is, and producers whose time is over send again. Who still waits is told, once.
func TestAbandonedRequestsTakeNoRoom(t *testing.T) {
	const many = 200
	c, a, b, z := newScenario(t, 1)
	put := func(to Appender, index int) {
		t.Helper()
		batch := record.NewBuilder(record.None)
		c.next++
		batch.Append(record.Record{Timestamp: 1, Value: binary.BigEndian.AppendUint64(nil, c.next)})
		if _, refusal := a.p.Produce(batch.Build(), noTimestamp, AcksAll, c.clock.Wall(), to, index); refusal != nil {
			t.Fatal(refusal)
		}
	}
	live, gone := &settled{}, &settled{gone: true}
	for i := range many {
		if put(gone, i); i%(many/4) == 0 {
			put(live, i)
		}
	}
	if n := a.p.Waiting(); n > 64 {
		t.Errorf("%d are held back, of which 4 wait", n)
	}
	put(nil, 0)
	a.work(60)
	for range 3 {
		b.follow()
		z.follow()
	}
	c.inspect(a)
	if diff := cmp.Diff([]int{0, many / 4, many / 2, many / 4 * 3}, live.who); diff != "" || a.p.Waiting() != 0 {
		t.Errorf("told: %s; %d are held back", diff, a.p.Waiting())
	}
}

// TestAbandonedDeletesTakeNoRoom: the same of requests to delete records, while the leader's own disk is stuck, and then those of others.
func TestAbandonedDeletesTakeNoRoom(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(4)
	for _, n := range []*node{b, z} {
		n.follow()
	}
	told := map[record.Offset]int{}
	live := func(to record.Offset) {
		a.p.DeleteRecords(to, func() bool { return true }, func(low record.Offset, code wire.ErrorCode) {
			if told[to]++; code != wire.None || low < to {
				t.Errorf("%d: %v, the logs start at %d", to, code, low)
			}
		})
	}
	again := func(when string) {
		t.Helper()
		for i := range 2_000 {
			a.p.DeleteRecords(record.Offset(i%4), func() bool { return false }, func(record.Offset, wire.ErrorCode) {})
		}
		if n := a.p.Waiting(); n > 64 {
			t.Errorf("%s: %d are held back", when, n)
		}
	}
	live(2)
	again("own disk")
	live(3)
	a.work(60)
	if start := a.p.StartOffset(); start != 3 || len(told) > 0 {
		t.Fatalf("the log starts at %d, told %v", start, told)
	}
	again("others' disks")
	for _, n := range []*node{b, z} {
		n.exchange()
		n.work(30)
		n.exchange()
	}
	c.inspect(a)
	if told[2] != 1 || told[3] != 1 || a.p.Waiting() != 0 {
		t.Errorf("told %v, %d are held back", told, a.p.Waiting())
	}
}
