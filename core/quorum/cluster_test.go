package quorum_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/record"
	"lignum/sim"
)

// cluster is several machines, a network that loses, doubles and reorders, and what must hold between them.
type cluster struct {
	t        *testing.T
	rand     *sim.Stream
	clock    *sim.ManualClock
	machines []*machine
	flying   []message
	faults   bool

	ledBy    map[record.Epoch]record.NodeID // M1
	history  []entry                        // by offset: what anybody has applied there (M2)
	checked  map[*machine]int               // how much of its image has been compared
	outcomes []*outcome
	story    strings.Builder
}

func newCluster(t *testing.T, seed uint64) *cluster {
	c := &cluster{
		t: t, rand: sim.NewRand(seed), clock: sim.NewClock(0), faults: true,
		ledBy: map[record.Epoch]record.NodeID{}, checked: map[*machine]int{},
	}
	for id := record.NodeID(1); id <= 3; id++ {
		m := newMachine(t, id, c.clock, seed, 1, 2, 3)
		m.options.SnapshotBytes = 600
		c.machines = append(c.machines, m)
		m.boot()
	}
	return c
}

// step lets one thing happen.
func (c *cluster) step() {
	m := c.machines[c.rand.Below(3)]
	switch n := c.rand.Below(100); {
	case n < 45:
		m.step()
	case n < 80:
		c.deliver()
	case n < 88:
		c.clock.Advance(time.Duration(c.rand.Below(int64(200 * time.Millisecond))))
		for _, m := range c.machines {
			if !m.down() {
				m.survive(func() { m.q.Tick() })
			}
		}
	case n < 97 || !c.faults:
		if !m.down() {
			c.outcomes = append(c.outcomes, m.propose(fmt.Sprint("entry ", len(c.outcomes), strings.Repeat("x", 40))))
		}
	case n < 99 && !m.down():
		m.disk.CrashAt(uint64(c.rand.Below(30)) + 1)
	case m.down():
		c.reboot(m)
	}
	c.collect()
}

func (c *cluster) reboot(m *machine) {
	if c.rand.Below(2) == 0 {
		m.kill()
	} else {
		m.power()
	}
	c.checked[m] = 0
	m.boot()
	if !m.down() {
		fmt.Fprintf(&c.story, "boot %d: applied %d, log [%d, %d)\n", m.id, m.q.Applied(), m.log.StartOffset(), m.log.EndOffset())
	}
}

// deliver takes any message that is under way.
func (c *cluster) deliver() {
	if len(c.flying) == 0 {
		return
	}
	i := c.rand.Below(int64(len(c.flying)))
	msg := c.flying[i]
	fate := c.rand.Below(10)
	if !c.faults || fate > 0 { // else it is delivered and stays: it will come twice
		c.flying = slices.Delete(c.flying, int(i), int(i)+1)
	}
	if c.faults && fate == 1 {
		return
	}
	if m := c.machines[msg.to-1]; !m.down() {
		m.survive(func() { m.q.Step(proto.Clone(msg.m).(*raftpb.Message)) })
	}
}

// collect takes what the machines have sent, and checks what they have done.
func (c *cluster) collect() {
	for _, m := range c.machines {
		if m.failure != nil {
			c.t.Fatalf("seed %d, node %d, life %d: %v", m.seed, m.id, m.lives, m.failure)
		}
		for _, msg := range m.outbox {
			fmt.Fprintf(&c.story, "%d>%d %v term %d, index %d, commit %d\n", m.id, msg.to, msg.m.GetType(), msg.m.GetTerm(), msg.m.GetIndex(), msg.m.GetCommit())
		}
		c.flying = append(c.flying, m.outbox...)
		m.outbox = nil
		if len(c.flying) > 200 {
			c.flying = c.flying[len(c.flying)-200:]
		}
		if m.down() {
			continue
		}
		if m.leading {
			_, epoch, _ := m.q.Leader()
			if other, led := c.ledBy[epoch]; led && other != m.id {
				c.t.Fatalf("nodes %d and %d both lead in epoch %d (M1)", other, m.id, epoch)
			}
			c.ledBy[epoch] = m.id
		}
		c.compare(m)
	}
}

// compare holds what a node has applied against what any node has ever applied there (M2).
func (c *cluster) compare(m *machine) {
	from := min(c.checked[m], len(m.image))
	for i := from; i < len(m.image); i++ {
		if i == len(c.history) {
			c.history = append(c.history, m.image[i])
		}
		if c.history[i] != m.image[i] {
			c.t.Fatalf("node %d has %v at %d, another had %v (M2)", m.id, m.image[i], i, c.history[i])
		}
	}
	c.checked[m] = len(m.image)
}

// heal ends all faults and lets the cluster come together.
func (c *cluster) heal() {
	c.faults = false
	for _, m := range c.machines {
		m.disk.CrashAt(0)
		if m.down() {
			c.reboot(m)
		}
	}
	for range 4000 {
		c.step()
	}
	c.settle()
}

// settle lets time pass without proposals, until all have applied the same.
func (c *cluster) settle() {
	for range 20_000 {
		m := c.machines[c.rand.Below(3)]
		switch n := c.rand.Below(10); {
		case n < 5:
			m.step()
		case n < 9:
			c.deliver()
		default:
			c.clock.Advance(20 * time.Millisecond)
			for _, m := range c.machines {
				m.q.Tick()
			}
		}
		c.collect()
	}
	for _, m := range c.machines {
		if len(m.image) != len(c.history) {
			c.t.Fatalf("node %d has applied %d of %d entries", m.id, len(m.image), len(c.history))
		}
	}
	acked := 0
	for _, o := range c.outcomes {
		if !o.done && o.life == o.by.lives {
			c.t.Fatalf("%s was proposed and never answered", o.data)
		}
		if !o.done || o.err != nil {
			continue
		}
		acked++
		if !c.machines[0].has(o.data) {
			c.t.Fatalf("%s was acknowledged and is gone (M2)", o.data)
		}
	}
	if acked == 0 {
		c.t.Fatal("nothing was acknowledged")
	}
}

func TestThreeVoters(t *testing.T) {
	t.Parallel()
	epochs, acked, snapshots, lives := 0, 0, 0, 0
	for seed := range uint64(10) {
		c := newCluster(t, seed)
		for range 6000 {
			c.step()
		}
		c.heal()
		snapshots += strings.Count(c.story.String(), "MsgSnap ")
		for _, m := range c.machines {
			lives += int(m.lives)
		}
		epochs += len(c.ledBy)
		for _, o := range c.outcomes {
			if o.done && o.err == nil {
				acked++
			}
		}
	}
	t.Logf("%d leaders, %d entries acknowledged, %d snapshots sent, %d lives", epochs, acked, snapshots, lives)
	if epochs < 30 || snapshots < 10 || lives < 100 {
		t.Error("too little has happened")
	}
}

// TestOneSeedTellsOneStory holds that nothing but the seed decides.
func TestOneSeedTellsOneStory(t *testing.T) {
	t.Parallel()
	var stories [2]string
	for i := range stories {
		c := newCluster(t, 99)
		for range 4000 {
			c.step()
		}
		stories[i] = c.story.String()
	}
	if stories[0] != stories[1] || len(stories[0]) < 1000 {
		t.Errorf("two stories, of %d and %d bytes", len(stories[0]), len(stories[1]))
	}
}
