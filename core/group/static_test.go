package group

import (
	"testing"
	"time"

	"lignum/core/wire"
)

// waiting sends a join and collects all answers that come to it.
func (w *world) waiting(t *testing.T, r JoinRequest) *[]JoinReply {
	t.Helper()
	r.Group, r.ProtocolType, r.ClientID, r.Host = "g", consumerType, "c", "/host"
	r.SessionTimeout, r.RebalanceTimeout = 10_000, 60_000
	if r.Protocols == nil {
		r.Protocols = []Protocol{{"range", wanting("t")}}
	}
	answers := &[]JoinReply{}
	w.shard(t).Join(&r, func(out JoinReply) { *answers = append(*answers, out) })
	w.settled()
	return answers
}

// last is the only answer to a join; a code that there is none if nobody has answered, or more than once.
func last(answers *[]JoinReply) JoinReply {
	if len(*answers) != 1 {
		return JoinReply{Code: wire.ErrorCode(-100 - len(*answers))}
	}
	return (*answers)[0]
}

// TestStaticMemberIsReplacedInARound: the next life of a static member takes its place in a round that is under way, and the old one is fenced (KIP-345).
func TestStaticMemberIsReplacedInARound(t *testing.T) {
	t.Run("its join waits", func(t *testing.T) {
		w, dynamic, static := stableGroup(t)
		w.waiting(t, JoinRequest{})
		old := w.waiting(t, JoinRequest{Member: static, Instance: "i"})
		next := w.waiting(t, JoinRequest{Instance: "i"})
		if out := last(old); out.Code != wire.FencedInstanceID || out.MemberID != static {
			t.Errorf("the old life: %+v", out)
		}
		if len(*next) != 0 {
			t.Fatalf("the new life does not wait for the others: %+v", *next)
		}
		w.waiting(t, JoinRequest{Member: dynamic})
		out := last(next)
		if out.Code != wire.None || out.Generation != 3 || out.Leader != out.MemberID || out.MemberID == static || len(out.Members) != 3 {
			t.Errorf("the new life leads as the old one did: %+v", out)
		}
	})
	t.Run("it has not joined yet", func(t *testing.T) {
		w, dynamic, static := stableGroup(t)
		w.waiting(t, JoinRequest{})
		other := w.waiting(t, JoinRequest{Member: dynamic})
		out := last(w.waiting(t, JoinRequest{Instance: "i"}))
		if out.Code != wire.None || out.Generation != 3 || last(other).Generation != 3 {
			t.Errorf("the round does not end with it: %+v, %+v", out, last(other))
		}
		if code := w.beats(t, static, "i", 3); code != wire.FencedInstanceID {
			t.Errorf("the old life's heartbeat: %v", code)
		}
		if code := w.commits(t, Commit{Member: static, Instance: "i", Generation: 3}); code != wire.FencedInstanceID {
			t.Errorf("the old life's commit: %v", code)
		}
	})
	t.Run("its sync waits", func(t *testing.T) {
		w, dynamic, static := stableGroup(t)
		w.waiting(t, JoinRequest{})
		w.waiting(t, JoinRequest{Member: dynamic})
		w.waiting(t, JoinRequest{Member: static, Instance: "i"})
		var old, other []SyncReply
		s := w.shard(t)
		s.Sync(&SyncRequest{Group: "g", Member: dynamic, Generation: 3}, func(out SyncReply) { other = append(other, out) })
		s.Sync(&SyncRequest{Group: "g", Member: static, Instance: "i", Generation: 3}, func(out SyncReply) { old = append(old, out) })
		next := w.waiting(t, JoinRequest{Instance: "i"})
		c := s.find("g").classic
		if len(old) != 1 || old[0].Code != wire.FencedInstanceID {
			t.Errorf("the old life: %+v", old)
		}
		if len(other) != 1 || other[0].Code != wire.RebalanceInProgress || c.state != preparing {
			t.Errorf("the other member: %+v, the group is %v", other, c.state)
		}
		if len(*next) != 0 {
			t.Errorf("the new life does not wait for the next round: %+v", *next)
		}
	})
	t.Run("it speaks another protocol", func(t *testing.T) {
		w, dynamic, _ := stableGroup(t)
		both := []Protocol{{"range", wanting("t")}, {"rr", wanting("t")}}
		w.waiting(t, JoinRequest{Member: dynamic, Protocols: both})
		w.waiting(t, JoinRequest{Instance: "i", Protocols: both})
		c := w.shard(t).find("g").classic
		if c.state != completing || c.protocol != "range" {
			t.Fatalf("the group is %v with %s", c.state, c.protocol)
		}
		w.syncs(t, SyncRequest{Member: c.leader, Instance: "i", Generation: c.generation})
		next := w.waiting(t, JoinRequest{Instance: "i", Protocols: both[1:]})
		if len(*next) != 0 || c.state != preparing {
			t.Errorf("a change of the group's protocol disturbs nobody: %+v, the group is %v", *next, c.state)
		}
	})
}

// TestStaticReplacementInTheLog: a replacement that the log refuses has never been; one that is in the log stays, committed in time or not (C5).
func TestStaticReplacementInTheLog(t *testing.T) {
	w, _, static := stableGroup(t)
	w.log.refuse = wire.NotEnoughReplicas
	if out := last(w.waiting(t, JoinRequest{Instance: "i"})); out.Code != wire.CoordinatorNotAvailable {
		t.Errorf("refused: %+v", out)
	}
	w.log.refuse = wire.None
	if code := w.beats(t, static, "i", 2); code != wire.None {
		t.Errorf("the old life behind the refusal: %v", code)
	}
	var late []JoinReply
	w.shard(t).Join(&JoinRequest{
		Group: "g", Instance: "i", ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}}, SessionTimeout: 10_000, RebalanceTimeout: 60_000,
	}, func(out JoinReply) { late = append(late, out) })
	w.pass(time.Duration(w.settings.CommitTimeoutMillis) * time.Millisecond)
	if len(late) != 1 || late[0].Code != wire.CoordinatorNotAvailable {
		t.Fatalf("not committed in time: %+v", late)
	}
	w.settled()
	if code := w.beats(t, static, "i", 2); code != wire.FencedInstanceID {
		t.Errorf("the old life, although the new one is in the log: %v", code)
	}
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
	if out := last(w.waiting(t, JoinRequest{Instance: "i"})); out.Code != wire.None || out.Generation != 2 {
		t.Errorf("once more: %+v", out)
	}
}

// TestStaticMemberWaitsLong (V6): the record of a static member's next life is committed only behind the end of its session. Who waits for that is not late, but has a session
// afterwards: if it is not heard of again it goes, and others get what it has.
func TestStaticMemberWaitsLong(t *testing.T) {
	w, _, _ := stableGroup(t)
	w.settings.MinSessionMillis = 1000
	var late []JoinReply
	w.shard(t).Join(&JoinRequest{
		Group: "g", Instance: "i", ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}}, SessionTimeout: 1000, RebalanceTimeout: 60_000,
	}, func(out JoinReply) { late = append(late, out) })
	w.pass(3 * time.Second)
	if len(late) != 0 {
		t.Fatalf("answered: %+v", late)
	}
	w.settled()
	if len(late) != 1 || late[0].Code != wire.None {
		t.Fatalf("answered: %+v", late)
	}
	w.pass(3 * time.Second)
	w.settled()
	if c := w.shard(t).find("g").classic; c.static["i"] != nil {
		t.Errorf("it is still there, the group is %v", c.state)
	}
}

// TestSilentInRounds: who does not join in time, or does not fetch its part, is left out; a static member that has not joined keeps its place.
func TestSilentInRounds(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	fresh := w.waiting(t, JoinRequest{})
	for range 12 {
		w.pass(5 * time.Second)
		w.beats(t, static, "i", 2)
		w.beats(t, dynamic, "", 2)
	}
	w.settled()
	out := last(fresh)
	if out.Code != wire.None || out.Generation != 3 || out.Leader != out.MemberID || len(out.Members) != 2 || out.Members[0].Instance != "i" {
		t.Fatalf("the round behind its timeout: %+v", out)
	}
	if code := w.beats(t, dynamic, "", 3); code != wire.UnknownMemberID {
		t.Errorf("the dynamic member that did not join: %v", code)
	}
	for range 12 {
		w.pass(5 * time.Second)
		w.beats(t, static, "i", 3)
		w.beats(t, out.MemberID, "", 3)
	}
	w.settled()
	if g := w.shard(t).find("g"); g != nil && len(g.classic.members) != 0 {
		t.Errorf("those who did not sync in time are still there: %d", len(g.classic.members))
	}
}
