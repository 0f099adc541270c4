package disk_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"lignum/core/env"
	"lignum/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loop collects completions, as a broker's mailbox does.
type loop struct {
	mu    sync.Mutex
	inbox []func()
}

func (l *loop) post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inbox = append(l.inbox, f)
}

func (l *loop) drain() {
	l.mu.Lock()
	inbox := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range inbox {
		f()
	}
}

func TestJobsKeepTheOrderOfALane(t *testing.T) {
	var l loop
	j := disk.NewJobs(4, l.post)
	const lanes, each = 50, 200
	var running [lanes]atomic.Int32
	var ran, done [lanes]int
	for _, k := range rand.Perm(lanes * each) {
		lane := k % lanes
		j.Start(env.Lane(lane), func() func() {
			if running[lane].Add(1) != 1 {
				t.Error("two jobs of one lane at a time")
			}
			n := ran[lane]
			ran[lane]++
			running[lane].Add(-1)
			return func() {
				if done[lane] != n {
					t.Errorf("lane %d: completion %d after %d", lane, n, done[lane])
				}
				done[lane]++
			}
		})
	}
	j.Close()
	l.drain()
	for lane := range lanes {
		if ran[lane] != each || done[lane] != each {
			t.Errorf("lane %d: %d of %d ran, %d done", lane, ran[lane], each, done[lane])
		}
	}
}

func TestJobsRunInTheOrderOfTheirStart(t *testing.T) {
	j := disk.NewJobs(8, func(func()) {})
	var got []int
	for i := range 1000 {
		j.Start(7, func() func() {
			got = append(got, i)
			return nil
		})
	}
	j.Close()
	for i, v := range got {
		if v != i {
			t.Fatalf("job %d ran as number %d", v, i)
		}
	}
	if len(got) != 1000 {
		t.Errorf("%d jobs ran", len(got))
	}
}

func TestLanesRunSideBySide(t *testing.T) {
	j := disk.NewJobs(3, func(func()) {})
	var all sync.WaitGroup
	all.Add(3)
	for lane := range env.Lane(3) {
		j.Start(lane, func() func() {
			all.Done()
			all.Wait() // returns only if all three run at once
			return nil
		})
	}
	j.Close()
}

func TestABusyLaneDoesNotStarveOthers(t *testing.T) {
	j := disk.NewJobs(1, func(func()) {})
	gate := make(chan struct{})
	var order []env.Lane
	add := func(l env.Lane) {
		j.Start(l, func() func() {
			<-gate
			order = append(order, l)
			return nil
		})
	}
	for range 100 {
		add(1)
	}
	add(2)
	close(gate)
	j.Close()
	for i, l := range order {
		if l == 2 && i > 2 {
			t.Errorf("the other lane came as number %d", i)
		}
	}
}

func TestCloseWaitsForJobsThatJobsStart(t *testing.T) {
	j := disk.NewJobs(2, func(f func()) { f() })
	ran := false
	j.Start(1, func() func() {
		return func() { j.Start(2, func() func() { ran = true; return nil }) }
	})
	j.Close()
	if !ran {
		t.Error("a job that a completion started did not run")
	}
	defer func() {
		if recover() == nil {
			t.Error("a start after Close goes unnoticed")
		}
	}()
	j.Start(1, func() func() { return nil })
}

func BenchmarkJobs(b *testing.B) {
	j := disk.NewJobs(4, func(f func()) { f() })
	done := make(chan struct{}, 1)
	f := func() { done <- struct{}{} }
	run := func() func() { return f }
	b.ReportAllocs()
	for b.Loop() {
		j.Start(1, run)
		<-done
	}
	j.Close()
}
