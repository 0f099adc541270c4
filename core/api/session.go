package api

import (
	"slices"

	"lignum/core/env"
)

// Session is one client connection as the handlers see it. It keeps the replies in the order of the requests: a reply that
// is ready early waits for those before it (guarantee X2).
type Session struct {
	ID   env.ConnID
	Info env.ConnInfo
	// Inter: the listener is one on which the nodes of the cluster talk to each other.
	Inter bool
	// Control: it is one of the controllers', and what nodes ask of each other there is answered.
	Control bool

	// SoftwareName and SoftwareVersion are what the client said of itself in ApiVersions; empty before that.
	SoftwareName, SoftwareVersion string

	network env.Network
	// calls are the requests not yet sent an answer, in the order of arrival; calls[:first] are done. The transport's limit of
	// requests in flight for each connection bounds it.
	calls []*Call
	first int
	gone  bool
}

// NewSession starts the session of a connection that was just accepted.
func NewSession(id env.ConnID, info env.ConnInfo, network env.Network) *Session {
	return &Session{ID: id, Info: info, network: network}
}

// Pending is the number of requests that have not been answered on the wire.
func (s *Session) Pending() int { return len(s.calls) - s.first }

// admit puts a call at the end of the line.
func (s *Session) admit(c *Call) {
	c.session = s
	if s.first > 0 && s.first == len(s.calls) {
		s.calls, s.first = s.calls[:0], 0
	}
	s.calls = append(s.calls, c)
}

// flush sends every reply that has none unanswered before it.
func (s *Session) flush() {
	for s.first < len(s.calls) && s.calls[s.first].state != callOpen {
		c := s.calls[s.first]
		s.calls[s.first] = nil
		s.first++
		silent := c.state == callSilent
		if silent || s.gone {
			c.Release()
		} else {
			s.network.Send(s.ID, c)
		}
		if !s.gone {
			s.network.Resume(s.ID)
		}
	}
	if s.first >= 64 && s.first*2 >= len(s.calls) {
		n := copy(s.calls, s.calls[s.first:])
		clear(s.calls[n:])
		s.calls, s.first = s.calls[:n], 0
	}
}

// Close drops the connection: for a peer that broke the protocol, or a failed produce that has no reply to carry the error.
func (s *Session) Close() {
	if !s.gone {
		s.network.Close(s.ID)
	}
}

// Disconnected ends the session. Calls that wait for records or for replicas are cut short, others go on; their replies are dropped as they come.
func (s *Session) Disconnected() {
	s.gone = true
	s.Cancel()
	for _, c := range s.open() {
		if c.abandon != nil {
			c.abandon()
		}
	}
	s.flush()
}

// open lists the calls that are in the line: what is done to them may take some of them out.
func (s *Session) open() []*Call { return slices.Clone(s.calls[s.first:]) }

// Cancel cuts short whatever waits for records: it is answered with what there is.
func (s *Session) Cancel() {
	for _, c := range s.open() {
		if c.cancel != nil {
			c.cancel.cutShort()
		}
	}
}
