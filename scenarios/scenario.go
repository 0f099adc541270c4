// Package scenarios is the named bad days: each runs the real broker in a simulated world, with simulated clients, under the faults that one
// seed chooses, and judges by the ledger and by the clients' histories what came of it. One seed tells one story.
//
// To add a scenario: write a function that takes Options and returns a Result, and enter it in All. To add a fault: see faults.go. To add a
// check: package ledger.
package scenarios

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// Options say how to run a scenario.
type Options struct {
	Seed uint64
	// Length is how long faults strike; 0 is the scenario's own choice. What follows until everything is checked comes on top.
	Length time.Duration
	// Tell gets the story line by line, if it is not nil.
	Tell func(Line)
}

// Line is one line of a story.
type Line struct {
	At   env.Instant
	Who  string // "event", "fault", "broker", "disk", "check"
	Text string
}

// String is the line for people.
func (l Line) String() string {
	return fmt.Sprintf("%4d.%09d %-7s %s", l.At/1e9, l.At%1e9, l.Who, l.Text)
}

// Result is what came of one seed.
type Result struct {
	Scenario  string
	Seed      uint64
	Events    uint64
	Requests  uint64
	Simulated time.Duration
	Trace     sim.Trace
	Findings  []sim.Finding
	Faults    map[string]uint64 // by kind: how many really happened
	Checks    map[string]uint64 // by invariant: how often it was checked
	Totals    ledger.Totals
	Judged    uint64 // operations that the linearizability checker judged
	Lives     uint64 // processes that there were

	length time.Duration // as it was asked for
}

// Vacuous says why the run has shown nothing, or "".
func (r *Result) Vacuous() string {
	switch {
	case r.Totals.Acked == 0:
		return "no record was acknowledged"
	case r.Checks["D1"] == 0 || r.Checks["F8"] == 0:
		return "nothing was read"
	case r.Judged == 0 && r.Checks["L7"] == 0:
		return "no history was judged"
	}
	return ""
}

// Report says in one line what was found first and how to see it again; "" if nothing was.
func (r *Result) Report() string {
	if len(r.Findings) == 0 {
		return ""
	}
	length := ""
	if r.length != 0 {
		length = fmt.Sprintf(" --length %v", r.length)
	}
	return fmt.Sprintf("%s: replay with: lignum sim replay --scenario %s --seed %d%s", r.Findings[0], r.Scenario, r.Seed, length)
}

// Scenario is a named bad day.
type Scenario struct {
	Name  string
	About string
	Run   func(Options) Result
	// Faults are the kinds of faults that must really happen in a thousand seeds.
	Faults []string
}

// enough is how many seeds must show every kind of fault.
const enough = 1000

// Idle lists the kinds of faults that should have happened in so many seeds, and did not.
func (s Scenario) Idle(sum *Summary) []string {
	var idle []string
	for _, kind := range s.Faults {
		if sum.Seeds >= enough && sum.Faults[kind] == 0 {
			idle = append(idle, kind)
		}
	}
	return idle
}

// All lists the scenarios.
func All() []Scenario {
	return []Scenario{
		{Name: "single", About: "one broker, all kinds of clients, crashes and disk faults", Run: Single, Faults: singleFaults},
		{Name: "cluster", About: "three brokers and more: crashes, cuts of the network, pauses, disk faults, elections, reassignments", Run: Cluster, Faults: clusterHappens},
		{Name: "groups", About: "consumer groups of both protocols and their offsets, on one broker or three", Run: GroupDays, Faults: groupFaults},
		{Name: "rot", About: "one broker on a disk that lies: rot, bad sectors, phantom and misdirected writes", Run: Rot, Faults: rotFaults},
	}
}

// Find finds a scenario by its name.
func Find(name string) (Scenario, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// Twice runs a seed two times. If the two differ there is a finding, which names the first event in which they do.
func (s Scenario) Twice(o Options) Result {
	r := s.Run(o)
	if again := s.Run(o); again.Trace != r.Trace || again.Events != r.Events {
		r.Findings = append([]sim.Finding{{Seed: o.Seed, Name: "twins", Message: s.difference(o)}}, r.Findings...)
	}
	return r
}

// difference finds the first line in which two runs of a seed differ.
func (s Scenario) difference(o Options) string {
	var first []string
	o.Tell = func(l Line) { first = append(first, l.String()) }
	s.Run(o)
	at, found := 0, ""
	o.Tell = func(l Line) {
		switch {
		case found != "":
		case at >= len(first):
			found = "the second story goes on with: " + l.String()
		case first[at] != l.String():
			found = fmt.Sprintf("line %d is %q and %q", at+1, first[at], l)
		}
		at++
	}
	s.Run(o)
	switch {
	case found != "":
		return "one seed tells two stories: " + found
	case at < len(first):
		return "one seed tells two stories: the first one goes on with: " + first[at]
	}
	return "one seed told two stories, but not when looked at line by line"
}

// Summary adds up results.
type Summary struct {
	Seeds     int
	Events    uint64
	Requests  uint64
	Simulated time.Duration
	Faults    map[string]uint64
	Checks    map[string]uint64
	Totals    ledger.Totals
	Judged    uint64
	Lives     uint64
	Failed    []Result // those with findings
	Empty     []Result // those that have shown nothing
}

// Add takes a result in.
func (s *Summary) Add(r Result) {
	if s.Faults == nil {
		s.Faults, s.Checks = map[string]uint64{}, map[string]uint64{}
	}
	s.Seeds++
	s.Events += r.Events
	s.Requests += r.Requests
	s.Simulated += r.Simulated
	s.Judged += r.Judged
	s.Lives += r.Lives
	s.Totals.Add(r.Totals)
	sum(s.Faults, r.Faults)
	sum(s.Checks, r.Checks)
	switch {
	case len(r.Findings) > 0:
		s.Failed = append(s.Failed, r)
	case r.Vacuous() != "":
		s.Empty = append(s.Empty, r)
	}
}

func sum(to, from map[string]uint64) {
	//house:anyorder sums do not depend on it
	for name, n := range from {
		to[name] += n
	}
}

// Counts writes a table of counts as words, in order.
func Counts(m map[string]uint64) []string {
	var out []string
	for _, name := range slices.SortedFunc(maps.Keys(m), cmp.Compare[string]) {
		out = append(out, fmt.Sprintf("%s %d", name, m[name]))
	}
	return out
}

// ForbiddenShare is how many of a thousand known records the ledger forbade to be lost.
func (s *Summary) ForbiddenShare() uint64 {
	if s.Totals.Known == 0 {
		return 0
	}
	return s.Totals.Forbidden * 1000 / s.Totals.Known
}
