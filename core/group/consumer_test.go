package group

import (
	"slices"
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"
)

func (w *world) sendBeat(t *testing.T, r Beat) BeatReply {
	t.Helper()
	if r.Group == "" {
		r.Group = "g"
	}
	got := BeatReply{Code: -2}
	w.shard(t).Beat(&r, func(out BeatReply) { got = out })
	w.settled()
	return got
}

// joining is a member's first heartbeat.
func joining(id string, topics ...string) Beat {
	return Beat{Member: id, RebalanceTimeout: 60_000, Topics: topics, SaysOwned: true}
}

// beating is one behind it.
func beating(id string, epoch int32, owned ...record.Partition) Beat {
	return Beat{Member: id, Epoch: epoch, RebalanceTimeout: -1, Owned: owned, SaysOwned: true}
}

func ptr(s string) *string { return &s }

func of(topic byte, indexes ...int32) (list []record.Partition) {
	for _, i := range indexes {
		list = append(list, record.Partition{Topic: record.TopicID{topic}, Index: i})
	}
	return list
}

// TestConsumerCodes holds the codes of requests to a group of the consumer protocol against Apache Kafka's.
func TestConsumerCodes(t *testing.T) {
	w := newWorld(t)
	first := w.sendBeat(t, joining("m", "t"))
	if first.Code != wire.None || first.Epoch != 1 || !slices.Equal(first.Assigned, of(1, 0, 1, 2, 3)) || first.Heartbeat != 5000 {
		t.Fatalf("first heartbeat: %+v", first)
	}
	static := joining("s", "u")
	static.Instance = ptr("i")
	if out := w.sendBeat(t, static); out.Code != wire.None || out.Epoch != 2 {
		t.Fatalf("static member: %+v", out)
	}
	if out := w.sendBeat(t, beating("m", 1, first.Assigned...)); out.Code != wire.None || out.Epoch != 2 || out.Tells {
		t.Fatalf("second heartbeat: %+v", out)
	}
	with := func(r Beat, change func(*Beat)) wire.ErrorCode {
		change(&r)
		return w.sendBeat(t, r).Code
	}
	commit := func(r Commit) wire.ErrorCode { return w.commits(t, r) }
	fetch := func(member string, epoch int32) (code wire.ErrorCode) {
		w.shard(t).FetchOffsets(&FetchOffsets{Group: "g", Member: member, Epoch: epoch}, func(f FetchedOffsets) { code = f.Code })
		w.settled()
		return code
	}
	for _, c := range []struct {
		name string
		got  wire.ErrorCode
		want wire.ErrorCode
	}{
		{"no change", w.sendBeat(t, beating("m", 2, first.Assigned...)).Code, wire.None},
		{"an answer was lost", w.sendBeat(t, beating("m", 1, first.Assigned...)).Code, wire.None},
		{"ahead", w.sendBeat(t, beating("m", 3)).Code, wire.FencedMemberEpoch},
		{"the last epoch with what it does not have", w.sendBeat(t, beating("m", 1, of(2, 0)...)).Code, wire.FencedMemberEpoch},
		{"nobody", w.sendBeat(t, beating("nobody", 2)).Code, wire.UnknownMemberID},
		{"no group", with(beating("m", 2), func(r *Beat) { r.Group = "none" }), wire.GroupIDNotFound},
		{"empty instance", with(beating("m", 2), func(r *Beat) { r.Instance = ptr("") }), wire.InvalidRequest},
		{"empty rack", with(beating("m", 2), func(r *Beat) { r.Rack = ptr("") }), wire.InvalidRequest},
		{"epoch -3", w.sendBeat(t, beating("m", -3)).Code, wire.InvalidRequest},
		{"epoch -2 without instance", w.sendBeat(t, beating("m", -2)).Code, wire.InvalidRequest},
		{"no member", w.sendBeat(t, beating("", 2)).Code, wire.InvalidRequest},
		{"join without timeout", with(joining("x", "t"), func(r *Beat) { r.RebalanceTimeout = -1 }), wire.InvalidRequest},
		{"join with partitions", with(joining("x", "t"), func(r *Beat) { r.Owned = of(1, 0) }), wire.InvalidRequest},
		{"join without topics", with(joining("x"), func(*Beat) {}), wire.InvalidRequest},
		{"unknown assignor", with(joining("x", "t"), func(r *Beat) { r.Assignor = ptr("best") }), wire.UnsupportedAssignor},
		{"bad expression", with(joining("x"), func(r *Beat) { r.Regex = ptr("(") }), wire.InvalidRegularExpression},
		{"instance that is in use", with(joining("x", "t"), func(r *Beat) { r.Instance = ptr("i") }), wire.UnreleasedInstanceID},
		{"fenced instance", with(beating("x", 2), func(r *Beat) { r.Instance = ptr("i") }), wire.FencedInstanceID},
		{"unknown instance", with(beating("x", 2), func(r *Beat) { r.Instance = ptr("j") }), wire.UnknownMemberID},
		{"commit", commit(Commit{Member: "m", Generation: 2, Modern: true}), wire.None},
		{"commit of a past epoch", commit(Commit{Member: "m", Generation: 1, Modern: true}), wire.StaleMemberEpoch},
		{"commit of nobody", commit(Commit{Member: "nobody", Generation: 2, Modern: true}), wire.UnknownMemberID},
		{"commit of a stranger", commit(Commit{Generation: -1, Modern: true}), wire.UnknownMemberID},
		{"commit of an old version", commit(Commit{Member: "m", Generation: 2}), wire.UnsupportedVersion},
		{"fetch", fetch("m", 2), wire.None},
		{"fetch of an administrator", fetch("", -1), wire.None},
		{"fetch of a past epoch", fetch("m", 1), wire.StaleMemberEpoch},
		{"fetch of nobody", fetch("nobody", 1), wire.UnknownMemberID},
		{"classic heartbeat", w.beats(t, "m", "", 2), wire.UnknownMemberID},
		{"classic join of another type", w.join(t, JoinRequest{ProtocolType: "connect"}).Code, wire.InconsistentGroupProtocol},
		{"leave of nobody", w.sendBeat(t, beating("nobody", -1)).Code, wire.UnknownMemberID},
		{"leave", w.sendBeat(t, beating("m", -1)).Code, wire.None},
		{"after leaving", w.sendBeat(t, beating("m", 2)).Code, wire.UnknownMemberID},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// TestPartitionsMove: the new member gets a partition only when the old one has confirmed that it let go of it.
func TestPartitionsMove(t *testing.T) {
	w := newWorld(t)
	w.sendBeat(t, joining("a", "t"))
	if out := w.sendBeat(t, joining("b", "t")); out.Epoch != 2 || len(out.Assigned) != 0 {
		t.Fatalf("b joins: %+v", out)
	}
	revoke := w.sendBeat(t, beating("a", 1, of(1, 0, 1, 2, 3)...))
	if revoke.Epoch != 1 || !slices.Equal(revoke.Assigned, of(1, 0, 1)) {
		t.Fatalf("a is to let go: %+v", revoke)
	}
	if out := w.sendBeat(t, beating("b", 2)); out.Tells {
		t.Fatalf("b gets it too early: %+v", out)
	}
	if out := w.sendBeat(t, beating("a", 1, of(1, 0, 1, 2)...)); out.Epoch != 1 {
		t.Fatalf("a has not let go of everything: %+v", out)
	}
	if out := w.sendBeat(t, beating("a", 1, of(1, 0, 1)...)); out.Epoch != 2 {
		t.Fatalf("a confirms: %+v", out)
	}
	if out := w.sendBeat(t, beating("b", 2)); !slices.Equal(out.Assigned, of(1, 2, 3)) {
		t.Fatalf("b gets them: %+v", out)
	}
	if state := w.shard(t).find("g").consumer.state(); state != consumerStable {
		t.Errorf("the group is %v", state)
	}
}

// TestSlowRevocation: who does not let go within its rebalance timeout is fenced.
func TestSlowRevocation(t *testing.T) {
	w := newWorld(t)
	w.sendBeat(t, joining("a", "t"))
	w.sendBeat(t, joining("b", "t"))
	for range 15 {
		w.sendBeat(t, beating("a", 1, of(1, 0, 1, 2, 3)...))
		w.sendBeat(t, beating("b", 2))
		w.pass(5 * time.Second)
		w.settled()
	}
	if out := w.sendBeat(t, beating("a", 1, of(1, 0, 1, 2, 3)...)); out.Code != wire.UnknownMemberID {
		t.Errorf("a is still there: %+v", out)
	}
	if b := w.shard(t).find("g").consumer.members["b"]; !slices.Equal(b.assigned, of(1, 0, 1, 2, 3)) {
		t.Errorf("b has %v", b.assigned)
	}
}

// TestStaticConsumerComesBack: under a new member id it gets what it had, and the others notice nothing.
func TestStaticConsumerComesBack(t *testing.T) {
	w := newWorld(t)
	first := joining("s1", "t")
	first.Instance = ptr("i")
	w.sendBeat(t, first)
	leave := beating("s1", leaveStaticEpoch)
	leave.Instance = ptr("i")
	if out := w.sendBeat(t, leave); out.Code != wire.None || out.Epoch != leaveStaticEpoch {
		t.Fatalf("leave: %+v", out)
	}
	again := joining("s2", "t")
	again.Instance = ptr("i")
	out := w.sendBeat(t, again)
	if out.Code != wire.None || out.Epoch != 1 || len(out.Assigned) != 4 {
		t.Fatalf("come back: %+v", out)
	}
	if c := w.shard(t).find("g").consumer; c.epoch != 1 || len(c.members) != 1 {
		t.Errorf("the group is in epoch %d with %d members", c.epoch, len(c.members))
	}
}

// TestExpressions: topics that match are subscribed to, those that come later too, after a while.
func TestExpressions(t *testing.T) {
	w := newWorld(t)
	r := joining("m")
	r.Regex = ptr("t.*")
	if out := w.sendBeat(t, r); !slices.Equal(out.Assigned, of(1, 0, 1, 2, 3)) {
		t.Fatalf("join: %+v", out)
	}
	w.topics = append(w.topics, Topic{Name: "tt", ID: record.TopicID{9}, Partitions: 1})
	w.version++
	w.pass(regexPause + time.Second)
	w.sendBeat(t, beating("m", 1, of(1, 0, 1, 2, 3)...))
	if out := w.sendBeat(t, beating("m", 1, of(1, 0, 1, 2, 3)...)); out.Epoch != 2 || !slices.Equal(out.Assigned, append(of(1, 0, 1, 2, 3), of(9, 0)...)) {
		t.Fatalf("behind the new topic: %+v", out)
	}
	w.elect(w.log.end)
	w.settled()
	if got := w.shard(t).find("g").consumer.regexes["t.*"]; !slices.Equal(got, []string{"t", "tt"}) {
		t.Errorf("loaded %v", got)
	}
	change := beating("m", 2, append(of(1, 0, 1, 2, 3), of(9, 0)...)...)
	change.Regex, change.Topics, change.RebalanceTimeout = ptr(""), []string{"u"}, 1000
	if out := w.sendBeat(t, change); out.Code != wire.None || len(out.Assigned) != 0 {
		t.Fatalf("another subscription: %+v", out)
	}
	if got := w.shard(t).find("g").consumer.expressions(); len(got) != 0 {
		t.Errorf("expressions that nobody has any more: %v", got)
	}
}

// TestMigration follows a group from the classic protocol to the consumer protocol and back while it is in use.
func TestMigration(t *testing.T) {
	w := newWorld(t)
	w.settings.InitialRebalanceDelayMillis = 0
	first := w.join(t, JoinRequest{})
	old := first.MemberID
	w.syncs(t, SyncRequest{Member: old, Generation: 1, Assignments: map[string][]byte{
		old: writeAssignment(0, of(1, 0, 1, 2, 3), &w.groups.world.Topics),
	}})
	w.commits(t, Commit{Member: old, Generation: 1})
	out := w.sendBeat(t, joining("m", "t"))
	if out.Code != wire.None || out.Epoch != 2 || len(out.Assigned) != 0 {
		t.Fatalf("upgrade: %+v", out)
	}
	if code := w.beats(t, old, "", 1); code != wire.RebalanceInProgress {
		t.Errorf("the classic member's heartbeat: %v", code)
	}
	again := w.join(t, JoinRequest{Member: old, Protocols: []Protocol{{"range", wanting("t")}}})
	if again == nil || again.Code != wire.None || again.Generation != 2 {
		t.Fatalf("the classic member joins again: %+v", again)
	}
	part := w.syncs(t, SyncRequest{Member: old, Generation: 2})
	has, err := parseAssignment(part.Assignment)
	if err != nil || len(has) != 1 || len(has[0].partitions) != 2 {
		t.Fatalf("its part: %+v %v", has, err)
	}
	if out := w.sendBeat(t, beating("m", 2)); len(out.Assigned) != 2 {
		t.Errorf("the new member's part: %+v", out)
	}
	if code := w.commits(t, Commit{Member: old, Generation: 2}); code != wire.None {
		t.Errorf("the classic member's commit: %v", code)
	}
	w.elect(w.log.end)
	w.settled()
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
	if out := w.sendBeat(t, beating("m", -1)); out.Code != wire.None {
		t.Fatalf("leave: %+v", out)
	}
	g := w.shard(t).find("g")
	if g.consumer != nil || g.classic.state != preparing || len(g.classic.members) != 1 || g.offsets.get("t", 0) == nil {
		t.Fatalf("downgrade: %+v", g)
	}
	if code := w.beats(t, old, "", g.classic.generation); code != wire.RebalanceInProgress {
		t.Errorf("heartbeat: %v", code)
	}
	if last := w.join(t, JoinRequest{Member: old}); last == nil || last.Generation != 3 || len(last.Members) != 1 {
		t.Errorf("its next generation: %+v", last)
	}
	if live, folded := w.shard(t).dump(map[string]bool{"g": true}), w.fold().dump(map[string]bool{"g": true}); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
}

// TestAssignors: every partition goes to one member that wants it, evenly, and stays where it was if it can.
func TestAssignors(t *testing.T) {
	topics := []Topic{{"a", record.TopicID{1}, 7}, {"b", record.TopicID{2}, 7}, {"c", record.TopicID{3}, 2}}
	for name, assign := range map[string]func([]*assignee){uniformAssignor: assignUniformly, rangeAssignor: assignByRange} {
		for _, wants := range [][][]Topic{
			{topics, topics, topics}, {topics[:1], topics[:2], topics}, {topics[:1], topics[1:]}, {nil, topics}, {topics[:1], topics[:1], topics[2:]},
		} {
			list := make([]*assignee, len(wants))
			for i := range list {
				list[i] = &assignee{id: string(rune('x' - i)), topics: wants[i]}
			}
			assign(list)
			owners := map[record.Partition]int{}
			for i, a := range list {
				for _, p := range a.got {
					if _, twice := owners[p]; twice || !a.wants(p.Topic) {
						t.Fatalf("%s: %v goes to %d, %v", name, p, i, owners)
					}
					owners[p] = i
				}
			}
			for _, topic := range topics {
				wanted := slices.ContainsFunc(list, func(a *assignee) bool { return a.wants(topic.ID) })
				for i := range topic.Partitions {
					if _, ok := owners[record.Partition{Topic: topic.ID, Index: i}]; ok != wanted {
						t.Fatalf("%s: partition %d of %s: %v", name, i, topic.Name, ok)
					}
				}
			}
		}
	}
	list := []*assignee{{id: "a", topics: topics[:2]}, {id: "b", topics: topics[:2]}, {id: "c", topics: topics[:2]}}
	assignUniformly(list)
	moved := 0
	next := []*assignee{}
	for _, a := range list {
		next = append(next, &assignee{id: a.id, topics: a.topics, had: a.got})
	}
	next = append(next, &assignee{id: "d", topics: topics[:2]})
	assignUniformly(next)
	for i, a := range next {
		if n := len(a.got); n < 3 || n > 4 {
			t.Errorf("%s has %d of 14", a.id, n)
		}
		if i < 3 {
			moved += len(a.had.minus(a.got))
		}
	}
	if moved != 3 {
		t.Errorf("%d partitions move for a fourth member", moved)
	}
}

// TestLateRequests: what comes over an older connection, or from an older epoch, confirms nothing and ends nothing (C7).
func TestLateRequests(t *testing.T) {
	w := newWorld(t)
	over := func(connection uint64, r Beat) Beat {
		r.Connection = connection
		return r
	}
	all := of(1, 0, 1, 2, 3)
	w.sendBeat(t, over(1, joining("a", "t")))
	w.sendBeat(t, over(1, joining("b", "t")))
	if out := w.sendBeat(t, over(2, beating("a", 1, all...))); len(out.Assigned) != 2 {
		t.Fatalf("a is to let go: %+v", out)
	}
	if out := w.sendBeat(t, over(1, joining("a", "t"))); out.Code != wire.None || out.Epoch != 1 {
		t.Errorf("the first heartbeat comes again: %+v", out)
	}
	if out := w.sendBeat(t, over(1, beating("a", 1))); out.Code != wire.None || out.Epoch != 1 {
		t.Errorf("one from before a had anything: %+v", out)
	}
	if out := w.sendBeat(t, over(1, beating("a", leaveEpoch))); out.Code != wire.FencedMemberEpoch {
		t.Errorf("a late leave: %+v", out)
	}
	if out := w.sendBeat(t, over(1, beating("b", 2))); len(out.Assigned) != 0 {
		t.Fatalf("b gets what a has: %+v", out)
	}
	if out := w.sendBeat(t, over(2, beating("a", 1, of(1, 0, 1)...))); out.Epoch != 2 {
		t.Errorf("a confirms: %+v", out)
	}
}

// TestOwnTimes: a group's own session timeout and heartbeat interval hold from the next heartbeat on.
func TestOwnTimes(t *testing.T) {
	w := newWorld(t)
	w.sendBeat(t, joining("m", "t"))
	w.own = config.OverridesOf(map[string]string{"consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "7000"})
	if out := w.sendBeat(t, beating("m", 1, of(1, 0, 1, 2, 3)...)); out.Heartbeat != 7000 {
		t.Errorf("the next heartbeat: %+v", out)
	}
	w.pass(49 * time.Second)
	w.settled()
	if w.shard(t).find("g").consumer.members["m"] == nil {
		t.Error("the broker's session timeout holds")
	}
	w.pass(2 * time.Second)
	w.settled()
	if w.shard(t).find("g").consumer.members["m"] != nil {
		t.Error("the session does not end")
	}
}
