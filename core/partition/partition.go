// Package partition is one replica of one partition: it decides what may be appended, moves the high watermark, and knows who
// waits for it.
//
// The log below holds the bytes and the offsets; this package holds what the replica promises of them. A record is acknowledged to
// acks=all once the high watermark has passed it, and the mark passes only what every member of the in-sync set holds safely: on
// stable storage under the policy sync, in the page cache under async (guarantee D3).
package partition

import (
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
//	P2  leader epochs only rise; within one, the high watermark never goes back
//	P3  a leader is a member of its own ISR
type Partition struct {
	// ID is the identity; Topic the name that the topic had when the replica was made.
	ID    record.Partition
	Topic string

	log      *storage.Log // nil until it is opened
	failure  error        // why there is no log, or none any more
	settings config.Topic
	self     record.NodeID

	leader         record.NodeID
	leaderEpoch    record.Epoch
	partitionEpoch int32
	isr            []record.NodeID

	highWatermark record.Offset

	produces produceQueue
	watches  watchList
}

// State is what the cluster's metadata says of a partition.
type State struct {
	Leader         record.NodeID
	LeaderEpoch    record.Epoch
	PartitionEpoch int32
	ISR            []record.NodeID
}

// New is a replica on the broker self whose log is not open yet.
func New(id record.Partition, topic string, self record.NodeID, settings config.Topic) *Partition {
	return &Partition{
		ID: id, Topic: topic, self: self, settings: settings,
		leader: -1, leaderEpoch: record.NoEpoch, partitionEpoch: -1,
	}
}

// Opened gives the replica its log, or the reason why there is none.
func (p *Partition) Opened(log *storage.Log, err error) {
	if err != nil {
		p.fail(err)
		return
	}
	p.log = log
	p.highWatermark = max(log.HighWatermark(), log.StartOffset())
	log.OnAdvance(p.advanced)
	if p.leads() {
		log.BeginEpoch(p.leaderEpoch)
	}
	p.advanced()
}

// Follow takes over what the metadata says. Epochs never go back (P2).
func (p *Partition) Follow(s State) {
	if s.LeaderEpoch < p.leaderEpoch {
		invariant.Violated("partition %s-%d: leader epoch %d after %d", p.Topic, p.ID.Index, s.LeaderEpoch, p.leaderEpoch)
	}
	elected := s.Leader == p.self && (s.LeaderEpoch > p.leaderEpoch || p.leader != p.self)
	deposed := p.leader == p.self && s.Leader != p.self
	p.leader, p.leaderEpoch, p.partitionEpoch, p.isr = s.Leader, s.LeaderEpoch, s.PartitionEpoch, s.ISR
	if deposed {
		p.produces.failAll(wire.NotLeaderOrFollower)
		p.watches.wake()
	}
	if elected && p.log != nil {
		p.log.BeginEpoch(p.leaderEpoch)
		p.advanced()
	}
}

// Configure applies a change of the topic's settings.
func (p *Partition) Configure(settings config.Topic) {
	p.settings = settings
	if p.log != nil {
		p.log.Configure(settings)
		p.advanced()
	}
}

// Close ends the replica: the topic was deleted, or the broker stops. Whoever waits is told.
func (p *Partition) Close(code wire.ErrorCode) {
	p.produces.failAll(code)
	p.watches.wake()
	p.log, p.leader = nil, -1
}

func (p *Partition) leads() bool { return p.leader == p.self }

func (p *Partition) fail(err error) {
	p.failure = err
	p.log = nil
	p.produces.failAll(wire.KafkaStorageError)
	p.watches.wake()
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
	p.produces.written(p.log.WrittenEnd())
	if p.leads() {
		p.advanceHighWatermark()
	}
}

// advanceHighWatermark moves the mark to the least safe end in the ISR and answers whoever waited for it.
func (p *Partition) advanceHighWatermark() {
	least := p.log.SafeEnd()
	if least > p.highWatermark {
		p.highWatermark = least
		p.log.SetHighWatermark(least)
		p.produces.committed(least)
		p.watches.wake()
	}
	p.check()
}

// check asserts P1 to P3.
func (p *Partition) check() {
	start, end := p.log.StartOffset(), p.log.EndOffset()
	if start > p.highWatermark || p.highWatermark > end {
		invariant.Violated("partition %s-%d: start %d, high watermark %d, end %d", p.Topic, p.ID.Index, start, p.highWatermark, end)
	}
}

// Available is the error that a request to this replica as leader gets; None if it leads and has its log.
func (p *Partition) Available() wire.ErrorCode {
	switch {
	case p.failure != nil:
		return wire.KafkaStorageError
	case !p.leads(), p.log == nil, p.log.LatestEpoch() > p.leaderEpoch:
		// A log that has seen later epochs than the one this replica leads in must not be appended to (L3).
		return wire.NotLeaderOrFollower
	}
	return wire.None
}

// CheckEpoch compares the leader epoch that a client believes in with the present one; -1 is not compared (F6).
func (p *Partition) CheckEpoch(e record.Epoch) wire.ErrorCode {
	switch {
	case e == record.NoEpoch || e == p.leaderEpoch:
		return wire.None
	case e < p.leaderEpoch:
		return wire.FencedLeaderEpoch
	}
	return wire.UnknownLeaderEpoch
}

// Leader is the leader's id, or -1, and its epoch.
func (p *Partition) Leader() (record.NodeID, record.Epoch) { return p.leader, p.leaderEpoch }

// StartOffset is the first offset that can be read, and will be after a loss of power (R3).
func (p *Partition) StartOffset() record.Offset { return p.log.ReadableStart() }

// EndOffset is the offset that the next record will get.
func (p *Partition) EndOffset() record.Offset { return p.log.EndOffset() }

// HighWatermark is the first offset that is not yet on the whole ISR.
func (p *Partition) HighWatermark() record.Offset { return p.highWatermark }

// LastStable is the first offset of the oldest open transaction, at most the high watermark.
func (p *Partition) LastStable() record.Offset { return p.log.LastStable(p.highWatermark) }

// Open reports whether the replica has its log.
func (p *Partition) Open() bool { return p.log != nil }

// Failure is why the replica has no log any more, or nil.
func (p *Partition) Failure() error { return p.failure }
