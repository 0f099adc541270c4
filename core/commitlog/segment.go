package commitlog

import (
	"lignum/core/env"
	"lignum/core/record"
)

// segment is one segment as the loop sees it. Its indexer's size is what was decided; files may lag behind.
type segment struct {
	indexer
	next      record.Offset // offsets of its batches lie in [base, next)
	txns      table         // transaction index
	aborted   []byte        // entries of the transaction index that are not known to be on disk
	taken     int64         // bytes of batches that a Writes has taken
	written   int64         // bytes of batches known to be on disk
	created   bool          // a Writes has taken the creation of its files
	sealed    bool          // complete: nothing is appended any more
	settle    bool          // a truncation has cut it; the next Writes does so on disk and finds the true sizes
	cutting   int           // such Writes that are under way
	dead      bool          // no longer part of the log
	dirty     bool          // has written bytes that no sync has been asked for
	snapDirty bool          // its snapshot was written and not yet synced
	hintDirty bool          // its index files were written and not yet synced
	safe      bool          // there is a synced snapshot of the producers as of base
	mended    bool          // its index was found bad and is to be rebuilt
	damaged   bool          // that cannot be done, for its batches are bad: whoever reads them is told

	rollMillis  int64       // segment.ms less this segment's jitter
	createdWall env.Millis  // when it was made, for rolling where batches have no timestamp
	received    env.Instant // when its last batch came
	recvWall    env.Millis  // the same by the wall clock, to be carried over a restart
	snapshot    []byte      // producer state below base, to be written with the creation; nil: none
	file        env.File    // the .log file; nil if it is not open. Index files are open only while a job needs them
	trail       trail       // where some of its batches are; empty if it was found on the disk or cut
}

// close closes the file if it is open. Jobs only.
func (s *segment) close() error {
	f := s.file
	s.file = nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// settled reports whether the loop knows the size of the file.
func (s *segment) settled() bool { return !s.settle && s.cutting == 0 }

// due reports whether something of the segment waits for a Writes.
func (s *segment) due() bool {
	return !s.created || s.settle || s.mended || s.taken < s.size || s.entriesDue() || len(s.txns.fresh) > 0
}

// Index entries gather until there are so many, or they cover so many bytes of batches: their files must be opened for them.
const (
	entriesMost  = 16
	entriesCover = 128 << 10
)

// entriesDue reports whether the index entries that have gathered are to be written. All of a segment's are once it is complete.
func (s *segment) entriesDue() bool {
	if s.sealed {
		return len(s.index.fresh)+len(s.times.fresh) > 0
	}
	n := int64(len(s.index.fresh) / indexEntry)
	return n >= entriesMost || n*s.interval >= entriesCover
}

// whole reports whether the segment is complete and all of it has been written.
func (s *segment) whole() bool {
	return s.sealed && s.settled() && !s.due() && s.written == s.size &&
		s.index.written == s.index.size && s.times.written == s.times.size && s.txns.written == s.txns.size
}

// mustRoll reports whether a batch of n bytes with that last offset and timestamp belongs into a new segment. By age a segment
// rolls when the batches' own time has moved on by segment.ms since its first batch; without timestamps the wall clock counts.
func (s *segment) mustRoll(set *Settings, n int64, last record.Offset, maxTime int64, wall env.Millis) bool {
	if last-s.base > maxRelative {
		return true
	}
	if s.size == 0 {
		return false
	}
	age := maxTime - s.first
	if s.first < 0 {
		age = int64(wall - s.createdWall)
	}
	return s.size > set.SegmentBytes-n || age > s.rollMillis || s.full(set.IndexBytes)
}

// fileSet holds the open files of a segment, for a job that needs several.
type fileSet struct {
	log, index, times, txns env.File
}

// all lists the handles; some may be nil.
func (f *fileSet) all() [4]env.File { return [4]env.File{f.log, f.index, f.times, f.txns} }

// leave closes all but the .log file, and returns that.
func (f *fileSet) leave() (env.File, error) {
	log := f.log
	f.log = nil
	if err := f.close(); err != nil {
		log.Close() //nolint:errcheck // the first error counts
		return nil, err
	}
	return log, nil
}

// close drops the references and empties the set. Jobs only.
func (f *fileSet) close() error {
	var first error
	for _, file := range f.all() {
		if file == nil {
			continue
		}
		if err := file.Close(); err != nil && first == nil {
			first = err
		}
	}
	*f = fileSet{}
	return first
}
