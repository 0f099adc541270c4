package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
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
