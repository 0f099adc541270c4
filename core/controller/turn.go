package controller

import (
	"slices"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
)

// topicRules are a topic's settings that decide about its partitions.
type topicRules struct {
	minISR  int32 // min.insync.replicas
	unclean bool  // unclean.leader.election.enable
	sync    bool  // lignum.flush.policy
}

func rulesOf(s config.Topic) topicRules {
	return topicRules{minISR: s.MinInSyncReplicas, unclean: s.UncleanLeaderElection, sync: s.FlushPolicy == config.Sync}
}

// effectiveMinISR is the minimum for a partition with so many replicas: it cannot ask for more than there are.
func (r topicRules) effectiveMinISR(replicas int) int32 {
	return max(min(r.minISR, int32(replicas)), 1)
}

// initialFlush is the state of a partition without records.
func (r topicRules) initialFlush() metadata.Flush {
	if r.sync {
		return metadata.FlushSynced
	}
	return metadata.FlushAsync
}

// view is the brokers as they will be once a decision is applied. At most one of them changes.
type view struct {
	*Controller
	changes bool
	id      record.NodeID
	broker  *metadata.Broker // nil: it is unregistered
}

func (v *view) find(id record.NodeID) *metadata.Broker {
	if v.changes && id == v.id {
		return v.broker
	}
	return v.Image.Broker(id)
}

// electionKind is what an election is held for.
type electionKind uint8

const (
	electIfNeeded  electionKind = iota // only if the leader cannot go on
	electPreferred                     // give the first replica the lead if it is in sync
	electAny                           // somebody must lead, whatever it costs
)

// turn is one partition on its way from a state to the next. Whoever makes it says in next what is wanted; settle makes a
// sound state of it.
type turn struct {
	*view
	topicRules
	old  *metadata.Partition
	next metadata.Partition
	kind electionKind
	// lossy is a replica that may have lost records that it had reported, NoNode if there is none; wiped: it lost all of them.
	lossy record.NodeID
	wiped bool
	// newEpoch: nobody may go on in the old leader epoch.
	newEpoch bool
	// keepMinimum: MinISR must not rise. It must not where the leader learns of the change before it learns of the setting: it might move its
	// high watermark without a replica that is eligible.
	keepMinimum bool
}

func (v *view) turn(p *metadata.Partition, r topicRules) turn {
	return turn{view: v, topicRules: r, old: p, next: *p, lossy: metadata.NoNode}
}

// settle completes the next state: who is in sync, who is eligible (KIP-966), who leads in which epoch. It reports whether anything changed.
func (t *turn) settle() bool {
	t.next.ISR = only(t.next.ISR, t.mayLead)
	t.completeReassignment()
	t.qualify()
	t.elect()
	if t.completeReassignment() {
		t.qualify()
		t.elect()
	}
	t.rememberLeader()
	gone := func(id record.NodeID) bool { return !slices.Contains(t.next.Replicas, id) }
	if t.next.Leader != t.old.Leader || t.newEpoch || slices.ContainsFunc(t.old.Replicas, gone) {
		t.next.LeaderEpoch = t.old.LeaderEpoch + 1
	}
	if samePartition(t.old, &t.next) {
		return false
	}
	t.next.Epoch = t.old.Epoch + 1
	return true
}

// mayLead: the replica's broker is active and the directory that the replica lies in is there.
func (t *turn) mayLead(id record.NodeID) bool {
	b := t.find(id)
	return b != nil && b.Active() && t.holds(b)
}

// holds: the directory that the broker's replica lies in is there, or it is not known where it lies.
func (t *turn) holds(b *metadata.Broker) bool {
	d := t.next.Directory(b.ID)
	return d == metadata.UUID{} || slices.Contains(b.Directories, d)
}

// allJoined: a reassignment is on its way, and all replicas that stay are in sync. From then on one of them leads.
func (t *turn) allJoined() bool {
	n := &t.next
	return n.Reassigning() && !slices.ContainsFunc(n.Replicas, func(id record.NodeID) bool {
		return !slices.Contains(n.Removing, id) && !slices.Contains(n.ISR, id)
	})
}

// completeReassignment takes away the replicas that a reassignment removes, once all others are in sync (KIP-455) and those are not any more. While one of
// them is, the high watermark waits for it: it may have led until a moment ago, and not know that it does so no more. The leader takes it out of the ISR when
// that is over (F7; release in core/partition).
func (t *turn) completeReassignment() bool {
	n := &t.next
	goes := func(id record.NodeID) bool { return slices.Contains(n.Removing, id) }
	if !t.allJoined() || slices.ContainsFunc(n.ISR, goes) {
		return false
	}
	t.setReplicas(only(n.Replicas, func(id record.NodeID) bool { return !goes(id) }))
	n.Adding, n.Removing = nil, nil
	return true
}

// handsOver: the leader is one that goes, and all that stay can lead.
func (t *turn) handsOver() bool {
	return slices.Contains(t.next.Removing, t.old.Leader) && t.allJoined()
}

// setReplicas changes the assigned replicas; those that stay keep their directories.
func (t *turn) setReplicas(replicas []record.NodeID) {
	directories := make([]metadata.UUID, len(replicas))
	for i, id := range replicas {
		switch b := t.find(id); {
		case slices.Contains(t.next.Replicas, id):
			directories[i] = t.next.Directory(id)
		case b != nil:
			directories[i] = onlyDirectory(b)
		}
	}
	t.next.Replicas, t.next.Directories = replicas, directories
}

// qualify decides who is eligible beside the ISR. With the ISR below its minimum the high watermark stands still, so whoever left it
// since has everything that was committed; unless it may have lost something.
func (t *turn) qualify() {
	n := &t.next
	n.MinISR = t.effectiveMinISR(len(n.Replicas))
	if t.keepMinimum {
		n.MinISR = max(min(n.MinISR, t.old.MinISR), 1)
	}
	if len(n.ISR) >= int(n.MinISR) {
		n.ELR, n.LastKnownELR = nil, nil
		return
	}
	candidates := union(t.old.ELR, t.old.ISR)
	n.ELR = only(candidates, func(id record.NodeID) bool {
		return id != t.lossy && slices.Contains(n.Replicas, id) && !slices.Contains(n.ISR, id)
	})
	n.LastKnownELR = only(union(t.old.LastKnownELR, candidates), func(id record.NodeID) bool {
		return slices.Contains(n.Replicas, id) && !slices.Contains(n.ISR, id) && !slices.Contains(n.ELR, id) && !t.erased(id)
	})
}

// erased: the replica has nothing left, and there are others that may have more.
func (t *turn) erased(id record.NodeID) bool {
	return t.wiped && id == t.lossy && len(t.next.Replicas) > 1
}

// elect finds a leader if the old one cannot go on, or if another is wanted.
func (t *turn) elect() {
	n := &t.next
	leader, clean := t.choose()
	n.Leader = leader
	switch {
	case leader == metadata.NoNode:
		return
	case !clean:
		// Whoever else had more loses it: nobody is known to be complete any more.
		n.ISR, n.ELR, n.LastKnownELR = []record.NodeID{leader}, nil, nil
		n.Recovering = len(n.Replicas) > 1
	case !slices.Contains(n.ISR, leader):
		n.ISR, n.ELR = []record.NodeID{leader}, without(n.ELR, leader)
	}
	n.LastKnownELR = without(n.LastKnownELR, leader)
	if len(n.ISR) >= int(n.MinISR) {
		n.ELR, n.LastKnownELR = nil, nil
	}
}

// choose prefers the leader that there is, unless it has to hand over, then the order of the replicas, in which those that stay come first; among the
// in-sync ones, else the eligible ones, else who led last if nobody is known to have more (KIP-966), else, if that is allowed, anybody.
func (t *turn) choose() (leader record.NodeID, clean bool) {
	n := &t.next
	if t.kind == electPreferred && t.qualified(n.Replicas[0]) {
		return n.Replicas[0], true
	}
	if t.old.Leader != metadata.NoNode && t.qualified(t.old.Leader) && !t.handsOver() {
		return t.old.Leader, true
	}
	for _, id := range n.Replicas {
		if t.qualified(id) {
			return id, true
		}
	}
	if last := t.lastLeader(); len(n.ISR) == 0 && len(n.ELR) == 0 && slices.Contains(n.LastKnownELR, last) && t.mayLead(last) {
		return last, false
	}
	if t.unclean || t.kind == electAny {
		for _, among := range [...][]record.NodeID{n.LastKnownELR, n.Replicas} {
			for _, id := range among {
				if t.mayLead(id) {
					return id, false
				}
			}
		}
	}
	return metadata.NoNode, true
}

// qualified: the replica may lead, and loses nothing by it.
func (t *turn) qualified(id record.NodeID) bool {
	n := &t.next
	return (slices.Contains(n.ISR, id) || len(n.ISR) == 0 && slices.Contains(n.ELR, id)) && t.mayLead(id)
}

// lastLeader is who leads, or led last. If nothing is left of its replica, another whose may be nearly complete takes its place. NoNode if there
// is none.
func (t *turn) lastLeader() record.NodeID {
	last := t.old.Leader
	if last == metadata.NoNode && len(t.old.LastKnownELR) > 0 {
		last = t.old.LastKnownELR[0]
	}
	if !t.erased(last) && slices.Contains(t.next.Replicas, last) {
		return last
	}
	if len(t.next.LastKnownELR) > 0 {
		return t.next.LastKnownELR[0]
	}
	return metadata.NoNode
}

// rememberLeader notes who led last while nobody does.
func (t *turn) rememberLeader() {
	n := &t.next
	if last := t.lastLeader(); n.Leader == metadata.NoNode && last != metadata.NoNode {
		n.LastKnownELR = append([]record.NodeID{last}, without(n.LastKnownELR, last)...)
	}
}

func samePartition(a, b *metadata.Partition) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.Directories, b.Directories) && slices.Equal(a.ISR, b.ISR) &&
		slices.Equal(a.ELR, b.ELR) && slices.Equal(a.LastKnownELR, b.LastKnownELR) && slices.Equal(a.Adding, b.Adding) &&
		slices.Equal(a.Removing, b.Removing) && a.Leader == b.Leader && a.LeaderEpoch == b.LeaderEpoch &&
		a.Recovering == b.Recovering && a.MinISR == b.MinISR && a.Flush == b.Flush
}

// only returns those of a list that pass, in their order; the list itself if all do, nil if none does.
func only(list []record.NodeID, pass func(record.NodeID) bool) []record.NodeID {
	kept := 0
	for _, id := range list {
		if pass(id) {
			kept++
		}
	}
	if kept == len(list) {
		return list
	}
	var rest []record.NodeID
	for _, id := range list {
		if pass(id) {
			rest = append(rest, id)
		}
	}
	return rest
}

// without returns list without id; nil if nothing is left.
func without(list []record.NodeID, id record.NodeID) []record.NodeID {
	return only(list, func(other record.NodeID) bool { return other != id })
}

// union is a followed by what b has beside it.
func union(a, b []record.NodeID) []record.NodeID {
	all := slices.Clip(a)
	for _, id := range b {
		if !slices.Contains(a, id) {
			all = append(all, id)
		}
	}
	return all
}

// subset reports whether all of a are in b.
func subset(a, b []record.NodeID) bool {
	for _, id := range a {
		if !slices.Contains(b, id) {
			return false
		}
	}
	return true
}
