package quorum

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/record"
)

// readBytes is how much of the log is read at a time.
const readBytes = 1 << 20

// loader reads what is on the disk at a start: the state file, the newest checkpoint, and the log behind it.
type loader struct {
	state    savedState
	found    bool // there is a state file
	snapshot *checkpoint
	next     record.Offset
	term     uint64 // of the last entry
	read     []*raftpb.Entry
}

// Start reads what is on the disk and takes part in the quorum from then on. The log has been recovered. A node without Address may
// have none.
func (q *Quorum) Start(log Log) {
	q.log = log
	if log == nil {
		q.observe()
		return
	}
	q.loading = &loader{}
	disk, dir, load := q.Disk, q.Dir, q.loading
	q.Jobs.Start(q.Lane, func() func() {
		err := load.readFiles(disk, dir)
		return func() {
			if q.failure != nil {
				return
			}
			if err == nil {
				err = q.beginLog()
			}
			if err != nil {
				q.fail(err)
			}
		}
	})
}

// readFiles is the part that needs no log. Jobs only.
func (l *loader) readFiles(d env.Disk, dir string) error {
	p, err := readFile(d, dir+"/"+stateName)
	switch {
	case errors.Is(err, env.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read %s: %w", stateName, err)
	default:
		if l.state, err = decodeState(p); err != nil {
			return err
		}
		l.found = true
	}
	l.snapshot, err = readCheckpoint(d, dir)
	return err
}

// beginLog checks that log and files fit, and reads the log from the end of the checkpoint on.
func (q *Quorum) beginLog() error {
	l := q.loading
	start, end := q.log.StartOffset(), q.log.EndOffset()
	if !l.found {
		if end > 0 || l.snapshot != nil {
			return fmt.Errorf("%w: there is a metadata log, but no %s that says how this node has voted", ErrCorrupt, stateName)
		}
		l.state = q.firstState()
	}
	q.saved, q.wanted = l.state, l.state
	q.roster = firstMembers(l.state.voters, q.Options.Voters)
	if s := l.snapshot; s != nil {
		q.entries.index, q.entries.term, q.roster = s.index, s.term, s.members
		q.applied = s.index
		q.shown, q.shownTerm = s.index, s.term
		if end < record.Offset(s.index) {
			// The checkpoint came from the leader, and the stop came before the log began anew behind it.
			q.log.TruncateFullyAndStartAt(record.Offset(s.index))
			start = q.log.StartOffset()
		}
	}
	l.next = record.Offset(q.entries.index)
	if start > l.next {
		return fmt.Errorf("%w: the log starts at %d, but the last checkpoint ends at %d", ErrCorrupt, start, l.next)
	}
	if start < l.next {
		l.next-- // the entry that the checkpoint ends with says whether the log is the one that goes on behind it
	}
	return q.readLog()
}

// readLog reads on until the end of the log, then starts raft.
func (q *Quorum) readLog() error {
	if q.loading.next == q.log.EndOffset() {
		return q.loaded()
	}
	return q.landed(q.log.Read(commitlog.ReadRequest{
		From: q.loading.next, UpTo: q.log.EndOffset(), MaxBytes: readBytes, AtLeastOne: true,
	}))
}

// landed goes on with what a read has found.
func (q *Quorum) landed(found commitlog.ReadResult, job *commitlog.ReadJob, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("read the metadata log at %d: %w", q.loading.next, err)
	case job != nil:
		q.continueAfter(func() error { job.Run(); return nil }, func() error { return q.landed(q.log.Finish(job)) })
		return nil
	case found.File != nil:
		p := make([]byte, found.Length)
		read := func() error {
			return errors.Join(readFull(found.File, p, found.Position), found.File.Close())
		}
		q.continueAfter(read, func() error { return q.took(p) })
		return nil
	}
	var all []byte
	for i := range found.Spans() {
		all = append(all, found.Span(i).Bytes...)
	}
	found.Release()
	return q.took(all)
}

// continueAfter runs a job, then the rest on the loop.
func (q *Quorum) continueAfter(job func() error, then func() error) {
	q.Jobs.Start(q.Lane, func() func() {
		err := job()
		return func() {
			if q.failure != nil {
				return
			}
			if err == nil {
				err = then()
			}
			if err != nil {
				q.fail(err)
			}
		}
	})
}

// took parses a piece of the log. It may end in mid-batch.
func (q *Quorum) took(p []byte) error {
	l := q.loading
	before := l.next
	for len(p) > 0 {
		b, rest, err := record.Next(p)
		if errors.Is(err, record.ErrShort) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: metadata log at %d: %w", ErrCorrupt, l.next, err)
		}
		p = rest
		e, err := entryOf(b)
		if err != nil {
			return fmt.Errorf("%w: metadata log at %d: %w", ErrCorrupt, b.BaseOffset(), err)
		}
		if b.BaseOffset() != l.next {
			return fmt.Errorf("%w: metadata log goes on with %d behind %d", ErrCorrupt, b.BaseOffset(), l.next)
		}
		if e.GetTerm() < l.term || e.GetTerm() > l.state.term { // no checksum covers it
			return fmt.Errorf("%w: metadata log has an entry of term %d at %d, behind one of term %d; this node knows of term %d", ErrCorrupt,
				e.GetTerm(), l.next, l.term, l.state.term)
		}
		l.next, l.term = b.NextOffset(), e.GetTerm()
		switch {
		case e.GetIndex() > q.entries.index:
			l.read = append(l.read, e)
		case e.GetTerm() != q.entries.term && l.state.commit > q.entries.index:
			return fmt.Errorf("%w: metadata log has an entry of term %d at %d, the checkpoint says %d, and the log behind was committed", ErrCorrupt,
				e.GetTerm(), e.GetIndex(), q.entries.term)
		case e.GetTerm() != q.entries.term: // a checkpoint from the leader, and the stop came before the log began anew
			q.log.TruncateFullyAndStartAt(l.next)
			return q.readLog()
		}
	}
	if l.next == before {
		return fmt.Errorf("%w: metadata log has nothing at %d, but ends at %d", ErrCorrupt, l.next, q.log.EndOffset())
	}
	return q.readLog()
}

// loaded starts raft on what was read.
func (q *Quorum) loaded() error {
	l := q.loading
	q.members = q.roster.clone()
	q.entries.conf = q.roster.conf()
	q.entries.append(l.read)
	q.entries.snapshot = q.snapshotNow
	commit := max(l.state.commit, q.entries.index, impliedCommit(l.read))
	last, _ := q.entries.Term(q.entries.last())
	switch {
	case commit > q.entries.last():
		return fmt.Errorf("%w: the metadata log ends at %d, but %d entries were committed", ErrCorrupt, q.entries.last(), commit)
	case last > l.state.term:
		return fmt.Errorf("%w: the metadata log has an entry of term %d, but %s says %d", ErrCorrupt, last, stateName, l.state.term)
	}
	q.loading = nil // all of it is as it was written
	if s := l.snapshot; s != nil {
		if err := q.events.Restore(positionOf(s.index, s.term), s.image); err != nil {
			return fmt.Errorf("restore %s: %w", s.name(), err)
		}
	}
	q.entries.hard = &raftpb.HardState{Term: new(l.state.term), Vote: new(l.state.vote), Commit: new(commit)}
	q.term, q.known = l.state.term, l.state.term
	if q.saved.self == 0 || generationOf(q.saved.self) > 0 && q.entries.index == 0 {
		q.observe() // or it was stopped while it became a member, and has nothing yet to begin behind
		return nil
	}
	q.boot()
	return nil
}

// impliedCommit is what the entries tell by themselves to be committed: a leader changes the members only once the last change has
// been committed, so the last but one was. Who did not know it after a restart would count with members of two changes ago, and two
// leaders could be elected in one term by majorities that do not meet (M1).
func impliedCommit(all []*raftpb.Entry) (index uint64) {
	last := uint64(0)
	for _, e := range all {
		if e.GetType() != raftpb.EntryNormal {
			index, last = last, e.GetIndex()
		}
	}
	return index
}
