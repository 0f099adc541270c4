package scenarios

import (
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/scenarios/traffic"
)

// turn holds what has become of a partition against the state before, and the replicas against what was committed, at the moment when some node is
// the first to know (I1, I2, I4, I5).
func (x *clusterBox) turn(m *member, id record.Partition, now *metadata.Partition) {
	g := x.ghost(id)
	before, known := g.last, g.turned
	if known && now.Epoch < before.Epoch {
		return // another node was faster
	}
	same := known && sameTurn(&before, now)
	if known && now.Epoch == before.Epoch {
		x.check(m, "I5", same, "partition %v changes within partition epoch %d: %s, then %s", id, now.Epoch, words(&before), words(now))
	}
	g.last, g.turned = *now, true
	if known && now.Epoch == before.Epoch+1 {
		x.judgeTurn(m, id, &before, now)
	}
	if !same {
		x.completeAll(id)
		x.heeded(id, now)
	}
	if known && before.Flush != metadata.FlushSynced && now.Flush == metadata.FlushSynced {
		x.synced(id, now)
	}
}

// sameTurn says whether two states are the same in what counts here.
func sameTurn(a, b *metadata.Partition) bool {
	return a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch && slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.ISR, b.ISR) && slices.Equal(a.ELR, b.ELR)
}

func words(p *metadata.Partition) string {
	return fmt.Sprintf("leader %d in epoch %d, replicas %v, ISR %v, ELR %v", p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.ELR)
}

// judgeTurn holds a state against the one just before it.
func (x *clusterBox) judgeTurn(m *member, id record.Partition, before, now *metadata.Partition) {
	if now.Leader != before.Leader {
		x.check(m, "I5", now.LeaderEpoch > before.LeaderEpoch, "partition %v has another leader in the same epoch: %s, then %s", id, words(before), words(now))
	}
	x.waitedFor(m, id, before, now)
	x.remembered(m, id, before, now)
	ended := before.Reassigning() && !now.Reassigning()
	stays := slices.DeleteFunc(slices.Clone(before.Replicas), func(r record.NodeID) bool { return slices.Contains(before.Removing, r) })
	out := func(r record.NodeID) bool { return !slices.Contains(now.ISR, r) }
	joined := slices.Contains(before.Removing, before.Leader) && !slices.ContainsFunc(stays, out) // the last one may join and be elected at once
	if now.Leader >= 0 && now.Leader != before.Leader && !now.Recovering && !joined {
		fit := slices.Contains(before.ISR, now.Leader) || slices.Contains(before.ELR, now.Leader) || len(now.Replicas) == 1
		x.check(m, "I1", fit, "partition %v gets a leader that need not be complete: %s, then %s", id, words(before), words(now))
	}
	if now.Leader >= 0 && now.Recovering && !before.Recovering && !x.c.plan.wipes && !x.c.plan.rots {
		last := before.Leader
		if last < 0 && len(before.LastKnownELR) > 0 {
			last = before.LastKnownELR[0]
		}
		x.check(m, "I1", now.Leader == last, "partition %v gets a leader that is known to lack something, and it was not the last one: %s, then %s", id, words(before), words(now))
	}
	if !now.Reassigning() && !sameMembers(before.Replicas, now.Replicas) {
		for _, r := range now.Replicas {
			in := slices.Contains(before.Replicas, r) || slices.Contains(now.ISR, r)
			x.check(m, "I4", in, "partition %v gets replica %d for good before it is in sync: %s, then %s", id, r, words(before), words(now))
		}
	}
	if ended && sameMembers(stays, now.Replicas) {
		x.check(m, "I4", sameMembers(now.Replicas, now.ISR), "a reassignment of partition %v ends before all are in sync: %s, then %s", id, words(before), words(now))
	}
}

// waitedFor: a leader that is up and has not lost its replica stays in the ISR when another one leads, for it may serve until it hears of that (F7). It is
// judged where a single entry lies between the two states: a broker may be fenced and let in again by more of them.
func (x *clusterBox) waitedFor(m *member, id record.Partition, before, now *metadata.Partition) {
	image := m.image()
	if _, known := x.images[image.Offset()-1]; !known || before.Leader < 0 || now.Directory(before.Leader) == metadata.LostDirectory {
		return
	}
	in := slices.Contains(now.ISR, before.Leader)
	x.check(m, "F7", in || !image.Active(before.Leader), "partition %v does not wait for its last leader, which is up: %s, then %s", id, words(before), words(now))
}

// heeded: whoever answers reads as the leader, be it of an earlier epoch, is one for whom the high watermark waits (F7).
func (x *clusterBox) heeded(id record.Partition, now *metadata.Partition) {
	for _, m := range x.c.members {
		if m.host.Running() && m.node != nil && m.node.Serves(id) {
			in := slices.Contains(now.ISR, m.id) || slices.Contains(now.ELR, m.id)
			x.check(m, "F7", in, "partition %v does not wait for somebody who serves: %s", id, words(now))
		}
	}
}

func sameMembers(a, b []record.NodeID) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id record.NodeID) bool { return !slices.Contains(b, id) })
}

// completeAll holds all replicas of a partition that may be elected against what was committed until this moment (I1, I2).
func (x *clusterBox) completeAll(id record.Partition) {
	g := x.ghost(id)
	for _, m := range x.c.members {
		if l := m.log(id); l != nil && m.leads(id) {
			g.greatest = max(g.greatest, l.HighWatermark())
		}
	}
	for _, m := range x.c.members {
		if l := m.log(id); l != nil {
			x.complete(m, l)
		}
	}
}

// synced: when it is said that the policy sync holds for everything, whoever may be elected has synced what its leader shows (I7).
func (x *clusterBox) synced(id record.Partition, p *metadata.Partition) {
	mark := record.NoOffset
	for _, m := range x.c.members {
		if l := m.log(id); l != nil && m.id == p.Leader && m.leads(id) {
			mark = l.HighWatermark()
		}
	}
	for _, m := range x.c.members {
		if l := m.log(id); l != nil && (slices.Contains(p.ISR, m.id) || slices.Contains(p.ELR, m.id)) {
			x.check(m, "I7", l.DurableEnd() >= mark, "%s: the policy sync is said to hold for everything, the high watermark is %d, and durable is %d (%s)", l.Dir(), mark,
				l.DurableEnd(), words(p))
		}
	}
}

// electedHere looks whether a leader's log knows of the election (L4, KAFKA-7415).
func (x *clusterBox) electedHere(m *member, id record.Partition) {
	l, p := m.log(id), m.image().Partition(id)
	if l == nil || p == nil || !m.leads(id) {
		return
	}
	epoch, end := l.EpochEnd(p.LeaderEpoch)
	x.check(m, "L4", epoch == p.LeaderEpoch && end == l.EndOffset(), "%s: the leader of epoch %d does not know of its own election: epoch %d is said to end at %d, the log ends at %d",
		l.Dir(), p.LeaderEpoch, epoch, end, l.EndOffset())
}

// fresh: no leader of an earlier epoch tells an end that a later one has gone beyond (F7).
func (x *clusterBox) fresh(id record.Partition) {
	if !x.safe(id) {
		return
	}
	for _, m := range x.c.members {
		end, epoch, told, _ := m.tells(id)
		if !told {
			continue
		}
		for _, later := range x.c.members {
			if mark, e, _, leads := later.tells(id); leads && e > epoch {
				x.check(m, "F7", end >= mark, "the leader of partition %v in epoch %d still tells that it ends at %d; %s, which leads in epoch %d, has %d", id, epoch, end,
					later.host.Name(), e, mark)
			}
		}
	}
}

// tells is what a node says of the end of a partition that it leads.
func (m *member) tells(id record.Partition) (end record.Offset, epoch record.Epoch, told, leads bool) {
	if !m.host.Running() || m.node == nil || !m.ready {
		return 0, record.NoEpoch, false, false
	}
	return m.node.Tells(id)
}

// holders counts the nodes that have an acknowledged batch on the medium: at least min.insync.replicas, whatever the in-sync set is by now (H2).
func (x *clusterBox) holders(t *traffic.Target, p *metadata.Partition, dir string, b record.Batch, at record.Offset) {
	// A partition that is being moved has more replicas for a while, and so another minimum than when the batch was taken.
	if p.Reassigning() || x.c.faults.wiped || x.c.faults.bad.node != nil && !x.c.faults.bad.over || t.Books.Closed() || t.Books.MayShrink() {
		return
	}
	n := 0
	for _, m := range x.c.members {
		if m.eye.Holds(dir, at, b) {
			n++
		}
	}
	x.c.books.Check("H2", n >= int(p.MinISR), "%s: the batch of %d records at offset %d was acknowledged and is on the medium of %d nodes, %d are the minimum (%s)", dir, b.Count(), at, n,
		p.MinISR, words(p))
}

// started notes since when a leader's log begins where it does.
func (x *clusterBox) started(m *member, l *storage.Log) {
	if g := x.ghost(l.ID()); m.leads(l.ID()) && g.start != l.ReadableStart() {
		g.start, g.startSince = l.ReadableStart(), x.c.world.Now()
	}
}

// compareStarts: at rest every follower has deleted what its leader has, once it had the time to (R3).
func (x *clusterBox) compareStarts(id record.Partition, p *metadata.Partition) {
	var leader record.Offset
	g := x.ghost(id)
	for _, m := range x.c.members {
		l := m.log(id)
		if l == nil {
			return
		}
		if m.id == p.Leader {
			leader = l.ReadableStart()
		}
	}
	if leader != g.start || x.c.world.Now().Sub(g.startSince) < settleTime {
		return
	}
	for _, m := range x.c.members {
		if slices.Contains(p.Replicas, m.id) {
			x.check(m, "R3", m.log(id).StartOffset() >= leader, "partition %v begins at %d, its leader's at %d", id, m.log(id).StartOffset(), leader)
		}
	}
}

// decided: what an administrator was told to be there is there, unless somebody has asked for the contrary since (M7).
func (x *clusterBox) decided() {
	newest := x.c.newest()
	for _, id := range x.c.stage.Created {
		x.c.books.Check("M7", newest.TopicByID(id) != nil || x.c.stage.WasDeleted(id), "topic %v was created, as somebody was told, and is not there", record.TopicID(id))
	}
}
