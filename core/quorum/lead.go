package quorum

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"lignum/core/env"
	"lignum/core/record"
)

// HandOver makes another voter the leader, so that an orderly stop leaves no gap: done is called once this node leads no more, at once if it
// does not lead, or after an election timeout if nobody has taken over. Proposals are refused meanwhile. Stop comes after it.
func (q *Quorum) HandOver(done func()) {
	successor, match := uint64(raft.None), uint64(0)
	if q.reigns() {
		q.node.WithProgress(func(id uint64, t raft.ProgressType, p tracker.Progress) {
			if id != q.saved.self && t == raft.ProgressTypePeer && q.hearsOf(id) && p.Match > match {
				successor, match = id, p.Match
			}
		})
	}
	if successor == raft.None {
		done()
		return
	}
	q.handing = append(q.handing, done)
	if len(q.handing) == 1 {
		q.timers.handOver = q.Clock.Now().Add(q.ElectionTimeout)
		q.node.TransferLeader(successor)
	}
}

// hearsOf reports whether another member was heard of lately. Raft's own mark says whether it was since the last check of a majority, which may have
// been a moment ago.
func (q *Quorum) hearsOf(id uint64) bool {
	p := q.peers.get(id)
	return p != nil && q.Clock.Now().Sub(p.heard) < q.FetchTimeout
}

// reigns reports whether raft itself takes this node for the leader: it may have learned better in the Ready that is being stored.
func (q *Quorum) reigns() bool {
	return q.failure == nil && q.node != nil && q.leads && q.node.BasicStatus().RaftState == raft.StateLeader
}

// keep gives handing over up.
func (q *Quorum) keep() {
	q.timers.handOver = env.Never
	if q.reigns() {
		q.node.TransferLeader(q.saved.self) // ends the present attempt
	}
	q.handed()
}

// handed answers who waits for the end of leadership.
func (q *Quorum) handed() {
	waiting := q.handing
	q.handing, q.timers.handOver = nil, env.Never
	for _, done := range waiting {
		done()
	}
}

// confirms are the callers that want to know whether this node still leads.
type confirms struct {
	waiting []func(error) // of the next round
	asked   []func(error) // of the round that is under way
	round   uint64
	until   uint64 // index that has to be applied before the round is over; 0 until a majority has answered
}

func (c *confirms) abandon(error) {
	all := append(c.asked, c.waiting...)
	c.asked, c.waiting, c.until = nil, nil, 0
	for _, done := range all {
		done(ErrNotLeader)
	}
}

// Confirm calls done(nil) once it is certain that this node still led when Confirm was called, and once it has applied all that was committed
// by then: what its image says is then no older than the call (M7). With an error nothing is known. Calls share rounds of heartbeats; a
// lone voter needs none.
func (q *Quorum) Confirm(done func(error)) {
	switch {
	case q.failure != nil:
		done(q.failure)
	case !q.leading:
		done(ErrNotLeader)
	case q.alone():
		done(nil)
	default:
		q.confirms.waiting = append(q.confirms.waiting, done)
	}
}

// confirm begins a round if one is wanted and none is under way.
func (q *Quorum) confirm() {
	c := &q.confirms
	if len(c.waiting) == 0 || len(c.asked) > 0 || !q.leading || !q.reigns() {
		return
	}
	c.asked, c.waiting = c.waiting, nil
	c.round++
	q.node.ReadIndex(binary.BigEndian.AppendUint64(nil, c.round))
	q.pump()
}

// confirmed takes the rounds that a majority has answered, and ends one when what was committed as it began has been applied.
func (q *Quorum) confirmed(rounds []raft.ReadState) {
	c := &q.confirms
	for _, r := range rounds {
		if len(r.RequestCtx) == 8 && binary.BigEndian.Uint64(r.RequestCtx) == c.round && len(c.asked) > 0 {
			c.until = max(r.Index, 1)
		}
	}
	if c.until == 0 || c.until > q.applied {
		return
	}
	asked := c.asked
	c.asked, c.until = nil, 0
	for _, done := range asked {
		done(nil)
	}
}

// Description tells of the quorum and those who follow it.
type Description struct {
	Leader        record.NodeID // NoNode if it is not known
	Epoch         record.Epoch
	HighWatermark record.Offset
	Voters        []Replica
	Observers     []Replica // learners too
}

// Replica is one node that follows the metadata log. Only the leader knows more of it than who it is.
type Replica struct {
	Node         record.NodeID
	Directory    Directory // zero if it is not known
	Address      string
	LogEnd       record.Offset // -1 if it is not known
	LastFetch    env.Millis    // -1 if it is not known
	LastCaughtUp env.Millis    // -1 if it is not known
}

// Describe tells of the quorum as this node sees it.
func (q *Quorum) Describe() Description {
	leader, _, epoch, _ := q.Leader()
	d := Description{Leader: leader, Epoch: epoch, HighWatermark: record.Offset(q.shown)}
	ends := make(map[uint64]uint64)
	if q.leads {
		q.node.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) { ends[id] = p.Match })
	}
	for _, e := range q.members.list {
		r := Replica{Node: nodeID(e.id), Directory: e.directory, Address: q.addressOf(e.id), LogEnd: -1, LastFetch: -1, LastCaughtUp: -1}
		if e.id == q.saved.self {
			r.Directory = q.Directory
		}
		if p := q.peers.get(e.id); p != nil && q.leads {
			r.LastFetch, r.LastCaughtUp = p.wall, p.caughtUp
		}
		if end, ok := ends[e.id]; ok {
			r.LogEnd = record.Offset(end)
		}
		if e.id == q.saved.self && q.leads {
			r.LastFetch, r.LastCaughtUp = q.Clock.Wall(), q.Clock.Wall()
		}
		if e.learner {
			d.Observers = append(d.Observers, r)
		} else {
			d.Voters = append(d.Voters, r)
		}
	}
	for _, o := range q.server.observers {
		if q.leads && q.members.named(o.node, o.directory) == nil {
			d.Observers = append(d.Observers, Replica{
				Node: o.node, Directory: o.directory, Address: o.address, LogEnd: record.Offset(o.index), LastFetch: o.wall, LastCaughtUp: o.caughtUp,
			})
		}
	}
	return d
}
