// Command table reads what go test -json prints and prints what came of each
// client and check: a table of the suite, a list of the other tests, and the
// reasons of all that was skipped or failed. It fails if a test failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json.
type event struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64
}

// result is what came of one test.
type result struct {
	name    string
	outcome string
	seconds float64
	output  []string
}

// report collects the results in the order in which the tests began.
type report struct {
	results []*result
	byName  map[string]*result
	other   []string // output of no test, such as a failed build's
	failed  bool
}

func main() {
	r, err := collect(os.Stdin, os.Stderr)
	if err == nil {
		err = r.print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
	if r.failed {
		os.Exit(1)
	}
}

// outcomes are the words of the table.
var outcomes = map[string]string{"pass": "ok", "fail": "failed", "skip": "skipped"}

// collect reads all events, and tells of each finished top-level test as it goes.
func collect(in io.Reader, progress io.Writer) (*report, error) {
	r := &report{byName: map[string]*result{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		r.add(e)
		if outcome := outcomes[e.Action]; outcome != "" && e.Test != "" && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(progress, "%-30s %-8s %5.1f s\n", e.Test, outcome, e.Elapsed)
		}
	}
	return r, lines.Err()
}

func (r *report) add(e event) {
	if e.Action == "fail" || e.Action == "build-fail" {
		r.failed = true
	}
	if e.Test == "" {
		if e.Output != "" && e.Output != "PASS\n" {
			r.other = append(r.other, e.Output)
		}
		return
	}
	t := r.byName[e.Test]
	if t == nil {
		t = &result{name: e.Test, outcome: "unfinished"}
		r.byName[e.Test] = t
		r.results = append(r.results, t)
	}
	if outcome := outcomes[e.Action]; outcome != "" {
		t.outcome, t.seconds = outcome, e.Elapsed
	}
	if text := strings.TrimSpace(e.Output); text != "" && !strings.HasPrefix(text, "===") && !strings.HasPrefix(text, "---") {
		t.output = append(t.output, text)
	}
}

// suiteMark is a check that only the clients' suite has.
const suiteMark = "/create-list"

func (r *report) print(out io.Writer) error {
	w := bufio.NewWriter(out)
	var clients, checks []string
	for _, t := range r.results {
		if client, found := strings.CutSuffix(t.name, suiteMark); found {
			clients = append(clients, client)
		}
	}
	for _, t := range r.results {
		client, check, _ := strings.Cut(t.name, "/")
		if check != "" && slices.Contains(clients, client) && !slices.Contains(checks, check) {
			checks = append(checks, check)
		}
	}
	r.printSuite(w, clients, checks)
	fmt.Fprintf(w, "\nOther tests\n\n")
	for _, t := range r.results {
		client, _, _ := strings.Cut(t.name, "/")
		if !slices.Contains(clients, client) {
			fmt.Fprintf(w, "    %-60s %-10s %6.1f s\n", t.name, t.outcome, t.seconds)
		}
	}
	r.printReasons(w)
	return w.Flush()
}

func (r *report) printSuite(w io.Writer, clients, checks []string) {
	fmt.Fprintf(w, "\n| check |")
	for _, client := range clients {
		fmt.Fprintf(w, " %s |", strings.TrimPrefix(client, "Test"))
	}
	fmt.Fprintf(w, "\n| --- |%s\n", strings.Repeat(" --- |", len(clients)))
	for _, check := range checks {
		fmt.Fprintf(w, "| %s |", check)
		for _, client := range clients {
			outcome := "-"
			if t := r.byName[client+"/"+check]; t != nil {
				outcome = t.outcome
			}
			fmt.Fprintf(w, " %s |", outcome)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	for _, client := range clients {
		for _, line := range r.byName[client].output {
			if _, name, found := strings.Cut(line, "client: "); found {
				fmt.Fprintf(w, "    %-16s %s\n", strings.TrimPrefix(client, "Test"), name)
			}
		}
	}
}

func (r *report) printReasons(w io.Writer) {
	for _, outcome := range []string{"skipped", "failed", "unfinished"} {
		title := "\nReasons: " + outcome + "\n\n"
		for _, t := range r.results {
			if t.outcome == outcome {
				fmt.Fprintf(w, "%s    %s: %s\n", title, t.name, strings.Join(t.output, "\n        "))
				title = ""
			}
		}
	}
	if r.failed {
		fmt.Fprintf(w, "\n%s", strings.Join(r.other, ""))
	}
}
