package commitlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/record"
)

// layout is what a partition's directory holds.
type layout struct {
	disk      env.Disk
	dir       string
	logs      []record.Offset // bases of the segments, in order
	sizes     map[string]int64
	snapshots []record.Offset // in order
}

// list reads the directory.
func list(d env.Disk, dir string) (*layout, error) {
	entries, err := d.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	l := &layout{disk: d, dir: dir, sizes: make(map[string]int64, len(entries))}
	for _, e := range entries {
		if e.Dir {
			continue
		}
		l.sizes[e.Name] = e.Size
		base, suffix, ok := parseName(e.Name)
		switch {
		case ok && suffix == logSuffix:
			l.logs = append(l.logs, base)
		case ok && suffix == snapshotSuffix:
			l.snapshots = append(l.snapshots, base)
		}
	}
	slices.Sort(l.logs)
	slices.Sort(l.snapshots)
	return l, nil
}

func (l *layout) path(name string) string { return join(l.dir, name) }

// size is the length of one of a segment's files; ok is false if it is not there.
func (l *layout) size(base record.Offset, suffix string) (n int64, ok bool) {
	n, ok = l.sizes[fileName(base, suffix)]
	return n, ok
}

// remove removes a file if it is there.
func (l *layout) remove(name string) error {
	delete(l.sizes, name)
	return removeFile(l.disk, l.path(name))
}

// removeSegment removes the files of a segment.
func (l *layout) removeSegment(base record.Offset) error {
	for _, suffix := range segmentSuffixes {
		if err := l.remove(fileName(base, suffix)); err != nil {
			return err
		}
	}
	return nil
}

// tidy finishes or undoes what a stop has interrupted: files on their way out are removed, a compaction whose result was complete
// (.swap) is finished, one whose result was not (.cleaned) is undone, and indexes without a log go. It reports whether names changed.
func tidy(d env.Disk, dir string) (changed bool, err error) {
	l, err := list(d, dir)
	if err != nil {
		return false, err
	}
	names := make([]string, 0, len(l.sizes))
	//house:anyorder they are sorted next
	for name := range l.sizes {
		names = append(names, name)
	}
	slices.Sort(names)
	leastCleaned := record.Offset(1<<63 - 1)
	var remove, swaps []string
	for _, name := range names {
		base, _, numbered := parseName(name)
		switch {
		case strings.HasSuffix(name, deletedSuffix), strings.HasSuffix(name, tempSuffix):
			remove = append(remove, name)
		case numbered && strings.HasSuffix(name, cleanedSuffix):
			leastCleaned = min(leastCleaned, base)
			remove = append(remove, name)
		case numbered && strings.HasSuffix(name, swapSuffix):
			swaps = append(swaps, name)
		}
	}
	for i := len(swaps) - 1; i >= 0; i-- {
		if base, _, _ := parseName(swaps[i]); base >= leastCleaned { // KAFKA-6264: a split that did not get far enough
			remove = append(remove, swaps[i])
			swaps = slices.Delete(swaps, i, i+1)
		}
	}
	for _, name := range remove {
		if err := l.remove(name); err != nil {
			return true, fmt.Errorf("remove %s: %w", l.path(name), err)
		}
	}
	if err := l.finishSwap(swaps); err != nil {
		return true, err
	}
	orphans, err := l.removeOrphans(names)
	return len(remove)+len(swaps) > 0 || orphans, err
}

// finishSwap puts the result of a compaction in the place of the segments that it was made from.
func (l *layout) finishSwap(swaps []string) error {
	from, to := record.Offset(1<<63-1), record.Offset(-1)
	for _, name := range swaps {
		base, suffix, _ := parseName(name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		next, err := l.nextOffset(name, base)
		if err != nil {
			return err
		}
		from, to = min(from, base), max(to, next)
	}
	for _, base := range l.logs {
		if base < from || base >= to {
			continue
		}
		if err := l.removeSegment(base); err != nil {
			return fmt.Errorf("remove compacted segment %d of %s: %w", base, l.dir, err)
		}
	}
	if len(swaps) > 0 {
		// The removals first: else a loss of power might leave old segments beside the new one, and no swap file to tell (K7).
		if err := l.disk.SyncDir(l.dir); err != nil {
			return fmt.Errorf("finish compaction: sync %s: %w", l.dir, err)
		}
	}
	for _, name := range swaps {
		final := strings.TrimSuffix(name, swapSuffix)
		if err := l.disk.Rename(l.path(name), l.path(final)); err != nil {
			return fmt.Errorf("finish compaction: rename %s: %w", l.path(name), err)
		}
		l.sizes[final] = l.sizes[name]
		delete(l.sizes, name)
	}
	return nil
}

// nextOffset walks a log file for the offset behind it.
func (l *layout) nextOffset(name string, base record.Offset) (record.Offset, error) {
	f, err := l.disk.Open(l.path(name), env.ReadOnly)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // read-only
	err = walkFile(f, 0, l.sizes[name], func(h header, _ int64) (bool, error) {
		base = h.NextOffset()
		return true, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.path(name), err)
	}
	return base, nil
}

// removeOrphans removes indexes whose log is gone.
func (l *layout) removeOrphans(names []string) (found bool, err error) {
	for _, name := range names {
		base, suffix, ok := parseName(name)
		if !ok || !slices.Contains(segmentSuffixes[1:], suffix) {
			continue
		}
		if _, ok := l.size(base, logSuffix); ok {
			continue
		}
		found = true
		if err := l.remove(name); err != nil {
			return true, fmt.Errorf("remove %s: %w", l.path(name), err)
		}
	}
	return found, nil
}

// loadProducers computes the producer state as of an offset: from the newest good snapshot that is not above it, and the batches
// behind that, the first of which is at from. A good one is of this log's history, since those that a truncation makes void are gone before it goes on.
func (l *layout) loadProducers(into *producers.State, end record.Offset) (from record.Offset, err error) {
	from, err = l.loadSnapshot(into, end)
	if err != nil {
		return from, err
	}
	return from, l.eachBatch(from, end, func(b record.Batch) { into.Apply(b, noTime) })
}

// noTime stands for a time of receipt that is not known.
const noTime = -1

// loadSnapshot loads the newest good snapshot that is not above the offset and returns its offset; without one, the first offset there is. One that
// cannot be read is passed over if the log still has everything that it was made from.
func (l *layout) loadSnapshot(into *producers.State, most record.Offset) (record.Offset, error) {
	var unreadable error
	for i := len(l.snapshots) - 1; i >= 0; i-- {
		at := l.snapshots[i]
		if at > most {
			continue
		}
		content, err := readFile(l.disk, l.path(fileName(at, snapshotSuffix)))
		if err == nil {
			err = into.Load(content)
		}
		if err == nil {
			return at, nil
		}
		err = fmt.Errorf("load snapshot %d of %s: %w", at, l.dir, err)
		switch {
		case errors.Is(err, env.ErrUnreadable):
			unreadable = err
		case !errors.Is(err, producers.ErrCorrupt):
			return 0, err
		}
	}
	if unreadable != nil && (len(l.logs) == 0 || l.logs[0] > 0) {
		return 0, unreadable
	}
	if len(l.logs) == 0 {
		return most, nil
	}
	return l.logs[0], nil
}

// eachBatch visits the batches from an offset on that a producer state or an epoch cache may care for. Of batches that are not control
// batches only the header is there.
func (l *layout) eachBatch(from, end record.Offset, visit func(b record.Batch)) error {
	for i, base := range l.logs {
		if from >= end || base >= end || (i+1 < len(l.logs) && l.logs[i+1] <= from) {
			continue
		}
		name := fileName(base, logSuffix)
		f, err := l.disk.Open(l.path(name), env.ReadOnly)
		if err != nil {
			return err
		}
		err = walkFile(f, 0, l.sizes[name], func(h header, at int64) (bool, error) {
			if h.BaseOffset() >= end {
				return false, nil
			}
			if h.NextOffset() <= from {
				return true, nil
			}
			b := h.batch()
			if b.IsControl() {
				var err error
				if b, err = readBatch(f, h, at); err != nil {
					return false, err
				}
			}
			visit(b)
			return true, nil
		})
		f.Close() //nolint:errcheck // read-only
		if err != nil {
			return fmt.Errorf("%s: %w", l.path(name), err)
		}
	}
	return nil
}
