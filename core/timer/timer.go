// Package timer keeps deadlines in order: a heap of timers that the loop asks for the next one.
//
// Timers with equal deadlines fire in the order in which they were set, so that the order of firing is a
// function of the inputs alone.
package timer

import "lignum/core/env"

// Timer is one pending deadline. The zero value is not set. It must not be copied while it is set.
type Timer struct {
	at    env.Instant
	order uint64 // position among equal deadlines
	place int    // index in the heap plus one; 0 if not set
	fire  func()
}

// Set reports whether the timer is waiting to fire.
func (t *Timer) Set() bool { return t.place != 0 }

// Queue holds the timers of one node. The zero value is empty and ready for use.
type Queue struct {
	heap  []*Timer
	order uint64
	after env.Instant // a timer fires later than this; the instant of the Fire under way, or of the last one
}

// Len is the number of timers that are set.
func (q *Queue) Len() int { return len(q.heap) }

// Start sets t to call fire at the given instant, or just after the last Fire if that has passed: a timer that renews
// itself cannot hold the loop. A timer that is set already is moved.
func (q *Queue) Start(t *Timer, at env.Instant, fire func()) {
	q.Stop(t)
	q.order++
	t.at, t.order, t.fire = max(at, q.after.Add(1)), q.order, fire
	q.heap = append(q.heap, t)
	t.place = len(q.heap)
	q.up(len(q.heap) - 1)
}

// Stop unsets t; stopping a timer that is not set does nothing.
func (q *Queue) Stop(t *Timer) {
	if t.place == 0 {
		return
	}
	i, last := t.place-1, len(q.heap)-1
	q.swap(i, last)
	q.heap[last] = nil
	q.heap = q.heap[:last]
	t.place, t.fire = 0, nil
	if i < last {
		q.down(i)
		q.up(i)
	}
}

// Deadline is when the next timer fires, or env.Never.
func (q *Queue) Deadline() env.Instant {
	if len(q.heap) == 0 {
		return env.Never
	}
	return q.heap[0].at
}

// Fire calls every timer that is due.
func (q *Queue) Fire(now env.Instant) {
	q.after = now
	for len(q.heap) > 0 && q.heap[0].at <= now {
		t := q.heap[0]
		fire := t.fire
		q.Stop(t)
		fire()
	}
}

func (q *Queue) less(i, j int) bool {
	a, b := q.heap[i], q.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (q *Queue) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.heap[i].place, q.heap[j].place = i+1, j+1
}

func (q *Queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *Queue) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(q.heap) {
			return
		}
		if right := least + 1; right < len(q.heap) && q.less(right, least) {
			least = right
		}
		if !q.less(least, i) {
			return
		}
		q.swap(i, least)
		i = least
	}
}
