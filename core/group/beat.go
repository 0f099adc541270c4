package group

import (
	"slices"

	"lignum/core/coordinator"
	"lignum/core/record"
	"lignum/core/wire"
)

// Beat is a member's heartbeat in the consumer protocol (KIP-848). Fields that have not changed since the last one are left out.
type Beat struct {
	// Connection orders the requests of a member that has lost one connection and made another: what comes over an older one is late.
	Connection     uint64
	Group, Member  string
	Epoch          int32 // 0 to join, below 0 to leave
	Instance, Rack *string
	ClientID, Host string
	// RebalanceTimeout is how long the member may take to let go of partitions, in milliseconds; -1 if it is left out.
	RebalanceTimeout int32
	Topics           []string // nil if they are left out
	Regex, Assignor  *string
	Owned            []record.Partition // what the member has
	SaysOwned        bool               // Owned is not left out
}

// BeatReply answers a heartbeat.
type BeatReply struct {
	Code      wire.ErrorCode
	Message   string
	Member    string
	Epoch     int32
	Heartbeat int32 // milliseconds until the next one
	// Assigned is what the member shall have from now on, if Tells; otherwise that has not changed.
	Assigned []record.Partition
	Tells    bool
}

// refused is why a heartbeat is.
type refused struct {
	code    wire.ErrorCode
	message string
}

// Beat replies when what it tells is safe.
func (s *Shard) Beat(r *Beat, reply func(BeatReply)) {
	refuse := func(no *refused) {
		settle(s, BeatReply{Code: no.code, Message: no.message}, beatFailed, reply)
	}
	if no := s.checkBeat(r); no != nil {
		refuse(no)
		return
	}
	if r.Epoch < 0 {
		s.leave(r, reply, refuse)
		return
	}
	if r.Regex != nil && *r.Regex != "" && !s.resolves(*r.Regex, func() { s.beatAgain(r, reply) }) {
		return
	}
	d, no := s.begin(r)
	if no == nil {
		no = d.beat(r)
	}
	if no != nil {
		refuse(no)
		return
	}
	_, heartbeat := s.settings().GroupTimes(s.world.Own(r.Group))
	out := BeatReply{Member: d.member, Epoch: d.current.epoch, Heartbeat: heartbeat}
	before := current{}
	if m := d.c.members[d.member]; m != nil {
		before = m.current
	}
	whole := r.Epoch == 0 || r.RebalanceTimeout != -1 && (r.Topics != nil || r.Regex != nil) && r.SaysOwned
	if whole || !slices.Equal(before.assigned, d.current.assigned) {
		out.Assigned, out.Tells = d.current.assigned, true
	}
	version, former := s.world.Topics.Version(), d.former
	code := s.append(d.records, func(code wire.ErrorCode) {
		if code != wire.None {
			out = beatFailed(code)
		}
		reply(out)
	})
	if code != wire.None {
		reply(beatFailed(code))
		return
	}
	if former != nil {
		former.dissolve(wire.RebalanceInProgress)
		s.consumerLoaded(s.find(r.Group))
	}
	s.find(r.Group).consumer.checked = version
	if m := s.find(r.Group).consumer.members[d.member]; r.Connection > m.connection {
		m.connection = r.Connection
	}
	s.alive(s.find(r.Group), d.member, d.changedCurrent(before))
}

// beatAgain goes on with a heartbeat that had to wait for what its expression stands for.
func (s *Shard) beatAgain(r *Beat, reply func(BeatReply)) {
	if s.gone {
		reply(beatFailed(wire.NotCoordinator))
		return
	}
	s.Beat(r, reply)
}

func beatFailed(code wire.ErrorCode) BeatReply { return BeatReply{Code: code} }

func (d *draft) changedCurrent(before current) bool {
	c := &d.current
	return c.epoch != before.epoch || c.state != before.state || !slices.Equal(c.assigned, before.assigned) || !slices.Equal(c.revoking, before.revoking)
}

// checkBeat judges what can be said of a heartbeat without the group.
func (s *Shard) checkBeat(r *Beat) *refused {
	invalid := func(message string) *refused { return &refused{wire.InvalidRequest, message} }
	switch {
	case !s.settings().ConsumerProtocol:
		return &refused{wire.UnsupportedVersion, "the consumer protocol is switched off"}
	case r.Group == "":
		return invalid("GroupId can't be empty.")
	case r.Instance != nil && *r.Instance == "":
		return invalid("InstanceId can't be empty.")
	case r.Rack != nil && *r.Rack == "":
		return invalid("RackId can't be empty.")
	case r.Epoch < leaveStaticEpoch:
		return invalid("MemberEpoch is invalid.")
	case r.Epoch == leaveStaticEpoch && r.Instance == nil:
		return invalid("InstanceId can't be null.")
	case r.Epoch != 0 && r.Member == "":
		return invalid("MemberId can't be empty.")
	case r.Epoch == 0 && r.RebalanceTimeout == -1:
		return invalid("RebalanceTimeoutMs must be provided in first request.")
	case r.Epoch == 0 && (!r.SaysOwned || len(r.Owned) > 0):
		return invalid("TopicPartitions must be empty when (re-)joining.")
	case r.Epoch == 0 && r.Topics == nil && r.Regex == nil: // but it may want none yet: a client that looks for topics itself joins before it finds one
		return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
	case r.Assignor != nil && (!known(*r.Assignor) || !slices.Contains(s.settings().Assignors, *r.Assignor)):
		return &refused{wire.UnsupportedAssignor, "ServerAssignor " + *r.Assignor + " is not supported. Supported assignors: uniform, range."}
	}
	return nil
}

// begin finds the group, or begins a new one, or has a classic one change to the consumer protocol.
func (s *Shard) begin(r *Beat) (*draft, *refused) {
	d := &draft{s: s, id: r.Group}
	g := s.find(r.Group)
	switch {
	case g != nil && g.consumer != nil:
		d.c = g.consumer
	case r.Epoch != 0 && g == nil:
		return nil, &refused{wire.GroupIDNotFound, "Consumer group " + r.Group + " not found."}
	case r.Epoch != 0:
		return nil, &refused{wire.GroupIDNotFound, "Group " + r.Group + " is not a consumer group."}
	case g == nil:
		d.c = newConsumer()
	case g.classic.state == empty:
		d.c = newConsumer()
		d.c.epoch = g.classic.generation // it goes on from there (C8)
		d.records = g.tombstones()
	default:
		return d, d.upgrade(g)
	}
	return d, nil
}

// beat decides about a member that is there, or joins.
func (d *draft) beat(r *Beat) *refused {
	if no := d.find(r); no != nil {
		return no
	}
	d.update(r)
	changed := false
	if m := d.c.members[d.member]; m == nil || string(m.facts.encode()) != string(d.facts.encode()) {
		d.records = append(d.records, memberRecord(d.id, d.member, &d.facts))
		changed = m == nil && d.gone == "" || !slices.Equal(d.old.topics, d.facts.topics) || d.old.regex != d.facts.regex
	}
	matched, ok := d.match()
	if !ok {
		return &refused{wire.InvalidRegularExpression, "SubscribedTopicRegex `" + d.facts.regex + "` is not a valid regular expression."}
	}
	epoch := d.bump(changed || matched)
	targetEpoch := d.c.targetEpoch
	if epoch > targetEpoch {
		d.assign(epoch)
		targetEpoch = epoch
	}
	d.move(targetEpoch, partsOf(slices.Clone(r.Owned)), r.SaysOwned && d.trusted)
	return nil
}

// move reconciles the member with its target.
func (d *draft) move(targetEpoch int32, owned parts, says bool) {
	before := d.current
	d.current = before.reconcile(targetEpoch, d.target, owned, says, func(p record.Partition) bool {
		_, held := d.c.owners[p]
		return held
	})
	m := d.c.members[d.member]
	if m == nil || d.changedCurrent(m.current) {
		d.records = append(d.records, currentRecord(d.id, d.member, &d.current))
	}
}

// find finds the member that a heartbeat is of, or makes one.
func (d *draft) find(r *Beat) *refused {
	c, s := d.c, d.s
	if d.member = r.Member; d.member == "" {
		d.member = s.newMemberID("")[1:]
	}
	m := c.members[d.member]
	if len(c.members) >= int(s.settings().ConsumerMaxSize) && m == nil && (r.Instance == nil || c.static[*r.Instance] == "") {
		return &refused{wire.GroupMaxSizeReached, "The consumer group has reached its maximum capacity."}
	}
	if r.Instance != nil {
		old := c.members[c.static[*r.Instance]]
		switch {
		case r.Epoch == 0 && old != nil:
			return d.replace(old)
		case r.Epoch != 0 && old == nil:
			return &refused{wire.UnknownMemberID, "Instance id " + *r.Instance + " is unknown."}
		case r.Epoch != 0 && old.id != d.member:
			return &refused{wire.FencedInstanceID, "Static member " + d.member + " with instance id " + *r.Instance + " was fenced by member " + old.id + "."}
		}
	}
	if m == nil && r.Epoch != 0 {
		return &refused{wire.UnknownMemberID, "Member " + d.member + " is not a member of group " + d.id + "."}
	}
	if d.trusted = true; m == nil {
		return nil
	}
	d.trusted = r.Epoch == m.epoch && r.Connection >= m.connection
	d.old, d.facts, d.current, d.target = m.facts, m.facts, m.current, c.target[m.id]
	return m.checkEpoch(r.Epoch, partsOf(slices.Clone(r.Owned)), r.SaysOwned)
}

// checkEpoch fences a member that is ahead of the coordinator, or behind it by more than an answer that was lost.
func (m *consumerMember) checkEpoch(epoch int32, owned parts, says bool) *refused {
	switch {
	case epoch > m.epoch:
		return &refused{wire.FencedMemberEpoch, "The consumer group member has a greater member epoch than the one known by the group coordinator. " +
			"The member must abandon all its partitions and rejoin."}
	case epoch < m.epoch && (epoch != m.previous || !says || !owned.within(m.assigned)):
		return &refused{wire.FencedMemberEpoch, "The consumer group member has a smaller member epoch than the one known by the group coordinator. " +
			"The member must abandon all its partitions and rejoin."}
	}
	return nil
}

// replace gives a static member's place to its next life, which may take it only if the last one has left it.
func (d *draft) replace(old *consumerMember) *refused {
	if old.epoch != leaveStaticEpoch && old.classic == nil {
		return &refused{wire.UnreleasedInstanceID, "Static member " + d.member + " with instance id " + old.instance +
			" cannot join the group because the instance id is owned by " + old.id + " member."}
	}
	d.takeOver(old)
	return nil
}

// takeOver gives everything of an old member to the new one.
func (d *draft) takeOver(old *consumerMember) {
	d.trusted = true
	d.old, d.facts, d.target = old.facts, old.facts, d.c.target[old.id]
	d.current = current{assigned: old.assigned, revoking: old.revoking, state: old.state}
	if old.id == d.member {
		return
	}
	d.gone = old.id
	d.records = append(d.records, memberTombstones(d.id, old.id)...)
	d.records = append(d.records, memberRecord(d.id, d.member, &d.facts), targetRecord(d.id, d.member, d.target))
}

// update takes over what a heartbeat says.
func (d *draft) update(r *Beat) {
	f := &d.facts
	f.clientID, f.host, f.classic = r.ClientID, r.Host, nil
	if r.Instance != nil {
		f.instance = *r.Instance
	}
	if r.Rack != nil {
		f.rack = *r.Rack
	}
	if r.RebalanceTimeout != -1 {
		f.rebalanceTimeout = r.RebalanceTimeout
	}
	if r.Topics != nil {
		f.topics = slices.Clone(r.Topics)
		slices.Sort(f.topics)
		f.topics = slices.Compact(f.topics)
	}
	if r.Regex != nil {
		f.regex = *r.Regex
	}
	if r.Assignor != nil {
		f.assignor = *r.Assignor
	}
}

// alive sets a member's timers after a heartbeat.
func (s *Shard) alive(g *group, id string, moved bool) {
	m := g.consumer.members[id]
	s.timers().Stop(&m.join)
	s.timers().Stop(&m.sync)
	s.consumerSession(g, m)
	if !moved || m.classic != nil {
		return
	}
	if m.state != unrevoked {
		s.timers().Stop(&m.rebalance)
		return
	}
	s.revocation(g, m)
}

// consumerSession gives a member a session from now on.
func (s *Shard) consumerSession(g *group, m *consumerMember) {
	millis, _ := s.settings().GroupTimes(s.world.Own(g.id))
	if m.classic != nil {
		millis = m.classic.sessionTimeout
	}
	s.timers().Start(&m.session, s.allowed(millis), func() { s.fence(g, m) })
}

// revocation fences a member that does not let go of its partitions in time.
func (s *Shard) revocation(g *group, m *consumerMember) {
	epoch := m.epoch
	s.timers().Start(&m.rebalance, s.allowed(m.rebalanceTimeout), func() {
		if m.epoch == epoch {
			s.fence(g, m)
		}
	})
}

// fenceRetry is the pause before a member is fenced again whose end the log did not take.
const fenceRetry = 1000

// fence removes a member of which nothing was heard, or that does not do its part.
func (s *Shard) fence(g *group, m *consumerMember) {
	if g.consumer == nil || g.consumer.members[m.id] != m {
		return
	}
	if code := s.remove(g, []*consumerMember{m}, func(wire.ErrorCode) {}); code != wire.None && !s.gone {
		s.timers().Start(&m.session, s.after(fenceRetry), func() { s.fence(g, m) })
	}
}

// remove takes members out of the group, which may change to the classic protocol then.
func (s *Shard) remove(g *group, leaving []*consumerMember, done func(wire.ErrorCode)) wire.ErrorCode {
	if len(leaving) == 1 && s.mayDowngrade(g, leaving[0].id, len(g.consumer.members)-1) {
		return s.downgrade(g, leaving[0], nil, done)
	}
	var records []coordinator.Record
	for _, m := range leaving {
		records = append(records, memberTombstones(g.id, m.id)...)
	}
	records = append(records, epochRecord(g.id, g.consumer.epoch+1, g.consumer.hash))
	return s.append(records, done)
}

// leave takes the sender out; a static member may leave its place to its next life.
func (s *Shard) leave(r *Beat, reply func(BeatReply), refuse func(*refused)) {
	g := s.find(r.Group)
	if g == nil || g.consumer == nil {
		refuse(&refused{wire.GroupIDNotFound, "Group " + r.Group + " not found."})
		return
	}
	m := g.consumer.members[r.Member]
	if r.Instance != nil {
		m = g.consumer.members[g.consumer.static[*r.Instance]]
	}
	switch {
	case m == nil:
		refuse(&refused{wire.UnknownMemberID, "Member " + r.Member + " is not a member of group " + r.Group + "."})
		return
	case r.Connection < m.connection:
		refuse(&refused{wire.FencedMemberEpoch, "Member " + r.Member + " has been heard of over a newer connection since."})
		return
	case m.id != r.Member:
		refuse(&refused{wire.FencedInstanceID, "Static member " + r.Member + " was fenced by member " + m.id + "."})
		return
	}
	done := func(code wire.ErrorCode) {
		out := BeatReply{Member: r.Member, Epoch: r.Epoch}
		if code != wire.None {
			out = beatFailed(code)
		}
		reply(out)
	}
	var code wire.ErrorCode
	if r.Epoch == leaveStaticEpoch {
		left := m.current
		left.epoch, left.revoking = leaveStaticEpoch, nil
		code = s.append([]coordinator.Record{currentRecord(g.id, m.id, &left)}, done)
		if code == wire.None {
			s.timers().Stop(&m.rebalance)
		}
	} else {
		code = s.remove(g, []*consumerMember{m}, done)
	}
	if code != wire.None {
		reply(beatFailed(code))
	}
}

// consumerLoaded gives the members that a load or a change of the group's protocol has brought a session.
func (s *Shard) consumerLoaded(g *group) {
	for _, id := range g.consumer.ids() {
		m := g.consumer.members[id]
		s.consumerSession(g, m)
		if m.state == unrevoked && m.classic == nil {
			s.revocation(g, m)
		}
	}
}

// mayCommitConsumer judges a commit of a group of the consumer protocol (C2).
func (s *Shard) mayCommitConsumer(g *group, r *Commit, inTransaction bool) wire.ErrorCode {
	c := g.consumer
	if r.Generation < 0 && (c.empty() || inTransaction && r.Member == "") {
		return wire.None
	}
	m := c.members[r.Member]
	switch {
	case m == nil:
		return wire.UnknownMemberID
	case m.classic != nil && m.epoch != r.Generation, m.classic == nil && inTransaction && m.epoch != r.Generation:
		return wire.IllegalGeneration
	case m.classic == nil && !inTransaction && !r.Modern:
		return wire.UnsupportedVersion
	case m.epoch != r.Generation:
		return wire.StaleMemberEpoch
	}
	return wire.None
}

// mayFetch judges a fetch of offsets: administrators do not say who they are.
func (c *consumer) mayFetch(member string, epoch int32) wire.ErrorCode {
	if member == "" && epoch < 0 {
		return wire.None
	}
	m := c.members[member]
	switch {
	case m == nil:
		return wire.UnknownMemberID
	case m.epoch != epoch:
		return wire.StaleMemberEpoch
	}
	return wire.None
}
