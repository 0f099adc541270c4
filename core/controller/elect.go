package controller

import (
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
)

// election is what happened to a broker that may change who leads.
type election struct {
	*Controller
	// lost is a broker that is no longer active, or whose life ended; NoNode if there is none.
	lost record.NodeID
	// returned is active from now on, whatever the image says, if back is set. It may be the one that was lost: in another life.
	returned record.NodeID
	back     bool
	// unclean: what was lost may have lost data, too.
	unclean bool
}

// active says who may lead once the decision is applied.
func (e *election) active(id record.NodeID) bool {
	if e.back && id == e.returned {
		return true
	}
	return id != e.lost && e.Image.Active(id)
}

// reelect goes through all partitions and yields records for those whose leader or sets change.
func (c *Controller) reelect(e election) []metadata.Record {
	var records []metadata.Record
	for _, t := range c.Image.Topics() {
		settings, known := electionSettings{}, false
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if !e.concerns(p) {
				continue
			}
			if !known {
				s := c.topicSettings(t)
				settings, known = electionSettings{minISR: int(s.MinInSyncReplicas), unclean: s.UncleanLeaderElection}, true
			}
			if next, changed := e.next(p, settings); changed {
				records = append(records, &metadata.PartitionChanged{Topic: t.ID, Index: int32(i), Partition: next})
			}
		}
	}
	return records
}

// electionSettings are a topic's settings that decide about leaders.
type electionSettings struct {
	minISR  int
	unclean bool
}

func (e *election) concerns(p *metadata.Partition) bool {
	if e.lost != metadata.NoNode && (p.Leader == e.lost || slices.Contains(p.ISR, e.lost) || e.unclean && slices.Contains(p.ELR, e.lost)) {
		return true
	}
	return e.back && p.Leader == metadata.NoNode && slices.Contains(p.Replicas, e.returned)
}

// next is a partition's state after the event.
//
// The lost broker leaves the ISR unless it is the last one there: somebody must remain who is known to have everything. With the ISR
// below its minimum, it stays eligible (ELR, KIP-966), unless it may have lost data.
func (e *election) next(old *metadata.Partition, settings electionSettings) (next metadata.Partition, changed bool) {
	next = *old
	if slices.Contains(old.ISR, e.lost) && len(old.ISR) > 1 {
		next.ISR = without(old.ISR, e.lost)
		changed = true
		if len(next.ISR) < settings.minISR && !e.unclean {
			next.ELR = append(slices.Clip(old.ELR), e.lost)
		}
	}
	if e.unclean && slices.Contains(next.ELR, e.lost) {
		next.ELR = without(next.ELR, e.lost)
		changed = true
	}
	if old.Leader == e.lost || !e.active(old.Leader) {
		changed = e.lead(old, &next, settings) || changed
	}
	if changed {
		next.Epoch++
	}
	return next, changed
}

// lead chooses who leads and begins a new leader epoch, unless nobody led and nobody can. It reports a change.
func (e *election) lead(old, next *metadata.Partition, settings electionSettings) bool {
	leader, clean := e.choose(next, settings.unclean)
	if leader == metadata.NoNode && old.Leader == metadata.NoNode {
		return false
	}
	next.Leader = leader
	next.LeaderEpoch++
	if leader == metadata.NoNode {
		return true
	}
	switch {
	case !clean:
		next.ISR, next.ELR, next.Recovering = []record.NodeID{leader}, nil, true
	case !slices.Contains(next.ISR, leader):
		e.leadFromELR(next)
	}
	return true
}

// leadFromELR makes a leader that was eligible a member of the ISR. Who is in the ISR and not active changes places with it.
func (e *election) leadFromELR(p *metadata.Partition) {
	isr, elr := []record.NodeID{p.Leader}, without(p.ELR, p.Leader)
	for _, id := range p.ISR {
		switch {
		case e.active(id):
			isr = append(isr, id)
		case id != e.lost || !e.unclean:
			elr = append(elr, id)
		}
	}
	p.ISR, p.ELR = isr, elr
}

// choose finds the first assigned replica that is active and in sync, else one that is eligible, else, if that is allowed, any.
func (e *election) choose(p *metadata.Partition, unclean bool) (leader record.NodeID, clean bool) {
	for _, among := range [...][]record.NodeID{p.ISR, p.ELR} {
		for _, id := range p.Replicas {
			if slices.Contains(among, id) && e.active(id) {
				return id, true
			}
		}
	}
	if unclean {
		for _, id := range p.Replicas {
			if e.active(id) {
				return id, false
			}
		}
	}
	return metadata.NoNode, true
}

// without returns list without id; nil if nothing is left.
func without(list []record.NodeID, id record.NodeID) []record.NodeID {
	var rest []record.NodeID
	for _, other := range list {
		if other != id {
			rest = append(rest, other)
		}
	}
	return rest
}

// RaiseLeaderEpoch decides about a partition whose log was written in later leader epochs than the image knows, because its directory
// came from another cluster: the leader goes on in an epoch above all of them, since epochs in a log never decrease (L3).
func (c *Controller) RaiseLeaderEpoch(id record.Partition, above record.Epoch) []metadata.Record {
	p := c.Image.Partition(id)
	if p == nil || p.LeaderEpoch > above {
		return nil
	}
	next := *p
	next.LeaderEpoch = above + 1
	next.Epoch++
	return []metadata.Record{&metadata.PartitionChanged{Topic: id.Topic, Index: id.Index, Partition: next}}
}
