package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/commitlog/epochs"
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Sync makes everything durable that was written when it was taken: data, the names of the files, and what goes with them.
type Sync struct {
	disk     env.Disk
	dir      string
	end      record.Offset // what becomes the recovery point; a truncation lowers it
	files    []env.File    // references of its own
	hints    []*segment    // sync their index files; the job looks at the base alone
	snaps    []*segment    // their snapshots; the job looks at the base alone, which never changes
	closed   []*segment    // sealed segments whose handles are not needed behind it; for the loop alone
	epochs   []epochs.Entry
	doEpochs bool
	receipts []receipt
	doRecv   bool
	start    logStart
	doStart  bool
	doDir    bool
	state    []byte // producer snapshot as of end, of a close; nil: none
	closing  []env.File
	err      error
}

// TakeSync hands out the sync of what is written; nil if there is nothing to sync, if one is under way, if a truncation is still to be
// written, or if the log has failed. It may run on any lane.
func (l *Log) TakeSync() *Sync {
	if l.failure != nil || l.closed || l.syncing != nil || l.cutting() {
		return nil
	}
	if l.written <= l.recovery && !l.startDue() && !l.epochsDirty && !l.dirDirty && !slices.ContainsFunc(l.segments, (*segment).unsynced) {
		return nil
	}
	l.syncing = l.gatherSync(false)
	return l.syncing
}

// startDue reports whether log-start does not say what it should.
func (l *Log) startDue() bool {
	return min(l.start, l.written) > l.kept.offset || (l.truncation.marked && l.kept.generation != l.generation)
}

// cutting reports whether a truncation is still to be done on disk. Until then no sync may write down what the log knows, for the
// disk does not agree with it.
func (l *Log) cutting() bool {
	return l.truncation.due || slices.ContainsFunc(l.outstanding, func(w *Writes) bool { return w.cut.due })
}

// unsynced reports whether the segment has files that a sync is to cover.
func (s *segment) unsynced() bool {
	return s.dirty || s.snapDirty || s.sealed && (s.hintDirty || s.file != nil)
}

// gatherSync takes what no sync covers. At a close everything counts as sealed.
func (l *Log) gatherSync(closing bool) *Sync {
	s := &Sync{disk: l.lane.disk, dir: l.lane.dir, end: l.written, closing: l.closing}
	for _, seg := range l.segments {
		if !seg.unsynced() && !closing {
			continue
		}
		if seg.snapDirty {
			s.snaps = append(s.snaps, seg)
		}
		if seg.file != nil && (seg.dirty || seg.sealed && !closing) {
			seg.file.Retain()
			s.files = append(s.files, seg.file)
		}
		if seg.hintDirty && (seg.sealed || closing) {
			s.hints, seg.hintDirty = append(s.hints, seg), false
		}
		if seg.whole() {
			s.closed = append(s.closed, seg)
		}
		seg.dirty, seg.snapDirty = false, false
	}
	if l.epochsDirty {
		s.epochs, s.doEpochs = l.epochs.Entries(), true
	}
	if l.receipts || closing {
		s.receipts, s.doRecv = l.listReceipts(closing), true
		l.found.intact = false
	}
	s.start, s.doStart = logStart{min(l.start, s.end), l.generation}, l.startDue()
	s.doDir = l.dirDirty || len(s.snaps) > 0 || s.doEpochs || closing
	l.epochsDirty, l.receipts, l.dirDirty, l.closing = false, false, false, nil
	if l.written == l.end {
		l.unflushed = env.Never
	}
	return s
}

// listReceipts are the receipts of the sealed segments; at a close of all.
func (l *Log) listReceipts(closing bool) []receipt {
	var all []receipt
	for _, s := range l.segments {
		if s.sealed || closing {
			all = append(all, receipt{s.base, s.recvWall})
		}
	}
	return all
}

// Run does the work. Jobs only.
func (s *Sync) Run() {
	s.err = s.run()
	for _, f := range s.files {
		f.Close() //nolint:errcheck // it was synced, or the log fails
	}
	for _, f := range s.closing {
		f.Close() //nolint:errcheck // read-only or synced
	}
	s.files, s.closing = nil, nil
}

func (s *Sync) run() error {
	for _, f := range s.files {
		if err := f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", s.dir, err)
		}
	}
	for _, seg := range s.hints {
		for _, suffix := range segmentSuffixes[1:] {
			if err := syncFile(s.disk, join(s.dir, fileName(seg.base, suffix))); err != nil {
				return fmt.Errorf("sync index of segment %d of %s: %w", seg.base, s.dir, err)
			}
		}
	}
	for _, seg := range s.snaps {
		if err := syncFile(s.disk, join(s.dir, fileName(seg.base, snapshotSuffix))); err != nil {
			return fmt.Errorf("sync snapshot %d of %s: %w", seg.base, s.dir, err)
		}
	}
	if s.doEpochs {
		if err := epochs.Replace(s.disk, s.dir, s.epochs); err != nil {
			return fmt.Errorf("write leader epochs of %s: %w", s.dir, err)
		}
	}
	if s.doRecv {
		if err := writeReceipts(s.disk, s.dir, s.receipts); err != nil {
			return fmt.Errorf("write receipts of %s: %w", s.dir, err)
		}
	}
	if s.state != nil {
		if err := checkpoint.Replace(s.disk, s.dir, fileName(s.end, snapshotSuffix), s.state); err != nil {
			return fmt.Errorf("write producer snapshot: %w", err)
		}
	}
	if s.doDir {
		if err := s.disk.SyncDir(s.dir); err != nil {
			return fmt.Errorf("sync directory %s: %w", s.dir, err)
		}
	}
	// Last: a log that ends below its start is empty.
	if s.doStart {
		if err := writeStart(s.disk, s.dir, s.start); err != nil {
			return fmt.Errorf("write log start of %s: %w", s.dir, err)
		}
	}
	return nil
}

// syncFile syncs a file that is not open. One that is gone was removed meanwhile, with all that it stood for.
func syncFile(d env.Disk, path string) error {
	f, err := d.Open(path, env.ReadWrite)
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close() //nolint:errcheck // the first error counts
		return err
	}
	return f.Close()
}

// Synced takes back a Sync that has run. An error is final: the log has failed, and no sync is tried again.
func (l *Log) Synced(s *Sync) error {
	if l.syncing != s {
		invariant.Violated("log %s: a Sync given back that is not under way", l.id)
	}
	l.syncing = nil
	if s.err != nil {
		return l.fail(s.err)
	}
	if l.failure != nil {
		return l.failure
	}
	l.recovery = max(l.recovery, s.end)
	for _, seg := range s.snaps {
		seg.safe = true
	}
	for _, seg := range s.closed {
		if !seg.dead && seg.whole() && !seg.dirty {
			l.retire(&seg.file)
		}
	}
	if s.doStart {
		l.kept = logStart{min(s.start.offset, s.end), s.start.generation}
	}
	l.trim()
	l.check()
	return nil
}

// RecoveryMark is the recovery point for the store's checkpoint file.
func (l *Log) RecoveryMark() Mark { return Mark{l.recovery, l.generation} }

// Checkpointed notes that the store's checkpoint file says durably what RecoveryMark said. It ends what a truncation below an
// earlier recovery point has left behind.
func (l *Log) Checkpointed(m Mark) {
	if t := &l.truncation; t.marked && !t.due && m.generation == l.generation && l.kept.generation == l.generation {
		t.marked, t.unmark = false, true
	}
}

// Marked says that the mark of a truncation may be on disk: a process that finds it counts nothing as flushed that was written behind the truncation.
func (l *Log) Marked() bool { return l.truncation.marked || l.unmarking() }

// Unmarkable says that Checkpointed would end the mark of a truncation, with what RecoveryMark says now. What is missing comes with the next Writes or
// the next sync.
func (l *Log) Unmarkable() bool {
	return !l.truncation.due && l.kept.generation == l.generation && !l.unmarking()
}

// unmarking says that the mark has ended, and may be on disk still.
func (l *Log) unmarking() bool {
	return l.truncation.unmark || slices.ContainsFunc(l.outstanding, func(w *Writes) bool { return w.cut.unmark })
}

// TakeUnmark returns the job that removes the mark of a truncation from a log that is closed, if a checkpoint has said all that the log holds; nil if
// there is nothing to remove. From a log in use it goes with the next Writes.
func (l *Log) TakeUnmark() func() error {
	if !l.closed || !l.truncation.unmark {
		return nil
	}
	l.truncation.unmark = false
	disk, dir := l.lane.disk, l.lane.dir
	return func() error { return removeMark(disk, dir) }
}
