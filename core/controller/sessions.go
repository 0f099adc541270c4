package controller

import (
	"cmp"
	"math"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
)

// Sessions is what the active controller knows of the brokers beside the image: when each was last heard, and how far it has come. It is lost with
// the controller; the next one gives everybody a fresh session.
type Sessions struct {
	image   *metadata.Image
	timeout time.Duration
	list    []session // by broker
}

type session struct {
	id     record.NodeID
	epoch  metadata.BrokerEpoch
	heard  env.Instant
	again  env.Instant   // when the end of the session is told again, if nothing has come of it; 0 if it was not told
	offset record.Offset // of the last metadata entry that the broker has applied, as far as it has told
}

// NewSessions returns the sessions of the brokers in an image; each ends when the broker was not heard for timeout.
func NewSessions(image *metadata.Image, timeout time.Duration) *Sessions {
	return &Sessions{image: image, timeout: timeout}
}

// Begin forgets everything and gives every registered broker a fresh session: this node has become the active controller.
func (s *Sessions) Begin(now env.Instant) {
	s.list = s.list[:0]
	s.adopt(now)
}

// adopt gives a session to every registered broker that has none, and takes those of brokers that are gone.
func (s *Sessions) adopt(now env.Instant) {
	s.list = slices.DeleteFunc(s.list, func(x session) bool { return s.image.Broker(x.id) == nil })
	for _, b := range s.image.Brokers() {
		if i, found := s.search(b.ID); !found {
			s.list = slices.Insert(s.list, i, session{id: b.ID, epoch: b.Epoch, heard: now, offset: record.NoOffset})
		}
	}
}

func (s *Sessions) search(id record.NodeID) (int, bool) {
	return slices.BinarySearchFunc(s.list, id, func(x session, id record.NodeID) int { return cmp.Compare(x.id, id) })
}

// Touch notes that a broker was heard under a broker epoch, and how far it has applied the metadata log. What an earlier life sent counts for
// nothing.
func (s *Sessions) Touch(id record.NodeID, epoch metadata.BrokerEpoch, offset record.Offset, now env.Instant) {
	i, found := s.search(id)
	switch {
	case !found:
		s.list = slices.Insert(s.list, i, session{id: id, epoch: epoch, heard: now, offset: offset})
	case epoch > s.list[i].epoch:
		s.list[i] = session{id: id, epoch: epoch, heard: now, offset: offset}
	case epoch == s.list[i].epoch:
		s.list[i].heard, s.list[i].again = max(s.list[i].heard, now), 0
		s.list[i].offset = max(s.list[i].offset, offset)
	}
}

// Alive reports whether a broker was heard within the timeout.
func (s *Sessions) Alive(id record.NodeID, now env.Instant) bool {
	i, found := s.search(id)
	return found && now < s.list[i].heard.Add(s.timeout)
}

// Expired lists the brokers that are not fenced and were not heard for too long. Until somebody fences them they are listed again after a
// while, not at every call.
func (s *Sessions) Expired(now env.Instant) []record.NodeID {
	s.adopt(now)
	var over []record.NodeID
	for _, b := range s.image.Brokers() {
		if b.Fenced {
			continue
		}
		if i, _ := s.search(b.ID); now >= s.list[i].end(s.timeout) {
			s.list[i].again = now.Add(s.timeout/4 + 1)
			over = append(over, b.ID)
		}
	}
	return over
}

// end is when the session ends, or when that is told again.
func (x *session) end(timeout time.Duration) env.Instant { return max(x.heard.Add(timeout), x.again) }

// Deadline is when the next session of a broker that is not fenced ends, if it is not heard before.
func (s *Sessions) Deadline() env.Instant {
	at := env.Never
	for _, b := range s.image.Brokers() {
		if b.Fenced {
			continue
		}
		i, found := s.search(b.ID)
		if !found {
			return 0 // Expired gives it a session
		}
		at = min(at, s.list[i].end(s.timeout))
	}
	return at
}

// Others is the offset of the last metadata entry that every active broker beside one is known to have applied.
func (s *Sessions) Others(id record.NodeID) record.Offset {
	least := record.Offset(math.MaxInt64)
	for _, b := range s.image.Brokers() {
		if b.ID == id || !b.Active() {
			continue
		}
		i, found := s.search(b.ID)
		if !found || s.list[i].epoch != b.Epoch {
			return record.NoOffset
		}
		least = min(least, s.list[i].offset)
	}
	return least
}

// CaughtUp reports whether a broker is known to have applied every entry that changes how it stands: Broker.Changed.
func (s *Sessions) CaughtUp(id record.NodeID) bool {
	b := s.image.Broker(id)
	i, found := s.search(id)
	return b != nil && found && s.list[i].epoch == b.Epoch && s.list[i].offset >= b.Changed
}
