package producers

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lignum/core/record"
)

// data makes a batch of n records of a producer.
func data(id record.ProducerID, epoch record.ProducerEpoch, sequence, n int32, at record.Offset) record.Batch {
	b := record.NewBuilder(record.None)
	b.SetProducer(id, epoch, sequence)
	b.SetBaseOffset(at)
	for i := range n {
		b.Append(record.Record{Timestamp: 1000 + int64(at) + int64(i)})
	}
	return b.Build()
}

func txnData(id record.ProducerID, epoch record.ProducerEpoch, sequence, n int32, at record.Offset) record.Batch {
	b := record.NewBuilder(record.None)
	b.SetProducer(id, epoch, sequence)
	b.SetTransactional()
	b.SetBaseOffset(at)
	for range n {
		b.Append(record.Record{Timestamp: 1000 + int64(at)})
	}
	return b.Build()
}

func marker(id record.ProducerID, epoch record.ProducerEpoch, kind record.ControlType, coordinator int32, at record.Offset) record.Batch {
	b := record.NewMarker(id, epoch, record.Marker{Type: kind, CoordinatorEpoch: coordinator}, 1000+int64(at))
	b.SetBaseOffset(at)
	return b
}

func apply(s *State, batches ...record.Batch) {
	for _, b := range batches {
		s.Apply(b, int64(b.BaseOffset()))
	}
}

func TestCheck(t *testing.T) {
	const maxSeq = math.MaxInt32
	known := []record.Batch{data(1, 5, 0, 10, 100), data(1, 5, 10, 5, 110)}
	for _, c := range []struct {
		name   string
		log    []record.Batch
		batch  record.Batch
		reject bool
		want   Verdict
		err    error
	}{
		{name: "no producer", batch: data(-1, -1, -1, 1, 0)},
		{name: "first of all", batch: data(1, 0, 0, 3, 0)},
		{name: "unknown in mid-sequence", batch: data(1, 0, 7, 3, 0)},
		{name: "unknown in mid-sequence, P6", batch: data(1, 0, 7, 3, 0), reject: true, err: ErrUnknownProducer},
		{name: "unknown at 0, P6", batch: data(1, 0, 0, 3, 0), reject: true},
		{name: "next", log: known, batch: data(1, 5, 15, 1, 0)},
		{name: "a gap", log: known, batch: data(1, 5, 16, 1, 0), err: ErrOutOfOrderSequence},
		{name: "start over", log: known, batch: data(1, 5, 0, 3, 0), err: ErrOutOfOrderSequence},
		{name: "retry of the last", log: known, batch: data(1, 5, 10, 5, 0), want: Verdict{true, 110, 114, 1114}},
		{name: "retry of the one before", log: known, batch: data(1, 5, 0, 10, 0), want: Verdict{true, 100, 109, 1109}},
		{name: "part of a batch", log: known, batch: data(1, 5, 10, 4, 0), err: ErrOutOfOrderSequence},
		{name: "two batches as one", log: known, batch: data(1, 5, 0, 15, 0), err: ErrOutOfOrderSequence},
		{name: "new epoch", log: known, batch: data(1, 6, 0, 2, 0)},
		{name: "new epoch in mid-sequence", log: known, batch: data(1, 6, 15, 2, 0), err: ErrOutOfOrderSequence},
		{name: "old epoch", log: known, batch: data(1, 4, 15, 2, 0), err: ErrInvalidProducerEpoch},
		{name: "old epoch at 0", log: known, batch: data(1, 4, 0, 2, 0), err: ErrInvalidProducerEpoch},
		{name: "another producer", log: known, batch: data(2, 0, 0, 2, 0)},
		{name: "no sequence", log: known, batch: data(1, 5, -1, 2, 0)},
		{name: "no sequence, old epoch", log: known, batch: data(1, 4, -1, 2, 0), err: ErrInvalidProducerEpoch},
		{name: "wraps", log: []record.Batch{data(1, 0, maxSeq-2, 3, 0)}, batch: data(1, 0, 0, 1, 0)},
		{name: "wraps inside", log: []record.Batch{data(1, 0, maxSeq-1, 4, 0)}, batch: data(1, 0, 2, 1, 0)},
		{name: "retry across the wrap", log: []record.Batch{data(1, 0, maxSeq-1, 4, 40)}, batch: data(1, 0, maxSeq-1, 4, 0), want: Verdict{true, 40, 43, 1043}},
		{name: "after the wrap, not 0", log: []record.Batch{data(1, 0, maxSeq-2, 3, 0)}, batch: data(1, 0, 1, 1, 0), err: ErrOutOfOrderSequence},
		{name: "plain inside a transaction", log: []record.Batch{txnData(1, 0, 0, 3, 0)}, batch: data(1, 0, 3, 1, 0), err: ErrInvalidTransaction},
		{name: "transaction goes on", log: []record.Batch{txnData(1, 0, 0, 3, 0)}, batch: txnData(1, 0, 3, 1, 0)},
		{name: "behind a marker of the next epoch", log: []record.Batch{txnData(1, 0, 0, 3, 0), marker(1, 1, record.Commit, 0, 3)}, batch: txnData(1, 1, 0, 1, 0)},
		{name: "fenced by a marker", log: []record.Batch{txnData(1, 0, 0, 3, 0), marker(1, 1, record.Abort, 0, 3)}, batch: txnData(1, 0, 3, 1, 0), err: ErrInvalidProducerEpoch},
		{name: "same epoch behind a marker", log: []record.Batch{txnData(1, 0, 0, 3, 0), marker(1, 0, record.Commit, 0, 3)}, batch: txnData(1, 0, 3, 1, 0)},
		{name: "retry behind a marker", log: []record.Batch{txnData(1, 0, 0, 3, 0), marker(1, 0, record.Commit, 0, 3)}, batch: txnData(1, 0, 0, 3, 0), want: Verdict{true, 0, 2, 1000}},
		{name: "marker", log: []record.Batch{txnData(1, 0, 0, 3, 0)}, batch: marker(1, 0, record.Commit, 4, 0)},
		{name: "marker for a stranger", batch: marker(1, 0, record.Commit, 4, 0)},
		{name: "marker of an old epoch", log: known, batch: marker(1, 4, record.Commit, 4, 0), err: ErrInvalidProducerEpoch},
		{name: "marker of an old coordinator", log: []record.Batch{marker(1, 0, record.Abort, 4, 0)}, batch: marker(1, 0, record.Commit, 3, 0), err: ErrCoordinatorFenced},
	} {
		s := New(Options{RejectUnknown: c.reject})
		apply(s, c.log...)
		before := s.Snapshot()
		got, err := s.Check(c.batch)
		if !errors.Is(err, c.err) || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.name, got, err, c.want, c.err)
		}
		if diff := cmp.Diff(before, s.Snapshot()); diff != "" {
			t.Errorf("%s: Check changed the state:\n%s", c.name, diff)
		}
	}
}

func TestFiveBatchesAreKnown(t *testing.T) {
	s := New(Options{})
	for i := range int32(8) {
		apply(s, data(1, 0, i, 1, record.Offset(i)))
	}
	for i := range int32(8) {
		v, err := s.Check(data(1, 0, i, 1, 99))
		if known := i >= 3; v.Duplicate != known || (err == nil) != known || (known && v.FirstOffset != record.Offset(i)) {
			t.Errorf("retry of batch %d: %+v, %v", i, v, err)
		}
	}
}

// model is the same state, written down as plainly as possible: the whole log, searched from its start.
type model struct {
	log []record.Batch
}

type span struct {
	first, end record.Offset
	id         record.ProducerID
}

// spans are all transactions; end is -1 for one that is open.
func (m *model) spans() []span {
	var all []span
	for _, b := range m.log {
		i := len(all) - 1
		for i >= 0 && (all[i].id != b.ProducerID() || all[i].end >= 0) {
			i--
		}
		switch {
		case b.IsControl() && i >= 0:
			all[i].end = b.BaseOffset()
		case b.IsTransactional() && !b.IsControl() && i < 0:
			all = append(all, span{b.BaseOffset(), -1, b.ProducerID()})
		}
	}
	return all
}

func (m *model) lastStable(hw record.Offset) record.Offset {
	for _, x := range m.spans() {
		if x.first < hw && (x.end < 0 || x.end >= hw) {
			return x.first
		}
	}
	return hw
}

func (m *model) oldestOpen() record.Offset {
	for _, x := range m.spans() {
		if x.end < 0 {
			return x.first
		}
	}
	return -1
}

// accepts says whether a batch of the next sequences or an old one is to be taken as a duplicate.
func (m *model) duplicate(b record.Batch) bool {
	var mine []record.Batch
	for _, x := range m.log {
		if x.ProducerID() != b.ProducerID() {
			continue
		}
		if len(mine) > 0 && mine[0].ProducerEpoch() != x.ProducerEpoch() {
			mine = nil
		}
		if !x.IsControl() {
			mine = append(mine, x)
		} else if len(mine) > 0 && x.ProducerEpoch() != mine[0].ProducerEpoch() {
			mine = nil
		}
	}
	for _, x := range mine[max(0, len(mine)-keptBatches):] {
		if x.ProducerEpoch() == b.ProducerEpoch() && x.BaseSequence() == b.BaseSequence() && x.Count() == b.Count() {
			return true
		}
	}
	return false
}

// world is a random life of a partition.
type world struct {
	s     *State
	m     model
	end   record.Offset
	hw    record.Offset
	seq   map[record.ProducerID]int32
	epoch map[record.ProducerID]record.ProducerEpoch
	txn   map[record.ProducerID]bool
}

func (w *world) add(t *rapid.T, b record.Batch) {
	v, err := w.s.Check(b)
	if err != nil || v.Duplicate {
		t.Fatalf("Check: %+v, %v", v, err)
	}
	lsoWant := record.NoOffset
	wasOpen := w.txn[b.ProducerID()]
	w.m.log = append(w.m.log, b)
	if m, ok, _ := b.Marker(); ok && m.Type == record.Abort && wasOpen {
		lsoWant = w.m.oldestOpen()
		if lsoWant < 0 {
			lsoWant = b.NextOffset()
		}
	}
	aborted, ok := w.s.Apply(b, int64(w.end))
	if ok != (lsoWant >= 0) || (ok && (aborted.LastStable != lsoWant || aborted.Last != b.BaseOffset() || aborted.Producer != b.ProducerID())) {
		t.Fatalf("aborted %+v, %v; want last stable %d", aborted, ok, lsoWant)
	}
	w.end = b.NextOffset()
}

func TestStateEqualsFoldOfLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{s: New(Options{}), seq: map[record.ProducerID]int32{}, epoch: map[record.ProducerID]record.ProducerEpoch{}, txn: map[record.ProducerID]bool{}}
		anyone := rapid.Map(rapid.IntRange(0, 3), func(i int) record.ProducerID { return record.ProducerID(i) })
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				id, n := anyone.Draw(t, "id"), rapid.Int32Range(1, 3).Draw(t, "n")
				w.add(t, map[bool]func(record.ProducerID, record.ProducerEpoch, int32, int32, record.Offset) record.Batch{true: txnData, false: data}[w.txn[id]](id, w.epoch[id], w.seq[id], n, w.end))
				w.seq[id] = record.AddSequence(w.seq[id], n)
			},
			"begin": func(t *rapid.T) {
				id := anyone.Draw(t, "id")
				w.add(t, txnData(id, w.epoch[id], w.seq[id], 1, w.end))
				w.seq[id]++
				w.txn[id] = true
			},
			"end": func(t *rapid.T) {
				id := anyone.Draw(t, "id")
				if rapid.Bool().Draw(t, "bump") {
					w.epoch[id]++
					w.seq[id] = 0
				} else if w.seq[id] == 0 && w.txn[id] {
					t.Skip()
				}
				kind := record.ControlType(rapid.IntRange(0, 1).Draw(t, "kind"))
				w.add(t, marker(id, w.epoch[id], kind, 0, w.end))
				w.txn[id] = false
			},
			"retry": func(t *rapid.T) {
				if len(w.m.log) == 0 {
					t.Skip()
				}
				b := w.m.log[rapid.IntRange(0, len(w.m.log)-1).Draw(t, "which")]
				if b.IsControl() {
					t.Skip()
				}
				v, err := w.s.Check(b)
				if want := w.m.duplicate(b); v.Duplicate != want || (err == nil) != want || (want && (v.FirstOffset != b.BaseOffset() || v.LastOffset != b.LastOffset())) {
					t.Fatalf("retry of %d: %+v, %v; known: %v", b.BaseOffset(), v, err, want)
				}
			},
			"advance": func(t *rapid.T) {
				w.hw = record.Offset(rapid.Int64Range(int64(w.hw), int64(w.end)).Draw(t, "hw"))
			},
			"": func(t *rapid.T) {
				if got, want := w.s.LastStable(w.hw), w.m.lastStable(w.hw); got != want {
					t.Fatalf("last stable below %d is %d, want %d", w.hw, got, want)
				}
				if got, _ := w.s.OldestOpen(); got != w.m.oldestOpen() {
					t.Fatalf("oldest open is %d, want %d", got, w.m.oldestOpen())
				}
				again := w.s.New()
				if err := again.Load(w.s.Snapshot()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(w.s.All(), again.All()); diff != "" {
					t.Fatalf("snapshot (-want +got):\n%s", diff)
				}
				if got, _ := again.OldestOpen(); got != w.m.oldestOpen() {
					t.Fatalf("oldest open of the snapshot is %d, want %d", got, w.m.oldestOpen())
				}
			},
		})
	})
}

// One transaction that hangs keeps neither memory nor time of the others.
func TestHangingTransaction(t *testing.T) {
	s := New(Options{})
	apply(s, txnData(1, 0, 0, 1, 0))
	at := record.Offset(1)
	for i := range int32(10_000) {
		apply(s, txnData(2, 0, i, 1, at), marker(2, 0, record.Commit, 0, at+1))
		at += 2
		if got := s.LastStable(at); got != 0 {
			t.Fatalf("last stable is %d", got)
		}
	}
	if n := len(s.txns.list); n > 2*leastSweep {
		t.Errorf("%d transactions are kept", n)
	}
	apply(s, marker(1, 0, record.Abort, 0, at))
	if got := s.LastStable(at + 1); got != at+1 || !s.txns.empty() {
		t.Errorf("last stable is %d of %d, %d transactions", got, at+1, len(s.txns.list))
	}
}

func TestExpire(t *testing.T) {
	s := New(Options{})
	s.Apply(data(1, 0, 0, 1, 0), 100)
	s.Apply(txnData(2, 0, 0, 1, 1), 100)
	s.Apply(data(3, 0, 0, 1, 2), 150)
	s.Apply(data(4, 0, 0, 1, 3), -1)
	ids := func() (all []record.ProducerID) {
		for _, p := range s.All() {
			all = append(all, p.ID)
		}
		return all
	}
	for _, c := range []struct {
		now  int64
		want []record.ProducerID
	}{
		{149, []record.ProducerID{1, 2, 3, 4}}, // 4 counts from here, and 3 as well: the clock has gone back
		{150, []record.ProducerID{2, 3, 4}},
		{198, []record.ProducerID{2, 3, 4}},
		{199, []record.ProducerID{2}},
		{1 << 50, []record.ProducerID{2}},
	} {
		n := s.Len()
		gone := s.Expire(c.now, 50)
		if diff := cmp.Diff(c.want, ids()); diff != "" || n-gone != s.Len() {
			t.Errorf("at %d, %d gone (-want +got):\n%s", c.now, gone, diff)
		}
	}
	s.Apply(marker(2, 0, record.Commit, 0, 4), 1000)
	if s.Expire(1049, 50) != 0 || s.Expire(1050, 50) != 1 || s.Len() != 0 || s.idle.oldest != nil || s.idle.newest != nil {
		t.Error("the producer is not forgotten after its transaction")
	}
	s.LastStable(5)
	if !s.Empty() {
		t.Error("not empty")
	}
}

func TestBound(t *testing.T) {
	s := New(Options{MaxProducers: 3})
	apply(s, txnData(0, 0, 0, 1, 0))
	for id := range record.ProducerID(100) {
		apply(s, data(id+1, 0, 0, 1, record.Offset(id+1)))
		if id > 5 { // keeps writing
			apply(s, data(5, 0, int32(id), 1, record.Offset(id+200)))
		}
		if s.Len() > 3 {
			t.Fatalf("%d producers", s.Len())
		}
	}
	if s.byID[0] == nil || s.byID[5] == nil || s.byID[100] == nil {
		t.Errorf("the wrong ones were forgotten: %+v", s.All())
	}
	small := New(Options{MaxProducers: 2})
	if err := small.Load(s.Snapshot()); err != nil || small.Len() != 2 || small.byID[0] == nil {
		t.Errorf("%+v, %v", small.All(), err)
	}
}

func BenchmarkCheckApply(b *testing.B) {
	s := New(Options{})
	batch := data(1, 0, 0, 1, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Check(batch); err != nil {
			b.Fatal(err)
		}
		s.Apply(batch, 5)
	}
}
