package quorum_test

import (
	"fmt"
	"hash/crc32"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/quorum"
)

// packet is a payload under way; reply is where its answer goes, or it is an answer itself.
type packet struct {
	to      string
	payload []byte
	from    *machine
	life    uint64
	answer  bool
}

type ballot struct{ voter, term uint64 }

type place struct{ index, term uint64 }

// collect takes what the machines have sent, and checks what they have done.
func (c *cluster) collect() {
	for _, m := range c.machines {
		if m.failure != nil {
			c.fatalf("node %d, life %d: %v", m.id, m.lives, m.failure)
		}
		for _, o := range m.outbox {
			c.watch(m, o)
			c.flying = append(c.flying, packet{to: o.Address, payload: o.Payload, from: m, life: m.lives})
		}
		m.outbox = nil
		if len(c.flying) > 400 {
			c.flying = c.flying[len(c.flying)-400:]
		}
		if m.down() {
			continue
		}
		if m.leading {
			_, _, epoch, _ := m.q.Leader()
			if other, led := c.ledBy[epoch]; led && other != m.id {
				c.fatalf("nodes %d and %d both lead in epoch %d (M1)", other, m.id, epoch)
			}
			c.ledBy[epoch] = m.id
		}
		c.compare(m)
	}
}

// watch reads what goes over the wire: nobody votes twice in a term, no leader writes two things in one place.
func (c *cluster) watch(m *machine, o quorum.Outgoing) {
	fmt.Fprintf(&c.story, "%d>%d %x\n", m.id, o.To, crc32.ChecksumIEEE(o.Payload))
	for _, msg := range quorum.MessagesIn(o.Payload) {
		if msg.GetType() == raftpb.MsgVoteResp && !msg.GetReject() || msg.GetType() == raftpb.MsgVote {
			b, candidate := ballot{msg.GetFrom(), msg.GetTerm()}, msg.GetTo()
			if msg.GetType() == raftpb.MsgVote {
				candidate = msg.GetFrom()
			}
			if other, ok := c.votes[b]; ok && other != candidate {
				c.fatalf("member %d has voted for %d and %d in term %d (M1)", b.voter, other, candidate, b.term)
			}
			c.votes[b] = candidate
		}
		for _, e := range msg.GetEntries() {
			at, sum := place{e.GetIndex(), e.GetTerm()}, crc32.ChecksumIEEE(append([]byte{byte(e.GetType())}, e.GetData()...))
			if other, ok := c.appended[at]; ok && other != sum {
				c.fatalf("two entries at %d in term %d (L2)", at.index, at.term)
			}
			c.appended[at] = sum
		}
	}
}

// compare holds what a node has applied against what any node has ever applied there (M2).
func (c *cluster) compare(m *machine) {
	if m.restored > 0 {
		c.checked[m], m.restored = 0, 0
	}
	from := min(c.checked[m], len(m.image))
	for i := from; i < len(m.image); i++ {
		if i == len(c.history) {
			c.history = append(c.history, m.image[i])
		}
		if c.history[i] != m.image[i] {
			c.fatalf("node %d has %v at %d, another had %v (M2)", m.id, m.image[i], i, c.history[i])
		}
	}
	c.checked[m] = len(m.image)
}

// judge holds the end against all that was promised.
func (c *cluster) judge() {
	for _, o := range c.outcomes {
		if !o.done && o.life == o.by.lives {
			c.fatalf("%s was proposed and never answered", o.data)
		}
		if o.done && o.err == nil && !c.machines[0].has(o.data) {
			c.fatalf("%s was acknowledged and is gone (M2)", o.data)
		}
	}
	l := c.leader()
	d := l.q.Describe()
	for _, v := range d.Voters {
		if m := c.machines[v.Node-1]; v.Directory != m.options.Directory || v.Address != m.options.Address {
			c.fatalf("voter %+v is %v at %s (node %d leads %+v)", v, m.options.Directory, m.options.Address, l.id, d)
		}
	}
	for _, m := range c.machines {
		if id, at, _, ok := m.q.Leader(); !ok || id != l.id || at != address(l.id) {
			c.fatalf("node %d takes node %d at %q for the leader, which is %d", m.id, id, at, l.id)
		}
	}
}
