package quorum

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/env"
)

// timers are when something is due.
type timers struct {
	elect    env.Instant // stand for election
	beat     env.Instant // as the leader, let the others hear
	check    env.Instant // as the leader, see whether a majority was heard
	snapshot env.Instant // see whether there is something new to checkpoint
	heard    env.Instant // when a leader was last heard
}

// beatsPerTimeout is how many heartbeats a leader sends in one election timeout.
const beatsPerTimeout = 5

// begin sets the timers of a start. Who is the only voter need not wait for anybody.
func (t *timers) begin(q *Quorum) {
	now := q.Clock.Now()
	t.heard = now.Add(-q.ElectionTimeout)
	t.elect = now
	if !q.alone() {
		t.elect = now.Add(q.electionWait())
	}
	if !q.votes() {
		t.elect = env.Never
	}
	if q.SnapshotInterval > 0 {
		t.snapshot = now.Add(q.SnapshotInterval)
	}
}

// role sets the timers when this node has become the leader or ceased to be.
func (t *timers) role(q *Quorum) {
	now := q.Clock.Now()
	t.beat, t.check = env.Never, env.Never
	switch {
	case q.leads && q.alone():
		t.elect = env.Never
	case q.leads:
		t.elect = env.Never
		t.beat, t.check = now.Add(q.ElectionTimeout/beatsPerTimeout), now.Add(q.FetchTimeout)
	case q.votes() && t.elect == env.Never:
		t.elect = now.Add(q.electionWait())
	}
}

// alone reports whether this node is the only voter.
func (q *Quorum) alone() bool {
	v := q.entries.conf.GetVoters()
	return len(v) == 1 && v[0] == raftID(q.Node)
}

// votes reports whether this node is a voter.
func (q *Quorum) votes() bool {
	for _, id := range q.entries.conf.GetVoters() {
		if id == raftID(q.Node) {
			return true
		}
	}
	return false
}

// electionWait is how long this node waits for a leader, between one and two timeouts: drawn each time, so that voters do not stand
// against each other for ever.
func (q *Quorum) electionWait() time.Duration { return q.ElectionTimeout + q.upTo(q.ElectionTimeout) }

// upTo draws a duration in [0, d).
func (q *Quorum) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(q.Rand.Uint64() % uint64(d))
}

// Deadline is when Tick is wanted next.
func (q *Quorum) Deadline() env.Instant {
	if q.node == nil || q.failure != nil {
		return env.Never
	}
	t := &q.timers
	return min(t.elect, t.beat, t.check, t.snapshot)
}

// Tick does what is due.
func (q *Quorum) Tick() {
	if q.node == nil || q.failure != nil {
		return
	}
	now, t := q.Clock.Now(), &q.timers
	if t.elect <= now {
		t.elect = now.Add(q.electionWait() + q.upTo(q.ElectionBackoff))
		_ = q.node.Campaign() // raft refuses only where an election makes no sense
	}
	if t.beat <= now {
		t.beat = now.Add(q.ElectionTimeout / beatsPerTimeout)
		q.node.Tick()
	}
	if t.check <= now {
		t.check = now.Add(q.FetchTimeout)
		// Raft's own check hangs on the election timer. From a local sender it takes the message for its own.
		_ = q.node.Step(&raftpb.Message{Type: raftpb.MsgCheckQuorum.Enum(), From: new(raft.LocalAppendThread)})
	}
	if t.snapshot <= now {
		t.snapshot = now.Add(q.SnapshotInterval)
		q.snap.due = true
		if q.phase == idle {
			q.considerSnapshot()
		}
	}
}

// hear takes note of a message before raft gets it, and says whether raft shall. A node that hears its leader does not help to
// depose it: who was cut off and comes back would else disturb everybody.
func (q *Quorum) hear(m *raftpb.Message) bool {
	now := q.Clock.Now()
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.GetTerm() >= q.term {
			q.timers.heard = now
			if !q.leads && q.votes() {
				q.timers.elect = now.Add(q.electionWait())
			}
		}
	case raftpb.MsgPreVote:
		return !q.leads && now.Sub(q.timers.heard) >= q.ElectionTimeout
	case raftpb.MsgVote:
		if !q.leads && q.votes() && m.GetTerm() > q.term {
			q.timers.elect = now.Add(q.electionWait()) // somebody else is at it
		}
	}
	return true
}
