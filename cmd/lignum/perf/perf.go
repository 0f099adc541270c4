// Package perf measures a broker through its own protocol, beside what the machine can do at all.
//
// Every figure of a broker has its limit next to it, taken in the same run with the same client code, the same sizes, the
// same number of connections and the same pipelining:
//
//   - produce is held against a sink that reads frames and answers each with a small one;
//   - fetch is held against a server that answers each small frame with a range of a cached file, by sendfile;
//   - both stand on the page cache's and the disk's own speed, which head the report.
//
// The client is as thin as can be: requests are encoded once and only their changing fields are patched, answers
// are checked for their error code and otherwise skipped. It shares the machine with the broker, as in any
// measurement over loopback.
package perf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// Options says what to measure. The zero value starts this very program as the broker and measures everything.
type Options struct {
	// Brokers are the addresses (host:port) of a running cluster. If there are none, Binary is started.
	Brokers []string
	// Binary is the broker to start, with "serve --data-dir D --listen A"; this program if empty.
	Binary string
	// Args are passed on to the binary that is started.
	Args []string
	// Dir is where files are written, those of a started broker too; a temporary directory if empty.
	Dir string
	// TopicConfigs are given to the topics that are created.
	TopicConfigs map[string]string
	// Replicas is the replication factor of the topics that are created; 1 if 0.
	Replicas int16
	// Rate bounds the requests per second over all connections of a measurement, evenly spaced; unbounded if 0. Latency is then that of a cluster that is
	// not full.
	Rate int
	// Connections are the numbers of connections to measure with; 1, 10 and 100 if empty.
	Connections []int
	// Sizes are the bytes of record batches in one produce request; 1 KiB, 16 KiB and 256 KiB if empty. Fetches of
	// 1 MiB are measured besides.
	Sizes []int
	// Acks are the levels of acknowledgement to measure; 1 and -1 (all) if empty.
	Acks []int16
	// InFlight is how many requests a connection has under way; 5 if 0.
	InFlight int
	// CellTime bounds the time of one measurement; 2 s if 0.
	CellTime time.Duration
	// CellBytes bounds the bytes of one measurement; 512 MiB if 0.
	CellBytes int64
	// LimitsOnly leaves the broker out, ProduceOnly the machine's limits and fetches.
	LimitsOnly, ProduceOnly bool
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if len(o.Connections) == 0 {
		o.Connections = []int{1, 10, 100}
	}
	if len(o.Sizes) == 0 {
		o.Sizes = []int{1 * kib, 16 * kib, 256 * kib}
	}
	if len(o.Acks) == 0 {
		o.Acks = []int16{1, -1}
	}
	o.InFlight = cmp.Or(o.InFlight, 5)
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.CellTime = cmp.Or(o.CellTime, 2*time.Second)
	o.CellBytes = cmp.Or(o.CellBytes, 512*mib)
	return o
}

// check reports every fault of the options.
func (o Options) check() error {
	var faults []error
	for _, n := range o.Connections {
		if n < 1 {
			faults = append(faults, fmt.Errorf("%d connections, want at least 1", n))
		}
	}
	for _, n := range o.Sizes {
		if n < 256 || n > mib {
			faults = append(faults, fmt.Errorf("%d bytes per request, want 256 to %d", n, mib))
		}
	}
	for _, a := range o.Acks {
		if a != 1 && a != -1 {
			faults = append(faults, fmt.Errorf("acks %d has no answer to time or is unknown, want 1 or -1", a))
		}
	}
	if o.Replicas < 1 || o.Rate < 0 {
		faults = append(faults, fmt.Errorf("%d replicas, %d requests per second, want at least 1 and 0", o.Replicas, o.Rate))
	}
	if o.InFlight < 1 {
		faults = append(faults, fmt.Errorf("%d requests in flight, want at least 1", o.InFlight))
	}
	return errors.Join(faults...)
}

// bench is one run.
type bench struct {
	Options
	out    *table
	limits limits
	broker *process // nil if the cluster was running already
}

// Run measures and writes a report in markdown.
func Run(ctx context.Context, w io.Writer, o Options) error {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.Dir, "lignum-perf-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o, out: &table{w: w}, limits: limits{}}
	b.out.line("%s/%s, %d cores, %s; %d requests in flight per connection; MB are 10^6 bytes",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.InFlight)
	if !o.ProduceOnly {
		if err := b.measureDisk(ctx, dir); err != nil {
			return fmt.Errorf("measure the disk: %w", err)
		}
		if err := b.measureLoopback(ctx, dir); err != nil {
			return fmt.Errorf("measure loopback: %w", err)
		}
	}
	if o.LimitsOnly {
		return b.out.err
	}
	return b.measureBroker(ctx, dir)
}

// measureBroker starts the broker if there is none, and measures it.
func (b *bench) measureBroker(ctx context.Context, dir string) error {
	if len(b.Brokers) == 0 {
		var err error
		if b.broker, err = startBroker(ctx, b.Binary, dir, b.Args); err != nil {
			return err
		}
		defer b.broker.stop()
		b.Brokers = []string{b.broker.address}
	}
	c := &cluster{seeds: b.Brokers, configs: b.TopicConfigs, replicas: b.Replicas}
	if err := b.measureProduce(ctx, c); err != nil {
		return fmt.Errorf("measure produce: %w", b.broker.explain(err))
	}
	if b.ProduceOnly {
		return b.out.err
	}
	if err := b.measureFetch(ctx, c); err != nil {
		return fmt.Errorf("measure fetch: %w", b.broker.explain(err))
	}
	return b.out.err
}
