package traffic

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// MemberOptions describe a member of a group.
type MemberOptions struct {
	Name     string
	Actor    uint64
	Instance string // "" for a dynamic one
	Pace     time.Duration
	// Session and Rebalance are the member's timeouts; one of the consumer protocol has the broker's session timeout.
	Session, Rebalance time.Duration
	// Restless: it pauses, crashes, leaves and commits late.
	Restless bool
	// Regex and Assignor are for the consumer protocol.
	Regex    bool
	Assignor string
}

// life is what members of both protocols have in common: one life after the other, in which they do what they should and what they should not.
type life struct {
	*Band
	o       MemberOptions
	rand    sim.Stream
	client  int
	seat    *seat
	holder  *ledger.Holder
	member  string
	epoch   int32 // or the generation
	since   int64 // when it learned of that
	busy    bool
	number  int // of the life
	awake   int64
	pasts   []ledger.Member // as whom it could commit before
	classic bool
	benched bool   // it does nothing: somebody else acts in its place, or it has quit
	calm    bool   // it has seen that the faults are over
	onEnd   func() // is called when a life has ended, if it is not nil
}

func newLife(b *Band, o MemberOptions, classic bool) life {
	return life{
		Band: b, o: o, rand: b.Stage.World.Stream(domainMember, o.Actor), client: int(o.Actor), seat: b.Stage.seat(o.Name, b.Books.ID, o.Actor),
		holder: b.Books.Holder(o.Name), epoch: -1, classic: classic,
	}
}

// ended is the end of a life.
func (l *life) ended() {
	if l.onEnd != nil {
		l.onEnd()
	}
}

func (l *life) count(what string) { l.Counts[what]++ }

// who is as whom the member commits now.
func (l *life) who() ledger.Member {
	return ledger.Member{ID: l.member, Instance: l.o.Instance, Generation: l.epoch, Since: l.since, Classic: l.classic}
}

// remember keeps an identity that is about to end: somebody may still commit as it.
func (l *life) remember() {
	if l.member != "" && l.epoch >= 0 {
		if l.pasts = append(l.pasts, l.who()); len(l.pasts) > 4 {
			l.pasts = l.pasts[1:]
		}
	}
}

// owned are the partitions that the member has.
func (l *life) owned() (list []*Target) {
	has := l.holder.Has()
	for _, t := range l.targets() {
		if slices.Contains(has, keyOf(t)) {
			list = append(list, t)
		}
	}
	return list
}

// trouble may have the member do something that it should not, and reports whether it is away because of that. gone ends its life.
func (l *life) trouble(gone func()) bool {
	now := l.Stage.now()
	if l.Calm && !l.calm {
		if l.calm = true; l.quits(gone) {
			return true
		}
	}
	if now < l.awake {
		return true
	}
	if l.Calm || !l.o.Restless {
		return false
	}
	nap := func(most time.Duration) { l.awake = now + int64(l.rand.Between(most/4, most)) }
	switch l.rand.Below(240) {
	case 0:
		l.count("member pauses")
		nap(2 * l.o.Session)
	case 1, 2:
		l.count("member crashes")
		l.remember()
		l.seat.close()
		gone()
		nap(2 * l.o.Session)
	case 3, 4, 5, 6:
		l.zombie()
	case 7, 8:
		l.count("member loses its connection")
		l.seat.leave()
	default:
		return false
	}
	return true
}

// quits has one of a few members crash for good when the faults are over: the group has to notice by itself (V6).
func (l *life) quits(gone func()) bool {
	r := l.Stage.World.Stream(domainQuit, l.o.Actor)
	if !l.o.Restless || r.Below(4) > 0 {
		return false
	}
	l.count("member quits")
	l.Stage.tell(l.o.Name, "%s quits", l.member)
	l.remember()
	l.seat.close()
	gone()
	l.benched = true
	return true
}

// zombie commits over a connection of its own: as what the member is now, but late, or as what it was once.
func (l *life) zombie() {
	who, targets := l.who(), l.owned()
	if len(l.pasts) > 0 && l.rand.Below(3) > 0 {
		who, targets = l.pasts[l.rand.Below(int64(len(l.pasts)))], l.targets()
	}
	if len(targets) == 0 || who.ID == "" || l.seat.place == nowhere {
		return
	}
	late := l.rand.Between(0, l.o.Session)
	node := l.Stage.Nodes[l.seat.place]
	var p *peer
	p = l.Stage.dial(node, l.o.Name+"-late", func() {
		l.Stage.World.After(late, func() {
			l.count("late commit")
			l.commit(p, &l.rand, 1000+l.client, who, targets[:1], func(code wire.ErrorCode, ok bool) {
				if ok && code != wire.None {
					l.count("zombie refused")
				}
				p.close()
			})
		})
	}, nil)
}

// Member is a member of a group of the classic protocol.
type Member struct {
	life
	state  joinState
	leader []kmsg.JoinGroupResponseMember // what the leader has to share
	beatAt int64
}

type joinState uint8

const (
	outside joinState = iota
	joined            // a generation, but without a part
	working
)

// NewMember starts a member of the classic protocol.
func NewMember(b *Band, o MemberOptions) *Member {
	m := newMember(b, o)
	m.later()
	return m
}

func newMember(b *Band, o MemberOptions) *Member {
	m := &Member{life: newLife(b, o, true)}
	b.lives = append(b.lives, &m.life)
	return m
}

func (m *Member) later() { m.Stage.World.After(m.rand.Between(0, 2*m.o.Pace), m.act) }

func (m *Member) act() {
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
	switch {
	case m.state == outside:
		m.join(p)
	case m.state == joined:
		m.sync(p)
	case m.Stage.now() >= m.beatAt:
		m.beat(p)
	case m.rand.Below(40) == 0 && m.o.Restless && !m.Calm && m.o.Instance == "":
		m.goAway(p)
	case m.rand.Below(3) == 0:
		m.fetchOwn(p)
	default:
		m.commitOwn(p)
	}
}

// die forgets everything, as a process that ends.
func (m *Member) die() {
	m.holder.DropAll()
	m.member, m.epoch, m.state, m.busy = "", -1, outside, false
	m.number++
	m.ended()
}

// lose is the end of a part in a generation. The member keeps its id if it may.
func (m *Member) lose(id bool) {
	m.remember()
	m.holder.DropAll()
	if m.state = outside; id {
		m.member, m.epoch = "", -1
	}
}

// answered runs f with an answer in the life in which the request was sent.
func (m *Member) answered(f func(kmsg.Response)) func(kmsg.Response) {
	number := m.number
	return func(r kmsg.Response) {
		if number == m.number {
			m.busy = false
			f(r)
		}
	}
}

func (m *Member) instance() *string {
	if m.o.Instance == "" {
		return nil
	}
	return &m.o.Instance
}

func (m *Member) join(p *peer) {
	m.busy = true
	m.remember()
	m.holder.DropAll()
	m.Books.Rejoins(m.member)
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.MemberID, r.InstanceID, r.ProtocolType = m.Books.ID, m.member, m.instance(), "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = int32(m.o.Session/time.Millisecond), int32(m.o.Rebalance/time.Millisecond)
	topics := kmsg.ConsumerMemberMetadata{Topics: m.Topics}
	r.Protocols = append(r.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: topics.AppendTo(nil)})
	least := int16(1)
	if m.o.Instance != "" {
		least = 5
	}
	p.ask(r, version(&m.rand, wire.JoinGroup, least), m.o.Rebalance+8*time.Second, m.answered(func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.JoinGroupResponse)
		if !ok {
			return
		}
		code := wire.ErrorCode(got.ErrorCode)
		m.Stage.tell(m.o.Name, "joined %s: %s, %s, generation %d, leader %s", m.Books.ID, code, got.MemberID, got.Generation, got.LeaderID)
		switch {
		case code == wire.None:
			m.member, m.epoch, m.since, m.state, m.leader = got.MemberID, got.Generation, m.Stage.now(), joined, nil
			if got.LeaderID == got.MemberID && !got.SkipAssignment {
				m.leader = got.Members
			}
		case code == wire.MemberIDRequired:
			m.member = got.MemberID
		case code == wire.UnknownMemberID, code == wire.FencedInstanceID:
			m.lose(true)
		default:
			m.seat.moved(code)
		}
	}))
}

// share is the range assignor: the leader gives each member its part of every topic.
func (m *Member) share() (parts []kmsg.SyncGroupRequestGroupAssignment) {
	names := make([]string, len(m.leader))
	for i := range m.leader {
		names[i] = m.leader[i].MemberID
	}
	slices.Sort(names)
	targets := m.targets()
	token := binary.BigEndian.AppendUint64(nil, m.rand.Uint64())
	for i, name := range names {
		a := kmsg.ConsumerMemberAssignment{UserData: token}
		for _, topic := range m.Topics {
			n := 0
			for _, t := range targets {
				if t.Topic == topic {
					n++
				}
			}
			var list []int32
			for at := i * n / len(names); at < (i+1)*n/len(names); at++ {
				list = append(list, int32(at))
			}
			a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: topic, Partitions: list})
		}
		parts = append(parts, kmsg.SyncGroupRequestGroupAssignment{MemberID: name, MemberAssignment: a.AppendTo(nil)})
	}
	return parts
}

func (m *Member) sync(p *peer) {
	m.busy = true
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.InstanceID, r.Generation = m.Books.ID, m.member, m.instance(), m.epoch
	r.GroupAssignment = m.share()
	least := int16(0)
	if m.o.Instance != "" {
		least = 3
	}
	v := version(&m.rand, wire.SyncGroup, least)
	if kind, protocol := "consumer", "range"; v >= 5 {
		r.ProtocolType, r.Protocol = &kind, &protocol
	}
	sent := m.Stage.now()
	p.ask(r, v, m.o.Rebalance+8*time.Second, m.answered(func(answer kmsg.Response) {
		if got, ok := answer.(*kmsg.SyncGroupResponse); ok {
			m.synced(sent, got)
		}
	}))
}

func (m *Member) synced(sent int64, got *kmsg.SyncGroupResponse) {
	code := wire.ErrorCode(got.ErrorCode)
	m.Stage.tell(m.o.Name, "synced generation %d of %s: %s, %d bytes", m.epoch, m.Books.ID, code, len(got.MemberAssignment))
	switch {
	case code == wire.None:
		var a kmsg.ConsumerMemberAssignment
		if len(got.MemberAssignment) > 0 && a.ReadFrom(got.MemberAssignment) != nil {
			m.Stage.Books.Check("C7", false, "group %s: member %s is assigned %x", m.Books.ID, m.member, got.MemberAssignment)
			return
		}
		m.since, m.state = m.Stage.now(), working
		if len(a.UserData) == 8 {
			m.Books.Completed(m.member, m.o.Instance, m.epoch, sent, binary.BigEndian.Uint64(a.UserData))
		}
		if m.Books.Mixed {
			m.Books.Told(m.member, m.o.Instance, m.epoch, sent)
		}
		var keys []ledger.OffsetKey
		for _, t := range a.Topics {
			for _, index := range t.Partitions {
				keys = append(keys, ledger.OffsetKey{Topic: t.Topic, Index: index})
			}
		}
		m.count("rebalances")
		m.holder.Take(keys, m.trust(sent))
		m.next()
	case code == wire.UnknownMemberID, code == wire.FencedInstanceID:
		m.lose(true)
	case code == wire.RebalanceInProgress, code == wire.IllegalGeneration, code == wire.InconsistentGroupProtocol:
		m.lose(false)
	default:
		m.seat.moved(code)
	}
}

// trust is how long what was told in answer to a request holds: clocks of brokers may run a little faster.
func (l *life) trust(sent int64) int64 { return sent + int64(min(l.o.Session, l.o.Rebalance)/100*98) }

func (m *Member) next() {
	m.beatAt = m.Stage.now() + int64(m.rand.Between(m.o.Session/12, m.o.Session/4))
}

func (m *Member) beat(p *peer) {
	m.busy = true
	m.next()
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.InstanceID, r.Generation = m.Books.ID, m.member, m.instance(), m.epoch
	least := int16(0)
	if m.o.Instance != "" {
		least = 3
	}
	sent := m.Stage.now()
	p.ask(r, version(&m.rand, wire.Heartbeat, least), 5*time.Second, m.answered(func(answer kmsg.Response) {
		got, ok := answer.(*kmsg.HeartbeatResponse)
		if !ok {
			return
		}
		if code := wire.ErrorCode(got.ErrorCode); code == wire.None {
			m.Books.Alive(m.member, sent)
			m.holder.Keep(m.trust(sent))
		} else {
			m.disturbed(sent, code)
		}
	}))
}

// disturbed takes an answer that is not what a member at work wants to hear.
func (m *Member) disturbed(sent int64, code wire.ErrorCode) {
	m.Stage.tell(m.o.Name, "%s, generation %d of %s: %s", m.member, m.epoch, m.Books.ID, code)
	switch code {
	case wire.RebalanceInProgress:
		m.Books.Alive(m.member, sent)
		m.lose(false)
	case wire.IllegalGeneration:
		m.lose(false)
	case wire.UnknownMemberID, wire.FencedInstanceID:
		m.lose(true)
	default:
		m.seat.moved(code)
	}
}

func (m *Member) commitOwn(p *peer) {
	targets := m.owned()
	if len(targets) == 0 {
		return
	}
	m.busy = true
	sent, number := m.Stage.now(), m.number
	m.commit(p, &m.rand, m.client, m.who(), targets, func(code wire.ErrorCode, ok bool) {
		if number != m.number {
			return
		}
		if m.busy = false; ok && code != wire.None {
			m.disturbed(sent, code)
		}
	})
}

func (m *Member) fetchOwn(p *peer) {
	targets := m.owned()
	if len(targets) == 0 {
		return
	}
	m.busy = true
	number := m.number
	m.fetch(p, &m.rand, m.client, ledger.Member{Classic: true}, targets, func(code wire.ErrorCode, ok bool) {
		if number == m.number {
			m.busy = false
			m.seat.moved(code)
		}
	})
}

// goAway leaves the group in order, and comes back as another member.
func (m *Member) goAway(p *peer) {
	m.busy = true
	m.count("member leaves")
	m.remember()
	m.holder.DropAll()
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group, r.MemberID = m.Books.ID, m.member
	r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: m.member})
	p.ask(r, version(&m.rand, wire.LeaveGroup, 0), 5*time.Second, m.answered(func(kmsg.Response) {
		m.die()
		m.awake = m.Stage.now() + int64(m.rand.Between(0, 2*m.o.Session))
	}))
}
