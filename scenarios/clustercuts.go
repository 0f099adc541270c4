package scenarios

import (
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// connections are all that stand: the clients', and those between nodes.
func (f *clusterFaults) connections() []*sim.Conn {
	all := append([]*sim.Conn(nil), f.c.stage.Connections...)
	for i, m := range f.c.members {
		for _, other := range f.c.members[i:] {
			all = append(all, f.c.world.Between(m.host.End(), other.host.End())...)
		}
	}
	return all
}

func (f *clusterFaults) breakSome() {
	for _, c := range f.connections() {
		if f.rand.Below(3) == 0 {
			f.count("break")
			f.tell("connection %d breaks", c.ID())
			c.Break()
		}
	}
}

func (f *clusterFaults) clogSome() {
	for _, c := range f.connections() {
		if f.rand.Below(3) == 0 {
			d := f.rand.Between(0, 5*time.Second)
			f.count("clog")
			f.tell("connection %d is clogged for %v", c.ID(), d)
			c.Clog(d)
		}
	}
}

// cutClients lets nothing pass between clients and a node for a while, one way or both.
func (f *clusterFaults) cutClients() {
	m := f.some()
	f.cut("cut of clients", "clients and "+m.host.Name(), 0, m.host.End())
}

// cutPair lets nothing pass between two nodes, one way or both.
func (f *clusterFaults) cutPair() {
	some := f.several()
	f.cut("cut of two nodes", some[0].host.Name()+" and "+some[1].host.Name(), some[0].host.End(), some[1].host.End())
}

func (f *clusterFaults) cut(name, who string, a, b sim.End) {
	way := f.rand.Below(3)
	if way != 1 {
		f.c.world.Cut(a, b)
	}
	if way != 0 {
		f.c.world.Cut(b, a)
	}
	f.tell("%s are cut off: %s", who, [...]string{"from left to right", "from right to left", "both ways"}[way])
	f.healLater(name)
}

// isolate cuts a node off from all the others, at times from the clients too, both ways or one way.
func (f *clusterFaults) isolate(name string, m *member) {
	here, way := m.host.End(), f.rand.Below(4)
	others := f.ends(func(other *member) bool { return other != m })
	if f.rand.Below(2) == 0 {
		others = append(others, 0)
	} else {
		f.linger(m)
	}
	for _, end := range others {
		if way != 1 {
			f.c.world.Cut(here, end)
		}
		if way != 0 {
			f.c.world.Cut(end, here)
		}
	}
	f.tell("%s is cut off from %v, way %d", m.host.Name(), others, way)
	f.healLater(name)
}

// partition cuts the nodes into two sets, of which clients reach one or both.
func (f *clusterFaults) partition() {
	side := map[*member]bool{}
	for _, m := range f.several() {
		side[m] = f.rand.Below(2) == 0
	}
	left := f.ends(func(m *member) bool { return side[m] })
	right := f.ends(func(m *member) bool { return !side[m] })
	if f.rand.Below(2) == 0 {
		left = append(left, 0)
	}
	f.c.world.Partition(left, right)
	f.tell("%v and %v are cut off from each other", left, right)
	f.healLater("partition")
}

func (f *clusterFaults) ends(which func(*member) bool) (list []sim.End) {
	for _, m := range f.c.members {
		if which(m) {
			list = append(list, m.host.End())
		}
	}
	return list
}

// healLater ends all cuts after a while.
func (f *clusterFaults) healLater(name string) {
	f.count(name)
	f.c.world.After(f.rand.Between(0, pick(&f.rand, 500*time.Millisecond, 4*time.Second, 12*time.Second)), func() {
		f.tell("the cuts are healed")
		f.c.world.HealAll()
	})
}

func (f *clusterFaults) rate() int64 { return pick(&f.rand, int64(2_000), 20_000, 200_000) }

// disk has calls of a node fail for a while.
func (f *clusterFaults) disk(r sim.Rates) {
	f.weaken(f.some(), r, f.rand.Between(0, pick(&f.rand, 500*time.Millisecond, 4*time.Second)))
}

func (f *clusterFaults) weaken(m *member, r sim.Rates, d time.Duration) {
	if m.window {
		return
	}
	m.window = true
	if r.Sync > 0 {
		f.c.books.LossPossible()
	}
	f.tell("%s: the disk fails for %v: %+v", m.host.Name(), d, r)
	m.host.Disk().SetRates(r)
	f.c.world.After(d, func() {
		m.window = false
		f.tell("%s: the disk is well again", m.host.Name())
		m.host.Disk().SetRates(sim.Rates{})
	})
}

// fill leaves little room on a node's disk for a while.
func (f *clusterFaults) fill(m *member) {
	if m.full {
		return
	}
	disk := m.host.Disk()
	u, err := disk.Usage(".")
	if err != nil {
		return
	}
	m.full, m.excused = true, true
	f.count("full disk")
	room := f.rand.Below(pick(&f.rand, int64(1), 5_000, 100_000))
	disk.SetCapacity(u.TotalBytes - u.FreeBytes + room)
	f.tell("%s: the disk has room for %d bytes", m.host.Name(), room)
	f.c.world.After(f.rand.Between(0, 5*time.Second), func() { f.empty(m) })
}

func (f *clusterFaults) empty(m *member) {
	if m.full {
		m.full = false
		f.tell("%s: the disk has room again", m.host.Name())
		m.host.Disk().SetCapacity(1 << 40)
	}
}

// end takes everything back.
func (f *clusterFaults) end() {
	for _, m := range f.c.members {
		f.empty(m)
		m.host.Disk().SetRates(sim.Rates{})
		m.host.KillAt(0)
		m.armed, m.held = "", false
		m.host.Drift(0, 0)
	}
	f.honest()
	f.c.world.HealAll()
	f.c.world.SetNetwork(sim.NetworkOptions{Unnoticed: 3 * time.Second})
}

// finalCrash ends processes once more when everything was looked at, so that it can be looked at again.
func (f *clusterFaults) finalCrash() {
	switch f.rand.Below(5) {
	case 0:
		f.crash("kill", f.some())
	case 1:
		f.stop(f.some())
	case 2:
		f.power("power of several", f.several()...)
	default:
		f.power("power of all", f.c.members...)
	}
}

// freeStuck ends a process of which a call does not return: an operator would.
func (f *clusterFaults) freeStuck(m *member) {
	switch now := f.c.world.Now(); {
	case !m.host.Running() || m.host.Stuck() == 0:
		m.stuckSince = env.Never
	case m.stuckSince == env.Never:
		m.stuckSince = now
	case f.c.healed || now.Sub(m.stuckSince) > 5*time.Second:
		m.stuckSince = env.Never
		f.crash("kill", m)
	}
}
