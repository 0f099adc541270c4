package sim_test

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"lignum/sim"
)

// pinned is the trace of the pinned story. A change of the simulator or of its node changes it; nothing else may.
const pinned = "46c48f1ab33d3f5a25860f3138912c43"

// pinnedStory has a bit of everything that the world can do.
func pinnedStory() *story {
	s := newStory(42, ledgerOptions{})
	s.crashes(true)
	s.world.SetNetwork(sim.NetworkOptions{SplitRate: 200_000, BreakRate: 2_000, Bandwidth: 1 << 20})
	s.host.Drift(150, -300)
	r := s.world.Stream(sim.DomainUser, 7)
	var trouble func()
	trouble = func() {
		conn := s.writers[r.Below(4)].conn
		switch r.Below(7) {
		case 0:
			conn.CutUp()
		case 1:
			s.world.Cut(s.host.End(), 0)
		case 2:
			s.world.HealAll()
		case 3:
			s.host.Pause(r.Between(0, 50*time.Millisecond))
		case 4:
			s.host.Disk().SetRates(sim.Rates{Phantom: 10_000, Misdirected: 10_000, Latent: 1_000, Slow: 100, ShortWrite: 100_000})
		case 5:
			s.host.Disk().SetRates(sim.Rates{})
		case 6:
			conn.Vanish()
		}
		s.world.After(r.Between(0, 100*time.Millisecond), trouble)
	}
	s.world.After(100*time.Millisecond, trouble)
	s.run(10 * time.Second)
	return s
}

// The trace of one seed, written down: on every machine, with and without the race detector, it is the same. The script
// arch beside this file runs it on other machines.
func TestTraceIsTheSameEverywhere(t *testing.T) {
	s := pinnedStory()
	defer s.world.Close()
	if got := s.world.Trace().String(); got != pinned || s.world.Steps() < 1000 {
		t.Errorf("trace %s after %d steps, want %s", got, s.world.Steps(), pinned)
	}
	t.Logf("%s/%s, GOMAXPROCS %d: trace %s after %d steps", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), s.world.Trace(), s.world.Steps())
}

// Neither the collector nor the number of processors has a say.
func TestTraceUnderOtherRuntimeSettings(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, percent := range []int{-1, 1, 100} {
		for _, processors := range []int{1, 2, 5} {
			debug.SetGCPercent(percent)
			runtime.GOMAXPROCS(processors)
			s := pinnedStory()
			if got := s.world.Trace().String(); got != pinned {
				t.Errorf("GOGC %d, GOMAXPROCS %d: trace %s", percent, processors, got)
			}
			s.world.Close()
		}
	}
}
