package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/commitlog/epochs"
	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/record"
)

// Recovery is a log as it was found on disk, on its way from the job that opened it to the loop.
type Recovery struct {
	disk      env.Disk
	dir       string
	id        record.Partition
	options   OpenOptions
	files     *layout
	receipts  map[record.Offset]env.Millis
	segments  []*segment
	producers *producers.State
	epochs    *epochs.Cache

	start, end, recovery record.Offset
	epochsDirty          bool
	dirDirty             bool
	marked               bool // truncation-checkpoint exists
	kept                 logStart
	generation           uint64
	emptied              bool // an emptying was finished, which truncation-checkpoint does not say yet
	intact               bool // a close has left everything as it would now

	// CutBytes is how many bytes were cut off as the torn end of what had not been flushed; CutAt says where, and why. 0 if nothing was.
	CutBytes int64
	CutAt    error
	// Rebuilt is how many segments had indexes that did not fit and were built anew.
	Rebuilt int
}

// StartOffset is the log start.
func (r *Recovery) StartOffset() record.Offset { return r.start }

// EndOffset is the log end.
func (r *Recovery) EndOffset() record.Offset { return r.end }

// RecoveryPoint: everything below it was synced before.
func (r *Recovery) RecoveryPoint() record.Offset { return r.recovery }

// lane makes the end of the log on its write lane.
func (r *Recovery) lane() *writer {
	active := r.segments[len(r.segments)-1]
	w := &writer{disk: r.disk, dir: r.dir, base: active.base, file: active.file}
	if w.file != nil {
		w.file.Retain()
	}
	return w
}

// Close gives up what was opened, for a log that is not to be used after all. Jobs only.
func (r *Recovery) Close() {
	for _, s := range r.segments {
		s.close() //nolint:errcheck // nothing was promised
	}
	r.segments = nil
}

// Create makes the directory of a new log, which starts at an offset, durably. Its parent must exist, and a directory that exists is
// env.ErrExist. Jobs only.
func Create(d env.Disk, dir string, id record.Partition, start record.Offset, wall env.Millis) (*Recovery, error) {
	r := &Recovery{
		disk: d, dir: dir, id: id, options: OpenOptions{Clean: true, Wall: wall},
		producers: producers.New(producers.Options{}), epochs: epochs.New(nil), start: start, recovery: start,
	}
	fail := func(err error) (*Recovery, error) {
		r.Close()
		return nil, fmt.Errorf("create log %s: %w", dir, err)
	}
	if err := d.Mkdir(dir); err != nil {
		return fail(err)
	}
	if err := checkpoint.Write(d, dir, checkpoint.PartitionFile, checkpoint.EncodePartition(id.Topic)); err != nil {
		return fail(err)
	}
	if err := writeReceipts(d, dir, nil); err != nil {
		return fail(err)
	}
	if err := r.begin(start, newNames); err != nil {
		return fail(err)
	}
	if err := d.SyncDir(dir); err != nil {
		return fail(err)
	}
	if err := d.SyncDir(parent(dir)); err != nil {
		return fail(err)
	}
	r.dirDirty, r.end, r.intact = false, start, true
	return r, nil
}

// What begin does about files with the same names.
const (
	newNames = false
	sameName = true
)

// parent is the directory that holds a directory.
func parent(dir string) string {
	for i := len(dir) - 1; i > 0; i-- {
		if dir[i] == '/' {
			return dir[:i]
		}
	}
	return "."
}

// Open finds a log on disk. After a clean stop nothing but the ends of files is looked at. Otherwise what was not flushed is read and
// cut at the first batch that is bad; one that is bad below the recovery point is ErrCorrupt, and so is a log that ends below it.
// Where indexes do not fit they are built anew. Jobs only.
func Open(d env.Disk, dir string, id record.Partition, s Settings, o OpenOptions) (*Recovery, error) {
	r := &Recovery{disk: d, dir: dir, id: id, options: o, producers: producers.New(producers.Options{})}
	if err := r.open(s.normal()); err != nil {
		r.Close()
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	return r, nil
}

func (r *Recovery) open(s Settings) error {
	changed, err := tidy(r.disk, r.dir)
	if err != nil {
		return err
	}
	r.dirDirty = changed
	if r.files, err = list(r.disk, r.dir); err != nil {
		return err
	}
	if r.receipts, err = readReceipts(r.disk, r.dir); err != nil {
		return err
	}
	point, err := r.unfinished()
	if err != nil {
		return err
	}
	if err := r.dropBelowStart(); err != nil {
		return err
	}
	if err := r.loadEpochs(); err != nil {
		return err
	}
	if r.options.Clean {
		err = r.loadClean(s)
	} else {
		err = r.loadUnclean(s, point)
	}
	if err != nil {
		return err
	}
	if err := r.settleStart(point); err != nil {
		return err
	}
	if r.dirDirty {
		if err := r.disk.SyncDir(r.dir); err != nil {
			return err
		}
		if r.options.Clean {
			r.dirDirty = false
		}
	}
	r.intact = r.intact && r.options.Clean && !r.epochsDirty && r.Rebuilt == 0 && !r.marked
	if r.emptied {
		return writeTruncation(r.disk, r.dir, unfinished{to: point, generation: r.generation})
	}
	return nil
}

// unfinished looks for a truncation that the store may not know of, and returns the true recovery point. If the log was being emptied
// that is finished here.
func (r *Recovery) unfinished() (record.Offset, error) {
	u, marked, err := readTruncation(r.disk, r.dir)
	if err != nil {
		return 0, err
	}
	kept, found, err := readStart(r.disk, r.dir)
	if err != nil {
		return 0, err
	}
	if marked { // a log start beyond it is older, or log-start has it too
		r.options.StartOffset = min(r.options.StartOffset, u.to)
	}
	if found && kept.generation >= u.generation {
		r.kept = kept
		r.options.StartOffset = max(r.options.StartOffset, kept.offset)
	}
	r.generation = max(u.generation, kept.generation)
	if !marked {
		return max(r.options.RecoveryPoint, r.options.Anchor), nil
	}
	r.marked = true
	point := u.to
	if r.options.Truncations >= u.generation {
		point = max(point, r.options.Anchor)
	}
	if !u.emptying {
		return point, nil
	}
	for _, base := range r.files.logs {
		if err := r.dropSegment(base); err != nil {
			return 0, err
		}
	}
	r.files.logs = nil
	if err := r.dropSnapshots(func(record.Offset) bool { return true }); err != nil {
		return 0, err
	}
	if err := r.files.remove(epochs.File); err != nil {
		return 0, fmt.Errorf("remove leader epochs: %w", err)
	}
	r.options.StartOffset, r.emptied = u.at, true
	return min(point, u.at), nil
}

// dropBelowStart removes segments that lie wholly below the log start: deleted, but not yet on disk. As while the log is in use, the
// first that stays must have a snapshot, for the batches that the producers are known from go.
func (r *Recovery) dropBelowStart() error {
	l := r.files
	keep := 0
	for i := 1; i < len(l.logs) && l.logs[i] <= r.options.StartOffset; i++ {
		if at, err := l.loadSnapshot(r.producers.New(), l.logs[i]); err != nil {
			return err
		} else if at == l.logs[i] {
			keep = i
		}
	}
	if keep == 0 {
		return nil
	}
	// A sync alone may not do: see scanner.
	name := fileName(l.logs[keep], snapshotSuffix)
	content, err := readFile(r.disk, l.path(name))
	if err != nil {
		return err
	}
	if err := checkpoint.Write(r.disk, r.dir, name, content); err != nil {
		return err
	}
	for _, base := range l.logs[:keep] {
		if err := r.dropSegment(base); err != nil {
			return err
		}
	}
	l.logs = slices.Delete(l.logs, 0, keep)
	return nil
}

// dropSegment removes a segment with its snapshot.
func (r *Recovery) dropSegment(base record.Offset) error {
	r.dirDirty = true
	if err := r.files.removeSegment(base); err != nil {
		return fmt.Errorf("remove segment %d: %w", base, err)
	}
	return r.dropSnapshots(func(at record.Offset) bool { return at == base })
}

// dropSnapshots removes the snapshots that drop says yes to.
func (r *Recovery) dropSnapshots(drop func(at record.Offset) bool) error {
	keep := r.files.snapshots[:0]
	for _, at := range r.files.snapshots {
		if !drop(at) {
			keep = append(keep, at)
			continue
		}
		r.dirDirty = true
		if err := r.files.remove(fileName(at, snapshotSuffix)); err != nil {
			return fmt.Errorf("remove snapshot %d: %w", at, err)
		}
	}
	r.files.snapshots = keep
	return nil
}

// loadEpochs reads the leader epochs. What the file does not give is found in the batches (foldBelow).
func (r *Recovery) loadEpochs() error {
	entries, err := epochs.Read(r.disk, r.dir)
	if err != nil && !errors.Is(err, checkpoint.ErrCorrupt) && !errors.Is(err, env.ErrUnreadable) {
		return err
	}
	r.epochs = epochs.New(entries)
	return nil
}

// foldBelow gathers the epochs of batches below the limit that the file says nothing of, because there was none that makes sense, or
// because records that were deleted came back with a loss of power.
func (r *Recovery) foldBelow(limit record.Offset) error {
	known := r.epochs.Entries()
	if len(known) > 0 {
		limit = min(limit, known[0].Start)
	}
	if len(r.files.logs) == 0 || r.files.logs[0] >= limit {
		return nil
	}
	r.epochs = epochs.New(nil)
	r.epochsDirty = true
	if err := r.files.eachBatch(0, limit, r.fold); err != nil {
		return err
	}
	for _, e := range known {
		r.epochs.Assign(e.Epoch, e.Start)
	}
	return nil
}

// fold notes the epoch of a batch.
func (r *Recovery) fold(b record.Batch) {
	if e := b.LeaderEpoch(); e >= 0 && e > r.epochs.Latest() && r.epochs.Assign(e, b.BaseOffset()) {
		r.epochsDirty = true
	}
}

// settleStart fixes the offsets once the segments are there. A log that ends below its start is replaced by an empty one: everything in
// it was deleted.
func (r *Recovery) settleStart(point record.Offset) error {
	start := r.options.StartOffset
	if n := len(r.segments); n > 0 {
		r.end = r.segments[n-1].next
	}
	if len(r.segments) == 0 || r.end < start {
		if point > start {
			return fmt.Errorf("%w: it ends at %d, but was flushed up to %d", ErrCorrupt, r.end, point)
		}
		if err := r.restart(start); err != nil {
			return err
		}
	}
	r.start = max(start, r.segments[0].base)
	if r.end < point {
		return fmt.Errorf("%w: it ends at %d, but was flushed up to %d", ErrCorrupt, r.end, point)
	}
	r.recovery = min(max(point, r.segments[0].base), r.end)
	if r.options.Clean {
		r.recovery = r.end
	}
	if r.epochs.TruncateFromEnd(r.end + 1) { // at the end may be an election without an append
		r.epochsDirty = true
	}
	if r.epochs.TruncateFromStart(r.segments[0].base) {
		r.epochsDirty = true
	}
	return nil
}

// restart replaces everything by an empty segment.
func (r *Recovery) restart(at record.Offset) error {
	for _, s := range r.segments {
		if err := s.close(); err != nil {
			return err
		}
		if err := r.dropSegment(s.base); err != nil {
			return err
		}
	}
	if err := r.dropSnapshots(func(record.Offset) bool { return true }); err != nil {
		return err
	}
	r.segments, r.end, r.intact = nil, at, false
	r.producers = r.producers.New()
	r.epochs.Clear()
	return r.begin(at, newNames)
}

// begin makes the files of an empty active segment, perhaps in the place of one that turned out to hold nothing.
func (r *Recovery) begin(base record.Offset, replace bool) error {
	s := r.segment(base, base, 0)
	file, err := createSegment(r.disk, r.dir, base, replace)
	if err == nil {
		err = file.Close() // there is nothing in it: it is opened for the first batch
	}
	if err != nil {
		return err
	}
	s.createdWall, s.recvWall = r.options.Wall, r.options.Wall
	if r.files != nil {
		_, s.safe = slices.BinarySearch(r.files.snapshots, base)
	}
	r.segments = append(r.segments, s)
	r.dirDirty = true
	return nil
}

// segment makes what the loop will know of a segment whose files exist.
func (r *Recovery) segment(base, next record.Offset, size int64) *segment {
	return &segment{
		indexer: indexer{
			base: base, size: size,
			first: record.NoTimestamp, maxTime: record.NoTimestamp, lastTime: record.NoTimestamp, maxLast: base,
		},
		next: next, taken: size, written: size, created: true, createdWall: r.options.Wall,
	}
}

// date says when the segment's last batch came: what segment-receipts knows; without such a file, as where Kafka has written, the greatest
// timestamp; otherwise now.
func (r *Recovery) date(s *segment) {
	_, s.safe = slices.BinarySearch(r.files.snapshots, s.base)
	s.safe = s.safe && (r.options.Clean || s.base < r.options.RecoveryPoint)
	wall, known := r.receipts[s.base]
	r.intact = r.intact && (known || s.size == 0)
	switch {
	case known:
		s.recvWall = min(wall, r.options.Wall)
	case r.receipts == nil && s.maxTime >= 0:
		s.recvWall = min(env.Millis(s.maxTime), r.options.Wall)
	default:
		s.recvWall = r.options.Wall
	}
}
