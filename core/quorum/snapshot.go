package quorum

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/invariant"
	"lignum/core/record"
)

// snapshots is about the checkpoints that this node makes.
type snapshots struct {
	bytes   int64 // of entries applied since the last one was begun
	due     bool  // the interval is over
	writing bool
}

// considerSnapshot begins a checkpoint if it is time for one. The image is encoded at once, on the loop, between two entries (M4).
func (q *Quorum) considerSnapshot() {
	s := &q.snap
	if s.writing || q.applied != q.shown || q.applied == q.entries.index || s.bytes == 0 || !s.due && s.bytes < q.SnapshotBytes {
		return
	}
	c := q.checkpointNow()
	s.bytes, s.due, s.writing = 0, false, true
	disk, dir := q.Disk, q.Dir
	q.continueAfter(func() error { return writeCheckpoint(disk, dir, c) }, func() error {
		s.writing = false
		if c.index > q.entries.index { // none from the leader has overtaken it
			q.entries.compact(c.index, c.term)
			q.entries.conf = c.members.conf()
			q.log.AdvanceStart(record.Offset(c.index)) // M5: the checkpoint is durable
		}
		return nil
	})
}

// checkpointNow is the image as of the last entry that the owner was shown.
func (q *Quorum) checkpointNow() *checkpoint {
	return &checkpoint{index: q.shown, term: q.shownTerm, members: q.members.clone(), image: q.events.Snapshot()}
}

// snapshotNow tells raft what a voter that is far behind needs: what raft has applied. The voter pulls it. A leader may have pulled more, and need this very
// voter to commit that.
func (q *Quorum) snapshotNow() (*raftpb.Snapshot, error) {
	term, err := q.entries.Term(q.applied)
	if err != nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(q.applied), Term: new(term), ConfState: q.roster.conf()}}, nil
}

// install begins the log anew behind a checkpoint that is durable. What it holds was pulled, and shown to the owner.
func (q *Quorum) install(c *checkpoint) {
	if c.index > q.shown || c.index < q.applied {
		invariant.Violated("snapshot at %d installed between %d applied and %d shown (M5)", c.index, q.applied, q.shown)
	}
	q.log.TruncateFullyAndStartAt(record.Offset(c.index))
	q.entries.restart(c.index, c.term, c.members.conf())
	q.applied, q.roster = c.index, c.members.clone()
	q.snap.bytes = 0
	q.puller.offered = nil
}
