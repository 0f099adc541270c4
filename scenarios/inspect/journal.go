package inspect

import (
	"errors"
	"io"
	"slices"
	"strings"

	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
	"lignum/sim"
)

// Promised holds what the journal is said to keep of a log against the journal itself, as a power cut would leave it now: everything up to an offset. What
// follows a Join counts only behind its Anchor (D3).
func (x *Inspector) Promised(dir string, id record.Partition, upTo record.Offset) {
	isRest := func(name string) bool { return strings.HasSuffix(name, restEnd) }
	copied := x.emptied()
	if copied == nil || slices.ContainsFunc(x.list(sim.Durable, "."), isRest) {
		return // what the journal had of it may lie elsewhere
	}
	for _, name := range x.list(sim.Durable, journalDir) {
		content, _ := x.peek(sim.Durable, journalDir+"/"+name)
		if f, err := copied.Open(journalDir+"/"+name, env.Create); err != nil || f.WriteAt(0, content) != nil || f.Close() != nil {
			return
		}
	}
	r, err := journal.Open(copied, journalDir, journal.Options{}, journal.Opening{})
	if err != nil {
		return // whoever starts says so himself
	}
	var kept, pending record.Offset
	anchored := true
	for {
		entries, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		for i := range entries {
			e := &entries[i]
			switch {
			case e.Log != id:
			case e.Kind == journal.Join:
				anchored = false
			case e.Kind == journal.Anchor:
				kept, anchored = max(kept, pending, e.Offset), true
			case e.Kind == journal.Append:
				if pending = max(pending, entryEnd(e)); anchored {
					kept = max(kept, pending)
				}
			default:
				return // it was cut: not judged
			}
		}
	}
	x.check("D3", kept >= upTo, "%s: everything below %d counts as durable, a power cut now would leave what lies below %d in the journal", dir, upTo, kept)
}

// entryEnd is the offset behind the last batch of an entry.
func entryEnd(e *journal.Entry) (end record.Offset) {
	for _, p := range e.Data {
		for len(p) > 0 {
			b, rest, err := record.Next(p)
			if err != nil {
				return end
			}
			end, p = b.NextOffset(), rest
		}
	}
	return end
}

// emptied is a disk with an empty directory for a journal; nil if there is none to be had. It is the same each time, with the memory that it has.
func (x *Inspector) emptied() *sim.Disk {
	if x.copied == nil {
		x.copied = sim.NewDisk(sim.DiskOptions{})
		if x.copied.Mkdir(journalDir) != nil {
			return nil
		}
	}
	x.copied.Kill()
	for _, name := range x.copied.Names(sim.Cached, journalDir, nil) {
		if x.copied.Remove(journalDir+"/"+name) != nil {
			return nil
		}
	}
	if x.copied.SyncDir(journalDir) != nil {
		return nil
	}
	return x.copied
}
