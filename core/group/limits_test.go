package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lignum/core/wire"
)

// TestConsumerMaxSize: no more than the limit get in, but a static member may come back.
func TestConsumerMaxSize(t *testing.T) {
	w := newWorld(t)
	w.settings.ConsumerMaxSize = 1
	static := joining("a", "t")
	static.Instance = ptr("i")
	if out := w.sendBeat(t, static); out.Code != wire.None {
		t.Fatalf("the first: %+v", out)
	}
	if out := w.sendBeat(t, joining("b", "t")); out.Code != wire.GroupMaxSizeReached {
		t.Errorf("the second: %+v", out)
	}
	leave := beating("a", leaveStaticEpoch)
	leave.Instance = ptr("i")
	w.sendBeat(t, leave)
	again := joining("c", "t")
	again.Instance = ptr("i")
	if out := w.sendBeat(t, again); out.Code != wire.None {
		t.Errorf("the next life of the first: %+v", out)
	}
}

// TestLongNames (X5, C5): the id that a member is given begins with what its client calls itself, which may be as long as a string can be. It has room in the log and
// in answers all the same, in groups of either protocol, and is not cut within a character.
func TestLongNames(t *testing.T) {
	for _, name := range []string{strings.Repeat("c", longestName), "c" + strings.Repeat("é", longestName/2)} {
		for _, instance := range []string{"", name} {
			for _, modern := range []bool{false, true} {
				w := newWorld(t)
				if modern {
					w.sendBeat(t, joining("m", "t"))
				}
				out := w.joinAs(t, name, instance)
				id := out.MemberID
				if out.Code != wire.None || len(id) < longestName-3 || len(id) > longestName || !utf8.ValidString(id) {
					t.Fatalf("join: %v, an id of %d bytes, valid %v", out.Code, len(id), utf8.ValidString(id))
				}
				if sync := w.syncs(t, SyncRequest{Member: id, Instance: instance, Generation: out.Generation}); sync == nil || sync.Code != wire.None {
					t.Errorf("sync: %+v", sync)
				}
				if code := w.beats(t, id, instance, out.Generation); code != wire.None {
					t.Errorf("heartbeat: %v", code)
				}
				if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded || !strings.Contains(live, "g") {
					t.Errorf("the log has forgotten somebody: %d bytes live, %d folded", len(live), len(folded))
				}
			}
		}
	}
}

// joinAs joins as a client of some name, without asking for an id first.
func (w *world) joinAs(t *testing.T, name, instance string) (out JoinReply) {
	t.Helper()
	w.shard(t).Join(&JoinRequest{
		Group: "g", ClientID: name, Instance: instance, ProtocolType: consumerType, Protocols: []Protocol{{"range", wanting("t")}},
		SessionTimeout: 10_000, RebalanceTimeout: 60_000,
	}, func(reply JoinReply) { out = reply })
	w.settled()
	w.pass(time.Millisecond)
	w.settled()
	return out
}

// TestNothingIsWantedYet: a client that subscribes by an expression of its own, which matches no topic yet, joins with an empty list. It is a member without
// partitions until it names some.
func TestNothingIsWantedYet(t *testing.T) {
	none, blank := joining("m"), joining("n")
	none.Topics, blank.Regex = []string{}, ptr("")
	w := newWorld(t)
	for i, r := range []Beat{none, blank} {
		if out := w.sendBeat(t, r); out.Code != wire.None || out.Epoch != int32(i+1) || !out.Tells || len(out.Assigned) != 0 {
			t.Errorf("join of %s: %+v", r.Member, out)
		}
	}
	again := beating("m", 1)
	again.Topics = []string{"t"}
	if out := w.sendBeat(t, again); out.Code != wire.None || !slices.Equal(out.Assigned, of(1, 0, 1, 2, 3)) {
		t.Errorf("with a topic: %+v", out)
	}
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
}

// TestLoadedGroupIsTooLarge: a group that was larger than the limit when its coordinator was replaced shrinks to it, and nobody waits for ever.
func TestLoadedGroupIsTooLarge(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	w.settings.MaxSize = 1
	w.elect(w.log.end)
	w.settled()
	if code := w.beats(t, dynamic, "", 2); code != wire.RebalanceInProgress {
		t.Errorf("heartbeat: %v", code)
	}
	first := w.waiting(t, JoinRequest{Member: static, Instance: "i"})
	if out := last(w.waiting(t, JoinRequest{Member: dynamic})); out.Code != wire.GroupMaxSizeReached {
		t.Errorf("one too many: %+v", out)
	}
	w.pass(time.Minute)
	w.settled()
	if out := last(first); out.Code != wire.None || out.Generation != 3 || len(out.Members) != 1 {
		t.Errorf("who was first: %+v", out)
	}
}

// TestHostileExpressions: an expression that is none, or too long, is refused, and changes nothing for a member that had another one.
func TestHostileExpressions(t *testing.T) {
	w := newWorld(t)
	first := joining("m")
	first.Regex = ptr("t|u")
	out := w.sendBeat(t, first)
	if len(out.Assigned) != 7 {
		t.Fatalf("join: %+v", out)
	}
	for _, regex := range []string{"(", "(?P<", strings.Repeat("a", longestRegex+1), "a{2000}"} {
		next := beating("m", out.Epoch, out.Assigned...)
		next.Regex, next.RebalanceTimeout = &regex, 60_000
		if out := w.sendBeat(t, next); out.Code != wire.InvalidRegularExpression {
			t.Errorf("%.10q: %+v", regex, out)
		}
	}
	if got := w.shard(t).find("g").consumer.expressions(); !slices.Equal(got, []string{"t|u"}) {
		t.Errorf("the group has %q", got)
	}
	both := joining("n", "t")
	both.Regex = ptr("u") // names and an expression add up
	if out := w.sendBeat(t, both); out.Code != wire.None {
		t.Errorf("names and an expression: %+v", out)
	}
	var d DescribedConsumer
	w.shard(t).DescribeConsumer("g", func(out DescribedConsumer) { d = out })
	w.settled()
	if len(d.Members) != 2 || len(d.Members[1].Target) == 0 || d.Members[1].Regex != "u" || d.Members[0].Regex != "t|u" {
		t.Errorf("described %+v", d)
	}
}

// TestManyExpressions: a shard remembers a bounded number of expressions, and groups go on all the same.
func TestManyExpressions(t *testing.T) {
	w := newWorld(t)
	for i := range mostRegexes + 10 {
		r := joining("m")
		r.Group, r.Regex = fmt.Sprint(i), ptr("t"+strings.Repeat("t?", i/40)+strings.Repeat("u?", i%40))
		if out := w.sendBeat(t, r); out.Code != wire.None || len(out.Assigned) != 4 {
			t.Fatalf("expression %d: %+v", i, out)
		}
	}
	if n := len(w.shard(t).regexes); n > mostRegexes {
		t.Errorf("%d expressions", n)
	}
}

// TestTopicGoes: what was committed for a topic that is deleted goes with it, and members are given other partitions.
func TestTopicGoes(t *testing.T) {
	w := newWorld(t)
	out := w.sendBeat(t, joining("m", "t", "u"))
	w.shard(t).Commit(&Commit{Group: "g", Member: "m", Generation: 1, Modern: true, Retention: -1, Offsets: []Offset{
		{Topic: "t", Committed: Committed{Offset: 1}}, {Topic: "u", Committed: Committed{Offset: 2}},
	}}, func([]wire.ErrorCode) {})
	deleted := func(topics ...WantedOffsets) (code wire.ErrorCode, codes [][]wire.ErrorCode) {
		w.shard(t).DeleteOffsets("g", topics, func(c wire.ErrorCode, list [][]wire.ErrorCode) { code, codes = c, list })
		w.settled()
		return code, codes
	}
	if _, codes := deleted(WantedOffsets{"t", []int32{0}}, WantedOffsets{"v", []int32{0}}); codes[0][0] != wire.GroupSubscribedToTopic || codes[1][0] != wire.None {
		t.Errorf("deleted while a member wants it: %v", codes)
	}
	gone := w.topics[0]
	w.topics = w.topics[1:]
	w.version++
	w.groups.TopicDeleted("t", gone.ID)
	w.settled()
	g := w.shard(t).find("g")
	if g.offsets.get("t", 0) != nil || g.offsets.get("u", 0) == nil {
		t.Error("the wrong offsets are gone")
	}
	revoke := w.sendBeat(t, beating("m", 1, out.Assigned...))
	if !slices.Equal(revoke.Assigned, of(2, 0, 1, 2)) {
		t.Errorf("the member keeps %v", revoke.Assigned)
	}
	w.shard(t).DeleteOffsets("", nil, func(code wire.ErrorCode, _ [][]wire.ErrorCode) {
		if code != wire.InvalidGroupID {
			t.Errorf("no group: %v", code)
		}
	})
	if live, folded := w.shard(t).dump(nil), w.fold().dump(nil); live != folded {
		t.Errorf("live\n%s\nfolded\n%s", live, folded)
	}
}

// TestLooks: what a coordinator shows those who look from outside is the fold of its log.
func TestLooks(t *testing.T) {
	w, _ := mixedGroup(t, "")
	w.commits(t, Commit{Group: "simple", Generation: -1})
	seen, end, ok := w.groups.LookAt(0)
	if !ok || end != w.log.end || len(seen) != 2 || len(seen[1].Offsets) != 1 || seen[0].Facts == "" {
		t.Fatalf("%v at %d: %+v", ok, end, seen)
	}
	if folded := w.fold().Look(); len(folded) != 2 || folded[0].Facts != seen[0].Facts || !slices.Equal(folded[1].Offsets, seen[1].Offsets) {
		t.Errorf("folded %+v", folded)
	}
	if all, code := w.groups.All(); len(all) != 1 || code != wire.None {
		t.Errorf("%d shards, %v", len(all), code)
	}
	w.elect(w.log.end)
	if _, code := w.groups.All(); code != wire.CoordinatorLoadInProgress {
		t.Errorf("while one loads: %v", code)
	}
	w.settled()
	w.groups.Close(wire.NotCoordinator)
	if all, code := w.groups.All(); len(all) != 0 || code != wire.None {
		t.Errorf("closed: %d shards, %v", len(all), code)
	}
	if _, _, ok := w.groups.LookAt(0); ok {
		t.Error("a shard that is closed can be looked at")
	}
}
