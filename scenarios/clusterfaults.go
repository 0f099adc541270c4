package scenarios

import (
	"fmt"
	"maps"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// clusterKind is a fault of clusters that a seed can choose.
type clusterKind struct {
	name   string
	strike func(*clusterFaults)
}

// clusterKinds are the faults of the scenario "cluster".
var clusterKinds = []clusterKind{
	{"kill", func(f *clusterFaults) { f.crash("kill", f.some()) }},
	{"kill of several", func(f *clusterFaults) { f.crash("kill of several", f.several()...) }},
	{"power", func(f *clusterFaults) { f.power("power", f.some()) }},
	{"power of several", func(f *clusterFaults) { f.power("power of several", f.several()...) }},
	{"power of all", func(f *clusterFaults) { f.power("power of all", f.c.members...) }},
	{"kill in a call", func(f *clusterFaults) { f.arm("kill in a call", f.some()) }},
	{"power in a call", func(f *clusterFaults) { f.arm("power in a call", f.some()) }},
	{"stop", func(f *clusterFaults) { f.stop(f.some()) }},
	{"rolling restart", func(f *clusterFaults) { f.roll() }},
	{"pause", func(f *clusterFaults) { f.pause() }},
	{"clock jump", func(f *clusterFaults) { f.jump() }},
	{"drift", func(f *clusterFaults) { f.drift() }},
	{"break", func(f *clusterFaults) { f.breakSome() }},
	{"clog", func(f *clusterFaults) { f.clogSome() }},
	{"cut of clients", func(f *clusterFaults) { f.cutClients() }},
	{"cut of two nodes", func(f *clusterFaults) { f.cutPair() }},
	{"isolation", func(f *clusterFaults) { f.isolate("isolation", f.some()) }},
	{"isolation of the controller", func(f *clusterFaults) { f.isolate("isolation of the controller", f.controller()) }},
	{"partition", func(f *clusterFaults) { f.partition() }},
	{"sync errors", func(f *clusterFaults) { f.disk(sim.Rates{Sync: f.rate()}) }},
	{"write errors", func(f *clusterFaults) { f.disk(sim.Rates{Write: f.rate()}) }},
	{"read errors", func(f *clusterFaults) { f.disk(sim.Rates{Read: 5 * f.rate()}) }}, // for little is read from the disk
	{"close errors", func(f *clusterFaults) { f.disk(sim.Rates{Close: f.rate()}) }},
	{"space errors", func(f *clusterFaults) { f.disk(sim.Rates{Space: f.rate()}) }},
	{"short transfers", func(f *clusterFaults) { f.disk(sim.Rates{ShortRead: 10 * f.rate() / 4, ShortWrite: 10 * f.rate() / 4}) }},
	{"slow calls", func(f *clusterFaults) { f.disk(sim.Rates{Slow: f.rate() / 10}) }},
	{"stuck calls", func(f *clusterFaults) { f.disk(sim.Rates{Stuck: f.rate() / 10}) }},
	{"full disk", func(f *clusterFaults) { f.fill(f.some()) }},
	{"wipe", func(f *clusterFaults) { f.wipe(f.some()) }},
	{"hunt", func(f *clusterFaults) { f.hunt() }},
	{"deposed by choice", func(f *clusterFaults) { f.depose() }},
}

// clusterHappens are the kinds that happen in the scenario "cluster".
var clusterHappens = []string{
	"kill", "kill of several", "power", "power of several", "power of all", "kill in a call", "power in a call", "stop", "rolling restart", "fail-stop", "pause",
	"clock jump", "drift", "break", "clog", "cut of clients", "cut of two nodes", "isolation", "isolation of the controller", "partition", "full disk", "wipe", "hunt", "deposed by choice",
	"read errors", "write errors", "sync errors", "close errors", "space errors", "short reads", "short writes", "slow calls", "stuck calls",
	"lost names", "lost truncations", "lost growths", "lost sectors", "torn sectors", "new leaders", "reads from followers", "reassignments",
	"rot", "bad sectors", "phantom writes", "wounded logs", "replaced disks",
	"wounded metadata", "rotten metadata", "unreadable metadata", "removed metadata", "metadata copied anew", "unreadable identities",
	"unregistered brokers", "unregistered in use", "refused unregistrations",
}

// clusterFaults is who strikes.
type clusterFaults struct {
	c       *cluster
	rand    sim.Stream
	on      []clusterKind // that this seed strikes with
	pace    time.Duration
	counts  map[string]uint64
	loading bool // strikes also while nodes load
	rolling bool
	wiped   bool
	bad     bad
	harm    harm
	ahead   map[*member]env.Millis // of the clients' time of day
}

// begin draws what this seed strikes with.
func (f *clusterFaults) begin(c *cluster) {
	f.c, f.rand, f.counts, f.ahead = c, c.world.Stream(domainStrikes, 1), map[string]uint64{}, map[*member]env.Millis{}
	some := pick(&f.rand, int64(2), 3, 5)
	for _, kind := range clusterKinds {
		if f.rand.Below(some) == 0 && (kind.name != "wipe" || c.plan.wipes) {
			f.on = append(f.on, kind)
		}
	}
	f.pace = pick(&f.rand, 2*time.Second, 5*time.Second, 10*time.Second)
	f.loading = f.rand.Below(3) == 0
}

func (f *clusterFaults) count(name string) { f.counts[name]++ }

func (f *clusterFaults) tell(format string, args ...any) {
	f.c.tell("fault", fmt.Sprintf(format, args...))
}

// strikeLater comes again and again, until the heal.
func (f *clusterFaults) strikeLater() {
	if f.c.healed || len(f.on) == 0 {
		return
	}
	f.c.world.After(f.rand.Between(0, 2*f.pace), func() {
		if f.c.healed {
			return
		}
		f.on[f.rand.Below(int64(len(f.on)))].strike(f)
		f.strikeLater()
	})
}

// some is any node.
func (f *clusterFaults) some() *member { return f.c.members[f.rand.Below(int64(len(f.c.members)))] }

// several are at least two nodes, if there are.
func (f *clusterFaults) several() []*member {
	list := append([]*member(nil), f.c.members...)
	for i := range list {
		j := i + int(f.rand.Below(int64(len(list)-i)))
		list[i], list[j] = list[j], list[i]
	}
	return list[:min(2, len(list))+int(f.rand.Below(max(1, int64(len(list)-1))))]
}

// controller is the active controller, as far as some node knows it; any node if none does.
func (f *clusterFaults) controller() *member {
	for _, m := range f.c.members {
		if q := m.node.Quorum(); m.host.Running() && q != nil && q.Leading() {
			return m
		}
	}
	return f.some()
}

// crash kills the processes of nodes at one instant.
func (f *clusterFaults) crash(name string, nodes ...*member) {
	f.each(name, nodes, func(m *member) {
		m.kills++
		m.end(m.host.Kill)
	})
}

// power cuts the power of nodes at one instant.
func (f *clusterFaults) power(name string, nodes ...*member) {
	f.each(name, nodes, func(m *member) {
		f.c.books.LossPossible()
		m.end(m.host.Power)
		m.powers++
	})
}

// each does something to those nodes that run.
func (f *clusterFaults) each(name string, nodes []*member, how func(*member)) {
	hit := false
	for _, m := range nodes {
		if m.host.Running() {
			hit = true
			f.tell("%s: %s", m.host.Name(), name)
			how(m)
		}
	}
	if hit {
		f.count(name)
	}
}

// wipe takes a node's disk away, once in a run (D1). A quorum that is replacing a voter, whose metadata log could not be read, has one less to lose.
func (f *clusterFaults) wipe(m *member) {
	if f.wiped || m.role != brokerRole && f.c.replacing() {
		return
	}
	f.wiped = true
	f.count("wipe")
	f.tell("%s: the disk is empty", m.host.Name())
	f.c.books.LossPossible()
	m.wipedAt = f.c.newest().Offset()
	m.end(m.host.Wipe)
	m.powers++
}

// arm has a process end in one of its next I/O calls.
func (f *clusterFaults) arm(name string, m *member) {
	if !m.host.Running() || m.armed != "" {
		return
	}
	n := uint64(1 + f.rand.Below(pick(&f.rand, int64(5), 30, 200)))
	f.tell("%s: %s: the %d. from now", m.host.Name(), name, n)
	m.armed, m.armedPower = name, name == "power in a call"
	if m.armedPower {
		f.c.books.LossPossible()
		m.host.PowerAt(n)
	} else {
		m.host.KillAt(n)
	}
}

// notice sees that what was armed has happened.
func (f *clusterFaults) notice(m *member) {
	f.count(m.armed)
	f.tell("%s: %s happened", m.host.Name(), m.armed)
	m.armed, m.ready = "", false
	if m.armedPower {
		m.powers++
	} else {
		m.kills++
	}
}

// duringLoad may end a new life before it serves.
func (f *clusterFaults) duringLoad(m *member) {
	if f.c.healed || !f.loading || f.rand.Below(3) > 0 {
		return
	}
	f.arm(pick(&f.rand, "power in a call", "kill in a call"), m)
}

// stop ends a process in order, as an operator does.
func (f *clusterFaults) stop(m *member) {
	if !m.host.Running() || m.stopping {
		return
	}
	m.stopping = true
	life := m.host.Life()
	f.tell("%s: stop", m.host.Name())
	m.host.Do(func() {
		m.node.Leave(func() {
			m.node.StopWaiting()
			m.node.Shutdown(func(err error) { f.c.world.At(f.c.world.Now(), func() { f.stopped(m, life, err) }) })
		})
	})
}

// stopped ends the process of a broker that has stopped.
func (f *clusterFaults) stopped(m *member, life uint64, err error) {
	if m.host.Running() && m.host.Life() == life {
		f.count("stop")
		f.tell("%s: stopped: %v", m.host.Name(), err)
		m.end(m.host.Kill)
	}
}

// roll stops one node after the other, and waits until each is back.
func (f *clusterFaults) roll() {
	if !f.rolling {
		f.rolling = true
		f.count("rolling restart")
		f.rollOn(0)
	}
}

func (f *clusterFaults) rollOn(i int) {
	if i == len(f.c.members) || f.c.healed {
		f.rolling = false
		return
	}
	m := f.c.members[i]
	life, until := m.host.Life(), f.c.world.Now().Add(15*time.Second)
	f.stop(m)
	var back func()
	back = func() {
		if m.ready && m.host.Life() > life || f.c.world.Now() > until {
			f.rollOn(i + 1)
			return
		}
		f.c.world.After(100*time.Millisecond, back)
	}
	f.c.world.After(100*time.Millisecond, back)
}

func (f *clusterFaults) pause() {
	if m := f.some(); m.host.Running() {
		d := f.rand.Between(0, pick(&f.rand, 100*time.Millisecond, 2*time.Second, 8*time.Second))
		f.count("pause")
		f.tell("%s: pause for %v", m.host.Name(), d)
		m.host.Pause(d)
	}
}

func (f *clusterFaults) jump() {
	m := f.some()
	to := env.Millis(f.rand.Between(-maxJump, maxJump) / time.Millisecond)
	by := to - f.ahead[m]
	f.ahead[m] = to
	f.count("clock jump")
	f.tell("%s: the clock jumps by %d ms", m.host.Name(), by)
	m.host.JumpWall(by)
}

// drift has a node's clocks run at other rates, by up to five in a thousand, each its own.
func (f *clusterFaults) drift() {
	m := f.some()
	steady, wall := f.rand.Below(10_000)-5_000, f.rand.Below(10_000)-5_000
	f.count("drift")
	f.tell("%s: the clocks gain %d and %d in a million", m.host.Name(), steady, wall)
	m.host.Drift(steady, wall)
}

// happened is how often each kind really happened.
func (f *clusterFaults) happened() map[string]uint64 {
	m := maps.Clone(f.counts)
	for _, node := range f.c.members {
		node.host.Disk().EachFault(func(k sim.FaultKind, times uint64) {
			if times > 0 {
				m[k.String()] += times
			}
		})
	}
	m["new leaders"] = f.c.box.elected
	m["reads from followers"] = f.c.stage.PreferredReads
	m["reassignments"] = f.c.stage.Moves
	m["unregistered brokers"], m["refused unregistrations"] = f.c.box.roll.leavings, f.c.box.roll.refusals
	return m
}
