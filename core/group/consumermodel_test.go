package group

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lignum/core/record"
	"lignum/core/wire"

	"pgregory.net/rapid"
)

// consumers is a group of members that follow the consumer protocol as clients do, with lost answers, late requests, slow revocations,
// deaths, and elections.
//
//	C7  no two members have a partition at one time by their own view, unless one was fenced
//	C8  a member's epoch rises as long as it is the same member
//	V   when the world is calm, every partition of the topics that are wanted has an owner
type consumers struct {
	*world
	t       *rapid.T
	clients []*client
	names   int
	open    int
	quiet   bool // no answer is lost any more
}

// client is one member's own view.
type client struct {
	id         string
	instance   *string
	topics     []string
	regex      *string
	epoch      int32
	owned      parts
	assigned   parts // what it was told last
	pending    bool  // a request waits for its answer
	full       bool  // the next request says everything
	connection uint64
	sent       []Beat // earlier requests
	dead       bool
}

func (m *consumers) shard() *Shard {
	s, _ := m.groups.Find("g")
	return s
}

func (m *consumers) spawn() {
	if len(m.clients) >= 5 {
		return
	}
	m.names++
	c := &client{id: fmt.Sprint("m", m.names), full: true}
	switch rapid.IntRange(0, 3).Draw(m.t, "wants") {
	case 0:
		c.topics = []string{"t"}
	case 1:
		regex := "[tu]"
		c.topics, c.regex = []string{}, &regex
	default:
		c.topics = []string{"t", "u"}
	}
	m.clients = append(m.clients, c)
}

func (m *consumers) pick() *client {
	if len(m.clients) == 0 {
		return nil
	}
	return m.clients[rapid.IntRange(0, len(m.clients)-1).Draw(m.t, "client")]
}

// beat sends what the client has to say.
func (m *consumers) beat(c *client) {
	if c == nil || c.pending {
		return
	}
	r := Beat{
		Group: "g", Member: c.id, Epoch: c.epoch, Instance: c.instance, Connection: c.connection, RebalanceTimeout: -1,
		SaysOwned: true, Owned: slices.Clone(c.owned),
	}
	if c.epoch == 0 || c.full {
		r.RebalanceTimeout, r.Topics, r.Regex = 60_000, c.topics, c.regex
		c.full = false
	}
	c.sent = append(c.sent, r)
	c.pending = true
	m.send(r, func(out BeatReply) { m.heard(c, &r, out) })
}

func (m *consumers) send(r Beat, heard func(BeatReply)) {
	s := m.shard()
	if s == nil {
		heard(BeatReply{Code: wire.NotCoordinator})
		return
	}
	m.open++
	answered := false
	s.Beat(&r, func(out BeatReply) {
		if answered {
			m.t.Fatal("a heartbeat is answered twice")
		}
		answered = true
		m.open--
		heard(out)
	})
}

// heard takes over an answer, unless it is lost on its way: then the client says everything again, over another connection.
func (m *consumers) heard(c *client, r *Beat, out BeatReply) {
	c.pending = false
	if c.dead {
		return
	}
	if !m.quiet && rapid.IntRange(0, 4).Draw(m.t, "lost") == 0 {
		c.full = true
		c.connection++
		return
	}
	switch out.Code {
	case wire.None:
		if out.Epoch < c.epoch {
			m.t.Fatalf("C8: %s goes from epoch %d to %d", c.id, c.epoch, out.Epoch)
		}
		c.epoch = out.Epoch
		if out.Tells {
			c.assigned = partsOf(slices.Clone(out.Assigned))
			c.owned = c.owned.plus(c.assigned)
			if rapid.IntRange(0, 2).Draw(m.t, "slow") > 0 {
				m.adopt(c)
			}
		}
	case wire.FencedMemberEpoch, wire.UnknownMemberID, wire.GroupIDNotFound, wire.UnreleasedInstanceID:
		c.epoch, c.owned, c.assigned, c.full = 0, nil, nil, true
	case wire.NotCoordinator, wire.CoordinatorNotAvailable, wire.CoordinatorLoadInProgress:
		c.full = true
		c.connection++
	default:
		m.t.Fatalf("%s: %v %s", c.id, out.Code, out.Message)
	}
}

// late: what was sent over an older connection arrives, or arrives once more.
func (m *consumers) late(c *client) {
	if c == nil {
		return
	}
	old := slices.DeleteFunc(slices.Clone(c.sent), func(r Beat) bool { return r.Connection >= c.connection })
	if len(old) > 0 {
		m.send(rapid.SampledFrom(old).Draw(m.t, "request"), func(BeatReply) {})
	}
}

// adopt has the client let go of what it has lost. What it has won it has from the moment at which it hears of it: one that reports it
// later could be taken for somebody who let go of it already.
func (m *consumers) adopt(c *client) { c.owned = slices.Clone(c.assigned) }

// check looks for partitions that two members have that the coordinator holds for members.
func (m *consumers) check() {
	s := m.shard()
	if s == nil || s.find("g") == nil || s.find("g").consumer == nil {
		return
	}
	group := s.find("g").consumer
	owner := map[record.Partition]*client{}
	for _, c := range m.clients {
		member := group.members[c.id]
		if c.dead || member == nil {
			continue // its session is over, it will hear of it
		}
		for _, p := range c.owned {
			if other := owner[p]; other != nil {
				m.t.Fatalf("C7: %s and %s have %d\n%s", other.id, c.id, p.Index, group.dump("g"))
			}
			owner[p] = c
		}
	}
	if live, folded := s.dump(nil), m.fold().dump(nil); live != folded {
		m.t.Fatalf("C5: live\n%s\nfolded\n%s", live, folded)
	}
	if len(m.logged) > 0 {
		m.t.Fatal(m.logged)
	}
}

// calm lets everybody speak until nothing changes any more.
func (m *consumers) calm() {
	m.quiet = true
	for range 40 {
		m.settled()
		for _, c := range m.clients {
			if !c.dead {
				c.full = true
				m.beat(c)
				m.settled()
				m.adopt(c)
			}
		}
		m.pass(5 * time.Second)
		m.settled()
		m.check()
	}
}

func TestConsumerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &consumers{world: newWorld(t), t: t}
		t.Repeat(map[string]func(*rapid.T){
			"spawn": func(*rapid.T) { m.spawn() },
			"beat":  func(*rapid.T) { m.beat(m.pick()) }, "beat again": func(*rapid.T) { m.beat(m.pick()) }, "beat more": func(*rapid.T) { m.beat(m.pick()) },
			"late": func(*rapid.T) { m.late(m.pick()) }, "later": func(*rapid.T) { m.late(m.pick()) },
			"adopt": func(*rapid.T) {
				if c := m.pick(); c != nil {
					m.adopt(c)
				}
			},
			"die": func(*rapid.T) {
				if c := m.pick(); c != nil && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					c.dead = true
					c.owned = nil
					m.clients = slices.DeleteFunc(m.clients, func(other *client) bool { return other == c })
				}
			},
			"leave": func(*rapid.T) {
				c := m.pick()
				if c == nil || c.pending || c.epoch == 0 {
					return
				}
				r := Beat{Group: "g", Member: c.id, Epoch: leaveEpoch, Connection: c.connection, RebalanceTimeout: -1}
				m.send(r, func(BeatReply) {})
				c.sent = append(c.sent, r)
				c.epoch, c.owned, c.assigned, c.full = 0, nil, nil, true
				c.connection++
			},
			"partitions": func(*rapid.T) {
				if n := &m.topics[rapid.IntRange(0, 1).Draw(t, "topic")]; n.Partitions < 8 {
					n.Partitions++
					m.version++
				}
			},
			"advance": func(t *rapid.T) {
				m.log.commit(m.log.mark + record.Offset(rapid.Int64Range(0, 3).Draw(t, "by")))
				m.groups.EndDrain()
			},
			"job": func(*rapid.T) { m.step() },
			"time": func(t *rapid.T) {
				m.pass(time.Duration(rapid.Int64Range(1, 15_000).Draw(t, "millis")) * time.Millisecond)
			},
			"elect": func(*rapid.T) {
				keep := m.log.mark + record.Offset(rapid.Int64Range(0, int64(m.log.end-m.log.mark)).Draw(m.t, "keep"))
				m.elect(keep)
			},
			"jobs":          func(*rapid.T) { m.run() },
			"elect quietly": func(*rapid.T) { m.electQuietly() },
			"":              func(*rapid.T) { m.check() },
		})
		m.finish()
	})
}

// finish calms the world: everybody is answered, and every partition that somebody wants has an owner.
func (m *consumers) finish() {
	m.spawn()
	m.calm()
	if m.open > 0 {
		m.t.Fatalf("V: %d heartbeats were never answered", m.open)
	}
	want := 0
	has := 0
	for i, name := range []string{"t", "u"} {
		if slices.ContainsFunc(m.clients, func(c *client) bool { return c.regex != nil || slices.Contains(c.topics, name) }) {
			want += int(m.topics[i].Partitions)
		}
	}
	for _, c := range m.clients {
		has += len(c.owned)
	}
	if has != want {
		g := m.shard().find("g")
		m.t.Fatalf("V: %d partitions have an owner, want %d\n%s", has, want, g.consumer.dump("g"))
	}
}
