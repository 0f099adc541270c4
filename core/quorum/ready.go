package quorum

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/commitlog"
	"lignum/core/invariant"
	"lignum/core/record"
)

// pump handles what raft has ready, as far as it goes without waiting for the disk.
func (q *Quorum) pump() {
	if q.node == nil || q.pumping {
		return
	}
	q.pumping = true
	for q.failure == nil && q.advance() {
	}
	q.pumping = false
}

// advance takes one step; false if there is none to take now.
func (q *Quorum) advance() bool {
	if err := q.log.Failure(); err != nil {
		q.fail(err)
		return false
	}
	switch q.phase {
	case idle:
		if !q.node.HasReady() {
			return false
		}
		q.ready = q.node.Ready()
		return q.save()
	case syncing:
		if q.log.DurableEnd() < q.wantedEnd() {
			return false
		}
		return q.remember()
	default:
		return false
	}
}

// save writes the files that have to be there first, if any, then appends. It reports whether there is more to do at once.
func (q *Quorum) save() bool {
	term, vote := q.saved.term, q.saved.vote
	if hs := q.ready.HardState; !raft.IsEmptyHardState(hs) {
		if !fits(hs.GetTerm()) {
			q.fail(fmt.Errorf("term %d is no leader epoch", hs.GetTerm()))
			return false
		}
		term, vote = hs.GetTerm(), hs.GetVote()
		q.term = term
	}
	var received *checkpoint
	if s := q.ready.Snapshot; !raft.IsEmptySnap(s) {
		received = q.puller.offered
		if received == nil || received.index != s.GetMetadata().GetIndex() {
			invariant.Violated("raft restores a snapshot at %d, which it was not given (M5)", s.GetMetadata().GetIndex())
		}
	}
	if term == q.saved.term && vote == q.saved.vote && received == nil {
		return q.append()
	}
	q.phase = saving
	disk, dir := q.Disk, q.Dir
	q.writeState(func(s *savedState) {
		s.term, s.vote = term, vote
		s.commit = q.applied // what is applied is durable here, what is only known to be committed need not be
	}, func() error {
		if received == nil {
			return nil
		}
		return writeCheckpoint(disk, dir, received)
	}, func() error {
		if received != nil {
			q.install(received)
		}
		if q.append() {
			q.pump()
		}
		return nil
	})
	return false
}

// writeState changes the state file. Writes happen one behind the other, each on top of those before; before is done first.
func (q *Quorum) writeState(change func(*savedState), before func() error, then func() error) {
	change(&q.wanted)
	next := q.wanted
	content := next.encode()
	disk, dir := q.Disk, q.Dir
	q.continueAfter(func() error {
		if err := before(); err != nil {
			return err
		}
		return replaceFile(disk, dir, stateName, content)
	}, func() error {
		q.saved = next
		return then()
	})
}

// append puts the entries into the log and waits until they are durable. It reports whether there is more to do at once.
func (q *Quorum) append() bool {
	q.phase = syncing
	more := q.ready.Entries
	if len(more) == 0 {
		return true
	}
	wall := q.Clock.Wall()
	first := record.Offset(more[0].GetIndex()) - 1
	if first < q.log.EndOffset() {
		q.log.TruncateTo(first) // M2: what another leader left goes, with everything behind it
	}
	for _, e := range more {
		if at := record.Offset(e.GetIndex()) - 1; at != q.log.EndOffset() {
			invariant.Violated("metadata entry at %d does not continue the log, which ends at %d (M2)", at, q.log.EndOffset())
		}
		if !fits(e.GetTerm()) || e.GetTerm() > q.saved.term {
			invariant.Violated("metadata entry of term %d appended before that term is durable (M1)", e.GetTerm())
		}
		if err := q.log.AppendAt(q.batchOf(e, wall), commitlog.AppendInfo{}); err != nil {
			q.fail(fmt.Errorf("append entry %d: %w", e.GetIndex(), err))
			return false
		}
	}
	return true
}

// wantedEnd is how far the log must be durable before the Ready may be finished.
func (q *Quorum) wantedEnd() record.Offset {
	if n := len(q.ready.Entries); n > 0 {
		return record.Offset(q.ready.Entries[n-1].GetIndex())
	}
	return 0
}

// remember has the state file say that a change of the members was committed, before this node counts with it. After a restart it would else count with
// the members of before, and wait for one that is gone for good: who went when it was not needed any more. It reports whether there is more to do at once.
func (q *Quorum) remember() bool {
	commit := uint64(0)
	for _, e := range q.ready.CommittedEntries {
		if e.GetType() != raftpb.EntryNormal {
			commit = e.GetIndex()
		}
	}
	if commit <= q.saved.commit {
		q.finish()
		return true
	}
	q.phase = noting
	q.writeState(func(s *savedState) { s.commit = commit }, func() error { return nil }, func() error {
		q.finish()
		q.pump()
		return nil
	})
	return false
}

// finish does what had to wait until everything was durable: messages leave, committed entries are applied.
func (q *Quorum) finish() {
	q.phase = finishing
	q.entries.append(q.ready.Entries)
	if hs := q.ready.HardState; !raft.IsEmptyHardState(hs) {
		q.entries.hard = hs
	}
	q.follow(q.ready.SoftState)
	q.number(q.ready.Entries)
	for _, m := range q.ready.Messages {
		q.post(m)
		if m.GetType() == raftpb.MsgSnap {
			q.node.ReportSnapshot(m.GetTo(), raft.SnapshotFinish) // if it is lost the follower will be found wanting again
		}
	}
	for _, e := range q.ready.CommittedEntries {
		if q.apply(e); q.failure != nil {
			return
		}
	}
	q.confirmed(q.ready.ReadStates)
	q.node.Advance(q.ready)
	q.ready = raft.Ready{}
	q.phase = idle
	q.considerSnapshot()
}

// apply takes one committed entry from raft.
func (q *Quorum) apply(e *raftpb.Entry) {
	if e.GetIndex() != q.applied+1 {
		invariant.Violated("metadata entry %d applied after %d (M4)", e.GetIndex(), q.applied)
	}
	change, ok, err := changeIn(e)
	if err != nil {
		q.fail(fmt.Errorf("entry %d: %w", e.GetIndex(), err))
		return
	}
	q.applied = e.GetIndex()
	q.snap.bytes += entryBytes(e)
	if ok && q.roster.apply(change) {
		q.node.ApplyConfChange(change.raft())
		q.timers.role(q)
	}
	q.show(e)
	q.committed(e)
	q.changed(e, change, ok)
	if q.leads && e.GetTerm() == q.ledTerm {
		q.lead(true)
	}
}

// show gives the owner a committed entry, unless it has been pulled already (M6).
func (q *Quorum) show(e *raftpb.Entry) {
	if e.GetIndex() <= q.shown {
		return
	}
	if e.GetIndex() != q.shown+1 || e.GetTerm() < q.shownTerm {
		invariant.Violated("metadata entry %d of term %d shown behind %d of term %d (M6)", e.GetIndex(), e.GetTerm(), q.shown, q.shownTerm)
	}
	data := e.GetData()
	if change, ok, err := changeIn(e); ok && err == nil {
		q.members.apply(change)
		data = nil
	}
	q.shown, q.shownTerm = e.GetIndex(), e.GetTerm()
	q.events.Apply(positionOf(q.shown, q.shownTerm), data)
}

// follow takes note of who leads.
func (q *Quorum) follow(soft *raft.SoftState) {
	if soft != nil {
		q.leader = soft.Lead
	}
	q.known = q.term
	status := q.node.BasicStatus()
	leads := status.RaftState == raft.StateLeader
	term := status.HardState.GetTerm()
	if q.leads && (!leads || term != q.ledTerm) {
		q.lead(false)
		q.abandon(ErrLost)
		q.handed()
	}
	if leads != q.leads || term != q.ledTerm {
		q.leads, q.ledTerm = leads, term
		q.timers.role(q)
	}
}

// lead tells the owner, once for each change.
func (q *Quorum) lead(leading bool) {
	if q.leading != leading {
		q.leading = leading
		if leading {
			q.changes = changes{due: true, since: q.Clock.Now()}
		}
		q.events.Leading(leading)
	}
}
