package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"lignum/core/api"
	"lignum/core/broker"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/peer"
	"lignum/core/record"
	"lignum/disk"
	"lignum/transport"

	"github.com/magiconair/properties"
	"github.com/spf13/cobra"
)

// poolBytes is up to how much buffer memory, in use or not, what is released is kept for reuse: the newest records, requests and answers of
// a busy broker fit in.
const poolBytes = 80 << 20

const (
	defaultDataDir = "lignum-data"
	defaultListen  = "127.0.0.1:9092"
)

func serveCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a broker",
		Long: `Run a broker. Without flags it listens on ` + defaultListen + `, tells clients to come back to localhost, and keeps its
data in ./` + defaultDataDir + `. The configuration file has Apache Kafka's own keys; flags win over it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.load()
			if err != nil {
				return err
			}
			log := newLogger(o.logLevel)
			if o.pprof != "" {
				if err := servePprof(o.pprof, log); err != nil {
					return err
				}
			}
			return serve(c, log)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dataDir, "data-dir", "", "directory for all data (log.dirs); default ./"+defaultDataDir)
	f.StringVar(&o.listen, "listen", "", "host:port to listen on (listeners); default "+defaultListen)
	f.StringVar(&o.file, "config", "", "configuration file, in the format of Kafka's server.properties")
	f.StringVar(&o.pprof, "pprof", "", "host:port to serve Go's profiles on (/debug/pprof/); off unless given")
	f.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "least level of log lines: debug, info, warn or error")
	return cmd
}

type serveOptions struct {
	dataDir, listen, file, pprof string
	logLevel                     slog.Level
}

func newLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// load reads the configuration file and puts the flags on top.
func (o serveOptions) load() (*config.Broker, error) {
	values := map[string]string{}
	if o.file != "" {
		// Expansion of ${...} is not part of Kafka's format.
		loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
		p, err := loader.LoadFile(o.file)
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		values = p.Map()
	}
	if o.dataDir != "" {
		values["log.dirs"] = o.dataDir
	} else if values["log.dirs"] == "" && values["log.dir"] == "" {
		values["log.dirs"] = defaultDataDir
	}
	if o.listen != "" {
		if err := listenOn(values, o.listen); err != nil {
			return nil, err
		}
	} else if values["listeners"] == "" {
		if err := listenOn(values, defaultListen); err != nil {
			return nil, err
		}
	}
	c, err := config.Parse(values)
	if err != nil {
		return nil, fmt.Errorf("the configuration is wrong:\n%w", err)
	}
	return c, nil
}

// listenOn sets the one listener that --listen asks for. Clients on this machine are told to come back to localhost.
func listenOn(values map[string]string, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return usageError{fmt.Errorf("--listen %q: want host:port", address)}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usageError{fmt.Errorf("--listen %q: want a port from 0 to 65535", address)}
	}
	values["listeners"] = "PLAINTEXT://" + net.JoinHostPort(host, port)
	if ip := net.ParseIP(host); values["advertised.listeners"] == "" && ip != nil && ip.IsLoopback() {
		values["advertised.listeners"] = "PLAINTEXT://localhost:" + port
	}
	return nil
}

// serve runs a broker until it is told to stop or fails.
func serve(c *config.Broker, log *slog.Logger) error {
	began := time.Now()
	tuneCollector(200)
	data, err := disk.Open(c.LogDir) // the end of the process gives it up: nobody else may have it before the last write has ended
	if err != nil {
		return err
	}
	signals := watchSignals(log)
	clock := transport.NewClock()
	loop := transport.NewLoop(clock)
	jobs := disk.NewJobs(jobWorkers(c), func(done func()) { loop.Post(done) })
	pool := transport.NewPool(transport.PoolOptions{Footprint: poolBytes})
	usage, err := data.Usage(".")
	if err != nil {
		return err
	}
	server, err := transport.Listen(loop, transportOptions(c, usage.OpenFiles, pool, log))
	if err != nil {
		return err
	}
	withPorts(c, server.Addresses())

	failed := make(chan error, 1)
	node := broker.New(broker.Ports{
		Clock: clock, Rand: transport.NewRand(), Memory: pool, Disk: data, Jobs: jobs, Network: server, Log: logTo(log),
	}, c, data.Root(), broker.Events{
		Ready: func() {
			server.Serve()
			log.Info("Transitioning from RECOVERY to RUNNING", "node", c.NodeID, "listeners", addresses(server), "data", data.Root(),
				"version", versionText(), "took", time.Since(began).Round(100*time.Microsecond))
		},
		Failed: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	})
	var running sync.WaitGroup
	running.Go(func() { loop.Run(node) })
	if names := controllerListeners(c); len(names) > 0 {
		server.Serve(names...) // the nodes of the quorum talk before anybody can be let in
	}
	loop.Post(node.Start)
	err = wait(failed, signals, log)
	if err == nil {
		err = stop(loop, node, server, log)
	} else {
		server.Shutdown(0)
	}
	loop.Stop()
	end(err, signals, failGrace, func() {
		running.Wait()
		jobs.Close()
	})
	return err
}

// failGrace is how long a broker that has failed waits for what its disk is doing.
const failGrace = 5 * time.Second

// end waits until everything has ended. Behind a failure it does not wait for ever, and not for longer than whoever stops the process wants: a disk that has failed may
// not come back, and a process that serves nothing is to be seen as gone.
func end(err error, signals <-chan os.Signal, grace time.Duration, everything func()) {
	if err == nil {
		everything()
		return
	}
	done := make(chan struct{})
	go func() {
		everything()
		close(done)
	}()
	select {
	case <-done:
	case <-signals:
	case <-time.After(grace):
	}
}

// watchSignals passes the first signal to stop on. Another one, more than a second later, ends the process whatever it is doing: some senders signal the process and
// its group, and what comes at once is the same wish. A terminal or a pipe that the log goes to may end; the broker does not.
func watchSignals(log *slog.Logger) <-chan os.Signal {
	signal.Ignore(syscall.SIGPIPE)
	all, first := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Notify(all, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(all, syscall.SIGHUP)
	}
	go func() {
		first <- <-all
		for began := time.Now(); time.Since(began) < time.Second; {
			<-all
		}
		log.Warn("stopping at once: the next start will recover")
		os.Exit(1)
	}()
	return first
}

// wait returns nil when the process is told to stop, and the error when the broker fails.
func wait(failed <-chan error, signals <-chan os.Signal, log *slog.Logger) error {
	select {
	case s := <-signals:
		log.Info("stopping", "signal", s.String())
		return nil
	case err := <-failed:
		return fmt.Errorf("the broker cannot go on: %w", err)
	}
}

// stopGrace is how long clients may take to read their last answers.
const stopGrace = 5 * time.Second

// stop ends the broker in order: no more requests, then everything to the disk.
func stop(loop *transport.Loop, node *broker.Broker, server *transport.Server, log *slog.Logger) error {
	left := make(chan struct{})
	loop.Post(func() { node.Leave(func() { close(left) }) })
	<-left
	loop.Post(node.StopWaiting)
	server.Shutdown(stopGrace)
	done := make(chan error, 1)
	loop.Post(func() { node.Shutdown(func(err error) { done <- err }) })
	if err := <-done; err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	log.Info("stopped")
	return nil
}

func transportOptions(c *config.Broker, openFiles int, pool *transport.Pool, log *slog.Logger) transport.Options {
	readers := sync.Pool{New: func() any {
		return record.NewReader(record.Limits{MaxUncompressed: c.BatchMaxUncompressedBytes})
	}}
	o := transport.Options{
		Decode: func(info env.ConnInfo, frame env.Buffer) (env.Request, error) {
			if info.Outgoing {
				return peer.DecodeReply(frame)
			}
			r := readers.Get().(*record.Reader)
			defer readers.Put(r)
			return api.Decode(frame, r)
		},
		Memory: pool, Log: log,
		MaxFrame:            int(c.RequestMaxBytes),
		MaxConnections:      maxConnections(c, openFiles),
		MaxNodeConnections:  maxNodeConnections(openFiles),
		MaxConnectionsPerIP: int(c.MaxConnectionsPerIP),
		RequestBytes:        c.QueuedMaxRequestBytes,
		InFlight:            int(c.ConnectionRequestsInFlight),
		IdleTimeout:         max(time.Duration(c.ConnectionsMaxIdleMillis), 0) * time.Millisecond,
	}
	for _, l := range openListeners(c) {
		o.Listeners = append(o.Listeners, transport.Listener{
			Name: l.Name, Address: net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))), Nodes: c.ForNodes(l.Name),
		})
	}
	return o
}

// maxConnections is the bound on connections: they must leave the files that partitions need to them.
func maxConnections(c *config.Broker, openFiles int) int {
	if openFiles == 0 {
		return int(c.MaxConnections)
	}
	return min(int(c.MaxConnections), max(openFiles/4, 1))
}

// maxNodeConnections is the bound on connections that other nodes open, on listeners that are for them: some for each of a cluster's nodes.
func maxNodeConnections(openFiles int) int {
	if openFiles == 0 {
		return 0
	}
	return max(openFiles/16, 16)
}

// openListeners are those that somebody uses. A node that is a cluster by itself has nobody to talk to on those for the metadata quorum.
func openListeners(c *config.Broker) []*config.Listener {
	var list []*config.Listener
	for i := range c.Listeners {
		if !c.Listeners[i].Controller || !c.Lone() {
			list = append(list, &c.Listeners[i])
		}
	}
	return list
}

// controllerListeners are the names of those for the metadata quorum.
func controllerListeners(c *config.Broker) []string {
	var names []string
	for _, l := range openListeners(c) {
		if l.Controller {
			names = append(names, l.Name)
		}
	}
	return names
}

// withPorts puts the ports that the system has chosen where the configuration says 0.
func withPorts(c *config.Broker, bound []net.Addr) {
	listeners := openListeners(c)
	for i, a := range bound {
		tcp, ok := a.(*net.TCPAddr)
		if !ok || listeners[i].Port != 0 {
			continue
		}
		listeners[i].Port = uint16(tcp.Port)
		for j := range c.Advertised {
			if c.Advertised[j].Listener == listeners[i].Name && c.Advertised[j].Port == 0 {
				c.Advertised[j].Port = uint16(tcp.Port)
			}
		}
	}
}

// jobWorkers is one for each lane that may be busy at a time: writes, the journal and its preparation, files, what concerns single
// logs, and cold reads.
func jobWorkers(c *config.Broker) int { return 4 + int(c.IOLanes) + api.ReadLanes }

func addresses(s *transport.Server) []string {
	var list []string
	for _, a := range s.Addresses() {
		list = append(list, a.String())
	}
	return list
}

// logTo passes core's log lines on.
func logTo(log *slog.Logger) env.Log {
	levels := map[env.Level]slog.Level{env.Debug: slog.LevelDebug, env.Info: slog.LevelInfo, env.Warn: slog.LevelWarn, env.Error: slog.LevelError}
	return func(level env.Level, message string, pairs ...any) {
		log.Log(context.Background(), levels[level], message, pairs...)
	}
}

// tuneCollector lets the heap grow by so many percent of the small live heap of a broker before it is collected: most of what a broker
// allocates is short-lived, and a collection costs the same whether the heap is 5 MiB or 50. GOGC and GOMEMLIMIT win.
func tuneCollector(percent int) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(percent)
	}
}
