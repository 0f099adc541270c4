// Package broker owns and wires the parts of one node: it is what the host's loop calls.
//
// A broker starts in steps, each a job or a commit that the next one waits for: the store opens its logs; the quorum reads the metadata log and
// elects a leader; the image is folded and the replicas get their logs; the broker registers itself; clients are let in.
package broker

import (
	"slices"

	"lignum/core/api"
	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/group"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/peer"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/replication"
	"lignum/core/storage"
	"lignum/core/timer"
)

// Ports are what a broker needs of the world.
type Ports struct {
	Clock   env.Clock
	Rand    env.Rand
	Memory  env.Memory
	Disk    env.Disk
	Jobs    env.Jobs
	Network env.Network
	Log     env.Log
}

// Events are a broker's calls back to its host, all on the loop.
type Events struct {
	// Ready is called once, when clients can be let in.
	Ready func()
	// Failed is called once if the broker cannot start, or cannot go on. It serves nothing any more.
	Failed func(error)
}

// Broker is one node. It implements env.Node.
type Broker struct {
	Ports
	events Events
	config *config.Broker
	node   record.NodeID
	logDir string

	store        *storage.Store
	quorum       *quorum.Quorum
	image        *metadata.Image
	controller   *controller.Controller
	active       controlling
	metadataLoss metadataLoss
	member       membership
	peers        *peer.Set
	// replication and cluster are nil in a broker that is a cluster by itself.
	replication *replication.Manager
	cluster     *partition.Cluster
	current     *config.Broker // nil until somebody asks, and after a change; see effective
	replicas    bool           // the image is complete, and replicas follow it
	partitions  *partition.Set
	timers      timer.Queue

	sessions map[env.ConnID]*api.Session
	handlers *api.Handlers
	groups   *group.Coordinator
	// groupLogs are the partitions of the offsets topic, by index.
	groupLogs map[int32]*groupLog
	// topicsAt is the image's offset when topics or their numbers of partitions changed last.
	topicsAt record.Offset
	opening  opening
	state    state
	failure  error // why the state is failed
}

type state uint8

const (
	created state = iota
	starting
	serving
	stopping
	failed
)

var _ env.Node = (*Broker)(nil)

// New makes a broker that has not touched its disk yet. logDir is how the data directory is called towards people.
func New(p Ports, c *config.Broker, logDir string, e Events) *Broker {
	return &Broker{
		Ports: p, events: e, config: c, logDir: logDir, node: record.NodeID(c.NodeID),
		image: metadata.New(), partitions: partition.NewSet(), sessions: map[env.ConnID]*api.Session{},
		groupLogs: map[int32]*groupLog{},
	}
}

// Connected implements env.Node.
func (b *Broker) Connected(c env.ConnID, info env.ConnInfo) {
	if info.Outgoing {
		b.peers.Connected(c, info)
		return
	}
	s := api.NewSession(c, info, b.Network)
	s.Inter = b.config.Inter(info.Listener)
	s.Control = s.Inter && b.config.IsController(info.Listener)
	b.sessions[c] = s
}

// Received implements env.Node.
func (b *Broker) Received(c env.ConnID, r env.Request) {
	s := b.sessions[c]
	if s == nil && b.peers != nil && b.peers.Received(c, r) {
		return
	}
	if s == nil || !b.admits(s) {
		r.Release()
		b.Network.Close(c)
		return
	}
	b.handlers.Handle(s, r.(*api.Call))
}

// admits reports whether requests of a connection are answered at present: those on listeners for the quorum before clients are let in, too.
func (b *Broker) admits(s *api.Session) bool {
	if b.state == serving {
		return true
	}
	return b.quorum != nil && (b.state == starting || b.state == stopping) && b.config.IsController(s.Info.Listener)
}

// order lists the connections in the order in which they came.
func (b *Broker) order() []env.ConnID {
	ids := make([]env.ConnID, 0, len(b.sessions))
	//house:anyorder they are sorted below
	for id := range b.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Disconnected implements env.Node.
func (b *Broker) Disconnected(c env.ConnID) {
	if s := b.sessions[c]; s != nil {
		delete(b.sessions, c)
		s.Disconnected()
	} else if b.peers != nil {
		b.peers.Disconnected(c)
	}
}

// Tick implements env.Node.
func (b *Broker) Tick() {
	b.timers.Fire(b.Clock.Now())
	if b.store != nil {
		b.store.Tick()
	}
	if b.quorum != nil {
		b.quorum.Tick()
	}
}

// EndDrain implements env.Node: what the drain has appended goes to the disk, and readers that were woken look again.
func (b *Broker) EndDrain() {
	if b.quorum != nil {
		b.quorum.EndDrain()
		b.replaceMetadataLog()
	}
	if b.groups != nil {
		b.groups.EndDrain()
	}
	if b.handlers != nil {
		b.handlers.EndDrain()
	}
	if b.replication != nil && b.replication.EndDrain() && b.quorum != nil {
		b.quorum.EndDrain() // the controller may be this node
	}
	if b.store != nil {
		b.store.EndDrain()
	}
}

// Deadline implements env.Node.
func (b *Broker) Deadline() env.Instant {
	at := b.timers.Deadline()
	if b.store != nil {
		at = min(at, b.store.Deadline())
	}
	if b.quorum != nil {
		at = min(at, b.quorum.Deadline())
	}
	return at
}

// fail ends the broker: nothing is accepted any more, and the host is told.
func (b *Broker) fail(err error) {
	if b.state == failed {
		return
	}
	b.state, b.failure = failed, err
	b.events.Failed(err)
	if b.member.leave != nil {
		b.leave() // nobody takes over any more
	}
}
