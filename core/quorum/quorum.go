// Package quorum keeps the metadata log: one order of entries that a majority of voters has on stable storage. It drives etcd's raft,
// which is a pure state machine, and gives it a log, a disk and a clock.
//
// The directory of the metadata log holds, beside what every log has:
//
//	quorum-state                            who this node is, term, vote and commit, see state.go
//	<index, 20 digits>-<term, 10>.checkpoint  the cluster's image as of an entry, see checkpoint.go
//
// Raft counts entries from 1, logs count offsets from 0: the entry with index i has the offset i-1, so the index is the log end
// behind it. A term is the log's leader epoch. Each entry is one record batch with one record.
//
// What holds:
//
//	M1  term and vote are on stable storage before a message of that term leaves or an entry of it is appended; so a node
//	    votes once in a term, over all its lives
//	M2  an entry replaces the stored one of its index and everything behind it
//	M3  one Ready is handled at a time, in this order: state file, entries, durable, state file if the members change; then messages, apply, Advance
//	M4  entries are applied in order, once; a snapshot is taken between two of them, on the loop
//	M6  that holds for entries that were pulled as it does for those that came through raft, and for both in one life
//	M5  the log starts at or below the end of the last checkpoint, which is durable before the log start moves
//	O1  the first failure of the disk ends it: nothing is sent, appended or applied any more
//
// A node is a member of the quorum, or an observer. An observer pulls what was committed from the members and keeps nothing, see pull.go and
// serve.go. A member pulls too while it hears of no leader, or when the leader no longer has the entries that it lacks: so a member that was
// removed while it was away learns of it, and snapshots travel one way only. Who is a member is a fold of the log (members.go); a
// node becomes one when it finds itself, node id and directory, among them. How the first voters know each other, and why one that lost
// its disk is not among them, is told in identity.go.
//
// Raft's own election timer draws from the operating system's randomness, so it is set out of reach: elections are started here,
// from the injected clock and chance.
package quorum

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.etcd.io/raft/v3"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/record"
)

// TopicName is the metadata log's name, TopicID its identity; both are Kafka's.
const TopicName = "__cluster_metadata"

// Partition is the metadata log's identity.
func Partition() record.Partition {
	return record.Partition{Topic: record.TopicID{15: 1}}
}

// Errors of Propose and of failures; test for them with errors.Is.
var (
	// ErrNotLeader: nothing was proposed, because this node does not lead the quorum, or not yet.
	ErrNotLeader = errors.New("not the leader of the metadata quorum")
	// ErrLost: leadership ended before the entry was committed. It may be committed later all the same.
	ErrLost = errors.New("leadership of the metadata quorum was lost; the outcome is unknown")
	// ErrStopped: the quorum was stopped; the outcome of what was under way is unknown.
	ErrStopped = errors.New("the metadata quorum is stopped")
	// ErrTooLarge: the entry is too large.
	ErrTooLarge = errors.New("metadata entry is too large")
	// ErrChanging: another change of the quorum's members is under way.
	ErrChanging = errors.New("the metadata quorum's members are being changed already")
	// ErrDuplicate: the node is a member already.
	ErrDuplicate = errors.New("the node is a member of the metadata quorum already")
	// ErrNoVoter: the node, with that directory, is no member.
	ErrNoVoter = errors.New("the node is no member of the metadata quorum")
	// ErrLastVoter: the quorum would have no voter left, or nobody can take over.
	ErrLastVoter = errors.New("the metadata quorum needs another voter")
	// ErrCorrupt: what is on the disk cannot be what was written, or what was received cannot be what was sent.
	ErrCorrupt = errors.New("metadata on disk is corrupt")
)

// maxEntryBytes bounds one entry.
const maxEntryBytes = 32 << 20

// Position is an entry's place in the metadata log.
type Position struct {
	Offset record.Offset
	Epoch  record.Epoch
}

func positionOf(index, term uint64) Position {
	return Position{Offset: record.Offset(index) - 1, Epoch: record.Epoch(term)}
}

// Log is the metadata log as its store keeps it. What is appended is written and synced by the store, which calls the function given
// to OnAdvance when DurableEnd has moved or the log has failed.
type Log interface {
	StartOffset() record.Offset
	EndOffset() record.Offset
	DurableEnd() record.Offset
	Failure() error
	OnAdvance(f func())
	AppendAt(b record.Batch, a commitlog.AppendInfo) error
	TruncateTo(o record.Offset)
	TruncateFullyAndStartAt(o record.Offset)
	AdvanceStart(o record.Offset)
	Read(r commitlog.ReadRequest) (commitlog.ReadResult, *commitlog.ReadJob, error)
	Finish(j *commitlog.ReadJob) (commitlog.ReadResult, *commitlog.ReadJob, error)
}

// Options are the quorum's settings.
type Options struct {
	Node record.NodeID
	// Directory is the id of this node's data directory. It is drawn when the directory is made.
	Directory Directory
	// ClusterID is the same on all nodes. Payloads of other clusters are dropped.
	ClusterID string
	// Address is host:port of this node's controller listener, where the others reach it; empty if it has none, and is no member ever.
	Address string
	// Voters are the members of a quorum that has no state yet. A directory with a state knows its own.
	Voters []Voter
	// Bootstrap are addresses at which members can be found.
	Bootstrap []string
	// Observer: the node is none of Voters, whatever they say. It becomes a member only if it is added.
	Observer bool
	// Dir is the metadata log's directory. It exists, except if Start gets no log.
	Dir string
	// Lane is for jobs in that directory, and for no others.
	Lane env.Lane

	ElectionTimeout time.Duration // without word from a leader; up to twice that, by chance
	ElectionBackoff time.Duration // after a failed election, by chance up to this
	FetchTimeout    time.Duration // a leader steps down when no majority has been heard of for so long

	SnapshotBytes    int64         // of entries, after which there is another checkpoint
	SnapshotInterval time.Duration // after which there is one if there are new entries; 0: by size only
}

// Ports are what the quorum needs of the world.
type Ports struct {
	Disk  env.Disk
	Jobs  env.Jobs
	Clock env.Clock
	Rand  env.Rand
}

// Events are the quorum's calls back to its owner, all on the loop.
type Events struct {
	// Restore replaces the image by that of a snapshot, which holds everything up to the position.
	Restore func(at Position, snapshot []byte) error
	// Apply takes a committed entry; data is nil for those that are the quorum's own. Entries come in order, each once in a life, and none that a
	// Restore has covered.
	Apply func(at Position, data []byte)
	// Snapshot encodes the image as of the last Apply or Restore.
	Snapshot func() []byte
	// Leading: this node has become the leader and has applied everything before its own first entry, or it leads no more.
	Leading func(leading bool)
	// Send takes a payload for another node. It may be lost, late, doubled and overtaken.
	Send func(o Outgoing)
	// Failed is called once if the disk fails or holds what cannot be. Nothing else happens after that.
	Failed func(error)
	// Damaged is called instead if what was to be read at the start cannot be read, or is not what was written. Nothing was sent, restored or applied.
	Damaged func(error)
}

// Outgoing is a payload on its way.
type Outgoing struct {
	// To is the node; below NoNode if only its address is known, then each address has its own number.
	To      record.NodeID
	Address string
	Payload []byte
	// Polls: the other side answers when there is something to tell, within PollWait. Others are answered when
	// the drain ends, with what there is to say to the sender by then. What waits must not hold up what does not: it goes over a connection of its own.
	Polls bool
}

// NoNode is no node.
const NoNode record.NodeID = -1

// PollWait is how long a node holds a pull back at most if there is nothing to tell.
const PollWait = 500 * time.Millisecond

// phase is what the present Ready waits for.
type phase uint8

const (
	idle      phase = iota // there is none
	saving                 // for files
	syncing                // for the log
	noting                 // for the state file to say what was committed
	finishing              // it is being finished
)

// Quorum is one node's part in the metadata quorum. It is owned by the loop.
type Quorum struct {
	Options
	Ports
	events Events
	log    Log // nil for an observer that has none

	node    *raft.RawNode // nil until what is on the disk has been read, and on observers
	entries entries
	builder *record.Builder

	phase   phase
	ready   raft.Ready
	pumping bool

	wanted  savedState // what the state file will say once all writes are done
	saved   savedState // what it says
	applied uint64     // index of the last entry that raft gave us
	roster  members    // as of that entry: raft's
	term    uint64     // of the present Ready
	leads   bool       // raft says that this node leads, in leadTerm
	ledTerm uint64
	leading bool // Events.Leading was told so
	leader  uint64
	known   uint64 // term in which leader leads, or is not known

	// What the owner has been shown: the entries up to shown, and the members as of it. Never behind applied.
	shown, shownTerm uint64
	members          members

	pending  []proposal
	timers   timers
	snap     snapshots
	loading  *loader
	identity identity
	peers    peers
	outbox   outbox
	puller   puller
	server   server
	changes  changes
	confirms confirms
	handing  []func()
	failure  error
}

// New makes a quorum that has not read anything yet.
func New(p Ports, o Options, e Events) *Quorum {
	q := &Quorum{Options: o, Ports: p, events: e, builder: record.NewBuilder(record.None)}
	q.timers.never()
	q.puller.leader = NoNode
	return q
}

// Leading reports whether this node leads and has applied everything before its own first entry.
func (q *Quorum) Leading() bool { return q.leading }

// Leader is the leader as far as this node knows; ok is false if it knows none. An observer has it from whoever it pulls from.
func (q *Quorum) Leader() (id record.NodeID, address string, epoch record.Epoch, ok bool) {
	if p := &q.puller; q.pulls() && p.leader != NoNode && p.epoch >= q.known {
		return p.leader, p.address, record.Epoch(p.epoch), true
	}
	if q.leader != raft.None {
		return nodeID(q.leader), q.addressOf(q.leader), record.Epoch(q.known), true
	}
	return NoNode, "", record.Epoch(q.known), false
}

// Applied is the offset of the last entry applied, -1 if there is none.
func (q *Quorum) Applied() record.Offset { return record.Offset(q.shown) - 1 }

// Voters lists the nodes that vote.
func (q *Quorum) Voters() []record.NodeID {
	var ids []record.NodeID
	for _, id := range q.members.ids(false) {
		ids = append(ids, nodeID(id))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Failure is why nothing happens any more; nil while it works.
func (q *Quorum) Failure() error { return q.failure }

// boot starts raft on what was read from the disk, or adopted.
func (q *Quorum) boot() {
	node, err := raft.NewRawNode(&raft.Config{
		ID:                        q.saved.self,
		ElectionTick:              math.MaxInt32 / 4, // out of reach
		HeartbeatTick:             1,
		Storage:                   &q.entries,
		Applied:                   q.applied,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  16 << 20,
		MaxUncommittedEntriesSize: 2 * maxEntryBytes,
		MaxInflightMsgs:           64,
		PreVote:                   true,
		Logger:                    silent{},
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
	})
	if err != nil {
		q.fail(fmt.Errorf("start raft: %w", err))
		return
	}
	q.node, q.phase, q.ready = node, idle, raft.Ready{}
	q.leads, q.leader = false, raft.None
	q.log.OnAdvance(q.pump)
	q.timers.begin(q)
	q.pump() // what is known to be committed comes first: raft does not stand while it has members to learn of
	q.Tick()
	q.pump()
}

// EndDrain handles what the inputs since the last call have brought. The store's EndDrain comes after it.
func (q *Quorum) EndDrain() {
	if q.failure != nil || q.loading != nil {
		return
	}
	q.pump()
	q.restore()
	q.review()
	q.adopt()
	q.confirm()
	q.flush()
	q.answer()
}

// Stop ends it: what was proposed and is not committed has an unknown outcome.
func (q *Quorum) Stop() {
	if q.failure == nil {
		q.end(ErrStopped)
	}
}

// fail makes an error final (O1).
func (q *Quorum) fail(err error) {
	if q.failure != nil {
		return
	}
	err = fmt.Errorf("metadata quorum: %w", err)
	damaged := q.loading != nil && unusable(err)
	q.end(err)
	if damaged {
		q.events.Damaged(err)
		return
	}
	q.events.Failed(err)
}

// unusable says whether an error is about what is on the disk, and not about the disk.
func unusable(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, env.ErrUnreadable) || errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, record.ErrCorrupt)
}

func (q *Quorum) end(err error) {
	q.failure = err
	q.lead(false)
	q.abandon(err)
	q.server.close()
	q.identity.close()
	q.outbox.settle()
	q.handed()
}
