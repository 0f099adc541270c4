package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// loadClean takes the segments as a clean stop has left them.
func (r *Recovery) loadClean(set Settings) error {
	logs := r.files.logs
	r.intact = len(logs) > 0
	for i, base := range logs {
		var err error
		if i+1 < len(logs) {
			err = r.loadClosed(set, base, logs[i+1])
		} else {
			err = r.loadActive(set, base)
		}
		if err != nil {
			return err
		}
	}
	if len(logs) == 0 {
		return nil
	}
	end := r.segments[len(r.segments)-1].next
	if err := r.foldBelow(end); err != nil {
		return err
	}
	newest := record.NoOffset
	for _, at := range r.files.snapshots {
		if at <= end {
			newest = at
		}
	}
	// Those that belong to no segment are from earlier stops.
	err := r.dropSnapshots(func(at record.Offset) bool {
		_, found := slices.BinarySearch(logs, at)
		return at > end || (!found && at != newest)
	})
	if err != nil {
		return err
	}
	from, err := r.files.loadProducers(r.producers, end)
	r.intact = r.intact && from == end
	return err
}

// loadClosed takes a segment that is complete and flushed. Only the end of its time index is read, unless an index cannot be right.
func (r *Recovery) loadClosed(set Settings, base, next record.Offset) error {
	size, _ := r.files.size(base, logSuffix)
	s := r.segment(base, next, size)
	s.interval, s.sealed = set.IndexIntervalBytes, true
	index, ok := r.files.size(base, indexSuffix)
	times, okTimes := r.files.size(base, timesSuffix)
	good := ok && okTimes && index%indexEntry == 0 && times%timesEntry == 0 && (times > 0 || size == 0)
	if good && times > 0 {
		p := make([]byte, timesEntry)
		f, err := r.disk.Open(r.files.path(fileName(base, timesSuffix)), env.ReadOnly)
		if err != nil {
			return err
		}
		err = readFull(f, p, times-timesEntry)
		f.Close() //nolint:errcheck // read-only
		s.maxTime, s.maxLast = timeAt(p, base)
		s.lastTime = s.maxTime
		good = err == nil && s.maxLast >= base && s.maxLast < next
	}
	s.index.size, s.times.size = index, times
	if !good {
		if err := r.rebuild(s, next); err != nil {
			return err
		}
	}
	s.txns.size, _ = r.files.size(base, txnsSuffix)
	s.index.written, s.times.written, s.txns.written = s.index.size, s.times.size, s.txns.size
	r.date(s)
	r.segments = append(r.segments, s)
	return nil
}

// rebuild writes the indexes of a segment anew, from the headers of its batches.
func (r *Recovery) rebuild(s *segment, next record.Offset) error {
	r.Rebuilt++
	name := r.files.path(fileName(s.base, logSuffix))
	f, err := r.disk.Open(name, env.ReadOnly)
	if err != nil {
		return err
	}
	x := newIndexer(s.base, s.interval)
	err = walkFile(f, 0, s.size, func(h header, _ int64) (bool, error) {
		if h.NextOffset() > next {
			return false, nil
		}
		x.add(h.LastOffset(), h.MaxTimestamp(), int64(h.size()))
		return true, nil
	})
	f.Close() //nolint:errcheck // read-only
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if s.sealed {
		x.addTime()
	}
	s.indexer = x
	return r.writeIndexes(s)
}

// writeIndexes replaces the index files by what the segment's indexer holds.
func (r *Recovery) writeIndexes(s *segment) error {
	r.dirDirty = true
	for _, x := range [...]struct {
		suffix string
		table  *table
	}{{indexSuffix, &s.index}, {timesSuffix, &s.times}} {
		t := x.table
		if err := checkpoint.Write(r.disk, r.dir, fileName(s.base, x.suffix), t.fresh); err != nil {
			return fmt.Errorf("write index of segment %d: %w", s.base, err)
		}
		t.size, t.written, t.fresh = int64(len(t.fresh)), int64(len(t.fresh)), nil
	}
	return nil
}

// loadActive takes the segment that appends go to, all of which is flushed. It is walked from its last index entry on.
func (r *Recovery) loadActive(set Settings, base record.Offset) error {
	size, _ := r.files.size(base, logSuffix)
	s := r.segment(base, base, size)
	s.interval = set.IndexIntervalBytes
	err := r.resume(s)
	if errors.Is(err, env.ErrNotExist) || errors.Is(err, errIndex) {
		if err = r.rebuild(s, 1<<62); err == nil {
			err = r.resume(s)
		}
	}
	if err != nil {
		return err
	}
	r.segments = append(r.segments, s)
	s.taken, s.written = s.size, s.size
	s.txns.size, _ = r.files.size(base, txnsSuffix)
	s.txns.written = s.txns.size
	r.date(s)
	return nil
}

// resume brings the segment's indexer to where the file ends. It is errIndex if the indexes cannot be right, or cannot be read.
func (r *Recovery) resume(s *segment) error {
	files, err := openSegment(r.disk, r.dir, s.base, env.ReadOnly)
	if err != nil {
		return err
	}
	defer files.close() //nolint:errcheck // read-only
	return r.resumeFrom(s, &files)
}

func (r *Recovery) resumeFrom(s *segment, files *fileSet) error {
	size := s.size
	index, err := files.index.Size()
	if err != nil {
		return err
	}
	times, err := files.times.Size()
	if err != nil {
		return err
	}
	if index%indexEntry != 0 || times%timesEntry != 0 {
		return errIndex
	}
	x := newIndexer(s.base, s.interval)
	x.index.size, x.times.size = index, times
	last := s.base - 1
	if index > 0 {
		p := make([]byte, indexEntry)
		if err := readFull(files.index, p, index-indexEntry); err != nil {
			return fmt.Errorf("%w: %w", errIndex, err)
		}
		if last, x.indexed = indexAt(p, s.base); last < s.base || x.indexed <= 0 || x.indexed >= size {
			return errIndex
		}
	}
	if times > 0 {
		p := make([]byte, timesEntry)
		if err := readFull(files.times, p, times-timesEntry); err != nil {
			return fmt.Errorf("%w: %w", errIndex, err)
		}
		x.maxTime, x.maxLast = timeAt(p, s.base)
		x.lastTime = x.maxTime
	}
	return r.walkActive(s, files.log, &x, last, size)
}

// walkActive reads the first batch, for its timestamp, and those from the last index entry on.
func (r *Recovery) walkActive(s *segment, f env.File, x *indexer, last record.Offset, size int64) error {
	first := int64(record.NoTimestamp)
	next := s.base
	from := x.indexed
	err := walkFile(f, 0, size, func(h header, _ int64) (bool, error) {
		first = h.MaxTimestamp()
		return false, nil
	})
	if err == nil {
		x.size = from
		err = walkFile(f, from, size, func(h header, at int64) (bool, error) {
			if at == from && from > 0 && h.LastOffset() != last {
				return false, errIndex
			}
			x.add(h.LastOffset(), h.MaxTimestamp(), int64(h.size()))
			next = h.NextOffset()
			return true, nil
		})
	}
	if err == nil && x.lastTime >= 0 && x.maxLast >= next {
		err = errIndex
	}
	if errors.Is(err, ErrCorrupt) && from > 0 && x.size == from {
		return errIndex // the entry points into the middle of a batch
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.files.path(fileName(s.base, logSuffix)), err)
	}
	x.first = first
	s.indexer, s.next = *x, next
	s.index.written, s.times.written = s.index.at(), s.times.at()
	return nil
}
