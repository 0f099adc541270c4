package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lignum/scenarios"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// fake is a scenario whose seeds end at once. What each shows depends on the seed alone.
func fake(broken func(seed uint64) bool) scenarios.Scenario {
	return scenarios.Scenario{
		Name: "fake", Faults: []string{"kill", "power"},
		Run: func(o scenarios.Options) scenarios.Result {
			r := scenarios.Result{
				Scenario: "fake", Seed: o.Seed, Events: 10 + o.Seed, Lives: 1, Simulated: time.Minute, Judged: 1,
				Faults: map[string]uint64{"kill": 1, "power": o.Seed % 2},
				Checks: map[string]uint64{"D1": 1, "F8": o.Seed},
				Totals: ledger.Totals{Sent: 2, Acked: 1 + o.Seed},
			}
			if broken != nil && broken(o.Seed) {
				r.Findings = []sim.Finding{{Seed: o.Seed, Name: "D1", Message: "gone"}}
			}
			return r
		},
	}
}

// runSim runs it, and returns what was printed.
func runSim(o simRun, s scenarios.Scenario) (string, error) {
	var out bytes.Buffer
	if o.jobs == 0 {
		o.jobs = 3
	}
	err := o.run(s, &out, &out)
	return out.String(), err
}

// totals are the lines of a summary that depend on the seeds alone.
func totals(printed string) string {
	var lines []string
	for _, line := range strings.Split(printed, "\n") {
		for _, name := range []string{"seeds", "records", "histories", "faults", "checks"} {
			if strings.HasPrefix(line, name+" ") {
				line, _, _ = strings.Cut(line, ", in ")
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// slow is a scenario of which somebody can see when a run has reached a seed. Later seeds wait for that.
func slow(s scenarios.Scenario, at uint64, reached func()) scenarios.Scenario {
	run, passed := s.Run, make(chan struct{})
	s.Run = func(o scenarios.Options) scenarios.Result {
		switch {
		case o.Seed == at:
			reached()
			close(passed)
		case o.Seed > at:
			<-passed
		}
		return run(o)
	}
	return s
}

func TestRunGoesOnWhereItWasInterrupted(t *testing.T) {
	want, err := runSim(simRun{seeds: 500, from: 7}, fake(nil))
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "sub", "state")
	signals := make(chan os.Signal, 1)
	first, err := runSim(simRun{seeds: 500, from: 7, state: state, interrupted: signals}, slow(fake(nil), 100, func() { signals <- os.Interrupt }))
	if err == nil || !strings.Contains(err.Error(), "interrupted at seed 10") {
		t.Fatalf("%v\n%s", err, first)
	}
	second, err := runSim(simRun{seeds: 500, from: 9999, state: state}, fake(nil))
	if err != nil || !strings.Contains(second, "going on at seed 10") || !strings.Contains(second, "in 2 parts") || totals(second) != totals(want) {
		t.Fatalf("%v\n%s\nwant:\n%s", err, second, want)
	}
	again, err := runSim(simRun{seeds: 500, state: state}, fake(func(uint64) bool { return true }))
	if err != nil || !strings.Contains(again, "finished") || totals(again) != totals(want) {
		t.Fatalf("%v\n%s", err, again)
	}
	if files, err := os.ReadDir(filepath.Dir(state)); err != nil || len(files) != 1 {
		t.Errorf("%v, %v: temporary files are left", files, err)
	}
	longer, err := runSim(simRun{seeds: 600, state: state}, fake(nil))
	if err != nil || !strings.Contains(longer, "seeds      600 ") {
		t.Errorf("%v\n%s", err, longer)
	}
}

// TestKilledRunGoesOn: the file is never more than seconds behind, and its counts fit its next seed at all times.
func TestKilledRunGoesOn(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	var kept []byte
	o := simRun{seeds: 300, from: 1, state: state, jobs: 1}
	s := slow(fake(nil), 250, func() { // the first save is at the first seed
		content, err := os.ReadFile(state)
		if err != nil {
			t.Error(err)
		}
		kept = content
	})
	want, err := runSim(o, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	var at tally
	if err := json.Unmarshal(kept, &at); err != nil || at.Next == at.From || uint64(at.Sum.Seeds) != at.Next-at.From {
		t.Fatalf("%v: %+v", err, at)
	}
	if got, err := runSim(o, fake(nil)); err != nil || totals(got) != totals(want) {
		t.Errorf("%v\n%s\nwant:\n%s", err, got, want)
	}
}

func TestTimeIsCountedOverAllParts(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	o := simRun{seeds: 1 << 60, from: 1, state: state, within: 300 * time.Millisecond}
	if got, err := runSim(o, fake(nil)); err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	got, err := runSim(o, fake(nil))
	if err != nil || !strings.Contains(got, "finished") {
		t.Fatalf("%v\n%s", err, got)
	}
	o.within = time.Hour
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	o.interrupted = signals
	if got, err := runSim(o, fake(nil)); err == nil || strings.Contains(got, "finished") {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestViolationOfAnEarlierPart: it counts to the end.
func TestViolationOfAnEarlierPart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	bad := fake(func(seed uint64) bool { return seed == 3 })
	for i, seeds := range []uint64{10, 20, 20} {
		got, err := runSim(simRun{seeds: seeds, from: 1, state: state}, bad)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("1 of %d seeds broke a promise", seeds)) || !strings.Contains(got, "--seed 3") {
			t.Errorf("part %d: %v\n%s", i, err, got)
		}
	}
}

func TestStateOfOtherCodeBeginsAnew(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	o := simRun{seeds: 10, from: 1, state: state}
	rewrite := func(edit func(*tally)) {
		var kept tally
		content, err := os.ReadFile(state)
		if err == nil {
			err = json.Unmarshal(content, &kept)
		}
		edit(&kept)
		if err = errors.Join(err, kept.save(state)); err != nil {
			t.Fatal(err)
		}
	}
	for name, edit := range map[string]func(*tally){
		"other code":  func(k *tally) { k.Code = "v0 abc" },
		"another run": func(k *tally) { k.Length = time.Second },
	} {
		if _, err := runSim(o, fake(nil)); err != nil {
			t.Fatal(err)
		}
		rewrite(func(k *tally) { k.Failed = 1; edit(k) })
		got, err := runSim(o, fake(nil))
		if err != nil || !strings.Contains(got, "is of "+name) || !strings.Contains(got, "beginning anew") || !strings.Contains(got, "seeds      10 ") {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	if err := os.WriteFile(state, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := runSim(o, fake(nil)); err == nil || !strings.Contains(err.Error(), state) {
		t.Errorf("a file that is no state: %v", err)
	}
}

// TestIdleFaultsFail: a thousand seeds must show every kind of fault.
func TestIdleFaultsFail(t *testing.T) {
	s := fake(nil)
	s.Faults = append(s.Faults, "flood", "fire")
	if _, err := runSim(simRun{seeds: 999, from: 1}, s); err != nil {
		t.Error(err)
	}
	got, err := runSim(simRun{seeds: 1000, from: 1}, s)
	if err == nil || !strings.Contains(err.Error(), "flood, fire") || exitStatus(err) != 1 {
		t.Errorf("%v\n%s", err, got)
	}
}

// TestRealScenario: the command line as a user types it.
func TestRealScenario(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	run := func(seeds string) string {
		var out bytes.Buffer
		cmd := rootCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs([]string{"sim", "run", "--seeds", seeds, "--from", "40", "--length", "3s", "--state", state})
		if err := cmd.Execute(); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		return out.String()
	}
	run("2")
	if got := run("4"); !strings.Contains(got, "going on at seed 42, behind 2 seeds") || !strings.Contains(got, "seeds      4 ") {
		t.Error(got)
	}
}
