package group

import (
	"slices"

	"lignum/core/coordinator"
	"lignum/core/wire"
)

// A group changes its protocol while it is in use (KIP-848): to the consumer protocol when its first member of that kind joins, and
// back when the last one leaves. In between, members of the classic protocol live in a group of the consumer protocol: their
// generation is their member epoch, a join brings them one step nearer to their target, and a sync fetches what they have.

// upgrade makes a group of the consumer protocol of a classic one that is in use.
func (d *draft) upgrade(g *group) *refused {
	c, settings := g.classic, d.s.settings()
	no := &refused{wire.GroupIDNotFound, "Group " + g.id + " is not a consumer group."}
	if !settings.Upgrade || c.protocolType != consumerType || len(c.members) > int(settings.ConsumerMaxSize) {
		return no
	}
	d.c, d.former = newConsumer(), c
	d.c.epoch, d.c.targetEpoch = c.generation, c.generation
	d.records = append(d.records, tombstone(key{version: keyClassic, group: g.id}))
	var targets, currents []coordinator.Record
	for _, m := range c.members {
		said, err := parseSubscription(m.metadata(c.protocol))
		has, err2 := parseAssignment(m.assignment)
		if c.protocol == "" || err != nil || err2 != nil {
			return no
		}
		slices.Sort(said.topics)
		next := &consumerMember{id: m.id, facts: facts{
			instance: m.instance, rack: said.rack, clientID: m.clientID, host: m.host, topics: slices.Compact(said.topics),
			rebalanceTimeout: m.rebalanceTimeout, classic: &classicFacts{sessionTimeout: m.sessionTimeout, protocols: m.protocols},
		}}
		// Partitions that two of them claim stay with the first.
		assigned := identify(has, &d.s.world.Topics).minus(d.c.held())
		d.c.members[m.id], d.c.target[m.id] = next, assigned
		d.c.own(next, current{epoch: c.generation, previous: c.generation, assigned: assigned})
		if m.instance != "" {
			d.c.static[m.instance] = m.id
		}
		d.records = append(d.records, memberRecord(g.id, m.id, &next.facts))
		targets = append(targets, targetRecord(g.id, m.id, assigned))
		currents = append(currents, currentRecord(g.id, m.id, &next.current))
	}
	d.records = append(d.records, epochRecord(g.id, c.generation, 0))
	d.records = append(append(d.records, targets...), targetEpochRecord(g.id, c.generation))
	d.records = append(d.records, currents...)
	return nil
}

// held are all partitions that members have.
func (c *consumer) held() parts {
	var all parts
	for _, id := range c.ids() {
		all = all.plus(c.members[id].assigned)
	}
	return all
}

// dissolve answers whoever waits in a classic group that is none any more.
func (c *classic) dissolve(code wire.ErrorCode) {
	for _, m := range slices.Clone(c.members) {
		m.answerJoin(c, JoinReply{Code: code, MemberID: m.id})
		m.answerSync(SyncReply{Code: code})
	}
}

// mayDowngrade reports whether the group is to become a classic one when a member leaves it, or is replaced, and so many are left.
func (s *Shard) mayDowngrade(g *group, leaving string, left int) bool {
	if !s.settings().Downgrade || left < 1 || left > int(s.settings().MaxSize) {
		return false
	}
	//house:anyorder whether there is one does not depend on which is found
	for id, m := range g.consumer.members {
		if id != leaving && m.classic == nil {
			return false
		}
	}
	m := g.consumer.members[leaving]
	return m != nil && m.classic == nil
}

// downgrade makes a classic group of what is left when a member leaves; joining, if there is one, takes its place. The members keep what they have, and
// join again for their first generation, unless nothing changes for them. Until then the record says that nobody leads: a coordinator that takes over has them
// join, too.
func (s *Shard) downgrade(g *group, leaving *consumerMember, joining *consumerMember, done func(wire.ErrorCode)) wire.ErrorCode {
	old := g.consumer
	c := newClassic()
	c.generation, c.since = old.epoch, int64(s.host.Wall())
	for _, id := range old.ids() {
		m := old.members[id]
		if m == leaving {
			if m = joining; m == nil {
				continue
			}
		}
		c.add(&classicMember{
			id: m.id, instance: m.instance, clientID: m.clientID, host: m.host, rebalanceTimeout: m.rebalanceTimeout,
			sessionTimeout: m.classic.sessionTimeout, protocols: m.classic.protocols,
		}, consumerType)
	}
	c.protocol, c.state = c.elect(), stable
	for _, m := range c.members {
		has := leaving
		if joining == nil || m.id != joining.id {
			has = old.members[m.id]
		}
		said, err := parseSubscription(m.metadata(c.protocol))
		if err != nil {
			said.version = 0
		}
		m.assignment = writeAssignment(said.version, has.assigned, &s.world.Topics)
	}
	c.learn()
	calm := joining != nil && old.state() == consumerStable && slices.Equal(joining.topics, leaving.topics) && joining.regex == leaving.regex
	leader := c.leader
	if !calm {
		c.leader = ""
	}
	records := append(old.tombstones(g.id), c.record(g.id, held)...)
	c.leader = leader
	if code := s.append(records, done); code != wire.None {
		return code
	}
	old.stop(s.timers())
	now := s.make(g.id)
	now.classic = c
	for _, m := range c.members {
		s.keepAlive(now, m, m.sessionTimeout)
	}
	if !calm {
		s.prepareRebalance(now)
	}
	return wire.None
}

// toEmptyClassic ends an empty group of the consumer protocol for a classic one to begin. Its generations go on from the epochs (C8): somebody may come back under
// an id that was a member's before.
func (s *Shard) toEmptyClassic(g *group) wire.ErrorCode {
	c := newClassic()
	c.generation, c.since, c.protocolType = g.consumer.epoch, int64(s.host.Wall()), consumerType
	c.learn()
	code := s.append(append(g.tombstones(), c.record(g.id, held)...), func(wire.ErrorCode) {})
	if code == wire.None {
		s.make(g.id).classic = c
	}
	return code
}

// joinConsumer lets a member of the classic protocol into a group of the consumer protocol.
func (s *Shard) joinConsumer(g *group, r *JoinRequest, reply func(JoinReply), refuse func(wire.ErrorCode, string)) {
	c := g.consumer
	d := &draft{s: s, id: g.id, c: c, member: r.Member, trusted: true}
	if d.member == "" {
		d.member = s.newMemberID(r.ClientID)
	}
	said, code := c.admits(r)
	m := c.members[d.member]
	switch {
	case len(c.members) >= int(s.settings().ConsumerMaxSize) && m == nil && c.static[r.Instance] == "":
		refuse(wire.GroupMaxSizeReached, "")
		return
	case code != wire.None:
		refuse(code, r.Member)
		return
	case r.Member == "" && r.Instance == "" && r.NeedsID:
		refuse(wire.MemberIDRequired, d.member)
		return
	}
	if code := d.classicMember(r); code != wire.None {
		refuse(code, r.Member)
		return
	}
	f := &d.facts
	f.instance, f.rack, f.clientID, f.host, f.rebalanceTimeout = r.Instance, said.rack, r.ClientID, r.Host, r.RebalanceTimeout
	slices.Sort(said.topics)
	f.topics, f.regex, f.assignor = slices.Compact(said.topics), "", ""
	f.classic = &classicFacts{sessionTimeout: r.SessionTimeout, protocols: r.Protocols}
	changed := false
	if m == nil || string(m.facts.encode()) != string(f.encode()) {
		d.records = append(d.records, memberRecord(d.id, d.member, f))
		changed = m == nil && d.gone == "" || !slices.Equal(d.old.topics, f.topics)
	}
	epoch, targetEpoch := d.bump(changed), c.targetEpoch
	if epoch > targetEpoch {
		d.assign(epoch)
		targetEpoch = epoch
	}
	d.move(targetEpoch, identify(said.owned, &s.world.Topics), true)
	s.joinedConsumer(g, d, r, reply, refuse)
}

// joinedConsumer writes the decision about a classic member. If it takes the place of the last member of the consumer protocol the
// group is a classic one from now on.
func (s *Shard) joinedConsumer(g *group, d *draft, r *JoinRequest, reply func(JoinReply), refuse func(wire.ErrorCode, string)) {
	out := JoinReply{Generation: d.current.epoch, ProtocolType: consumerType, Protocol: r.Protocols[0].Name, MemberID: d.member}
	done := func(code wire.ErrorCode) {
		if code != wire.None {
			out = JoinReply{Code: code, MemberID: d.member}
		}
		reply(out)
	}
	if d.gone != "" && s.mayDowngrade(g, d.gone, len(g.consumer.members)) {
		joining := &consumerMember{id: d.member, facts: d.facts, current: d.current}
		out.Generation = g.consumer.epoch
		if code := s.downgrade(g, g.consumer.members[d.gone], joining, done); code != wire.None {
			refuse(code, d.member)
		}
		return
	}
	version := s.world.Topics.Version()
	if code := s.append(d.records, done); code != wire.None {
		refuse(code, d.member)
		return
	}
	g.consumer.checked = version
	s.alive(g, d.member, false)
	m := g.consumer.members[d.member]
	s.timers().Start(&m.sync, s.allowed(r.RebalanceTimeout), func() { s.fence(g, m) })
}

// admits reads what a classic member wants, if it speaks what the other classic members do.
func (c *consumer) admits(r *JoinRequest) (subscription, wire.ErrorCode) {
	if r.ProtocolType != consumerType || len(r.Protocols) == 0 {
		return subscription{}, wire.InconsistentGroupProtocol
	}
	said, err := parseSubscription(r.Protocols[0].Metadata)
	if err != nil {
		return said, wire.InconsistentGroupProtocol
	}
	speaks := func(name string) bool {
		//house:anyorder all members are asked
		for _, m := range c.members {
			if m.classic != nil && !slices.ContainsFunc(m.classic.protocols, func(p Protocol) bool { return p.Name == name }) {
				return false
			}
		}
		return true
	}
	if !slices.ContainsFunc(r.Protocols, func(p Protocol) bool { return speaks(p.Name) }) {
		return said, wire.InconsistentGroupProtocol
	}
	return said, wire.None
}

// classicMember finds the member that a classic join is of, or makes one.
func (d *draft) classicMember(r *JoinRequest) wire.ErrorCode {
	m := d.c.members[d.member]
	if r.Instance != "" {
		old := d.c.members[d.c.static[r.Instance]]
		switch {
		case old != nil && r.Member == "":
			d.takeOver(old)
			return wire.None
		case old == nil && r.Member != "":
			return wire.UnknownMemberID
		case old != nil && old.id != r.Member:
			return wire.FencedInstanceID
		}
	}
	if m != nil {
		d.old, d.facts, d.current, d.target = m.facts, m.facts, m.current, d.c.target[m.id]
	}
	return wire.None
}

// classicIn finds a classic member of a group of the consumer protocol.
func (c *consumer) classicIn(member, instance string, generation int32) (*consumerMember, wire.ErrorCode) {
	m := c.members[member]
	if instance != "" {
		if m = c.members[c.static[instance]]; m != nil && m.id != member {
			return nil, wire.FencedInstanceID
		}
	}
	switch {
	case m == nil || m.classic == nil:
		return nil, wire.UnknownMemberID
	case m.epoch != generation:
		return nil, wire.IllegalGeneration
	}
	return m, wire.None
}

// syncConsumer tells a classic member what it has.
func (s *Shard) syncConsumer(g *group, r *SyncRequest, reply func(SyncReply), refuse func(wire.ErrorCode)) {
	m, code := g.consumer.classicIn(r.Member, r.Instance, r.Generation)
	switch {
	case code != wire.None:
		refuse(code)
		return
	case r.ProtocolType != "" && r.ProtocolType != consumerType, r.Protocol != "" && r.Protocol != m.classic.protocols[0].Name:
		refuse(wire.InconsistentGroupProtocol)
		return
	case g.consumer.epoch > m.epoch && m.state != unrevoked:
		s.mustJoin(g, m)
		refuse(wire.RebalanceInProgress)
		return
	}
	s.timers().Stop(&m.sync)
	s.consumerSession(g, m)
	said, _ := parseSubscription(m.classic.protocols[0].Metadata)
	settle(s, SyncReply{
		ProtocolType: r.ProtocolType, Protocol: r.Protocol, Assignment: writeAssignment(said.version, m.assigned, &s.world.Topics),
	}, syncFailed, reply)
}

// mustJoin gives a classic member its rebalance timeout to join again.
func (s *Shard) mustJoin(g *group, m *consumerMember) {
	if !m.join.Set() {
		s.timers().Start(&m.join, s.allowed(m.rebalanceTimeout), func() { s.fence(g, m) })
	}
}

// beatConsumer is a classic member's heartbeat: it joins again as long as there is something new for it.
func (s *Shard) beatConsumer(g *group, member, instance string, generation int32) wire.ErrorCode {
	c := g.consumer
	m, code := c.classicIn(member, instance, generation)
	if code != wire.None {
		return code
	}
	s.consumerSession(g, m)
	if m.epoch < c.epoch || m.state == unrevoked || m.state == unreleased && !c.blocked(m) {
		s.mustJoin(g, m)
		return wire.RebalanceInProgress
	}
	return wire.None
}

// blocked reports whether others still have something that the member waits for.
func (c *consumer) blocked(m *consumerMember) bool {
	for _, p := range c.target[m.id].minus(m.assigned) {
		if _, taken := c.owners[p]; taken {
			return true
		}
	}
	return false
}

// leaveConsumer takes classic members out of a group of the consumer protocol.
func (s *Shard) leaveConsumer(g *group, leavers []Leaver, codes []wire.ErrorCode) wire.ErrorCode {
	c := g.consumer
	var leaving []*consumerMember
	for i, l := range leavers {
		m := c.members[l.Member]
		if l.Instance != "" {
			m = c.members[c.static[l.Instance]]
		}
		switch {
		case m == nil || m.classic == nil:
			codes[i] = wire.UnknownMemberID
		case l.Instance != "" && l.Member != "" && m.id != l.Member:
			codes[i] = wire.FencedInstanceID
		case !slices.Contains(leaving, m):
			leaving = append(leaving, m)
		}
	}
	if len(leaving) == 0 {
		return wire.None
	}
	return s.remove(g, leaving, func(wire.ErrorCode) {})
}
