package ledger

import (
	"testing"

	"lignum/core/record"
	"lignum/core/wire"
)

// TestNamesakes: a topic was deleted and made again under its name, and a broker that has not heard of it still takes what names it for the old one.
func TestNamesakes(t *testing.T) {
	const outOfOrder = "OUT_OF_ORDER_SEQUENCE_NUMBER"
	tests := []struct {
		name  string
		known bool // to every broker
		act   func(r *rig)
		want  string // what is violated
	}{
		{"acknowledged in the place of another one", true, func(r *rig) { r.acked(-1, 0); r.acked(-1, 0) }, "D1"},
		{"acknowledged in the place of another one, by a leader of the old topic", false, func(r *rig) { r.acked(-1, 0); r.Everywhere = everywhere(true); r.acked(-1, 0) }, ""},
		{"the old topic's leader has acknowledged a later one", false, func(r *rig) { r.acked(-1, 0); r.acked(-1, 7); r.p.Settle(0, 0) }, ""},
		{"sent when all knew, and gone", false, func(r *rig) { r.Everywhere = everywhere(true); r.acked(-1, 0); r.p.Settle(0, 0) }, "D1"},
		{"seen, and gone", false, func(r *rig) { r.fetch(0, 1, false, r.acked(-1, 0)); r.Everywhere = everywhere(true); r.p.Settle(0, 0) }, "D1"},
		{"the new topic lacks what a producer sent to the old one", false, func(r *rig) {
			r.p.Plan(build(7, 0), -1).Try().Answered(wire.None, 0)
			r.p.SequenceRefused(r.p.Plan(build(7, 1), -1), outOfOrder)
		}, ""},
		{"all knew of the new topic, and it lacks what a producer sent", true, func(r *rig) {
			r.p.Plan(build(7, 0), -1).Try().Answered(wire.None, 0)
			r.p.SequenceRefused(r.p.Plan(build(7, 1), -1), outOfOrder)
		}, "P2"},
		{"records of the old topic are deleted", false, func(r *rig) {
			answered := r.p.Deleting(5)
			r.Everywhere = everywhere(true)
			answered(5)
			r.p.Earliest(r.Look(1), 0)
		}, ""},
		{"records of the new topic are deleted, and back", true, func(r *rig) { r.p.Deleting(5)(5); r.p.Earliest(r.Look(1), 0) }, "R3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(Settings{})
			r.Everywhere = everywhere(test.known)
			r.again()
			test.act(r)
			r.violates(t, test.want)
		})
	}
}

func everywhere(known bool) func(record.Partition) bool {
	return func(record.Partition) bool { return known }
}

// violates holds what was found against what had to be found; "" is nothing.
func (r *rig) violates(t *testing.T, want string) {
	t.Helper()
	switch {
	case want == "" && len(r.failed) > 0:
		t.Errorf("found %q", r.failed)
	case want != "" && (len(r.failed) == 0 || r.failed[0][:len(want)] != want):
		t.Errorf("found %q, want %s", r.failed, want)
	}
}

// TestStrays: a look is judged from when every broker has heard of the topic.
func TestStrays(t *testing.T) {
	r := newRig(Settings{})
	r.Everywhere = everywhere(false)
	first := r.Look(1)
	if r.p.Strays(first) {
		t.Error("a topic whose name nobody had before is taken for another one")
	}
	r.again()
	early := r.Look(1)
	r.Everywhere = everywhere(true)
	late := r.Look(1)
	if !r.p.Strays(early) || r.p.Strays(late) {
		t.Errorf("a look may be one at the topic that was deleted: %v before all brokers have heard of the new one, %v behind that", r.p.Strays(early), r.p.Strays(late))
	}
}

// TestRefusedByAFencedLeader: a leader whose session was over for a moment has refused a producer's first batch, and taken the next one.
func TestRefusedByAFencedLeader(t *testing.T) {
	for _, test := range []struct {
		replicas, tries int
		want            string
	}{{0, 2, "P2"}, {1, 1, "P2"}, {1, 2, ""}} {
		r := newRig(Settings{Replicas: test.replicas, RetentionBytes: -1, RetentionMs: -1, SegmentBytes: 4000})
		b := r.p.Plan(build(7, 0), -1)
		for range test.tries - 1 {
			b.Try().Answered(wire.NotLeaderOrFollower, -1)
		}
		b.Try().Answered(wire.OutOfOrderSequenceNumber, -1)
		r.p.SequenceRefused(b, "OUT_OF_ORDER_SEQUENCE_NUMBER")
		r.violates(t, test.want)
	}
}
