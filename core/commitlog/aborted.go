package commitlog

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/record"
)

// AbortedJob lists the aborted transactions that readers of a range must know of (F3).
type AbortedJob struct {
	from, upTo record.Offset
	places     []abortedPlace
	found      []producers.Aborted
	err        error
}

// abortedPlace is one segment's transaction index: its file, and what may not be in the file yet.
type abortedPlace struct {
	view   view
	size   int64 // bytes of the file that count; -1: all
	next   record.Offset
	recent []byte
}

// Aborted returns the job that lists the aborted transactions with records in [from, upTo), to be run on a reader's lane and given to
// FinishAborted; nil if there are none in the log from there on, as in most logs.
func (l *Log) Aborted(from, upTo record.Offset) *AbortedJob {
	var j *AbortedJob
	for i := len(l.segments) - 1; i >= 0 && l.segments[i].next > from; i-- {
		s := l.segments[i]
		if s.txns.size == 0 && s.settled() {
			continue
		}
		if j == nil {
			j = &AbortedJob{from: from, upTo: upTo}
		}
		p := abortedPlace{view: l.view(s), size: s.txns.written, next: s.next, recent: slices.Clone(s.aborted)}
		if !s.settled() {
			p.size = -1
		}
		j.places = append(j.places, p)
	}
	if j != nil {
		slices.Reverse(j.places)
	}
	return j
}

// Run does the work. Jobs only.
func (j *AbortedJob) Run() {
	more := true
	for i := range j.places {
		p := &j.places[i]
		if more && j.err == nil {
			more, j.err = j.read(p)
		}
		p.view.done()
	}
}

// read takes what it needs of one place; no more is needed once no transaction that was open below upTo is still open.
func (j *AbortedJob) read(p *abortedPlace) (more bool, err error) {
	path := join(p.view.dir, fileName(p.view.base, txnsSuffix))
	entries := p.recent
	if p.size != 0 {
		file, err := readEntries(p.view.disk, path)
		if err != nil && !(errors.Is(err, env.ErrNotExist) && p.size < 0) {
			return false, err
		}
		if p.size >= 0 {
			file = file[:min(p.size, int64(len(file)))]
		}
		entries = append(file, entries...)
	}
	for ; len(entries) >= txnsEntry; entries = entries[txnsEntry:] {
		a, err := abortedAt(entries)
		if err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
		known := len(j.found) > 0 && j.found[len(j.found)-1].Last >= a.Last
		if a.Last >= j.from && a.First < j.upTo && a.Last < p.next && !known {
			j.found = append(j.found, a)
		}
		if a.LastStable >= j.upTo {
			return false, nil
		}
	}
	return true, nil
}

func readEntries(d env.Disk, path string) ([]byte, error) {
	f, err := d.Open(path, env.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only
	p, err := readTable(f, txnsEntry)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// FinishAborted takes back a job that has run: the transactions in the order of their ends.
func (l *Log) FinishAborted(j *AbortedJob) ([]producers.Aborted, error) { return j.found, j.err }
