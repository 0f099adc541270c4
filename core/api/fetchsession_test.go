package api

import (
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/wire"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type counter uint64

func (c *counter) Uint64() uint64 { *c++; return uint64(*c) << 33 }

func parts(indexes ...int32) (list []*fetchPart) {
	for _, i := range indexes {
		list = append(list, &fetchPart{key: fetchKey{name: "t", index: i}})
	}
	return list
}

func (f *fetchSession) indexes() (list []int32) {
	for _, p := range f.order {
		if p != nil {
			list = append(list, p.key.index)
		}
	}
	return list
}

// TestSessionsMakeRoom: a new session takes the place of the one that was idle for longest, if that is long enough.
func TestSessionsMakeRoom(t *testing.T) {
	var rand counter
	s := newFetchSessions(2)
	at := func(d time.Duration) env.Instant { return env.Instant(d) }
	a := s.open(parts(0), false, &rand, at(0))
	b := s.open(parts(0), false, &rand, at(time.Second))
	if s.open(parts(0), false, &rand, at(time.Minute)) != nil {
		t.Error("a session was replaced before it was idle for long")
	}
	if _, code := s.resume(a.id, 1, false, at(time.Minute)); code != wire.None {
		t.Errorf("resume: %v", code)
	}
	c := s.open(parts(0), false, &rand, at(2*time.Minute+time.Second))
	if c == nil {
		t.Fatal("the idle session was not replaced")
	}
	if _, code := s.resume(b.id, 1, false, at(3*time.Minute)); code != wire.FetchSessionIDNotFound {
		t.Errorf("the replaced session: %v", code)
	}
	if _, code := s.resume(a.id, 2, true, at(3*time.Minute)); code != wire.FetchSessionTopicIDError {
		t.Errorf("names and ids mixed: %v", code)
	}
	for _, epoch := range []int32{-2, 1, 3, 7} {
		if _, code := s.resume(a.id, epoch, false, at(3*time.Minute)); code != wire.InvalidFetchSessionEpoch {
			t.Errorf("epoch %d in a session that goes on with 2: %v", epoch, code)
		}
	}
	a.epoch = 1<<31 - 1
	if _, code := s.resume(a.id, 1<<31-1, false, at(3*time.Minute)); code != wire.None || a.epoch != 1 {
		t.Errorf("behind the last epoch comes %d (%v), want 1", a.epoch, code)
	}
}

// TestSessionOrder compares a session's rotation with a plain list.
func TestSessionOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rand counter
		f := newFetchSessions(1).open(nil, false, &rand, 0)
		var want []int32
		remove := func(index int32) (found bool) {
			for i, w := range want {
				if w == index {
					want = append(want[:i:i], want[i+1:]...)
					return true
				}
			}
			return false
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			index := rapid.Int32Range(0, 7).Draw(t, "partition")
			key := fetchKey{name: "t", index: index}
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if f.parts[key] == nil {
					want = append(want, index)
				}
				f.put(parts(index)[0])
			case 1:
				remove(index)
				f.forget(key)
			case 2:
				if p := f.parts[key]; p != nil {
					remove(index)
					want = append(want, index)
					f.toTheBack(p)
				}
			}
			if diff := cmp.Diff(len(want), len(f.indexes())); diff != "" {
				t.Fatal(diff)
			}
			if len(want) > 0 && !cmp.Equal(want, f.indexes()) {
				t.Fatal(cmp.Diff(want, f.indexes()))
			}
			if len(f.order) > 2*len(want)+2 {
				t.Fatalf("%d places for %d partitions", len(f.order), len(want))
			}
		}
	})
}
