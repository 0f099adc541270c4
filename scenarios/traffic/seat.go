package traffic

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// Domains of the draws of those who deal with groups.
const (
	domainSeats = sim.DomainUser + 32 + iota
	domainMember
	domainKeeper
	domainMigrant
	domainQuit
)

// Crowd is what all who deal with groups share.
type Crowd struct {
	Stage *Stage
	Books *ledger.Groups
	// Session is the session timeout of the consumer protocol, as all brokers have it.
	Session time.Duration
	// Calm ends all that members do wrong; Over ends everything.
	Calm, Over bool
	// Counts counts what members did, by what the summary calls it.
	Counts map[string]uint64
}

// Band is one group.
type Band struct {
	*Crowd
	Books *ledger.Group
	// Topics are what members subscribe to.
	Topics []string

	lives []*life // of the members
}

// roll are the ids of the members, in order.
func (b *Band) roll() (ids []string) {
	for _, l := range b.lives {
		if !l.benched {
			ids = append(ids, l.member)
		}
	}
	slices.Sort(ids)
	return ids
}

// targets are the partitions that the members share.
func (b *Band) targets() (list []*Target) {
	for _, t := range b.Stage.Targets {
		for _, name := range b.Topics {
			if t.Topic == name {
				list = append(list, t)
			}
		}
	}
	return list
}

func keyOf(t *Target) ledger.OffsetKey { return ledger.OffsetKey{Topic: t.Topic, Index: t.Index} }

// seat is a client's way to the coordinator of a group.
type seat struct {
	stage   *Stage
	name    string
	group   string
	rand    sim.Stream
	place   int // of the coordinator; nowhere if it is not known
	peer    *peer
	asking  bool
	guide   *peer // whom the client asks
	pausing bool
}

func (s *Stage) seat(name, group string, actor uint64) *seat {
	return &seat{stage: s, name: name, group: group, rand: s.World.Stream(domainSeats, actor), place: nowhere}
}

// link is a connection to the coordinator that stands; nil if there is none yet.
func (s *seat) link() *peer {
	if s.place == nowhere {
		s.ask()
		return nil
	}
	if s.peer == nil || s.peer.over {
		if s.peer != nil && s.rand.Below(2) == 0 {
			s.place = nowhere
		}
		s.peer = nil
		if s.place != nowhere {
			s.peer = s.stage.dial(s.stage.Nodes[s.place], s.name, nil, nil)
		}
		return nil
	}
	if !s.peer.ready {
		return nil
	}
	return s.peer
}

// ask asks some broker for the coordinator.
func (s *seat) ask() {
	if s.asking || s.pausing {
		return
	}
	if s.guide == nil || s.guide.over {
		s.guide = s.stage.dial(s.stage.Nodes[s.rand.Below(int64(len(s.stage.Nodes)))], s.name, nil, nil)
		return
	}
	if !s.guide.ready {
		return
	}
	s.asking = true
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.CoordinatorKey, r.CoordinatorKeys = s.group, []string{s.group}
	guide := s.guide
	guide.ask(r, version(&s.rand, wire.FindCoordinator, 1), 5*time.Second, func(answer kmsg.Response) {
		s.asking = false
		s.rest()
		got, ok := answer.(*kmsg.FindCoordinatorResponse)
		if !ok {
			guide.close()
			return
		}
		node, code := got.NodeID, got.ErrorCode
		if len(got.Coordinators) == 1 {
			node, code = got.Coordinators[0].NodeID, got.Coordinators[0].ErrorCode
		}
		s.stage.tell(s.name, "the coordinator of %s is %d: %s", s.group, node, wire.ErrorCode(code))
		if s.place = nowhere; code == 0 {
			s.place = s.stage.placeOf(node)
		} else if s.rand.Below(2) == 0 {
			guide.close()
		}
	})
}

func (s *seat) rest() {
	s.pausing = true
	s.stage.World.After(askAgain, func() { s.pausing = false })
}

// moved notes an answer that says who is no coordinator, and reports whether it was one.
func (s *seat) moved(code wire.ErrorCode) bool {
	switch code {
	case wire.NotCoordinator:
		s.leave()
		s.place = nowhere
		return true
	case wire.CoordinatorNotAvailable, wire.CoordinatorLoadInProgress:
		return true
	}
	return false
}

// leave ends the connection to the coordinator.
func (s *seat) leave() {
	s.peer.closeIfAny()
	s.peer = nil
}

// close ends all connections.
func (s *seat) close() {
	s.leave()
	s.guide.closeIfAny()
}
