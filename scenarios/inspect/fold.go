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
	from, to   int   // its batches in fold.batches
	size       int64 // of them all
	sealed     bool
	files      files
}

// files are the editions of a segment's files, 0 for those that are not there.
type files [4]uint64

// The files of a segment that are looked at.
const (
	logFile = iota
	indexFile
	timesFile
	snapshotFile
)

var fileEnds = [...]string{logFile: logEnd, indexFile: indexEnd, timesFile: timesEnd, snapshotFile: snapshotEnd}

// present is what there is now of a segment.
type present struct {
	base      record.Offset
	files     files
	rewritten uint64 // the log
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
	present   []present
	fresh     int // how many segments at the beginning are as they were when they were looked at before
}

// transaction is one that has begun.
type transaction struct {
	producer record.ProducerID
	first    record.Offset
	marker   record.Offset // its end; NoOffset while it is open
}

// read goes over all segments of a directory. Whole: with the checksums.
func (f *fold) read(x *Inspector, dir string, whole bool) {
	f.list(x, dir)
	f.begins(dir)
	f.goOn(x, whole)
}

// update is read for a directory that may have been read before: what has not been written since is not read again.
func (f *fold) update(x *Inspector, dir string) {
	if f.list(x, dir); !f.holds(dir) {
		f.begins(dir)
	}
	f.goOn(x, false)
}

// begins forgets what was read.
func (f *fold) begins(dir string) {
	*f = fold{
		dir: dir, segments: f.segments[:0], batches: f.batches[:0], epochs: f.epochs[:0], open: f.open[:0], names: f.names, snapshots: f.snapshots,
		present: f.present, producers: producers.New(producers.Options{}), start: record.NoOffset, end: record.NoOffset,
	}
}

// list takes note of what there is.
func (f *fold) list(x *Inspector, dir string) {
	x.editions = x.disk.Editions(dir, x.editions[:0])
	x.spent += int64(len(x.editions)) * nameCost
	f.names, f.snapshots, f.present = f.names[:0], f.snapshots[:0], f.present[:0]
	for _, e := range x.editions {
		f.names = append(f.names, e.Name)
		for kind, end := range fileEnds {
			base, ok := offsetOf(e.Name, end)
			if !ok {
				continue
			}
			if n := len(f.present); n == 0 || f.present[n-1].base != base {
				f.present = append(f.present, present{base: base})
			}
			p := &f.present[len(f.present)-1]
			p.files[kind] = e.Changed
			switch kind {
			case logFile:
				p.rewritten = e.Rewritten
			case snapshotFile:
				f.snapshots = append(f.snapshots, base)
			}
		}
	}
}

// holds says whether what was read before is still there: nothing but the last segment has changed, and that has only become longer.
func (f *fold) holds(dir string) bool {
	if f.dir != dir || len(f.segments) == 0 {
		return false
	}
	i, last := 0, len(f.segments)-1
	for _, p := range f.present {
		if p.files[logFile] == 0 {
			continue
		}
		s := &f.segments[i]
		switch {
		case s.base != p.base || s.files[snapshotFile] != p.files[snapshotFile]:
			return false
		case i == last:
			return p.rewritten <= s.files[logFile]
		case s.files != p.files:
			return false
		}
		i++
	}
	return false
}

// goOn goes over what was not read yet.
func (f *fold) goOn(x *Inspector, whole bool) {
	f.fresh = max(0, len(f.segments)-1)
	last := record.NoOffset
	if n := len(f.segments); n > 0 {
		last = f.segments[n-1].base
	}
	for _, p := range f.present {
		switch {
		case p.files[logFile] == 0 || p.base < last:
			continue
		case p.base > last:
			f.opens(x, p)
		}
		f.segments[len(f.segments)-1].files = p.files
		f.segment(x, whole)
	}
	for _, at := range f.snapshots {
		if n := len(f.segments); n > 0 && at == f.end && at > f.segments[n-1].base {
			f.snapshot(x, at) // of a clean stop
		}
	}
}

// opens goes on with another segment.
func (f *fold) opens(x *Inspector, p present) {
	held := p.files[snapshotFile] != 0
	if n := len(f.segments); n > 0 {
		f.segments[n-1].sealed = true
		x.check("L3", p.base == f.end, "%s: segment %d begins, but the one before ends at %d", f.dir, p.base, f.end)
		if held {
			f.snapshot(x, p.base)
		}
	} else {
		f.start = p.base
		if held {
			f.begin(x, p.base)
		}
	}
	f.segments = append(f.segments, segment{base: p.base, next: p.base, from: len(f.batches), to: len(f.batches)})
	f.end = p.base
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

// segment goes over the last segment, from where it was read up to.
func (f *fold) segment(x *Inspector, whole bool) {
	s := &f.segments[len(f.segments)-1]
	epoch := record.NoEpoch
	if n := len(f.epochs); n > 0 {
		epoch = f.epochs[n-1].Epoch
	}
	for rest := x.peekFrom(f.dir+"/"+segmentName(s.base, logEnd), s.size); len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err == nil && whole {
			err = b.CheckCRC()
		}
		if err != nil {
			x.check("F8", false, "%s/%d: position %d, offset %d: %v", f.dir, s.base, s.size, s.next, err)
			break
		}
		if b.BaseOffset() != s.next || b.LeaderEpoch() < epoch {
			x.check("L3", false, "%s/%d: position %d: a batch at offset %d in epoch %d, behind offset %d in epoch %d", f.dir, s.base, s.size, b.BaseOffset(),
				b.LeaderEpoch(), s.next, epoch)
		}
		f.add(b, s.size)
		s.next, epoch, s.size, rest = b.NextOffset(), b.LeaderEpoch(), s.size+int64(len(rest)-len(after)), after
		f.end = s.next
	}
	x.check("F8", true, "")
	x.check("L3", true, "")
	s.to = len(f.batches)
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
