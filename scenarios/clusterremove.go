package scenarios

import (
	"strconv"
	"time"

	"lignum/scenarios/traffic"
	"lignum/sim"
)

// removals is an administrator who has brokers unregistered, and what happens to those meanwhile.
type removals struct {
	c       *cluster
	rand    sim.Stream
	pace    time.Duration
	session time.Duration
	holds   int // how often a node was held so far
}

func (x *removals) begin(c *cluster) {
	x.c, x.rand = c, c.world.Stream(domainStrikes, 4)
	x.pace = pick(&x.rand, 2*time.Second, 4*time.Second, 8*time.Second)
	millis, err := strconv.Atoi(c.plan.session)
	if err != nil {
		panic(err) // the plan is wrong
	}
	x.session = time.Duration(millis) * time.Millisecond
}

// later comes again and again, until the heal.
func (x *removals) later() {
	x.c.world.After(x.rand.Between(0, 2*x.pace), func() {
		if x.c.healed {
			return
		}
		x.strike()
		x.later()
	})
}

// strike has a broker unregistered that is down, comes back meanwhile, is cut off, or is up, so that it must not be.
func (x *removals) strike() {
	var brokers []*member
	for _, m := range x.c.members {
		if m.held {
			return // one at a time
		}
		if m.role != controllerRole && !m.keptAway() {
			brokers = append(brokers, m)
		}
	}
	if len(brokers) == 0 {
		return
	}
	m := brokers[x.rand.Below(int64(len(brokers)))]
	switch x.rand.Below(8) {
	case 0, 1:
		x.down(m)
	case 2, 3:
		x.race(m)
	case 4:
		x.behind(m)
	case 5:
		x.cutOff(m)
	default:
		x.ask(m, traffic.Removal{By: x.someBroker(), Length: x.rand.Between(0, 2*time.Second), Pace: 200 * time.Millisecond})
	}
}

// ask has a broker unregistered.
func (x *removals) ask(m *member, o traffic.Removal) {
	o.Broker, o.Hasty = int32(m.id), x.rand.Below(2) == 0
	x.c.stage.Unregister(o)
}

// someBroker is one of the brokers to ask; mostly any will do.
func (x *removals) someBroker() int32 {
	if x.rand.Below(3) > 0 {
		return traffic.NoBroker
	}
	nodes := x.c.stage.Nodes
	return nodes[x.rand.Below(int64(len(nodes)))].ID
}

// away ends a process and holds the node until it is released, which it is after a while at the latest.
func (x *removals) away(m *member, limit time.Duration) (release func()) {
	f := &x.c.faults
	m.held = true
	x.holds++
	mine := x.holds
	f.tell("%s: is to stay away", m.host.Name())
	switch x.rand.Below(4) {
	case 0:
		f.stop(m)
	case 1:
		f.power("power", m)
	default:
		f.crash("kill", m)
	}
	release = func() {
		if m.held && x.holds == mine {
			m.held = false
			if f.tell("%s: may come back", m.host.Name()); !m.host.Running() && !m.keptAway() {
				m.start()
			}
		}
	}
	x.c.world.After(limit, release)
	return release
}

// down has a broker unregistered that is down. It comes back some time later.
func (x *removals) down(m *member) {
	length := x.session + x.rand.Between(500*time.Millisecond, 4*time.Second)
	release := x.away(m, length)
	x.ask(m, traffic.Removal{By: x.someBroker(), Length: length, Pace: 50 * time.Millisecond, Done: func() {
		x.c.world.After(x.rand.Between(0, time.Second), release)
	}})
}

// race has a broker unregistered that comes back about when its session ends. It is asked for all the time, also while the broker registers anew.
func (x *removals) race(m *member) {
	back := x.rand.Between(x.session*3/4, x.session*3/2)
	x.away(m, back)
	x.ask(m, traffic.Removal{By: x.someBroker(), Length: back + x.rand.Between(0, 2*time.Second), Pace: 20 * time.Millisecond, Greedy: x.rand.Below(3) > 0})
}

// behind has a broker unregistered that is down, and asks for it once more: a controller that is paused or cut off, while the broker comes back.
func (x *removals) behind(m *member) {
	f := &x.c.faults
	length := x.session + 4*time.Second
	release := x.away(m, length)
	x.ask(m, traffic.Removal{By: traffic.NoBroker, Length: length, Pace: 50 * time.Millisecond, Done: func() {
		old := f.controller()
		if x.c.healed || old == m || !old.host.Running() {
			release()
			return
		}
		gone := x.rand.Between(500*time.Millisecond, 5*time.Second)
		if x.rand.Below(3) > 0 {
			f.count("pause")
			f.tell("%s: pause for %v", old.host.Name(), gone)
			old.host.Pause(gone)
		} else {
			x.isolate(old, gone)
		}
		release()
		x.ask(m, traffic.Removal{By: int32(old.id), Length: gone, Pace: 100 * time.Millisecond, Greedy: true})
	}})
}

// cutOff has a broker unregistered that runs, and is cut off for longer than its session. Clients still reach it.
func (x *removals) cutOff(m *member) {
	length := x.session + x.rand.Between(0, 3*time.Second)
	x.c.faults.linger(m)
	x.isolate(m, length)
	x.ask(m, traffic.Removal{By: x.someBroker(), Length: length, Pace: 50 * time.Millisecond, Greedy: x.rand.Below(2) == 0})
}

// isolate cuts a node off from the others for a while.
func (x *removals) isolate(m *member, length time.Duration) {
	f := &x.c.faults
	f.count("isolation")
	f.tell("%s is cut off from the other nodes", m.host.Name())
	for _, end := range f.ends(func(other *member) bool { return other != m }) {
		f.c.world.Cut(m.host.End(), end)
		f.c.world.Cut(end, m.host.End())
	}
	f.c.world.After(length, func() {
		f.tell("the cuts are healed")
		f.c.world.HealAll()
	})
}
