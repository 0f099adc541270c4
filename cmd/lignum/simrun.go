package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lignum/scenarios"

	"github.com/spf13/cobra"
)

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
	state    string

	interrupted <-chan os.Signal // ends the run early; what came of it so far is kept
}

func simRunCommand() *cobra.Command {
	var o simRun
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run many seeds of a scenario",
		Long: `Run many seeds of a scenario and check every promise in each. The exit status is 1 if one was broken, if the seeds have
checked nothing, or if a thousand of them have not shown every kind of fault that the scenario has.

With --state the counts are kept in a file: a run that is interrupted goes on when it is started again, and --seeds and --within count all
its parts. A file that other code has written is begun anew.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := scenarioNamed(o.scenario)
			if err != nil {
				return err
			}
			if o.seeds == 0 || o.jobs < 1 {
				return usageError{errors.New("--seeds and --jobs must be at least 1")}
			}
			if o.state != "" {
				signals := make(chan os.Signal, 1)
				signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
				defer signal.Stop(signals)
				o.interrupted = signals
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
	f.StringVar(&o.state, "state", "", "file that keeps the counts, so that an interrupted run can go on")
	return cmd
}

// run runs the seeds and prints what came of them.
func (o simRun) run(s scenarios.Scenario, out, progress io.Writer) error {
	tuneCollector(400)
	t := &tally{Scenario: s.Name, Length: o.length, Twice: o.twice, From: o.from, Next: o.from}
	if o.state != "" {
		var err error
		if t.Code, err = codeID(); err != nil {
			return fmt.Errorf("state: %w", err)
		}
		news, err := t.resume(o.state)
		if err != nil {
			return err
		}
		if news != "" {
			fmt.Fprintln(out, news)
		}
		for _, line := range t.Reports {
			fmt.Fprintln(out, line)
		}
	}
	stopped := false
	if o.finished(t) {
		fmt.Fprintf(out, "%s: this run is finished; remove the file to begin another\n", o.state)
	} else {
		r := &runner{simRun: o, tally: t, out: out, bar: newBar(progress, o.seeds), before: t.Spent, began: time.Now()}
		r.bar.done = t.Next - t.From
		t.Parts++
		r.work(s)
		r.bar.clear()
		if err := r.keep(); err != nil {
			return err
		}
		stopped = r.stopped && !o.finished(t)
	}
	printSummary(out, t)
	return o.verdict(s, t, stopped)
}

// finished reports whether all that was asked for is done.
func (o *simRun) finished(t *tally) bool {
	return t.Next-t.From >= o.seeds || o.within > 0 && t.Spent >= o.within
}

// verdict is the exit status.
func (o *simRun) verdict(s scenarios.Scenario, t *tally, stopped bool) error {
	switch {
	case t.Failed > 0:
		return fmt.Errorf("%d of %d seeds broke a promise", t.Failed, t.Sum.Seeds)
	case stopped:
		return fmt.Errorf("interrupted at seed %d: the same command goes on from there", t.Next)
	case t.Sum.Seeds == 0:
		return errors.New("nothing was checked: no seed was run")
	case t.Empty == t.Sum.Seeds:
		return fmt.Errorf("nothing was checked: %s", t.Why)
	}
	if idle := s.Idle(&t.Sum); len(idle) > 0 {
		return fmt.Errorf("faults that never happened: %s", strings.Join(idle, ", "))
	}
	return nil
}

// runner is one part of a run.
type runner struct {
	simRun
	out    io.Writer
	bar    *bar
	before time.Duration // what earlier parts have taken
	began  time.Time

	next    atomic.Uint64
	lock    sync.Mutex // of what follows, and of the two writers
	tally   *tally
	stopped bool // by somebody, or at a violation
	saved   time.Time
	err     error // of a save
}

// work runs seeds until there is a reason to end.
func (r *runner) work(s scenarios.Scenario) {
	single := s.Run
	if r.twice {
		single = s.Twice
	}
	r.next.Store(r.tally.Next)
	end := r.tally.From + r.seeds
	var group sync.WaitGroup
	for range r.jobs {
		group.Go(func() {
			for !r.over() {
				n := r.next.Add(1) - 1 // it is run in any case: the tally has no gaps at the end
				if n >= end {
					return
				}
				r.took(single(scenarios.Options{Seed: n, Length: r.length}))
			}
		})
	}
	group.Wait()
}

// over reports whether no more seeds are to begin.
func (r *runner) over() bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	select {
	case <-r.interrupted:
		r.stopped = true
	default:
	}
	return r.stopped || r.within > 0 && r.spent() >= r.within
}

func (r *runner) spent() time.Duration { return r.before + time.Since(r.began) }

// took takes in the result of a seed.
func (r *runner) took(result scenarios.Result) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.tally.add(result)
	r.bar.step()
	if line := result.Report(); line != "" {
		if r.failFast {
			r.stopped = true
		}
		r.bar.clear()
		fmt.Fprintln(r.out, line)
	}
	if now := time.Now(); now.Sub(r.saved) > time.Second {
		r.saved = now
		if r.err = r.keep(); r.err != nil {
			r.stopped = true
		}
	}
}

// keep writes the counts down, if that is wanted.
func (r *runner) keep() error {
	r.tally.Spent = r.spent()
	if r.err != nil || r.state == "" {
		return r.err
	}
	return r.tally.save(r.state)
}

func printSummary(out io.Writer, t *tally) {
	sum, took := &t.Sum, t.Spent
	perSecond := uint64(float64(sum.Events) / max(took.Seconds(), 1e-9))
	parts := ""
	if t.Parts > 1 {
		parts = fmt.Sprintf(", in %d parts", t.Parts)
	}
	fmt.Fprintf(out, "seeds      %d (%d with a violation, %d that showed nothing), %d processes%s\n", sum.Seeds, t.Failed, t.Empty, sum.Lives, parts)
	fmt.Fprintf(out, "events     %d, %d per second; %d requests\n", sum.Events, perSecond, sum.Requests)
	fmt.Fprintf(out, "simulated  %v in %v\n", sum.Simulated.Round(time.Second), took.Round(time.Millisecond))
	fmt.Fprintf(out, "records    %d sent: %d acknowledged, %d refused, %d neither; %d known, %d of a thousand may not be lost, %d were, with permission\n",
		sum.Totals.Sent, sum.Totals.Acked, sum.Totals.Refused, sum.Totals.Unknown, sum.Totals.Known, sum.ForbiddenShare(), sum.Totals.Lost)
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
