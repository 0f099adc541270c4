package sim

import (
	"time"

	"lignum/core/env"
)

// Lanes is an env.Jobs for unit tests, without a world: a started job waits until Step or Drain runs it, whole and at
// once. The lane that goes next is the seed's choice; jobs of one lane keep their order.
type Lanes struct {
	rand  Stream
	queue []laneJob
}

type laneJob struct {
	lane env.Lane
	run  func() func()
}

// NewLanes returns a Lanes without jobs.
func NewLanes(seed uint64) *Lanes {
	return &Lanes{rand: NewStream(seed, DomainJobs, 0)}
}

// Start queues a job.
func (l *Lanes) Start(lane env.Lane, run func() (done func())) {
	l.queue = append(l.queue, laneJob{lane: lane, run: run})
}

// Waiting is how many jobs have not run.
func (l *Lanes) Waiting() int { return len(l.queue) }

// Step runs one job and then the function that it returned; false if there was no job.
func (l *Lanes) Step() bool {
	if len(l.queue) == 0 {
		return false
	}
	next := int(l.rand.Below(int64(len(l.queue))))
	for i, j := range l.queue[:next] {
		if j.lane == l.queue[next].lane {
			next = i
			break
		}
	}
	j := l.queue[next]
	l.queue = append(l.queue[:next], l.queue[next+1:]...)
	if done := j.run(); done != nil {
		done()
	}
	return true
}

// Drain runs jobs, also those that are started meanwhile, until none waits.
func (l *Lanes) Drain() {
	for l.Step() {
	}
}

// ManualClock is an env.Clock for unit tests: it stands still until it is told to move.
type ManualClock struct {
	now  env.Instant
	wall env.Millis
	rest time.Duration
}

// NewClock returns a clock whose wall time is given.
func NewClock(wall env.Millis) *ManualClock { return &ManualClock{wall: wall} }

// Now is the monotonic time.
func (c *ManualClock) Now() env.Instant { return c.now }

// Wall is the time of day.
func (c *ManualClock) Wall() env.Millis { return c.wall }

// Advance moves both times on.
func (c *ManualClock) Advance(d time.Duration) {
	c.now = c.now.Add(d)
	c.rest += d
	c.wall += env.Millis(c.rest / time.Millisecond)
	c.rest %= time.Millisecond
}

// Jump moves the time of day alone, either way.
func (c *ManualClock) Jump(millis env.Millis) { c.wall += millis }
