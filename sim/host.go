package sim

import (
	"fmt"
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
)

// Ports is what a node is built from. All of it but the disk is new in every life.
type Ports struct {
	Clock   env.Clock
	Rand    env.Rand
	Memory  env.Memory
	Network env.Network
	Disk    env.Disk
	Jobs    env.Jobs
	Waker   env.Waker
}

// HostOptions describe a host.
type HostOptions struct {
	Name string
	// Boot builds the node of a new life. Everything that it remembers must come from the disk.
	Boot func(p Ports) env.Node
	// Decode makes a request of a frame, without its length. The request takes the frame's reference over; with an
	// error the caller keeps it, and the connection is closed.
	Decode   func(info env.ConnInfo, frame env.Buffer) (env.Request, error)
	Disk     DiskOptions // Seed and Actor are set by the world
	Wall     env.Millis  // time of day at the world's start
	MaxFrame int         // 0 means 100 MiB
	MaxReply int         // the same on connections that the node opened; 0 means 100 MiB, or MaxFrame if that is more
	InFlight int         // unanswered requests of one connection; 0 means 64

	// Listeners are what other hosts reach under "name:port"; none means one, PLAINTEXT at 9092.
	Listeners   []Listener
	MaxOutgoing int // connections that the node has opened; 0 means 1024
}

// Listener is a listener's name, and its port at the host.
type Listener struct {
	Name string
	Port int
}

func (o HostOptions) withDefaults(number uint32) HostOptions {
	if o.MaxFrame == 0 {
		o.MaxFrame = 100 << 20
	}
	if o.MaxReply == 0 {
		o.MaxReply = max(100<<20, o.MaxFrame)
	}
	if o.InFlight == 0 {
		o.InFlight = 64
	}
	if o.MaxOutgoing == 0 {
		o.MaxOutgoing = 1024
	}
	if o.Listeners == nil {
		o.Listeners = []Listener{{"PLAINTEXT", 9092}}
	}
	if o.Name == "" {
		o.Name = fmt.Sprintf("host-%d", number)
	}
	return o
}

// Host is a machine: a disk, and at times a process that runs an env.Node. It drives the node as the production
// loop does: it gives it all inputs that wait, calls Tick if the deadline has come or the node wanted to be woken, and
// then EndDrain.
type Host struct {
	world   *World
	number  uint32 // from 1
	options HostOptions
	disk    *Disk

	node     env.Node // nil while no process runs
	life     uint64
	memory   *Memory
	rand     Stream // the node's
	loopRand Stream
	jobRand  Stream
	steady   rated // the monotonic clock
	wall     rated // the time of day, in nanoseconds

	inbox, spare []input
	scheduled    bool // a drain is in the queue
	woken        bool
	timerAt      env.Instant
	spins        int
	pausedUntil  env.Instant

	lanes      map[env.Lane]*hostLane
	spareLanes []*hostLane
	active     []*worker
	crashIn    uint64 // I/O calls until crashWith
	crashWith  func()
	conns      []*end
}

// input is an entry of a node's mailbox.
type input struct {
	kind inputKind
	end  *end
	req  env.Request
	run  func()
}

type inputKind uint8

const (
	inputRun inputKind = iota
	inputConnected
	inputReceived
	inputDisconnected
)

// AddHost adds a host with an empty disk. It is not started.
func (w *World) AddHost(o HostOptions) *Host {
	number := uint32(len(w.hosts) + 1)
	o = o.withDefaults(number)
	o.Disk.Seed, o.Disk.Actor = w.options.Seed, uint64(number)
	h := &Host{
		world: w, number: number, options: o, disk: NewDisk(o.Disk), lanes: map[env.Lane]*hostLane{},
		loopRand: w.Stream(DomainLoop, uint64(number)), jobRand: w.Stream(DomainJobs, uint64(number)),
		memory: NewMemory(), wall: rated{base: int64(o.Wall) * int64(time.Millisecond)},
	}
	h.disk.schedule = h.inCall
	h.disk.observe = func(op Op, err error) { w.traceOp(h, op, err) }
	w.hosts = append(w.hosts, h)
	return h
}

func (w *World) traceOp(h *Host, op Op, err error) {
	if w.tell != nil {
		w.tellOp(h, op, err)
	}
	w.trace.Word(uint64(op.Kind) ^ op.Number<<8)
	w.trace.Word(uint64(op.Off))
	w.trace.Text(op.Path)
	for _, p := range op.data {
		w.trace.Bytes(p)
	}
	if err != nil {
		w.trace.Text(err.Error())
	}
}

// Name is the host's name.
func (h *Host) Name() string { return h.options.Name }

// Disk is the host's disk, for faults and for looking.
func (h *Host) Disk() *Disk { return h.disk }

// Memory is the memory of the present or the last life.
func (h *Host) Memory() *Memory { return h.memory }

// Running says whether there is a process.
func (h *Host) Running() bool { return h.node != nil }

// Life counts the processes that there were.
func (h *Host) Life() uint64 { return h.life }

// Reconfigure changes what the next life is built with.
func (h *Host) Reconfigure(boot func(p Ports) env.Node) { h.options.Boot = boot }

// Start begins a new life, unless one is under way.
func (h *Host) Start() {
	if h.node != nil {
		return
	}
	w := h.world
	h.life++
	actor := uint64(h.number)<<32 | h.life
	h.memory = NewMemory()
	h.rand = w.Stream(DomainNode, actor)
	h.steady = rated{since: w.now, base: int64(Draw(w.options.Seed, DomainClock, actor, 0) % (1 << 42)), drift: h.steady.drift}
	h.scheduled, h.woken, h.timerAt, h.spins = false, false, 0, 0
	w.guard(h, func() {
		h.node = h.options.Boot(Ports{
			Clock: (*hostClock)(h), Rand: &h.rand, Memory: h.memory, Network: (*hostNetwork)(h), Disk: h.disk,
			Jobs: (*hostJobs)(h), Waker: (*hostWaker)(h),
		})
	})
	h.drainSoon()
}

// Do has f called on the node's loop, as an input of its own; not at all if no process runs, or if it ends before.
func (h *Host) Do(f func()) {
	if h.node != nil {
		h.put(input{kind: inputRun, run: f})
	}
}

// Kill ends the process at once; the page cache stays.
func (h *Host) Kill() {
	h.crash(h.world.options.Network.Latency[1])
	h.disk.Kill()
}

// Power cuts the power: the process ends, and of what was not synced the seed keeps what it likes.
func (h *Host) Power() {
	h.crash(h.world.options.Network.Unnoticed)
	h.disk.Power()
}

// Wipe ends the process and empties the disk.
func (h *Host) Wipe() {
	h.crash(h.world.options.Network.Unnoticed)
	h.disk.Wipe()
}

// KillAt kills the process in its n-th I/O call from now, counted from 1.
func (h *Host) KillAt(n uint64) { h.crashIn, h.crashWith = n, h.Kill }

// PowerAt cuts the power in the n-th I/O call from now, counted from 1.
func (h *Host) PowerAt(n uint64) { h.crashIn, h.crashWith = n, h.Power }

// Pause stops the process for some time: then it goes on with all its timers overdue.
func (h *Host) Pause(d time.Duration) { h.pausedUntil = max(h.pausedUntil, h.world.now.Add(d)) }

// crash drops the node. Peers notice within the given time.
func (h *Host) crash(noticed time.Duration) {
	h.abandon()
	h.drop()
	for _, c := range h.conns {
		c.gone(noticed)
	}
	h.conns = h.conns[:0]
}

func (h *Host) drop() {
	h.node = nil
	h.crashIn, h.pausedUntil = 0, 0
	clear(h.inbox)
	h.inbox = h.inbox[:0]
}

// panicked is a node that stopped itself.
func (h *Host) panicked(value any, stack string) {
	f := Finding{Host: h.options.Name, Name: "panic", Message: fmt.Sprint(value), Stack: stack}
	if v, ok := value.(invariant.Violation); ok {
		f.Name, f.Message = "violation", v.Message
	}
	h.world.find(f)
	h.Kill()
}

// put adds an input to the mailbox.
func (h *Host) put(in input) {
	h.inbox = append(h.inbox, in)
	h.drainSoon()
}

// drainSoon schedules the loop's next round.
func (h *Host) drainSoon() {
	if h.scheduled || h.node == nil {
		return
	}
	h.scheduled = true
	d := h.loopRand.Between(1, 20*time.Microsecond)
	if h.loopRand.Below(1024) == 0 {
		d += h.loopRand.Between(0, 10*time.Millisecond)
	}
	h.world.push(h.world.now.Add(d), Event{Kind: EventDrain, Host: h.number, A: h.life})
}

func (h *Host) drainEvent(life uint64) {
	if life == h.life && h.node != nil {
		h.scheduled = false
		h.world.guard(h, h.drain)
	}
}

// drain is one round of the loop.
func (h *Host) drain() {
	batch, woken := h.inbox, h.woken
	h.inbox, h.woken = h.spare[:0], false
	for i := range batch {
		h.give(&batch[i])
	}
	if woken || h.node.Deadline() <= (*hostClock)(h).Now() {
		h.node.Tick()
	}
	h.node.EndDrain()
	h.countSpins(len(batch) == 0 && !woken)
	clear(batch)
	h.spare = batch[:0]
	h.rearm()
}

func (h *Host) give(in *input) {
	switch in.kind {
	case inputRun:
		in.run()
	case inputConnected:
		h.node.Connected(in.end.id, in.end.info)
	case inputReceived:
		h.node.Received(in.end.id, in.req)
	case inputDisconnected:
		h.node.Disconnected(in.end.id)
	}
}

// countSpins finds a node whose Tick does not move its deadline.
func (h *Host) countSpins(idle bool) {
	if !idle || h.node.Deadline() > (*hostClock)(h).Now() {
		h.spins = 0
		return
	}
	if h.spins++; h.spins > 1000 {
		invariant.Violated("the deadline has passed and a thousand Ticks did not move it")
	}
}

// rearm sees to it that the loop comes round again when it has to.
func (h *Host) rearm() {
	if len(h.inbox) > 0 || h.woken {
		h.drainSoon()
	}
	deadline := h.node.Deadline()
	if deadline == env.Never {
		h.timerAt = 0
		return
	}
	at := h.steady.reaches(int64(deadline))
	if at == env.Never {
		h.timerAt = 0
		return
	}
	if at <= h.world.now {
		h.drainSoon()
		return
	}
	if at != h.timerAt {
		h.timerAt = at
		h.world.push(at, Event{Kind: EventTimer, Host: h.number, A: h.life, B: uint64(at)})
	}
}

func (h *Host) timerEvent(life uint64, at env.Instant) {
	if life == h.life && h.timerAt == at {
		h.timerAt = 0
		h.drainSoon()
	}
}

// postpone puts an event off that a paused process cannot take part in.
func (h *Host) postpone(e Event) bool {
	if h.pausedUntil <= h.world.now {
		return false
	}
	switch e.Kind {
	case EventDrain, EventTimer, EventJob, EventEncode, EventFlush:
		at := h.pausedUntil
		if e.Kind == EventTimer && env.Instant(e.B) == h.timerAt {
			h.timerAt, e.B = at, uint64(at)
		}
		h.world.push(at, e)
		return true
	}
	return false
}

// hostWaker is a host's env.Waker.
type hostWaker Host

// Wake has Tick called soon.
func (k *hostWaker) Wake() {
	h := (*Host)(k)
	h.woken = true
	h.drainSoon()
}
