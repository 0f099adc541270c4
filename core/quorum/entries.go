package quorum

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/invariant"
)

// entries is raft's view of what is on stable storage: the entries behind the last checkpoint, in memory. Options.SnapshotBytes
// bounds it.
type entries struct {
	hard *raftpb.HardState
	conf *raftpb.ConfState // members as of the last checkpoint
	// The last checkpoint holds everything up to this index and term.
	index, term uint64
	all         []*raftpb.Entry // all[i] has the index index+1+i
	bytes       int64           // of all
	snapshot    func() (*raftpb.Snapshot, error)
}

var _ raft.Storage = (*entries)(nil)

// InitialState is what raft starts from.
func (s *entries) InitialState() (*raftpb.HardState, *raftpb.ConfState, error) {
	return s.hard, s.conf, nil
}

// FirstIndex is that of the first entry there is, or would be.
func (s *entries) FirstIndex() (uint64, error) { return s.index + 1, nil }

// LastIndex is that of the last entry.
func (s *entries) LastIndex() (uint64, error) { return s.last(), nil }

func (s *entries) last() uint64 { return s.index + uint64(len(s.all)) }

// Term is an entry's, from the last one in the checkpoint on.
func (s *entries) Term(i uint64) (uint64, error) {
	switch {
	case i < s.index:
		return 0, raft.ErrCompacted
	case i == s.index:
		return s.term, nil
	case i > s.last():
		return 0, raft.ErrUnavailable
	}
	return s.all[i-s.index-1].GetTerm(), nil
}

// Entries returns [lo, hi), cut where it gets larger than max bytes, but at least one.
func (s *entries) Entries(lo, hi, maxBytes uint64) ([]*raftpb.Entry, error) {
	if lo <= s.index {
		return nil, raft.ErrCompacted
	}
	if hi > s.last()+1 {
		return nil, raft.ErrUnavailable
	}
	part := s.all[lo-s.index-1 : hi-s.index-1]
	size := uint64(0)
	for i, e := range part {
		if size += uint64(entryBytes(e)); size > maxBytes && i > 0 {
			part = part[:i]
			break
		}
	}
	return part[:len(part):len(part)], nil
}

// Snapshot is one of now: for a voter that needs what only a checkpoint holds.
func (s *entries) Snapshot() (*raftpb.Snapshot, error) { return s.snapshot() }

// entryBytes is about what an entry takes.
func entryBytes(e *raftpb.Entry) int64 { return int64(len(e.GetData())) + 64 }

// append takes entries that are on stable storage; they replace those from the first one's index on (M2).
func (s *entries) append(more []*raftpb.Entry) {
	if len(more) == 0 {
		return
	}
	first := more[0].GetIndex()
	if first <= s.index || first > s.last()+1 {
		invariant.Violated("metadata entry %d stored behind %d, checkpoint at %d (M2)", first, s.last(), s.index)
	}
	if keep := first - s.index - 1; keep < uint64(len(s.all)) {
		for _, e := range s.all[keep:] {
			s.bytes -= entryBytes(e)
		}
		s.all = s.all[:keep:keep] // so that it is copied, for raft may still hold what is cut
	}
	s.all = append(s.all, more...)
	for _, e := range more {
		s.bytes += entryBytes(e)
	}
}

// compact forgets the entries that a checkpoint holds.
func (s *entries) compact(index, term uint64) {
	for _, e := range s.all[:index-s.index] {
		s.bytes -= entryBytes(e)
	}
	s.all = append([]*raftpb.Entry(nil), s.all[index-s.index:]...)
	s.index, s.term = index, term
}

// restart forgets all entries: a checkpoint from the leader takes their place.
func (s *entries) restart(index, term uint64, conf *raftpb.ConfState) {
	s.all, s.bytes = nil, 0
	s.index, s.term, s.conf = index, term, conf
}
