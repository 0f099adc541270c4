package quorum

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"lignum/core/env"
	"lignum/core/record"
)

// changes is what the leader does about the quorum's members. It proposes one change at a time, and each is derived from what the log
// and the nodes say now, so that the next leader goes on where this one stopped:
//
//   - directory and address of a member are written down when it is heard of and they are not, or no longer, those in the log;
//   - a learner that has caught up becomes a voter; if another member bears its node's number, that one is removed first;
//   - an observer that bears a member's number and has another directory has lost its disk: it becomes a learner, under another id, once the
//     member has been silent for FetchTimeout, counted from its addition at the earliest: an observer of before may be what the node was until then.
type changes struct {
	due      bool        // there may be something to do
	since    env.Instant // when this node began to lead
	inFlight confChange  // proposed and not applied; id 0: none
	joining  joining
	leaving  leaving
	added    added
	// As of the last beat, see watch.
	lastIndex uint64
	lastWall  env.Millis
}

// added is the last learner that this leader has added, and when.
type added struct {
	id uint64
	at env.Instant
}

// joining is an AddVoter that has not been answered; done is nil if there is none.
type joining struct {
	node      record.NodeID
	directory Directory
	address   string
	done      func(error)
}

// leaving is a RemoveVoter that has not been answered; done is nil if there is none.
type leaving struct {
	id    uint64
	voter bool
	done  func(error)
}

func (c *changes) abandon(err error) {
	added, removed := c.joining.done, c.leaving.done
	*c = changes{}
	if added != nil {
		added(err)
	}
	if removed != nil {
		removed(err)
	}
}

// AddVoter makes a node with a directory a voter. It begins as a learner, and done is called once it has caught up and votes, however
// long that takes, or if it is refused. Only the leader can do it, and one at a time; asking again for the same node takes the place
// of the earlier call.
func (q *Quorum) AddVoter(node record.NodeID, directory Directory, address string, done func(error)) {
	c := &q.changes
	switch {
	case q.failure != nil:
		done(q.failure)
	case !q.leading:
		done(ErrNotLeader)
	case q.members.named(node, directory) != nil && !q.members.named(node, directory).learner, q.members.others(node, directory) > 0:
		done(fmt.Errorf("%w: node %d", ErrDuplicate, node))
	case c.joining.done != nil && c.joining.node == node && c.joining.directory == directory:
		superseded := c.joining.done
		c.joining = joining{node, directory, address, done}
		superseded(ErrChanging)
	case c.joining.done != nil || c.leaving.done != nil || len(q.members.list) >= maxMembers:
		done(ErrChanging)
	case node < 0 || directory == Directory{} || address == "" || len(address) > maxString:
		done(fmt.Errorf("%w: node %d at %q has no directory or no address", ErrNoVoter, node, address))
	default:
		c.joining = joining{node, directory, address, done}
		c.due = true
	}
}

// RemoveVoter removes a voter or learner. Only the leader can do it, and one at a time. A leader that is to remove itself hands over and answers
// ErrNotLeader: the next one is to be asked.
func (q *Quorum) RemoveVoter(node record.NodeID, directory Directory, done func(error)) {
	c := &q.changes
	switch {
	case q.failure != nil:
		done(q.failure)
		return
	case !q.leading:
		done(ErrNotLeader)
		return
	}
	e := q.members.named(node, directory)
	switch {
	case e == nil:
		done(fmt.Errorf("%w: node %d", ErrNoVoter, node))
	case c.leaving.done != nil || c.joining.done != nil && c.joining.node != node:
		done(ErrChanging)
	case !e.learner && !q.standsWithout(e.id):
		done(fmt.Errorf("%w: of those that would be left too few were heard of lately", ErrLastVoter))
	case e.id == q.saved.self:
		q.HandOver(func() {
			if q.failure == nil && q.leading {
				done(ErrLastVoter) // nobody took over
				return
			}
			done(ErrNotLeader)
		})
	default:
		c.leaving = leaving{e.id, !e.learner, done}
		c.due = true
	}
}

// standsWithout reports whether the voters are a majority without one of them that were heard of lately. Those that are lost could not be replaced any more
// if they are not.
func (q *Quorum) standsWithout(id uint64) bool {
	left, heard := 0, 0
	for _, other := range q.members.ids(false) {
		if other == id {
			continue
		}
		left++
		if other == q.saved.self || q.hearsOf(other) {
			heard++
		}
	}
	return heard > left/2
}

// review proposes the next change of the members, if one is due.
func (q *Quorum) review() {
	c := &q.changes
	if !c.due || !q.leading || c.inFlight.id != 0 {
		return
	}
	c.due = false
	if next, ok := q.nextChange(); ok {
		err := q.node.Step(&raftpb.Message{Type: raftpb.MsgProp.Enum(), From: new(q.saved.self), Entries: []*raftpb.Entry{
			{Type: raftpb.EntryConfChange.Enum(), Data: next.encode()},
		}})
		if err == nil { // else the next beat tries again
			c.inFlight = next
			q.pump()
		}
	}
}

// nextChange is what to propose next.
func (q *Quorum) nextChange() (next confChange, ok bool) {
	c := &q.changes
	if c.leaving.done != nil {
		id, _ := q.goes()
		return confChange{kind: raftpb.ConfChangeRemoveNode, id: id}, true
	}
	if c.joining.done != nil && q.members.named(c.joining.node, c.joining.directory) == nil {
		return q.learner(c.joining.node, c.joining.directory, c.joining.address), true
	}
	if len(q.members.list) == 1 {
		return next, false
	}
	if next, ok = q.unwritten(); ok {
		return next, true
	}
	if next, ok = q.promotion(); ok {
		return next, true
	}
	return q.replacement()
}

// goes is who is to be removed next for a RemoveVoter. Behind a voter goes the learner that is to take its place: the node would else vote all the same. Not
// before it: if this leader is gone in between, the node must not be left without either. ok is false when nobody is left of them.
func (q *Quorum) goes() (id uint64, ok bool) {
	l := &q.changes.leaving
	for _, e := range q.members.list { // the voter came first
		if e.id == l.id || l.voter && e.learner && nodeID(e.id) == nodeID(l.id) {
			return e.id, true
		}
	}
	return 0, false
}

// learner is the change that adds a node under an id that was never given before.
func (q *Quorum) learner(node record.NodeID, directory Directory, address string) confChange {
	return confChange{
		kind: raftpb.ConfChangeAddLearnerNode, id: raftID(node, q.members.generation+1), directory: directory, address: address,
	}
}

// unwritten finds a member whose directory or address is not the one in the log.
func (q *Quorum) unwritten() (next confChange, ok bool) {
	for _, e := range q.members.list {
		directory, address := e.directory, e.address
		if p := q.peers.get(e.id); p != nil { // it has taken part
			if known, ok := q.saved.known(nodeID(e.id)); ok && directory == (Directory{}) {
				directory = known
			}
			if p.address != "" {
				address = p.address
			}
		}
		if e.id == q.saved.self {
			directory, address = q.Directory, q.Address
		}
		if directory != e.directory || address != e.address && directory != (Directory{}) {
			return confChange{kind: raftpb.ConfChangeUpdateNode, id: e.id, directory: directory, address: address}, true
		}
	}
	return next, false
}

// promotion finds a learner that has caught up: it becomes a voter, once no other member bears its node's number.
func (q *Quorum) promotion() (next confChange, ok bool) {
	q.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		e := q.members.get(id)
		if ok || e == nil || !e.learner || !p.RecentActive || p.Match < q.changes.lastIndex || p.Match == 0 {
			return
		}
		next, ok = confChange{kind: raftpb.ConfChangeAddNode, id: id}, true
		for _, other := range q.members.list {
			if other.id != id && nodeID(other.id) == nodeID(id) {
				next.kind, next.id = raftpb.ConfChangeRemoveNode, other.id
			}
		}
	})
	return next, ok
}

// replacement finds a node that has lost its disk. A learner that has lost it goes, but never as the last one of its node: nobody would know any more that
// the node is to vote.
func (q *Quorum) replacement() (next confChange, ok bool) {
	now := q.Clock.Now()
	for _, e := range q.members.list {
		directory := e.directory
		if directory == (Directory{}) {
			directory, _ = q.saved.known(nodeID(e.id))
		}
		if e.id == q.saved.self || directory == (Directory{}) {
			continue
		}
		heard := q.changes.since
		if e.id == q.changes.added.id {
			heard = max(heard, q.changes.added.at)
		}
		if p := q.peers.get(e.id); p != nil {
			heard = max(heard, p.heard)
		}
		if now.Sub(heard) < q.FetchTimeout {
			continue // it is there: whoever else bears its number is a mistake
		}
		o := q.server.newest(nodeID(e.id))
		if o == nil || o.directory == directory || !o.wants || now.Sub(o.heard) >= q.FetchTimeout {
			continue
		}
		switch others := q.members.others(o.node, e.directory); {
		case others == 0 && len(q.members.list) < maxMembers:
			return q.learner(o.node, o.directory, o.address), true
		case others > 0 && e.learner:
			return confChange{kind: raftpb.ConfChangeRemoveNode, id: e.id}, true
		}
	}
	return next, false
}

// changed takes note of an entry that was applied: who waits for a change is answered.
func (q *Quorum) changed(e *raftpb.Entry, change confChange, is bool) {
	c := &q.changes
	if !is || !q.leads || e.GetTerm() != q.ledTerm {
		return
	}
	c.due = true
	if change.kind == raftpb.ConfChangeAddLearnerNode {
		c.added = added{change.id, q.Clock.Now()}
	}
	if change == c.inFlight {
		c.inFlight = confChange{}
	}
	if _, there := q.goes(); c.leaving.done != nil && !there {
		done := c.leaving.done
		c.leaving = leaving{}
		done(nil)
	}
	if done := c.joining.done; done != nil && change.kind != raftpb.ConfChangeUpdateNode {
		e := q.members.named(c.joining.node, c.joining.directory)
		switch {
		case e != nil && !e.learner:
			c.joining = joining{}
			done(nil)
		case e == nil && change.kind == raftpb.ConfChangeRemoveNode && nodeID(change.id) == c.joining.node:
			c.joining = joining{}
			done(fmt.Errorf("%w: node %d was removed before it had caught up", ErrNoVoter, nodeID(change.id)))
		}
	}
}

// watch looks, with each beat of the leader, how far the others are.
func (q *Quorum) watch() {
	c, wall, last := &q.changes, q.Clock.Wall(), q.entries.last()
	q.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		known := q.peers.get(id)
		switch {
		case known == nil || !p.RecentActive:
		case p.Match >= last:
			known.caughtUp = wall
		case p.Match >= c.lastIndex && c.lastWall > known.caughtUp:
			known.caughtUp = c.lastWall
		}
	})
	c.due = true
	c.lastIndex, c.lastWall = last, wall
}
