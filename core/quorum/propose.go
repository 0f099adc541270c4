package quorum

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
)

// proposal is an entry that this node has proposed as the leader, and that is not yet known to be committed.
type proposal struct {
	index uint64 // 0 until raft has given it one
	done  func(error)
}

// Propose asks for an entry. done is called once it is committed and has been applied here, or with the reason why that is
// not so; with ErrLost and ErrStopped it may still be committed later. Entries proposed in one leadership keep their order.
func (q *Quorum) Propose(data []byte, done func(error)) {
	switch {
	case q.failure != nil:
		done(q.failure)
		return
	case !q.leading:
		done(ErrNotLeader)
		return
	case len(data) == 0 || len(data) > maxEntryBytes:
		done(fmt.Errorf("%w: %d bytes, want 1 to %d", ErrTooLarge, len(data), maxEntryBytes))
		return
	}
	if err := q.node.Propose(data); err != nil {
		done(fmt.Errorf("%w: %w", ErrNotLeader, err))
		return
	}
	q.pending = append(q.pending, proposal{done: done})
}

// number tells the proposals which entries they have become. As a leader this node alone appends, in the order of Propose; an entry
// without data is raft's own.
func (q *Quorum) number(more []*raftpb.Entry) {
	next := 0
	for next < len(q.pending) && q.pending[next].index != 0 {
		next++
	}
	for _, e := range more {
		if q.leads && e.GetTerm() == q.ledTerm && e.GetType() == raftpb.EntryNormal && len(e.GetData()) > 0 && next < len(q.pending) {
			q.pending[next].index = e.GetIndex()
			next++
		}
	}
}

// committed answers the proposal that has become the entry.
func (q *Quorum) committed(e *raftpb.Entry) {
	if len(q.pending) == 0 || q.pending[0].index != e.GetIndex() || e.GetTerm() != q.ledTerm {
		return
	}
	done := q.pending[0].done
	q.pending[0] = proposal{}
	if q.pending = q.pending[1:]; len(q.pending) == 0 {
		q.pending = nil
	}
	done(nil)
}

// abandon answers everything that was proposed with an error.
func (q *Quorum) abandon(err error) {
	pending := q.pending
	q.pending = nil
	for _, p := range pending {
		p.done(err)
	}
	q.changes.abandon(err)
	q.confirms.abandon(err)
}
