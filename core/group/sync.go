package group

import (
	"lignum/core/wire"
)

// SyncRequest asks for the sender's part of a generation; the leader's brings all parts.
type SyncRequest struct {
	Group, Member, Instance string
	Generation              int32
	// ProtocolType and Protocol are what the sender believes in, unless they are empty.
	ProtocolType, Protocol string
	Assignments            map[string][]byte // by member
}

// SyncReply answers a sync.
type SyncReply struct {
	Code                   wire.ErrorCode
	ProtocolType, Protocol string
	Assignment             []byte
}

// Sync replies when the generation's assignment is safe.
func (s *Shard) Sync(r *SyncRequest, reply func(SyncReply)) {
	refuse := func(code wire.ErrorCode) { settle(s, SyncReply{Code: code}, syncFailed, reply) }
	g := s.find(r.Group)
	switch {
	case r.Group == "":
		refuse(wire.InvalidGroupID)
		return
	case g == nil:
		refuse(wire.UnknownMemberID)
		return
	case g.consumer != nil:
		s.syncConsumer(g, r, reply, refuse)
		return
	}
	c := g.classic
	if code := c.checkSync(r); code != wire.None {
		refuse(code)
		return
	}
	m := c.byID[r.Member]
	c.synced(m)
	if c.unsynced == 0 {
		s.timers().Stop(&c.syncTimer)
	}
	if c.state == stable {
		s.keepAlive(g, m, m.sessionTimeout) // it believes in its part from now on (C7)
		settle(s, c.part(m), syncFailed, reply)
		return
	}
	m.answerSync(SyncReply{Code: superseded})
	m.sync = reply
	if c.leader == m.id && !c.storing {
		s.assign(g, r.Assignments)
	}
}

func syncFailed(code wire.ErrorCode) SyncReply { return SyncReply{Code: code} }

func (c *classic) checkSync(r *SyncRequest) wire.ErrorCode {
	if code := c.checkMember(r.Member, r.Instance); code != wire.None {
		return code
	}
	switch {
	case r.Generation != c.generation:
		return wire.IllegalGeneration
	case r.ProtocolType != "" && r.ProtocolType != c.protocolType, r.Protocol != "" && c.protocol != "" && r.Protocol != c.protocol:
		return wire.InconsistentGroupProtocol
	case c.state == preparing:
		return wire.RebalanceInProgress
	}
	return wire.None
}

// assign writes the leader's assignment to the log; members hear of it when it is safe there (C4).
func (s *Shard) assign(g *group, parts map[string][]byte) {
	c := g.classic
	generation := c.generation
	done := func(code wire.ErrorCode) {
		if s.gone || g.classic != c || c.state != completing || c.generation != generation {
			return // it has come too late, perhaps into a group that follows the other protocol by now
		}
		c.storing = false
		if code != wire.None {
			s.spread(g, code)
			s.prepareRebalance(g)
			return
		}
		for _, m := range c.members {
			m.assignment = parts[m.id]
		}
		s.transit(c, stable)
		s.spread(g, wire.None)
	}
	c.storing = true
	if code := s.append(c.record(g.id, func(m *classicMember) []byte { return parts[m.id] }), done); code != wire.None {
		done(code)
	}
}

// Heartbeat tells that a member lives.
func (s *Shard) Heartbeat(id, member, instance string, generation int32, reply func(wire.ErrorCode)) {
	g := s.find(id)
	answer := func(code wire.ErrorCode) {
		settle(s, code, func(code wire.ErrorCode) wire.ErrorCode { return code }, reply)
	}
	switch {
	case id == "":
		answer(wire.InvalidGroupID)
		return
	case g == nil:
		answer(wire.UnknownMemberID)
		return
	case g.consumer != nil:
		answer(s.beatConsumer(g, member, instance, generation))
		return
	}
	c := g.classic
	if code := c.checkMember(member, instance); code != wire.None {
		answer(code)
		return
	}
	if generation != c.generation {
		answer(wire.IllegalGeneration)
		return
	}
	m := c.byID[member]
	s.keepAlive(g, m, m.sessionTimeout)
	if c.state == preparing {
		answer(wire.RebalanceInProgress)
		return
	}
	answer(wire.None)
}

// Leaver is a member that goes, or is sent away by an administrator, who knows only its instance.
type Leaver struct{ Member, Instance string }

// Leave takes members out. There is a code for each, in order.
func (s *Shard) Leave(id string, leavers []Leaver, reply func(wire.ErrorCode, []wire.ErrorCode)) {
	type result struct {
		code  wire.ErrorCode
		codes []wire.ErrorCode
	}
	answer := func(r result) {
		settle(s, r, func(code wire.ErrorCode) result { return result{code: code} }, func(r result) { reply(r.code, r.codes) })
	}
	g := s.find(id)
	codes := make([]wire.ErrorCode, len(leavers))
	switch {
	case id == "":
		answer(result{code: wire.InvalidGroupID})
		return
	case g == nil:
		for i := range codes {
			codes[i] = wire.UnknownMemberID
		}
		answer(result{codes: codes})
		return
	case g.consumer != nil:
		code := s.leaveConsumer(g, leavers, codes)
		answer(result{code: code, codes: codes})
		return
	}
	gone := false
	for i, l := range leavers {
		codes[i] = s.leaveOne(g, l)
		gone = gone || codes[i] == wire.None
	}
	if gone {
		s.afterDeparture(g)
	}
	answer(result{codes: codes})
}

func (s *Shard) leaveOne(g *group, l Leaver) wire.ErrorCode {
	c := g.classic
	member := l.Member
	if member == "" {
		m := c.static[l.Instance]
		if l.Instance == "" || m == nil {
			return wire.UnknownMemberID
		}
		member = m.id
	}
	if c.expected[member] != nil {
		c.unexpect(s.timers(), member)
		return wire.None
	}
	if code := c.checkMember(member, l.Instance); code != wire.None {
		return code
	}
	s.dropMember(g, c.byID[member])
	return wire.None
}
