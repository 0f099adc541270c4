package quorum

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
	"lignum/core/record"
)

// puller is how an observer, or a member that lacks something, gets what was committed.
type puller struct {
	serial uint64 // of the last request
	asked  bool   // it has not been answered
	next   int    // which of the targets is tried next

	leader  record.NodeID // as of the last answer, NoNode if it is not known
	address string
	epoch   uint64

	lacks   *raftpb.Message // MsgSnap: the leader has not the entries any more that this member needs
	offered *checkpoint     // what raft is told to restore

	// A checkpoint that comes in pieces.
	snapshot, snapshotTerm, length uint64
	pieces                         []byte
}

// maxSnapshotBytes bounds what an observer takes in pieces.
const maxSnapshotBytes = 1 << 30

// target is a node to pull from.
type target struct {
	node    record.NodeID
	address string
}

// pulls reports whether this node pulls: it is no member, or hears of no leader, or lacks entries.
func (q *Quorum) pulls() bool {
	return q.node == nil || !q.leads &&
		(q.puller.lacks != nil || q.members.get(q.saved.self) == nil || q.Clock.Now().Sub(q.timers.heard) >= q.patience())
}

// rest puts off looking around, for the leader was heard.
func (q *Quorum) rest() {
	if !q.pulls() {
		q.puller.asked = false
		q.timers.pull = q.Clock.Now().Add(q.patience())
	}
}

// lack begins to pull what the leader says that this member lacks.
func (q *Quorum) lack(m *raftpb.Message) {
	p := &q.puller
	began := p.lacks == nil
	p.lacks = m
	if !began {
		return
	}
	p.leader, p.address, p.epoch = nodeID(m.GetFrom()), q.addressOf(m.GetFrom()), m.GetTerm()
	if !p.asked {
		q.pull()
	}
}

// pull asks for what comes next. If the last request has not been answered in time, somebody else is asked.
func (q *Quorum) pull() {
	p, now := &q.puller, q.Clock.Now()
	if !q.pulls() {
		q.timers.pull = env.Never
		if !q.leads && !q.alone() {
			q.timers.pull = now.Add(q.patience())
		}
		return
	}
	if p.asked {
		p.leader = NoNode
	}
	to, ok := q.target()
	if !ok {
		q.timers.pull = now.Add(q.ElectionTimeout)
		return
	}
	p.serial++
	p.asked = true
	q.timers.pull = now.Add(PollWait + q.ElectionTimeout + q.upTo(q.ElectionTimeout))
	m := pull{
		serial: p.serial, wants: q.log != nil && q.Address != "" && !q.greets() && q.node == nil, index: q.shown, term: q.shownTerm,
		snapshot: p.snapshot, snapshotTerm: p.snapshotTerm, position: uint64(len(p.pieces)),
	}
	q.events.Send(Outgoing{To: to.node, Address: to.address, Payload: m.appendTo(q.begin(kindPull)), Polls: true})
}

// target is the leader if it is known, else whoever is next.
func (q *Quorum) target() (t target, ok bool) {
	p := &q.puller
	if p.leader != NoNode && p.leader != q.Node && p.address != "" {
		return target{p.leader, p.address}, true
	}
	var all []target
	add := func(t target) {
		same := func(o target) bool { return o.address == t.address }
		if t.address != "" && t.address != q.Address && t.node != q.Node && !slices.ContainsFunc(all, same) {
			all = append(all, t)
		}
	}
	for _, e := range q.members.list {
		add(target{nodeID(e.id), q.addressOf(e.id)})
	}
	for _, v := range q.Options.Voters {
		add(target{v.ID, v.Address})
	}
	for i, address := range q.Bootstrap {
		add(target{NoNode - 1 - record.NodeID(i), address})
	}
	if len(all) == 0 {
		return target{}, false
	}
	p.next = (p.next + 1) % len(all)
	return all[p.next], true
}

// pulled takes an answer. One that is late or comes twice does no harm: only what comes next is taken (M6).
func (q *Quorum) pulled(m pulled) {
	p := &q.puller
	before := q.shown
	current := p.asked && m.serial == p.serial
	if current {
		p.asked = false
		p.leader, p.address, p.epoch = m.leader, m.address, m.epoch
	}
	if m.first != nil && q.shown == 0 && q.node == nil {
		q.members = *m.first
	}
	if m.length > 0 {
		q.gather(m)
	} else if current {
		q.forget()
	}
	if q.shown > 0 || len(q.members.list) > 0 {
		for _, e := range m.entries {
			if q.failure == nil && e.GetIndex() == q.shown+1 {
				q.show(e)
			}
		}
	}
	q.restore()
	if !current || q.failure != nil {
		return
	}
	switch {
	case q.shown > before || m.length > 0:
		q.pull()
	case m.serves && m.leader != NoNode:
		q.timers.pull = q.Clock.Now().Add(q.ElectionTimeout / 50)
	default:
		p.leader = NoNode // it does not know either
		q.timers.pull = q.Clock.Now().Add(q.ElectionTimeout/10 + q.upTo(q.ElectionTimeout/10))
	}
}

// gather puts the pieces of a checkpoint together. A piece of another one begins anew.
func (q *Quorum) gather(m pulled) {
	p := &q.puller
	if m.snapshot <= q.shown || m.length > maxSnapshotBytes {
		q.forget()
		return
	}
	if p.snapshot != m.snapshot || p.snapshotTerm != m.snapshotTerm || p.length != m.length {
		if m.position != 0 {
			return // from an answer to an older request
		}
		q.forget()
		p.snapshot, p.snapshotTerm, p.length = m.snapshot, m.snapshotTerm, m.length
	}
	if m.position != uint64(len(p.pieces)) {
		return
	}
	if p.pieces = append(p.pieces, m.piece...); uint64(len(p.pieces)) < p.length {
		return
	}
	c, err := decodeCheckpoint(p.pieces)
	q.forget()
	if err != nil || c.index != m.snapshot || c.term != m.snapshotTerm || c.index <= q.shown {
		return // torn on the way, or nonsense: it is asked for again
	}
	if err := q.events.Restore(positionOf(c.index, c.term), c.image); err != nil {
		q.fail(err)
		return
	}
	q.shown, q.shownTerm, q.members = c.index, c.term, c.members
}

// forget drops the pieces of a checkpoint.
func (q *Quorum) forget() {
	p := &q.puller
	p.snapshot, p.snapshotTerm, p.length, p.pieces = 0, 0, 0, nil
}

// restore has raft begin behind what was pulled, once that is as much as the leader said that this member lacks.
func (q *Quorum) restore() {
	p := &q.puller
	if q.node == nil || q.leads || p.lacks != nil && q.applied >= p.lacks.GetIndex() {
		p.lacks = nil
	}
	if p.lacks == nil || q.phase != idle || q.shown < p.lacks.GetIndex() {
		return
	}
	m := p.lacks
	p.lacks = nil
	if q.shownTerm > m.GetTerm() {
		return // there is another leader by now, and raft must not begin behind an entry of a term that it does not know
	}
	c := &checkpoint{index: q.shown, term: q.shownTerm, members: q.members.clone(), image: q.events.Snapshot()}
	p.offered = c
	_ = q.node.Step(&raftpb.Message{
		Type: raftpb.MsgSnap.Enum(), To: m.To, From: m.From, Term: m.Term,
		Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: new(c.index), Term: new(c.term), ConfState: c.members.conf(),
		}},
	})
	q.pump()
	if q.phase != saving {
		p.offered = nil // raft had no use for it
	}
}
