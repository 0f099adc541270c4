package inspect

import (
	"bytes"
	"strconv"
	"strings"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/record"
	"lignum/sim"
)

// crcAt is where the part of a batch begins that a broker does not change: the checksum, and what it covers.
const crcAt = 17

// Holds says whether the medium has the batch, in a segment of the directory or in a file of the journal or beside it: whether it would survive a power cut now
// that keeps nothing else.
func (x *Inspector) Holds(dir string, at record.Offset, b record.Batch) bool {
	want := []byte(b)[crcAt:]
	if x.finds(x.found.path, x.found.at, want) {
		return true // what is acknowledged mostly lies behind what was acknowledged before
	}
	from := record.NoOffset
	for _, name := range x.list(sim.Durable, dir) {
		if base, ok := offsetOf(name, logEnd); ok && base <= at {
			from = base
		}
	}
	if from >= 0 {
		at, looked := x.disk.Find(sim.Durable, dir+"/"+segmentName(from, logEnd), 0, want)
		if x.spent += looked; at >= 0 {
			return true
		}
	}
	for _, name := range x.list(sim.Durable, ".") {
		if strings.HasSuffix(name, restEnd) && x.finds(name, 0, want) {
			return true // of a log that could not be read once
		}
	}
	names := x.list(sim.Durable, journalDir)
	for i := len(names) - 1; i >= 0; i-- {
		if strings.HasSuffix(names[i], journalEnd) && x.finds(journalDir+"/"+names[i], 0, want) {
			return true
		}
	}
	return false
}

// found is where in the journal something was found.
type found struct {
	path string
	at   int64
}

// finds looks for some bytes in a file of the journal.
func (x *Inspector) finds(path string, from int64, want []byte) bool {
	at, looked := x.disk.Find(sim.Durable, path, from, want)
	if x.spent += looked; at < 0 {
		return false
	}
	x.found = found{path, at}
	return true
}

// dirOf is the directory of a partition that a checkpoint speaks of.
func dirOf(l checkpoint.PartitionOffset) string {
	return l.Topic + "-" + strconv.Itoa(int(l.Partition))
}

// Flushed looks for what a log counts as flushed, everything below an offset, on the medium (D4). Up to own it was found in the log's own files
// before, where it stays; the result is how far that goes now. Of what is not there the first and the last batch have to be in the journal.
func (x *Inspector) Flushed(dir string, upTo, own record.Offset) record.Offset {
	bases := x.bases[:0]
	for _, name := range x.list(sim.Cached, dir) {
		if base, ok := offsetOf(name, logEnd); ok && base < upTo {
			bases = append(bases, base)
		}
	}
	x.bases = bases
	for i, base := range bases {
		if i+1 < len(bases) && bases[i+1] <= own {
			continue
		}
		path := dir + "/" + segmentName(base, logEnd)
		content, _ := x.peek(sim.Cached, path)
		x.medium, _ = x.disk.Peek(sim.Durable, path, x.medium[:0])
		x.spent += int64(len(x.medium))
		if !x.disk.Has(sim.Durable, path) {
			x.medium = x.medium[:0]
		}
		for at, rest := 0, content; len(rest) > 0; {
			b, after, err := record.Next(rest)
			if err != nil || b.BaseOffset() >= upTo {
				return own
			}
			end := len(content) - len(after)
			if there := end <= len(x.medium) && bytes.Equal(content[at:end], x.medium[at:end]); !there {
				x.journaled(dir, upTo, b, after)
				return own
			}
			at, rest, own = end, after, max(own, b.NextOffset())
		}
	}
	return own
}

// journaled looks for a batch in the journal, and for the last one below an offset in what follows it.
func (x *Inspector) journaled(dir string, upTo record.Offset, b record.Batch, rest []byte) {
	batches := []record.Batch{bytes.Clone(b)}
	for len(rest) > 0 {
		b, after, err := record.Next(rest)
		if err != nil || b.BaseOffset() >= upTo {
			break
		}
		batches = append(batches[:1], b)
		rest = after
	}
	if len(batches) > 1 {
		batches[1] = bytes.Clone(batches[1])
	}
	for _, b := range batches {
		x.check("D4", x.Holds(dir, b.BaseOffset(), b), "%s: everything below %d counts as flushed, but the batch at offset %d is not on the medium", dir, upTo,
			b.BaseOffset())
	}
}
