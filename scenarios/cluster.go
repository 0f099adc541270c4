package scenarios

import (
	"fmt"
	"time"

	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/linearizability"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// Times of a run of a cluster.
const (
	healthy   = 30 * time.Second // the bound of V1, V3 and V8, from the end of the faults
	askHealth = 100 * time.Millisecond
)

// cluster is a run with several nodes.
type cluster struct {
	o       Options
	name    string
	plan    clusterPlan
	world   *sim.World
	members []*member
	stage   *traffic.Stage
	books   *ledger.Ledger
	faults  clusterFaults
	removal removals
	box     clusterBox

	event    sim.Event       // the last one
	past     *metadata.Image // the newest of the lives that have ended
	healed   bool
	copying  copying
	finished bool
	readers  int // last readers that are through
}

// Cluster is several nodes with all kinds of clients, under crashes of any of them, cuts of the network, pauses, disk faults, and administrators.
func Cluster(o Options) Result {
	c := newCluster(o, "cluster", newClusterPlan(o))
	defer c.world.Close()
	limit := env.Instant(c.plan.length + 2*settleTime + 10*patience)
	for !c.finished && len(c.world.Findings()) == 0 && c.world.Step(limit) {
		c.step()
	}
	if !c.finished && len(c.world.Findings()) == 0 {
		c.world.Fail("V2", "the run does not come to its end")
	}
	return c.result()
}

func newCluster(o Options, name string, p clusterPlan) *cluster {
	c := &cluster{o: o, name: name, plan: p, past: metadata.New()}
	c.world = sim.NewWorld(sim.Options{Seed: o.Seed, Network: c.plan.network, Jobs: c.plan.jobs})
	c.books = ledger.New(ledger.World{
		Now: func() int64 { return int64(c.world.Now()) }, Losses: c.losses, Crashes: c.crashes, Elections: c.elections, Everywhere: c.everywhere, Fail: c.fail,
	})
	var nodes []traffic.Node
	for i, role := range c.plan.roles {
		m := c.newMember(i+1, role)
		c.members = append(c.members, m)
		if role != controllerRole {
			nodes = append(nodes, traffic.Node{ID: int32(m.id), Host: m.host})
		}
	}
	c.stage = traffic.NewStage(c.world, nodes, "PLAINTEXT", c.books, wallAtStart)
	c.stage.There = func(name string) [16]byte { return topicID(c.newest(), name) }
	if o.Tell != nil {
		c.stage.Tell = c.tell
		c.world.Tell(func(l sim.Line) {
			who := "event"
			if l.Error != "" {
				who = "disk"
			}
			c.tell(who, l.Words())
		})
	}
	c.stage.Excused = func(t *traffic.Target) bool { return c.hopeless(record.Partition{Topic: t.ID, Index: t.Index}) }
	c.world.Observe(func(e sim.Event) { c.event = e })
	c.faults.begin(c)
	c.removal.begin(c)
	c.box.begin(c)
	c.tellPlan()
	for _, m := range c.members {
		m.start()
	}
	c.watch()
	c.plan.admin.Ready = c.openGates
	traffic.NewAdmin(c.stage, c.plan.admin)
	c.world.At(env.Instant(c.plan.length), c.heal)
	return c
}

// tellPlan tells what the seed has chosen.
func (c *cluster) tellPlan() {
	if c.o.Tell == nil {
		return
	}
	c.tell("plan", fmt.Sprintf("roles %q, session %s ms, wipes %v, rots %v, harms %v, nearest replica %v, unregisters %v", c.plan.roles, c.plan.session, c.plan.wipes,
		c.plan.rots, c.plan.harms, c.plan.nearer, c.plan.removes))
	for _, t := range append(c.plan.admin.Topics, c.plan.admin.Passing) {
		c.tell("plan", fmt.Sprintf("topic %s: %d partitions, %d replicas, %v", t.Name, t.Partitions, t.Replicas, t.Configs))
	}
	for _, p := range c.plan.producers {
		c.tell("plan", fmt.Sprintf("producer %s: idempotent %v, %+v", p.Name, p.idempotent, p.ProducerOptions))
	}
	for _, o := range c.plan.consumers {
		c.tell("plan", fmt.Sprintf("consumer %+v", o))
	}
	for _, kind := range c.faults.on {
		c.tell("plan", "strikes with "+kind.name)
	}
}

func (c *cluster) tell(who, text string) {
	if c.o.Tell != nil {
		c.o.Tell(Line{c.world.Now(), who, text})
	}
}

func (c *cluster) fail(name, format string, args ...any) {
	c.tell("check", name+": "+fmt.Sprintf(format, args...))
	c.world.Fail(name, format, args...)
}

// losses counts what could have taken data that was not durable, on any node.
func (c *cluster) losses() uint64 {
	n := uint64(0)
	for _, m := range c.members {
		n += m.losses()
	}
	return n
}

// crashes counts the ends of processes that were not in order, and failed syncs.
func (c *cluster) crashes() uint64 {
	n := c.losses()
	for _, m := range c.members {
		n += m.kills
	}
	return n
}

// elections counts the leaders of a partition so far, as far as any node knows.
func (c *cluster) elections(id record.Partition) uint64 {
	return uint64(c.box.ghost(id).epoch + 1)
}

// everywhere says whether every broker that runs knows of a partition.
func (c *cluster) everywhere(id record.Partition) bool {
	for _, m := range c.members {
		if m.role != controllerRole && m.node != nil && m.host.Running() && m.image().Partition(id) == nil {
			return false
		}
	}
	return true
}

// step looks at what each event may have changed. What a node has of the metadata changes on its loop only, and while the scenario acts.
func (c *cluster) step() {
	for _, m := range c.members {
		if m.armed != "" && !m.host.Running() {
			c.faults.notice(m)
		}
	}
	switch c.event.Kind {
	case sim.EventDrain:
		c.imageOf(c.members[c.event.Host-1])
	case sim.EventCall:
		for _, m := range c.members {
			c.imageOf(m)
		}
	}
}

// imageOf looks at a node's image of the metadata if it has changed.
func (c *cluster) imageOf(m *member) {
	if m.node != nil && m.host.Running() && m.image().Offset() != m.seenImage {
		c.box.image(m)
	}
}

// openGates starts the traffic and the faults, once there are topics.
func (c *cluster) openGates() {
	for _, o := range c.plan.producers {
		if o.idempotent {
			traffic.NewIdempotent(c.stage, o.ProducerOptions)
		} else {
			traffic.NewProducer(c.stage, o.ProducerOptions)
		}
	}
	for _, o := range c.plan.consumers {
		traffic.NewConsumer(c.stage, o)
	}
	c.faults.strikeLater()
	if c.plan.removes {
		c.removal.later()
	}
	if c.plan.rots {
		b := &c.faults.bad
		b.rand = c.world.Stream(domainStrikes, 2)
		b.pace = pick(&b.rand, time.Second, 4*time.Second, 20*time.Second)
		c.faults.lieLater(b.rand.Below(3) == 0)
	}
	if c.plan.harms && len(c.members) > 1 {
		c.faults.harm.begin(&c.faults)
	}
}

// watch is the one who starts processes that have ended.
func (c *cluster) watch() {
	c.world.After(20*time.Millisecond, c.watch)
	c.faults.harm.look()
	for _, m := range c.members {
		c.faults.freeStuck(m)
		m.readAgain()
		if m.host.Running() || m.restarting || m.keptAway() {
			continue
		}
		if m.lies && m.refused >= refusals {
			c.faults.replace()
		}
		m.restarting = true
		delay := c.faults.rand.Between(0, pick(&c.faults.rand, 500*time.Millisecond, 2*time.Second, 8*time.Second))
		if c.healed {
			delay = 0
		}
		c.world.After(delay, func() {
			m.restarting = false
			if m.keptAway() || m.host.Running() {
				return // meanwhile
			}
			m.start()
			c.faults.duringLoad(m)
		})
	}
}

// heal ends the faults, then the traffic, and then has everything looked at; and once more behind another crash.
func (c *cluster) heal() {
	c.healed = true
	c.faults.end()
	c.tell("fault", "the faults have ended")
	since := c.world.Now()
	c.world.After(settleTime, func() {
		c.stage.Quiet, c.stage.Reading = true, true
		c.world.After(settleTime, func() {
			if b := &c.faults.bad; b.spoiled && !b.over {
				c.takeAway()
				return
			}
			c.awaitHealth(since)
		})
	})
}

// awaitHealth waits until the cluster is whole again (V1, V3). The last fault was at since. Replicas that are being copied may take longer: see copying.
func (c *cluster) awaitHealth(since env.Instant) {
	problem := c.unwell()
	switch {
	case problem == "":
		c.books.Checked("V1")
		c.books.Checked("V3")
		if m := c.faults.bad.node; m != nil && m.lies {
			c.takeAway()
			return
		}
		if c.stage.Reading {
			c.awaitReaders(since)
			return
		}
		c.lookAtAll(since)
	case c.overdue(since):
		c.fail("V1/V3", "%v after the last fault %s", c.world.Now().Sub(since), problem)
		c.finished = true
	default:
		c.world.After(askHealth, func() { c.awaitHealth(since) })
	}
}

// unwell says what is not as it should be; "" if nothing.
func (c *cluster) unwell() string {
	newest := c.newest()
	for _, m := range c.members {
		switch {
		case !m.host.Running() || !m.ready:
			return fmt.Sprintf("%s does not serve", m.host.Name())
		case m.image().Offset() != newest.Offset():
			return fmt.Sprintf("%s knows the metadata up to %d, others up to %d", m.host.Name(), m.image().Offset(), newest.Offset())
		}
	}
	for _, m := range c.members {
		if b := newest.Broker(m.id); m.role != controllerRole && (b == nil || !b.Active()) {
			return fmt.Sprintf("broker %d is fenced, or is not registered", m.id)
		}
	}
	if problem := c.unwellQuorum(); problem != "" {
		return problem
	}
	for _, t := range newest.Topics() {
		for i := range t.Partitions {
			problem := unwellPartition(&t.Partitions[i])
			if problem != "" && !c.hopeless(record.Partition{Topic: t.ID, Index: int32(i)}) {
				return fmt.Sprintf("%s-%d %s: %+v", t.Name, i, problem, t.Partitions[i])
			}
		}
	}
	return c.unbalanced()
}

// hopeless says whether a partition may stay without a leader: it was under async, and what its last replicas held went with a disk and with the power.
func (c *cluster) hopeless(id record.Partition) bool {
	p, books := c.newest().Partition(id), c.books.Partition(id)
	return c.faults.wiped && p != nil && p.Leader < 0 && len(p.ISR)+len(p.ELR)+len(p.LastKnownELR) == 0 && (books == nil || !books.Safe())
}

func unwellPartition(p *metadata.Partition) string {
	switch {
	case p.Leader < 0:
		return "has no leader"
	case p.Reassigning():
		return "is still being reassigned"
	case len(p.ISR) != len(p.Replicas):
		return "has replicas that are not in sync"
	}
	return ""
}

// newest is the newest image that any node has or had.
func (c *cluster) newest() *metadata.Image {
	best := c.past
	for _, m := range c.members {
		if image := m.image(); image.Offset() > best.Offset() {
			best = image
		}
	}
	return best
}

// topicID is the id of the topic of a name, zero if there is none.
func topicID(image *metadata.Image, name string) [16]byte {
	if t := image.Topic(name); t != nil {
		return t.ID
	}
	return [16]byte{}
}

func (c *cluster) lookAtAll(since env.Instant) {
	if len(c.stage.Targets) == 0 {
		c.fail("V2", "there is no topic")
		c.finished = true
		return
	}
	traffic.NewLastReader(c.stage, uint64(1000+c.readers), patience, func() {
		c.readers++
		c.world.After(settleTime, func() { c.lookedAtAll(since) })
	})
}

// lookedAtAll compares what the nodes have, and has it looked at once more behind another crash. A replica that is in sync may still be behind, and
// a request to delete records waits for every replica's disk: a call that began before the last fault's end may take seconds.
func (c *cluster) lookedAtAll(since env.Instant) {
	if (c.behind() || c.waits()) && !c.overdue(since) {
		c.world.After(askHealth, func() { c.lookedAtAll(since) })
		return
	}
	c.box.compareReplicas()
	c.nothingWaits()
	if c.readers == 2 || len(c.world.Findings()) > 0 {
		c.stage.Ended, c.finished = true, true
		return
	}
	c.faults.finalCrash()
	since = c.world.Now()
	c.world.After(settleTime, func() { c.awaitHealth(since) })
}

// result closes the books.
func (c *cluster) result() Result {
	r := Result{
		Scenario: c.name, Seed: c.o.Seed, length: c.o.Length, Events: c.world.Steps(), Requests: c.stage.Requests,
		Simulated: time.Duration(c.world.Now()), Faults: c.faults.happened(), Totals: c.books.Totals(),
	}
	for _, m := range c.members {
		r.Lives += m.host.Life()
	}
	if len(c.world.Findings()) == 0 {
		r.Judged = judge(c.books)
	}
	r.Checks = c.books.Checks()
	r.Trace = c.world.Trace()
	r.Findings = c.world.Findings()
	return r
}

// judge looks for an order of what clients did with each partition.
func judge(books *ledger.Ledger) uint64 {
	n := uint64(0)
	for _, p := range books.Partitions() {
		if !p.Judgeable() {
			continue
		}
		log := p.History()
		n += uint64(len(log.Ops))
		v := linearizability.JudgePartition(log)
		books.Check("linearizable", v == linearizability.Linearizable, "%s: the history of %d operations is %s", log.Name, len(log.Ops), v)
	}
	return n
}
