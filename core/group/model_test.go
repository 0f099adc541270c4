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

// model drives one partition's groups with requests that may be late, doubled, or of nobody, while the partition commits late and loses
// what is not committed at elections.
//
//	C1, C4  what is fetched is never older than what was answered or fetched before
//	C5      what a new shard makes of the log is what the live one has
//	V       every request is answered, once
type model struct {
	*world
	t       *rapid.T
	next    int64
	floor   map[string]int64 // by group and partition: nothing older may be seen
	highest map[string]int64
	deleted map[string]int64 // up to which value a deletion may have taken
	open    int              // requests without an answer
	members map[string][]string
	gens    map[string]int32
	txns    int64
}

var groupNames = []string{"a", "b", "c"}

func (m *model) shard() *Shard {
	s, _ := m.groups.Find("a")
	return s
}

// once guards an answer.
func (m *model) once() func() {
	m.open++
	answered := false
	return func() {
		if answered {
			m.t.Fatal("a request is answered twice")
		}
		answered = true
		m.open--
	}
}

func (m *model) member(group string) (id string, generation int32) {
	known := append([]string{"", "nobody"}, m.members[group]...)
	return rapid.SampledFrom(known).Draw(m.t, "member"), m.gens[group] - int32(rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(m.t, "late"))
}

func (m *model) join(group string) {
	s := m.shard()
	if s == nil {
		return
	}
	id, _ := m.member(group)
	r := &JoinRequest{
		Group: group, Member: id, ClientID: "c", ProtocolType: consumerType, SessionTimeout: 10_000, RebalanceTimeout: 20_000,
		Protocols: []Protocol{{"range", wanting("t")}}, NeedsID: rapid.Bool().Draw(m.t, "needs id"), MaySkip: true,
	}
	if rapid.Bool().Draw(m.t, "second protocol") {
		r.Protocols = append(r.Protocols, Protocol{"rr", wanting("u")})
	}
	if rapid.IntRange(0, 3).Draw(m.t, "static") == 0 {
		r.Instance = rapid.SampledFrom([]string{"i", "j"}).Draw(m.t, "instance")
	}
	answered := m.once()
	s.Join(r, func(out JoinReply) {
		answered()
		if out.MemberID != "" && (out.Code == wire.None || out.Code == wire.MemberIDRequired) && !slices.Contains(m.members[group], out.MemberID) {
			m.members[group] = append(m.members[group], out.MemberID)
		}
		if out.Code == wire.None {
			m.gens[group] = out.Generation
		}
	})
}

// wanting is a consumer's metadata.
func wanting(topics ...string) []byte {
	w := writer{}
	w.int16(0)
	w.count(len(topics))
	for _, t := range topics {
		w.string(t)
	}
	w.int32(-1)
	return w.p
}

func (m *model) sync(group string) {
	s := m.shard()
	if s == nil {
		return
	}
	id, generation := m.member(group)
	r := &SyncRequest{Group: group, Member: id, Generation: generation, Assignments: map[string][]byte{}}
	for i, member := range m.members[group] {
		r.Assignments[member] = []byte{byte(i)}
	}
	answered := m.once()
	s.Sync(r, func(SyncReply) { answered() })
}

func (m *model) heartbeat(group string) {
	if s := m.shard(); s != nil {
		id, generation := m.member(group)
		answered := m.once()
		s.Heartbeat(group, id, "", generation, func(wire.ErrorCode) { answered() })
	}
}

func (m *model) leave(group string) {
	if s := m.shard(); s != nil {
		id, _ := m.member(group)
		answered := m.once()
		s.Leave(group, []Leaver{{Member: id}}, func(wire.ErrorCode, []wire.ErrorCode) { answered() })
	}
}

func (m *model) commit(group string) {
	s := m.shard()
	if s == nil {
		return
	}
	partition := rapid.Int32Range(0, 1).Draw(m.t, "partition")
	k := fmt.Sprint(group, partition)
	m.next++
	value := m.next
	r := &Commit{Group: group, Generation: -1, Retention: -1}
	if rapid.Bool().Draw(m.t, "as a member") {
		r.Member, r.Generation = m.member(group)
	}
	r.Offsets = []Offset{{Topic: "t", Committed: Committed{Partition: partition, Offset: record.Offset(value), LeaderEpoch: -1, Topic: m.topics[0].ID}}}
	m.highest[k] = value
	answered := m.once()
	s.Commit(r, func(codes []wire.ErrorCode) {
		answered()
		if codes[0] == wire.None {
			m.raise(k, value)
		}
	})
}

// raise notes what was seen, unless a deletion may have come behind it.
func (m *model) raise(k string, value int64) {
	if value > m.deleted[k] {
		m.floor[k] = max(m.floor[k], value)
	}
}

func (m *model) fetch(group string) {
	s := m.shard()
	if s == nil {
		return
	}
	floor := map[int32]int64{}
	for p := range int32(2) {
		floor[p] = m.floor[fmt.Sprint(group, p)]
	}
	answered := m.once()
	s.FetchOffsets(&FetchOffsets{Group: group, Epoch: -1, Topics: []WantedOffsets{{"t", []int32{0, 1}}}}, func(f FetchedOffsets) {
		answered()
		if f.Code != wire.None {
			return
		}
		for _, o := range f.Topics[0].Offsets {
			k := fmt.Sprint(group, o.Partition)
			got := int64(o.Offset)
			if got < floor[o.Partition] && floor[o.Partition] > m.deleted[k] || got > m.highest[k] {
				m.t.Fatalf("C1: %s: fetched %d, want at least %d", k, got, floor[o.Partition])
			}
			m.raise(k, got)
		}
	})
}

// transact stages or ends offsets of one of two producers. The model only looks that state and fold agree on them.
func (m *model) transact(group string) {
	s := m.shard()
	if s == nil {
		return
	}
	producer := record.ProducerID(rapid.Int64Range(1, 2).Draw(m.t, "producer"))
	answered := m.once()
	if rapid.Bool().Draw(m.t, "end") {
		marker := record.Marker{Type: record.ControlType(rapid.IntRange(0, 1).Draw(m.t, "committed"))}
		if code := s.host.EndTransaction(producer, 0, marker, func(wire.ErrorCode) { answered() }); code != wire.None {
			answered()
		}
		return
	}
	m.txns++
	r := &Commit{Group: group, Generation: -1, Retention: -1, Offsets: []Offset{{Topic: "u", Committed: Committed{Offset: record.Offset(m.txns), LeaderEpoch: -1}}}}
	if rapid.Bool().Draw(m.t, "plain") {
		s.Commit(r, func([]wire.ErrorCode) { answered() })
		return
	}
	s.CommitInTransaction(r, producer, 0, func([]wire.ErrorCode) { answered() })
}

func (m *model) elect() {
	keep := m.log.mark + record.Offset(rapid.Int64Range(0, int64(m.log.end-m.log.mark)).Draw(m.t, "keep"))
	m.world.elect(keep)
}

// check holds the live state against the log (C5).
func (m *model) check() {
	s := m.shard()
	if s == nil {
		return
	}
	skip := s.unsettled()
	if live, folded := s.dump(skip), m.fold().dump(skip); live != folded {
		m.t.Fatalf("C5: live\n%s\nfolded\n%s", live, folded)
	}
	if len(m.logged) > 0 {
		m.t.Fatal(m.logged)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			world: newWorld(t), t: t, floor: map[string]int64{}, highest: map[string]int64{}, deleted: map[string]int64{}, members: map[string][]string{}, gens: map[string]int32{},
		}
		inGroup := func(f func(string)) func(*rapid.T) {
			return func(*rapid.T) { f(rapid.SampledFrom(groupNames).Draw(t, "group")) }
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": inGroup(m.join), "join again": inGroup(m.join), "sync": inGroup(m.sync), "sync again": inGroup(m.sync),
			"heartbeat": inGroup(m.heartbeat), "leave": inGroup(m.leave),
			"commit": inGroup(m.commit), "fetch": inGroup(m.fetch), "transact": inGroup(m.transact),
			"delete": inGroup(func(group string) {
				if s := m.shard(); s != nil {
					for p := range int32(2) {
						m.floor[fmt.Sprint(group, p)], m.deleted[fmt.Sprint(group, p)] = 0, m.next
					}
					answered := m.once()
					s.Delete(group, func(wire.ErrorCode) { answered() })
				}
			}),
			"advance": func(t *rapid.T) {
				m.log.commit(m.log.mark + record.Offset(rapid.Int64Range(0, 3).Draw(t, "by")))
				m.groups.EndDrain()
			},
			"job": func(*rapid.T) { m.step() },
			"time": func(t *rapid.T) {
				m.pass(time.Duration(rapid.Int64Range(1, 15_000).Draw(t, "millis")) * time.Millisecond)
			},
			"jobs":  func(*rapid.T) { m.run() },
			"elect": func(*rapid.T) { m.elect() }, "elect quietly": func(*rapid.T) { m.electQuietly() },
			"": func(*rapid.T) { m.check() },
		})
		for range 20 {
			m.settled()
			m.pass(time.Minute)
		}
		if m.open > 0 {
			t.Fatalf("V: %d requests were never answered", m.open)
		}
		m.check()
	})
}
