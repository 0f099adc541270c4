package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lignum/scenarios"

	"github.com/spf13/cobra"
)

// simCommand runs the broker in the simulator.
func simCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run the broker in the simulator, through crashes and broken disks",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(simRunCommand(), simReplayCommand(), simListCommand())
	return cmd
}

func simListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Name the scenarios",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range scenarios.All() {
				fmt.Fprintf(cmd.OutOrStdout(), "%-12s %s\n", s.Name, s.About)
			}
			return nil
		},
	}
}

// noArgs is cobra.NoArgs as bad usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// scenarioNamed finds a scenario; a name that there is not is bad usage.
func scenarioNamed(name string) (scenarios.Scenario, error) {
	s, ok := scenarios.Find(name)
	if !ok {
		return s, usageError{fmt.Errorf("there is no scenario %q: lignum sim list names them", name)}
	}
	return s, nil
}

// simRun are the flags of "sim run".
type simRun struct {
	scenario string
	seeds    uint64
	from     uint64
	jobs     int
	length   time.Duration
	twice    bool
	failFast bool
	within   time.Duration
}

func simRunCommand() *cobra.Command {
	var o simRun
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run many seeds of a scenario",
		Long: `Run many seeds of a scenario and check every promise in each. The exit status is 1 if one was broken, or if the seeds have
checked nothing.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := scenarioNamed(o.scenario)
			if err != nil {
				return err
			}
			if o.seeds == 0 || o.jobs < 1 {
				return usageError{errors.New("--seeds and --jobs must be at least 1")}
			}
			return o.run(s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.scenario, "scenario", "single", "which scenario")
	f.Uint64Var(&o.seeds, "seeds", 100, "how many seeds")
	f.Uint64Var(&o.from, "from", 1, "the first seed")
	f.IntVar(&o.jobs, "jobs", 2, "how many run at a time")
	f.DurationVar(&o.length, "length", 0, "simulated time in which faults strike; 0 is the scenario's own choice")
	f.BoolVar(&o.failFast, "fail-fast", false, "stop at the first violation")
	f.DurationVar(&o.within, "within", 0, "begin no more seeds after so much time; 0: run all")
	f.BoolVar(&o.twice, "twice", false, "run each seed twice and compare the traces")
	return cmd
}

// run runs the seeds and prints what came of them.
func (o simRun) run(s scenarios.Scenario, out, progress io.Writer) error {
	var (
		next   atomic.Uint64
		failed atomic.Bool
		lock   sync.Mutex // of sum and the two writers
		sum    scenarios.Summary
		group  sync.WaitGroup
		began  = time.Now()
		bar    = newBar(progress, o.seeds)
		single = s.Run
	)
	if o.twice {
		single = s.Twice
	}
	for range o.jobs {
		group.Go(func() {
			for {
				n := next.Add(1) - 1
				late := o.within > 0 && time.Since(began) > o.within
				if n >= o.seeds || late || o.failFast && failed.Load() {
					return
				}
				r := single(scenarios.Options{Seed: o.from + n, Length: o.length})
				lock.Lock()
				sum.Add(r)
				bar.step()
				if line := r.Report(); line != "" {
					failed.Store(true)
					bar.clear()
					fmt.Fprintln(out, line)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	bar.clear()
	printSummary(out, &sum, time.Since(began))
	switch {
	case len(sum.Failed) > 0:
		return fmt.Errorf("%d of %d seeds broke a promise", len(sum.Failed), sum.Seeds)
	case sum.Seeds == 0:
		return errors.New("nothing was checked: no seed was run")
	case len(sum.Empty) == sum.Seeds:
		return fmt.Errorf("nothing was checked: %s", sum.Empty[0].Vacuous())
	}
	if idle := s.Idle(&sum); len(idle) > 0 {
		return fmt.Errorf("faults that never happened: %s", strings.Join(idle, ", "))
	}
	return nil
}

func printSummary(out io.Writer, sum *scenarios.Summary, took time.Duration) {
	perSecond := uint64(float64(sum.Events) / took.Seconds())
	t := sum.Totals
	fmt.Fprintf(out, "seeds      %d (%d with a violation, %d that showed nothing), %d processes\n", sum.Seeds, len(sum.Failed), len(sum.Empty), sum.Lives)
	fmt.Fprintf(out, "events     %d, %d per second; %d requests\n", sum.Events, perSecond, sum.Requests)
	fmt.Fprintf(out, "simulated  %v in %v\n", sum.Simulated.Round(time.Second), took.Round(time.Millisecond))
	fmt.Fprintf(out, "records    %d sent: %d acknowledged, %d refused, %d neither; %d known, %d of a thousand may not be lost, %d were, with permission\n",
		t.Sent, t.Acked, t.Refused, t.Unknown, t.Known, sum.ForbiddenShare(), t.Lost)
	fmt.Fprintf(out, "histories  %d operations judged\n", sum.Judged)
	fmt.Fprintf(out, "faults     %s\n", strings.Join(scenarios.Counts(sum.Faults), ", "))
	fmt.Fprintf(out, "checks     %s\n", strings.Join(scenarios.Counts(sum.Checks), ", "))
}

// bar is a progress bar on a terminal, and nothing elsewhere.
type bar struct {
	out         io.Writer
	done, total uint64
	shown       time.Time
}

func newBar(out io.Writer, total uint64) *bar {
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &bar{out: out, total: total}
		}
	}
	return &bar{out: io.Discard, total: total}
}

func (b *bar) step() {
	b.done++
	if now := time.Now(); now.Sub(b.shown) > 100*time.Millisecond {
		b.shown = now
		const width = 40
		full := int(b.done * width / b.total)
		fmt.Fprintf(b.out, "\r[%s%s] %d of %d", strings.Repeat("=", full), strings.Repeat(" ", width-full), b.done, b.total)
	}
}

func (b *bar) clear() { fmt.Fprintf(b.out, "\r%70s\r", "") }

// simReplay are the flags of "sim replay".
type simReplay struct {
	scenario string
	seed     uint64
	trace    string
	lines    int
	length   time.Duration
}

func simReplayCommand() *cobra.Command {
	var o simReplay
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Run one seed again and tell its story",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := scenarioNamed(o.scenario)
			if err != nil {
				return err
			}
			return o.replay(s, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.scenario, "scenario", "single", "which scenario")
	f.Uint64Var(&o.seed, "seed", 1, "which seed")
	f.StringVar(&o.trace, "trace", "", "file for the whole story, as JSON lines")
	f.IntVar(&o.lines, "lines", 80, "how many lines before the violation to print")
	f.DurationVar(&o.length, "length", 0, "as given to sim run")
	return cmd
}

// replay tells the story of a seed: what led to its end in lines for people, all of it as JSON lines.
func (o simReplay) replay(s scenarios.Scenario, out io.Writer) error {
	var last []scenarios.Line
	var encoder *json.Encoder
	if o.trace != "" {
		f, err := os.Create(o.trace)
		if err != nil {
			return fmt.Errorf("trace: %w", err)
		}
		defer func() { _ = f.Close() }()
		encoder = json.NewEncoder(f)
	}
	var failed error
	r := s.Run(scenarios.Options{Seed: o.seed, Length: o.length, Tell: func(l scenarios.Line) {
		if encoder != nil && failed == nil {
			failed = encoder.Encode(l)
		}
		if l.Who == "event" {
			return
		}
		if last = append(last, l); len(last) > 2*o.lines {
			last = append(last[:0], last[len(last)-o.lines:]...)
		}
	}})
	if failed != nil {
		return fmt.Errorf("trace: %w", failed)
	}
	for _, l := range last[max(0, len(last)-o.lines):] {
		fmt.Fprintln(out, l)
	}
	fmt.Fprintf(out, "%d events, trace %s\n", r.Events, r.Trace)
	for _, f := range r.Findings {
		fmt.Fprintln(out, f)
		if f.Stack != "" {
			fmt.Fprintln(out, f.Stack)
		}
	}
	switch {
	case len(r.Findings) > 0:
		return fmt.Errorf("seed %d broke a promise", o.seed)
	case r.Vacuous() != "":
		return fmt.Errorf("nothing was checked: %s", r.Vacuous())
	}
	return nil
}
