package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"lignum/core/env"
)

// Loop drives an env.Node from one goroutine. Its mailbox has no bound of its own: what goes in is bounded where it comes
// from, by the limits on connections, on requests and on jobs.
type Loop struct {
	clock   env.Clock
	drained []func() // called on the loop behind every EndDrain

	mu      sync.Mutex
	inbox   []input
	stopped bool // nothing is taken in any more

	asleep atomic.Bool
	wake   gate
	ticks  atomic.Bool // Wake was called
}

// input is one entry of the mailbox: a request, or else a function.
type input struct {
	conn env.ConnID
	req  env.Request
	run  func(env.Node)
}

// keepInbox is the largest mailbox, in inputs, that is kept for reuse.
const keepInbox = 1 << 14

// NewLoop returns a loop that takes inputs in but does not run yet.
func NewLoop(clock env.Clock) *Loop {
	return &Loop{clock: clock, wake: newGate()}
}

// OnDrained has f called on the loop after each EndDrain. It must be called before Run.
func (l *Loop) OnDrained(f func()) { l.drained = append(l.drained, f) }

// Post has f called on the loop. It reports whether it will be: a stopped loop takes nothing in.
func (l *Loop) Post(f func()) bool {
	return l.put(input{run: func(env.Node) { f() }})
}

// Wake has Tick called soon, on any goroutine; see env.Waker.
func (l *Loop) Wake() {
	l.ticks.Store(true)
	l.rouse()
}

// Stop makes Run return once all that is in the mailbox has been handled.
func (l *Loop) Stop() {
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.wake.open()
}

func (l *Loop) put(in ...input) bool {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return false
	}
	l.inbox = append(l.inbox, in...)
	l.mu.Unlock()
	l.rouse()
	return true
}

// rouse wakes the loop if it sleeps. A sleeper says so before it looks at the mailbox for the last time, so that
// either it sees what was put in or this sees that it sleeps.
func (l *Loop) rouse() {
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.wake.open()
	}
}

// Run drives the node until Stop.
func (l *Loop) Run(node env.Node) {
	var spare []input
	alarm := alarm{timer: time.NewTimer(time.Hour), at: env.Never}
	defer alarm.timer.Stop()
	for {
		batch, more := l.swap(spare)
		for i := range batch {
			batch[i].give(node)
		}
		if l.ticks.Swap(false) || node.Deadline() <= l.clock.Now() {
			node.Tick()
		}
		node.EndDrain()
		for _, f := range l.drained {
			f()
		}
		clear(batch)
		spare = batch[:0]
		if cap(spare) > keepInbox {
			spare = nil
		}
		if !more {
			return
		}
		l.sleep(&alarm, node.Deadline())
	}
}

func (in *input) give(node env.Node) {
	if in.run != nil {
		in.run(node)
		return
	}
	node.Received(in.conn, in.req)
}

// swap takes the mailbox's content and leaves spare in its place; more is false if it was the last.
func (l *Loop) swap(spare []input) (batch []input, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch, l.inbox = l.inbox, spare
	return batch, !l.stopped || len(batch) > 0
}

// sleep returns when there is something to do.
func (l *Loop) sleep(a *alarm, deadline env.Instant) {
	if l.busy() {
		return
	}
	now := l.clock.Now()
	if deadline <= now {
		return
	}
	l.asleep.Store(true)
	if l.busy() {
		l.asleep.Store(false)
		return
	}
	a.set(deadline, now)
	select {
	case <-l.wake:
	case <-a.timer.C:
		a.at = env.Never
	}
	l.asleep.Store(false)
}

func (l *Loop) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) > 0 || l.stopped || l.ticks.Load()
}

// alarm is a timer that is touched only when its time changes.
type alarm struct {
	timer *time.Timer
	at    env.Instant // when it rings; Never: not set, though the timer may ring once for nothing
}

func (a *alarm) set(at, now env.Instant) {
	if at == a.at {
		return
	}
	a.at = at
	if at == env.Never {
		a.timer.Stop()
		return
	}
	a.timer.Reset(at.Sub(now))
}
