package coordinator

import (
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

type hostState uint8

const (
	loading hostState = iota
	active
	broken  // the log could not be read; it will be tried again
	retired // the replica leads no more
)

// Host is what a shard stands on: its partition, in one leader epoch.
//
// Invariant: ends in the queue only rise, and none is above safe.
type Host struct {
	// Index is the partition's.
	Index int32

	runtime *Runtime
	log     Log
	epoch   record.Epoch
	state   hostState
	shard   Shard

	loader  *load
	retry   timer.Timer
	builder *record.Builder

	// sole is when a coordinator of an earlier epoch has given its last answer.
	sole env.Instant

	// basis is the end of what the state rests on: nothing may be answered by it before the high watermark is there.
	basis    record.Offset
	queue    []waiter
	first    int // queue[:first] are answered
	watching bool
	woken    bool
	timeout  timer.Timer
}

// waiter is a reply that waits until the high watermark reaches end.
type waiter struct {
	end      record.Offset
	deadline env.Instant
	done     func(wire.ErrorCode)
}

func newHost(r *Runtime, index int32, epoch record.Epoch, log Log) *Host {
	h := &Host{Index: index, runtime: r, log: log, epoch: epoch, builder: record.NewBuilder(r.options.Codec)}
	h.sole = h.Now().Add(log.Overlap())
	h.shard = r.newer(h)
	return h
}

// Now is the monotonic time.
func (h *Host) Now() env.Instant { return h.runtime.Clock.Now() }

// Sole is from when on no coordinator of an earlier epoch answers any more. What must not happen before a client has had some time since it was answered last
// has to count that time from here at the earliest.
func (h *Host) Sole() env.Instant { return h.sole }

// Wall is the time of day.
func (h *Host) Wall() env.Millis { return h.runtime.Clock.Wall() }

// Timers are where a shard's timers belong.
func (h *Host) Timers() *timer.Queue { return h.runtime.Timers }

// Job runs something that may take long, off the loop, and then what it returns, on it.
func (h *Host) Job(run func() (done func())) {
	h.runtime.Jobs.Start(h.runtime.options.Lane+env.Lane(uint32(h.Index)%LoadLanes), run)
}

// current reports whether the host's leader epoch is still the replica's.
func (h *Host) current() bool {
	epoch, leads := h.log.Leads()
	return h.state != retired && leads && epoch == h.epoch
}

// Batch is what a shard wants in its log: all records, or none.
type Batch struct {
	Records []Record
	// Producer and ProducerEpoch are those of the transaction that the records are part of, if Transactional.
	Transactional bool
	Producer      record.ProducerID
	ProducerEpoch record.ProducerEpoch
}

// Append writes records and applies them to the shard at once. If it returns None, done is called once: with None when they are
// committed, otherwise with the reason why that can no longer be said. If not, nothing has happened.
func (h *Host) Append(b Batch, done func(wire.ErrorCode)) wire.ErrorCode {
	if h.state != active || !h.current() {
		return wire.NotCoordinator
	}
	if len(b.Records) == 0 {
		h.Settle(done)
		return wire.None
	}
	at := Position{Producer: record.NoProducer, ProducerEpoch: record.NoProducerEpoch, Live: true}
	_, _, at.Offset = h.log.Bounds()
	batch, facts := h.build(&b)
	if b.Transactional {
		at.Producer, at.ProducerEpoch = b.Producer, b.ProducerEpoch
	}
	if code := h.log.Append(batch, facts); code != wire.None {
		return refusal(code)
	}
	for _, r := range b.Records {
		h.shard.Replay(at, r)
		at.Offset++
	}
	h.moved(at.Offset)
	h.wait(done)
	return wire.None
}

// EndTransaction writes the mark that ends a producer's transaction in this partition, and applies it. It answers like Append.
func (h *Host) EndTransaction(producer record.ProducerID, epoch record.ProducerEpoch, m record.Marker, done func(wire.ErrorCode)) wire.ErrorCode {
	if h.state != active || !h.current() {
		return wire.NotCoordinator
	}
	wall := int64(h.Wall())
	at := Position{Producer: producer, ProducerEpoch: epoch, Live: true}
	_, _, at.Offset = h.log.Bounds()
	facts := record.Facts{MinTimestamp: wall, MaxTimestamp: wall, FirstNullKey: -1}
	if code := h.log.Append(record.NewMarker(producer, epoch, m, wall), facts); code != wire.None {
		return refusal(code)
	}
	h.shard.EndTransaction(at, m.Type == record.Commit)
	h.moved(at.Offset + 1)
	h.wait(done)
	return wire.None
}

// moved notes what the state rests on now.
func (h *Host) moved(end record.Offset) {
	if _, _, actual := h.log.Bounds(); actual != end {
		invariant.Violated("%s-%d: the log ends at %d, the shard at %d (C5)", h.runtime.options.Topic, h.Index, actual, end)
	}
	h.basis = end
}

// build makes the batch of a decision.
func (h *Host) build(b *Batch) (record.Batch, record.Facts) {
	wall := int64(h.Wall())
	builder := h.builder
	if b.Transactional {
		builder = record.NewBuilder(h.runtime.options.Codec)
		builder.SetProducer(b.Producer, b.ProducerEpoch, record.NoSequence)
		builder.SetTransactional()
	}
	builder.Reset()
	size := int64(0)
	for _, r := range b.Records {
		builder.Append(record.Record{Timestamp: wall, Key: r.Key, Value: r.Value})
		size += int64(len(r.Key) + len(r.Value))
	}
	return builder.Build(), record.Facts{MinTimestamp: wall, MaxTimestamp: wall, FirstNullKey: -1, UncompressedSize: size}
}

// refusal is what a client is told when the log refuses its records.
func refusal(code wire.ErrorCode) wire.ErrorCode {
	switch code {
	case wire.UnknownTopicOrPartition, wire.NotEnoughReplicas, wire.RequestTimedOut:
		return wire.CoordinatorNotAvailable
	case wire.NotLeaderOrFollower, wire.KafkaStorageError:
		return wire.NotCoordinator
	case wire.MessageTooLarge, wire.RecordListTooLarge, wire.InvalidFetchSize:
		return wire.UnknownServerError
	}
	return code
}

// Settle calls done once everything that the shard's state rests on is committed, perhaps at once: a reply that tells of the state
// waits for this, or it might tell what will never have been (C4).
func (h *Host) Settle(done func(wire.ErrorCode)) {
	if h.state != active || !h.current() || !h.log.Leased() {
		done(wire.NotCoordinator)
		return
	}
	h.wait(done)
}

func (h *Host) wait(done func(wire.ErrorCode)) {
	if h.first == len(h.queue) {
		if _, mark, _ := h.log.Bounds(); mark >= h.basis {
			done(wire.None)
			return
		}
	}
	if h.first > 0 && len(h.queue) == cap(h.queue) {
		n := copy(h.queue, h.queue[h.first:])
		clear(h.queue[n:])
		h.queue, h.first = h.queue[:n], 0
	}
	h.queue = append(h.queue, waiter{end: h.basis, deadline: h.Now().Add(h.runtime.options.Timeout), done: done})
	h.watch()
	h.arm()
}

// watch asks for news of the high watermark. They are looked at when the drain ends, once for all that it has brought.
func (h *Host) watch() {
	if h.watching {
		return
	}
	h.watching = true
	h.log.Watch(func() {
		h.watching = false
		if !h.woken && h.state != retired {
			h.woken = true
			h.runtime.woken = append(h.runtime.woken, h)
		}
	})
}

// arm sets the timer to the deadline of the oldest waiter.
func (h *Host) arm() {
	switch {
	case h.first == len(h.queue):
		h.Timers().Stop(&h.timeout)
	case !h.timeout.Set():
		h.Timers().Start(&h.timeout, h.queue[h.first].deadline, h.expire)
	}
}

// expire answers those who have waited too long. What becomes of their records is unknown.
func (h *Host) expire() {
	for now := h.Now(); h.first < len(h.queue) && h.queue[h.first].deadline <= now; {
		h.pop()(wire.CoordinatorNotAvailable)
	}
	if h.state == active {
		h.arm()
	}
}

func (h *Host) pop() func(wire.ErrorCode) {
	done := h.queue[h.first].done
	h.queue[h.first] = waiter{}
	if h.first++; h.first == len(h.queue) {
		h.queue, h.first = h.queue[:0], 0
	}
	return done
}

// advance answers whoever has waited for the high watermark to be where it is.
func (h *Host) advance() {
	if h.state == retired {
		return
	}
	if !h.current() {
		h.retire(wire.NotCoordinator)
		return
	}
	for _, mark, _ := h.log.Bounds(); h.state == active && h.first < len(h.queue) && h.queue[h.first].end <= mark; {
		h.pop()(wire.None)
	}
	if h.state == active {
		h.Timers().Stop(&h.timeout)
		h.arm()
		if h.first < len(h.queue) {
			h.watch()
		}
	}
}

// retire ends the host: its replica leads no more in its epoch.
func (h *Host) retire(code wire.ErrorCode) {
	if h.state == retired {
		return
	}
	loaded := h.state == active
	h.state = retired
	h.Timers().Stop(&h.timeout)
	h.Timers().Stop(&h.retry)
	if h.loader != nil {
		h.loader.cancel()
	}
	if loaded {
		h.shard.Unloaded(code)
	}
	for h.first < len(h.queue) {
		h.pop()(code)
	}
}
