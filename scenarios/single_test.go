package scenarios

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// number reads a setting from the environment.
func number(t *testing.T, name string, fallback uint64) (n uint64, given bool) {
	text := os.Getenv(name)
	if text == "" {
		return fallback, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n, true
}

// TestSeeds runs seeds of every scenario, each twice. LIGNUM_SEED names one of them, LIGNUM_SEEDS how many fresh ones are wanted. With
// -short, for the race detector, it is one.
func TestSeeds(t *testing.T) {
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			first, one := number(t, "LIGNUM_SEED", 1)
			usual := uint64(40)
			if testing.Short() {
				usual = 1
			}
			count, many := number(t, "LIGNUM_SEEDS", usual)
			switch {
			case one:
				count = 1
			case many:
				first = uint64(time.Now().UnixNano()) // fresh ones
			}
			var sum Summary
			began := time.Now()
			for seed := first; seed < first+count; seed++ {
				r := s.Twice(Options{Seed: seed})
				sum.Add(r)
				if line := r.Report(); line != "" {
					t.Error(line)
				}
			}
			took := time.Since(began)
			t.Logf("%d seeds twice, %d events, %d events per second, %v simulated in %v, %d of a thousand known records may not be lost",
				sum.Seeds, sum.Events, uint64(float64(2*sum.Events)/took.Seconds()), sum.Simulated.Round(time.Second), took.Round(time.Millisecond), sum.ForbiddenShare())
			t.Logf("faults: %s", strings.Join(Counts(sum.Faults), ", "))
			t.Logf("checks: %s", strings.Join(Counts(sum.Checks), ", "))
			if idle := s.Idle(&sum); len(idle) > 0 {
				t.Errorf("faults that never happened: %v", idle)
			}
			if len(sum.Empty)*4 > sum.Seeds {
				t.Errorf("%d of %d seeds have shown nothing, e.g. seed %d: %s", len(sum.Empty), sum.Seeds, sum.Empty[0].Seed, sum.Empty[0].Vacuous())
			}
		})
	}
}
