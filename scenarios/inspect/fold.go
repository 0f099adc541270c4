package inspect

import (
	"bytes"
	"strconv"
	"strings"

	"lignum/core/commitlog/epochs"
	"lignum/core/commitlog/producers"
	"lignum/core/record"
	"lignum/sim"
)

// segment is one file of batches.
type segment struct {
	base, next record.Offset
	from, to   int // its batches in fold.batches
	sealed     bool
}

// batch is what indexes are judged by.
type batch struct {
	at          int64 // position in its segment
	first, last record.Offset
	maxTime     int64
}

// fold is what the batches of a partition say, and nothing else.
type fold struct {
	dir       string
	segments  []segment
	batches   []batch
	epochs    []epochs.Entry
	producers *producers.State
	start     record.Offset
	end       record.Offset
	open      []transaction // that readers cannot know the outcome of, or not yet
	names     []string
	snapshots []record.Offset
}

// transaction is one that has begun.
type transaction struct {
	producer record.ProducerID
	first    record.Offset
	marker   record.Offset // its end; NoOffset while it is open
}

// read goes over all segments of a directory. Whole: with the checksums.
func (f *fold) read(x *Inspector, dir string, whole bool) {
	*f = fold{
		dir: dir, segments: f.segments[:0], batches: f.batches[:0], epochs: f.epochs[:0], open: f.open[:0], names: f.names[:0], snapshots: f.snapshots[:0],
		producers: producers.New(producers.Options{}), start: record.NoOffset, end: record.NoOffset,
	}
	f.names = append(f.names, x.list(sim.Cached, dir)...)
	for _, name := range f.names {
		if at, ok := offsetOf(name, snapshotEnd); ok {
			f.snapshots = append(f.snapshots, at)
		}
	}
	rest := f.snapshots
	for _, name := range f.names {
		base, ok := offsetOf(name, logEnd)
		if !ok {
			continue
		}
		for len(rest) > 0 && rest[0] < base {
			rest = rest[1:]
		}
		held := len(rest) > 0 && rest[0] == base
		if n := len(f.segments); n > 0 {
			f.segments[n-1].sealed = true
			x.check("L3", base == f.end, "%s: segment %d begins, but the one before ends at %d", dir, base, f.end)
			if held {
				f.snapshot(x, base)
			}
		} else {
			f.start = base
			if held {
				f.begin(x, base)
			}
		}
		f.segment(x, base, whole)
	}
	for _, at := range rest {
		if at == f.end && len(f.segments) > 0 && at > f.segments[len(f.segments)-1].base {
			f.snapshot(x, at) // of a clean stop
		}
	}
}

// offsetOf takes the offset from a file's name.
func offsetOf(name, end string) (o record.Offset, ok bool) {
	if len(name) != offsetDigits+len(end) || name[offsetDigits:] != end {
		return 0, false
	}
	for _, c := range []byte(name[:offsetDigits]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		o = o*10 + record.Offset(c-'0')
	}
	return o, true
}

// begin takes the producers from the first segment's snapshot.
func (f *fold) begin(x *Inspector, at record.Offset) {
	state, err := f.load(x, at)
	if !x.check("P4", err == nil && state.End() <= at, "%s: the snapshot of the producers at offset %d tells of offset %d (%v)", f.dir, at, state.End()-1, err) {
		return
	}
	f.producers = state
	for _, p := range state.All() {
		if p.TxnFirst >= 0 {
			f.open = append(f.open, transaction{p.ID, p.TxnFirst, record.NoOffset})
		}
	}
}

func (f *fold) load(x *Inspector, at record.Offset) (*producers.State, error) {
	content, _ := x.peek(sim.Cached, f.dir+"/"+segmentName(at, snapshotEnd))
	state := f.producers.New()
	return state, state.Load(content)
}

// snapshot holds the snapshot at an offset against the fold up to there (P4).
func (f *fold) snapshot(x *Inspector, at record.Offset) {
	content, _ := x.peek(sim.Cached, f.dir+"/"+segmentName(at, snapshotEnd))
	if bytes.Equal(content, f.producers.Snapshot()) {
		x.check("P4", true, "")
		return
	}
	state, err := f.load(x, at)
	x.check("P4", false, "%s: the snapshot of the producers at offset %d says %v (%v), the batches before it %v", f.dir, at, state.All(), err, f.producers.All())
}

// segment goes over one segment.
func (f *fold) segment(x *Inspector, base record.Offset, whole bool) {
	s := segment{base: base, next: base, from: len(f.batches)}
	f.end = base
	epoch := record.NoEpoch
	if n := len(f.epochs); n > 0 {
		epoch = f.epochs[n-1].Epoch
	}
	content, _ := x.peek(sim.Cached, f.dir+"/"+segmentName(base, logEnd))
	for rest := content; len(rest) > 0; {
		at := int64(len(content) - len(rest))
		b, after, err := record.Next(rest)
		if err == nil && whole {
			err = b.CheckCRC()
		}
		if err != nil {
			x.check("F8", false, "%s/%d: position %d, offset %d: %v", f.dir, base, at, s.next, err)
			break
		}
		if b.BaseOffset() != s.next || b.LeaderEpoch() < epoch {
			x.check("L3", false, "%s/%d: position %d: a batch at offset %d in epoch %d, behind offset %d in epoch %d", f.dir, base, at, b.BaseOffset(), b.LeaderEpoch(),
				s.next, epoch)
		}
		f.add(b, at)
		s.next, epoch, rest = b.NextOffset(), b.LeaderEpoch(), after
		f.end = s.next
	}
	x.check("F8", true, "")
	x.check("L3", true, "")
	s.to = len(f.batches)
	f.segments = append(f.segments, s)
}

func segmentName(base record.Offset, end string) string {
	digits := strconv.FormatInt(int64(base), 10)
	return strings.Repeat("0", offsetDigits-len(digits)) + digits + end
}

// add folds a batch in.
func (f *fold) add(b record.Batch, at int64) {
	f.batches = append(f.batches, batch{at, b.BaseOffset(), b.LastOffset(), b.MaxTimestamp()})
	if n := len(f.epochs); b.LeaderEpoch() >= 0 && (n == 0 || b.LeaderEpoch() > f.epochs[n-1].Epoch) {
		f.epochs = append(f.epochs, epochs.Entry{Epoch: b.LeaderEpoch(), Start: b.BaseOffset()})
	}
	if !b.HasProducer() {
		return
	}
	f.producers.Apply(b, -1)
	if b.IsTransactional() {
		f.transaction(b)
	}
}

// transaction notes where transactions begin and end.
func (f *fold) transaction(b record.Batch) {
	for i := range f.open {
		t := &f.open[i]
		if t.producer != b.ProducerID() || t.marker >= 0 {
			continue
		}
		if b.IsControl() {
			t.marker = b.BaseOffset()
		}
		return
	}
	if !b.IsControl() {
		f.open = append(f.open, transaction{b.ProducerID(), b.BaseOffset(), record.NoOffset})
	}
}

// lastStable is the first offset of a transaction whose outcome is not below the high watermark.
func (f *fold) lastStable(highWatermark record.Offset) record.Offset {
	least := highWatermark
	for _, t := range f.open {
		if t.marker < 0 || t.marker >= highWatermark {
			least = min(least, t.first)
		}
	}
	return least
}
