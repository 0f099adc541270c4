package group

import (
	"slices"
	"testing"
	"time"

	"lignum/core/wire"
)

// classicGroup has one member of the classic protocol, which has all of topic t in generation 1.
func classicGroup(t *testing.T, instance string) (w *world, member string) {
	t.Helper()
	w = newWorld(t)
	first := w.join(t, JoinRequest{Instance: instance})
	if first == nil || first.Code != wire.None {
		t.Fatalf("join: %+v", first)
	}
	part := w.syncs(t, SyncRequest{Member: first.MemberID, Instance: instance, Generation: 1, Assignments: map[string][]byte{
		first.MemberID: writeAssignment(0, of(1, 0, 1, 2, 3), &w.groups.world.Topics),
	}})
	if part == nil || part.Code != wire.None {
		t.Fatalf("sync: %+v", part)
	}
	return w, first.MemberID
}

// held is what a member of the classic protocol is told to have.
func (w *world) has(t *testing.T, member, instance string, generation int32) (count int, code wire.ErrorCode) {
	t.Helper()
	part := w.syncs(t, SyncRequest{Member: member, Instance: instance, Generation: generation, ProtocolType: consumerType, Protocol: "range"})
	if part == nil {
		return 0, -1
	}
	list, err := parseAssignment(part.Assignment)
	if err != nil {
		t.Error(err)
	}
	for _, n := range list {
		count += len(n.partitions)
	}
	return count, part.Code
}

// mixedGroup has a member of each protocol, each with half of topic t, in epoch 2.
func mixedGroup(t *testing.T, instance string) (w *world, old string) {
	t.Helper()
	w, old = classicGroup(t, instance)
	w.sendBeat(t, joining("m", "t"))
	if code := w.beats(t, old, instance, 1); code != wire.RebalanceInProgress {
		t.Fatalf("heartbeat: %v", code)
	}
	if out := w.join(t, JoinRequest{Member: old, Instance: instance}); out == nil || out.Code != wire.None || out.Generation != 2 {
		t.Fatalf("join: %+v", out)
	}
	if n, code := w.has(t, old, instance, 2); n != 2 || code != wire.None {
		t.Fatalf("sync: %d, %v", n, code)
	}
	if out := w.sendBeat(t, beating("m", 2)); len(out.Assigned) != 2 {
		t.Fatalf("heartbeat: %+v", out)
	}
	return w, old
}

// TestUpgradeInARound: the first member of the consumer protocol comes while members of the classic one join, or while their parts are on the way into the log.
func TestUpgradeInARound(t *testing.T) {
	for _, storing := range []bool{false, true} {
		w, old := classicGroup(t, "")
		w.commits(t, Commit{Member: old, Generation: 1})
		wants := []Protocol{{"range", wanting("t")}}
		var join []JoinReply
		var sync []SyncReply
		s := w.shard(t)
		if storing {
			wants = []Protocol{{"range", wanting("t", "u")}}
			if out := w.join(t, JoinRequest{Member: old, Protocols: wants}); out == nil || out.Generation != 2 {
				t.Fatalf("join: %+v", out)
			}
			s.Sync(&SyncRequest{Group: "g", Member: old, Generation: 2}, func(out SyncReply) { sync = append(sync, out) })
			if !s.find("g").classic.storing {
				t.Fatal("the assignment is in the log at once: the test holds nothing back")
			}
		} else {
			w.waiting(t, JoinRequest{})
			join = *w.waiting(t, JoinRequest{Member: old})
			if len(join) != 1 {
				t.Fatalf("join: %+v", join)
			}
		}
		var beat []BeatReply
		r := joining("m", "t")
		r.Group = "g"
		s.Beat(&r, func(out BeatReply) { beat = append(beat, out) })
		w.settled()
		if len(beat) != 1 || beat[0].Code != wire.None || s.find("g").consumer == nil {
			t.Fatalf("storing %v: %+v", storing, beat)
		}
		if storing && (len(sync) != 1 || sync[0].Code != wire.RebalanceInProgress) {
			t.Errorf("the sync that waited: %+v", sync)
		}
		epoch := beat[0].Epoch
		if out := w.join(t, JoinRequest{Member: old, Protocols: wants}); out == nil || out.Code != wire.None || out.Generation != epoch {
			t.Errorf("the classic member joins again: %+v", out)
		}
		if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
			t.Errorf("live\n%s\nfolded\n%s", live, folded)
		}
	}
}

// TestSilenceBehindAnUpgrade: a classic member that is not heard of again after its group took the consumer protocol is removed when its session ends.
func TestSilenceBehindAnUpgrade(t *testing.T) {
	w, old := classicGroup(t, "")
	out := w.sendBeat(t, joining("m", "t"))
	for end := w.now.Add(2 * time.Minute); w.now < end; w.pass(5 * time.Second) {
		if out = w.sendBeat(t, beating("m", out.Epoch)); out.Code != wire.None {
			t.Fatalf("heartbeat: %+v", out)
		}
	}
	c := w.shard(t).find("g").consumer
	if c.members[old] != nil || len(c.members["m"].current.assigned) != 4 {
		t.Errorf("after its session: %+v, the other has %+v", c.members[old], c.members["m"].current)
	}
}

// TestMigrationPolicy: a group changes its protocol only in the directions that the policy allows.
func TestMigrationPolicy(t *testing.T) {
	w, old := classicGroup(t, "")
	w.settings.Upgrade = false
	if out := w.sendBeat(t, joining("m", "t")); out.Code != wire.GroupIDNotFound {
		t.Errorf("no upgrade: %+v", out)
	}
	w.settings.Upgrade, w.settings.ConsumerMaxSize = true, 0
	if out := w.sendBeat(t, joining("m", "t")); out.Code != wire.GroupIDNotFound {
		t.Errorf("too many for a consumer group: %+v", out)
	}
	if code := w.beats(t, old, "", 1); code != wire.None {
		t.Errorf("the classic member's heartbeat: %v", code)
	}
	w, old = mixedGroup(t, "")
	w.settings.Downgrade = false
	if out := w.sendBeat(t, beating("m", -1)); out.Code != wire.None {
		t.Errorf("leave: %+v", out)
	}
	if g := w.shard(t).find("g"); g.consumer == nil || len(g.consumer.members) != 1 {
		t.Error("the group is a classic one, although it may not be")
	}
	if code := w.beats(t, old, "", 2); code != wire.RebalanceInProgress {
		t.Errorf("the classic member's heartbeat: %v", code)
	}
	// Nobody is left: whoever comes first decides.
	w.shard(t).Leave("g", []Leaver{{Member: old}}, func(wire.ErrorCode, []wire.ErrorCode) {})
	w.settled()
	if out := w.join(t, JoinRequest{Member: "x"}); out == nil || out.Code != wire.UnknownMemberID {
		t.Errorf("a member of nothing: %+v", out)
	}
	epoch := w.shard(t).find("g").consumer.epoch
	back := w.join(t, JoinRequest{})
	if back == nil || back.Code != wire.None || w.shard(t).find("g").consumer != nil || back.Generation != epoch+1 {
		t.Fatalf("a classic member behind epoch %d: %+v", epoch, back)
	}
	w.shard(t).Leave("g", []Leaver{{Member: back.MemberID}}, func(wire.ErrorCode, []wire.ErrorCode) {})
	w.settled()
	w.elect(w.log.end)
	w.settled()
	if out := w.sendBeat(t, joining("m2", "t")); out.Code != wire.None || out.Epoch <= back.Generation {
		t.Errorf("a member of the consumer protocol behind generation %d: %+v", back.Generation, out)
	}
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
}

// TestClassicMemberCodes holds the codes of a classic member in a group of the consumer protocol against Apache Kafka's.
func TestClassicMemberCodes(t *testing.T) {
	w, old := mixedGroup(t, "i")
	leave := func(l ...Leaver) (code wire.ErrorCode) {
		w.shard(t).Leave("g", l, func(_ wire.ErrorCode, codes []wire.ErrorCode) { code = codes[0] })
		w.settled()
		return code
	}
	sync := func(r SyncRequest) wire.ErrorCode { return w.syncs(t, r).Code }
	for _, c := range []struct {
		name      string
		got, want wire.ErrorCode
	}{
		{"heartbeat", w.beats(t, old, "i", 2), wire.None},
		{"heartbeat of another generation", w.beats(t, old, "i", 1), wire.IllegalGeneration},
		{"heartbeat of a fenced instance", w.beats(t, "x", "i", 2), wire.FencedInstanceID},
		{"heartbeat of nobody", w.beats(t, "x", "", 2), wire.UnknownMemberID},
		{"classic heartbeat of the other kind", w.beats(t, "m", "", 2), wire.UnknownMemberID},
		{"sync", sync(SyncRequest{Member: old, Instance: "i", Generation: 2}), wire.None},
		{"sync of another protocol", sync(SyncRequest{Member: old, Generation: 2, Protocol: "rr"}), wire.InconsistentGroupProtocol},
		{"sync of another type", sync(SyncRequest{Member: old, Generation: 2, ProtocolType: "connect"}), wire.InconsistentGroupProtocol},
		{"sync of another generation", sync(SyncRequest{Member: old, Generation: 3}), wire.IllegalGeneration},
		{"join of a fenced instance", w.join(t, JoinRequest{Member: "x", Instance: "i"}).Code, wire.FencedInstanceID},
		{"join of an unknown instance", w.join(t, JoinRequest{Member: "x", Instance: "j"}).Code, wire.UnknownMemberID},
		{"join with no common protocol", w.join(t, JoinRequest{Protocols: []Protocol{{"rr", wanting("t")}}}).Code, wire.InconsistentGroupProtocol},
		{"join that cannot be read", w.join(t, JoinRequest{Protocols: []Protocol{{"range", []byte{1}}}}).Code, wire.InconsistentGroupProtocol},
		{"join without an id", w.join(t, JoinRequest{NeedsID: true}).Code, wire.MemberIDRequired},
		{"join under an id that was given out", w.join(t, JoinRequest{Member: "x"}).Code, wire.None},
		{"commit", w.commits(t, Commit{Member: old, Instance: "i", Generation: 2}), wire.None},
		{"commit of another generation", w.commits(t, Commit{Member: old, Generation: 1}), wire.IllegalGeneration},
		{"leave of a fenced instance", leave(Leaver{Member: "x", Instance: "i"}), wire.FencedInstanceID},
		{"leave of the other kind", leave(Leaver{Member: "m"}), wire.UnknownMemberID},
		{"leave", leave(Leaver{Instance: "i"}), wire.None},
		{"behind it", w.beats(t, old, "i", 2), wire.UnknownMemberID},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	w.settings.ConsumerMaxSize = 1
	if out := w.join(t, JoinRequest{}); out.Code != wire.GroupMaxSizeReached {
		t.Errorf("join of one too many: %+v", out)
	}
}

// TestSilentClassicMember: it is fenced when its own session ends, when it does not join again in time, or does not fetch its part.
func TestSilentClassicMember(t *testing.T) {
	gone := func(w *world, old string) bool {
		w.settled()
		return w.shard(t).find("g").consumer.members[old] == nil
	}
	w, old := mixedGroup(t, "")
	w.pass(11 * time.Second)
	if !gone(w, old) {
		t.Error("its session has no end")
	}
	w, old = classicGroup(t, "")
	w.sendBeat(t, joining("m", "t"))
	w.pass(11 * time.Second)
	if !gone(w, old) {
		t.Error("its session has no end if it was heard of before the upgrade only")
	}
	w, old = mixedGroup(t, "")
	w.sendBeat(t, joining("n", "t"))
	for i := range 14 {
		w.pass(5 * time.Second)
		w.sendBeat(t, beating("m", 2, of(1, 0, 1)...))
		w.sendBeat(t, beating("n", 3))
		if code := w.beats(t, old, "", 2); i < 11 && code != wire.RebalanceInProgress {
			t.Fatalf("%d seconds: %v", 5*i, code)
		}
	}
	if !gone(w, old) {
		t.Error("it is not asked again")
	}
	w, old = classicGroup(t, "")
	w.sendBeat(t, joining("m", "t"))
	out := w.join(t, JoinRequest{Member: old})
	for range 13 {
		w.pass(5 * time.Second)
		w.sendBeat(t, beating("m", 2))
		w.beats(t, old, "", out.Generation)
	}
	if !gone(w, old) {
		t.Error("it need not fetch its part")
	}
}

// TestStaticMembersMigrate: a static member is restarted with the other protocol, there and back, and keeps what it has (KIP-848).
func TestStaticMembersMigrate(t *testing.T) {
	w, old := classicGroup(t, "i")
	r := joining("m", "t")
	r.Instance = ptr("i")
	out := w.sendBeat(t, r)
	if out.Code != wire.None || !slices.Equal(out.Assigned, of(1, 0, 1, 2, 3)) {
		t.Fatalf("there: %+v", out)
	}
	if code := w.beats(t, old, "i", 1); code != wire.FencedInstanceID {
		t.Errorf("the old life: %v", code)
	}
	if code := w.commits(t, Commit{Member: "m", Generation: out.Epoch, Modern: true}); code != wire.None {
		t.Errorf("commit: %v", code)
	}
	back := w.join(t, JoinRequest{Instance: "i"})
	if back == nil || back.Code != wire.None {
		t.Fatalf("back: %+v", back)
	}
	g := w.shard(t).find("g")
	if g.consumer != nil || g.offsets.get("t", 0) == nil {
		t.Fatalf("the group: %+v", g)
	}
	if n, code := w.has(t, back.MemberID, "i", back.Generation); n != 4 || code != wire.None {
		t.Errorf("its part: %d, %v", n, code)
	}
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
}

// TestDescribeMixedGroup shows members of both protocols.
func TestDescribeMixedGroup(t *testing.T) {
	w, old := mixedGroup(t, "")
	var d DescribedConsumer
	w.shard(t).DescribeConsumer("g", func(out DescribedConsumer) { d = out })
	w.shard(t).Describe("g", func(out Described) {
		if out.Code != wire.GroupIDNotFound || out.State != dead {
			t.Errorf("as a classic group: %+v", out)
		}
	})
	w.settled()
	if d.Code != wire.None || d.State != "Stable" || d.Epoch != 2 || d.AssignmentEpoch != 2 || d.Assignor != uniformAssignor || len(d.Members) != 2 {
		t.Fatalf("%+v", d)
	}
	for _, m := range d.Members {
		if m.Classic != (m.ID == old) || m.Epoch != 2 || len(m.Assigned) != 2 || !slices.Equal(m.Assigned, m.Target) || !slices.Equal(m.Topics, []string{"t"}) {
			t.Errorf("%+v", m)
		}
	}
	for _, id := range []string{"none", "simple"} {
		w.commits(t, Commit{Group: "simple", Generation: -1})
		w.shard(t).DescribeConsumer(id, func(out DescribedConsumer) { d = out })
		if w.settled(); d.Code != wire.GroupIDNotFound {
			t.Errorf("%s: %+v", id, d)
		}
	}
}

// TestDowngradeBeforeItIsReconciled: members that have not let go of what they have lost keep it until they join again; who takes the place of the last member of
// the consumer protocol does not get it before (C7), not from a coordinator that takes over in that moment either, and nothing is left without an owner.
func TestDowngradeBeforeItIsReconciled(t *testing.T) {
	for _, elect := range []bool{false, true} {
		w, old := classicGroup(t, "")
		w.commits(t, Commit{Member: old, Generation: 1})
		r := joining("m", "t")
		r.Instance = ptr("i")
		if out := w.sendBeat(t, r); out.Code != wire.None || len(out.Assigned) != 0 {
			t.Fatalf("upgrade: %+v", out)
		}
		next := w.join(t, JoinRequest{Instance: "i"})
		if next == nil || next.Code != wire.None {
			t.Fatalf("downgrade: %+v", next)
		}
		if elect {
			w.elect(w.log.end)
			w.settled()
		}
		if n, code := w.has(t, next.MemberID, "i", next.Generation); n > 0 || code != wire.RebalanceInProgress {
			t.Errorf("elected %v: %d partitions that the other one still has, %v", elect, n, code)
		}
		waits := w.waiting(t, JoinRequest{Member: next.MemberID, Instance: "i"})
		if out := last(w.waiting(t, JoinRequest{Member: old})); out.Code != wire.None || last(waits).Generation != out.Generation || out.Generation <= next.Generation {
			t.Errorf("elected %v: the next generation: %+v, %+v", elect, out, last(waits))
		}
	}
}
