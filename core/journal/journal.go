package journal

import (
	"fmt"
	"slices"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Options are the journal's sizes. Zero means the default.
type Options struct {
	// FileBytes is the nominal size of a file. Larger files mean fewer background syncs of the logs, each of which is due
	// once for every file that it appears in, and a longer replay.
	FileBytes int64
	// Files is how many files the ring holds at rest.
	Files int
	// MaxFiles is how far the ring grows while the logs' own syncs cannot keep up. Then commits wait.
	MaxFiles int
	// GroupBytes ends a group; a single larger entry makes a group of its own.
	GroupBytes int64
	// QueueBytes is how much may wait for its commit before Full says so.
	QueueBytes int64
	// StepBytes is what one background job writes or reads at most.
	StepBytes int64
}

// withDefaults fills in the zeroes and rounds to blocks.
func (o Options) withDefaults() Options {
	set := func(v *int64, fallback int64) {
		if *v <= 0 {
			*v = fallback
		}
		*v = (*v + block - 1) / block * block
	}
	set(&o.FileBytes, 32<<20)
	o.FileBytes = max(o.FileBytes, 2*block)
	set(&o.GroupBytes, min(8<<20, o.FileBytes/2))
	set(&o.QueueBytes, 16<<20)
	set(&o.StepBytes, 1<<20)
	if o.Files <= 0 {
		o.Files = 4
	}
	o.Files = max(o.Files, 2)
	if o.MaxFiles <= 0 {
		o.MaxFiles = 4 * o.Files
	}
	o.MaxFiles = max(o.MaxFiles, o.Files)
	return o
}

// file is one file of the ring.
type file struct {
	identity
	handle env.File
	end    int64 // where the next group goes
	size   int64 // physical length as far as it was written
	cover  map[record.Partition]mark
	unsafe int // entries of cover that are not safe
}

// mark says how far a file holds entries of a log.
type mark struct {
	seq  uint64 // of the last one
	safe bool   // the log's own files have it durably
}

// covers notes an entry of a log.
func (f *file) covers(p record.Partition, seq uint64) {
	if m, ok := f.cover[p]; !ok || m.safe {
		f.unsafe++
	}
	f.cover[p] = mark{seq: seq}
}

// queued is an entry that waits for its commit.
type queued struct {
	Entry
	bytes int64 // in the group, header included
}

// Journal is the loop's side of the journal. None of its methods blocks; Commit, Prepare and the jobs of Recovery do.
type Journal struct {
	disk env.Disk
	dir  string
	o    Options
	rand env.Rand

	ring  []*file // in order of generation; the last is current, the others are sealed
	ready []*file // the generations behind it
	idle  []*file // no log needs them any more; to be made ready again, in order of generation
	spare []*file // files without a generation
	next  uint64  // generation of the next file that gets one

	number  uint64 // of the next group
	seq     uint64 // given to the last entry
	durable uint64 // every entry up to it is durable
	queue   []queued
	bytes   int64 // of all entries that are not durable

	commit  Commit // the one that may be in flight
	prepare Prepare
	stalled bool
	extra   int // files beyond MaxFiles that are allowed
	failed  error
}

// New makes the journal from a recovery that has read everything.
func New(r *Recovery, rand env.Rand) *Journal {
	if !r.done {
		invariant.Violated("journal: made from an unfinished recovery")
	}
	j := &Journal{disk: r.disk, dir: r.dir, o: r.o, rand: rand}
	j.next, j.number, j.seq, j.durable = r.next, r.number, r.seq, r.seq
	j.ring = append(r.sealed, r.ready[0])
	j.ready = append(j.ready, r.ready[1:]...)
	j.idle, j.spare = r.stale, r.spare
	j.retire()
	return j
}

// Add queues an entry and returns its sequence; sequences rise by one.
func (j *Journal) Add(e Entry) uint64 {
	if !e.Kind.valid() {
		invariant.Violated("journal: entry of %v", e.Kind)
	}
	q := queued{Entry: e, bytes: entryHeaderBytes + e.dataBytes()}
	j.queue = append(j.queue, q)
	j.bytes += q.bytes
	j.seq++
	return j.seq
}

// LastSeq is the sequence of the last entry added.
func (j *Journal) LastSeq() uint64 { return j.seq }

// DurableSeq is the sequence up to which all entries are durable.
func (j *Journal) DurableSeq() uint64 { return j.durable }

// QueuedBytes is the size of the entries that are not durable yet.
func (j *Journal) QueuedBytes() int64 { return j.bytes }

// Full says that enough is waiting: no more should be taken from clients for now.
func (j *Journal) Full() bool { return j.bytes >= j.o.QueueBytes }

// Failed is the error that ended the journal, nil while it works.
func (j *Journal) Failed() error { return j.failed }

// Stalled says that commits wait for a file: the logs of the oldest one must be synced.
func (j *Journal) Stalled() bool { return j.stalled }

// Extend allows one more file to a journal that is stalled, for an owner who cannot free the oldest before what is queued is durable.
func (j *Journal) Extend() {
	if j.stalled {
		j.extra = max(0, j.files()+1-j.o.MaxFiles)
	}
}

// TakeCommit makes a group of what is queued. It is nil if one is in flight, nothing is queued, no file is free, or the journal has failed.
func (j *Journal) TakeCommit() *Commit {
	if j.failed != nil || j.commit.busy || len(j.queue) == 0 {
		return nil
	}
	c := &j.commit
	c.header.bytes = groupHeaderBytes
	c.entries = c.entries[:0]
	for _, q := range j.queue {
		if len(c.entries) > 0 && c.header.bytes+q.bytes > j.o.GroupBytes {
			break
		}
		c.header.bytes += q.bytes
		c.entries = append(c.entries, q.Entry)
	}
	if !j.room(c.header.padded()) {
		j.stalled = true
		return nil
	}
	j.stalled = false
	n := len(c.entries)
	j.queue = slices.Delete(j.queue, 0, n)
	c.First, c.Last = j.durable+1, j.durable+uint64(n)
	f := j.current()
	for i := range c.entries {
		f.covers(c.entries[i].Log, c.First+uint64(i))
	}
	c.header.identity, c.header.number, c.header.first = f.identity, j.number, j.ring[0].generation
	c.header.entries = uint32(n)
	c.disk, c.dir, c.handle, c.at = j.disk, j.dir, f.handle, f.end
	c.creates = f.handle == nil
	c.busy = true
	return c
}

// Committed takes back a commit that has run. The error is final: after it the journal takes no more commits.
func (j *Journal) Committed(c *Commit) error {
	if c != &j.commit || !c.busy {
		invariant.Violated("journal: commit given back that is not in flight")
	}
	c.busy = false
	if c.err != nil {
		j.failed = fmt.Errorf("journal: %w", c.err)
		return j.failed
	}
	if c.First != j.durable+1 {
		invariant.Violated("journal: commit of %d..%d behind %d", c.First, c.Last, j.durable)
	}
	f := j.current()
	f.handle = c.handle
	f.end += c.header.padded()
	f.size = max(f.size, f.end)
	j.number++
	j.durable = c.Last
	j.bytes -= c.header.bytes - groupHeaderBytes
	clear(c.entries)
	return nil
}

func (j *Journal) current() *file { return j.ring[len(j.ring)-1] }

// room makes sure that the current file takes a group of n bytes, with the next file if need be.
func (j *Journal) room(n int64) bool {
	f := j.current()
	if f.end == block || f.end+n <= j.o.FileBytes {
		return true
	}
	switch {
	case len(j.ready) > 0:
		j.ring = append(j.ring, j.ready[0])
		j.ready = slices.Delete(j.ready, 0, 1)
	case j.prepare.busy && j.prepare.stage == naming:
		return false // the next generation is being named at this moment
	case j.files() < j.o.MaxFiles+j.extra:
		j.ring = append(j.ring, j.named(&file{end: block}))
	default:
		return false
	}
	j.retire()
	return true
}

// named gives a file the next generation, and a new salt.
func (j *Journal) named(f *file) *file {
	f.identity = identity{generation: j.next, salt: j.rand.Uint64()}
	f.end = block
	f.cover, f.unsafe = map[record.Partition]mark{}, 0
	j.next++
	return f
}

// files is how many there are.
func (j *Journal) files() int {
	n := len(j.ring) + len(j.ready) + len(j.idle) + len(j.spare)
	if j.prepare.file != nil {
		n++
	}
	return n
}

// Close is a job that closes the files. The journal must not be used any more.
func (j *Journal) Close() func() error {
	var handles []env.File
	for _, list := range [][]*file{j.ring, j.ready, j.idle, j.spare, {j.prepare.file}} {
		for _, f := range list {
			if f != nil && f.handle != nil {
				handles = append(handles, f.handle)
			}
		}
	}
	return func() error {
		var first error
		for _, h := range handles {
			if err := h.Close(); err != nil && first == nil {
				first = fmt.Errorf("journal: close: %w", err)
			}
		}
		return first
	}
}
