package commitlog

import (
	"fmt"
	"sort"

	"lignum/core/env"
	"lignum/core/record"
)

// ReadRequest asks for batches.
type ReadRequest struct {
	From       record.Offset // the first batch returned is the one that holds it, or the next one that exists
	UpTo       record.Offset // no record at or above it is returned
	MaxBytes   int           // what is returned is cut here, from files even in mid-batch
	AtLeastOne bool          // the first batch is returned whole even if it is larger than MaxBytes
}

// ReadResult is what a read found: slices of memory, or a range of a file. Whoever gets it calls Release, or takes the
// references over.
type ReadResult struct {
	spans [4]Span // most reads need no more
	more  []Span
	n     int

	// File is the file that holds the batches; nil if they are in memory. The result holds a reference.
	File env.File
	// Position and Length are the range in File, in bytes.
	Position, Length int64
	// More: the read ended before it had all below UpTo, for its limit or because what follows lies elsewhere.
	More bool
}

// Span is a piece of memory with whole batches. The buffer holds it; the span has a reference.
type Span struct {
	Bytes  []byte
	Buffer env.Buffer
}

// Spans is the number of pieces in memory.
func (r *ReadResult) Spans() int { return r.n }

// Span is the i-th piece.
func (r *ReadResult) Span(i int) Span {
	if i < len(r.spans) {
		return r.spans[i]
	}
	return r.more[i-len(r.spans)]
}

// Size is the number of bytes found.
func (r *ReadResult) Size() int64 {
	n := r.Length
	for i := range r.n {
		n += int64(len(r.Span(i).Bytes))
	}
	return n
}

// Release drops the references to memory. The one to File is dropped by File.Close, in a job or at the edge.
func (r *ReadResult) Release() {
	for i := range r.n {
		r.Span(i).Buffer.Release()
	}
	r.n, r.more = 0, nil
}

// Load reads the range of the file into b, which has its length, and holds b instead of the file: what the file holds may change when a
// truncation cuts it. Jobs only. The result is unchanged if there is an error.
func (r *ReadResult) Load(b env.Buffer) error {
	if _, err := r.File.ReadAt(b.Bytes(), r.Position); err != nil {
		return fmt.Errorf("read batches at position %d: %w", r.Position, err)
	}
	_ = r.File.Close() // it was only read
	r.File, r.Position, r.Length = nil, 0, 0
	r.hold(Span{Bytes: b.Bytes(), Buffer: b})
	return nil
}

func (r *ReadResult) add(c *chunk, from, to int) {
	c.buf.Retain()
	r.hold(Span{c.data[from:to:to], c.buf})
}

func (r *ReadResult) hold(s Span) {
	if r.n < len(r.spans) {
		r.spans[r.n] = s
	} else {
		r.more = append(r.more, s)
	}
	r.n++
}

// Read finds batches. If they are all in memory, or where they are on disk is remembered, the result is complete; otherwise a job is returned, to be run on a reader's
// lane and given to Finish. An offset outside the log is ErrOutOfRange; at the end, or at UpTo, the result is empty.
func (l *Log) Read(r ReadRequest) (ReadResult, *ReadJob, error) {
	if start := l.ReadableStart(); r.From < start || r.From > l.end {
		return ReadResult{}, nil, fmt.Errorf("%w: %d is not in [%d, %d]", ErrOutOfRange, r.From, start, l.end)
	}
	r.UpTo = min(r.UpTo, l.end)
	return l.read(r, r.From)
}

// read looks for the first batch that reaches r.From, in places from offset at on.
func (l *Log) read(r ReadRequest, at record.Offset) (ReadResult, *ReadJob, error) {
	if at >= r.UpTo || (r.MaxBytes <= 0 && !r.AtLeastOne) {
		return ReadResult{}, nil, nil
	}
	if i, ok := l.ring.find(at); ok {
		return l.readHot(r, i), nil, nil
	}
	s := l.floorSegment(at)
	if s == nil {
		return ReadResult{}, nil, nil
	}
	until := min(r.UpTo, s.next)
	if len(l.ring.chunks) > 0 {
		until = min(until, l.ring.chunks[0].lo)
	}
	if out, ok := l.follow(r, s, at, until); ok {
		return out, nil, nil
	}
	return ReadResult{}, &ReadJob{
		request: r, until: until, scratch: l.ring.mem.Get(searchBytes),
		exact: until == s.next && s.settled(), view: l.view(s), generation: l.generation,
	}, nil
}

// floorSegment is the segment that holds the offset, or the next one behind a gap.
func (l *Log) floorSegment(o record.Offset) *segment {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].next > o })
	if i == len(l.segments) {
		return nil
	}
	return l.segments[i]
}

func (l *Log) readHot(r ReadRequest, i int) ReadResult {
	var out ReadResult
	left := r.MaxBytes
	for ; i < len(l.ring.chunks) && (left > 0 || out.n == 0); i++ {
		c := l.ring.chunks[i]
		from, limit := c.locate(r.From), c.locate(r.UpTo)
		if from >= limit {
			break
		}
		to := limit
		if limit-from > left {
			to = c.cut(from, from+max(left, 0))
		}
		if to == from && out.n == 0 && r.AtLeastOne {
			to = from + header(c.data[from:]).size()
		}
		if out.More = to < limit || c.next < r.UpTo; to == from {
			break
		}
		out.add(c, from, to)
		left -= to - from
		if to < limit || c.next >= r.UpTo {
			break
		}
	}
	return out
}

// view is a segment as a job sees it: sizes of what is on disk, and handles with references of its own, if there are any open.
type view struct {
	disk               env.Disk
	dir                string
	base, next         record.Offset
	size, index, times int64
	files              fileSet
	opened             coldFiles  // those of files that the job has opened, for the log to keep
	closing            []env.File // the job closes them
	loose              bool       // the file is being cut: only the file itself knows its size, and its index counts for nothing
}

func (l *Log) view(s *segment) view {
	v := view{
		disk: l.lane.disk, dir: l.lane.dir, base: s.base, next: s.next,
		size: s.written, index: s.index.written, times: s.times.written,
	}
	if !s.settled() {
		v.index, v.times, v.loose = 0, 0, true
	}
	open := l.filesOf(s)
	v.files.log, v.files.index = open.data, open.index
	for _, f := range [...]env.File{open.data, open.index} {
		if f != nil {
			f.Retain()
		}
	}
	v.closing = l.cold.take()
	return v
}

// filesOf are the segment's files as far as they are open.
func (l *Log) filesOf(s *segment) coldFiles {
	open := l.cold.get(l, s.base)
	if s.file != nil {
		open.data = s.file
	}
	return open
}

// open makes sure that the .log file is open.
func (v *view) open() (err error) {
	if v.files.log == nil {
		if v.files.log, err = v.table(logSuffix); err != nil {
			return err
		}
		v.opened.data = v.files.log
	}
	if !v.loose {
		return nil
	}
	size, err := v.files.log.Size()
	v.size = min(v.size, size)
	return err
}

// table opens one of the segment's files.
func (v *view) table(suffix string) (env.File, error) {
	return v.disk.Open(join(v.dir, fileName(v.base, suffix)), env.ReadOnly)
}

// done closes what the log does not keep.
func (v *view) done() {
	if v.opened.data != nil {
		v.files.log = nil
	}
	if v.opened.index != nil {
		v.files.index = nil
	}
	v.files.close() //nolint:errcheck // read-only here
	for _, f := range v.closing {
		f.Close() //nolint:errcheck // it was only read
	}
	v.closing = nil
}
