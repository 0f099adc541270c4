package scenarios

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// traceLength is short, so that the race detector and an emulator can tell the stories too.
const traceLength = 3 * time.Second

// TestTrace prints the traces of some seeds of each scenario, each run twice. The script sim/arch compares them between machines, with and
// without the race detector, and under other settings of the runtime.
func TestTrace(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for _, s := range All() {
		for seed := range seeds {
			r := s.Twice(Options{Seed: seed, Length: traceLength})
			if len(r.Findings) > 0 && r.Findings[0].Name == "twins" {
				t.Error(r.Findings[0])
			}
			t.Logf("%s seed %d: trace %s after %d events", s.Name, seed, r.Trace, r.Events)
		}
	}
}

// TestTraceInAnotherProcess holds the story that a seed of each scenario tells in this process, which `make check` builds with the race
// detector, against the one that it tells in the binary as it is shipped, where the collector runs all the time and on one processor.
func TestTraceInAnotherProcess(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "lignum")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "lignum/cmd/lignum")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	for _, s := range All() {
		other := exec.Command(binary, "sim", "replay", "--scenario", s.Name, "--seed", "1", "--length", traceLength.String(), "--lines", "0")
		other.Env = append(os.Environ(), "GOGC=10", "GOMAXPROCS=1")
		var out, complaint bytes.Buffer
		other.Stdout, other.Stderr = &out, &complaint
		if err := other.Run(); err != nil {
			t.Errorf("%v: %v\n%s%s", other, err, out.Bytes(), complaint.Bytes())
			continue
		}
		r := s.Run(Options{Seed: 1, Length: traceLength})
		if want := "trace " + r.Trace.String(); !strings.Contains(out.String(), want) {
			t.Errorf("%s: here %d events, %s; %v says: %s", s.Name, r.Events, want, other, out.Bytes())
		}
	}
}
