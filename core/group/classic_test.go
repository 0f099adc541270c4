package group

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lignum/core/wire"
)

// join asks to join and runs the world until there is an answer; nil if there is none yet.
func (w *world) join(t *testing.T, r JoinRequest) *JoinReply {
	t.Helper()
	if r.Group == "" {
		r.Group = "g"
	}
	if r.ProtocolType == "" {
		r.ProtocolType = consumerType
	}
	if r.Protocols == nil {
		r.Protocols = []Protocol{{"range", wanting("t")}}
	}
	if r.SessionTimeout == 0 {
		r.SessionTimeout, r.RebalanceTimeout = 10_000, 60_000
	}
	r.ClientID, r.Host = "c", "/host"
	var got *JoinReply
	w.shard(t).Join(&r, func(out JoinReply) { got = &out })
	w.settled()
	w.pass(time.Millisecond)
	w.settled()
	return got
}

func (w *world) syncs(t *testing.T, r SyncRequest) *SyncReply {
	t.Helper()
	r.Group = "g"
	var got *SyncReply
	w.shard(t).Sync(&r, func(out SyncReply) { got = &out })
	w.settled()
	return got
}

func (w *world) commits(t *testing.T, r Commit) wire.ErrorCode {
	t.Helper()
	if r.Group == "" {
		r.Group = "g"
	}
	r.Retention = -1
	r.Offsets = []Offset{{Topic: "t", Committed: Committed{Offset: 7, LeaderEpoch: -1}}}
	code := wire.ErrorCode(-2)
	w.shard(t).Commit(&r, func(codes []wire.ErrorCode) { code = codes[0] })
	w.settled()
	return code
}

func (w *world) beats(t *testing.T, member, instance string, generation int32) wire.ErrorCode {
	t.Helper()
	code := wire.ErrorCode(-2)
	w.shard(t).Heartbeat("g", member, instance, generation, func(c wire.ErrorCode) { code = c })
	w.settled()
	return code
}

// stableGroup has one dynamic member and one static one, i, which leads.
func stableGroup(t *testing.T) (w *world, dynamic, static string) {
	t.Helper()
	w = newWorld(t)
	first := w.join(t, JoinRequest{Instance: "i"})
	if first == nil || first.Code != wire.None {
		t.Fatalf("first join: %+v", first)
	}
	var second *JoinReply
	w.shard(t).Join(&JoinRequest{
		Group: "g", ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}}, SessionTimeout: 10_000, RebalanceTimeout: 60_000,
	}, func(out JoinReply) { second = &out })
	again := w.join(t, JoinRequest{Instance: "i", Member: first.MemberID})
	if again == nil || second == nil || again.Generation != 2 || len(again.Members) != 2 || len(second.Members) != 0 {
		t.Fatalf("second round: %+v %+v", again, second)
	}
	dynamic, static = second.MemberID, first.MemberID
	var part *SyncReply
	w.shard(t).Sync(&SyncRequest{Group: "g", Member: dynamic, Generation: 2}, func(out SyncReply) { part = &out })
	lead := w.syncs(t, SyncRequest{Member: static, Generation: 2, Assignments: map[string][]byte{dynamic: {1}, static: {2}}})
	if part == nil || string(part.Assignment) != "\x01" || lead == nil || string(lead.Assignment) != "\x02" {
		t.Fatalf("sync: %+v %+v", part, lead)
	}
	return w, dynamic, static
}

// TestClassicCodes holds the codes of requests to a stable group in generation 2 against Apache Kafka's.
func TestClassicCodes(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	for _, c := range []struct {
		name string
		got  wire.ErrorCode
		want wire.ErrorCode
	}{
		{"heartbeat", w.beats(t, dynamic, "", 2), wire.None},
		{"heartbeat of another generation", w.beats(t, dynamic, "", 1), wire.IllegalGeneration},
		{"heartbeat of nobody", w.beats(t, "nobody", "", 2), wire.UnknownMemberID},
		{"heartbeat of a static member", w.beats(t, static, "i", 2), wire.None},
		{"heartbeat of a fenced static member", w.beats(t, "old", "i", 2), wire.FencedInstanceID},
		{"heartbeat of an unknown instance", w.beats(t, dynamic, "j", 2), wire.UnknownMemberID},
		{"commit", w.commits(t, Commit{Member: dynamic, Generation: 2}), wire.None},
		{"commit of another generation", w.commits(t, Commit{Member: dynamic, Generation: 3}), wire.IllegalGeneration},
		{"commit of nobody", w.commits(t, Commit{Member: "nobody", Generation: 2}), wire.UnknownMemberID},
		{"commit of a stranger to a group in use", w.commits(t, Commit{Generation: -1}), wire.UnknownMemberID},
		{"commit of a fenced static member", w.commits(t, Commit{Member: "old", Instance: "i", Generation: 2}), wire.FencedInstanceID},
		{"commit to no group by a member", w.commits(t, Commit{Group: "none", Member: "m", Generation: 1}), wire.IllegalGeneration},
		{"commit to no group by a member, version 9", w.commits(t, Commit{Group: "none", Member: "m", Generation: 1, Modern: true}), wire.GroupIDNotFound},
		{"commit to no group by a stranger", w.commits(t, Commit{Group: "simple", Generation: -1}), wire.None},
		{"sync", w.syncs(t, SyncRequest{Member: dynamic, Generation: 2}).Code, wire.None},
		{"sync of another generation", w.syncs(t, SyncRequest{Member: dynamic, Generation: 1}).Code, wire.IllegalGeneration},
		{"sync of nobody", w.syncs(t, SyncRequest{Member: "nobody", Generation: 2}).Code, wire.UnknownMemberID},
		{"sync of a fenced static member", w.syncs(t, SyncRequest{Member: "old", Instance: "i", Generation: 2}).Code, wire.FencedInstanceID},
		{"sync with another protocol", w.syncs(t, SyncRequest{Member: dynamic, Generation: 2, ProtocolType: consumerType, Protocol: "rr"}).Code, wire.InconsistentGroupProtocol},
		{"join of nobody", w.join(t, JoinRequest{Member: "nobody"}).Code, wire.UnknownMemberID},
		{"join of no group by a member", w.join(t, JoinRequest{Group: "none", Member: "m"}).Code, wire.UnknownMemberID},
		{"join with another type", w.join(t, JoinRequest{ProtocolType: "connect"}).Code, wire.InconsistentGroupProtocol},
		{"join with no common protocol", w.join(t, JoinRequest{Protocols: []Protocol{{"rr", nil}}}).Code, wire.InconsistentGroupProtocol},
		{"join of a fenced static member", w.join(t, JoinRequest{Member: "old", Instance: "i"}).Code, wire.FencedInstanceID},
		{"join with a short session", w.join(t, JoinRequest{SessionTimeout: 1}).Code, wire.InvalidSessionTimeout},
		{"join without an id", w.join(t, JoinRequest{NeedsID: true}).Code, wire.MemberIDRequired},
		{"join of a follower that changed nothing", w.join(t, JoinRequest{Member: dynamic}).Code, wire.None},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if g := w.shard(t).find("g").classic; g.state != stable || g.generation != 2 {
		t.Errorf("the group is %v in generation %d", g.state, g.generation)
	}
}

// TestRebalanceCodes: while members join, and until the assignment is safe.
func TestRebalanceCodes(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	if out := w.join(t, JoinRequest{}); out != nil {
		t.Fatalf("a new member does not wait: %+v", out)
	}
	check := func(name string, got, want wire.ErrorCode) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	check("heartbeat", w.beats(t, dynamic, "", 2), wire.RebalanceInProgress)
	check("sync", w.syncs(t, SyncRequest{Member: dynamic, Generation: 2}).Code, wire.RebalanceInProgress)
	check("commit", w.commits(t, Commit{Member: dynamic, Generation: 2}), wire.None)
	if out := w.join(t, JoinRequest{Member: dynamic}); out != nil {
		t.Fatalf("the join does not wait for the other: %+v", out)
	}
	out := w.join(t, JoinRequest{Member: static, Instance: "i"})
	if out == nil || out.Generation != 3 || len(out.Members) != 3 {
		t.Fatalf("the round does not end: %+v", out)
	}
	check("heartbeat", w.beats(t, dynamic, "", 3), wire.None)
	check("commit", w.commits(t, Commit{Member: dynamic, Generation: 3}), wire.RebalanceInProgress)
	w.log.refuse = wire.NotEnoughReplicas
	check("the leader's sync", w.syncs(t, SyncRequest{Member: static, Generation: 3}).Code, wire.CoordinatorNotAvailable)
	w.log.refuse = wire.None
	check("heartbeat behind it", w.beats(t, dynamic, "", 3), wire.RebalanceInProgress)
}

// TestStaticMemberRestarts: the others are not disturbed, and the old life is fenced (KIP-345).
func TestStaticMemberRestarts(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	for _, skip := range []bool{true, false} {
		out := w.join(t, JoinRequest{Instance: "i", MaySkip: skip})
		if out == nil || out.Code != wire.None || out.Generation != 2 || out.MemberID == static || out.SkipAssignment != skip || (len(out.Members) > 0) != skip {
			t.Fatalf("the join of the next life: %+v", out)
		}
		if code := w.beats(t, static, "i", 2); code != wire.FencedInstanceID {
			t.Errorf("the old life's heartbeat: %v", code)
		}
		if code := w.beats(t, dynamic, "", 2); code != wire.None {
			t.Errorf("the other's heartbeat: %v", code)
		}
		static = out.MemberID
		if part := w.syncs(t, SyncRequest{Member: static, Instance: "i", Generation: 2}); string(part.Assignment) != "\x02" {
			t.Errorf("its part: %+v", part)
		}
	}
}

// TestSessionEnds: who is silent is out after the session timeout, and the rest goes on without it.
func TestSessionEnds(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	for range 3 {
		w.pass(4 * time.Second)
		if code := w.beats(t, static, "i", 2); code != wire.None && code != wire.RebalanceInProgress {
			t.Fatal(code)
		}
	}
	if code := w.beats(t, dynamic, "", 2); code != wire.UnknownMemberID {
		t.Errorf("the silent member's heartbeat: %v", code)
	}
	if out := w.join(t, JoinRequest{Member: static, Instance: "i"}); out == nil || out.Generation != 3 || len(out.Members) != 1 {
		t.Errorf("the next generation: %+v", out)
	}
}

// TestSyncIsASignOfLife: a member that is told its part has a session from then on.
func TestSyncIsASignOfLife(t *testing.T) {
	w, dynamic, _ := stableGroup(t)
	w.pass(6 * time.Second)
	w.syncs(t, SyncRequest{Member: dynamic, Generation: 2})
	w.pass(6 * time.Second)
	if code := w.beats(t, dynamic, "", 2); code == wire.UnknownMemberID {
		t.Error("it is fenced six seconds after it was told its part")
	}
}

// TestLoadedGroupGoesOn: members of a stable group do not notice that the coordinator has moved.
func TestLoadedGroupGoesOn(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	w.elect(w.log.end)
	if _, code := w.groups.Find("g"); code != wire.CoordinatorLoadInProgress {
		t.Fatalf("before the load is over: %v", code)
	}
	w.settled()
	if code := w.beats(t, dynamic, "", 2); code != wire.None {
		t.Errorf("heartbeat: %v", code)
	}
	if part := w.syncs(t, SyncRequest{Member: static, Instance: "i", Generation: 2}); string(part.Assignment) != "\x02" {
		t.Errorf("sync: %+v", part)
	}
	if code := w.commits(t, Commit{Member: dynamic, Generation: 2}); code != wire.None {
		t.Errorf("commit: %v", code)
	}
	w.pass(time.Minute)
	w.settled()
	if g := w.shard(t).find("g").classic; g.state != empty || len(g.members) != 0 {
		t.Errorf("silent members are still there: %v", g.state)
	}
}

// TestEmptinessIsRecorded: a group is empty for those who commit in nobody's name when it is so in the log: a coordinator that takes over must not find members
// there who commit over that (C2).
func TestEmptinessIsRecorded(t *testing.T) {
	for _, later := range []bool{false, true} {
		w, dynamic, _ := stableGroup(t)
		w.log.refuse = wire.NotEnoughReplicas
		w.pass(time.Minute)
		if g := w.shard(t).find("g").classic; g.state != empty {
			t.Fatalf("the group is %v", g.state)
		}
		if code := w.commits(t, Commit{Generation: -1}); code != wire.CoordinatorNotAvailable {
			t.Errorf("a commit that the log refuses: %v", code)
		}
		w.log.refuse = wire.None
		if later {
			w.pass(2 * fenceRetry * time.Millisecond)
		} else if code := w.commits(t, Commit{Generation: -1}); code != wire.None {
			t.Errorf("a commit that it takes: %v", code)
		}
		w.settled()
		w.elect(w.log.end)
		w.settled()
		if code := w.commits(t, Commit{Member: dynamic, Generation: 2}); code != wire.UnknownMemberID {
			t.Errorf("later %v: a member that was dropped before: %v", later, code)
		}
	}
}

// TestGroupMaxSize: no more than the limit get in.
func TestGroupMaxSize(t *testing.T) {
	w := newWorld(t)
	w.settings.MaxSize = 1
	if out := w.join(t, JoinRequest{}); out == nil || out.Code != wire.None {
		t.Fatalf("the first: %+v", out)
	}
	if out := w.join(t, JoinRequest{}); out == nil || out.Code != wire.GroupMaxSizeReached {
		t.Errorf("the second: %+v", out)
	}
}

// TestInitialDelay: a new group waits for more members as long as they come, up to the rebalance timeout (KIP-134).
func TestInitialDelay(t *testing.T) {
	w := newWorld(t)
	w.settings.InitialRebalanceDelayMillis = 3000
	var first, second *JoinReply
	r := JoinRequest{Group: "g", ProtocolType: consumerType, Protocols: []Protocol{{"range", nil}}, SessionTimeout: 10_000, RebalanceTimeout: 5000}
	w.shard(t).Join(&r, func(out JoinReply) { first = &out })
	w.pass(2 * time.Second)
	w.shard(t).Join(&r, func(out JoinReply) { second = &out })
	w.pass(2900 * time.Millisecond)
	if first != nil || second != nil {
		t.Fatal("the group did not wait")
	}
	w.pass(200 * time.Millisecond)
	if first == nil || second == nil || first.Generation != 1 || second.Generation != 1 {
		t.Errorf("%+v %+v", first, second)
	}
}

// TestProtocolByVote: among what everybody speaks the one that most put first.
func TestProtocolByVote(t *testing.T) {
	c := newClassic()
	for i, list := range [][]string{{"a", "b", "x"}, {"b", "a"}, {"b", "a", "y"}} {
		m := &classicMember{id: fmt.Sprint(i)}
		for _, name := range list {
			m.protocols = append(m.protocols, Protocol{Name: name})
		}
		c.add(m, consumerType)
	}
	if got := c.elect(); got != "b" {
		t.Errorf("elected %s", got)
	}
}

// TestAdministration lists, describes and deletes.
func TestAdministration(t *testing.T) {
	w, dynamic, _ := stableGroup(t)
	w.commits(t, Commit{Group: "simple", Generation: -1})
	list := func(states, types []string) (ids []string) {
		w.shard(t).List(states, types, func(l []Listed, code wire.ErrorCode) {
			for _, g := range l {
				ids = append(ids, g.ID+" "+g.State)
			}
		})
		w.settled()
		return ids
	}
	for _, c := range []struct{ states, types, want []string }{
		{nil, nil, []string{"g Stable", "simple Empty"}},
		{[]string{"stable"}, nil, []string{"g Stable"}},
		{nil, []string{"Consumer"}, nil},
		{[]string{"empty", "stable"}, []string{"classic"}, []string{"g Stable", "simple Empty"}},
	} {
		if got := list(c.states, c.types); !slices.Equal(got, c.want) {
			t.Errorf("list %v %v: %v, want %v", c.states, c.types, got, c.want)
		}
	}
	w.shard(t).Describe("g", func(d Described) {
		if d.State != "Stable" || d.Protocol != "range" || len(d.Members) != 2 || d.Members[1].ID != dynamic || string(d.Members[1].Assignment) != "\x01" {
			t.Errorf("described %+v", d)
		}
	})
	codes := map[string]wire.ErrorCode{}
	for _, id := range []string{"g", "simple", "none"} {
		w.shard(t).Delete(id, func(code wire.ErrorCode) { codes[id] = code })
	}
	w.settled()
	if codes["g"] != wire.NonEmptyGroup || codes["simple"] != wire.None || codes["none"] != wire.GroupIDNotFound {
		t.Errorf("deleted %v", codes)
	}
	if got := list(nil, nil); !slices.Equal(got, []string{"g Stable"}) {
		t.Errorf("left %v", got)
	}
}

// TestPartitionOf: a group lives where Apache Kafka would look for it.
func TestPartitionOf(t *testing.T) {
	for group, want := range map[string]int32{"": 0, "a": 97 % 50, "my-group": 12, "polygenelubricants": 0, "gr\u00fcppe\U0001F600": 13} {
		if got := partitionOf(group, 50); got != want {
			t.Errorf("%q: partition %d, want %d", group, got, want)
		}
	}
}

// TestRebalanceWhileAssigning: a member leaves while the leader's assignment is on its way into the log. The next generation's leader is not kept
// waiting for that.
func TestRebalanceWhileAssigning(t *testing.T) {
	w, dynamic, leader := stableGroup(t)
	s := w.shard(t)
	g := s.find("g")
	rejoin := func() {
		s.prepareRebalance(g)
		var got *JoinReply
		for _, m := range []struct{ id, instance string }{{dynamic, ""}, {leader, "i"}} {
			if c := g.classic; c.byID[m.id] != nil {
				r := JoinRequest{
					Group: "g", Member: m.id, Instance: m.instance, ClientID: "c", ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}},
					SessionTimeout: 10_000, RebalanceTimeout: 60_000,
				}
				s.Join(&r, func(out JoinReply) { got = &out })
			}
		}
		w.settled()
		if got == nil || got.Code != wire.None || g.classic.state != completing {
			t.Fatalf("join: %+v, the group is %v", got, g.classic.state)
		}
	}
	rejoin()
	s.Sync(&SyncRequest{Group: "g", Member: leader, Instance: "i", Generation: g.classic.generation}, func(SyncReply) {})
	if !g.classic.storing {
		t.Fatal("the assignment is in the log at once: the test holds nothing back")
	}
	rejoin()
	if out := w.syncs(t, SyncRequest{Member: leader, Instance: "i", Generation: g.classic.generation}); out == nil || out.Code != wire.None {
		t.Errorf("sync: %+v, the group is %v", out, g.classic.state)
	}
}
