package partition

import (
	"slices"

	"lignum/core/record"
	"lignum/core/wire"
)

// deletion is a DeleteRecords that waits for the low watermark: the least log start of all replicas whose brokers are up.
type deletion struct {
	to   record.Offset
	done func(record.Offset, wire.ErrorCode)
}

// DeleteRecords moves the log start to an offset, -1 meaning the high watermark. done is called with the low watermark once it is there, durably on
// every replica whose broker is up. Going back is not an error: the start stays. Connections' requests in flight bound those that wait.
func (p *Partition) DeleteRecords(to record.Offset, done func(record.Offset, wire.ErrorCode)) {
	switch {
	case !p.settings.CleanupDelete:
		done(-1, wire.PolicyViolation)
		return
	case to == -1:
		to = p.log.HighWatermark()
	case to < 0 || to > p.log.HighWatermark():
		done(-1, wire.OffsetOutOfRange)
		return
	}
	log, epoch := p.log, p.state.LeaderEpoch
	log.AdvanceStart(to, func(err error) {
		switch {
		case err != nil:
			done(-1, wire.KafkaStorageError)
		case p.log != log || !p.leads() || p.state.LeaderEpoch != epoch:
			done(-1, wire.NotLeaderOrFollower)
		default:
			p.wake()
			p.deletes = append(p.deletes, deletion{to, done})
			p.settleDeletes()
		}
	})
}

// lowWatermark is the least log start of the replicas whose brokers are up, and of those that may lead next: what was deleted must not come back
// with one of them (R3).
func (p *Partition) lowWatermark() record.Offset {
	low := p.log.ReadableStart()
	for i := range p.lead.followers {
		if f := &p.lead.followers[i]; p.cluster.Active(f.id) || p.electable(f.id) {
			low = min(low, f.start)
		}
	}
	return low
}

// electable reports whether a replica may be elected as the metadata stands.
func (p *Partition) electable(id record.NodeID) bool {
	return slices.Contains(p.state.ISR, id) || slices.Contains(p.state.ELR, id)
}

// settleDeletes answers those that the low watermark has reached.
func (p *Partition) settleDeletes() {
	if len(p.deletes) == 0 {
		return
	}
	low := p.lowWatermark()
	var done []deletion
	kept := p.deletes[:0]
	for _, d := range p.deletes {
		if d.to <= low {
			done = append(done, d)
		} else {
			kept = append(kept, d)
		}
	}
	clear(p.deletes[len(kept):])
	p.deletes = kept
	for _, d := range done {
		d.done(low, wire.None)
	}
}

func (p *Partition) failDeletes(code wire.ErrorCode) {
	failed := p.deletes
	p.deletes = nil
	for _, d := range failed {
		d.done(-1, code)
	}
}
