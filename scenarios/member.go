package scenarios

import (
	"fmt"
	"strings"
	"time"

	"lignum/core/broker"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/scenarios/inspect"
	"lignum/sim"
)

// member is one node of a cluster, over all its lives.
type member struct {
	c    *cluster
	id   record.NodeID
	role string
	host *sim.Host
	node *broker.Broker // of the present or the last life
	eye  *inspect.Inspector

	ready      bool // the present life serves
	restarting bool
	stopping   bool

	// What cannot be held against the present life: errors of its disk, or one that was full.
	lifeErrors uint64
	unread     unread
	excused    bool
	held       bool   // it is not started again before somebody lets it
	forgotten  uint64 // the last life during which the broker was unregistered
	full       bool
	window     bool   // of disk errors
	armed      string // what shall happen in a call
	armedPower bool
	kills      uint64 // other ends of processes that were not in order
	powers     uint64 // power cuts and wipes that were noticed
	stuckSince env.Instant
	lies       bool          // the medium has lied, and nothing of what is on it can be held against the node
	refused    int           // lives that have ended before they served, since it lies
	votes      bool          // its controller did when it was seen last
	wipedAt    record.Offset // of the metadata, when the disk was lost

	seenImage record.Offset // of the metadata, that was looked at last
	scans     map[record.Partition]*scan
}

func (c *cluster) newMember(id int, role string) *member {
	m := &member{c: c, id: record.NodeID(id), role: role, stuckSince: env.Never, wipedAt: record.NoOffset, scans: map[record.Partition]*scan{}}
	reader := record.NewReader(record.Limits{})
	m.host = c.world.AddHost(sim.HostOptions{
		Name: fmt.Sprintf("n%d", id), Boot: m.boot, Wall: wallAtStart, InFlight: 16,
		Listeners: []sim.Listener{{Name: "PLAINTEXT", Port: 9092}, {Name: "CONTROLLER", Port: 9093}},
		Decode: func(info env.ConnInfo, frame env.Buffer) (env.Request, error) {
			return broker.Decode(info, frame, reader)
		},
		Disk: sim.DiskOptions{SectorSize: c.plan.sector},
	})
	m.eye = inspect.New(m.host.Disk(), m.check)
	return m
}

// check is Check for what is said of a node.
func (m *member) check(name string, holds bool, format string, args ...any) bool {
	if holds || m.lies {
		return m.c.books.Check(name, true, "")
	}
	return m.c.books.Check(name, false, "%s: "+format, append([]any{m.host.Name()}, args...)...)
}

// boot builds the broker of a new life.
func (m *member) boot(p sim.Ports) env.Node {
	c, life := m.c, m.host.Life()
	m.ready, m.stopping = false, false
	if m.node != nil && m.image().Offset() > c.past.Offset() {
		c.past = m.image()
	}
	m.seenImage = record.NoOffset
	clear(m.scans)
	m.eye.Begin()
	node := broker.New(broker.Ports{
		Clock: p.Clock, Rand: p.Rand, Memory: p.Memory, Disk: p.Disk, Jobs: p.Jobs, Network: p.Network, Log: m.says,
	}, c.plan.settings(int(m.id), life), "/data", broker.Events{
		Ready: func() {
			m.ready = true
			c.tell("broker", fmt.Sprintf("%s: life %d is ready", m.host.Name(), life))
		},
		Failed: func(err error) { m.gaveUp(life, err) },
	})
	m.node = node
	node.Start()
	return node
}

func (m *member) says(_ env.Level, message string, pairs ...any) {
	if m.c.o.Tell == nil {
		return
	}
	var text strings.Builder
	text.WriteString(m.host.Name() + ": " + message)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&text, " %v=%v", pairs[i], pairs[i+1])
	}
	m.c.tell("broker", text.String())
}

// gaveUp is a node that says it cannot go on: its process ends. It needs a reason.
func (m *member) gaveUp(life uint64, err error) {
	c := m.c
	c.tell("broker", fmt.Sprintf("%s: life %d gives up: %v", m.host.Name(), life, err))
	told := m.forgotten == life && strings.Contains(err.Error(), "unregistered")
	if told {
		c.faults.count("unregistered in use")
	}
	c.books.Check("V2", told || m.excuse(), "%s: life %d gives up, although no fault struck its disk: %v", m.host.Name(), life, err)
	c.world.At(c.world.Now(), func() {
		if m.host.Running() && m.host.Life() == life {
			if m.lies && !m.ready {
				m.refused++
			}
			c.faults.count("fail-stop")
			m.kills++
			m.end(m.host.Kill)
		}
	})
}

// end ends the process.
func (m *member) end(how func()) {
	m.armed, m.ready = "", false
	how()
}

// diskErrors is how many calls have failed so far.
func (m *member) diskErrors() uint64 {
	n := uint64(0)
	for k := sim.OpOpen; k <= sim.OpClose; k++ {
		n += m.host.Disk().Faults(k)
	}
	return n
}

// excuse says whether the disk has given the present life a reason to give up.
func (m *member) excuse() bool {
	return m.full || m.excused || m.lies || m.harmed() || m.diskErrors() > m.lifeErrors
}

// losses is how often this node could have lost what was not durable.
func (m *member) losses() uint64 {
	d := m.host.Disk()
	return m.powers + d.Faults(sim.OpSync) + d.Faults(sim.OpSyncDir)
}

// keptAway says that nobody is to start the node now.
func (m *member) keptAway() bool { return m.held || m.c.faults.bad.away && m == m.c.faults.bad.node }

// start begins a new life.
func (m *member) start() {
	m.lifeErrors, m.excused = m.diskErrors(), m.full
	m.c.faults.harm.starting(m)
	m.host.Start()
	m.c.tell("fault", fmt.Sprintf("%s: life %d begins", m.host.Name(), m.host.Life()))
}

// readAgain ends a life that could not read all of its partitions, unless they are copied from others soon. What is left out may be given up for a
// copy, which is a loss like that of its disk.
func (m *member) readAgain() {
	if !m.ready || !m.host.Running() {
		return
	}
	patience := 10 * time.Second
	if m.c.healed {
		patience = 3 * time.Second
	}
	first, due := m.unread.due(m.c.world.Now(), m.host.Life(), m.node, patience)
	if first {
		m.c.faults.count("partitions left out")
		m.c.books.LossPossible()
		m.powers++
	}
	if due {
		m.c.faults.tell("%s: is to read again what it could not", m.host.Name())
		if m.lies {
			m.refused++
		}
		m.kills++
		m.end(m.host.Kill)
	}
}

// image is the metadata as the node knows it, or knew it when it ended.
func (m *member) image() *metadata.Image { return m.node.Image() }

// log is the node's log of a partition, if it serves and has it.
func (m *member) log(id record.Partition) *storage.Log {
	if !m.host.Running() || !m.ready {
		return nil
	}
	for _, l := range m.node.Logs() {
		if l.ID() == id && l.Failure() == nil {
			return l
		}
	}
	return nil
}
