package partition

import (
	"lignum/core/record"
	"lignum/core/wire"
)

// deletion is a DeleteRecords that waits for the low watermark: the least log start of all replicas whose brokers are up.
type deletion struct {
	to    record.Offset
	waits func() bool // reports whether anybody still waits for the answer; nil if somebody always does
	done  func(record.Offset, wire.ErrorCode)
}

// startMoves is what becomes of the log start that requests want. One move is under way at a time, so that those who ask again and again, while the
// disk is stuck, add nothing to what waits for it.
type startMoves struct {
	wanted, moved record.Offset // moved: the log start is durably there, or beyond
	underway      bool
}

// DeleteRecords moves the log start to an offset, -1 meaning the high watermark. done is called with the low watermark once it is there, durably on
// every replica whose broker is up. Going back is not an error: the start stays. Connections' requests in flight bound those that wait; waits says
// whether anybody does, and may be nil. The start moves all the same.
func (p *Partition) DeleteRecords(to record.Offset, waits func() bool, done func(record.Offset, wire.ErrorCode)) {
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
	p.deletes.add(deletion{to, waits, done}, func(d deletion) bool { return d.waits != nil && !d.waits() })
	p.lead.moves.wanted = max(p.lead.moves.wanted, to)
	p.moveStart()
	p.settleDeletes()
}

// moveStart moves the log start to where it is wanted.
func (p *Partition) moveStart() {
	to := p.lead.moves.wanted
	if p.lead.moves.underway || to <= p.lead.moves.moved {
		return
	}
	p.lead.moves.underway = true
	log, epoch := p.log, p.state.LeaderEpoch
	log.AdvanceStart(to, func(err error) {
		if p.log != log || !p.leads() || p.state.LeaderEpoch != epoch {
			return // who waited was told when that changed
		}
		p.lead.moves.underway = false
		if err != nil {
			p.failDeletes(wire.KafkaStorageError)
			return
		}
		p.lead.moves.moved = to
		p.wake()
		p.settleDeletes()
		p.moveStart()
	})
}

// lowWatermark is the least log start of the replicas whose brokers are up, and of those that may lead next: what was deleted must not come back
// with one of them (R3).
func (p *Partition) lowWatermark() record.Offset {
	low := p.log.ReadableStart()
	for i := range p.lead.followers {
		if f := &p.lead.followers[i]; p.cluster.Active(f.id) || p.maximal(f.id) {
			low = min(low, f.start)
		}
	}
	return low
}

// settleDeletes answers those that the low watermark has reached.
func (p *Partition) settleDeletes() {
	if len(p.deletes.list) == 0 {
		return
	}
	low := p.lowWatermark()
	var done []deletion
	kept := p.deletes.list[:0]
	for _, d := range p.deletes.list {
		if d.to <= min(low, p.lead.moves.moved) {
			done = append(done, d)
		} else {
			kept = append(kept, d)
		}
	}
	clear(p.deletes.list[len(kept):])
	p.deletes.list = kept
	if len(done) > 0 {
		p.lead.promised = max(p.lead.promised, low)
	}
	for _, d := range done {
		d.done(low, wire.None)
	}
}

func (p *Partition) failDeletes(code wire.ErrorCode) {
	failed := p.deletes.list
	p.deletes.list = nil
	for _, d := range failed {
		d.done(-1, code)
	}
}
