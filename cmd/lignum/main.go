// Command lignum is the broker and its tools in one binary.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	if err := rootCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "lignum:", err)
		os.Exit(exitStatus(err))
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lignum",
		Short:         "A message broker that speaks the Apache Kafka protocol",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q; lignum --help lists them", args[0])}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(serveCommand(), versionCommand(), perfCommand(), simCommand(), quorumCommand(), groupCommand())
	return root
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// exitStatus is 2 for bad usage and 1 for everything else that went wrong.
func exitStatus(err error) int {
	if _, ok := err.(usageError); ok {
		return 2
	}
	return 1
}
