package disk

import (
	"fmt"
	"sync"

	"lignum/core/env"
)

// Jobs is the env.Jobs of production. A bounded number of workers serves any number of lanes: the jobs of one lane run
// one after another in the order of their start, lanes run side by side, and the lane that has waited longest goes next.
// A lane without jobs costs nothing, and workers start as they are first needed.
type Jobs struct {
	post func(done func())

	mu      sync.Mutex
	wake    sync.Cond // a lane is ready, or all is over
	idle    sync.Cond // no job is queued or runs
	lanes   map[env.Lane]*lane
	spare   []*lane
	ready   fifo[*lane]
	pending int // jobs queued or running
	workers int
	limit   int
	resting int // workers that wait and are not spoken for
	closed  bool
	ended   sync.WaitGroup
}

// lane is a lane that has jobs: in ready, or with a worker.
type lane struct {
	name env.Lane
	jobs fifo[func() func()]
}

// NewJobs returns a Jobs of at most the given number of workers. What jobs return is given to post, which must
// see to it that it is called on the loop; the completions of one lane are posted in order.
func NewJobs(workers int, post func(done func())) *Jobs {
	j := &Jobs{post: post, limit: max(1, workers), lanes: map[env.Lane]*lane{}}
	j.wake.L, j.idle.L = &j.mu, &j.mu
	return j
}

// Start runs the job off the loop.
func (j *Jobs) Start(name env.Lane, run func() (done func())) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		panic(fmt.Sprintf("disk: job started on lane %d after Close", name))
	}
	j.pending++
	l := j.lanes[name]
	if l != nil { // waiting or with a worker, who will look again
		l.jobs.push(run)
		return
	}
	if n := len(j.spare); n > 0 {
		l, j.spare = j.spare[n-1], j.spare[:n-1]
	} else {
		l = &lane{}
	}
	l.name = name
	l.jobs.push(run)
	j.lanes[name] = l
	j.ready.push(l)
	switch {
	case j.resting > 0:
		j.resting-- // one worker is spoken for
		j.wake.Signal()
	case j.workers < j.limit:
		j.workers++
		j.ended.Go(j.work)
	}
}

// work is one worker.
func (j *Jobs) work() {
	j.mu.Lock() // without defer: a job's panic must not meet the lock on its way
	for {
		for j.ready.len() == 0 {
			if j.closed {
				j.mu.Unlock()
				return
			}
			j.resting++
			j.wake.Wait()
		}
		l := j.ready.pop()
		run := l.jobs.pop()
		j.mu.Unlock()
		if done := run(); done != nil {
			j.post(done)
		}
		j.mu.Lock()
		j.finished(l)
	}
}

// finished puts the lane back in the row if it has more to do.
func (j *Jobs) finished(l *lane) {
	if l.jobs.len() > 0 {
		j.ready.push(l) // this worker takes the row's first lane next
	} else {
		delete(j.lanes, l.name)
		if len(j.spare) < j.limit {
			j.spare = append(j.spare, l)
		}
	}
	if j.pending--; j.pending == 0 {
		j.idle.Broadcast()
	}
}

// Close waits until every job has run, also those that are started meanwhile, and ends the workers. Start must
// not be called afterwards.
func (j *Jobs) Close() {
	j.mu.Lock()
	for j.pending > 0 {
		j.idle.Wait()
	}
	j.closed = true
	j.wake.Broadcast()
	j.mu.Unlock()
	j.ended.Wait()
}

// fifo is a queue that keeps its memory, up to a bound.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) {
	if q.head > 32 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

func (q *fifo[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	if q.head++; q.head == len(q.items) {
		q.head = 0
		if q.items = q.items[:0]; cap(q.items) > 1024 {
			q.items = nil
		}
	}
	return v
}
