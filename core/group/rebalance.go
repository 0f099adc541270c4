package group

import (
	"lignum/core/coordinator"
	"lignum/core/wire"
)

// A classic group's round: preparing, while members join; completing, from the first answer to a join until the leader's
// assignment is in the log; stable.

// transit changes the state. A group is stable when its record is safe; the time is the one that is in the record.
func (s *Shard) transit(c *classic, to classicState) {
	c.initial = to == preparing && c.state == empty
	if c.state = to; to != stable {
		c.since = int64(s.host.Wall())
	}
}

// keepAlive gives a member a session of so many milliseconds from now on.
func (s *Shard) keepAlive(g *group, m *classicMember, millis int32) {
	s.timers().Start(&m.session, s.allowed(millis), func() { s.expireMember(g, m) })
}

// expireMember: nothing was heard of a member for too long. One that waits for the others is not late.
func (s *Shard) expireMember(g *group, m *classicMember) {
	if !m.fresh && (m.join != nil || m.sync != nil) {
		return
	}
	s.dropMember(g, m)
	s.afterDeparture(g)
}

// dropMember takes a member out; a join of it that waits is told.
func (s *Shard) dropMember(g *group, m *classicMember) {
	c := g.classic
	m.answerJoin(c, JoinReply{Code: wire.UnknownMemberID})
	m.answerSync(SyncReply{Code: wire.UnknownMemberID})
	c.remove(s.timers(), m)
}

// afterDeparture goes on without those who are gone.
func (s *Shard) afterDeparture(g *group) {
	switch g.classic.state {
	case stable, completing:
		s.prepareRebalance(g)
	case preparing:
		s.completeIfAllJoined(g)
	}
	s.reap(g)
}

// rebalance begins a round, or ends one for which everybody is there.
func (s *Shard) rebalance(g *group) {
	if g.classic.state == preparing {
		if !g.classic.initial {
			s.completeIfAllJoined(g)
		}
		return
	}
	s.prepareRebalance(g)
}

// completeIfAllJoined ends the joining if nobody is missing. A new group's first round waits for its time, for there may be more.
func (s *Shard) completeIfAllJoined(g *group) {
	if c := g.classic; c.state == preparing && c.allJoined() && (!c.initial || len(c.members) == 0) {
		s.completeJoin(g)
	}
}

// prepareRebalance asks everybody to join again.
func (s *Shard) prepareRebalance(g *group) {
	c := g.classic
	if c.state == completing {
		s.spread(g, wire.RebalanceInProgress)
	}
	s.forgetSyncs(c)
	s.transit(c, preparing)
	if c.initial {
		delay := s.settings().InitialRebalanceDelayMillis
		left := max(c.rebalanceTimeout()-delay, 0)
		s.timers().Start(&c.joinTimer, s.after(delay), func() { s.initialDelay(g, delay, left) })
		return
	}
	if c.allJoined() {
		s.completeJoin(g)
		return
	}
	s.timers().Start(&c.joinTimer, s.allowed(c.rebalanceTimeout()), func() { s.completeJoin(g) })
}

// initialDelay waits on while members keep coming to a new group (KIP-134).
func (s *Shard) initialDelay(g *group, delay, left int32) {
	c := g.classic
	if !c.newest || left == 0 {
		s.completeJoin(g)
		return
	}
	c.newest = false
	next := min(s.settings().InitialRebalanceDelayMillis, left)
	rest := max(left-delay, 0)
	s.timers().Start(&c.joinTimer, s.after(next), func() { s.initialDelay(g, next, rest) })
}

// completeJoin begins the next generation with those who have joined.
func (s *Shard) completeJoin(g *group) {
	c := g.classic
	s.timers().Stop(&c.joinTimer)
	s.leaveOut(g)
	if len(c.members) > 0 && c.joining == 0 {
		// Only static members are left, and none has joined.
		s.timers().Start(&c.joinTimer, s.allowed(c.rebalanceTimeout()), func() { s.completeJoin(g) })
		return
	}
	if lead := c.byID[c.leader]; lead != nil && lead.join == nil {
		for _, m := range c.members {
			if m.join != nil {
				c.leader = m.id
				break
			}
		}
	}
	c.generation++
	s.forgetSyncs(c)
	if len(c.members) == 0 {
		c.protocol, c.leader = "", ""
		c.learn()
		s.transit(c, empty)
		s.recordEmpty(g)
		return
	}
	c.protocol = c.elect()
	c.learn()
	s.transit(c, completing)
	for _, m := range c.members {
		m.unsynced, m.fresh = true, false
	}
	c.unsynced = len(c.members)
	generation := c.generation
	s.timers().Start(&c.syncTimer, s.allowed(c.rebalanceTimeout()), func() { s.expireSync(g, generation) })
	for _, m := range c.members {
		m.answerJoin(c, c.joined(m))
		s.keepAlive(g, m, m.sessionTimeout)
	}
}

// recordEmpty writes down that nobody is in the group. If the log refuses it, it is tried again: a coordinator that took over before would find the members there,
// and a commit in nobody's name must not come before it (C2).
func (s *Shard) recordEmpty(g *group) wire.ErrorCode {
	c := g.classic
	code := s.append(c.record(g.id, held), func(wire.ErrorCode) {})
	if c.unrecorded = code != wire.None; c.unrecorded && !s.gone {
		s.timers().Start(&c.joinTimer, s.after(fenceRetry), func() {
			if g.classic == c && c.state == empty {
				s.recordEmpty(g)
			}
		})
	}
	return code
}

// forgetSyncs: nobody is waited for in the present generation, and an assignment that is on its way into the log comes too late for it: the next
// leader's must not wait for that.
func (s *Shard) forgetSyncs(c *classic) {
	c.storing = false
	s.timers().Stop(&c.syncTimer)
	for _, m := range c.members {
		c.synced(m)
	}
}

// expireSync drops the members that did not come for their part, and begins again.
func (s *Shard) expireSync(g *group, generation int32) {
	c := g.classic
	if c.generation != generation || c.unsynced == 0 || c.state != completing && c.state != stable {
		return
	}
	for i := 0; i < len(c.members); {
		if m := c.members[i]; m.unsynced {
			s.dropMember(g, m)
		} else {
			i++
		}
	}
	s.prepareRebalance(g)
	s.reap(g)
}

// spread answers all syncs that wait: with the members' assignments, or with an error. What a member was assigned last it may still
// hold.
func (s *Shard) spread(g *group, code wire.ErrorCode) {
	c := g.classic
	for _, m := range c.members {
		out := SyncReply{Code: code}
		if code == wire.None {
			out = c.part(m)
		}
		if m.answerSync(out) {
			s.keepAlive(g, m, m.sessionTimeout)
		}
	}
}

// part is a member's part of the generation.
func (c *classic) part(m *classicMember) SyncReply {
	return SyncReply{ProtocolType: c.protocolType, Protocol: c.protocol, Assignment: m.assignment}
}

// held is what a member was assigned last.
func held(m *classicMember) []byte { return m.assignment }

// record is the group as it goes into the log, with the assignments that part gives.
func (c *classic) record(id string, part func(*classicMember) []byte) []coordinator.Record {
	out := classicRecord{protocolType: c.protocolType, generation: c.generation, protocol: c.protocol, leader: c.leader, since: c.since}
	for _, m := range c.members {
		out.members = append(out.members, classicMemberRecord{
			id: m.id, instance: m.instance, clientID: m.clientID, host: m.host,
			rebalanceTimeout: m.rebalanceTimeout, sessionTimeout: m.sessionTimeout,
			subscription: m.metadata(c.protocol), assignment: part(m),
		})
	}
	return []coordinator.Record{{Key: key{version: keyClassic, group: id}.encode(), Value: out.encode()}}
}

// replayClassic takes a group over as the log has it. A live group is what it is: the record was made of it.
func (s *Shard) replayClassic(at coordinator.Position, id string, value []byte) error {
	if value == nil {
		s.forget(id)
		return nil
	}
	if at.Live {
		s.make(id).stored = true
		return nil
	}
	r, err := decodeClassic(value)
	if err != nil {
		return err
	}
	g := s.make(id)
	c := newClassic()
	g.classic, g.consumer, g.stored = c, nil, true
	c.protocolType, c.generation, c.protocol, c.leader, c.since = r.protocolType, r.generation, r.protocol, r.leader, r.since
	for i := range r.members {
		m := &r.members[i]
		c.add(&classicMember{
			id: m.id, instance: m.instance, clientID: m.clientID, host: m.host,
			rebalanceTimeout: m.rebalanceTimeout, sessionTimeout: m.sessionTimeout,
			protocols: []Protocol{{Name: r.protocol, Metadata: m.subscription}}, assignment: m.assignment,
		}, r.protocolType)
		c.state = stable
	}
	c.headless = r.leader == ""
	c.learn()
	return nil
}

// forget drops what the log has of the group itself; its offsets have records of their own.
func (s *Shard) forget(id string) {
	g := s.find(id)
	if g == nil {
		return
	}
	if g.consumer != nil {
		g.consumer.stop(s.timers())
	} else {
		g.classic.stop(s.timers())
	}
	g.classic, g.consumer, g.stored = newClassic(), nil, false
	s.reap(g)
}
