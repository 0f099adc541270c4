package quorum

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"

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
	if s.writing || q.applied == q.entries.index || s.bytes == 0 || !s.due && s.bytes < q.SnapshotBytes {
		return
	}
	c, err := q.checkpointNow()
	if err != nil {
		q.fail(err)
		return
	}
	s.bytes, s.due, s.writing = 0, false, true
	disk, dir := q.Disk, q.Dir
	q.continueAfter(func() error { return writeCheckpoint(disk, dir, c) }, func() error {
		s.writing = false
		if c.index > q.entries.index { // none from the leader has overtaken it
			q.entries.compact(c.index, c.term)
			q.log.AdvanceStart(record.Offset(c.index)) // M5: the checkpoint is durable
		}
		return nil
	})
}

// checkpointNow is the image as of the last entry applied.
func (q *Quorum) checkpointNow() (*checkpoint, error) {
	term, err := q.entries.Term(q.applied)
	if err != nil {
		return nil, fmt.Errorf("term of entry %d: %w", q.applied, err)
	}
	return &checkpoint{index: q.applied, term: term, voters: q.entries.conf.GetVoters(), image: q.events.Snapshot()}, nil
}

// snapshotNow makes raft a snapshot for a voter that is far behind.
func (q *Quorum) snapshotNow() (*raftpb.Snapshot, error) {
	c, err := q.checkpointNow()
	if err != nil {
		return nil, err
	}
	return &raftpb.Snapshot{Data: c.image, Metadata: &raftpb.SnapshotMetadata{
		Index: new(c.index), Term: new(c.term), ConfState: confOf(c.voters),
	}}, nil
}

// install begins the log anew behind a checkpoint that came from the leader and is durable.
func (q *Quorum) install(c *checkpoint) error {
	if err := q.events.Restore(positionOf(c.index, c.term), c.image); err != nil {
		return fmt.Errorf("restore %s: %w", c.name(), err)
	}
	q.log.TruncateFullyAndStartAt(record.Offset(c.index))
	q.entries.restart(c.index, c.term, confOf(c.voters))
	q.applied = c.index
	q.snap.bytes = 0
	return nil
}
