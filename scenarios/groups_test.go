package scenarios

import "testing"

// TestGroupSeeds looks for what a run of groups has to show at least.
func TestGroupSeeds(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		r := GroupDays(Options{Seed: seed})
		if line := r.Report(); line != "" {
			t.Error(line)
		}
		for _, name := range []string{"C1", "C2", "C5", "C7", "C8"} {
			if r.Checks[name] == 0 {
				t.Errorf("seed %d: %s was not checked", seed, name)
			}
		}
	}
}
