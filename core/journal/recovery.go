package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

const (
	liveSuffix  = ".journal"
	spareSuffix = ".spare"
	newSuffix   = ".new"
	nameDigits  = 20
)

// Opening says how to open the journal in this life of the broker.
type Opening struct {
	// Discard drops all entries: after a clean stop every log is durable by itself, and its own files are the truth.
	Discard bool
	// Salt is a fresh random number, for the file that may have to be made at once.
	Salt uint64
}

// Recovery reads the journal of an earlier life. Its methods are for jobs.
type Recovery struct {
	disk env.Disk
	dir  string
	o    Options
	salt uint64

	files  []*file // in order of generation; those before at have been read
	at     int
	pos    int64   // of the next group in files[at]
	last   int64   // of the last group that was good, in the last of sealed
	second bool    // this is the second pass
	sealed []*file // held groups
	ready  []*file // held none
	stale  []*file // still have a name in the ring, but nothing needs them
	spare  []*file
	next   uint64 // generation of the next new file

	number uint64 // of the next group; noGroup until the first was seen
	first  uint64 // the oldest generation that anything in the journal calls needed
	seq    uint64
	reader reader
	done   bool
	skip   map[record.Partition]uint64 // generation up to which the entries of a log lie elsewhere
}

// Open lists the files, removes what was left half made, and reads the headers. A job.
func Open(d env.Disk, dir string, o Options, s Opening) (*Recovery, error) {
	r := &Recovery{disk: d, dir: dir, o: o.withDefaults(), salt: s.Salt, next: 1, pos: block}
	if err := r.makeDir(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := r.list(s.Discard); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	for _, f := range r.files {
		if err := r.openFile(f); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	r.files = slices.DeleteFunc(r.files, func(f *file) bool {
		if f.generation < max(r.first, r.spent()) {
			r.stale = append(r.stale, f)
			return true
		}
		return false
	})
	if err := r.dropSpares(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if len(r.files) > 0 && r.files[0].generation > r.first {
		return nil, fmt.Errorf("journal: %w: %s is missing", ErrCorrupt, name(dir, r.first))
	}
	return r, nil
}

// dropSpares removes spare files beyond the ring's size at rest. One whose generation no header has declared unneeded yet
// stays: its name is the only proof that it is not missing.
func (r *Recovery) dropSpares() error {
	declared := r.first
	for _, f := range r.spare {
		r.first = max(r.first, f.generation+1)
	}
	var kept []*file
	for _, f := range r.spare {
		if len(kept) < r.o.Files-1 || f.generation >= declared {
			kept = append(kept, f)
			continue
		}
		path := spareName(r.dir, f.generation)
		if err := r.disk.Remove(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	r.spare = kept
	return nil
}

func (r *Recovery) makeDir() error {
	err := r.disk.Mkdir(r.dir)
	if err != nil && !errors.Is(err, env.ErrExist) {
		return fmt.Errorf("make directory %s: %w", r.dir, err)
	}
	parent := "."
	if i := strings.LastIndexByte(r.dir, '/'); i > 0 {
		parent = r.dir[:i]
	}
	if err := r.disk.SyncDir(parent); err != nil {
		return fmt.Errorf("sync directory %s: %w", parent, err)
	}
	return nil
}

// list finds the files of the ring and the spare ones.
func (r *Recovery) list(discard bool) error {
	entries, err := r.disk.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("read directory %s: %w", r.dir, err)
	}
	for _, e := range entries {
		generation, suffix := parseName(e.Name)
		f := &file{identity: identity{generation: generation}, size: e.Size, cover: map[record.Partition]mark{}}
		switch {
		case strings.HasSuffix(e.Name, newSuffix):
			if err := r.disk.Remove(r.dir + "/" + e.Name); err != nil {
				return fmt.Errorf("remove %s/%s: %w", r.dir, e.Name, err)
			}
			continue
		case suffix == spareSuffix:
			r.spare = append(r.spare, f)
		case suffix == liveSuffix && discard:
			from, to := r.dir+"/"+e.Name, spareName(r.dir, generation)
			if err := r.disk.Rename(from, to); err != nil {
				return fmt.Errorf("rename %s to %s: %w", from, to, err)
			}
			r.spare = append(r.spare, f)
		case suffix == liveSuffix:
			r.files = append(r.files, f)
		default:
			continue
		}
		r.next = max(r.next, generation+1)
	}
	// Names that an earlier life left in the cache must be durable, too, before a group in such a file counts.
	if err := r.disk.SyncDir(r.dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", r.dir, err)
	}
	return nil
}

// parseName takes a generation and a suffix from a file name; no suffix if it is of another form.
func parseName(s string) (generation uint64, suffix string) {
	if len(s) <= nameDigits {
		return 0, ""
	}
	generation, err := strconv.ParseUint(s[:nameDigits], 10, 63)
	if err != nil {
		return 0, ""
	}
	return generation, s[nameDigits:]
}

// spent is the generation below which nothing is needed, as far as the names of spare files tell it. A loss of power may have undone some of
// the renames that a Discard, or a recycling, made in the order of the generations.
func (r *Recovery) spent() uint64 {
	n := uint64(0)
	for _, f := range r.spare {
		n = max(n, f.generation+1)
	}
	return n
}

// openFile reads the header of a file of the ring. It was durable before the file had its name, so there is no excuse for a bad one.
func (r *Recovery) openFile(f *file) error {
	path := name(r.dir, f.generation)
	if i := slices.Index(r.files, f); i > 0 && r.files[i-1].generation+1 != f.generation && f.generation > max(r.first, r.spent()) {
		return fmt.Errorf("%w: %s is missing", ErrCorrupt, name(r.dir, r.files[i-1].generation+1))
	}
	var err error
	if f.handle, err = r.disk.Open(path, env.ReadWrite); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	if f.size, err = f.handle.Size(); err != nil {
		return fmt.Errorf("size of %s: %w", path, err)
	}
	p := make([]byte, fileHeaderBytes)
	if _, err := f.handle.ReadAt(p, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read header of %s: %w", path, err)
	}
	h, err := decodeFileHeader(p)
	if err != nil {
		return fmt.Errorf("%s position 0: %w", path, err)
	}
	if h.generation != f.generation {
		return fmt.Errorf("%s position 0: %w: header of generation %d", path, ErrCorrupt, h.generation)
	}
	f.identity, f.end = h.identity, block
	r.first = max(r.first, h.first)
	return nil
}

// Read returns the next entries in order, a bounded amount of whole groups, and io.EOF behind the last. The entries and their data
// are valid until the next call. They have the sequences that follow those of the entries before, from 1 on.
func (r *Recovery) Read() ([]Entry, error) {
	if r.done {
		return nil, io.EOF
	}
	r.reader.reset()
	var entries []Entry
	for r.at < len(r.files) && (len(entries) == 0 || r.reader.kept < r.o.StepBytes) {
		f := r.files[r.at]
		var err error
		if entries, err = r.readGroup(f, entries); err != nil {
			return nil, fmt.Errorf("journal: %s position %d: %w", name(r.dir, f.generation), r.pos, err)
		}
	}
	if len(entries) > 0 {
		return entries, nil
	}
	if r.second {
		r.done = true
		return nil, io.EOF
	}
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return nil, io.EOF
}

// Rewind makes Read start again at the first entry, once it has come to the end.
func (r *Recovery) Rewind() {
	if !r.done {
		invariant.Violated("journal: rewound before the end")
	}
	r.files, r.at, r.pos, r.seq = r.sealed, 0, block, 0
	r.done, r.second = false, true
}

// readGroup reads one group, or finds the end of the file.
func (r *Recovery) readGroup(f *file, entries []Entry) ([]Entry, error) {
	if r.second && r.pos == f.end {
		r.at, r.pos = r.at+1, block
		return entries, nil
	}
	h, body, err := r.group(f)
	if err != nil {
		return entries, err
	}
	if body == nil {
		r.endFile(f)
		return entries, nil
	}
	if len(r.ready) > 0 && !r.second {
		last := r.ready[len(r.ready)-1]
		return entries, fmt.Errorf("%w: a group, but %s before it has none", ErrCorrupt, name(r.dir, last.generation))
	}
	before := len(entries)
	if entries, err = decodeEntries(body, h.entries, entries); err != nil {
		return entries, err
	}
	for i := range entries[before:] {
		e := &entries[before+i]
		r.seq++
		if !r.second {
			f.covers(e.Log, r.seq)
		}
		if f.generation <= r.skip[e.Log] {
			e.Kind, e.Data = None, nil
		}
	}
	r.last = r.pos
	r.pos += h.padded()
	if !r.second {
		r.number = h.number + 1
		r.first = max(r.first, h.first)
	}
	return entries, nil
}

// Seq is the sequence of the last entry that Read has returned.
func (r *Recovery) Seq() uint64 { return r.seq }

// group reads the group at pos. There is none if body is nil: what is there is stale or torn.
func (r *Recovery) group(f *file) (h groupHeader, body []byte, err error) {
	p, err := r.reader.peek(f, r.pos, groupHeaderBytes)
	if err != nil {
		return h, nil, err
	}
	h, ok := decodeGroupHeader(p, f.identity)
	switch {
	case !ok || h.bytes > f.size-r.pos:
		return h, nil, r.checkTail(f)
	case !r.second && r.number != noGroup && h.number != r.number:
		return h, nil, fmt.Errorf("%w: group %d follows %d", ErrCorrupt, h.number, r.number-1)
	}
	if p, err = r.reader.keep(f, r.pos, h.bytes); err != nil {
		return h, nil, err
	}
	body = p[groupHeaderBytes:]
	if checksum(body) != h.crc {
		return h, nil, r.checkTail(f)
	}
	return h, body, nil
}

// checkTail makes sure that no group of this life of the file stands behind the bad one: that is only written when
// the one before is durable (J1, J3). Files behind it are watched over by the group numbers.
func (r *Recovery) checkTail(f *file) error {
	if r.second {
		return fmt.Errorf("%w: a group that was good a moment ago", ErrCorrupt)
	}
	for at := r.pos + block; at+groupHeaderBytes <= f.size; at += block {
		p, err := r.reader.peek(f, at, groupHeaderBytes)
		if err != nil {
			return err
		}
		if h, ok := decodeGroupHeader(p, f.identity); ok && (r.number == noGroup || h.number > r.number) {
			return fmt.Errorf("%w: bad group, but group %d follows at %d", ErrCorrupt, h.number, at)
		}
	}
	return nil
}

// endFile files a file that has been read to its end.
func (r *Recovery) endFile(f *file) {
	f.end = r.pos
	r.at, r.pos = r.at+1, block
	if f.end > block {
		r.sealed = append(r.sealed, f)
	} else {
		r.ready = append(r.ready, f)
	}
}

// writeLastAgain makes the last group durable. It was read from the page cache, which may hold what the disk does not: after a failed sync
// the pages count as clean, and another sync would do nothing for them. So they are written again. All groups before it are durable, for
// a group is only written behind those (J1).
func (r *Recovery) writeLastAgain(f *file) error {
	end := min(f.end, f.size) // the padding of the last group may be missing
	p := make([]byte, min(end-r.last, stepAgain))
	for at := r.last; at < end; at += int64(len(p)) {
		p = p[:min(end-at, int64(len(p)))]
		if _, err := f.handle.ReadAt(p, at); err != nil {
			return err
		}
		if err := f.handle.WriteAt(at, p); err != nil {
			return err
		}
	}
	return f.handle.Sync()
}

// stepAgain is how much of the last group is written again at a time.
const stepAgain = 1 << 20

// finish makes what was read durable, for it may still be in the page cache only, and provides for a current file.
func (r *Recovery) finish() error {
	if len(r.files) > 0 && r.files[0].generation > r.first {
		return fmt.Errorf("%w: %s is missing", ErrCorrupt, name(r.dir, r.first))
	}
	if n := len(r.sealed); n > 0 {
		if err := r.writeLastAgain(r.sealed[n-1]); err != nil {
			return fmt.Errorf("write the last group of %s again: %w", name(r.dir, r.sealed[n-1].generation), err)
		}
	}
	if len(r.ready) == 0 {
		f := &file{identity: identity{r.next, r.salt}, end: block, size: block, cover: map[record.Partition]mark{}}
		needed := r.next
		if len(r.sealed) > 0 {
			needed = r.sealed[0].generation
		}
		var err error
		if f.handle, err = create(r.disk, r.dir, fileHeader{f.identity, needed}); err != nil {
			return err
		}
		r.next++
		r.ready = append(r.ready, f)
	}
	r.number = max(r.number, 1)
	r.done = true
	return nil
}
