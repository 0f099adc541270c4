package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lignum/core/broker"
	"lignum/core/env"
	"lignum/core/quorum"
	"lignum/core/storage"
	"lignum/sim"
)

// faultKind is a fault that a seed can choose: a name for people, and what it does.
type faultKind struct {
	name   string
	strike func(*faults)
}

// singleKinds are the faults of the scenario "single".
var singleKinds = []faultKind{
	{"kill", func(f *faults) { f.crash("kill", f.s.host.Kill) }},
	{"power", func(f *faults) { f.power() }},
	{"kill in a call", func(f *faults) { f.arm("kill in a call", f.s.host.KillAt) }},
	{"power in a call", func(f *faults) { f.arm("power in a call", f.s.host.PowerAt) }},
	{"stop", func(f *faults) { f.stop() }},
	{"pause", func(f *faults) { f.pause() }},
	{"clock jump", func(f *faults) { f.jump() }},
	{"break", func(f *faults) { f.breakSome() }},
	{"clog", func(f *faults) { f.clogSome() }},
	{"cut", func(f *faults) { f.cut() }},
	{"drift", func(f *faults) { f.drift() }},
	{"sync errors", func(f *faults) { f.disk(sim.Rates{Sync: f.rate()}) }},
	{"write errors", func(f *faults) { f.disk(sim.Rates{Write: f.rate()}) }},
	{"read errors", func(f *faults) { f.disk(sim.Rates{Read: f.rate()}) }},
	{"close errors", func(f *faults) { f.disk(sim.Rates{Close: f.rate()}) }},
	{"space errors", func(f *faults) { f.disk(sim.Rates{Space: f.rate()}) }},
	{"full disk", func(f *faults) { f.fill() }},
	{"short transfers", func(f *faults) { f.disk(sim.Rates{ShortRead: 10 * f.rate() / 4, ShortWrite: 10 * f.rate() / 4}) }},
	{"slow calls", func(f *faults) { f.disk(sim.Rates{Slow: f.rate() / 10}) }},
	{"stop on a sick disk", func(f *faults) { f.sickStop() }},
	{"stuck calls", func(f *faults) { f.disk(sim.Rates{Stuck: f.rate() / 10}) }},
}

// singleFaults are the kinds that happen in the scenario "single".
var singleFaults = []string{
	"kill", "power", "kill in a call", "power in a call", "stop", "fail-stop", "pause", "clock jump", "break", "clog", "cut", "drift", "full disk",
	"read errors", "write errors", "sync errors", "close errors", "space errors", "short reads", "short writes", "slow calls", "stuck calls",
	"lost names", "lost truncations", "lost growths", "lost sectors", "torn sectors",
}

// maxJump is how far the host's time of day may be away from the clients': less than a topic tolerates.
const maxJump = 50 * time.Minute

// faults is who strikes.
type faults struct {
	s      *single
	rand   sim.Stream
	on     []faultKind // that this seed strikes with
	pace   time.Duration
	counts map[string]uint64

	powers     uint64 // power cuts that were noticed
	armed      string // what shall happen in a call of the present life
	loading    bool   // strikes also while the broker loads
	restarting bool
	windows    int // of disk errors that are open
	full       bool
	lifeErrors uint64     // errors of the disk before the present life
	excused    bool       // the disk was full in the present life
	lastPower  bool       // the armed one is a power cut
	ahead      env.Millis // of the clients' time of day
	stuckSince env.Instant
	unread     unread
	sight      sim.Stream
	blinds     bool // some lives begin on a disk that cannot read everything
}

// begin draws what this seed strikes with.
func (f *faults) begin(s *single) {
	f.s, f.rand, f.counts = s, s.world.Stream(domainStrikes, 0), map[string]uint64{}
	kinds := singleKinds
	if s.lies {
		kinds = rotKinds
	}
	for _, kind := range kinds {
		if f.rand.Below(2) == 0 {
			f.on = append(f.on, kind)
		}
	}
	f.pace = pick(&f.rand, 2*time.Second, 5*time.Second, 15*time.Second)
	f.loading = f.rand.Below(2) == 0
	f.stuckSince = env.Never
	f.sight = s.world.Stream(domainStrikes, 3)
	f.blinds = !s.lies && f.sight.Below(4) == 0
}

func (f *faults) count(name string) { f.counts[name]++ }

// strikeLater comes again and again, until the heal.
func (f *faults) strikeLater() {
	if f.s.healed || len(f.on) == 0 {
		return
	}
	f.s.world.After(f.rand.Between(0, 2*f.pace), func() {
		if f.s.healed {
			return
		}
		if f.s.lies && !f.s.told() {
			f.strikeLater() // there is nothing yet that could be missed
			return
		}
		f.on[f.rand.Below(int64(len(f.on)))].strike(f)
		f.strikeLater()
	})
}

func (f *faults) tell(format string, args ...any) { f.s.tell("fault", fmt.Sprintf(format, args...)) }

// losses is how often data that was not durable could have been lost so far: power cuts, and syncs that failed.
func (f *faults) losses() uint64 {
	d := f.s.host.Disk()
	n := f.powers + d.Faults(sim.OpSync) + d.Faults(sim.OpSyncDir) + f.s.wounds.count
	if f.s.wounds.count > 0 {
		n += f.s.host.Life() // what was damaged before it was durable is missed at the next start
	}
	return n
}

// diskErrors is how many calls have failed so far.
func (f *faults) diskErrors() uint64 {
	n := uint64(0)
	for k := sim.OpOpen; k <= sim.OpClose; k++ {
		n += f.s.host.Disk().Faults(k)
	}
	return n
}

// excuse says whether the disk has given the present life a reason to give up.
func (f *faults) excuse() bool {
	return f.full || f.excused || f.diskErrors() > f.lifeErrors || f.s.wounds.vital
}

// lifeBegins notes what the coming life cannot be blamed for.
func (f *faults) lifeBegins() { f.lifeErrors, f.excused = f.diskErrors(), f.full }

// crash ends the process, if there is one.
func (f *faults) crash(name string, how func()) {
	f.notice()
	if !f.s.host.Running() {
		return
	}
	f.count(name)
	f.tell("%s", name)
	f.armed = ""
	how()
}

func (f *faults) power() {
	f.crash("power", func() {
		f.s.books.LossPossible()
		f.s.host.Power()
		f.powers++
	})
}

// arm has the process end in one of its next I/O calls.
func (f *faults) arm(name string, at func(uint64)) {
	f.notice()
	if !f.s.host.Running() || f.armed != "" {
		return
	}
	n := uint64(1 + f.rand.Below(pick(&f.rand, int64(5), 30, 200)))
	f.tell("%s: the %d. from now", name, n)
	f.armed, f.lastPower = name, name == "power in a call"
	if f.lastPower {
		f.s.books.LossPossible()
	}
	at(n)
}

// notice sees that what was armed has happened. Nothing is started in between.
func (f *faults) notice() {
	if f.armed == "" || f.s.host.Running() {
		return
	}
	f.count(f.armed)
	f.tell("%s happened", f.armed)
	f.armed = ""
	if f.lastPower {
		f.powers++
	}
}

// duringLoad may end a new life before it serves.
func (f *faults) duringLoad() {
	if f.s.healed || !f.loading || f.rand.Below(3) > 0 {
		return
	}
	if f.rand.Below(2) == 0 {
		f.arm("power in a call", f.s.host.PowerAt)
	} else {
		f.arm("kill in a call", f.s.host.KillAt)
	}
}

// stop ends the process in order, as an operator does.
func (f *faults) stop() {
	s := f.s
	f.notice()
	if !s.host.Running() || !s.ready {
		return
	}
	life := s.host.Life()
	f.tell("stop")
	s.host.Do(func() {
		s.node.StopWaiting()
		s.node.Shutdown(func(err error) { s.world.At(s.world.Now(), func() { f.stopped(life, err) }) })
	})
}

// sickStop has the disk fail while the broker stops in order.
func (f *faults) sickStop() {
	f.disk(pick(&f.rand, sim.Rates{Sync: 50_000}, sim.Rates{Write: 50_000}))
	f.stop()
}

// stopped ends the process of a broker that has stopped.
func (f *faults) stopped(life uint64, err error) {
	if host := f.s.host; host.Running() && host.Life() == life {
		f.count("stop")
		f.tell("stopped: %v", err)
		f.armed = ""
		host.Kill()
	}
}

// failStop ends the process of a broker that has given up.
func (f *faults) failStop() {
	f.count("fail-stop")
	f.armed = ""
	f.s.host.Kill()
}

func (f *faults) pause() {
	if f.s.host.Running() {
		d := f.rand.Between(0, pick(&f.rand, 100*time.Millisecond, 5*time.Second))
		f.count("pause")
		f.tell("pause for %v", d)
		f.s.host.Pause(d)
	}
}

func (f *faults) jump() {
	to := env.Millis(f.rand.Between(-maxJump, maxJump) / time.Millisecond)
	by := to - f.ahead
	f.ahead = to
	f.count("clock jump")
	f.tell("the clock jumps by %d ms", by)
	f.s.host.JumpWall(by)
}

func (f *faults) breakSome() {
	for _, c := range append([]*sim.Conn(nil), f.s.stage.Connections...) {
		if f.rand.Below(2) == 0 {
			f.count("break")
			f.tell("connection %d breaks", c.ID())
			c.Break()
		}
	}
}

func (f *faults) clogSome() {
	for _, c := range f.s.stage.Connections {
		if f.rand.Below(2) == 0 {
			d := f.rand.Between(0, 5*time.Second)
			f.count("clog")
			f.tell("connection %d is clogged for %v", c.ID(), d)
			c.Clog(d)
		}
	}
}

// cut lets nothing pass between the clients and the broker for a while, one way or both, on the link or on some connections.
func (f *faults) cut() {
	w, here := f.s.world, f.s.host.End()
	switch f.rand.Below(4) {
	case 0:
		w.Cut(0, here)
		f.tell("nothing reaches the broker")
	case 1:
		w.Cut(here, 0)
		f.tell("nothing comes from the broker")
	case 2:
		w.Partition([]sim.End{0}, []sim.End{here})
		f.tell("the broker is cut off")
	default:
		for _, c := range f.s.stage.Connections {
			switch f.rand.Below(3) {
			case 0:
				c.CutUp()
			case 1:
				c.CutDown()
			}
		}
		f.tell("connections are cut, one way each")
	}
	f.count("cut")
	w.After(f.rand.Between(0, pick(&f.rand, time.Second, 10*time.Second)), func() {
		f.tell("the cuts are healed")
		w.HealAll()
	})
}

// drift has the broker's clocks run at other rates, by up to five in a thousand, each its own.
func (f *faults) drift() {
	steady, wall := f.rand.Below(10_000)-5_000, f.rand.Below(10_000)-5_000
	f.count("drift")
	f.tell("the clocks gain %d and %d in a million", steady, wall)
	f.s.host.Drift(steady, wall)
}

func (f *faults) rate() int64 { return pick(&f.rand, int64(2_000), 20_000, 200_000) }

// disk has calls fail for a while.
func (f *faults) disk(r sim.Rates) {
	if f.windows > 0 {
		return
	}
	f.windows++
	if r.Sync > 0 {
		f.s.books.LossPossible()
	}
	d := f.rand.Between(0, pick(&f.rand, 500*time.Millisecond, 4*time.Second))
	f.tell("the disk fails for %v: %+v", d, r)
	f.s.host.Disk().SetRates(r)
	f.s.world.After(d, func() {
		f.windows--
		f.tell("the disk is well again")
		f.s.host.Disk().SetRates(sim.Rates{})
	})
}

// fill leaves little room on the disk for a while.
func (f *faults) fill() {
	if f.full {
		return
	}
	disk := f.s.host.Disk()
	u, err := disk.Usage(".")
	if err != nil {
		return
	}
	f.full, f.excused = true, true
	f.count("full disk")
	room := f.rand.Below(pick(&f.rand, int64(1), 5_000, 100_000))
	disk.SetCapacity(u.TotalBytes - u.FreeBytes + room)
	f.tell("the disk has room for %d bytes", room)
	f.s.world.After(f.rand.Between(0, 5*time.Second), f.empty)
}

func (f *faults) empty() {
	if f.full {
		f.full = false
		f.tell("the disk has room again")
		f.s.host.Disk().SetCapacity(1 << 40)
	}
}

// end takes everything back.
func (f *faults) end() {
	f.notice()
	f.empty()
	f.s.host.Disk().SetRates(sim.Rates{})
	f.s.host.Disk().Inject(nil)
	f.s.host.KillAt(0)
	f.s.world.HealAll()
	f.s.host.Drift(0, 0)
	f.armed = ""
	f.s.world.SetNetwork(sim.NetworkOptions{Unnoticed: 3 * time.Second})
}

// finalCrash ends the process once more when everything was looked at, so that it can be looked at again.
func (f *faults) finalCrash() {
	switch f.rand.Below(4) {
	case 0:
		f.crash("kill", f.s.host.Kill)
	case 1:
		f.stop()
	default:
		f.power()
	}
}

// freeStuck ends a process of which a call does not return: an operator would.
func (f *faults) freeStuck() {
	switch {
	case !f.s.host.Running() || f.s.host.Stuck() == 0:
		f.stuckSince = env.Never
	case f.stuckSince == env.Never:
		f.stuckSince = f.s.world.Now()
	case f.s.healed || f.s.world.Now().Sub(f.stuckSince) > 5*time.Second:
		f.stuckSince = env.Never
		f.crash("kill", f.s.host.Kill)
	}
}

// blindStart has the coming life not read some of what partitions hold, for a moment.
func (f *faults) blindStart() {
	if !f.blinds || f.s.healed || f.windows > 0 || f.sight.Below(3) > 0 {
		return
	}
	disk, one := f.s.host.Disk(), pick(&f.sight, int64(5), 30)
	f.windows++
	f.tell("the disk cannot read one of %d places in partitions", one)
	disk.Inject(func(op sim.Op) error {
		dir, _, deep := strings.Cut(op.Path, "/")
		if op.Kind == sim.OpRead && deep && f.s.partitionAt(dir) != nil && f.sight.Below(one) == 0 {
			return sim.ErrIO
		}
		return nil
	})
	f.s.world.After(f.sight.Between(0, 2*time.Second), func() {
		f.windows--
		disk.Inject(nil)
	})
}

// unread is a life that could not read all of its partitions.
type unread struct {
	life  uint64
	since env.Instant
	ended bool
}

// due says whether the life shall end, for another to read more than this one: an operator would have it so, after a while.
func (u *unread) due(now env.Instant, life uint64, node *broker.Broker, patience time.Duration) (first, due bool) {
	left := func(o storage.Offline) bool {
		return errors.Is(o.Err, env.ErrUnreadable) && o.ID != quorum.Partition() // which is copied anew
	}
	if !slices.ContainsFunc(node.Offline(), left) {
		return false, false
	}
	if first = u.life != life; first {
		*u = unread{life: life, since: now}
	}
	if u.ended || now.Sub(u.since) < patience {
		return first, false
	}
	u.ended = true
	return first, true
}

// readAgain ends a life that could not read all of its partitions.
func (f *faults) readAgain() {
	s := f.s
	if !s.ready || !s.host.Running() {
		return
	}
	life, patience := s.host.Life(), time.Duration(0)
	if !s.healed {
		patience = time.Duration(life%4) * 3 * time.Second
	}
	first, due := f.unread.due(s.world.Now(), life, s.node, patience)
	if first {
		f.count("partitions left out")
	}
	switch {
	case !due || s.lies: // what its medium has lost does not come back
	case life%2 == 0:
		f.stop()
	default:
		f.crash("kill", s.host.Kill)
	}
}

// happened is how often each kind really happened.
func (f *faults) happened() map[string]uint64 {
	m := maps.Clone(f.counts)
	f.s.host.Disk().EachFault(func(k sim.FaultKind, times uint64) {
		if times > 0 {
			m[k.String()] += times
		}
	})
	return m
}
