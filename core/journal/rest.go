package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"lignum/core/env"
	"lignum/core/record"
)

// Place is a point in the journal: the end of a file that takes no groups any more. The zero Place is before everything.
type Place identity

// Place is the end of what was read, once Read has come to it.
func (r *Recovery) Place() Place {
	if len(r.sealed) == 0 {
		return Place{}
	}
	return Place(r.sealed[len(r.sealed)-1].identity)
}

// Disk is where the journal lies.
func (r *Recovery) Disk() env.Disk { return r.disk }

// Skip says that what the journal has of a log up to a place lies elsewhere as well: Read makes those entries None. It is for the time before
// the first Read. A place that the ring has left means nothing: whatever is there is behind it.
func (r *Recovery) Skip(p record.Partition, to Place) {
	if r.skip == nil {
		r.skip = map[record.Partition]uint64{}
	}
	if slices.ContainsFunc(r.files, func(f *file) bool { return f.identity == identity(to) }) {
		r.skip[p] = max(r.skip[p], to.generation)
	}
}

// RestWriter writes entries of one log into a file of their own, so that the ring need not keep them: a file header whose last number is that
// of the groups, and the groups, laid out as in the ring. Its methods are for jobs.
type RestWriter struct {
	disk   env.Disk
	path   string
	file   env.File
	at     int64
	place  Place
	groups uint64
	commit Commit // for its memory
}

// NewRest begins such a file in the root directory, of what the journal has up to a place. It has its name once it is finished.
func NewRest(d env.Disk, name string, to Place) (*RestWriter, error) {
	w := &RestWriter{disk: d, path: name, at: block, place: to}
	f, err := d.Open(w.path+newSuffix, env.Create)
	if err == nil {
		w.file = f
		err = f.Truncate(0)
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("write %s: %w", w.path, err)
	}
	return w, nil
}

// Add writes entries; they are not needed any more when it returns.
func (w *RestWriter) Add(entries []Entry) error {
	w.groups++
	c := &w.commit
	c.entries = entries
	c.header = groupHeader{identity: identity(w.place), number: w.groups, bytes: groupHeaderBytes, entries: uint32(len(entries))}
	for i := range entries {
		c.header.bytes += entryHeaderBytes + entries[i].dataBytes()
	}
	c.encode()
	if err := w.file.WriteAt(w.at, c.pieces...); err != nil {
		return fmt.Errorf("write %s at %d: %w", w.path, w.at, err)
	}
	w.at += c.header.padded()
	clear(c.pieces)
	return nil
}

// Finish makes the file and its name durable.
func (w *RestWriter) Finish() error {
	err := w.file.WriteAt(0, fileHeader{identity(w.place), w.groups}.encode())
	if err == nil {
		err = w.file.Sync()
	}
	if err == nil {
		err = w.disk.Rename(w.path+newSuffix, w.path)
	}
	if err == nil {
		err = w.disk.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	return nil
}

// Close gives up the handle.
func (w *RestWriter) Close() {
	if w.file != nil {
		w.file.Close() //nolint:errcheck // what counts was synced
		w.file = nil
	}
}

// RestReader reads what a RestWriter wrote. Its methods are for jobs.
type RestReader struct {
	path   string
	file   *file
	reader reader
	pos    int64
	groups uint64
	next   uint64
}

// OpenRest reads the header.
func OpenRest(d env.Disk, path string) (*RestReader, error) {
	r := &RestReader{path: path, pos: block, next: 1}
	handle, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	r.file = &file{handle: handle}
	if err = r.header(); err != nil {
		r.Close()
		return nil, fmt.Errorf("%s position 0: %w", path, err)
	}
	return r, nil
}

func (r *RestReader) header() (err error) {
	if r.file.size, err = r.file.handle.Size(); err != nil {
		return err
	}
	p := make([]byte, fileHeaderBytes)
	if _, err := r.file.handle.ReadAt(p, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h, err := decodeFileHeader(p)
	r.file.identity, r.groups = h.identity, h.first
	return err
}

// Place is what the file was written for.
func (r *RestReader) Place() Place { return Place(r.file.identity) }

// Read returns the next entries, and io.EOF behind the last. They are valid until the next call.
func (r *RestReader) Read() ([]Entry, error) {
	if r.next > r.groups {
		return nil, io.EOF
	}
	r.reader.reset()
	entries, err := r.group()
	if err != nil {
		return nil, fmt.Errorf("%s position %d: %w", r.path, r.pos, err)
	}
	return entries, nil
}

func (r *RestReader) group() ([]Entry, error) {
	p, err := r.reader.peek(r.file, r.pos, groupHeaderBytes)
	if err != nil {
		return nil, err
	}
	h, ok := decodeGroupHeader(p, r.file.identity)
	if !ok || h.number != r.next || h.bytes > r.file.size-r.pos {
		return nil, fmt.Errorf("%w: no group %d", ErrCorrupt, r.next)
	}
	if p, err = r.reader.keep(r.file, r.pos, h.bytes); err != nil {
		return nil, err
	}
	if checksum(p[groupHeaderBytes:]) != h.crc {
		return nil, fmt.Errorf("%w: checksum of group %d", ErrCorrupt, r.next)
	}
	entries, err := decodeEntries(p[groupHeaderBytes:], h.entries, nil)
	if err == nil {
		r.next, r.pos = r.next+1, r.pos+h.padded()
	}
	return entries, err
}

// Close gives up the handle.
func (r *RestReader) Close() {
	r.file.handle.Close() //nolint:errcheck // read-only
}
