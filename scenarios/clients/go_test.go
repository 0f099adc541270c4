package clients

import (
	"context"
	"os"
	"strings"
	"time"
)

// moduleVersion is the version of a Go client that go.mod asks for.
func moduleVersion(path string) string {
	file, err := os.ReadFile("go.mod")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(file)) {
		if words := strings.Fields(strings.TrimPrefix(line, "require ")); len(words) >= 2 && words[0] == path {
			return words[1]
		}
	}
	return "of unknown version"
}

// pace calls send for each record of the load, when it is due.
func (o LoadOptions) pace(send func(partition int32, sequence int)) {
	o.paceWithin(context.Background(), send)
}

// paceWithin is pace that ends with a context.
func (o LoadOptions) paceWithin(ctx context.Context, send func(partition int32, sequence int)) {
	start := time.Now()
	for i := 0; i < o.Count && ctx.Err() == nil; i++ {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(o.Rate))
		if wait := time.Until(due); wait > 2*time.Millisecond {
			time.Sleep(wait)
		}
		send(int32(i%o.Partitions), i/o.Partitions)
	}
}
