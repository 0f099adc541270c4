package main

import (
	"fmt"
	"strings"

	"lignum/cmd/lignum/perf"

	"github.com/spf13/cobra"
)

func perfCommand() *cobra.Command {
	var o perf.Options
	var topicConfigs []string
	cmd := &cobra.Command{
		Use:   "perf",
		Short: "Measure a broker beside the limits of the machine that it runs on",
		Long: `Measure produce and fetch over loopback with several numbers of connections and sizes of requests, and beside
them, in the same run, what the machine itself can do: page-cache writes, fdatasync, TCP, sendfile.

Without --brokers a broker is started for the measurement on a directory of its own and removed afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.TopicConfigs = map[string]string{}
			for _, s := range topicConfigs {
				key, value, ok := strings.Cut(s, "=")
				if !ok {
					return usageError{fmt.Errorf("--topic-config %q: want key=value", s)}
				}
				o.TopicConfigs[key] = value
			}
			return perf.Run(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Brokers, "brokers", nil, "addresses of a running broker or cluster, host:port")
	f.Int16Var(&o.Replicas, "replicas", 1, "replication factor of the topics that are made")
	f.IntVar(&o.Rate, "rate", 0, "produce so many requests per second, evenly spaced, instead of as many as there can be")
	f.StringVar(&o.Dir, "dir", "", "where the measurements write; default: the system's temporary directory")
	f.IntSliceVar(&o.Connections, "connections", nil, "numbers of connections to measure with; default 1,10,100")
	f.IntSliceVar(&o.Sizes, "sizes", nil, "bytes of records in each produce request; default 1024,16384,262144")
	f.DurationVar(&o.CellTime, "time", 0, "how long each measurement lasts")
	f.StringSliceVar(&topicConfigs, "topic-config", nil, "setting of the topics that are made, key=value")
	f.BoolVar(&o.ProduceOnly, "produce", false, "measure produce only")
	f.Var((*acksFlag)(&o.Acks), "acks", "levels of acknowledgement: 1, all; default both")
	f.BoolVar(&o.LimitsOnly, "limits", false, "measure the machine only")
	return cmd
}

// acksFlag is a list of levels of acknowledgement.
type acksFlag []int16

// Set implements pflag.Value.
func (a *acksFlag) Set(text string) error {
	*a = nil
	for _, level := range strings.Split(text, ",") {
		switch level {
		case "1":
			*a = append(*a, 1)
		case "all", "-1":
			*a = append(*a, -1)
		default:
			return fmt.Errorf("%q: want 1 or all", level)
		}
	}
	return nil
}

// String implements pflag.Value.
func (a *acksFlag) String() string {
	var levels []string
	for _, level := range *a {
		levels = append(levels, map[int16]string{1: "1", -1: "all"}[level])
	}
	return strings.Join(levels, ",")
}

// Type implements pflag.Value.
func (a *acksFlag) Type() string { return "levels" }
