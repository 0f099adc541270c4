package quorum

import (
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/record"
)

// server answers pulls.
type server struct {
	parked    []parked // in the order of until
	told      uint64   // applied when they were looked at last
	observers []observer
	// The checkpoint file that is served in pieces, as of an entry; nil if none is.
	index, term uint64
	content     []byte
	used        env.Instant
}

// parked is a pull that is held back because there is nothing to tell.
type parked struct {
	from  sender
	pull  pull
	until env.Instant
	reply func([]byte)
}

// observer is a node that pulls.
type observer struct {
	sender
	wants    bool
	index    uint64 // of the last entry that it has
	heard    env.Instant
	wall     env.Millis
	caughtUp env.Millis // -1 if never
}

const (
	// maxObservers bounds the observers that are remembered, and so the pulls that are held back. The longest silent goes first.
	maxObservers = 4096
	// observerSession is for how long a silent observer is told of, as Kafka has it.
	observerSession = 5 * time.Minute
	// pieceBytes is how much one answer holds, about.
	pieceBytes = 1 << 20
	// contentKept is for how long a checkpoint file is kept for those who pull it.
	contentKept = 30 * time.Second
)

// serve answers a pull, now or when there is something to tell.
func (q *Quorum) serve(from sender, m pull, reply func([]byte)) {
	q.observed(from, m)
	now := q.Clock.Now()
	if !q.serves() || m.index > q.applied || q.leader != 0 && !q.leads {
		if q.serves() && m.index < q.applied {
			reply(q.answerTo(from, m))
			return
		}
		reply(q.blank(m).appendTo(q.begin(kindPulled)))
		return
	}
	if m.index < q.applied {
		reply(q.answerTo(from, m))
		return
	}
	s := &q.server
	same := func(o parked) bool { return o.from.node == from.node && o.from.directory == from.directory }
	if at := slices.IndexFunc(s.parked, same); at >= 0 {
		old := s.parked[at]
		s.parked = slices.Delete(s.parked, at, at+1)
		old.reply(nil) // it has asked again
	}
	if len(s.parked) >= maxObservers {
		reply(q.blank(m).appendTo(q.begin(kindPulled)))
		return
	}
	s.parked = append(s.parked, parked{from: from, pull: m, until: now.Add(PollWait), reply: reply})
}

// serves reports whether this node has the log. A leader that has pulled more than raft has applied may need who pulls from it to go on.
func (q *Quorum) serves() bool {
	return q.node != nil && (q.applied == q.shown || q.leads) && q.shown > 0
}

// blank is an answer with nothing but who leads.
func (q *Quorum) blank(m pull) pulled {
	id, address, epoch, ok := q.Leader()
	if !ok {
		id = NoNode
	}
	return pulled{serial: m.serial, leader: id, address: address, epoch: uint64(epoch), serves: q.serves()}
}

// answerTo is what was committed behind the entry that the other side has, or a piece of a checkpoint if that is gone.
func (q *Quorum) answerTo(from sender, m pull) []byte {
	a := q.blank(m)
	if m.index < q.entries.index || m.index == 0 && q.entries.index > 0 {
		q.cut(m, &a)
		return a.appendTo(q.begin(kindPulled))
	}
	if term, err := q.entries.Term(m.index); err != nil || term != m.term {
		return a.appendTo(q.begin(kindPulled)) // it has another past
	}
	if m.index == 0 {
		first := firstMembers(q.saved.voters, q.Options.Voters)
		a.first = &first
	}
	if all, err := q.entries.Entries(m.index+1, q.applied+1, pieceBytes); err == nil {
		a.entries = all
	}
	return a.appendTo(q.begin(kindPulled))
}

// cut takes the next piece of the checkpoint that the other side is gathering, or the first of another.
func (q *Quorum) cut(m pull, a *pulled) {
	s := &q.server
	s.used = q.Clock.Now()
	if s.content == nil || s.index < q.entries.index {
		c := q.checkpointNow()
		s.index, s.term, s.content = c.index, c.term, c.encode()
	}
	if m.snapshot != s.index || m.snapshotTerm != s.term || m.position >= uint64(len(s.content)) {
		m.position = 0
	}
	a.snapshot, a.snapshotTerm, a.position, a.length = s.index, s.term, m.position, uint64(len(s.content))
	a.piece = s.content[m.position:min(m.position+pieceBytes, a.length)]
}

// observed notes who pulls, and how far it is.
func (q *Quorum) observed(from sender, m pull) {
	s, now, wall := &q.server, q.Clock.Now(), q.Clock.Wall()
	same := func(o observer) bool { return o.node == from.node && o.directory == from.directory }
	at := slices.IndexFunc(s.observers, same)
	if at < 0 {
		if len(s.observers) >= maxObservers {
			oldest := 0
			for i, o := range s.observers {
				if o.heard < s.observers[oldest].heard {
					oldest = i
				}
			}
			s.observers = slices.Delete(s.observers, oldest, oldest+1)
		}
		s.observers = append(s.observers, observer{caughtUp: -1})
		at = len(s.observers) - 1
	}
	o := &s.observers[at]
	o.sender, o.wants, o.index, o.heard, o.wall = from, m.wants, m.index, now, wall
	if m.index >= q.applied {
		o.caughtUp = wall
	}
}

// answer answers the pulls for which there is something now.
func (q *Quorum) answer() {
	s := &q.server
	if len(s.parked) == 0 {
		return
	}
	serves, now := q.serves() && (q.leads || q.leader == 0), q.Clock.Now()
	if serves && s.told == q.applied && s.parked[0].until > now {
		return
	}
	s.told = q.applied
	var ready []parked
	s.parked = slices.DeleteFunc(s.parked, func(p parked) bool {
		if serves && p.pull.index >= q.applied && p.until > now {
			return false
		}
		ready = append(ready, p)
		return true
	})
	for _, p := range ready {
		if q.serves() && p.pull.index < q.applied {
			p.reply(q.answerTo(p.from, p.pull))
		} else {
			p.reply(q.blank(p.pull).appendTo(q.begin(kindPulled)))
		}
	}
}

// deadline is when the next pull has been held back for long enough.
func (s *server) deadline() env.Instant {
	if len(s.parked) == 0 {
		return env.Never
	}
	return s.parked[0].until
}

// expire forgets what has not been asked for in a while, and those who have become members: if one of them is a member no more, it was not an
// observer since. Pulls that are overdue are answered at the end of the drain.
func (s *server) expire(now env.Instant, current *members) {
	if s.content != nil && now.Sub(s.used) > contentKept {
		s.content = nil
	}
	if len(s.observers) > 0 {
		s.observers = slices.DeleteFunc(s.observers, func(o observer) bool {
			return now.Sub(o.heard) > observerSession || current.named(o.node, o.directory) != nil
		})
	}
}

// newest is the observer of a node that was heard last: it may have been there with another directory. It is nil if there is none.
func (s *server) newest(node record.NodeID) (last *observer) {
	for i := range s.observers {
		if o := &s.observers[i]; o.node == node && (last == nil || o.heard > last.heard) {
			last = o
		}
	}
	return last
}

// close answers everything that is held back.
func (s *server) close() {
	all := s.parked
	s.parked = nil
	for _, p := range all {
		p.reply(nil)
	}
}
