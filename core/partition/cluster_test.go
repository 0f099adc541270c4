package partition

import (
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/record"

	"pgregory.net/rapid"
)

// TestReplicasKeepTheirPromises runs a partition on three to five nodes through elections, crashes, loss of power, retention, DeleteRecords and a network that
// delays, reorders and repeats, and looks at every log after every step. In the end everything is healed and all logs must be one.
func TestReplicasKeepTheirPromises(t *testing.T) {
	for name, policy := range map[string]config.FlushPolicy{"sync": config.Sync, "async": config.Async} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				nodes, minInSync := rapid.SampledFrom([]int{3, 3, 3, 5}).Draw(t, "nodes"), rapid.Int32Range(1, 2).Draw(t, "min.insync.replicas")
				c := newCluster(t, nodes, policy, minInSync, rapid.Uint64().Draw(t, "seed"))
				c.r = t
				c.settings.SegmentBytes = 512
				for _, n := range c.nodes {
					n.p.Configure(c.settings)
				}
				for range rapid.IntRange(50, 250).Draw(t, "steps") {
					c.step()
				}
				c.heal()
			})
		})
	}
}

// step does one thing.
func (c *cluster) step() {
	n := c.nodes[rapid.IntRange(0, len(c.nodes)-1).Draw(c.r, "node")]
	kind := rapid.IntRange(0, 99).Draw(c.r, "step")
	switch {
	case kind < 20 && n.up:
		n.fetch()
		c.pump(rapid.IntRange(0, 3).Draw(c.r, "deliveries"))
	case kind < 30:
		c.pump(rapid.IntRange(1, 4).Draw(c.r, "deliveries"))
	case kind < 55 && n.up:
		n.progress()
	case kind < 68 && n.up:
		if leader := c.nodes[max(c.now().state.Leader, 0)]; leader.up && kind < 66 {
			n = leader
			n.learn(len(c.history))
		}
		n.produce()
	case kind < 70 && n.up:
		n.remove(record.Offset(rapid.IntRange(0, int(n.p.log.HighWatermark())).Draw(c.r, "to")), rapid.IntRange(0, 3).Draw(c.r, "everywhere") > 0)
	case kind < 78 && n.up:
		n.work(rapid.IntRange(1, 6).Draw(c.r, "jobs"))
	case kind < 84 && n.up:
		n.learn(rapid.IntRange(1, 3).Draw(c.r, "entries"))
	case kind < 88:
		c.decideOn(rapid.IntRange(0, 1<<16).Draw(c.r, "change"))
	case kind < 92:
		c.turnover()
	case kind < 94:
		c.clock.Advance(lagMax / 2)
		for _, n := range c.nodes {
			if n.up {
				n.store.Tick()
				n.p.Tick(c.clock.Now())
				c.inspect(n)
			}
		}
	case kind < 96 && n.up:
		n.crash(!c.lossless && rapid.Bool().Draw(c.r, "power"))
	case kind < 97 && !n.up:
		c.fence(n.id, "session over")
	case kind < 99 && !n.up:
		n.boot()
	case kind < 100 && n.up:
		c.fence(n.id, "session over, wrongly")
		m := c.copy()
		m.active[n.id] = true
		if m.state.Leader < 0 {
			c.elect(&m, -1)
		}
		c.decide(m, "let in again")
	}
	c.inspect(n)
}

// progress lets a node go on undisturbed for a while: its disk works, and it gets the answers to its fetches.
func (n *node) progress() {
	if rapid.Bool().Draw(n.c.r, "learns") {
		n.learn(len(n.c.history))
	}
	for range rapid.IntRange(1, 3).Draw(n.c.r, "fetches") {
		n.work(20)
		n.fetch()
		for range 2 {
			for i := len(n.c.flights) - 1; i >= 0; i-- {
				if f := n.c.flights[i]; f.from == n && f.life == n.life {
					n.c.deliver(i, false)
					break
				}
			}
		}
	}
	n.work(20)
}

// turnover elects a leader, who hears of it at once, and whom some of the others find.
func (c *cluster) turnover() {
	m := c.copy()
	c.elect(&m, -1)
	c.decide(m, "election")
	if m.state.Leader < 0 || !c.nodes[m.state.Leader].up {
		return
	}
	c.nodes[m.state.Leader].learn(len(c.history))
	for _, n := range c.nodes {
		if n.up && rapid.Bool().Draw(c.r, "finds the leader") {
			n.progress()
		}
	}
	for range len(c.changes) {
		c.decideOn(rapid.IntRange(0, 1<<16).Draw(c.r, "change"))
	}
}

// pump delivers messages; some are lost or come twice.
func (c *cluster) pump(messages int) {
	for range messages {
		if len(c.flights) == 0 {
			return
		}
		i := rapid.IntRange(0, len(c.flights)-1).Draw(c.r, "message")
		switch rapid.IntRange(0, 19).Draw(c.r, "fate") {
		case 0:
			c.flights = append(c.flights[:i], c.flights[i+1:]...)
		case 1, 2:
			c.deliver(i, true)
		default:
			c.deliver(i, false)
		}
	}
}

// work runs jobs of the node's disk.
func (n *node) work(jobs int) {
	n.store.EndDrain()
	for range jobs {
		if !n.lanes.Step() {
			n.store.EndDrain()
		}
	}
	n.c.inspect(n)
}

// decideOn has the controller decide on a change, or brings an answer back. The request may be repeated, and the answer may be lost.
func (c *cluster) decideOn(which int) {
	if len(c.changes) == 0 {
		return
	}
	i := which % len(c.changes)
	q := c.changes[i]
	if q.answer == nil {
		if rapid.IntRange(0, 5).Draw(c.r, "lost") == 0 { // the request comes later, and nobody knows
			c.changes = append(c.changes, &change{from: q.from, life: -1, c: q.c})
			return
		}
		a := c.alter(q.from, q.c)
		q.answer = &a
		c.logf("the controller answers %d: %v", q.from.id, a)
		return
	}
	c.changes = append(c.changes[:i], c.changes[i+1:]...)
	if q.from.up && q.from.life == q.life {
		q.from.p.ISRAltered(q.c, *q.answer)
		c.inspect(q.from)
	}
}

// heal brings everybody back and everything to rest.
func (c *cluster) heal() {
	c.logf("heal")
	for _, n := range c.nodes {
		if !n.up {
			n.boot()
		}
	}
	for id, up := range c.now().active {
		if !up {
			c.fence(record.NodeID(id), "")
			m := c.copy()
			m.active[id] = true
			c.decide(m, "let in again")
		}
	}
	if c.now().state.Leader < 0 {
		m := c.copy()
		c.elect(&m, -1)
		c.decide(m, "election")
	}
	for range 60 {
		c.round()
	}
	s := c.now().state
	leader := c.nodes[s.Leader]
	for _, n := range c.nodes {
		if len(n.shadow) != len(leader.shadow) || n.p.EndOffset() != c.top || n.p.HighWatermark() != c.top {
			c.fatalf("V2: node %d ends at %d, mark %d; leader %d ends at %d; %d are committed", n.id, n.p.EndOffset(), n.p.HighWatermark(), leader.id, leader.p.EndOffset(), c.top)
		}
	}
	if len(s.ISR) != len(c.nodes) || len(s.ELR) > 0 {
		c.fatalf("V3: ISR %v, ELR %v", s.ISR, s.ELR)
	}
}

// round is a while in which everything goes well.
func (c *cluster) round() {
	c.clock.Advance(time.Second)
	for _, n := range c.nodes {
		n.learn(len(c.history))
		c.inspect(n)
		n.fetch()
		for len(c.flights) > 0 {
			c.deliver(0, false)
		}
		for range 20 {
			n.work(5)
		}
		c.inspect(n)
		n.p.Tick(c.clock.Now())
		c.inspect(n)
	}
	for len(c.changes) > 0 {
		q := c.changes[0]
		if q.answer == nil {
			a := c.alter(q.from, q.c)
			q.answer = &a
		}
		c.changes = c.changes[1:]
		if q.from.up && q.from.life == q.life {
			q.from.p.ISRAltered(q.c, *q.answer)
			c.inspect(q.from)
		}
	}
}
