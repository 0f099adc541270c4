// Package quorum keeps the metadata log: one order of entries that a majority of voters has on stable storage. It drives etcd's raft,
// which is a pure state machine, and gives it a log, a disk and a clock.
//
// The directory of the metadata log holds, beside what every log has:
//
//	quorum-state                            term, vote and commit, see state.go
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
//	M3  one Ready is handled at a time, in this order: state file, entries, durable; then messages, apply, Advance
//	M4  entries are applied in order, once; a snapshot is taken between two of them, on the loop
//	M5  the log starts at or below the end of the last checkpoint, which is durable before the log start moves
//	O1  the first failure of the disk ends it: nothing is sent, appended or applied any more
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
	"go.etcd.io/raft/v3/raftpb"

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
	// ErrCorrupt: what is on the disk cannot be what was written.
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

// Message is what voters send each other.
type Message = raftpb.Message

// Options are the quorum's settings.
type Options struct {
	Node record.NodeID
	// Voters are the members of a quorum that has no state yet. A directory with a state knows its own.
	Voters []record.NodeID
	// Dir is the metadata log's directory. It exists.
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
	// Send takes a message for another voter. The receiver gives it to Step. It must not be changed.
	Send func(to record.NodeID, m *Message)
	// Failed is called once if the disk fails or holds what cannot be. Nothing else happens after that.
	Failed func(error)
}

// phase is what the present Ready waits for.
type phase uint8

const (
	idle      phase = iota // there is none
	saving                 // for files
	syncing                // for the log
	finishing              // it is being finished
)

// Quorum is one node's part in the metadata quorum. It is owned by the loop.
type Quorum struct {
	Options
	Ports
	events Events
	log    Log

	node    *raft.RawNode // nil until what is on the disk has been read
	entries entries
	builder *record.Builder

	phase   phase
	ready   raft.Ready
	pumping bool

	saved   savedState // what the state file says
	applied uint64     // index of the last entry applied
	term    uint64     // of the present Ready
	leads   bool       // raft says that this node leads, in leadTerm
	ledTerm uint64
	leading bool // Events.Leading was told so
	leader  uint64
	pending []proposal
	timers  timers
	snap    snapshots
	loading *loader
	failure error
}

// New makes a quorum that has not read anything yet.
func New(p Ports, o Options, e Events) *Quorum {
	q := &Quorum{Options: o, Ports: p, events: e, builder: record.NewBuilder(record.None)}
	q.timers = timers{elect: env.Never, beat: env.Never, check: env.Never, snapshot: env.Never}
	return q
}

// raftID is a node's id as raft has it, where 0 means nobody.
func raftID(id record.NodeID) uint64 { return uint64(id) + 1 }

func nodeID(id uint64) record.NodeID { return record.NodeID(id - 1) }

// Leading reports whether this node leads and has applied everything before its own first entry.
func (q *Quorum) Leading() bool { return q.leading }

// Leader is the leader as far as this node knows; ok is false if it knows none.
func (q *Quorum) Leader() (id record.NodeID, epoch record.Epoch, ok bool) {
	return nodeID(q.leader), record.Epoch(q.term), q.leader != raft.None
}

// Applied is the offset of the last entry applied, NoOffset if there is none.
func (q *Quorum) Applied() record.Offset { return record.Offset(q.applied) - 1 }

// Voters lists the members of the quorum by id.
func (q *Quorum) Voters() []record.NodeID {
	var ids []record.NodeID
	for _, id := range q.entries.conf.GetVoters() {
		ids = append(ids, nodeID(id))
	}
	slices.Sort(ids)
	return ids
}

// Failure is why nothing happens any more; nil while it works.
func (q *Quorum) Failure() error { return q.failure }

// boot starts raft on what was read from the disk.
func (q *Quorum) boot() {
	node, err := raft.NewRawNode(&raft.Config{
		ID:                        raftID(q.Node),
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
	q.node = node
	q.log.OnAdvance(q.pump)
	q.timers.begin(q)
	q.Tick()
	q.pump()
}

// EndDrain handles what the inputs since the last call have brought. The store's EndDrain comes after it.
func (q *Quorum) EndDrain() { q.pump() }

// Step takes a message from another voter.
func (q *Quorum) Step(m *Message) {
	if q.node == nil || q.failure != nil || !q.hear(m) {
		return
	}
	_ = q.node.Step(m) // what raft refuses is as if it had been lost on the way
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
	q.end(err)
	q.events.Failed(err)
}

func (q *Quorum) end(err error) {
	q.failure = err
	q.lead(false)
	q.abandon(err)
}
