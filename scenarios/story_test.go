package scenarios

import "testing"

func TestStory(t *testing.T) {
	seed, given := number(t, "LIGNUM_STORY", 0)
	if !given {
		t.Skip("LIGNUM_STORY names the seed")
	}
	r := Single(Options{Seed: seed, Tell: func(l Line) {
		if l.Who != "event" {
			t.Log(l)
		}
	}})
	t.Log(r.Report())
	for _, f := range r.Findings {
		t.Log(f, f.Stack)
	}
	t.Log(r.Totals, r.Faults, r.Checks)
}
