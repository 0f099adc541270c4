// Package epochs knows where each leader epoch of a partition began, which is how a follower finds the point up to which its
// log and the leader's are one (KIP-101, KIP-279).
//
// Invariant (L4): entries rise strictly, both in epoch and in start offset, and say the same as a scan of the log,
// except that the last may be an epoch whose leader has appended nothing yet.
package epochs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// File is the name of the checkpoint in a partition's directory: version (0), number of lines, and lines of epoch and
// start offset.
const File = "leader-epoch-checkpoint"

// Entry says that an epoch began at an offset.
type Entry struct {
	Epoch record.Epoch
	Start record.Offset
}

// Cache holds the entries. The zero value is empty and ready for use.
type Cache struct {
	entries []Entry
}

// New makes a Cache of entries that rise strictly, as Parse returns them.
func New(entries []Entry) *Cache {
	for i, e := range entries {
		if err := follows(entries[:i], e); err != nil {
			invariant.Violated("leader epochs: %v", err)
		}
	}
	return &Cache{entries: slices.Clone(entries)}
}

func follows(before []Entry, e Entry) error {
	if e.Epoch < 0 || e.Start < 0 {
		return fmt.Errorf("epoch %d at %d", e.Epoch, e.Start)
	}
	if n := len(before); n > 0 && (before[n-1].Epoch >= e.Epoch || before[n-1].Start >= e.Start) {
		return fmt.Errorf("epoch %d at %d after %d at %d", e.Epoch, e.Start, before[n-1].Epoch, before[n-1].Start)
	}
	return nil
}

// Assign notes that an epoch begins at an offset, unless it is the latest already, and reports whether anything
// changed. Entries that it contradicts go: they stand for batches that are not in this log.
func (c *Cache) Assign(e record.Epoch, start record.Offset) bool {
	if e < 0 || start < 0 {
		invariant.Violated("leader epoch %d at %d", e, start)
	}
	n := len(c.entries)
	if n > 0 && c.entries[n-1].Epoch == e && c.entries[n-1].Start <= start {
		return false
	}
	for n > 0 && (c.entries[n-1].Epoch >= e || c.entries[n-1].Start >= start) {
		n--
	}
	c.entries = append(c.entries[:n], Entry{e, start})
	return true
}

// Latest is the last epoch; NoEpoch if there is none.
func (c *Cache) Latest() record.Epoch {
	if len(c.entries) == 0 {
		return record.NoEpoch
	}
	return c.entries[len(c.entries)-1].Epoch
}

// above is the index of the first entry with a greater epoch.
func (c *Cache) above(e record.Epoch) int {
	return sort.Search(len(c.entries), func(i int) bool { return c.entries[i].Epoch > e })
}

// EndOffset answers a follower that knows epoch e as its last: the greatest epoch here that is not above e, and the offset
// behind its last record, given the end of the log. If e is below all that is known, it is e itself with the start of
// the first. If e is above all, it is NoEpoch and NoOffset: this log cannot tell.
func (c *Cache) EndOffset(e record.Epoch, logEnd record.Offset) (record.Epoch, record.Offset) {
	if e < 0 || len(c.entries) == 0 || e > c.Latest() {
		return record.NoEpoch, record.NoOffset
	}
	if e == c.Latest() {
		return e, logEnd
	}
	i := c.above(e)
	if i == 0 {
		return e, c.entries[0].Start
	}
	return c.entries[i-1].Epoch, c.entries[i].Start
}

// EpochAt is the epoch of the record at an offset; NoEpoch if that is below all that is known.
func (c *Cache) EpochAt(o record.Offset) record.Epoch {
	i := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].Start > o })
	if i == 0 {
		return record.NoEpoch
	}
	return c.entries[i-1].Epoch
}

// TruncateFromEnd forgets the epochs that begin at the offset or later, and reports whether there were any.
func (c *Cache) TruncateFromEnd(o record.Offset) bool {
	n := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].Start >= o })
	if o < 0 || n == len(c.entries) {
		return false
	}
	c.entries = c.entries[:n]
	return true
}

// TruncateFromStart forgets the epochs that ended at the offset or earlier and lets the one that goes on begin there. It
// reports whether anything changed.
func (c *Cache) TruncateFromStart(o record.Offset) bool {
	n := sort.Search(len(c.entries), func(i int) bool { return c.entries[i].Start > o })
	if n == 0 || (n == 1 && c.entries[0].Start == o) {
		return false
	}
	c.entries = slices.Delete(c.entries, 0, n-1)
	c.entries[0].Start = o
	return true
}

// Clear forgets everything.
func (c *Cache) Clear() { c.entries = c.entries[:0] }

// Entries returns a copy of what is known.
func (c *Cache) Entries() []Entry { return slices.Clone(c.entries) }

// Encode makes the content of the checkpoint.
func Encode(entries []Entry) []byte {
	lines := make([]string, 0, len(entries))
	for _, e := range entries {
		lines = append(lines, strconv.Itoa(int(e.Epoch))+" "+strconv.FormatInt(int64(e.Start), 10))
	}
	return checkpoint.EncodeLines(lines)
}

// Parse reads the content of the checkpoint. The error is checkpoint.ErrCorrupt.
func Parse(p []byte) ([]Entry, error) {
	var all []Entry
	err := checkpoint.ParseLines(p, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("%d fields, want 2", len(fields))
		}
		epoch, err := checkpoint.Number(fields[0], math.MaxInt32)
		if err != nil {
			return err
		}
		start, err := checkpoint.Number(fields[1], math.MaxInt64)
		if err != nil {
			return err
		}
		e := Entry{record.Epoch(epoch), record.Offset(start)}
		if err := follows(all, e); err != nil {
			return err
		}
		all = append(all, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Replace puts the checkpoint into a partition's directory, as a whole. A sync of the directory has to follow. Jobs only.
func Replace(d env.Disk, dir string, entries []Entry) error {
	return checkpoint.Replace(d, dir, File, Encode(entries))
}

// Read gets the entries from a partition's directory; none if there is no checkpoint. Jobs only.
func Read(d env.Disk, dir string) ([]Entry, error) {
	p, err := checkpoint.Read(d, dir, File)
	if errors.Is(err, env.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := Parse(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.Join(dir, File), err)
	}
	return all, nil
}
