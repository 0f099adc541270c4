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
	handOver env.Instant // as the leader, give up handing over
	snapshot env.Instant // see whether there is something new to checkpoint
	greet    env.Instant // ask the other voters whether they know this node
	pull     env.Instant // pull, or give the last pull up
	heard    env.Instant // when a leader was last heard
}

// beatsPerTimeout is how many heartbeats a leader sends in one election timeout.
const beatsPerTimeout = 5

func (t *timers) never() {
	*t = timers{
		elect: env.Never, beat: env.Never, check: env.Never, handOver: env.Never, snapshot: env.Never, greet: env.Never, pull: env.Never,
	}
}

// begin sets the timers of a start. Who is the only voter need not wait for anybody.
func (t *timers) begin(q *Quorum) {
	now := q.Clock.Now()
	t.heard = now.Add(-q.ElectionTimeout)
	t.elect, t.pull = now, env.Never
	if !q.alone() {
		t.elect, t.pull = now.Add(q.firstWait()), now.Add(q.patience())
	}
	if !q.votes() {
		t.elect = env.Never
	}
	t.greet, t.beat, t.check, t.handOver = env.Never, env.Never, env.Never, env.Never
	if q.SnapshotInterval > 0 && t.snapshot == env.Never {
		t.snapshot = now.Add(q.SnapshotInterval)
	}
}

// role sets the timers when this node has become the leader or ceased to be, or when the members have changed.
func (t *timers) role(q *Quorum) {
	now := q.Clock.Now()
	if !q.leads || q.alone() {
		t.beat, t.check = env.Never, env.Never
	}
	switch {
	case q.leads && q.alone():
		t.elect, t.pull = env.Never, env.Never
	case q.leads && t.beat == env.Never:
		t.elect, t.pull = env.Never, env.Never
		t.beat, t.check = now.Add(q.ElectionTimeout/beatsPerTimeout), now.Add(q.FetchTimeout)
	case q.leads:
	case !q.votes():
		t.elect = env.Never
	case t.elect == env.Never:
		t.elect = now.Add(q.electionWait())
	}
	if !q.leads && t.pull == env.Never {
		t.pull = now.Add(q.patience())
	}
}

// alone reports whether this node is the only member.
func (q *Quorum) alone() bool {
	return len(q.roster.list) == 1 && q.roster.list[0].id == q.saved.self
}

// votes reports whether this node is a voter, as far as raft has told it.
func (q *Quorum) votes() bool { return q.roster.votes(q.saved.self) }

// patience is how long a member hears of no leader before it looks around.
func (q *Quorum) patience() time.Duration { return 2 * q.ElectionTimeout }

// electionWait is how long this node waits for a leader, between one and two timeouts: drawn each time, so that voters do not stand
// against each other for ever.
func (q *Quorum) electionWait() time.Duration { return q.ElectionTimeout + q.upTo(q.ElectionTimeout) }

// firstWait is how long this node waits for a leader when it starts, so that nodes that start together have one soon. That is no risk to a
// leader who is there: who hears one helps nobody else (hear).
func (q *Quorum) firstWait() time.Duration { return q.ElectionTimeout/10 + q.upTo(q.ElectionTimeout/4) }

// upTo draws a duration in [0, d).
func (q *Quorum) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(q.Rand.Uint64() % uint64(d))
}

// Deadline is when Tick is wanted next.
func (q *Quorum) Deadline() env.Instant {
	if q.failure != nil || q.loading != nil {
		return env.Never
	}
	t := &q.timers
	return min(t.elect, t.beat, t.check, t.handOver, t.snapshot, t.greet, t.pull, q.server.deadline())
}

// Tick does what is due.
func (q *Quorum) Tick() {
	if q.failure != nil || q.loading != nil {
		return
	}
	now, t := q.Clock.Now(), &q.timers
	if t.greet <= now {
		q.greet()
	}
	if t.pull <= now {
		q.pull()
	}
	q.server.expire(now, &q.members)
	if q.node == nil {
		return
	}
	if t.elect <= now {
		t.elect = now.Add(q.electionWait() + q.upTo(q.ElectionBackoff))
		_ = q.node.Campaign() // raft refuses only where an election makes no sense
	}
	if t.beat <= now {
		t.beat = now.Add(q.ElectionTimeout / beatsPerTimeout)
		q.watch()
		q.node.Tick()
	}
	if t.check <= now {
		t.check = now.Add(q.FetchTimeout)
		// Raft's own check hangs on the election timer. From a local sender it takes the message for its own.
		_ = q.node.Step(&raftpb.Message{Type: raftpb.MsgCheckQuorum.Enum(), From: new(raft.LocalAppendThread)})
	}
	if t.handOver <= now {
		q.keep()
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
			q.rest()
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
