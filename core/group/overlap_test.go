package group

import (
	"testing"
	"time"

	"lignum/core/wire"
)

const overlap = 9 * time.Second

// moved has the group's partition led by another replica while the one before still answers.
func (w *world) moved() {
	w.log.overlap = overlap
	w.elect(w.log.end)
	w.settled()
}

// TestOverlap: whoever was answered by the coordinator of an earlier epoch, for as long as that may answer, keeps its place for all of its time from then on (C7).
func TestOverlap(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		w := newWorld(t)
		w.sendBeat(t, joining("m", "t"))
		w.moved()
		w.pass(overlap + 44*time.Second)
		w.settled()
		if out := w.sendBeat(t, beating("m", 1, of(1, 0, 1, 2, 3)...)); out.Code != wire.None {
			t.Errorf("44 seconds after the last answer there may have been: %+v", out)
		}
		w.pass(46 * time.Second)
		w.settled()
		if out := w.sendBeat(t, beating("m", 1)); out.Code == wire.None {
			t.Errorf("the session never ends: %+v", out)
		}
	})
	t.Run("session of the classic protocol", func(t *testing.T) {
		w, dynamic, static := stableGroup(t)
		w.moved()
		w.pass(overlap + 9*time.Second)
		w.settled()
		if code := w.beats(t, dynamic, "", 2); code != wire.None {
			t.Errorf("9 seconds after the last answer there may have been: %v", code)
		}
		w.pass(2 * time.Second)
		w.settled()
		if code := w.beats(t, static, "i", 2); code != wire.UnknownMemberID {
			t.Errorf("the session never ends: %v", code)
		}
	})
	t.Run("revocation", func(t *testing.T) {
		w := newWorld(t)
		w.settings.ConsumerSessionMillis = 600_000
		w.sendBeat(t, joining("a", "t"))
		w.sendBeat(t, joining("b", "t"))
		w.sendBeat(t, beating("a", 1, of(1, 0, 1, 2, 3)...))
		w.moved()
		w.pass(overlap + 59*time.Second)
		w.settled()
		if out := w.sendBeat(t, beating("b", 2)); out.Tells {
			t.Errorf("a was given less than its rebalance timeout: %+v", out)
		}
		w.pass(2 * time.Second)
		w.settled()
		if out := w.sendBeat(t, beating("b", 2)); !out.Tells {
			t.Errorf("the rebalance timeout never ends: %+v", out)
		}
	})
}

// TestRoundInOverlap: a round that begins meanwhile leaves nobody out before its time.
func TestRoundInOverlap(t *testing.T) {
	w, dynamic, static := stableGroup(t)
	w.moved()
	if out := w.join(t, JoinRequest{Member: dynamic, Protocols: []Protocol{{"range", wanting("t", "u")}}}); out != nil {
		t.Fatalf("the round does not wait: %+v", out)
	}
	for range 13 {
		w.pass(5 * time.Second)
		if code := w.beats(t, static, "i", 2); code != wire.RebalanceInProgress {
			t.Fatalf("heartbeat: %v", code)
		}
	}
	c := w.shard(t).find("g").classic
	if c.state != preparing {
		t.Errorf("65 seconds: the round is over, and the static member was given less than its rebalance timeout")
	}
	w.pass(5 * time.Second)
	if c.state == preparing {
		t.Error("the round never ends")
	}
}
