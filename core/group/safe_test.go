package group

import (
	"testing"

	"lignum/core/wire"
)

// TestNothingIsToldBeforeItIsSafe: whoever has something written down hears of it when that is committed, and not before: the next coordinator would else know
// nothing of it (C4).
func TestNothingIsToldBeforeItIsSafe(t *testing.T) {
	offsets := []Offset{{Topic: "t", Committed: Committed{Offset: 1}}, {Topic: "u", Committed: Committed{Offset: 2}}}
	for what, ask := range map[string]func(w *world, s *Shard, told func(wire.ErrorCode)){
		"a commit": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			s.Commit(&Commit{Group: "new", Generation: -1, Retention: -1, Offsets: offsets}, func(codes []wire.ErrorCode) { told(codes[1]) })
		},
		"a first heartbeat": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			s.Beat(ofG(joining("m", "t")), func(out BeatReply) { told(out.Code) })
		},
		"a heartbeat that moves on": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			s.Beat(ofG(beating("first", 1)), func(out BeatReply) { told(out.Code) })
		},
		"another subscription": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			r := beating("first", 1)
			r.Topics = []string{"u"}
			s.Beat(ofG(r), func(out BeatReply) { told(out.Code) })
		},
		"a member that leaves": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			s.Beat(ofG(beating("first", -1)), func(out BeatReply) { told(out.Code) })
		},
		"an instance that will be back": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			r := beating("second", -2)
			r.Instance = ptr("i")
			s.Beat(ofG(r), func(out BeatReply) { told(out.Code) })
		},
		"offsets deleted": func(_ *world, s *Shard, told func(wire.ErrorCode)) {
			s.DeleteOffsets("simple", []WantedOffsets{{"t", []int32{0}}}, func(code wire.ErrorCode, _ [][]wire.ErrorCode) { told(code) })
		},
		"a group deleted": func(_ *world, s *Shard, told func(wire.ErrorCode)) { s.Delete("simple", told) },
	} {
		w := newWorld(t)
		w.commits(t, Commit{Group: "simple", Generation: -1})
		w.sendBeat(t, joining("first", "t"))
		static := joining("second", "t")
		static.Instance = ptr("i")
		w.sendBeat(t, static)
		answer := wire.ErrorCode(-2)
		end := w.log.end
		ask(w, w.shard(t), func(code wire.ErrorCode) { answer = code })
		w.run()
		w.groups.EndDrain()
		if w.log.end == end {
			t.Errorf("%s: nothing was written", what)
		}
		if answer != -2 {
			t.Errorf("%s: told %v before it is committed", what, answer)
		}
		w.settled()
		if answer != wire.None {
			t.Errorf("%s: told %v", what, answer)
		}
	}
}

// ofG is a heartbeat in the group.
func ofG(r Beat) *Beat {
	r.Group = "g"
	return &r
}
