package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// writer is the end of a log on its write lane. Jobs of one lane run in order, so it needs no more than a plain struct; the loop
// never looks into it.
type writer struct {
	disk    env.Disk
	dir     string
	base    record.Offset // of the segment whose files are open
	file    env.File
	failure error // final: nothing is written after it
}

// Run does the work. Jobs only, in the order of TakeWrites.
func (w *Writes) Run() {
	if w.lane.failure == nil {
		w.lane.failure = w.run()
	}
	w.err = w.lane.failure
	for _, f := range w.closing {
		f.Close() //nolint:errcheck // read-only or synced
	}
	w.closing = nil
}

func (w *Writes) run() error {
	if err := w.truncate(); err != nil {
		return err
	}
	for i := range w.parts {
		p := &w.parts[i]
		if err := w.write(p); err != nil {
			return fmt.Errorf("write %s: %w", join(w.lane.dir, fileName(p.base, logSuffix)), err)
		}
	}
	if w.cut.restarts {
		if err := w.emptied(); err != nil {
			return err
		}
	}
	if w.rebuild == nil {
		return nil
	}
	files, err := list(w.lane.disk, w.lane.dir)
	if err == nil {
		_, err = files.loadProducers(w.rebuild, w.asOf)
	}
	if err != nil {
		return fmt.Errorf("rebuild producers of %s: %w", w.lane.dir, err)
	}
	w.rebuilt = true
	return w.keepRebuilt()
}

// keepRebuilt leaves a snapshot of the rebuilt producers with the segment that begins there. It may take the place of one that is all that
// is left of deleted records, so it is made durable at once.
func (w *Writes) keepRebuilt() error {
	for i := range w.parts {
		p := &w.parts[i]
		if !p.create || p.base != w.asOf {
			continue
		}
		p.hasSnap = true
		return checkpoint.Write(w.lane.disk, w.lane.dir, fileName(p.base, snapshotSuffix), w.rebuild.Snapshot())
	}
	return nil
}

// truncate renames away the files of segments that are no longer part of the log, and the snapshots beyond a truncation, and makes
// that durable before anything is written behind it.
func (w *Writes) truncate() error {
	lane := w.lane
	if w.cut.unmark {
		if err := removeMark(lane.disk, lane.dir); err != nil {
			return err
		}
	}
	note := unfinished{w.cut.to, w.mark.generation, w.cut.restarts, w.cut.restart}
	if w.cut.mark {
		note.to = w.cut.synced
	}
	if w.cut.mark || w.cut.restarts {
		if err := writeTruncation(lane.disk, lane.dir, note); err != nil {
			return fmt.Errorf("note a truncation to %d: %w", w.cut.to, err)
		}
	}
	for _, base := range w.removes {
		if err := w.remove(base); err != nil {
			return fmt.Errorf("remove segment %d of %s: %w", base, lane.dir, err)
		}
	}
	if !w.cut.due {
		return nil
	}
	if err := w.removeSnapshots(); err != nil {
		return fmt.Errorf("remove snapshots of %s beyond %d: %w", lane.dir, w.cut.to, err)
	}
	if err := lane.disk.SyncDir(lane.dir); err != nil {
		return fmt.Errorf("truncate %s: %w", lane.dir, err)
	}
	return nil
}

// emptied notes that the log is empty and starts anew, which its new segment now says. Whoever opens it before would finish the job.
func (w *Writes) emptied() error {
	lane := w.lane
	err := lane.disk.SyncDir(lane.dir)
	if err == nil {
		err = writeTruncation(lane.disk, lane.dir, unfinished{to: w.cut.to, generation: w.mark.generation})
	}
	if err != nil {
		return fmt.Errorf("note that %s is empty: %w", lane.dir, err)
	}
	return nil
}

// remove renames the files of one segment away. If a new one takes its place its names stay until then, so that the log is never without
// a first segment. The snapshot of a segment that a truncation removes may be the one that is needed now.
func (w *Writes) remove(base record.Offset) error {
	if w.lane.base == base {
		if err := w.lane.close(); err != nil {
			return err
		}
	}
	for _, suffix := range segmentSuffixes {
		if suffix != txnsSuffix && w.replaces(base) {
			continue
		}
		if err := w.rename(fileName(base, suffix)); err != nil {
			return err
		}
	}
	if w.rebuild != nil && base == w.asOf {
		return nil
	}
	return w.rename(fileName(base, snapshotSuffix))
}

// replaces reports whether a new segment takes the place of one that was removed.
func (w *Writes) replaces(base record.Offset) bool {
	return slices.Contains(w.removes, base) &&
		slices.ContainsFunc(w.parts, func(p part) bool { return p.create && p.base == base })
}

// rename gives a file that may be there a name that says it is on its way out.
func (w *Writes) rename(name string) error {
	gone := name + deletedSuffix
	err := w.lane.disk.Rename(join(w.lane.dir, name), join(w.lane.dir, gone))
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err == nil {
		w.removed = append(w.removed, gone)
	}
	return err
}

// removeSnapshots renames away the snapshots of what was truncated.
func (w *Writes) removeSnapshots() error {
	entries, err := w.lane.disk.ReadDir(w.lane.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		at, suffix, ok := parseName(e.Name)
		if !ok || suffix != snapshotSuffix || (at <= w.cut.to && !w.cut.restarts) {
			continue
		}
		if err := w.rename(e.Name); err != nil {
			return err
		}
	}
	return nil
}

// write does one segment's part.
func (w *Writes) write(p *part) error {
	lane := w.lane
	if err := lane.open(p, w.replaces(p.base)); err != nil {
		return err
	}
	if p.create && p.hasSnap {
		if err := writeFile(lane.disk, lane.dir, fileName(p.base, snapshotSuffix), w.bytes(p.snap)); err != nil {
			return err
		}
	}
	if data := w.batches[p.batches.lo:p.batches.hi]; len(data) > 0 {
		if err := lane.file.WriteAt(p.at, data...); err != nil {
			return err
		}
	}
	if err := w.patchFile(p.base, indexSuffix, p.index); err != nil {
		return err
	}
	if err := w.patchFile(p.base, timesSuffix, p.times); err != nil {
		return err
	}
	if err := w.patchFile(p.base, txnsSuffix, p.txns); err != nil {
		return err
	}
	if !p.settle {
		return nil
	}
	files, err := openSegment(lane.disk, lane.dir, p.base, env.ReadWrite)
	if err != nil {
		return err
	}
	p.settled, err = settle(files, p)
	if p.mend && errors.Is(err, ErrCorrupt) {
		p.damaged, err = true, nil // what is bad of one segment ends neither the log nor the broker
	}
	if closing := files.close(); err == nil {
		err = closing
	}
	return err
}

// patchFile writes entries to one of a segment's index files.
func (w *Writes) patchFile(base record.Offset, suffix string, p patch) error {
	if p.hi == p.lo {
		return nil
	}
	return writeEntries(w.lane.disk, w.lane.dir, base, suffix, p.at, w.bytes(p.span))
}

// writeEntries writes entries to an index file. The transaction index exists only once there is something in it.
func writeEntries(d env.Disk, dir string, base record.Offset, suffix string, at int64, entries []byte) error {
	mode := env.ReadWrite
	if suffix == txnsSuffix {
		mode = env.Create
	}
	f, err := d.Open(join(dir, fileName(base, suffix)), mode)
	if err != nil {
		return err
	}
	err = f.WriteAt(at, entries)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// open makes the part's segment the one whose file is open, if it has anything for the file. The loop gets a reference of its own, if it may
// lack one.
func (lane *writer) open(p *part, replace bool) error {
	if p.batches.hi == p.batches.lo && !p.create || lane.file != nil && lane.base == p.base && !p.create {
		return nil
	}
	if err := lane.close(); err != nil {
		return err
	}
	var file env.File
	var err error
	if p.create {
		file, err = createSegment(lane.disk, lane.dir, p.base, replace)
	} else {
		file, err = lane.disk.Open(join(lane.dir, fileName(p.base, logSuffix)), env.ReadWrite)
	}
	if err != nil {
		return err
	}
	lane.base, lane.file = p.base, file
	file.Retain()
	p.opened = file
	return nil
}

// close gives up the lane's reference to the open file.
func (lane *writer) close() error {
	f := lane.file
	lane.file = nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// createSegment makes the files of an empty segment, and returns the .log file. If it takes the place of another one it does so at once and
// durably, so that there is always one of them.
func createSegment(d env.Disk, dir string, base record.Offset, replace bool) (env.File, error) {
	ending := ""
	if replace {
		ending = tempSuffix
	}
	files, err := openFiles(d, dir, base, env.CreateNew, ending)
	if err != nil {
		return nil, err
	}
	if !replace {
		return files.leave()
	}
	for _, kind := range segmentSuffixes[:3] {
		name := join(dir, fileName(base, kind))
		if err == nil {
			err = d.Rename(name+tempSuffix, name)
		}
	}
	if err == nil {
		err = d.SyncDir(dir)
	}
	if err != nil {
		files.close() //nolint:errcheck // the first error counts
		return nil, err
	}
	return files.leave()
}

// openSegment opens the files of a segment, the transaction index only if it exists.
func openSegment(d env.Disk, dir string, base record.Offset, mode env.Mode) (f fileSet, err error) {
	return openFiles(d, dir, base, mode, "")
}

// openFiles is openSegment for names with something behind them.
func openFiles(d env.Disk, dir string, base record.Offset, mode env.Mode, ending string) (f fileSet, err error) {
	open := func(suffix string) env.File {
		if err != nil {
			return nil
		}
		var file env.File
		if file, err = d.Open(join(dir, fileName(base, suffix)+ending), mode); err != nil {
			return nil
		}
		return file
	}
	f.log, f.index, f.times = open(logSuffix), open(indexSuffix), open(timesSuffix)
	if mode != env.CreateNew && err == nil {
		if f.txns = open(txnsSuffix); errors.Is(err, env.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		f.close() //nolint:errcheck // the first error counts
		return fileSet{}, fmt.Errorf("open segment %d: %w", base, err)
	}
	return f, nil
}

// settle cuts the file at the first batch that reaches p.next, builds the indexes of what is left, and makes that durable.
func settle(f fileSet, p *part) (settled, error) {
	size, err := f.log.Size()
	if err != nil {
		return settled{}, err
	}
	x := newIndexer(p.base, p.interval)
	if err := x.read(f.log, size, p.next); err != nil {
		return settled{}, err
	}
	if p.mend && x.size != size {
		return settled{}, fmt.Errorf("%w: batch at %d belongs elsewhere", ErrCorrupt, x.size)
	}
	x.addTime()
	if err := cutFile(f.log, size, x.size, nil); err != nil {
		return settled{}, fmt.Errorf("cut at %d: %w", x.size, err)
	}
	out := settled{size: x.size, index: x.index.size, times: x.times.size, maxTime: x.maxTime, maxLast: x.maxLast}
	if err := cutFile(f.index, -1, x.index.at(), x.index.fresh); err != nil {
		return settled{}, err
	}
	if err := cutFile(f.times, -1, x.times.at(), x.times.fresh); err != nil {
		return settled{}, err
	}
	if f.txns != nil {
		if out.txns, err = txnsBelow(f.txns, p.next); err == nil {
			err = cutFile(f.txns, -1, out.txns, nil)
		}
	}
	return out, err
}

// read adds the batches of a file up to the first that reaches limit. That one is looked at closely, for one that only says so must not be
// where the log is cut: its checksum covers its length in offsets, and the one behind it tells of its base offset.
func (x *indexer) read(f env.File, size int64, limit record.Offset) error {
	low, reached := x.base, false
	return walkFile(f, 0, size, func(h header, at int64) (bool, error) {
		switch {
		case h.BaseOffset() < low:
			return false, fmt.Errorf("%w: batch at %d: it begins at offset %d, the one before it ends at %d", ErrCorrupt, at, h.BaseOffset(), low)
		case reached:
			return false, nil
		case h.NextOffset() <= limit:
			x.add(h.LastOffset(), h.MaxTimestamp(), int64(h.size()))
			low = h.NextOffset()
			return true, nil
		case h.BaseOffset() < limit:
			_, err := readBatch(f, h, at)
			return false, err
		}
		gap := low < limit
		low, reached = h.NextOffset(), true
		return gap, nil
	})
}

// cutFile sets the size of a file, appends to it, and syncs it. A file that has the size already is left alone; a size of -1 is not known.
func cutFile(f env.File, size, at int64, fresh []byte) error {
	if size == at && len(fresh) == 0 {
		return nil
	}
	if err := f.Truncate(at); err != nil {
		return err
	}
	if len(fresh) > 0 {
		if err := f.WriteAt(at, fresh); err != nil {
			return err
		}
	}
	return f.Sync()
}
