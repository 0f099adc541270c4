package sim

import (
	"testing"

	"lignum/core/env"
)

// The instant at which a drifting clock shows a time is the first one at which it does.
func TestRatedReaches(t *testing.T) {
	r := NewRand(1)
	for range 20000 {
		c := rated{since: env.Instant(r.Below(1 << 50)), base: r.Below(1 << 50), drift: r.Below(2*maxDrift+1) - maxDrift}
		want := c.base + 1 + r.Below([]int64{3, 1000, Million, 1 << 40, 1 << 55}[r.Below(5)])
		at := c.reaches(want)
		if c.at(at) < want || at > c.since && c.at(at-1) >= want {
			t.Fatalf("%+v reaches %d at %d, where it shows %d", c, want, at, c.at(at))
		}
	}
	slow := rated{drift: -maxDrift}
	if slow.reaches(1<<63-1) != env.Never {
		t.Error("the end of time is reached")
	}
}
