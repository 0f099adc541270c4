package api

import (
	"time"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// Fetch sessions (KIP-227): a client names its partitions once and afterwards only what changed; the broker answers only for
// partitions that have something new.

// Session epochs with a meaning of their own.
const (
	sessionless  = -1 // no session, or the end of one
	firstInIt    = 0  // asks for a new session
	afterTheLast = 1  // epochs go from 1 to 2^31-1 and start over at 1
)

// sessionMinIdle is how long a session is safe from being replaced by a newer one, as in Apache Kafka.
const sessionMinIdle = 2 * time.Minute

// fetchKey names a partition the way the client does: by id from version 13 on, by name before.
type fetchKey struct {
	topic record.TopicID
	name  string
	index int32
}

// fetchPart is what a client wants of one partition.
type fetchPart struct {
	key              fetchKey
	offset           record.Offset
	leaderEpoch      record.Epoch  // that the client believes in; -1 unknown
	lastFetchedEpoch record.Epoch  // of the record before offset; -1 unknown
	logStart         record.Offset // of a follower; -1 from a consumer
	maxBytes         int32

	// What the session's client was told last.
	told                bool
	toldMark, toldStart record.Offset
	toldError           bool
	place               int    // index in the session's order
	since               uint64 // the request of the session that named the partition last
}

// fetchSession is what the broker remembers for one client.
type fetchSession struct {
	id       int32
	epoch    int32  // the next request's
	requests uint64 // so far
	byID     bool   // topics are named by id
	parts    map[fetchKey]*fetchPart
	order    []*fetchPart // rotates, so that the first partition does not starve the others; nil where one was taken out
	holes    int
	lastUsed env.Instant
	older    *fetchSession // list by last use
	newer    *fetchSession
}

// fetchSessions holds at most slots sessions; an old one makes room for a new one after sessionMinIdle.
type fetchSessions struct {
	slots          int
	sessions       map[int32]*fetchSession
	oldest, newest *fetchSession
}

func newFetchSessions(slots int) *fetchSessions {
	return &fetchSessions{slots: slots, sessions: map[int32]*fetchSession{}}
}

// open starts a session for the parts, or returns nil if there is no room.
func (s *fetchSessions) open(parts []*fetchPart, byID bool, rand env.Rand, now env.Instant) *fetchSession {
	if len(s.sessions) >= s.slots {
		if s.oldest == nil || now.Sub(s.oldest.lastUsed) < sessionMinIdle {
			return nil
		}
		s.drop(s.oldest)
	}
	f := &fetchSession{epoch: afterTheLast, byID: byID, parts: make(map[fetchKey]*fetchPart, len(parts))}
	for f.id == 0 || s.sessions[f.id] != nil {
		f.id = int32(rand.Uint64() >> 33)
	}
	for _, p := range parts {
		f.put(p)
	}
	s.sessions[f.id] = f
	s.push(f, now)
	return f
}

// resume finds the session of an incremental request and moves its epoch on.
func (s *fetchSessions) resume(id, epoch int32, byID bool, now env.Instant) (*fetchSession, wire.ErrorCode) {
	f := s.sessions[id]
	switch {
	case f == nil:
		return nil, wire.FetchSessionIDNotFound
	case f.epoch != epoch:
		return nil, wire.InvalidFetchSessionEpoch
	case f.byID != byID:
		return nil, wire.FetchSessionTopicIDError
	}
	if f.epoch++; f.epoch < 0 {
		f.epoch = afterTheLast
	}
	f.requests++
	s.unlink(f)
	s.push(f, now)
	return f, wire.None
}

// close ends a session; an unknown id is ignored.
func (s *fetchSessions) close(id int32) {
	if f := s.sessions[id]; f != nil {
		s.drop(f)
	}
}

func (s *fetchSessions) drop(f *fetchSession) {
	delete(s.sessions, f.id)
	s.unlink(f)
}

func (s *fetchSessions) push(f *fetchSession, now env.Instant) {
	f.lastUsed, f.older, f.newer = now, s.newest, nil
	if s.newest != nil {
		s.newest.newer = f
	} else {
		s.oldest = f
	}
	s.newest = f
}

func (s *fetchSessions) unlink(f *fetchSession) {
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		s.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		s.newest = f.older
	}
	f.older, f.newer = nil, nil
}

// put adds a partition or changes what is wanted of it.
func (f *fetchSession) put(p *fetchPart) {
	p.since = f.requests
	if old := f.parts[p.key]; old != nil {
		old.offset, old.leaderEpoch, old.lastFetchedEpoch, old.maxBytes = p.offset, p.leaderEpoch, p.lastFetchedEpoch, p.maxBytes
		old.logStart, old.since = p.logStart, p.since
		// A follower drops what it gets for a position that it has left, so it is told everything anew.
		old.told = old.told && p.logStart < 0
		return
	}
	f.parts[p.key] = p
	p.place = len(f.order)
	f.order = append(f.order, p)
}

// forget takes a partition out.
func (f *fetchSession) forget(k fetchKey) {
	if p := f.parts[k]; p != nil {
		delete(f.parts, k)
		f.order[p.place] = nil
		f.holes++
		f.tidy()
	}
}

// toTheBack moves a partition behind the others: it has just been served.
func (f *fetchSession) toTheBack(p *fetchPart) {
	if f.parts[p.key] != p || p.place == len(f.order)-1 {
		return
	}
	f.order[p.place] = nil
	f.holes++
	p.place = len(f.order)
	f.order = append(f.order, p)
	f.tidy()
}

func (f *fetchSession) tidy() {
	if f.holes <= len(f.order)/2 {
		return
	}
	live := f.order[:0]
	for _, p := range f.order {
		if p != nil {
			p.place = len(live)
			live = append(live, p)
		}
	}
	clear(f.order[len(live):])
	f.order, f.holes = live, 0
}
