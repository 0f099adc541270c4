package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"lignum/cmd/lignum/groups"
)

func groupCommand() *cobra.Command {
	g := &groupClient{}
	cmd := &cobra.Command{
		Use:   "group",
		Short: "Look at consumer groups, delete them, reset their offsets",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	f := cmd.PersistentFlags()
	f.StringSliceVar(&g.servers, "bootstrap-server", []string{defaultListen}, "addresses of brokers, host:port")
	f.DurationVar(&g.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	f.StringVar(&g.output, "output", "table", "table or json")
	cmd.AddCommand(g.listCommand(), g.describeCommand(), g.deleteCommand(), g.resetCommand())
	return cmd
}

// groupClient holds what all commands about groups are told.
type groupClient struct {
	servers []string
	timeout time.Duration
	output  string
	names   []string
	all     bool // all groups
}

func (g *groupClient) listCommand() *cobra.Command {
	var filter groups.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List groups with type, state and coordinator",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.do(cmd.Context(), func(ctx context.Context, c *groups.Client) error {
				list, err := c.List(ctx, filter)
				return cmp.Or(show(g, cmd.OutOrStdout(), list, groups.PrintList), err)
			})
		},
	}
	cmd.Flags().StringSliceVar(&filter.States, "state", nil, "only groups in one of these states: Empty, Stable, PreparingRebalance, CompletingRebalance, Assigning, Reconciling")
	cmd.Flags().StringSliceVar(&filter.Types, "type", nil, "only groups of one of these types: classic, consumer")
	return cmd
}

func (g *groupClient) describeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "describe --group NAME",
		Short: "Show members, their partitions, committed offsets and the lag behind the end",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.each(cmd, func(ctx context.Context, c *groups.Client, names []string) error {
				list, err := c.Describe(ctx, names)
				return cmp.Or(show(g, cmd.OutOrStdout(), list, groups.PrintDescribed), err)
			})
		},
	}
	g.nameFlags(cmd)
	return cmd
}

func (g *groupClient) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete --group NAME",
		Short: "Delete groups that have no members, with their committed offsets",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.each(cmd, func(ctx context.Context, c *groups.Client, names []string) error {
				list, err := c.Delete(ctx, names)
				return cmp.Or(show(g, cmd.OutOrStdout(), list, func(out io.Writer, list []groups.Deleted) error {
					for _, d := range list {
						if d.Error == "" {
							fmt.Fprintf(out, "group %s is deleted\n", d.Group)
						}
					}
					return nil
				}), err)
			})
		},
	}
	g.nameFlags(cmd)
	return cmd
}

func (g *groupClient) nameFlags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&g.names, "group", nil, "names of groups")
	cmd.Flags().BoolVar(&g.all, "all-groups", false, "all groups")
	cmd.MarkFlagsOneRequired("group", "all-groups")
	cmd.MarkFlagsMutuallyExclusive("group", "all-groups")
}

// show prints a list as the user wants it.
func show[T any](g *groupClient, out io.Writer, list []T, print func(io.Writer, []T) error) error {
	if g.output == "json" {
		return groups.PrintJSON(out, list)
	}
	return print(out, list)
}

// do connects, and bounds the time.
func (g *groupClient) do(ctx context.Context, what func(context.Context, *groups.Client) error) error {
	if g.output != "table" && g.output != "json" {
		return usageError{fmt.Errorf("--output is %q, want table or json", g.output)}
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(g.servers...), kgo.ClientID("lignum-group"))
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	if err := what(ctx, groups.New(client)); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %v: %w", g.timeout, err)
		}
		return err
	}
	return nil
}

// each finds the names of the groups that are meant, and goes on with them.
func (g *groupClient) each(cmd *cobra.Command, what func(context.Context, *groups.Client, []string) error) error {
	return g.do(cmd.Context(), func(ctx context.Context, c *groups.Client) error {
		if !g.all {
			names := slices.Clone(g.names)
			slices.Sort(names)
			return what(ctx, c, slices.Compact(names))
		}
		names, err := c.Names(ctx)
		if err != nil {
			return err
		}
		return what(ctx, c, names)
	})
}

// resetFlags are what reset-offsets is told beside the groups.
type resetFlags struct {
	earliest, latest, current, dryRun, execute, export bool

	offset, shift  int64
	datetime, file string
	scope          groups.Scope
}

func (g *groupClient) resetCommand() *cobra.Command {
	var r resetFlags
	cmd := &cobra.Command{
		Use:   "reset-offsets --group NAME (--topic TOPIC[:0,1,2] | --all-topics) --to-earliest|...",
		Short: "Set the committed offsets of groups without members; shows only what it would do, without --execute",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := r.target(cmd)
			if err != nil {
				return usageError{err}
			}
			return g.each(cmd, func(ctx context.Context, c *groups.Client, names []string) error {
				return g.reset(ctx, cmd.OutOrStdout(), c, names, &r, target)
			})
		},
	}
	g.nameFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&r.scope.Topics, "topic", nil, "a topic, or some of its partitions: TOPIC:0,1,2; may be repeated")
	f.BoolVar(&r.scope.All, "all-topics", false, "all topics of which the group has committed offsets")
	f.BoolVar(&r.earliest, "to-earliest", false, "to the first record")
	f.BoolVar(&r.latest, "to-latest", false, "to the end")
	f.BoolVar(&r.current, "to-current", false, "to what is committed, which exports it")
	f.Int64Var(&r.offset, "to-offset", 0, "to an offset")
	f.Int64Var(&r.shift, "shift-by", 0, "by so many records, back if negative")
	f.StringVar(&r.datetime, "to-datetime", "", "to the first record of that time or later: 2006-01-02T15:04:05.000 (in UTC), the same with Z or +02:00, or milliseconds since 1970")
	f.StringVar(&r.file, "from-file", "", "to what a file says, in lines topic,partition,offset, or group,topic,partition,offset (- for standard input)")
	cmd.MarkFlagsOneRequired("to-earliest", "to-latest", "to-current", "to-offset", "shift-by", "to-datetime", "from-file")
	cmd.MarkFlagsMutuallyExclusive("to-earliest", "to-latest", "to-current", "to-offset", "shift-by", "to-datetime", "from-file")
	f.BoolVar(&r.dryRun, "dry-run", false, "only show what would be done; the default")
	f.BoolVar(&r.execute, "execute", false, "do it")
	f.BoolVar(&r.export, "export", false, "print it as --from-file reads it")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "execute")
	return cmd
}

func (r *resetFlags) target(cmd *cobra.Command) (groups.Target, error) {
	if !r.scope.All && len(r.scope.Topics) == 0 && r.file == "" {
		return groups.Target{}, errors.New("which topics? --topic or --all-topics")
	}
	switch {
	case cmd.Flags().Changed("to-offset"):
		if r.offset < 0 {
			return groups.Target{}, fmt.Errorf("--to-offset is %d, want 0 or more", r.offset)
		}
		return groups.Target{Kind: groups.ToOffset, Offset: r.offset}, nil
	case cmd.Flags().Changed("shift-by"):
		return groups.Target{Kind: groups.ShiftBy, Shift: r.shift}, nil
	case r.datetime != "":
		millis, err := parseTime(r.datetime)
		return groups.Target{Kind: groups.ToTime, Millis: millis}, err
	case r.file != "":
		rows, err := readRows(r.file, cmd.InOrStdin())
		return groups.Target{Kind: groups.FromFile, Rows: rows}, err
	case r.latest:
		return groups.Target{Kind: groups.ToLatest}, nil
	case r.current:
		return groups.Target{Kind: groups.ToCurrent}, nil
	case r.earliest:
		return groups.Target{Kind: groups.ToEarliest}, nil
	}
	return groups.Target{}, errors.New("where to? one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --from-file")
}

func parseTime(text string) (millis int64, err error) {
	if millis, err = strconv.ParseInt(text, 10, 64); err == nil && millis >= 0 {
		return millis, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMilli(), nil
		}
	}
	return 0, fmt.Errorf("--to-datetime is %q, want 2006-01-02T15:04:05.000, with Z or +02:00 behind it, or milliseconds", text)
}

func readRows(path string, stdin io.Reader) ([]groups.Row, error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	rows, err := groups.ReadRows(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// reset plans for all groups before it changes any.
func (g *groupClient) reset(ctx context.Context, out io.Writer, c *groups.Client, names []string, r *resetFlags, t groups.Target) error {
	var all []groups.Change
	plans := make([][]groups.Change, len(names))
	for i, name := range names {
		plan, err := c.Plan(ctx, name, r.scope, t)
		if err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
		plans[i], all = plan, append(all, plan...)
	}
	if r.execute {
		for i, name := range names {
			if err := c.Execute(ctx, name, plans[i]); err != nil {
				return fmt.Errorf("group %s: %w", name, err)
			}
		}
	}
	switch {
	case r.export:
		return groups.WriteRows(out, all, len(names) > 1 || g.all)
	case len(all) == 0 && g.output != "json":
		_, err := fmt.Fprintln(out, "there is nothing to reset: the groups have committed nothing there")
		return err
	}
	if err := show(g, out, all, groups.PrintPlan); err != nil || r.execute || g.output == "json" {
		return err
	}
	_, err := fmt.Fprintln(out, "nothing is changed yet; --execute does it")
	return err
}
