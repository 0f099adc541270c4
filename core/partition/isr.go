package partition

import (
	"slices"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"
)

// pendingISR is a change that the controller was asked for. Until the metadata shows a later partition epoch nobody knows whether it has
// happened, so whoever it adds counts from the moment it is sent (RP18), and whoever it takes away counts on (DM06).
type pendingISR struct {
	change ISRChange
	sent   bool // an answer will come; else it is sent again by the next Tick
	told   bool // it was accepted, and the metadata will show it
}

func (c *pendingISR) adds(id record.NodeID) bool {
	return c != nil && slices.ContainsFunc(c.change.ISR, func(m ISRMember) bool { return m.ID == id })
}

// expand asks for an ISR with the follower if it belongs there: it has reached the high watermark and the start of this leader's epoch, for
// the mark of a new leader may lie below what is committed (RP06). What was deleted while its broker was down must not come back with it (R3).
func (p *Partition) expand(f *follower) {
	if p.lead.pending != nil || f.end < p.log.HighWatermark() || f.end < p.lead.start || f.start < p.lead.promised ||
		slices.Contains(p.state.ISR, f.id) || !slices.Contains(p.state.Replicas, f.id) || !p.eligible(f) {
		return
	}
	p.propose(append(slices.Clone(p.state.ISR), f.id))
}

// propose asks the controller for another ISR.
func (p *Partition) propose(isr []record.NodeID) {
	if p.cluster == nil {
		return
	}
	c := ISRChange{LeaderEpoch: p.state.LeaderEpoch, PartitionEpoch: p.state.PartitionEpoch, Synced: p.synced()}
	for _, id := range isr {
		m := ISRMember{ID: id, BrokerEpoch: -1}
		if id == p.self {
			m.BrokerEpoch = p.cluster.BrokerEpoch(id)
		} else if f := p.follower(id); f != nil && f.end >= 0 {
			m.BrokerEpoch = f.brokerEpoch
		}
		c.ISR = append(c.ISR, m)
	}
	p.lead.pending = &pendingISR{change: c, sent: true}
	p.cluster.AlterISR(p, c)
}

// confirm tells the controller that the policy sync holds for all of the log, and that an unclean election has been got over.
func (p *Partition) confirm() {
	if p.lead.begun && p.lead.pending == nil && (p.state.Recovering || p.synced()) {
		p.propose(p.state.ISR)
	}
}

// release asks for an ISR without the replicas that a reassignment takes away, once all others are in it: the reassignment ends with that. One of those
// that go may have led in the last epoch, so each must have fetched in this one, and know it, or be out of the ISR for another reason (F7).
func (p *Partition) release() {
	s := &p.state
	if len(s.Removing) == 0 || p.lead.pending != nil || slices.Contains(s.Removing, p.self) {
		return
	}
	for _, id := range s.Replicas {
		goes, member := slices.Contains(s.Removing, id), slices.Contains(s.ISR, id)
		if f := p.follower(id); !goes && !member || goes && member && (f == nil || f.end == record.NoOffset) {
			return
		}
	}
	keep := slices.DeleteFunc(slices.Clone(s.ISR), func(id record.NodeID) bool { return slices.Contains(s.Removing, id) })
	if len(keep) < len(s.ISR) {
		p.propose(keep)
	}
}

// synced reports whether FlushPending can end.
func (p *Partition) synced() bool {
	if !p.state.FlushPending || p.log.Policy() != config.Sync || p.log.SafeEnd() < p.lead.start {
		return false
	}
	for _, id := range p.state.ISR {
		if f := p.follower(id); f != nil && p.acked(f) < p.lead.start {
			return false
		}
	}
	return true
}

// again sends a change whose fate is not known once more.
func (p *Partition) again(c *pendingISR) {
	if !c.sent && !c.told {
		c.sent = true
		p.cluster.AlterISR(p, c.change)
	}
}

// ISRAltered brings the controller's answer to a change. What holds is what the metadata says; an answer only tells whether to wait for it.
func (p *Partition) ISRAltered(c ISRChange, a ISRAnswer) {
	waits := p.lead.pending
	if waits == nil || c.LeaderEpoch != p.state.LeaderEpoch || c.PartitionEpoch != waits.change.PartitionEpoch {
		return
	}
	waits.sent = false
	switch {
	case a.Code == wire.None && a.PartitionEpoch > c.PartitionEpoch:
		waits.told = true
	case a.Code == wire.None:
		p.lead.pending = nil // nothing was to be changed
	case a.Code == wire.IneligibleReplica:
		waits.told = true // the controller has raised the partition epoch, so that no late copy of the change is taken
	case a.Code == wire.InvalidRequest || a.Code == wire.OperationNotAttempted:
		p.lead.pending = nil // it never will be made
	}
	// All other errors say that the epochs here are out of date. The metadata will bring the present ones; until then the change may have
	// happened.
	p.advanceHighWatermark()
}

// altered takes over a change of the replicas within the leader epoch. A change that was asked for under an earlier partition epoch has
// happened by now, or never will.
func (p *Partition) altered(risen bool) {
	if risen {
		p.lead.pending = nil
	}
	p.muster()
	p.refuseIfFew()
	p.settleDeletes()
	p.advanced()
	p.confirm()
	p.release()
}

// refuseIfFew answers acks=all when the ISR has fallen below min.insync.replicas: the mark stands still until it has grown again.
func (p *Partition) refuseIfFew() {
	if p.log != nil && p.leads() && !p.enough() {
		p.produces.failCommits(wire.NotEnoughReplicasAfterAppend)
	}
}

// AwaitsISR reports whether the answer to a change is still of interest.
func (p *Partition) AwaitsISR(c ISRChange) bool {
	waits := p.lead.pending
	return waits != nil && c.LeaderEpoch == waits.change.LeaderEpoch && c.PartitionEpoch == waits.change.PartitionEpoch
}
