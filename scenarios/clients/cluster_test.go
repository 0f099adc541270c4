package clients

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	clusterTime = flag.Duration("cluster-time", 20*time.Second, "how long each of the cluster tests upsets its cluster")
	seedFlag    = flag.Uint64("cluster-seed", 0, "the seed of the cluster tests' chances; 0 draws one")
)

// startCluster starts three nodes that notice soon when one of them is gone.
func startCluster(t *testing.T, o ClusterOptions) *Cluster {
	t.Helper()
	if Running() != nil {
		t.Skip(ErrForeign)
	}
	dir := t.TempDir()
	binary, err := Binary(dir)
	must(t, err)
	o.Nodes = 3
	c, err := StartCluster(binary, dir, o)
	t.Cleanup(func() {
		if t.Failed() {
			c.keepLogs(t)
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	must(t, err)
	c.awaitBrokers(t)
	return c
}

// awaitBrokers waits until the cluster lists all its brokers: a connection alone does not say that a broker serves.
func (c *Cluster) awaitBrokers(t *testing.T) {
	t.Helper()
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	eventually(t, "all brokers are listed", func() bool {
		ctx, cancel := limited()
		defer cancel()
		list, err := f.admin.ListBrokers(ctx)
		return err == nil && len(list) == len(c.Nodes)
	})
}

// keepLogs leaves the nodes' logs behind for whoever wants to know why.
func (c *Cluster) keepLogs(t *testing.T) {
	dir, err := os.MkdirTemp("", "lignum-cluster-")
	if err != nil {
		t.Error(err)
		return
	}
	for i, n := range c.Nodes {
		text, err := os.ReadFile(n.logFile)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", i+1)), text, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("the nodes' logs are in %s", dir)
}

// quick are settings with which a cluster notices a loss within two seconds.
func quick() map[string]string {
	return map[string]string{
		"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "300", "replica.lag.time.max.ms": "3000",
		"controller.quorum.election.timeout.ms": "500", "controller.quorum.fetch.timeout.ms": "1000",
	}
}

// TestClusterProcesses: processes are killed, stopped, and restarted in order, one or two of three at a time. What clients saw has one order; nothing
// acknowledged is lost, nothing is there twice.
func TestClusterProcesses(t *testing.T) {
	c := startCluster(t, ClusterOptions{Settings: quick()})
	c.survive(t, processUpsets(), func(string, *franz) {})
}

// TestClusterNetwork: the same while the network between the nodes is cut, in one direction or both, or loses and delays packets.
func TestClusterNetwork(t *testing.T) {
	network, err := NewNetwork(3)
	if err != nil {
		if os.Getenv("LIGNUM_CLUSTER_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED, no network to cut: %v", err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	c := startCluster(t, ClusterOptions{Settings: quick(), Network: network})
	c.survive(t, slices.Concat(networkUpsets(network), processUpsets()), func(topic string, f *franz) {
		// First for sure what asks most of a leader: it is cut off from the others, whose clients go on, and its readers still reach it.
		_, leaders := leads(t, f, topic, 0, 1)
		cut := networkUpsets(network)[0]
		t.Logf("node %d for 5s: %s", leaders[0], cut.name)
		time.Sleep(time.Second)
		must(t, cut.begin(c, int(leaders[0])-1))
		time.Sleep(5 * time.Second)
		must(t, cut.end(c, int(leaders[0])-1))
	})
}

// survive upsets a cluster under load, first in a way of the test's own, and judges what clients saw.
func (c *Cluster) survive(t *testing.T, kinds []upset, first func(topic string, f *franz)) {
	t.Helper()
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	books := newChronicle(t, f, 4)
	writing, stopWriting := context.WithCancel(t.Context())
	reading, stopReading := context.WithCancel(t.Context())
	defer stopWriting()
	defer stopReading()
	var writers []chronicler
	var wrote, read sync.WaitGroup
	for i := range 3 {
		w := chronicler{id: i, idempotent: i < 2}
		o := []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProduceRequestTimeout(5 * time.Second)}
		if !w.idempotent {
			o = append(o, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.RecordDeliveryTimeout(3*time.Second))
		}
		w.client, err = f.another(o...)
		must(t, err)
		defer w.client.Close()
		writers = append(writers, w)
		wrote.Go(func() { w.write(writing, books, 80) })
	}
	for i, n := range c.Nodes {
		read.Go(func() { books.watch(reading, i+1, n.Address) })
	}
	first(books.topic, f)
	upsetFor(t.Context(), t, c, newDice(t), kinds, *clusterTime)
	healed := time.Now()
	stopWriting()
	wrote.Wait()
	t.Logf("all is acknowledged %v after the last fault", time.Since(healed).Round(time.Millisecond))
	awaitSync(t, f, books.topic)
	t.Logf("all replicas are in sync %v after the last fault", time.Since(healed).Round(time.Millisecond))
	stopReading()
	read.Wait()
	books.judge(t, f, writers)
	must(t, c.Stop())
	c.equal(t, books.topic, books.partitions)
}

// equal: after an orderly stop the replicas have the same bytes.
func (c *Cluster) equal(t *testing.T, topic string, partitions int) {
	t.Helper()
	for p := range partitions {
		var first []byte
		for i, n := range c.Nodes {
			dir, err := n.PartitionDir(topic, int32(p))
			must(t, err)
			files, err := filepath.Glob(filepath.Join(dir, "*.log"))
			must(t, err)
			slices.Sort(files)
			var all []byte
			for _, file := range files {
				text, err := os.ReadFile(file)
				must(t, err)
				all = append(all, text...)
			}
			if i == 0 {
				first = all
			}
			if !bytes.Equal(first, all) {
				t.Errorf("partition %d: node %d has other bytes (%d) than node 1 (%d)", p, i+1, len(all), len(first))
			}
		}
	}
}

// TestClusterClients: clients of several kinds write while processes are upset. Everything they were acknowledged is there, in order, and once where
// they are idempotent.
func TestClusterClients(t *testing.T) {
	c := startCluster(t, ClusterOptions{Settings: quick()})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	kinds := []struct {
		name string
		open func(t *testing.T) (Driver, error)
	}{
		{"franz-go", func(*testing.T) (Driver, error) { return openFranz(c.client()) }},
		{"kcat", func(t *testing.T) (Driver, error) { needKcat(t); return openKcat(c.client()) }},
		{"librdkafka", func(t *testing.T) (Driver, error) {
			return StartProgram(c.Bootstrap(), python(t, "librdkafka.py", "confluent_kafka")...)
		}},
		{"Java", func(t *testing.T) (Driver, error) { return StartProgram(c.Bootstrap(), java(t)...) }},
	}
	var loads []*throughLoad
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { // a client that is not there is skipped
			d, err := k.open(t)
			must(t, err)
			topic := newTopic(t)
			createReplicated(t, f, topic, throughPartitions)
			loads = append(loads, &throughLoad{driver: d, topic: topic})
		})
	}
	var running sync.WaitGroup
	for _, l := range loads {
		running.Go(l.run)
	}
	upsetFor(t.Context(), t, c, newDice(t), processUpsets(), *clusterTime*2/3)
	running.Wait()
	for _, l := range loads {
		l.judge(t, f)
	}
}

// throughLoad is a client that writes for as long as the cluster is upset.
type throughLoad struct {
	driver Driver
	topic  string
	acks   []Ack
	err    error
}

const throughRate, throughPartitions = 200, 3

func (l *throughLoad) count() int { return throughRate * int(*clusterTime/time.Second) }

func (l *throughLoad) run() {
	o := LoadOptions{Partitions: throughPartitions, Count: l.count(), Rate: throughRate, Idempotent: !l.driver.Traits().Repeats}
	l.acks, l.err = l.driver.Load(l.topic, o, func(int) {})
}

func (l *throughLoad) judge(t *testing.T, f *franz) {
	t.Helper()
	t.Logf("%s: %d of %d records acknowledged", l.driver.Name(), len(l.acks), l.count())
	read, err := f.Read(l.topic, nil)
	must(t, err)
	faults := errors.Join(l.err, judgeLoad(l.acks, read, l.driver.Traits().Repeats))
	if faults == nil && len(l.acks) < l.count() {
		faults = errors.New("not everything was acknowledged")
	}
	if faults != nil {
		t.Errorf("%s: %v", l.driver.Name(), faults)
	}
	if err := l.driver.Close(); err != nil {
		t.Error(err)
	}
}
