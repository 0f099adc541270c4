package coordinator

import (
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// Shard is the state machine on one partition.
type Shard interface {
	// Replay applies one record of the log. It cannot refuse.
	Replay(at Position, r Record)
	// EndTransaction applies the end of a producer's transaction.
	EndTransaction(at Position, committed bool)
	// Loaded is called once, when the log is read to its end. From now on there are requests.
	Loaded()
	// Unloaded is the last call: the replica leads no more. Whoever waits is told the code.
	Unloaded(code wire.ErrorCode)
}

// Record is a key and what is known of it from now on.
type Record struct {
	Key   []byte
	Value []byte // nil: nothing any more, a tombstone
}

// Position is where in the log a record stands.
type Position struct {
	Offset record.Offset
	// Producer is that of the transaction that the record belongs to; NoProducer outside of one.
	Producer      record.ProducerID
	ProducerEpoch record.ProducerEpoch
	// Live: this shard has just decided it. Otherwise it is loaded.
	Live bool
}

// Log is one partition as its leader sees it.
type Log interface {
	// Leads is the epoch in which the replica leads; false if it does not.
	Leads() (record.Epoch, bool)
	// Leased reports whether a leader may answer for now: one that has lost touch with the controller cannot know whether it still
	// is one (F7). It may be so again in the same epoch.
	Leased() bool
	// Overlap is how long the leader of an earlier epoch may go on answering once this replica was elected: one that was deposed by choice and cannot
	// hear of it does so until its lease ends.
	Overlap() time.Duration
	// Bounds are the first offset that can be read, the high watermark, and the offset that comes next.
	Bounds() (start, highWatermark, end record.Offset)
	// Append adds a batch at the end, as safe as acks=all, or says why not. It uses the batch's memory during the call only.
	Append(b record.Batch, f record.Facts) wire.ErrorCode
	// Watch calls fire once, when the high watermark has moved or the replica has stopped to lead.
	Watch(fire func())
	// Read calls done on the loop with the batches from an offset on, below upTo, about maxBytes of them but at least one; the last
	// may be cut short.
	Read(from, upTo record.Offset, maxBytes int, done func([]byte, error))
	// Damaged is told why the log could not be loaded: what Read has brought may not be what was written. The replica may stop to lead for that.
	Damaged(err error)
}

// Ports are what a runtime needs of the world.
type Ports struct {
	Clock  env.Clock
	Jobs   env.Jobs
	Timers *timer.Queue
	Log    env.Log
}

// Options tune a runtime.
type Options struct {
	Topic       string
	LoadBytes   int           // how much of a log is read at a time
	Timeout     time.Duration // how long a reply may wait for its records
	Codec       record.Codec  // of the batches that are written
	Lane        env.Lane      // the first of LoadLanes lanes
	StepRecords int           // how many records the loop applies at a time; 0: a good number
}

// LoadLanes is how many logs are loaded at a time, each on a lane of its own.
const LoadLanes = 4

// stepRecords take about a millisecond to apply.
const stepRecords = 1000

// loadRetry is the pause before a log that could not be read is tried again.
const loadRetry = 5 * time.Second

// Runtime hosts the shards of one topic. It is owned by the loop.
type Runtime struct {
	Ports
	options Options
	newer   func(*Host) Shard

	hosts   []*Host // by index of the partition; nil where there was never one
	woken   []*Host
	lanes   [LoadLanes]bool // taken
	waiting []*load         // for a lane
}

// New is a runtime without shards. newer makes a shard without state.
func New(p Ports, o Options, newer func(*Host) Shard) *Runtime {
	if o.StepRecords == 0 {
		o.StepRecords = stepRecords
	}
	return &Runtime{Ports: p, options: o, newer: newer}
}

// Elected is called when a replica leads, or leads in another epoch, and has its log. What is known already changes nothing.
func (r *Runtime) Elected(index int32, log Log) {
	epoch, leads := log.Leads()
	if !leads {
		r.Resigned(index)
		return
	}
	for int(index) >= len(r.hosts) {
		r.hosts = append(r.hosts, nil)
	}
	if h := r.hosts[index]; h != nil && h.state != retired {
		if h.log == log && h.epoch == epoch {
			return
		}
		h.retire(wire.NotCoordinator)
	}
	h := newHost(r, index, epoch, log)
	r.hosts[index] = h
	h.load()
}

// Resigned is called when a replica leads no more, or is gone.
func (r *Runtime) Resigned(index int32) {
	if h := r.host(index); h != nil {
		h.retire(wire.NotCoordinator)
	}
}

// Close ends all shards.
func (r *Runtime) Close(code wire.ErrorCode) {
	for _, h := range r.hosts {
		if h != nil {
			h.retire(code)
		}
	}
}

// Shard finds the shard of a partition, or the error that a request to it gets.
func (r *Runtime) Shard(index int32) (Shard, wire.ErrorCode) {
	h := r.host(index)
	switch {
	case h == nil:
		return nil, wire.NotCoordinator
	case !h.current():
		h.retire(wire.NotCoordinator)
		return nil, wire.NotCoordinator
	case !h.log.Leased():
		return nil, wire.NotCoordinator
	case h.state == loading:
		return nil, wire.CoordinatorLoadInProgress
	case h.state == broken:
		return nil, wire.CoordinatorNotAvailable
	}
	return h.shard, wire.None
}

// Led lists the partitions that have a shard here, loaded or not.
func (r *Runtime) Led() []int32 {
	var list []int32
	for i, h := range r.hosts {
		if h != nil && h.state != retired {
			list = append(list, int32(i))
		}
	}
	return list
}

func (r *Runtime) host(index int32) *Host {
	if index < 0 || int(index) >= len(r.hosts) || r.hosts[index] == nil || r.hosts[index].state == retired {
		return nil
	}
	return r.hosts[index]
}

// EndDrain gives the replies that a drain has made ready.
func (r *Runtime) EndDrain() {
	for len(r.woken) > 0 {
		woken := slices.Clone(r.woken)
		r.woken = r.woken[:0]
		for _, h := range woken {
			h.woken = false
			h.advance()
		}
	}
}
