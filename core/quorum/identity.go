package quorum

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Raft holds only if no voter forgets what it has voted and acknowledged. A node that comes back with an empty disk has, so it must
// not be taken for the voter that it was. Two rules see to that:
//
//   - Every payload names its sender's data directory. A member's directory is part of the quorum's members once the leader has written
//     it down, which it does when the member takes part, and until then every voter keeps a durable note of the one it first heard of.
//     Payloads with another are dropped.
//   - One of the first voters whose quorum-state does not say that it is a member asks all the others whether they know it by
//     another directory. It takes part only once each of them has answered that it does not, and that it has noted the present one. If one
//     does know another, or knows that the quorum did not begin with this node, it stays an observer, and the leader replaces the member that
//     it was, see change.go.
//
// A metadata log that was lost or cannot be used, while the rest of the disk is there, is the same to the quorum: the owner gives the node
// another directory here before it has a log again. Until it has one it may follow as an observer, see Equip.
//
// Everybody else becomes a member only when it finds itself, node and directory, among the members in the committed log; raft's id in it is
// its own alone.

// identity is how far this node is on its way to being a member.
type identity struct {
	cleared  []record.NodeID // other first voters that know it by no other directory
	denied   bool            // one does, or knows that this node is none of the first voters
	adopting bool            // files are written with which it becomes a member
	asking   []*asking       // greetings that are answered once a note is durable
}

// asking is a greeting that has not been answered.
type asking struct{ reply func([]byte) }

// firstState is that of a node that has none on its disk.
func (q *Quorum) firstState() (s savedState) {
	if q.Observer {
		return s
	}
	self := false
	for _, v := range q.Options.Voters {
		s.voters = append(s.voters, raftID(v.ID, 0))
		self = self || v.ID == q.Node
	}
	s.voters = sorted(s.voters)
	if self && len(s.voters) == 1 {
		s.self = s.voters[0] // there is nobody to ask
	}
	return s
}

// observe begins a life as an observer.
func (q *Quorum) observe() {
	now := q.Clock.Now()
	q.timers.pull = now
	q.puller.leader = NoNode
	q.timers.heard = now.Add(-q.patience())
	q.members = q.roster.clone()
	if q.greets() {
		q.timers.greet = now
	}
	q.Tick()
}

// greets reports whether this node still has to ask the other first voters.
func (q *Quorum) greets() bool {
	return q.node == nil && q.log != nil && !q.Observer && q.saved.self == 0 && !q.identity.denied &&
		slices.Contains(q.saved.voters, raftID(q.Node, 0))
}

// greet asks those who have not answered yet.
func (q *Quorum) greet() {
	t := &q.timers
	t.greet = q.Clock.Now().Add(q.ElectionTimeout/10 + q.upTo(q.ElectionTimeout/10))
	for _, v := range q.Options.Voters {
		if v.ID != q.Node && !slices.Contains(q.identity.cleared, v.ID) {
			q.send(v.ID, v.Address, q.begin(kindGreeting))
		}
	}
}

// greeting answers a node that asks whether it is known. Its directory is noted durably before it is told that it is not.
func (q *Quorum) greeting(from sender, answer func([]byte)) {
	tell := func(known bool) { answer(append(q.begin(kindGreeted), flagByte(known))) }
	id := raftID(from.node, 0)
	e := q.members.get(id)
	if q.shown > 0 && (e == nil || e.directory != (Directory{})) {
		tell(true) // it has taken part, with this directory or another, and does not know it any more; or it was removed, or never was one of the first
		return
	}
	if q.log == nil || q.Observer || e == nil && !slices.Contains(q.wanted.voters, id) {
		answer(nil) // this node has no say
		return
	}
	if known, ok := q.wanted.known(from.node); ok && known != from.directory {
		tell(true)
		return
	}
	waiting := &asking{reply: answer}
	q.identity.asking = append(q.identity.asking, waiting)
	q.note(from, func() {
		q.identity.asking = slices.DeleteFunc(q.identity.asking, func(a *asking) bool { return a == waiting })
		tell(false)
	})
}

// close answers who will not be told any more.
func (s *identity) close() {
	all := s.asking
	s.asking = nil
	for _, a := range all {
		a.reply(nil)
	}
}

// note makes it durable that a node was heard of with a directory, unless it is, and goes on then.
func (q *Quorum) note(from sender, then func()) {
	nothing := func() error { return nil }
	if known, ok := q.saved.known(from.node); ok && known == from.directory {
		then()
		return
	}
	change := func(s *savedState) { s.note(from.node, from.directory) }
	if _, ok := q.wanted.known(from.node); ok {
		change = func(*savedState) {} // it is being written
	}
	q.writeState(change, nothing, func() error { then(); return nil })
}

// greeted takes an answer. When all have answered that they know no other directory, this node takes part.
func (q *Quorum) greeted(from sender, known bool) {
	if !q.greets() || !slices.Contains(q.saved.voters, raftID(from.node, 0)) || slices.Contains(q.identity.cleared, from.node) {
		return
	}
	if known {
		q.identity.denied = true
		q.timers.greet = env.Never
		return
	}
	q.identity.cleared = append(q.identity.cleared, from.node)
	if len(q.identity.cleared) < len(q.saved.voters)-1 || q.identity.adopting {
		return
	}
	q.identity.adopting = true
	q.timers.greet = env.Never
	q.writeState(func(s *savedState) { s.self = raftID(q.Node, 0) }, func() error { return nil }, func() error {
		q.identity.adopting = false
		q.boot()
		return nil
	})
}

// adopt makes this node the member that the log says it is. Who votes already has acknowledged what it was sent: if this node does not know
// of that, it has lost it.
func (q *Quorum) adopt() {
	if q.log == nil || q.phase != idle || q.identity.adopting || q.shown == 0 || q.shown < q.applied {
		return
	}
	e := q.members.named(q.Node, q.Directory)
	if e == nil || e.id == q.saved.self && q.node != nil || e.id != q.saved.self && !e.learner {
		return
	}
	if q.leads {
		q.lead(false)
		q.abandon(ErrLost)
	}
	c := &checkpoint{index: q.shown, term: q.shownTerm, members: q.members.clone(), image: q.events.Snapshot()}
	id := e.id
	q.identity.adopting = true
	q.node = nil // what it was is no member any more
	q.leads, q.leader = false, 0
	disk, dir := q.Disk, q.Dir
	change := func(s *savedState) {
		s.self, s.commit = id, 0
		if s.term < c.term {
			s.term, s.vote = c.term, 0
		}
	}
	q.writeState(change, func() error { return nil }, func() error {
		q.continueAfter(func() error { return writeCheckpoint(disk, dir, c) }, func() error {
			q.identity.adopting = false
			q.begun(c)
			return nil
		})
		return nil
	})
}

// Equip gives an observer that was started without a log an empty one, under its present directory: so it can be a member again. As what it was
// before, with another directory, it must never take part again; the quorum that it has followed replaces that member.
func (q *Quorum) Equip(log Log, dir string) {
	if q.failure != nil {
		return
	}
	if q.log != nil || q.node != nil || log.EndOffset() > 0 {
		invariant.Violated("a log that ends at %d for a node that has one, or is a member (M1)", log.EndOffset())
	}
	q.log, q.Dir = log, dir
	q.saved = q.firstState()
	q.saved.self, q.identity.denied = 0, true // whoever it was at first
	q.wanted = q.saved
}

// begun starts raft behind a checkpoint of what was pulled.
func (q *Quorum) begun(c *checkpoint) {
	q.entries = entries{snapshot: q.snapshotNow}
	q.applied = c.index // what install expects
	q.install(c)
	q.entries.hard = &raftpb.HardState{Term: new(q.saved.term), Vote: new(q.saved.vote), Commit: new(c.index)}
	q.term, q.known = q.saved.term, q.saved.term
	q.boot()
}
