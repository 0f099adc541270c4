package traffic

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/scenarios/ledger"
)

// ConsumerMember is a member of a group of the consumer protocol (KIP-848): it lets go of what it has lost before it confirms that.
type ConsumerMember struct {
	life
	whole   bool // the next heartbeat has to say everything
	losing  []ledger.OffsetKey
	lostAt  int64 // when it has let go of them
	changed bool  // what it has is not yet told
	beatAt  int64
	regex   string   // what it wants, if it uses expressions
	named   []string // and besides
}

// NewConsumerMember starts a member of the consumer protocol.
func NewConsumerMember(b *Band, o MemberOptions) *ConsumerMember {
	m := newConsumerMember(b, o)
	m.later()
	return m
}

func newConsumerMember(b *Band, o MemberOptions) *ConsumerMember {
	o.Session = b.Session
	m := &ConsumerMember{life: newLife(b, o, false)}
	b.lives = append(b.lives, &m.life)
	m.die()
	return m
}

func (m *ConsumerMember) later() { m.Stage.World.After(m.rand.Between(0, 2*m.o.Pace), m.act) }

// die begins a new life, as another member.
func (m *ConsumerMember) die() {
	m.remember()
	m.holder.DropAll()
	m.number++
	m.member = fmt.Sprintf("%s-%d", m.o.Name, m.number)
	m.epoch, m.busy, m.whole, m.losing = 0, false, true, nil
	m.ended()
}

func (m *ConsumerMember) act() {
	if m.Over {
		m.seat.close()
		return
	}
	m.later()
	if m.benched || m.trouble(m.die) || m.busy {
		return
	}
	p := m.seat.link()
	if p == nil {
		return
	}
	now := m.Stage.now()
	if len(m.losing) > 0 && now >= m.lostAt {
		m.holder.Drop(m.losing)
		m.losing, m.changed = nil, true
	}
	switch {
	case m.epoch == 0 || m.changed || m.whole || now >= m.beatAt:
		m.beat(p)
	case m.rand.Below(60) == 0 && m.o.Restless && !m.Calm:
		m.goAway(p)
	case m.rand.Below(3) == 0:
		m.fetchOwn(p)
	default:
		m.commitOwn(p)
	}
}

func (m *ConsumerMember) request(epoch int32) *kmsg.ConsumerGroupHeartbeatRequest {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Group, r.MemberID, r.MemberEpoch, r.RebalanceTimeoutMillis = m.Books.ID, m.member, epoch, -1
	if m.o.Instance != "" {
		r.InstanceID = &m.o.Instance
	}
	return r
}

func (m *ConsumerMember) beat(p *peer) {
	m.busy = true
	m.beatAt = m.Stage.now() + int64(m.rand.Between(m.o.Session/12, m.o.Session/4))
	r := m.request(m.epoch)
	v := int16(1)
	if m.whole || m.epoch == 0 || m.rand.Below(8) == 0 {
		r.RebalanceTimeoutMillis = int32(m.o.Rebalance / time.Millisecond)
		m.subscribe(r)
		if m.o.Assignor != "" {
			r.ServerAssignor = &m.o.Assignor
		}
		r.Topics = m.told()
	}
	if m.changed {
		r.Topics = m.told()
	}
	m.whole, m.changed = false, false
	sent, number := m.Stage.now(), m.number
	p.ask(r, v, 5*time.Second, func(answer kmsg.Response) {
		if number != m.number {
			return
		}
		m.busy = false
		got, ok := answer.(*kmsg.ConsumerGroupHeartbeatResponse)
		if !ok {
			m.whole = true
			return
		}
		m.answered(sent, got)
	})
}

// subscribe says which topics the member wants. One that uses regular expressions changes its mind now and then, also back to names.
func (m *ConsumerMember) subscribe(r *kmsg.ConsumerGroupHeartbeatRequest) {
	if r.SubscribedTopicNames = m.Topics; !m.o.Regex {
		return
	}
	if m.epoch == 0 || !m.Calm && m.rand.Below(8) == 0 {
		all := strings.Join(m.Topics, "|")
		list := []string{all, all, "t.*", "[tu][0-9]?", ".*" + m.Topics[0], ""}
		m.regex, m.named = list[m.rand.Below(int64(len(list)))], nil
		if m.Crowd.Books.Expiring {
			m.regex = list[m.rand.Below(2)*2] // what nobody reads any more would expire
		}
		if m.regex == "" || m.rand.Below(4) == 0 {
			m.named = m.Topics[:1+m.rand.Below(int64(len(m.Topics)))]
		}
		m.count("expressions")
	}
	r.SubscribedTopicNames, r.SubscribedTopicRegex = append([]string{}, m.named...), &m.regex
}

// told are the partitions that the member has, as it tells them.
func (m *ConsumerMember) told() []kmsg.ConsumerGroupHeartbeatRequestTopic {
	list := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	has := m.holder.Has()
	for _, t := range m.Stage.Targets {
		if !slices.Contains(has, keyOf(t)) {
			continue
		}
		if n := len(list); n == 0 || list[n-1].TopicID != t.ID {
			list = append(list, kmsg.ConsumerGroupHeartbeatRequestTopic{TopicID: t.ID})
		}
		n := len(list) - 1
		list[n].Partitions = append(list[n].Partitions, t.Index)
	}
	return list
}

func (m *ConsumerMember) answered(sent int64, got *kmsg.ConsumerGroupHeartbeatResponse) {
	code := wire.ErrorCode(got.ErrorCode)
	if code != wire.None || got.Assignment != nil {
		m.Stage.tell(m.o.Name, "%s of %s, epoch %d: %s, epoch %d, %+v", m.member, m.Books.ID, m.epoch, code, got.MemberEpoch, got.Assignment)
	}
	if code != wire.None {
		m.disturbed(code)
		return
	}
	m.Books.Told(m.member, m.o.Instance, got.MemberEpoch, sent)
	if m.o.Regex {
		m.Books.Vague(m.member)
	}
	if got.MemberEpoch != m.epoch {
		m.remember()
		m.epoch, m.since = got.MemberEpoch, m.Stage.now()
		m.count("rebalances")
	}
	if got.Assignment != nil {
		m.assigned(sent, got.Assignment)
	} else if len(m.losing) == 0 {
		m.holder.Keep(m.trust(sent))
	}
}

// assigned begins to let go of what was lost, and takes what was won.
func (m *ConsumerMember) assigned(sent int64, a *kmsg.ConsumerGroupHeartbeatResponseAssignment) {
	var keys []ledger.OffsetKey
	for i := range a.Topics {
		for _, t := range m.Stage.Targets {
			if t.ID == a.Topics[i].TopicID && slices.Contains(a.Topics[i].Partitions, t.Index) {
				keys = append(keys, keyOf(t))
			}
		}
	}
	m.losing = nil
	for _, k := range m.holder.Has() {
		if !slices.Contains(keys, k) {
			m.losing = append(m.losing, k)
		}
	}
	if len(m.losing) > 0 {
		m.lostAt = m.Stage.now() + int64(m.rand.Between(0, m.o.Rebalance/3))
		m.holder.Take(keys, 0)
		return
	}
	m.holder.Take(keys, m.trust(sent))
	m.holder.Keep(m.trust(sent))
	m.changed = true
}

func (m *ConsumerMember) disturbed(code wire.ErrorCode) {
	switch code {
	case wire.UnknownMemberID:
		m.Books.Gone(m.member)
		m.die()
	case wire.FencedMemberEpoch, wire.FencedInstanceID, wire.GroupIDNotFound:
		m.die()
	case wire.UnreleasedInstanceID:
		m.awake = m.Stage.now() + int64(m.o.Session/4)
		m.whole = true
	default:
		m.whole = true
		m.seat.moved(code)
	}
}

func (m *ConsumerMember) commitOwn(p *peer) {
	targets := m.owned()
	if len(targets) == 0 {
		return
	}
	m.busy = true
	number := m.number
	m.commit(p, &m.rand, m.client, m.who(), targets, func(code wire.ErrorCode, ok bool) {
		if number == m.number {
			m.busy = false
			m.afterCommit(code)
		}
	})
}

func (m *ConsumerMember) afterCommit(code wire.ErrorCode) {
	switch code {
	case wire.UnknownMemberID:
		m.Books.Gone(m.member)
		m.die()
	case wire.StaleMemberEpoch:
		m.whole = true
	default:
		m.seat.moved(code)
	}
}

func (m *ConsumerMember) fetchOwn(p *peer) {
	targets := m.owned()
	if len(targets) == 0 {
		return
	}
	m.busy = true
	number := m.number
	m.fetch(p, &m.rand, m.client, m.who(), targets, func(code wire.ErrorCode, ok bool) {
		if number == m.number {
			m.busy = false
			m.afterCommit(code)
		}
	})
}

// goAway leaves the group: a static member for a while, with its place kept.
func (m *ConsumerMember) goAway(p *peer) {
	m.busy = true
	m.count("member leaves")
	m.remember()
	m.holder.DropAll()
	epoch := int32(-1)
	if m.o.Instance != "" && m.rand.Below(2) == 0 {
		epoch = -2
	}
	number := m.number
	p.ask(m.request(epoch), 1, 5*time.Second, func(answer kmsg.Response) {
		if number != m.number {
			return
		}
		if got, ok := answer.(*kmsg.ConsumerGroupHeartbeatResponse); ok && got.ErrorCode == 0 && epoch == -1 {
			m.Books.Gone(m.member)
		}
		m.die()
		m.awake = m.Stage.now() + int64(m.rand.Between(0, 2*m.o.Session))
	})
}
