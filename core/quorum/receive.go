package quorum

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// peer is what is known of another member from what it sends.
type peer struct {
	id       uint64
	address  string
	heard    env.Instant
	wall     env.Millis // of heard
	caughtUp env.Millis // when it had everything there was, as the leader sees it; -1 if never
}

// peers are the members that were heard of, in order of their ids.
type peers struct{ list []peer }

// maxPeers bounds the members that are remembered. Those that are members no more go first.
const maxPeers = 2 * maxMembers

func (s *peers) get(id uint64) *peer {
	for i := range s.list {
		if s.list[i].id == id {
			return &s.list[i]
		}
	}
	return nil
}

// hears notes that a member has sent something.
func (q *Quorum) hears(from sender) {
	p := q.peers.get(from.member)
	if p == nil {
		if len(q.peers.list) >= maxPeers {
			q.peers.list = q.peers.list[:0]
		}
		q.peers.list = append(q.peers.list, peer{id: from.member, caughtUp: -1})
		p = &q.peers.list[len(q.peers.list)-1]
	}
	p.address, p.heard, p.wall = from.address, q.Clock.Now(), q.Clock.Wall()
}

// addressOf is where a member can be reached: what it said itself counts most.
func (q *Quorum) addressOf(id uint64) string {
	if id == q.saved.self {
		return q.Address
	}
	if p := q.peers.get(id); p != nil && p.address != "" {
		return p.address
	}
	for _, m := range []*members{&q.roster, &q.members} {
		if e := m.get(id); e != nil && e.address != "" {
			return e.address
		}
	}
	for _, v := range q.Options.Voters {
		if v.ID == nodeID(id) {
			return v.Address
		}
	}
	return ""
}

// Receive takes a payload from another node: a request, or the answer to one, then reply is nil. reply is called exactly once, now or later, with
// what to answer, mostly with nothing. The payload may be reused after the call.
func (q *Quorum) Receive(payload []byte, reply func([]byte)) {
	request := reply != nil
	if !request {
		reply = func([]byte) {}
	}
	k, from, d := openPayload(payload)
	if d.err != nil || q.failure != nil || q.loading != nil || from.cluster != q.ClusterID || from.node == q.Node && from.directory == q.Directory {
		reply(nil)
		return
	}
	switch k {
	case kindMessages:
		q.receiveMessages(from, d)
		if request {
			q.outbox.answers = append(q.outbox.answers, answer{from.member, reply})
		}
	case kindGreeting:
		if d.end() != nil {
			reply(nil)
			return
		}
		q.greeting(from, reply)
	case kindGreeted:
		known := d.flag()
		if d.end() == nil {
			q.greeted(from, known)
		}
		reply(nil)
	case kindPull:
		m, err := readPull(d)
		if err != nil {
			reply(nil)
			return
		}
		q.serve(from, m, reply)
	case kindPulled:
		if m, err := readPulled(d); err == nil {
			q.pulled(m)
		}
		reply(nil)
	}
}

// receiveMessages takes raft's messages from another member.
func (q *Quorum) receiveMessages(from sender, d *decoder) {
	if q.node == nil || from.member == 0 || !q.recognized(from) {
		return
	}
	q.hears(from)
	for len(d.p) > 0 && q.failure == nil && q.node != nil {
		m := readMessage(d)
		if d.err != nil {
			return
		}
		if m.GetTo() == q.saved.self && m.GetFrom() == from.member {
			q.step(m)
		}
	}
}

// recognized reports whether a member sends with the directory that it is known by. Before anything is counted from one of the first
// voters, its directory is noted durably. Another id that is not known here is a member of changes that have not arrived yet: it was
// given once, by the log, to one directory.
func (q *Quorum) recognized(from sender) bool {
	directory, member := Directory{}, false
	for _, m := range []*members{&q.roster, &q.members} {
		if e := m.get(from.member); e != nil {
			member = true
			if e.directory != (Directory{}) {
				directory = e.directory
			}
		}
	}
	if !member && generationOf(from.member) == 0 {
		return false // it was one of the first voters, and is a member no more
	}
	if directory != (Directory{}) || generationOf(from.member) > 0 {
		return directory == from.directory || directory == (Directory{})
	}
	known, ok := q.saved.known(from.node)
	if !ok {
		if _, writing := q.wanted.known(from.node); !writing {
			q.note(from, func() {})
		}
	}
	return ok && known == from.directory
}

// step gives a message to raft.
func (q *Quorum) step(m *Message) {
	if !q.hear(m) {
		return
	}
	if m.GetType() == raftpb.MsgSnap {
		q.lack(m)
		return
	}
	_ = q.node.Step(m) // what raft refuses is as if it had been lost on the way
}

// outbox gathers what goes to each member until the end of the drain. What there is to say by then to a member that has sent something
// is the answer to that.
type outbox struct {
	boxes   []box
	answers []answer
}

// answer is owed to a member.
type answer struct {
	to    uint64
	reply func([]byte)
}

// settle gives everybody the answer that is still owed.
func (o *outbox) settle() {
	owed := o.answers
	o.answers = nil
	for _, a := range owed {
		a.reply(nil)
	}
}

type box struct {
	to      uint64
	payload []byte
}

// maxBatchBytes is how much is gathered for one member before it leaves.
const maxBatchBytes = 1 << 20

// post puts a message of raft's into the outbox.
func (q *Quorum) post(m *raftpb.Message) {
	if m.GetTo() == q.saved.self || !sendable(m.GetType()) {
		invariant.Violated("message %v to member %d", m.GetType(), m.GetTo())
	}
	o := &q.outbox
	at := 0
	for at < len(o.boxes) && o.boxes[at].to != m.GetTo() {
		at++
	}
	if at == len(o.boxes) {
		o.boxes = append(o.boxes, box{to: m.GetTo()})
	}
	b := &o.boxes[at]
	if b.payload == nil {
		b.payload = q.begin(kindMessages)
	}
	if b.payload = appendMessage(b.payload, m); len(b.payload) >= maxBatchBytes {
		q.deliver(b)
	}
}

// flush sends what the outbox holds.
func (q *Quorum) flush() {
	for i := range q.outbox.boxes {
		q.deliver(&q.outbox.boxes[i])
	}
	q.outbox.boxes = q.outbox.boxes[:0]
	q.outbox.settle()
}

func (q *Quorum) deliver(b *box) {
	payload := b.payload
	if b.payload = nil; payload == nil {
		return
	}
	o := &q.outbox
	if at := slices.IndexFunc(o.answers, func(a answer) bool { return a.to == b.to }); at >= 0 {
		reply := o.answers[at].reply
		o.answers = slices.Delete(o.answers, at, at+1)
		reply(payload)
		return
	}
	q.send(nodeID(b.to), q.addressOf(b.to), payload)
}

func (q *Quorum) send(to record.NodeID, address string, payload []byte) {
	q.events.Send(Outgoing{To: to, Address: address, Payload: payload})
}
