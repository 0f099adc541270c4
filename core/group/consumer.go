package group

import (
	"slices"

	"lignum/core/coordinator"
	"lignum/core/invariant"
	"lignum/core/record"
	"lignum/core/timer"
)

// consumer is the part of a group that follows the consumer protocol (KIP-848): the coordinator computes who shall have which partition
// (the target), and every member moves towards it by itself. What a member has lost is given away only when the member has confirmed
// that it let go of it, or is gone (C7).
//
// Everything here but the timers is the fold of the group's records.
type consumer struct {
	epoch       int32 // counts the changes of members, subscriptions and topics
	targetEpoch int32 // the epoch that the target was computed for
	hash        int64 // of the topics as they were then; 0 if there are none
	members     map[string]*consumerMember
	static      map[string]string // instance id to member
	target      map[string]parts  // by member
	regexes     map[string][]string

	// owners says who has a partition or has not let go of it yet.
	owners map[record.Partition]string
	// since is the wall time from which on nobody is in the group.
	since int64

	// checked is the version of the topics at which the hash was compared last.
	checked record.Offset
}

// memberState is where a member is on its way to the target.
type memberState int8

// The states, with Apache Kafka's numbers.
const (
	reconciled memberState = 0
	unrevoked  memberState = 1 // it has yet to confirm that it let go of some partitions
	unreleased memberState = 2 // it waits for partitions that others have not let go of
)

// facts are what a member has said of itself.
type facts struct {
	instance, rack, clientID, host string
	topics                         []string // sorted
	regex, assignor                string
	rebalanceTimeout               int32 // milliseconds
	classic                        *classicFacts
}

// classicFacts are there for a member that speaks the classic protocol (KIP-848's migration).
type classicFacts struct {
	sessionTimeout int32
	protocols      []Protocol
}

// current is what a member has.
type current struct {
	epoch, previous    int32
	state              memberState
	assigned, revoking parts
}

// The epochs by which a member says that it leaves.
const (
	leaveEpoch       = -1
	leaveStaticEpoch = -2 // to come back under the same instance id
)

type consumerMember struct {
	id string
	facts
	current
	session, rebalance, join, sync timer.Timer
	// connection is the newest one over which the member was heard of.
	connection uint64
}

func newConsumer() *consumer {
	return &consumer{
		members: map[string]*consumerMember{}, static: map[string]string{}, target: map[string]parts{},
		regexes: map[string][]string{}, owners: map[record.Partition]string{}, checked: record.NoOffset,
	}
}

func (c *consumer) empty() bool { return len(c.members) == 0 }

// ids lists the members in order.
func (c *consumer) ids() []string {
	ids := make([]string, 0, len(c.members))
	//house:anyorder they are sorted below
	for id := range c.members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (m *consumerMember) stop(q *timer.Queue) {
	q.Stop(&m.session)
	q.Stop(&m.rebalance)
	q.Stop(&m.join)
	q.Stop(&m.sync)
}

func (c *consumer) stop(q *timer.Queue) {
	//house:anyorder stopping timers leaves no trace of their order
	for _, m := range c.members {
		m.stop(q)
	}
}

// reconciledTo reports whether a member has what the target of an epoch gives it.
func (m *current) reconciledTo(epoch int32) bool { return m.state == reconciled && m.epoch == epoch }

type consumerState uint8

const (
	consumerEmpty consumerState = iota
	assigning
	reconciling
	consumerStable
)

// String is Kafka's name.
func (s consumerState) String() string {
	return [...]string{"Empty", "Assigning", "Reconciling", "Stable"}[s]
}

func (c *consumer) state() consumerState {
	switch {
	case c.empty():
		return consumerEmpty
	case c.epoch > c.targetEpoch:
		return assigning
	}
	//house:anyorder whether there is one does not depend on which is found
	for _, m := range c.members {
		if !m.reconciledTo(c.targetEpoch) {
			return reconciling
		}
	}
	return consumerStable
}

// subscribes reports whether a member wants a topic.
func (c *consumer) subscribes(f *facts, topic string) bool {
	if _, ok := slices.BinarySearch(f.topics, topic); ok {
		return true
	}
	if f.regex == "" {
		return false
	}
	_, ok := slices.BinarySearch(c.regexes[f.regex], topic)
	return ok
}

// wants reports whether any member wants a topic.
func (c *consumer) wants(topic string) bool {
	//house:anyorder whether there is one does not depend on which is found
	for _, m := range c.members {
		if c.subscribes(&m.facts, topic) {
			return true
		}
	}
	return false
}

// replayConsumer applies a record of a consumer group.
func (s *Shard) replayConsumer(at coordinator.Position, k key, value []byte) error {
	if k.version == keyConsumerEpoch && value == nil {
		if g := s.find(k.group); g != nil && g.consumer != nil {
			s.forget(k.group)
		}
		return nil
	}
	if k.version == keyConsumerTopics {
		return nil
	}
	if g := s.find(k.group); value == nil && (g == nil || g.consumer == nil) {
		return nil
	}
	c := s.makeConsumer(k.group)
	switch k.version {
	case keyConsumerEpoch:
		epoch, hash, err := decodeEpoch(value)
		if err == nil {
			c.epoch, c.hash = epoch, hash
		}
		return err
	case keyTargetEpoch:
		epoch, _, err := decodeEpoch(value)
		if value != nil && err == nil {
			c.targetEpoch = epoch
		}
		return err
	case keyConsumerMember:
		return s.replayMember(c, k.name, value)
	case keyTargetMember:
		return c.replayTarget(k.name, value)
	case keyRegex:
		return c.replayRegex(k.name, value)
	}
	return s.replayCurrent(at, c, k, value)
}

// makeConsumer makes the group one of the consumer protocol, if it is not.
func (s *Shard) makeConsumer(id string) *consumer {
	g := s.make(id)
	if g.consumer == nil {
		g.classic.stop(s.timers())
		g.classic, g.consumer, g.stored = nil, newConsumer(), true
		g.consumer.since = int64(s.host.Wall())
	}
	return g.consumer
}

func (s *Shard) replayMember(c *consumer, id string, value []byte) error {
	m := c.members[id]
	if value == nil {
		if m != nil {
			c.own(m, current{})
			m.stop(s.timers())
			delete(c.members, id)
			if c.static[m.instance] == id {
				delete(c.static, m.instance)
			}
			if c.empty() {
				c.since = int64(s.host.Wall())
			}
		}
		return nil
	}
	f, err := decodeFacts(value)
	if err != nil {
		return err
	}
	if m == nil {
		m = &consumerMember{id: id}
		c.members[id] = m
	}
	if c.static[m.instance] == id {
		delete(c.static, m.instance)
	}
	if m.facts = f; f.instance != "" {
		c.static[f.instance] = id
	}
	return nil
}

func (c *consumer) replayTarget(id string, value []byte) error {
	if value == nil {
		delete(c.target, id)
		return nil
	}
	p, err := decodeTarget(value)
	if err == nil {
		c.target[id] = p
	}
	return err
}

func (c *consumer) replayRegex(regex string, value []byte) error {
	if value == nil {
		delete(c.regexes, regex)
		return nil
	}
	topics, err := decodeRegex(value)
	if err == nil {
		c.regexes[regex] = topics
	}
	return err
}

func (s *Shard) replayCurrent(at coordinator.Position, c *consumer, k key, value []byte) error {
	m := c.members[k.name]
	if value == nil {
		if m != nil {
			c.own(m, current{})
		}
		return nil
	}
	next, err := decodeCurrent(value)
	if err != nil {
		return err
	}
	if m == nil {
		m = &consumerMember{id: k.name}
		c.members[k.name] = m
	}
	if at.Live && next.epoch >= 0 && m.epoch > next.epoch && next.epoch != 0 {
		invariant.Violated("group %s: member %s goes from epoch %d to %d (C8)", k.group, m.id, m.epoch, next.epoch)
	}
	if other := c.own(m, next); other != "" && at.Live {
		invariant.Violated("group %s: member %s gets a partition that %s has (C7)", k.group, m.id, other)
	}
	return nil
}

// own gives a member what it has from now on, and returns another member that has some of it, if one has.
func (c *consumer) own(m *consumerMember, next current) (other string) {
	for _, list := range [...]parts{m.assigned, m.revoking} {
		for _, p := range list {
			if c.owners[p] == m.id {
				delete(c.owners, p)
			}
		}
	}
	m.current = next
	for _, list := range [...]parts{next.assigned, next.revoking} {
		for _, p := range list {
			if owner, ok := c.owners[p]; ok && owner != m.id {
				other = owner
			}
			c.owners[p] = m.id
		}
	}
	return other
}

// tombstones end the group in the log.
func (c *consumer) tombstones(id string) []coordinator.Record {
	var records []coordinator.Record
	for _, member := range c.ids() {
		records = append(records, memberTombstones(id, member)...)
	}
	for _, regex := range c.expressions() {
		records = append(records, tombstone(key{version: keyRegex, group: id, name: regex}))
	}
	return append(records,
		tombstone(key{version: keyTargetEpoch, group: id}),
		tombstone(key{version: keyConsumerEpoch, group: id}))
}

// expressions lists the regular expressions that the group has resolved, in order.
func (c *consumer) expressions() []string {
	list := make([]string, 0, len(c.regexes))
	//house:anyorder they are sorted below
	for regex := range c.regexes {
		list = append(list, regex)
	}
	slices.Sort(list)
	return list
}

func memberTombstones(group, member string) []coordinator.Record {
	return []coordinator.Record{
		tombstone(key{version: keyCurrentMember, group: group, name: member}),
		tombstone(key{version: keyTargetMember, group: group, name: member}),
		tombstone(key{version: keyConsumerMember, group: group, name: member}),
	}
}
