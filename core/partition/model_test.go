package partition

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"lignum/core/config"
	"lignum/core/journal"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
	"lignum/sim"

	"pgregory.net/rapid"
)

// cluster is one partition on several nodes, each with a real log on a simulated disk, a model of the controller, and a network that delays,
// reorders and repeats. It asserts what GUARANTEES promises after every step.
type cluster struct {
	t        rapid.TB
	r        *rapid.T // draws; nil in a scenario, which leaves nothing to chance
	clock    *sim.ManualClock
	settings config.Topic
	nodes    []*node
	history  []metadata
	flights  []*flight
	changes  []*change

	names    map[name]uint64 // L2: what (epoch, offset) names, for ever
	content  []uint64        // G: the records below top
	top      record.Offset   // TH
	acked    map[record.Offset]uint64
	removed  record.Offset // what is below may be gone
	promised record.Offset // what is below is gone for good: a DeleteRecords was answered
	next     uint64
	trace    []string
	lossless bool // nobody loses anything: policy async without loss of power
}

type name struct {
	epoch  record.Epoch
	offset record.Offset
}

// metadata is what the controller has decided so far.
type metadata struct {
	state  State
	epochs []int64 // broker epochs by node
	active []bool
}

// node is a broker with one replica.
type node struct {
	c      *cluster
	id     record.NodeID
	disk   *sim.Disk
	lanes  *sim.Lanes
	store  *storage.Store
	p      *Partition
	up     bool
	view   int // entry of history that it has applied
	asked  int // the same, when it sent its last fetch
	epoch  int64
	life   int
	mark   record.Offset // high watermark at the last look, in this leader epoch
	marked record.Epoch
	shadow []entry
	ready  bool
}

// entry is one record of a log; zero where the log does not begin yet.
type entry struct {
	epoch record.Epoch
	value uint64
}

// flight is a fetch on its way there or back.
type flight struct {
	from, to *node
	life     int // of from
	fetch    FollowerFetch
	sent     FetchState
	answer   *wire.FetchResult
}

// change is an AlterPartition on its way.
type change struct {
	from   *node
	life   int
	c      ISRChange
	answer *ISRAnswer
}

var (
	testTopic   = record.Partition{Topic: record.TopicID{1}, Index: 0}
	smallTurns  = journal.Options{FileBytes: 16 << 10, Files: 3, MaxFiles: 6, GroupBytes: 8 << 10, QueueBytes: 64 << 10, StepBytes: 4 << 10}
	lagMax      = 10 * time.Second
	sessionMax  = 12 * time.Second
	noTimestamp = record.Facts{MaxTimestamp: record.NoTimestamp}
)

func newCluster(t rapid.TB, nodes int, policy config.FlushPolicy, minInSync int32, seed uint64) *cluster {
	c := &cluster{
		t: t, clock: sim.NewClock(1_700_000_000_000), settings: config.DefaultTopic(),
		names: map[name]uint64{}, acked: map[record.Offset]uint64{}, lossless: policy == config.Async,
	}
	c.settings.FlushPolicy, c.settings.MinInSyncReplicas = policy, minInSync
	c.settings.SegmentBytes = 4 << 10
	first := metadata{state: State{Leader: 0, LeaderEpoch: 0}, epochs: make([]int64, nodes), active: make([]bool, nodes)}
	for i := range nodes {
		id := record.NodeID(i)
		first.state.Replicas = append(first.state.Replicas, id)
		first.state.ISR = append(first.state.ISR, id)
		first.epochs[i], first.active[i] = int64(i), true
		c.nodes = append(c.nodes, &node{c: c, id: id, disk: sim.NewDisk(sim.DiskOptions{Seed: seed + uint64(i)}), epoch: int64(i)})
	}
	c.history = []metadata{first}
	for _, n := range c.nodes {
		n.boot()
	}
	return c
}

func (c *cluster) logf(format string, args ...any) {
	c.trace = append(c.trace, fmt.Sprintf(format, args...))
}

func (c *cluster) fatalf(format string, args ...any) {
	for _, line := range c.trace[max(0, len(c.trace)-60):] {
		c.t.Log(line)
	}
	c.t.Fatalf(format, args...)
}

func (c *cluster) now() *metadata { return &c.history[len(c.history)-1] }

// decide appends to the history.
func (c *cluster) decide(m metadata, why string) {
	m.state.PartitionEpoch++
	c.history = append(c.history, m)
	s := m.state
	c.logf("controller: %s: leader %d epoch %d partition epoch %d ISR %v ELR %v", why, s.Leader, s.LeaderEpoch, s.PartitionEpoch, s.ISR, s.ELR)
}

func (c *cluster) copy() metadata {
	m := *c.now()
	m.epochs, m.active = slices.Clone(m.epochs), slices.Clone(m.active)
	return m
}

// elect chooses a leader from the ISR, then from the ELR.
func (c *cluster) elect(m *metadata, not record.NodeID) {
	s := &m.state
	s.Leader = -1
	s.LeaderEpoch++
	for _, from := range [][]record.NodeID{s.ISR, s.ELR} {
		var fit []record.NodeID
		for _, id := range from {
			if m.active[id] && id != not {
				fit = append(fit, id)
			}
		}
		if len(fit) > 0 && c.r == nil {
			s.Leader = fit[0]
			break
		}
		if len(fit) > 0 {
			s.Leader = rapid.SampledFrom(fit).Draw(c.r, "leader")
			break
		}
	}
	if s.Leader >= 0 && !slices.Contains(s.ISR, s.Leader) {
		s.ISR = []record.NodeID{s.Leader}
		s.ELR = without(s.ELR, s.Leader)
	}
}

func without(list []record.NodeID, id record.NodeID) []record.NodeID {
	return slices.DeleteFunc(slices.Clone(list), func(other record.NodeID) bool { return other == id })
}

// setISR keeps those in the ELR that leave the ISR while it is too small (KIP-966).
func (c *cluster) setISR(s *State, isr []record.NodeID) {
	before := s.ISR
	s.ISR = isr
	if len(isr) >= min(int(c.settings.MinInSyncReplicas), len(s.Replicas)) {
		s.ELR = nil
		return
	}
	elr := []record.NodeID{}
	for _, id := range slices.Concat(s.ELR, before) {
		if !slices.Contains(isr, id) && !slices.Contains(elr, id) {
			elr = append(elr, id)
		}
	}
	s.ELR = elr
}

// fence takes a broker out.
func (c *cluster) fence(id record.NodeID, why string) {
	m := c.copy()
	if !m.active[id] {
		return
	}
	m.active[id] = false
	c.setISR(&m.state, without(m.state.ISR, id))
	if m.state.Leader == id || m.state.Leader < 0 {
		c.elect(&m, id)
	}
	c.decide(m, why)
}

// alter is the controller's side of AlterPartition.
func (c *cluster) alter(from *node, q ISRChange) ISRAnswer {
	m := c.copy()
	s := &m.state
	refuse := func(code wire.ErrorCode) ISRAnswer { return ISRAnswer{Code: code} }
	var isr []record.NodeID
	for _, member := range q.ISR {
		isr = append(isr, member.ID)
	}
	switch {
	case q.LeaderEpoch != s.LeaderEpoch || s.Leader != from.id:
		return refuse(wire.FencedLeaderEpoch)
	case q.PartitionEpoch < s.PartitionEpoch && slices.Equal(isr, s.ISR):
		return ISRAnswer{PartitionEpoch: s.PartitionEpoch}
	case q.PartitionEpoch != s.PartitionEpoch:
		return refuse(wire.InvalidUpdateVersion)
	}
	for _, member := range q.ISR {
		if !m.active[member.ID] || member.BrokerEpoch >= 0 && member.BrokerEpoch != m.epochs[member.ID] {
			c.decide(m, "a copy of a refused change must find another epoch")
			return refuse(wire.IneligibleReplica)
		}
	}
	c.flushed(isr)
	c.setISR(s, isr)
	c.decide(m, fmt.Sprintf("ISR by %d", from.id))
	return ISRAnswer{PartitionEpoch: c.now().state.PartitionEpoch}
}

// flushed: whoever joins the ISR, and knew when it fetched that it was not in there, has what is committed on stable storage, under async too (D1).
func (c *cluster) flushed(isr []record.NodeID) {
	for _, id := range isr {
		n := c.nodes[id]
		if known := c.history[n.asked].state.ISR; !n.up || slices.Contains(known, id) || slices.Contains(c.now().state.ISR, id) {
			continue
		}
		if end := n.p.log.FlushedEnd(); end < c.top {
			c.fatalf("D1: node %d joins with %d flushed, %d are committed", id, end, c.top)
		}
	}
}

// register lets a broker in that has come back.
func (c *cluster) register(n *node) {
	c.fence(n.id, fmt.Sprintf("%d registers", n.id))
	m := c.copy()
	n.epoch = int64(len(c.history) * 10)
	m.epochs[n.id], m.active[n.id] = n.epoch, true
	if m.state.Leader < 0 {
		c.elect(&m, -1)
	}
	c.decide(m, fmt.Sprintf("%d is back", n.id))
	n.view = len(c.history) - 1
}

// boot starts a node on what its disk holds.
func (n *node) boot() {
	c := n.c
	n.life++
	n.up, n.ready = true, false
	n.lanes = sim.NewLanes(uint64(n.life)*31 + uint64(n.id))
	o := storage.Options{Journal: smallTurns, ChunkBytes: 256 << 10, CheckpointInterval: 3 * time.Second}
	o.Meta.NodeID, o.Meta.ClusterID = n.id, "cluster"
	ports := storage.Ports{Disk: n.disk, Jobs: n.lanes, Memory: sim.NewMemory(), Clock: c.clock, Rand: sim.NewRand(uint64(n.life))}
	n.store = storage.New(ports, o, storage.Events{
		Ready: func(err error) {
			if err != nil {
				c.fatalf("node %d does not start: %v", n.id, err)
			}
			n.ready = true
		},
		Failed: func(err error) { c.fatalf("node %d fails: %v", n.id, err) },
	})
	n.store.Start()
	for !n.ready && n.lanes.Step() {
	}
	if n.life > 1 {
		c.register(n)
	}
	n.p = New(testTopic, "t", n.id, c.settings, n.ports())
	n.mark, n.marked = 0, -1
	n.p.Follow(c.history[n.view].state)
	if log := n.store.Log(testTopic); log != nil {
		log.Configure(c.settings)
		log.WhenDurable(func() { n.p.Opened(log, nil) })
	} else {
		n.store.Create(testTopic, "t", c.settings, n.p.Opened)
	}
	for !n.p.Open() {
		n.store.EndDrain()
		if !n.lanes.Step() {
			break
		}
	}
	if !n.p.Open() {
		c.fatalf("node %d does not open its log", n.id)
	}
	n.look()
	if n.life > 1 {
		c.complete(n, "after its restart")
	}
}

func (n *node) ports() *Cluster {
	c, life := n.c, n.life
	return &Cluster{
		Clock: c.clock,
		AlterISR: func(p *Partition, q ISRChange) {
			c.logf("%d asks for ISR %v at partition epoch %d", n.id, q.ISR, q.PartitionEpoch)
			c.changes = append(c.changes, &change{from: n, life: life, c: q})
		},
		BrokerEpoch: func(id record.NodeID) int64 { return c.history[n.view].epochs[id] },
		Active:      func(id record.NodeID) bool { return c.history[n.view].active[id] },
		Leased:      func() bool { return true },
		Fetchable:   func(*Partition) {},
		Damaged:     func(*Partition) { c.fatalf("node %d is damaged", n.id) },
		Lag:         func() time.Duration { return lagMax },
		Session:     func() time.Duration { return sessionMax },
	}
}

// crash ends the process; the node may lose power too.
func (n *node) crash(power bool) {
	n.c.logf("%d crashes, power %v", n.id, power)
	n.up = false
	if power {
		n.disk.Power()
	} else {
		n.disk.Kill()
	}
}

// learn applies the next entries of the metadata; several at once hide what was between.
func (n *node) learn(entries int) {
	if n.view+entries >= len(n.c.history) {
		entries = len(n.c.history) - 1 - n.view
	}
	if entries <= 0 {
		return
	}
	n.view += entries
	s := n.c.history[n.view].state
	n.c.logf("%d learns leader %d epoch %d partition epoch %d", n.id, s.Leader, s.LeaderEpoch, s.PartitionEpoch)
	n.p.Follow(s)
	n.c.inspect(n)
}

// produced is one acks=all request.
type produced struct {
	c     *cluster
	first record.Offset
	want  []uint64
}

func (q *produced) Waits() bool { return true }

func (q *produced) Settled(_ int, code wire.ErrorCode) {
	if code != wire.None {
		return
	}
	for i, v := range q.want {
		q.c.acked[q.first+record.Offset(i)] = v
	}
}

// produce appends a batch at a node that believes that it leads.
func (n *node) produce() {
	acks := AcksAll
	if rapid.IntRange(0, 3).Draw(n.c.r, "acks") == 0 {
		acks = AcksLeader
	}
	n.append(rapid.IntRange(1, 3).Draw(n.c.r, "records"), acks)
}

func (n *node) append(records int, acks Acks) {
	c := n.c
	b := record.NewBuilder(record.None)
	q := &produced{c: c}
	for range records {
		c.next++
		q.want = append(q.want, c.next)
		b.Append(record.Record{Timestamp: 1_700_000_000_000, Value: binary.BigEndian.AppendUint64(nil, c.next)})
	}
	to := q
	if acks == AcksLeader {
		to = &produced{c: c}
	}
	q.first = n.p.log.EndOffset()
	_, refusal := n.p.Produce(b.Build(), noTimestamp, acks, c.clock.Wall(), to, 0)
	if refusal == nil {
		c.logf("%d appends at %d in epoch %d", n.id, q.first, n.p.state.LeaderEpoch)
	}
}

// remove moves the log start of a node, as retention does, or of all, as DeleteRecords.
func (n *node) remove(to record.Offset, everywhere bool) {
	c := n.c
	if to = min(to, n.p.log.HighWatermark()); !everywhere {
		c.removed = max(c.removed, to)
		c.logf("%d removes what is below %d", n.id, to)
		n.p.log.AdvanceStart(to, func(error) {})
		return
	}
	if n.p.Leading() != wire.None {
		return
	}
	c.removed = max(c.removed, to)
	c.logf("%d deletes what is below %d", n.id, to)
	n.p.DeleteRecords(to, nil, func(low record.Offset, code wire.ErrorCode) {
		if code == wire.None {
			c.logf("%d has deleted what is below %d: %d", n.id, to, low)
			c.promised = max(c.promised, to)
		}
	})
}

// fetch sends what the follower wants next.
func (n *node) fetch() {
	s, ok := n.p.FetchState()
	if !ok {
		return
	}
	leader, _ := n.p.Leader()
	n.asked = n.view
	n.c.flights = append(n.c.flights, &flight{
		from: n, to: n.c.nodes[leader], life: n.life, sent: s,
		fetch: FollowerFetch{
			Node: n.id, BrokerEpoch: n.epoch, LeaderEpoch: s.LeaderEpoch, Offset: s.Offset, LastFetchedEpoch: s.LastFetchedEpoch, LogStart: s.LogStart,
		},
	})
}

// deliver brings a fetch to its end, or its answer back.
func (c *cluster) deliver(i int, again bool) {
	f := c.flights[i]
	if !again {
		c.flights = slices.Delete(c.flights, i, i+1)
	}
	if f.answer != nil {
		if f.from.up && f.from.life == f.life {
			err := f.from.p.Fetched(f.sent, f.answer)
			c.logf("%d gets the answer to its fetch at %d, epoch %d: %v, diverging %v, mark %d, %d bytes: end %d, %v", f.from.id, f.sent.Offset,
				f.sent.LeaderEpoch, f.answer.Error, f.answer.Diverging, f.answer.HighWatermark, len(f.answer.Records), f.from.p.EndOffset(), err)
			c.inspect(f.from)
		}
		return
	}
	if !f.to.up {
		return
	}
	p := f.to.p
	f.fetch.Now = c.clock.Now()
	out := p.Replicate(f.fetch, 0)
	if out.Error == wire.None && out.Diverging == nil {
		out.Records = f.to.read(f.sent.Offset, p.EndOffset())
	}
	c.logf("%d serves %d at %d, epoch %d: %v", f.to.id, f.from.id, f.sent.Offset, f.sent.LeaderEpoch, out.Error)
	c.flights = append(c.flights, &flight{from: f.from, to: f.to, life: f.life, sent: f.sent, answer: &out})
	c.inspect(f.to)
}
