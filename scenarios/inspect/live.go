package inspect

import (
	"bytes"
	"slices"

	"lignum/core/record"
	"lignum/core/storage"
)

// Begin forgets what was seen of the process before.
func (x *Inspector) Begin() {
	clear(x.seen)
	clear(x.folds)
}

// sight is a log as it was seen last.
type sight struct {
	log              *storage.Log // another one has followed it in its directory if that was deleted
	end, start, mark record.Offset
	segments         int
	snapshots        []record.Offset
	latest           record.Epoch
}

// Live holds a log in use, whose files are up to date, against them. It says whether it did: a log that has not changed is not looked at again.
func (x *Inspector) Live(l *storage.Log) bool {
	last := x.seen[l.Dir()]
	if last.log != l {
		last = sight{}
	}
	now := sight{log: l, end: l.EndOffset(), start: l.StartOffset(), mark: l.HighWatermark(), segments: l.Segments(), snapshots: last.snapshots, latest: l.LatestEpoch()}
	if now.end == last.end && now.start == last.start && now.mark == last.mark && now.segments == last.segments {
		return false
	}
	f := x.folds[l.Dir()]
	if f == nil {
		f = &fold{}
		x.folds[l.Dir()] = f
	}
	x.fold = f
	f.update(x, l.Dir())
	f.checkIndexes(x)
	x.check("L3", f.end == l.EndOffset(), "%s: the files end at offset %d, the log at %d", f.dir, f.end, l.EndOffset())
	x.epochs(l)
	x.check("P4", bytes.Equal(l.Producers().Snapshot(), f.producers.Snapshot()), "%s: the broker believes of the producers %v, the log says %v", f.dir,
		l.Producers().All(), f.producers.All())
	mark := l.HighWatermark()
	got, want := l.LastStable(mark), f.lastStable(mark)
	x.check("H5", got == want, "%s: the last stable offset is %d, the log says %d (high watermark %d)", f.dir, got, want, mark)
	if last.latest == now.latest {
		x.keptSnapshots(last.snapshots) // else a truncation may have taken one, and a segment may begin there again before the producers are known
	}
	now.snapshots = append(now.snapshots[:0], f.snapshots...)
	x.seen[l.Dir()] = now
	return true
}

// keptSnapshots: a snapshot stays as long as the segment that begins with it (P4).
func (x *Inspector) keptSnapshots(before []record.Offset) {
	f := x.fold
	for _, s := range f.segments {
		_, was := slices.BinarySearch(before, s.base)
		_, is := slices.BinarySearch(f.snapshots, s.base)
		if was && !is {
			x.check("P4", false, "%s: the snapshot of the producers as of segment %d is gone", f.dir, s.base)
		}
	}
	x.check("P4", true, "")
}

// Elected looks whether the log of a leader knows of its own election, whether anything was appended since or not (L4, KAFKA-7415).
func (x *Inspector) Elected(l *storage.Log, e record.Epoch) {
	got, end := l.EpochEnd(e)
	x.check("L4", got == e && end == l.EndOffset(), "%s: the leader of epoch %d does not know of its own election: epoch %d is said to end at %d (epoch %d), the log ends at %d",
		l.Dir(), e, e, end, got, l.EndOffset())
}

// epochs holds the answers about leader epochs against a scan (L4). An epoch behind the last one of the batches is that of an election
// without appends, and begins at the log end.
func (x *Inspector) epochs(l *storage.Log) {
	f := x.fold
	for i, e := range f.epochs {
		got, end := l.EpochEnd(e.Epoch)
		x.check("L4", got == e.Epoch && end == f.epochEnd(i), "%s: epoch %d is said to end at %d (epoch %d), by the log it ends at %d", f.dir, e.Epoch, end, got,
			f.epochEnd(i))
		x.epochAt(l, e.Start, e.Epoch)
		x.epochAt(l, f.epochEnd(i)-1, e.Epoch)
	}
	n := len(f.epochs)
	if n == 0 {
		return
	}
	first, last := f.epochs[0], f.epochs[n-1]
	x.check("L4", l.LatestEpoch() >= last.Epoch, "%s: the latest epoch is %d, the log has epoch %d", f.dir, l.LatestEpoch(), last.Epoch)
	if first.Epoch > 0 && f.start == first.Start {
		got, end := l.EpochEnd(first.Epoch - 1)
		x.check("L4", end == first.Start, "%s: epoch %d, before the first, is said to end at %d (epoch %d), the log begins at %d", f.dir, first.Epoch-1, end, got,
			first.Start)
	}
	if l.LatestEpoch() > last.Epoch {
		got, end := l.EpochEnd(l.LatestEpoch() - 1)
		x.check("L4", end == f.end && got == last.Epoch, "%s: the present election's epoch %d is said to begin at %d behind epoch %d, the log ends at %d in epoch %d",
			f.dir, l.LatestEpoch(), end, got, f.end, last.Epoch)
	}
}

func (x *Inspector) epochAt(l *storage.Log, o record.Offset, want record.Epoch) {
	got := l.EpochAt(o)
	x.check("L4", got == want, "%s: offset %d is said to be of epoch %d, it is of epoch %d", x.fold.dir, o, got, want)
}

// Survived holds a log that was opened against what the process before had of it when it ended (L6, R3). Allowed is how many records beyond what was
// durable may be gone of those below the high watermark.
func (x *Inspector) Survived(before, now *storage.Log, allowed record.Offset) {
	durable, end := min(before.DurableEnd(), before.EndOffset()), now.EndOffset()
	x.check("L6", end >= durable, "%s: everything below offset %d was durable, the log was recovered up to %d", before.Dir(), durable, end)
	x.check("R3", now.ReadableStart() >= before.ReadableStart(), "%s: the log started at %d, and was recovered with %d", before.Dir(), before.ReadableStart(),
		now.ReadableStart())
	if mark := before.HighWatermark(); allowed >= 0 {
		x.check("flush.messages", end >= mark-allowed, "%s: the high watermark was %d, the log was recovered up to %d, flush.messages is %d", before.Dir(), mark, end,
			allowed)
	}
}
