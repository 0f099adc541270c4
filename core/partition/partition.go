// Package partition is one replica of one partition: it decides what may be appended, moves the high watermark, and knows who
// waits for it.
//
// The log below holds the bytes and the offsets; this package holds what the replica promises of them. A record is acknowledged to
// acks=all once the high watermark has passed it, and the mark passes only what every member of the in-sync set holds safely: on
// stable storage under the policy sync, in the page cache under async (guarantee D3). Who joins the set has flushed its copy under either.
//
// A leader learns from the followers' fetches what they hold: a fetch at an offset says that everything below is safe there. The set that
// counts is the maximal one (KIP-497): the committed ISR, what the leader has asked the controller to add to it, and the eligible leader
// replicas, for each of them may be elected (I3). While the committed ISR is below min.insync.replicas the mark stands still (KIP-966).
//
// A follower names with each fetch the epoch of its last record. If the leader's log does not have that epoch up to there, it says where the
// two part (KIP-595), and the follower cuts its log there and nowhere else, least of all at its high watermark (KIP-101, KIP-279).
package partition

import (
	"slices"

	"lignum/core/config"
	"lignum/core/invariant"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
)

// Partition is one replica, owned by the loop.
//
// Invariants, checked after every step:
//
//	P1  log start <= last stable <= high watermark <= log end
//	P2  leader epochs only rise; within one, a leader's high watermark never goes back
//	P3  a leader is a member of its own ISR
type Partition struct {
	// ID is the identity; Topic the name that the topic had when the replica was made.
	ID    record.Partition
	Topic string

	log      *storage.Log // nil until it is opened
	failure  error        // why there is no log, or none any more
	settings config.Topic
	self     record.NodeID
	cluster  *Cluster // nil for a broker alone

	state State
	lead  leadership // of the present leader epoch; empty on a follower
	// committed is the greatest high watermark that a follower has heard of from the leader of the present epoch.
	committed record.Offset

	produces produceQueue
	watches  watchList // wait for the high watermark
	ends     watchList // wait for the log end: followers
	deletes  waitList[deletion]
}

// New is a replica on the broker self whose log is not open yet.
func New(id record.Partition, topic string, self record.NodeID, settings config.Topic, cluster *Cluster) *Partition {
	return &Partition{
		ID: id, Topic: topic, self: self, settings: settings, cluster: cluster,
		state: State{Leader: -1, LeaderEpoch: record.NoEpoch, PartitionEpoch: -1},
	}
}

// Opened gives the replica its log, or the reason why there is none.
func (p *Partition) Opened(log *storage.Log, err error) {
	if err == nil {
		err = log.Failure()
	}
	if err != nil {
		p.fail(err)
		return
	}
	p.log, p.failure = log, nil
	log.Configure(p.settings) // they may have changed while it was being opened
	log.OnAdvance(p.advanced)
	p.assume()
	p.mend()
}

// Follow takes over what the metadata says. Epochs never go back (P2).
func (p *Partition) Follow(s State) {
	before := p.state
	if s.LeaderEpoch < before.LeaderEpoch || s.PartitionEpoch < before.PartitionEpoch {
		invariant.Violated("partition %s-%d: epochs %d and %d after %d and %d", p.Topic, p.ID.Index,
			s.LeaderEpoch, s.PartitionEpoch, before.LeaderEpoch, before.PartitionEpoch)
	}
	p.state = s
	if s.LeaderEpoch > before.LeaderEpoch || s.Leader != before.Leader {
		p.resign()
		p.assume()
	} else if p.leads() && p.log != nil {
		p.altered(s.PartitionEpoch > before.PartitionEpoch)
	} else if slices.Contains(s.ISR, p.self) != slices.Contains(before.ISR, p.self) {
		p.advanced() // what its fetches say is another thing now
	}
	p.mend()
}

// assume takes up the role that the metadata gives to the replica in a leader epoch. A leader that is elected again, with or without others
// in between, starts like any other (RP07).
func (p *Partition) assume() {
	switch {
	case p.log == nil:
	case p.leads():
		p.begin()
	case p.state.Leader >= 0:
		p.advanced()
	}
}

// resign ends what depends on the leader epoch before: nobody can say any more what becomes of records that wait (D2, C4).
func (p *Partition) resign() {
	p.lead = leadership{}
	p.produces.failAll(wire.NotLeaderOrFollower)
	p.failDeletes(wire.NotLeaderOrFollower)
	p.wake()
	p.committed = 0
}

// Configure applies a change of the topic's settings.
func (p *Partition) Configure(settings config.Topic) {
	p.settings = settings
	if p.log != nil {
		p.log.Configure(settings)
		p.advanced()
		p.refuseIfFew()
	}
}

// Close ends the replica: the topic was deleted, or the broker stops. Whoever waits is told.
func (p *Partition) Close(code wire.ErrorCode) {
	p.lead = leadership{}
	p.produces.failAll(code)
	p.failDeletes(code)
	p.wake()
	p.log, p.state.Leader = nil, -1
}

func (p *Partition) leads() bool { return p.state.Leader == p.self }

func (p *Partition) fail(err error) {
	p.failure = err
	p.log, p.lead = nil, leadership{}
	p.produces.failAll(wire.KafkaStorageError)
	p.failDeletes(wire.KafkaStorageError)
	p.wake()
	p.mend()
}

func (p *Partition) wake() {
	p.watches.wake()
	p.ends.wake()
}

// advanced is called when the log holds more records safely than before, or has failed.
func (p *Partition) advanced() {
	if p.log == nil {
		return
	}
	if err := p.log.Failure(); err != nil {
		p.fail(err)
		return
	}
	if p.leads() {
		p.produces.written(p.log.WrittenEnd())
		p.advanceHighWatermark()
		return
	}
	if p.fetches() {
		if p.joinsUnflushed() {
			p.log.Flush() // it advances then
			return
		}
		p.cluster.fetchable(p)
	}
}

// raise moves the high watermark and answers whoever waited for it.
func (p *Partition) raise(mark record.Offset) {
	p.log.SetHighWatermark(mark)
	p.produces.committed(mark)
	p.watches.wake()
}

// check asserts P1.
func (p *Partition) check() {
	start, mark, end := p.log.StartOffset(), p.log.HighWatermark(), p.log.EndOffset()
	if start > mark || mark > end {
		invariant.Violated("partition %s-%d: start %d, high watermark %d, end %d", p.Topic, p.ID.Index, start, mark, end)
	}
}

// Available is the error that a request to this replica as leader gets; None if it leads and has its log. A leader whose session with the
// controller is over, or that has asked to be replaced, cannot know whether it still is one (F7).
func (p *Partition) Available() wire.ErrorCode {
	code := p.appendable()
	if code == wire.None && p.cluster.resigned() {
		return wire.NotLeaderOrFollower
	}
	return code
}

// appendable is Available for an append. A leader that has asked to be replaced takes records until it is: its followers decide what becomes of them.
func (p *Partition) appendable() wire.ErrorCode {
	if code := p.Leading(); code != wire.None || p.cluster.leased() {
		return code
	}
	return wire.NotLeaderOrFollower
}

// Leading is Available for a follower's request: what it does not depend on is that nobody else leads by now, for followers change sides
// with the epoch.
func (p *Partition) Leading() wire.ErrorCode {
	switch {
	case p.failure != nil:
		return wire.KafkaStorageError
	case !p.leads(), p.log == nil, p.log.LatestEpoch() > p.state.LeaderEpoch:
		// A log that has seen later epochs than the one this replica leads in must not be appended to (L3).
		return wire.NotLeaderOrFollower
	}
	return wire.None
}

// Readable is the error that a consumer gets who may read from any replica (KIP-392).
func (p *Partition) Readable() wire.ErrorCode {
	switch {
	case p.leads() || p.failure != nil:
		return p.Available()
	case p.log == nil || p.state.Leader < 0 || !p.cluster.leased():
		return wire.NotLeaderOrFollower
	}
	return wire.None
}

// CheckEpoch compares the leader epoch that a client believes in with the present one; -1 is not compared (F6).
func (p *Partition) CheckEpoch(e record.Epoch) wire.ErrorCode {
	switch {
	case e == record.NoEpoch || e == p.state.LeaderEpoch:
		return wire.None
	case e < p.state.LeaderEpoch:
		return wire.FencedLeaderEpoch
	}
	return wire.UnknownLeaderEpoch
}

// Leader is the leader's id, or -1, and its epoch.
func (p *Partition) Leader() (record.NodeID, record.Epoch) {
	return p.state.Leader, p.state.LeaderEpoch
}

// Leads reports whether this replica is the leader.
func (p *Partition) Leads() bool { return p.leads() }

// StartOffset is the first offset that can be read, and will be after a loss of power (R3).
func (p *Partition) StartOffset() record.Offset { return p.log.ReadableStart() }

// EndOffset is the offset that the next record will get.
func (p *Partition) EndOffset() record.Offset { return p.log.EndOffset() }

// HighWatermark is the first offset that is not yet on the whole ISR.
func (p *Partition) HighWatermark() record.Offset { return p.log.HighWatermark() }

// Settled reports whether a leader knows that its high watermark is not below that of the leaders before it: it has reached the start of
// its epoch (KIP-207). Until then the end of the partition is not to be told (H4). One that has lost its log meanwhile knows nothing.
func (p *Partition) Settled() bool {
	return !p.leads() || p.log != nil && p.log.HighWatermark() >= p.lead.start
}

// LastStable is the first offset of the oldest open transaction, at most the high watermark.
func (p *Partition) LastStable() record.Offset { return p.log.LastStable(p.log.HighWatermark()) }

// Open reports whether the replica has its log.
func (p *Partition) Open() bool { return p.log != nil }

// Failure is why the replica has no log any more, or nil.
func (p *Partition) Failure() error { return p.failure }
