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
	f.StringSliceVar(&o.Brokers, "brokers", nil, "addresses of a running broker, host:port")
	f.StringVar(&o.Dir, "dir", "", "where the measurements write; default: the system's temporary directory")
	f.IntSliceVar(&o.Connections, "connections", nil, "numbers of connections to measure with; default 1,10,100")
	f.IntSliceVar(&o.Sizes, "sizes", nil, "bytes of records in each produce request; default 1024,16384,262144")
	f.DurationVar(&o.CellTime, "time", 0, "how long each measurement lasts")
	f.StringSliceVar(&topicConfigs, "topic-config", nil, "setting of the topics that are made, key=value")
	f.BoolVar(&o.LimitsOnly, "limits", false, "measure the machine only")
	return cmd
}
