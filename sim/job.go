package sim

import (
	"iter"
	"runtime/debug"
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
)

// JobOptions say how long jobs take on virtual time. Zero values mean the defaults.
type JobOptions struct {
	// Start is the longest that a job waits for a worker; 0 means 200 us.
	Start time.Duration
	// Speed multiplies what each I/O call takes, in percent; 0 means 100.
	Speed int64
	// StuckRate is how many calls in a million hang for up to Stuck.
	StuckRate int64
	Stuck     time.Duration
}

func (o JobOptions) withDefaults() JobOptions {
	if o.Start == 0 {
		o.Start = 200 * time.Microsecond
	}
	if o.Speed == 0 {
		o.Speed = 100
	}
	return o
}

// slowest bounds what a slow call takes.
const slowest = 8 * time.Second

// ioTimes bound what a call takes when nothing is wrong.
var ioTimes = [...][2]time.Duration{
	OpOpen:     {5 * time.Microsecond, 100 * time.Microsecond},
	OpRemove:   {5 * time.Microsecond, 200 * time.Microsecond},
	OpRename:   {5 * time.Microsecond, 100 * time.Microsecond},
	OpMkdir:    {5 * time.Microsecond, 100 * time.Microsecond},
	OpReadDir:  {5 * time.Microsecond, 200 * time.Microsecond},
	OpSyncDir:  {200 * time.Microsecond, 4 * time.Millisecond},
	OpUsage:    {time.Microsecond, 20 * time.Microsecond},
	OpRead:     {2 * time.Microsecond, 300 * time.Microsecond},
	OpWrite:    {2 * time.Microsecond, 100 * time.Microsecond},
	OpTruncate: {5 * time.Microsecond, 200 * time.Microsecond},
	OpSize:     {time.Microsecond, 5 * time.Microsecond},
	OpSync:     {200 * time.Microsecond, 4 * time.Millisecond},
	OpClose:    {time.Microsecond, 20 * time.Microsecond},
}

// worker runs one job at a time as a coroutine: the job stands still in each of its I/O calls until the event for it
// comes. A node's crash abandons the job where it stands.
type worker struct {
	world  *World
	number uint64
	turn   uint64 // events of earlier turns are void
	host   *Host
	lane   env.Lane

	resume func() (struct{}, bool)
	halt   func()
	yield  func(struct{}) bool

	run      func() func()
	done     func()
	begun    bool // the job runs or stands in a call
	finished bool
	leaving  bool // abandoned: the coroutine unwinds
	op       Op   // the call that it stands in
	delay    time.Duration
	stuck    bool // the call does not return by itself
	failure  any
	stack    string
}

// abandoned is what an abandoned job's call panics with, to end its goroutine.
type abandoned struct{}

func (w *World) takeWorker() *worker {
	if n := len(w.resting); n > 0 {
		k := w.resting[n-1]
		w.resting = w.resting[:n-1]
		return k
	}
	k := &worker{world: w, number: uint64(len(w.workers))}
	w.workers = append(w.workers, k)
	return k
}

func (k *worker) rest() {
	k.turn++
	k.host, k.run, k.done, k.begun, k.finished = nil, nil, nil, false, false
	k.op, k.stuck, k.failure, k.stack = Op{}, false, nil, ""
	k.world.resting = append(k.world.resting, k)
}

func (k *worker) wakeAfter(d time.Duration) {
	k.world.push(k.world.now.Add(d), Event{Kind: EventJob, Host: k.host.number, A: k.number, B: k.turn})
}

// event lets the job go on to its next call, or to its end.
func (k *worker) event(turn uint64) {
	if turn != k.turn {
		return
	}
	w := k.world
	if k.resume == nil {
		k.resume, k.halt = iter.Pull(k.body)
	}
	k.begun = true
	w.current = k
	k.resume()
	w.current = nil
	if !k.finished {
		if !k.stuck {
			k.wakeAfter(k.delay)
		}
		return
	}
	h, done, failure, stack := k.host, k.done, k.failure, k.stack
	h.jobEnded(k)
	k.rest()
	switch {
	case failure != nil:
		h.panicked(failure, stack)
	case done != nil:
		h.put(input{run: done})
	}
}

// body is the coroutine.
func (k *worker) body(yield func(struct{}) bool) {
	k.yield = yield
	for {
		k.work()
		if k.leaving || !yield(struct{}{}) {
			return
		}
	}
}

func (k *worker) work() {
	defer func() {
		if r := recover(); r != nil && !k.leaving {
			k.failure, k.stack = r, string(debug.Stack())
		}
		k.finished = true
	}()
	k.done = k.run()
}

// stop ends the coroutine, wherever the job stands.
func (k *worker) stop() {
	if k.resume == nil {
		return
	}
	k.leaving = true
	k.halt()
	k.leaving, k.resume, k.halt, k.yield = false, nil, nil, nil
}

// inCall is where a job stands still: it is the gate in front of every call of the host's disk.
func (h *Host) inCall(op Op) {
	k := h.world.current
	if k == nil || k.host != h {
		if op.Kind == OpClose || h.world.guarded == nil {
			return // a reference that the loop or the network gave up, or a scenario that looks
		}
		invariant.Violated("%s %s on the loop: files belong into jobs", op.Kind, op.Path)
	}
	k.op = op
	k.delay = h.callTime(op)
	switch r := &h.disk.options.Rates; {
	case h.disk.hits(r.Stuck):
		k.stuck = true
		h.disk.strike(FaultStuck)
	case h.disk.hits(r.Slow):
		k.delay += h.disk.faultRand.Between(time.Second, slowest)
		h.disk.strike(FaultSlow)
	}
	if h.crashIn > 0 {
		if h.crashIn--; h.crashIn == 0 {
			k.delay = max(k.delay, 1)
			h.world.At(h.world.now, h.crashWith)
		}
	}
	if !k.yield(struct{}{}) {
		panic(abandoned{})
	}
	k.op = Op{}
}

// Stuck is how many calls of the host stand still and will not return.
func (h *Host) Stuck() (n int) {
	for _, k := range h.active {
		if k.stuck {
			n++
		}
	}
	return n
}

// Unstick lets the calls that stand still go on, as a device does that comes back.
func (h *Host) Unstick() {
	for _, k := range h.active {
		if k.stuck {
			k.stuck = false
			k.wakeAfter(k.delay)
		}
	}
}

func (h *Host) callTime(op Op) time.Duration {
	o := &h.world.options.Jobs
	limits := ioTimes[op.Kind]
	d := h.jobRand.Between(limits[0], limits[1])
	switch h.jobRand.Below(128) {
	case 0:
		d *= 20
	case 1:
		d = 1
	}
	d = d * time.Duration(o.Speed) / 100
	if o.StuckRate > 0 && h.jobRand.Chance(o.StuckRate) {
		d += h.jobRand.Between(0, o.Stuck)
		h.disk.strike(FaultSlow)
	}
	return max(d, 1)
}

// hostJobs is a host's env.Jobs.
type hostJobs Host

// hostLane is a lane that has a job.
type hostLane struct {
	waiting []func() func()
}

// Start runs the job when the seed wants it.
func (j *hostJobs) Start(lane env.Lane, run func() (done func())) {
	h := (*Host)(j)
	if h.world.current != nil {
		invariant.Violated("a job starts a job: that is the loop's part")
	}
	if l := h.lanes[lane]; l != nil {
		l.waiting = append(l.waiting, run)
		return
	}
	if n := len(h.spareLanes); n > 0 {
		h.lanes[lane] = h.spareLanes[n-1]
		h.spareLanes = h.spareLanes[:n-1]
	} else {
		h.lanes[lane] = &hostLane{}
	}
	h.begin(lane, run)
}

func (h *Host) begin(lane env.Lane, run func() func()) {
	k := h.world.takeWorker()
	k.host, k.lane, k.run = h, lane, run
	h.active = append(h.active, k)
	k.wakeAfter(h.jobRand.Between(1, h.world.options.Jobs.Start))
}

// jobEnded makes room for the lane's next job.
func (h *Host) jobEnded(k *worker) {
	for i, other := range h.active {
		if other == k {
			h.active = append(h.active[:i], h.active[i+1:]...)
			break
		}
	}
	l := h.lanes[k.lane]
	if len(l.waiting) == 0 {
		delete(h.lanes, k.lane)
		h.spareLanes = append(h.spareLanes, l)
		return
	}
	run := l.waiting[0]
	n := copy(l.waiting, l.waiting[1:])
	l.waiting[n] = nil
	l.waiting = l.waiting[:n]
	h.begin(k.lane, run)
}

// abandon ends all jobs where they stand. A write that was under way may have been done in part.
func (h *Host) abandon() {
	h.disk.down = true
	active := h.active
	h.active = nil
	for _, k := range active {
		if k.begun && k.op.Kind == OpWrite && k.op.file.life == h.disk.life {
			h.disk.cutOff(k.op)
		}
	}
	for _, k := range active {
		if k.begun {
			k.stop()
		}
		k.rest()
	}
	clear(h.lanes)
}
