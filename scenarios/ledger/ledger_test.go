package ledger

import (
	"fmt"
	"slices"
	"testing"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/linearizability"
)

// rig is a ledger with a world of its own.
type rig struct {
	*Ledger
	now    int64
	lost   uint64
	killed uint64
	leader uint64 // leaders so far
	failed []string
	p      *Partition
}

func newRig(s Settings) *rig {
	r := &rig{}
	r.Ledger = New(World{
		Now:    func() int64 { r.now++; return r.now },
		Losses: func() uint64 { return r.lost }, Crashes: func() uint64 { return r.lost + r.killed },
		Elections: func(record.Partition) uint64 { return r.leader },
		Fail: func(name, format string, args ...any) {
			r.failed = append(r.failed, name+": "+fmt.Sprintf(format, args...))
		},
	})
	s.RetentionBytes, s.RetentionMs = -1, -1
	r.p = r.Add(record.Partition{Index: 1}, "t", s)
	return r
}

// power is a fault that may take what is not durable.
func (r *rig) power() {
	r.LossPossible()
	r.lost++
}

// three are the settings of a topic with three replicas, two of which must be in sync.
func three(async bool) Settings { return Settings{Async: async, Replicas: 3, MinISR: 2} }

// again deletes the topic and makes it again under the same name.
func (r *rig) again() {
	old := r.p
	old.Closing()
	r.p = r.Add(record.Partition{Topic: record.TopicID{1}, Index: 1}, "t", Settings{RetentionBytes: -1, RetentionMs: -1})
	r.p.Succeed(old)
}

// heir sends a producer's batch with sequence 0, deletes the topic, makes it again, and sends a batch of the same producer, which is acknowledged at
// offset 0 when the function is called.
func (r *rig) heir(sequence int32) (b record.Batch, answered func()) {
	b = build(7, 0)
	r.p.Plan(b, -1).Try()
	r.again()
	try := r.p.Plan(build(7, sequence), -1).Try()
	return b, func() { try.Answered(wire.None, 0) }
}

// addAndElect gives the topic another partition, whose next leader acknowledges a batch in the place of the last one's.
func (r *rig) addAndElect() {
	added := r.Add(record.Partition{Index: 2}, "t", r.p.settings)
	added.Join(r.p)
	r.p = added
	r.acked(1, 0)
	r.leader++
	r.acked(1, 0)
}

// moveOn has a batch read, deletes the topic, makes it again, and has the batch, sent once more, read there.
func (r *rig) moveOn() record.Batch {
	b := build(7, 0)
	books := r.p.Plan(b, -1)
	books.Try()
	r.fetch(0, 1, false, b)
	r.again()
	books.Try()
	r.fetch(0, 1, false, b)
	return b
}

var numbered int

func build(producer record.ProducerID, sequence int32) record.Batch {
	numbered++
	b := record.NewBuilder(record.None)
	b.SetProducer(producer, 0, sequence)
	b.Append(record.Record{Value: fmt.Appendf(nil, "value %d", numbered)})
	return b.Build()
}

// send sends a batch that has no answer yet.
func (r *rig) send(acks int16) (record.Batch, *Batch, Try) {
	b := build(record.NoProducer, record.NoSequence)
	books := r.p.Plan(b, acks)
	return b, books, books.Try()
}

// acked sends a batch that is acknowledged at an offset.
func (r *rig) acked(acks int16, at record.Offset) record.Batch {
	b, _, try := r.send(acks)
	try.Answered(wire.None, at)
	return b
}

// fetch is a reader that gets batches from an offset on.
func (r *rig) fetch(from, mark record.Offset, final bool, batches ...record.Batch) {
	var all []byte
	at := from
	for _, b := range batches {
		c := record.Batch(slices.Clone(b))
		c.SetBaseOffset(at)
		all = append(all, c...)
		at = c.NextOffset()
	}
	c := Cursor{}
	c.Seek(from)
	r.p.Fetched(r.Look(1), &c, Fetched{HighWatermark: mark, LastStable: mark, Records: all, Final: final})
}

// stories are told to the ledger, with the invariant that is broken first.
var stories = []struct {
	name string
	s    Settings
	run  func(r *rig)
	want string // the invariant that is broken; "" for none
}{
	{"all is well", Settings{}, func(r *rig) {
		a, b := r.acked(-1, 0), r.acked(1, 1)
		r.fetch(0, 2, false, a, b)
		r.power()
		r.fetch(0, 2, true, a, b)
		r.p.Settle(0, 2)
	}, ""},
	{"acks=all is lost", Settings{}, func(r *rig) { r.acked(-1, 0); r.power(); r.p.Settle(0, 0) }, "D1"},
	{"acks=1 is lost with the power", Settings{}, func(r *rig) { r.acked(1, 0); r.power(); r.p.Settle(0, 0) }, ""},
	{"acks=1 is lost without a reason", Settings{}, func(r *rig) { r.acked(1, 0); r.p.Settle(0, 0) }, "D1"},
	{"acks=1 is lost, but it was read", Settings{}, func(r *rig) {
		r.fetch(0, 1, false, r.acked(1, 0))
		r.power()
		r.p.Settle(0, 0)
	}, "D1"},
	{"acks=1 is lost, but a later one was acknowledged to all", Settings{}, func(r *rig) { r.acked(1, 0); r.acked(-1, 1); r.power(); r.p.Settle(0, 0) }, "D1"},
	{"acks=all is lost under async", Settings{Async: true}, func(r *rig) { r.acked(-1, 0); r.power(); r.p.Settle(0, 0) }, ""},
	{"acks=all is lost under async without a reason", Settings{Async: true}, func(r *rig) { r.acked(-1, 0); r.p.Settle(0, 0) }, "D1"},
	{"another batch at the place of one that was lost", Settings{}, func(r *rig) { r.acked(1, 0); r.power(); r.acked(-1, 0) }, ""},
	{"another batch at the place of one that was not", Settings{}, func(r *rig) { r.acked(-1, 0); r.power(); r.acked(-1, 0) }, "D1"},
	{"two contents at one place", Settings{}, func(r *rig) {
		a, _, _ := r.send(0)
		b, _, _ := r.send(0)
		r.fetch(0, 1, false, a)
		r.fetch(0, 1, false, b)
	}, "F2"},
	{"a refused batch is there", Settings{}, func(r *rig) {
		b, _, try := r.send(-1)
		try.Answered(wire.InvalidRecord, -1)
		r.fetch(0, 1, false, b)
	}, "D2"},
	{"a batch that timed out is there", Settings{}, func(r *rig) {
		b, _, try := r.send(-1)
		try.Answered(wire.RequestTimedOut, -1)
		r.fetch(0, 1, false, b)
	}, ""},
	{"nobody sent it", Settings{}, func(r *rig) { r.fetch(0, 1, false, build(-1, -1)) }, "F8"},
	{"a flipped bit", Settings{}, func(r *rig) {
		b := r.acked(-1, 0)
		b[len(b)-1] ^= 1
		r.fetch(0, 1, false, b)
	}, "F8"},
	{"beyond the high watermark", Settings{}, func(r *rig) { r.fetch(0, 0, false, r.acked(-1, 0)) }, "F1"},
	{"skipped", Settings{}, func(r *rig) {
		a := r.acked(-1, 1)
		a.SetBaseOffset(1)
		c := Cursor{}
		r.p.Fetched(r.Look(1), &c, Fetched{HighWatermark: 2, LastStable: 2, Records: a})
	}, "F4"},
	{"written once, there twice", Settings{}, func(r *rig) { b := r.acked(-1, 0); r.fetch(0, 2, false, b, b) }, "L2"},
	{"idempotent, there twice", Settings{}, func(r *rig) {
		b := build(7, 0)
		books := r.p.Plan(b, -1)
		books.Try()
		books.Try()
		r.fetch(0, 2, false, b, b)
	}, "P1"},
	{"a sequence is missing", Settings{}, func(r *rig) {
		a, b := build(7, 0), build(7, 2)
		r.p.Plan(a, -1).Try().Answered(wire.None, 0)
		r.p.Plan(b, -1).Try().Answered(wire.None, 1)
		r.fetch(0, 2, true, a, b)
		r.p.Settle(0, 2)
	}, "P2"},
	{"out of range, but it is there", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.OutOfRange(r.Look(1), 0) }, "F5"},
	{"out of range, for it was deleted", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.Deleting(1)(1); r.p.OutOfRange(r.Look(1), 0) }, ""},
	{"out of range behind a batch that is there", Settings{}, func(r *rig) { r.acked(1, 0); r.p.OutOfRange(r.Look(1), 1) }, "F5"},
	{"out of range behind a batch that a fault took", Settings{}, func(r *rig) { r.acked(1, 0); r.power(); r.p.OutOfRange(r.Look(1), 1) }, ""},
	{"out of range behind a batch that no fault may take", Settings{}, func(r *rig) { r.acked(-1, 0); r.power(); r.p.OutOfRange(r.Look(1), 1) }, "F5"},
	{"out of range when the request left", Settings{Async: true}, func(r *rig) { v := r.Look(1); r.acked(-1, 0); r.p.OutOfRange(v, 1) }, ""},
	{"out of range when the request left, for a fault had taken it", Settings{Async: true}, func(r *rig) {
		b := build(7, 0)
		books := r.p.Plan(b, -1)
		books.Try().Answered(wire.None, 0)
		r.power()
		v := r.Look(1)
		books.Try().Answered(wire.None, 0)
		r.p.OutOfRange(v, 1)
	}, ""},
	{"a request that was held up over a power cut", Settings{}, func(r *rig) {
		_, _, late := r.send(-1)
		r.acked(1, 0)
		r.power()
		late.Answered(wire.None, 0)
	}, ""},
	{"the medium lied, and the partition says so", Settings{}, func(r *rig) {
		b := r.acked(-1, 0)
		r.p.Wound()
		b[len(b)-1]++
		r.fetch(0, 1, true, b)
	}, ""},
	{"the medium lied, and an answer comes when nothing is broken any more", Settings{}, func(r *rig) {
		b := r.acked(-1, 0)
		r.p.Wound()
		v, c := r.Look(1), Cursor{}
		r.p.Mended()
		b[len(b)-1]++
		r.p.Fetched(v, &c, Fetched{HighWatermark: 1, LastStable: 1, Records: b})
	}, ""},
	{"the medium lied, and somebody asks when nothing is broken any more", Settings{}, func(r *rig) {
		b := r.acked(-1, 0)
		r.p.Wound()
		r.p.Mended()
		b[len(b)-1]++
		r.fetch(0, 1, true, b)
	}, "F8"},
	{"the medium lied, and what is delivered was never sent", Settings{}, func(r *rig) { r.acked(-1, 0); r.fetch(0, 1, true, build(record.NoProducer, record.NoSequence)) }, "F8"},
	{"the medium lied, and records are gone without a word", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.Wound(); r.power(); r.p.Settle(0, 0) }, "D1"},
	{"the medium lied, and other records are in their place", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.Wound(); r.power(); r.acked(-1, 0) }, "D1"},
	{"the medium lied about the last thing that was written", Settings{}, func(r *rig) {
		a := r.acked(-1, 0)
		r.acked(-1, 1)
		r.p.MayLose(1)
		r.power()
		r.fetch(0, 1, true, a)
		r.p.Settle(0, 1)
	}, ""},
	{"the medium lied about the last thing, and more is gone", Settings{}, func(r *rig) { r.acked(-1, 0); r.acked(-1, 1); r.p.MayLose(1); r.power(); r.p.Settle(0, 0) }, "D1"},
	{"a look-up by time", Settings{}, func(r *rig) {
		r.acked(-1, 0)
		b := r.acked(-1, 1)
		r.p.AtTime(b.MaxTimestamp(), r.p.Known(), 0, b.MaxTimestamp())
		r.p.AtTime(b.MaxTimestamp()+1, r.p.Known(), -1, -1)
		r.p.AtMax(r.p.Known(), 0, b.MaxTimestamp())
	}, ""},
	{"a look-up by time finds nothing", Settings{}, func(r *rig) { b := r.acked(-1, 0); r.p.AtTime(b.MaxTimestamp(), r.p.Known(), -1, -1) }, "F7"},
	{"a look-up by time finds a later one", Settings{}, func(r *rig) {
		r.acked(-1, 0)
		b := r.acked(-1, 1)
		r.p.AtTime(b.MaxTimestamp(), r.p.Known(), 1, b.MaxTimestamp())
	}, "F7"},
	{"a look-up by time finds one before it", Settings{}, func(r *rig) { b := r.acked(-1, 0); r.p.AtTime(b.MaxTimestamp()+1, r.p.Known(), 0, b.MaxTimestamp()) }, "F7"},
	{"another greatest timestamp", Settings{}, func(r *rig) { b := r.acked(-1, 0); r.p.AtMax(r.p.Known(), 0, b.MaxTimestamp()-1) }, "F7"},
	{"a topic is made again, and has what the first one had", Settings{}, func(r *rig) {
		b := r.acked(-1, 0)
		r.again()
		r.fetch(0, 1, false, b)
	}, "X4"},
	{"a topic is made again, and gets what was on its way to the first one", Settings{}, func(r *rig) {
		b, _, _ := r.send(-1)
		r.again()
		r.fetch(0, 1, false, b)
	}, ""},
	{"a topic is made again, and its first batch is taken for a repetition of what was on its way to the first one", Settings{}, func(r *rig) {
		b, answered := r.heir(0)
		r.fetch(0, 1, false, b)
		answered()
	}, ""},
	{"the same, and it is not yet known what lies there", Settings{}, func(r *rig) {
		b, answered := r.heir(0)
		answered()
		r.fetch(0, 1, true, b)
		r.p.Settle(0, 1)
	}, ""},
	{"a topic is made again, and a batch with another sequence lies where something was on its way to", Settings{}, func(r *rig) {
		b, answered := r.heir(1)
		r.fetch(0, 1, false, b)
		answered()
	}, "D1"},
	{"a batch is taken for a repetition of another one of its topic", Settings{}, func(r *rig) {
		b := build(7, 0)
		r.p.Plan(b, -1).Try()
		r.fetch(0, 1, false, b)
		r.p.Plan(build(7, 0), -1).Try().Answered(wire.None, 0)
	}, "D1"},
	{"compressed by the broker", Settings{Recompressed: true}, func(r *rig) {
		b, err := record.Recompress(r.acked(-1, 0), record.Gzip, record.Limits{})
		if err != nil {
			panic(err)
		}
		r.fetch(0, 1, false, b)
	}, ""},
	{"compressed by the broker, though nobody wanted it", Settings{}, func(r *rig) {
		b, err := record.Recompress(r.acked(-1, 0), record.Gzip, record.Limits{})
		if err != nil {
			panic(err)
		}
		r.fetch(0, 1, false, b)
	}, "F8"},
	{"a producer's first batch is out of order", Settings{RetentionBytes: -1, RetentionMs: -1, SegmentBytes: 4000}, func(r *rig) {
		r.p.SequenceRefused(r.p.Plan(build(7, 0), -1), "OUT_OF_ORDER_SEQUENCE_NUMBER")
	}, "P2"},
	{"a producer's first batch was too large, and is out of order behind the next one", Settings{RetentionBytes: -1, RetentionMs: -1, SegmentBytes: 60}, func(r *rig) {
		r.p.SequenceRefused(r.p.Plan(build(7, 0), -1), "OUT_OF_ORDER_SEQUENCE_NUMBER")
	}, ""},
	{"a producer's first batch for a topic is out of order behind what it had sent to one of the same name", Settings{RetentionBytes: -1, RetentionMs: -1, SegmentBytes: 4000}, func(r *rig) {
		try := r.p.Plan(build(7, 5), -1).Try()
		r.again()
		try.Answered(wire.None, 0)
		r.p.SequenceRefused(r.p.Plan(build(7, 0), -1), "OUT_OF_ORDER_SEQUENCE_NUMBER")
	}, ""},
	{"deleted, and back", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.Deleting(1)(1); r.p.Earliest(r.Look(1), 0) }, "R3"},
	{"deleted by nobody", Settings{}, func(r *rig) { r.acked(-1, 0); r.p.Earliest(r.Look(1), 1) }, "R2"},
	{"replicated, acks=1 is lost with an election", three(false), func(r *rig) { r.acked(1, 0); r.leader++; r.p.Settle(0, 0) }, ""},
	{"replicated, acks=all is lost with an election", three(false), func(r *rig) { r.acked(-1, 0); r.leader++; r.p.Settle(0, 0) }, "D1"},
	{"replicated, acks=all is lost with all power", three(false), func(r *rig) {
		r.acked(-1, 0)
		r.power()
		r.power()
		r.power()
		r.p.Settle(0, 0)
	}, "D1"},
	{"replicated, two leaders tell of one place", three(false), func(r *rig) { r.acked(1, 0); r.acked(1, 0) }, ""},
	{"replicated, a deposed leader's acks=1 is heard of late under async", three(true), func(r *rig) {
		_, _, late := r.send(1)
		r.leader++
		b, _, _ := r.send(0)
		r.fetch(0, 1, false, b)
		late.Answered(wire.None, 0)
		r.fetch(0, 1, true, b)
		r.p.Settle(0, 1)
	}, ""},
	{"replicated, acks=1 that was read goes with an election under async", three(true), func(r *rig) {
		a, _, late := r.send(1)
		r.fetch(0, 1, false, a)
		r.leader++
		b, _, _ := r.send(0)
		r.fetch(0, 1, false, b)
		late.Answered(wire.None, 0)
	}, "F2"},
	{"replicated, acks=1 is heard of late, and read, in place of what was read under async", three(true), func(r *rig) {
		a, _, late := r.send(1)
		r.leader++
		b, _, _ := r.send(0)
		r.fetch(0, 1, false, b)
		late.Answered(wire.None, 0)
		r.fetch(0, 1, false, a)
	}, "F2"},
	{"replicated, acks=all is heard of late in place of what was read under async", three(true), func(r *rig) {
		_, _, late := r.send(-1)
		r.leader++
		b, _, _ := r.send(0)
		r.fetch(0, 1, false, b)
		late.Answered(wire.None, 0)
	}, "D1"},
	{"replicated, two batches were read at one place", three(false), func(r *rig) {
		a, _, _ := r.send(1)
		b, _, _ := r.send(1)
		r.fetch(0, 1, false, a)
		r.leader++
		r.fetch(0, 1, false, b)
	}, "F2"},
	{"replicated, acks=all is lost under async with an election", three(true), func(r *rig) { r.acked(-1, 0); r.leader++; r.p.Settle(0, 0) }, "D1"},
	{"replicated, acks=all is lost under async with one crash", three(true), func(r *rig) { r.acked(-1, 0); r.leader++; r.power(); r.p.Settle(0, 0) }, "D1"},
	{"replicated, acks=all is lost under async with two crashes", three(true), func(r *rig) {
		r.acked(-1, 0)
		r.leader++
		r.killed++
		r.power()
		r.p.Settle(0, 0)
	}, ""},
	{"replicated, another batch in place of one that two crashes took", three(true), func(r *rig) {
		r.acked(-1, 0)
		r.leader += 3
		r.power()
		r.power()
		r.fetch(0, 1, false, r.acked(-1, 0))
	}, ""},
	{"replicated, sent again to an earlier place behind crashes", three(true), func(r *rig) {
		a, b := r.acked(1, 0), build(7, 0)
		books := r.p.Plan(b, -1)
		books.Try()
		r.fetch(0, 2, false, a, b)
		r.leader++
		r.power()
		r.power()
		books.Try().Answered(wire.None, 0)
		r.leader++ // so that the new place may be lost, too
		r.fetch(0, 1, true, b)
		r.p.Settle(0, 1)
	}, ""},
	{"replicated, synced before the policy was async", three(false), func(r *rig) {
		r.acked(-1, 0)
		r.p.Policy(true)
		r.leader++
		r.power()
		r.power()
		r.p.Settle(0, 0)
	}, ""},
	{"replicated, a new leader's log starts where retention had been", three(false), func(r *rig) {
		r.p.Retention(1, -1)
		r.acked(-1, 0)
		r.p.Earliest(r.Look(1), 1)
		r.leader++
		r.p.Earliest(r.Look(1), 0)
	}, ""},
	{"replicated, deleted, and back", three(false), func(r *rig) { r.acked(-1, 0); r.p.Deleting(1)(1); r.leader++; r.p.Earliest(r.Look(1), 0) }, "R3"},
	{"a batch that lay in a deleted topic comes late into the next one of that name", Settings{}, func(r *rig) { r.moveOn() }, ""},
	{"a batch that came late into the next topic of that name lies there twice", Settings{}, func(r *rig) {
		b := r.moveOn()
		r.fetch(1, 2, false, b)
	}, "P1"},
	{"a partition that was added while another one was being moved, and has two replicas", Settings{Async: true, Replicas: 1, MinISR: 1}, func(r *rig) {
		r.p.Moving()
		r.addAndElect()
	}, ""},
	{"a partition that was added, and has one replica", Settings{Async: true, Replicas: 1, MinISR: 1}, func(r *rig) { r.addAndElect() }, "D1"},
	{"a hole", Settings{}, func(r *rig) {
		a, b := r.acked(-1, 0), r.acked(-1, 2)
		r.fetch(0, 3, true, a)
		r.fetch(2, 3, true, b)
		r.p.Settle(0, 3)
	}, "L3"},
}

func TestLedger(t *testing.T) {
	for _, c := range stories {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(c.s)
			c.run(r)
			r.violates(t, c.want)
		})
	}
}

func TestHistory(t *testing.T) {
	r := newRig(Settings{})
	a := r.acked(-1, 0)
	r.fetch(0, 1, false, a)
	b, _, _ := r.send(0)
	r.fetch(0, 2, false, a, b)
	if v := linearizability.JudgePartition(r.p.History()); v != linearizability.Linearizable {
		t.Error(v)
	}
	r.fetch(0, 1, false, a) // the end goes back
	if v := linearizability.JudgePartition(r.p.History()); v != linearizability.Violated {
		t.Error(v)
	}
}

// TestHistoryOfWhatCameAgain: a batch was read, then deleted, and a leader that does not know who wrote it took it once more.
func TestHistoryOfWhatCameAgain(t *testing.T) {
	r := newRig(three(false))
	r.p.Retention(1, -1)
	b := build(7, 0)
	books := r.p.Plan(b, -1)
	books.Try()
	r.fetch(0, 1, false, b)
	r.p.Earliest(r.Look(1), 1)
	r.leader++
	again := books.Try()
	again.Answered(wire.None, 1)
	if v := linearizability.JudgePartition(r.p.History()); v != linearizability.Linearizable || len(r.failed) > 0 {
		t.Error(v, r.failed)
	}
}

// TestHistoryBehindALoss: a request that lay in the network over a power cut has put its batch where another one was before. What was before the cut is
// judged, and that batch is not of it.
func TestHistoryBehindALoss(t *testing.T) {
	r := newRig(Settings{Async: true})
	a := r.acked(-1, 0)
	r.fetch(0, 1, false, a)
	_, _, late := r.send(1)
	r.power()
	late.Answered(wire.None, 0)
	log := r.p.History()
	if v := linearizability.JudgePartition(log); v != linearizability.Linearizable || len(log.Ops) != 2 || len(r.failed) > 0 {
		t.Errorf("%s: %+v, found %q", v, log.Ops, r.failed)
	}
}
