package scenarios

import (
	"testing"
	"time"
)

// TestTrace prints the traces of some seeds, each run twice. The script sim/arch compares them between machines.
func TestTrace(t *testing.T) {
	for _, s := range All() {
		for seed := range uint64(3) {
			r := s.Twice(Options{Seed: seed, Length: 10 * time.Second})
			if len(r.Findings) > 0 && r.Findings[0].Name == "twins" {
				t.Error(r.Findings[0])
			}
			t.Logf("%s seed %d: trace %s after %d events", s.Name, seed, r.Trace, r.Events)
		}
	}
}
