package group

import (
	"slices"

	"lignum/core/wire"
)

// Protocol is one way in which a member can share the work, with what it has to say for it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// JoinRequest asks to be a member of a classic group.
type JoinRequest struct {
	Group, Member, Instance          string // Member "" for a new one, Instance "" for a dynamic one
	ClientID, Host                   string
	ProtocolType                     string
	Protocols                        []Protocol // the best first
	SessionTimeout, RebalanceTimeout int32      // milliseconds
	// NeedsID: a new member first gets an id and joins again with it (KIP-394).
	NeedsID bool
	// MaySkip: the client can be told to keep an assignment as it is (KIP-814).
	MaySkip bool
}

// JoinReply answers a join.
type JoinReply struct {
	Code           wire.ErrorCode
	Generation     int32
	ProtocolType   string
	Protocol       string
	Leader         string
	MemberID       string
	Members        []Joined // for the leader
	SkipAssignment bool
}

// Joined is a member as the leader sees it.
type Joined struct {
	ID, Instance string
	Metadata     []byte
}

// superseded is what a request is told that waits when the member sends another one.
const superseded = wire.RebalanceInProgress

// Join makes the sender a member. It replies when the group's next generation begins, or at once.
func (s *Shard) Join(r *JoinRequest, reply func(JoinReply)) {
	settings := s.settings()
	refuse := func(code wire.ErrorCode, member string) {
		settle(s, JoinReply{Code: code, MemberID: member, Generation: -1}, func(code wire.ErrorCode) JoinReply {
			return JoinReply{Code: code, MemberID: member, Generation: -1}
		}, reply)
	}
	switch {
	case r.Group == "":
		refuse(wire.InvalidGroupID, r.Member)
		return
	case r.SessionTimeout < settings.MinSessionMillis || r.SessionTimeout > settings.MaxSessionMillis:
		refuse(wire.InvalidSessionTimeout, r.Member)
		return
	}
	g := s.find(r.Group)
	if g != nil && g.consumer != nil {
		if !g.consumer.empty() {
			s.joinConsumer(g, r, reply, refuse)
			return
		}
		if r.Member != "" {
			refuse(wire.UnknownMemberID, r.Member)
			return
		}
		if code := s.toEmptyClassic(g); code != wire.None {
			refuse(code, r.Member)
			return
		}
		g = s.find(r.Group)
	}
	if g == nil && r.Member != "" {
		refuse(wire.UnknownMemberID, r.Member)
		return
	}
	g = s.make(r.Group)
	s.joinClassic(g, r, reply, refuse)
	s.reap(g)
}

func (s *Shard) joinClassic(g *group, r *JoinRequest, reply func(JoinReply), refuse func(wire.ErrorCode, string)) {
	c := g.classic
	switch {
	case !c.hasRoom(r.Member, int(s.settings().MaxSize)):
		if m := c.byID[r.Member]; m != nil {
			m.answerSync(SyncReply{Code: wire.UnknownMemberID})
			c.remove(s.timers(), m)
		}
		c.unexpect(s.timers(), r.Member)
		refuse(wire.GroupMaxSizeReached, "")
	case !c.accepts(r.ProtocolType, r.Protocols):
		refuse(wire.InconsistentGroupProtocol, r.Member)
	case r.Member == "":
		s.joinNew(g, r, reply, refuse)
	case c.expected[r.Member] != nil && r.Instance == "":
		c.unexpect(s.timers(), r.Member)
		s.addMember(g, r, r.Member, reply)
	default:
		if code := c.checkMember(r.Member, r.Instance); code != wire.None {
			refuse(code, r.Member)
			return
		}
		s.joinAgain(g, c.byID[r.Member], r, reply)
	}
}

// hasRoom reports whether the group may have one more, or has the member already.
func (c *classic) hasRoom(member string, size int) bool {
	m := c.byID[member]
	switch c.state {
	case empty:
		return true
	case preparing:
		return m != nil && m.join != nil || c.joining < size
	}
	return m != nil || len(c.members) < size
}

// checkMember is None if the sender is the member that it says it is.
func (c *classic) checkMember(member, instance string) wire.ErrorCode {
	if instance != "" {
		switch m := c.static[instance]; {
		case m == nil:
			return wire.UnknownMemberID
		case m.id != member:
			return wire.FencedInstanceID
		}
	}
	if c.byID[member] == nil {
		return wire.UnknownMemberID
	}
	return wire.None
}

// joinNew gives a sender without an id one.
func (s *Shard) joinNew(g *group, r *JoinRequest, reply func(JoinReply), refuse func(wire.ErrorCode, string)) {
	c := g.classic
	switch {
	case r.Instance != "":
		id := s.newMemberID(r.Instance)
		if old := c.static[r.Instance]; old != nil {
			s.replaceStatic(g, old, id, r, reply)
			return
		}
		s.addMember(g, r, id, reply)
	case r.NeedsID:
		id := s.newMemberID(r.ClientID)
		p := c.expect(id)
		s.timers().Start(&p.session, s.after(r.SessionTimeout), func() { s.expectedInVain(g, id) })
		refuse(wire.MemberIDRequired, id)
	default:
		s.addMember(g, r, s.newMemberID(r.ClientID), reply)
	}
}

// expectedInVain: who was given an id did not come back with it.
func (s *Shard) expectedInVain(g *group, id string) {
	g.classic.unexpect(s.timers(), id)
	s.completeIfAllJoined(g)
	s.reap(g)
}

// joinAgain: a member joins the next generation, or only wants to hear of the present one once more.
func (s *Shard) joinAgain(g *group, m *classicMember, r *JoinRequest, reply func(JoinReply)) {
	c := g.classic
	same := m.speaks(r.Protocols)
	if c.state == completing && same || c.state == stable && same && c.leader != m.id {
		out := c.joined(m)
		if c.state == stable {
			out.Members = nil
		}
		settle(s, out, func(code wire.ErrorCode) JoinReply { return JoinReply{Code: code, MemberID: m.id} }, reply)
		return
	}
	c.update(m, r)
	m.waits(c, reply)
	s.rebalance(g)
}

// newMemberTimeout is how long a new member may wait for its first generation: a client that went away while it waited cannot
// be told from one that waits (KAFKA-7610).
const newMemberTimeout = 5 * 60 * 1000

func (s *Shard) addMember(g *group, r *JoinRequest, id string, reply func(JoinReply)) {
	c := g.classic
	m := &classicMember{
		id: id, instance: r.Instance, clientID: r.ClientID, host: r.Host, fresh: true,
		rebalanceTimeout: r.RebalanceTimeout, sessionTimeout: r.SessionTimeout, protocols: r.Protocols,
	}
	if c.state == preparing && c.initial {
		c.newest = true
	}
	c.add(m, r.ProtocolType)
	m.waits(c, reply)
	s.keepAlive(g, m, newMemberTimeout)
	s.rebalance(g)
}

// replaceStatic: a static member has restarted. If that changes nothing for the others they are not disturbed (KIP-345).
func (s *Shard) replaceStatic(g *group, m *classicMember, id string, r *JoinRequest, reply func(JoinReply)) {
	c := g.classic
	m.answerJoin(c, JoinReply{Code: wire.FencedInstanceID, MemberID: m.id})
	m.answerSync(SyncReply{Code: wire.FencedInstanceID})
	oldID, oldLeader := m.id, c.leader
	old := JoinRequest{Protocols: m.protocols, RebalanceTimeout: m.rebalanceTimeout, SessionTimeout: m.sessionTimeout}
	c.rename(m, id)
	c.update(m, r)
	m.clientID, m.host = r.ClientID, r.Host
	m.waits(c, reply)
	s.keepAlive(g, m, m.sessionTimeout)
	switch {
	case c.state == stable && c.elect() == c.protocol:
		refuse := func(code wire.ErrorCode) {
			m.answerJoin(c, JoinReply{Code: code, Generation: c.generation, ProtocolType: c.protocolType, Protocol: c.protocol, Leader: oldLeader})
		}
		// What is in the log is not taken back, committed or not: the member is what its record says (C5), and may join once more.
		done := func(code wire.ErrorCode) {
			if s.gone || s.groups[g.id] != g || g.classic != c || c.byID[id] != m {
				return
			}
			if code != wire.None {
				refuse(code)
			} else {
				m.answerJoin(c, c.rejoined(m, oldLeader, r.MaySkip))
			}
			s.keepAlive(g, m, m.sessionTimeout) // the session may have ended while it waited, which was no fault of it
		}
		if code := s.append(c.record(g.id, held), done); code != wire.None {
			refuse(code)
			c.update(m, &old)
			c.rename(m, oldID)
		}
	case c.state == stable:
		s.rebalance(g)
	case c.state == completing:
		s.prepareRebalance(g)
	default:
		s.completeIfAllJoined(g)
	}
}

// rejoined is what a static member hears that takes its old place. One that cannot skip an assignment must not know that it
// leads, or it would make a new one.
func (c *classic) rejoined(m *classicMember, oldLeader string, maySkip bool) JoinReply {
	out := c.joined(m)
	if !maySkip {
		out.Members, out.Leader = nil, oldLeader
		return out
	}
	out.SkipAssignment = c.leader == m.id
	return out
}

// joined tells a member of the generation.
func (c *classic) joined(m *classicMember) JoinReply {
	out := JoinReply{
		Generation: c.generation, ProtocolType: c.protocolType, Protocol: c.protocol, Leader: c.leader, MemberID: m.id,
	}
	if c.leader == m.id {
		for _, other := range c.members {
			out.Members = append(out.Members, Joined{ID: other.id, Instance: other.instance, Metadata: other.metadata(c.protocol)})
		}
	}
	return out
}

// leaveOut drops the dynamic members that did not join in time.
func (s *Shard) leaveOut(g *group) {
	c := g.classic
	for _, m := range slices.Clone(c.members) {
		if m.join == nil && m.instance == "" {
			m.answerSync(SyncReply{Code: wire.UnknownMemberID})
			c.remove(s.timers(), m)
		}
	}
}
