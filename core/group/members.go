package group

import (
	"slices"

	"lignum/core/timer"
)

// consumerType is the protocol type of consumers; others (Kafka Connect's, say) assign what they like.
const consumerType = "consumer"

type classicState uint8

const (
	empty classicState = iota
	preparing
	completing
	stable
)

// String is Kafka's name.
func (s classicState) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable"}[s]
}

// classic is the part of a group that follows the classic protocol.
//
// Invariants: the leader is a member, if there is any; joining counts the members whose join waits; of each instance id
// there is one member (C8).
type classic struct {
	state   classicState
	initial bool // preparing, and the group was empty before
	newest  bool // a member came while it was so
	// unrecorded: the group is empty, and the log does not know it yet.
	unrecorded bool
	// headless: the log has members and no leader; see downgrade.
	headless bool

	protocolType string
	protocol     string // chosen for this generation
	generation   int32
	leader       string
	since        int64 // wall time of the last change of state, -1 if it is not known

	members  []*classicMember // in the order in which they came
	byID     map[string]*classicMember
	static   map[string]*classicMember // by instance id
	expected map[string]*pendingMember // have an id and will join with it (KIP-394)
	supports map[string]int            // how many members speak a protocol
	joining  int
	unsynced int  // members that have not asked for their part of this generation
	storing  bool // the leader's assignment is on its way into the log

	joinTimer, syncTimer timer.Timer

	subscribed []string // topics, sorted
	knows      bool     // subscribed is known
}

// classicMember is one of them.
type classicMember struct {
	id, instance, clientID, host     string
	rebalanceTimeout, sessionTimeout int32 // milliseconds
	protocols                        []Protocol
	assignment                       []byte

	fresh    bool // has not seen a generation yet
	unsynced bool
	join     func(JoinReply)
	sync     func(SyncReply)
	session  timer.Timer
}

type pendingMember struct{ session timer.Timer }

func newClassic() *classic { return &classic{since: -1} }

// bare: nobody is in the group, or about to come, or ever was.
func (c *classic) bare() bool {
	return c.state == empty && len(c.members) == 0 && len(c.expected) == 0
}

// stop unsets all timers.
func (c *classic) stop(q *timer.Queue) {
	q.Stop(&c.joinTimer)
	q.Stop(&c.syncTimer)
	for _, m := range c.members {
		q.Stop(&m.session)
	}
	//house:anyorder stopping timers leaves no trace of their order
	for _, p := range c.expected {
		q.Stop(&p.session)
	}
}

// add puts a member in.
func (c *classic) add(m *classicMember, protocolType string) {
	if c.byID == nil {
		c.byID, c.static, c.supports = map[string]*classicMember{}, map[string]*classicMember{}, map[string]int{}
	}
	if len(c.members) == 0 {
		c.protocolType = protocolType
	}
	if c.leader == "" {
		c.leader = m.id
	}
	c.members = append(c.members, m)
	c.byID[m.id] = m
	if m.instance != "" {
		c.static[m.instance] = m
	}
	c.count(m, 1)
}

// remove takes a member out. Whoever waits on it must have been answered.
func (c *classic) remove(q *timer.Queue, m *classicMember) {
	q.Stop(&m.session)
	delete(c.byID, m.id)
	if c.static[m.instance] == m {
		delete(c.static, m.instance)
	}
	c.members = slices.DeleteFunc(c.members, func(other *classicMember) bool { return other == m })
	c.count(m, -1)
	c.synced(m)
	if c.leader == m.id {
		c.leader = ""
		if len(c.members) > 0 {
			c.leader = c.members[0].id
		}
	}
}

// rename gives a static member's place to its next life.
func (c *classic) rename(m *classicMember, id string) {
	delete(c.byID, m.id)
	if c.leader == m.id {
		c.leader = id
	}
	m.id = id
	c.byID[id] = m
}

func (c *classic) count(m *classicMember, by int) {
	for _, p := range m.protocols {
		if c.supports[p.Name] += by; c.supports[p.Name] == 0 {
			delete(c.supports, p.Name)
		}
	}
}

// update takes over what a member says of itself when it joins again.
func (c *classic) update(m *classicMember, r *JoinRequest) {
	c.count(m, -1)
	m.protocols = r.Protocols
	c.count(m, 1)
	m.rebalanceTimeout, m.sessionTimeout = r.RebalanceTimeout, r.SessionTimeout
}

// expect notes that a member will come, or does not any more.
func (c *classic) expect(id string) *pendingMember {
	if c.expected == nil {
		c.expected = map[string]*pendingMember{}
	}
	p := &pendingMember{}
	c.expected[id] = p
	return p
}

func (c *classic) unexpect(q *timer.Queue, id string) {
	if p := c.expected[id]; p != nil {
		q.Stop(&p.session)
		delete(c.expected, id)
	}
}

// synced notes that a member has its part of the generation, or is not there to want it.
func (c *classic) synced(m *classicMember) {
	if m.unsynced {
		m.unsynced = false
		c.unsynced--
	}
}

func (c *classic) allJoined() bool { return c.joining == len(c.members) && len(c.expected) == 0 }

// rebalanceTimeout is the longest that a member has asked for.
func (c *classic) rebalanceTimeout() (millis int32) {
	for _, m := range c.members {
		millis = max(millis, m.rebalanceTimeout)
	}
	return millis
}

// waits has the member wait for the group's next generation. One request of a member waits at a time.
func (m *classicMember) waits(c *classic, reply func(JoinReply)) {
	if m.join != nil {
		m.answerJoin(c, JoinReply{Code: superseded, MemberID: m.id})
	}
	m.join = reply
	c.joining++
}

// answerJoin answers the member's join, if one waits.
func (m *classicMember) answerJoin(c *classic, r JoinReply) {
	if reply := m.join; reply != nil {
		m.join = nil
		c.joining--
		reply(r)
	}
}

// answerSync answers the member's sync, if one waits.
func (m *classicMember) answerSync(r SyncReply) bool {
	reply := m.sync
	if reply == nil {
		return false
	}
	m.sync = nil
	reply(r)
	return true
}

// metadata is what the member has said for a protocol.
func (m *classicMember) metadata(protocol string) []byte {
	for i := range m.protocols {
		if m.protocols[i].Name == protocol {
			return m.protocols[i].Metadata
		}
	}
	return nil
}

// speaks reports whether the member's protocols are just these.
func (m *classicMember) speaks(protocols []Protocol) bool {
	return slices.EqualFunc(m.protocols, protocols, func(a, b Protocol) bool {
		return a.Name == b.Name && string(a.Metadata) == string(b.Metadata)
	})
}

// accepts reports whether somebody who speaks these protocols fits in.
func (c *classic) accepts(protocolType string, protocols []Protocol) bool {
	if c.state == empty {
		return protocolType != "" && len(protocols) > 0
	}
	return c.protocolType == protocolType && slices.ContainsFunc(protocols, func(p Protocol) bool {
		return c.supports[p.Name] == len(c.members)
	})
}

// elect chooses the protocol that everybody speaks and most like best; among equals the one that got its first vote first.
func (c *classic) elect() string {
	votes := map[string]int{}
	var order []string
	for _, m := range c.members {
		for i := range m.protocols {
			name := m.protocols[i].Name
			if c.supports[name] != len(c.members) {
				continue
			}
			if votes[name]++; votes[name] == 1 {
				order = append(order, name)
			}
			break
		}
	}
	best := ""
	for _, name := range order {
		if best == "" || votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// learn finds out which topics the members want, if they are consumers.
func (c *classic) learn() {
	c.subscribed, c.knows = nil, false
	if c.protocolType != consumerType {
		return
	}
	if len(c.members) == 0 {
		c.knows = true
		return
	}
	if c.protocol == "" {
		return
	}
	for _, m := range c.members {
		topics, err := subscribedTopics(m.metadata(c.protocol))
		if err != nil {
			c.subscribed = nil
			return
		}
		c.subscribed = append(c.subscribed, topics...)
	}
	slices.Sort(c.subscribed)
	c.subscribed, c.knows = slices.Compact(c.subscribed), true
}

// wants reports whether a member may still read the topic: consumers of which that is not known may.
func (c *classic) wants(topic string) bool {
	if !c.knows {
		return c.protocolType == consumerType
	}
	_, found := slices.BinarySearch(c.subscribed, topic)
	return found
}

// subscribedTopics reads the topics in a consumer's metadata; what comes behind them is the consumers' own affair.
func subscribedTopics(p []byte) ([]string, error) {
	r := reader{p: p}
	r.int16() // version
	var topics []string
	for n := r.count(2); n > 0 && !r.failed; n-- {
		topics = append(topics, r.string())
	}
	return topics, r.err()
}

// unexpectAll forgets those who have an id and have not joined yet.
func (c *classic) unexpectAll(q *timer.Queue) {
	//house:anyorder stopping timers leaves no trace of their order
	for id := range c.expected {
		c.unexpect(q, id)
	}
}
