package sim

import (
	"fmt"
	"runtime/debug"
	"time"

	"lignum/core/env"
)

// Options describe a world.
type Options struct {
	Seed    uint64
	Network NetworkOptions
	Jobs    JobOptions
}

// World is one story: hosts, connections and a queue of events on virtual time. It runs on the goroutine of its
// caller, and must be closed.
type World struct {
	options  Options
	now      env.Instant
	seq      uint64
	steps    uint64
	queue    queue
	trace    Trace
	observe  func(Event)
	tell     func(Line)
	hosts    []*Host
	conns    map[env.ConnID]*Conn
	lastConn env.ConnID
	// listening is where the workload accepts connections, by address.
	listening map[string]site
	links     map[way]Link // that are not as everywhere
	sites     uint32
	network   [networkFaults]uint64
	scratch   []byte // of a send
	calls     []func()
	freeCall  []uint64
	current   *worker   // the job that runs
	guarded   *Host     // whose code runs, on its loop or at its edge
	workers   []*worker // all that ever were; a worker's number is its place
	resting   []*worker
	findings  []Finding
}

// Finding is something that must not be.
type Finding struct {
	Seed    uint64
	At      env.Instant
	Host    string // "" if it concerns no host
	Name    string // of the invariant; "panic" for what a node stopped with
	Message string
	Stack   string // of a panic
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("seed %d at %d.%09ds %s %s: %s", f.Seed, f.At/1e9, f.At%1e9, f.Host, f.Name, f.Message)
}

// NewWorld returns a world in which nothing has happened.
func NewWorld(o Options) *World {
	o.Network = o.Network.withDefaults()
	o.Jobs = o.Jobs.withDefaults()
	return &World{options: o, conns: map[env.ConnID]*Conn{}, links: map[way]Link{}, listening: map[string]site{}}
}

// Seed is the number that the whole story comes from.
func (w *World) Seed() uint64 { return w.options.Seed }

// Now is the virtual time since the start.
func (w *World) Now() env.Instant { return w.now }

// Steps is how many events there were.
func (w *World) Steps() uint64 { return w.steps }

// Trace is the hash over everything so far.
func (w *World) Trace() Trace { return w.trace }

// Note adds something that a workload did or saw to the trace.
func (w *World) Note(x uint64) { w.trace.Word(x) }

// Observe calls f with every event before it happens, to tell the story; nil stops it.
func (w *World) Observe(f func(Event)) { w.observe = f }

// Stream is the stream of draws of a workload's actor. Domains for workloads begin at DomainUser.
func (w *World) Stream(d Domain, actor uint64) Stream { return NewStream(w.options.Seed, d, actor) }

// Findings is what was found so far.
func (w *World) Findings() []Finding { return w.findings }

// Fail reports the violation of an invariant that a checker watches.
func (w *World) Fail(name, format string, args ...any) {
	w.find(Finding{Name: name, Message: fmt.Sprintf(format, args...)})
}

func (w *World) find(f Finding) {
	f.Seed, f.At = w.options.Seed, w.now
	w.trace.Text(f.Name)
	w.findings = append(w.findings, f)
}

func (w *World) push(at env.Instant, e Event) {
	w.seq++
	e.At, e.seq = max(at, w.now), w.seq
	w.queue.push(e)
}

// At has f called at an instant; past ones mean now.
func (w *World) At(when env.Instant, f func()) {
	slot := uint64(len(w.calls))
	if n := len(w.freeCall); n > 0 {
		slot, w.freeCall = w.freeCall[n-1], w.freeCall[:n-1]
		w.calls[slot] = f
	} else {
		w.calls = append(w.calls, f)
	}
	w.push(when, Event{Kind: EventCall, A: slot})
}

// After has f called when the time has passed.
func (w *World) After(d time.Duration, f func()) { w.At(w.now.Add(d), f) }

// Step lets the next event happen; false if there is none, or none up to the instant.
func (w *World) Step(until env.Instant) bool {
	if len(w.queue.heap) == 0 || w.queue.heap[0].At > until {
		return false
	}
	e := w.queue.pop()
	w.now = e.At
	w.steps++
	w.trace.Word(uint64(e.At))
	w.trace.Word(uint64(e.Kind)<<32 | uint64(e.Host))
	w.trace.Word(e.A)
	w.trace.Word(e.B)
	if w.observe != nil {
		w.observe(e)
	}
	if w.tell != nil {
		w.tell(w.Describe(e))
	}
	w.happen(e)
	return true
}

// Run lets everything happen up to the instant, and moves the time there.
func (w *World) Run(until env.Instant) {
	for w.Step(until) {
	}
	w.now = max(w.now, until)
}

func (w *World) happen(e Event) {
	if e.Kind == EventCall {
		f := w.calls[e.A]
		w.calls[e.A] = nil
		w.freeCall = append(w.freeCall, e.A)
		f()
		return
	}
	if e.Host != 0 && w.hosts[e.Host-1].postpone(e) {
		return
	}
	switch e.Kind {
	case EventDrain:
		w.hosts[e.Host-1].drainEvent(e.A)
	case EventTimer:
		w.hosts[e.Host-1].timerEvent(e.A, env.Instant(e.B))
	case EventJob:
		w.workers[e.A].event(e.B)
	default:
		w.connEvent(e)
	}
}

// Power cuts the power of several hosts at one instant.
func (w *World) Power(hosts ...*Host) {
	for _, h := range hosts {
		h.Power()
	}
}

// Kill ends the processes of several hosts at one instant.
func (w *World) Kill(hosts ...*Host) {
	for _, h := range hosts {
		h.Kill()
	}
}

// Close ends the world: hosts are dropped, and nothing of it runs any more.
func (w *World) Close() {
	for _, h := range w.hosts {
		h.abandon()
		h.drop()
	}
	for _, k := range w.workers {
		k.stop()
	}
	w.workers, w.resting = nil, nil
	w.queue.heap = nil
}

// guard runs what belongs to a host; a panic there is the host's crash and a finding.
func (w *World) guard(h *Host, f func()) {
	w.guarded = h
	defer func() {
		w.guarded = nil
		if r := recover(); r != nil {
			h.panicked(r, string(debug.Stack()))
		}
	}()
	f()
}

// Twins runs two worlds in step and returns an error that names the first event in which they differ.
func Twins(a, b *World, until env.Instant) error {
	var eventA, eventB Event
	a.Observe(func(e Event) { eventA = e })
	b.Observe(func(e Event) { eventB = e })
	for {
		moreA, moreB := a.Step(until), b.Step(until)
		switch {
		case a.trace != b.trace || moreA != moreB:
			return fmt.Errorf("seed %d tells two stories from event %d on: %s and %s", a.options.Seed, a.steps, a.title(eventA), b.title(eventB))
		case !moreA:
			return nil
		}
	}
}
