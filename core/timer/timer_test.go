package timer

import (
	"slices"
	"testing"

	"lignum/core/env"

	"pgregory.net/rapid"
)

// TestFiresInOrder compares the heap with a sorted list on random commands.
func TestFiresInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type plan struct {
			at    env.Instant
			order int
			id    int
		}
		var (
			q     Queue
			fired []int
			model []plan
			all   [8]Timer
			order int
			now   env.Instant
		)
		drop := func(id int) {
			model = slices.DeleteFunc(model, func(p plan) bool { return p.id == id })
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := rapid.IntRange(0, len(all)-1).Draw(t, "timer")
			switch rapid.IntRange(0, 3).Draw(t, "command") {
			case 0, 1:
				at := now + env.Instant(rapid.IntRange(1, 5).Draw(t, "delay"))
				order++
				drop(id)
				model = append(model, plan{at, order, id})
				q.Start(&all[id], at, func() { fired = append(fired, id) })
			case 2:
				drop(id)
				q.Stop(&all[id])
			case 3:
				now += env.Instant(rapid.IntRange(0, 4).Draw(t, "passed"))
				slices.SortFunc(model, func(a, b plan) int {
					if a.at != b.at {
						return int(a.at - b.at)
					}
					return a.order - b.order
				})
				var want []int
				for len(model) > 0 && model[0].at <= now {
					want = append(want, model[0].id)
					model = model[1:]
				}
				fired = nil
				q.Fire(now)
				if !slices.Equal(fired, want) {
					t.Fatalf("fired %v, want %v", fired, want)
				}
			}
			if q.Len() != len(model) {
				t.Fatalf("%d timers are set, want %d", q.Len(), len(model))
			}
		}
	})
}

// TestRenewalWaits shows that a timer that renews itself for the past does not hold the loop.
func TestRenewalWaits(t *testing.T) {
	var q Queue
	var timer Timer
	fired := 0
	var renew func()
	renew = func() {
		fired++
		q.Start(&timer, 1, renew)
	}
	q.Start(&timer, 1, renew)
	q.Fire(5)
	if fired != 1 || !timer.Set() || q.Deadline() != 6 {
		t.Fatalf("fired %d times, set %t, next at %d", fired, timer.Set(), q.Deadline())
	}
}
