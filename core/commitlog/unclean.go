package commitlog

import (
	"errors"
	"fmt"
	"math"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// loadUnclean takes the segments as an unclean stop has left them. Those that lie wholly below the recovery point are taken as they are; the
// rest is read, verified, and cut at the first batch that is bad, and its indexes are built anew, for only complete segments
// have theirs synced. A segment that ends exactly at the recovery point may have been completed behind the last sync, so it is read too.
func (r *Recovery) loadUnclean(set Settings, point record.Offset) error {
	logs := r.files.logs
	if len(logs) == 0 {
		return nil
	}
	first := 0
	for first+1 < len(logs) && logs[first+1] < point {
		if err := r.loadClosed(set, logs[first], logs[first+1]); err != nil {
			return err
		}
		first++
	}
	if err := r.loadState(logs[first]); err != nil {
		return err
	}
	s := scan{Recovery: r, set: set, point: point, memory: make([]byte, min(scanBlock, r.longest(first)))}
	return s.run(first)
}

// longest is the size of the largest log file from the i-th on, at least a header.
func (r *Recovery) longest(i int) int64 {
	n := int64(record.HeaderSize)
	for _, base := range r.files.logs[i:] {
		size, _ := r.files.size(base, logSuffix)
		n = max(n, size)
	}
	return n
}

// loadState brings producers and epochs to where the reading starts. Snapshots beyond may lie beyond the log's end: they go, and are
// made anew.
func (r *Recovery) loadState(from record.Offset) error {
	if err := r.dropSnapshots(func(at record.Offset) bool { return at > from }); err != nil {
		return err
	}
	if err := r.foldBelow(from); err != nil {
		return err
	}
	if r.epochs.TruncateFromEnd(from) {
		r.epochsDirty = true
	}
	_, err := r.files.loadProducers(r.producers, from)
	return err
}

// scan reads segments one behind the other.
type scan struct {
	*Recovery
	set    Settings
	point  record.Offset // bad bytes below it are corruption
	memory []byte
	expect record.Offset // where the log goes on
}

func (s *scan) run(first int) error {
	logs := s.files.logs
	s.expect = logs[first]
	for i := first; i < len(logs); i++ {
		base, limit, last := logs[i], record.Offset(math.MaxInt64), i+1 == len(logs)
		if !last {
			limit = logs[i+1]
		}
		// A gap between segments is the lost end of the one before, unless it is from a time when all was flushed: then
		// compaction has made it.
		if base > s.expect && s.expect >= s.point && i > first {
			return s.cut(i, fmt.Errorf("nothing between offsets %d and %d", s.expect, base))
		}
		if err := s.snapshot(base, i == first); err != nil {
			return err
		}
		bad, err := s.segment(base, limit, last)
		if err != nil {
			return err
		}
		if bad != nil && !errors.Is(bad, errBeyond) {
			return s.cut(i+1, bad)
		}
	}
	return nil
}

// snapshot writes down the producers as of the start of a segment that was begun since the recovery point. The first segment's is
// written durably: what came before may be deleted, so it is never without one.
func (s *scan) snapshot(base record.Offset, first bool) error {
	if base == 0 || base < s.point {
		return nil
	}
	write := writeFile
	if first {
		write = checkpoint.Write
	}
	if err := write(s.disk, s.dir, fileName(base, snapshotSuffix), s.producers.Snapshot()); err != nil {
		return fmt.Errorf("write snapshot %d: %w", base, err)
	}
	return nil
}

// segment reads one segment. bad says why it was cut, nil if it was not.
func (s *scan) segment(base, limit record.Offset, last bool) (bad, err error) {
	seg := s.Recovery.segment(base, base, 0)
	seg.indexer = newIndexer(base, s.set.IndexIntervalBytes)
	seg.snapDirty = base > 0 && base >= s.point
	s.segments = append(s.segments, seg)
	name := s.files.path(fileName(base, logSuffix))
	if seg.file, err = s.disk.Open(name, env.ReadWrite); err != nil {
		return nil, err
	}
	size, err := seg.file.Size()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	sc := newScanner(seg.file, size, s.memory, s.point)
	seg.next, bad, err = sc.scan(&seg.indexer, limit, func(b record.Batch) { s.visit(seg, b) })
	s.memory = sc.memory
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.expect = seg.next
	if bad != nil && seg.next < s.point && !errors.Is(bad, errBeyond) {
		return nil, fmt.Errorf("%w: %s at position %d, offset %d, flushed up to %d: %w", ErrCorrupt, name, sc.at, seg.next, s.point, bad)
	}
	seg.sealed = !last || bad != nil
	if bad != nil {
		s.CutBytes += size - sc.at
		s.CutAt = fmt.Errorf("%s at position %d, offset %d: %w", name, sc.at, seg.next, bad)
		if err := seg.file.Truncate(sc.at); err != nil {
			return nil, fmt.Errorf("cut %s at %d: %w", name, sc.at, err)
		}
		seg.dirty = true
	}
	// A segment that ends at the point counts, too: a life before may have cut it there and was killed before that was durable.
	seg.dirty = seg.dirty || seg.next >= s.point
	if !seg.dirty { // all of it was flushed before
		if err := seg.close(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return bad, s.finish(seg)
}

// visit notes what a batch means for epochs and producers.
func (s *scan) visit(seg *segment, b record.Batch) {
	s.fold(b)
	if aborted, ok := s.producers.Apply(b, noTime); ok {
		seg.txns.fresh = appendAborted(seg.txns.fresh, aborted)
	}
}

// finish writes the indexes of a segment that was read and notes their sizes.
func (s *scan) finish(seg *segment) error {
	if seg.sealed {
		seg.addTime()
	}
	for _, x := range [...]struct {
		suffix string
		table  *table
	}{{indexSuffix, &seg.index}, {timesSuffix, &seg.times}, {txnsSuffix, &seg.txns}} {
		_, there := s.files.size(seg.base, x.suffix)
		if !there && x.suffix == txnsSuffix && len(x.table.fresh) == 0 {
			continue
		}
		s.dirDirty = s.dirDirty || !there
		if err := s.replace(fileName(seg.base, x.suffix), x.table.fresh); err != nil {
			return fmt.Errorf("rebuild index of segment %d: %w", seg.base, err)
		}
		n := int64(len(x.table.fresh))
		*x.table = table{size: n, written: n}
	}
	seg.hintDirty = true
	seg.taken, seg.written = seg.size, seg.size
	s.date(seg)
	return nil
}

// replace gives a file, which may be there, another content.
func (s *scan) replace(name string, content []byte) error {
	f, err := s.disk.Open(s.files.path(name), env.Create)
	if err != nil {
		return err
	}
	if err = f.Truncate(0); err == nil && len(content) > 0 {
		err = f.WriteAt(0, content)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// cut ends the log at s.expect: segments from the i-th on go, and a new one begins. Nothing is ever appended to a file that was cut.
func (s *scan) cut(i int, why error) error {
	if s.CutAt == nil {
		s.CutAt = why
	}
	for _, base := range s.files.logs[i:] {
		size, _ := s.files.size(base, logSuffix)
		s.CutBytes += size
		if err := s.dropSegment(base); err != nil {
			return err
		}
	}
	s.files.logs = s.files.logs[:i]
	end, snapDirty, replace := s.expect, false, newNames
	if n := len(s.segments); n > 0 {
		seg := s.segments[n-1]
		if seg.base == end { // its snapshot stays good
			snapDirty, replace = seg.snapDirty, sameName
			s.segments = s.segments[:n-1]
			if err := seg.close(); err != nil {
				return err
			}
			if err := s.files.remove(fileName(end, txnsSuffix)); err != nil {
				return fmt.Errorf("remove transaction index of segment %d: %w", end, err)
			}
		} else if !seg.sealed {
			seg.sealed = true
			seg.addTime()
		}
	}
	if err := s.begin(end, replace); err != nil {
		return err
	}
	s.segments[len(s.segments)-1].snapDirty = snapDirty
	return nil
}
