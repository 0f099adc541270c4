package quorum

import (
	"fmt"
	"math"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
	"lignum/core/record"
)

// An entry in the log is one record: its key is a version byte (0) and raft's type of the entry, its value the data,
// null if there is none.
const entryVersion = 0

// batchOf makes the batch of an entry. It is good until the next call.
func (q *Quorum) batchOf(e *raftpb.Entry, wall env.Millis) record.Batch {
	q.builder.Reset()
	q.builder.SetBaseOffset(record.Offset(e.GetIndex()) - 1)
	q.builder.SetLeaderEpoch(record.Epoch(e.GetTerm()))
	q.builder.Append(record.Record{Timestamp: int64(wall), Key: []byte{entryVersion, byte(e.GetType())}, Value: e.GetData()})
	return q.builder.Build()
}

// entryOf reads a batch back. The entry's data does not refer to the batch.
func entryOf(b record.Batch) (*raftpb.Entry, error) {
	if err := b.CheckCRC(); err != nil {
		return nil, err
	}
	if b.Count() != 1 || b.LeaderEpoch() < 0 {
		return nil, fmt.Errorf("%w: batch at %d has %d records, epoch %d", ErrCorrupt, b.BaseOffset(), b.Count(), b.LeaderEpoch())
	}
	e := &raftpb.Entry{Index: new(uint64(b.BaseOffset()) + 1), Term: new(uint64(b.LeaderEpoch()))}
	err := b.Each(record.Limits{}, func(r record.Record) error {
		if len(r.Key) != 2 || r.Key[0] != entryVersion {
			return fmt.Errorf("%w: entry at %d has the key %x", ErrCorrupt, b.BaseOffset(), r.Key)
		}
		e.Type = raftpb.EntryType(r.Key[1]).Enum()
		if r.Value != nil {
			e.Data = append([]byte{}, r.Value...)
		}
		return nil
	})
	return e, err
}

// fits reports whether a term can be a leader epoch.
func fits(term uint64) bool { return term <= math.MaxInt32 }
