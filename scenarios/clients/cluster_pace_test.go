package clients

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pulse writes one record after another to one partition, without a pause, and notes the longest time between two acknowledgements.
type pulse struct {
	acked   atomic.Int64
	last    atomic.Int64 // nanoseconds
	longest atomic.Int64
	failed  atomic.Pointer[error]
}

// beat writes every few milliseconds until ctx ends.
func (p *pulse) beat(ctx context.Context, client *kgo.Client, topic string, partition int32, every time.Duration) {
	p.last.Store(time.Now().UnixNano())
	for ctx.Err() == nil {
		client.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte("beat")}, func(_ *kgo.Record, err error) {
			if err != nil {
				p.failed.Store(&err)
				return
			}
			now := time.Now().UnixNano()
			if gap := now - p.last.Swap(now); gap > p.longest.Load() {
				p.longest.Store(gap)
			}
			p.acked.Add(1)
		})
		time.Sleep(every)
	}
	flushed, cancel := limited()
	defer cancel()
	if err := client.Flush(flushed); err != nil {
		p.failed.Store(&err)
	}
}

// pulses are one for each partition of a topic, over clients that partitions share by their leaders.
type pulses struct {
	topic   string
	list    []*pulse
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func startPulses(t *testing.T, f *franz, partitions int) *pulses {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pulses{topic: newTopic(t), cancel: cancel}
	createReplicated(t, f, p.topic, partitions)
	// A connection that an earlier restart has closed is noticed when it is used; the client then pauses for a quarter of a second on its own account.
	pause := kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond })
	client, err := f.another(kgo.RecordPartitioner(kgo.ManualPartitioner()), pause)
	must(t, err)
	t.Cleanup(client.Close)
	t.Cleanup(cancel)
	for i := range partitions {
		one := &pulse{}
		p.list = append(p.list, one)
		p.running.Go(func() { one.beat(ctx, client, p.topic, int32(i), 5*time.Millisecond) })
	}
	time.Sleep(time.Second)
	p.reset()
	return p
}

// reset forgets the longest gaps so far.
func (p *pulses) reset() {
	for _, one := range p.list {
		one.longest.Store(0)
	}
}

// gaps are the longest gaps of the partitions, those that are still open too, in order.
func (p *pulses) gaps() []time.Duration {
	var list []time.Duration
	for _, one := range p.list {
		list = append(list, time.Duration(max(one.longest.Load(), time.Now().UnixNano()-one.last.Load())))
	}
	slices.Sort(list)
	return list
}

// stop ends the writing; no record may have failed.
func (p *pulses) stop(t *testing.T) {
	t.Helper()
	p.cancel()
	p.running.Wait()
	for i, one := range p.list {
		if err := one.failed.Load(); err != nil {
			t.Errorf("partition %d: a producer got an error: %v", i, *err)
		}
	}
}

// leads counts the partitions that a node leads, as the broker asked knows it: one that was stopped would not answer.
func leads(t *testing.T, f *franz, topic string, node, asked int32) (n int, all []int32) {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	r := kmsg.NewPtrMetadataRequest()
	r.Topics = []kmsg.MetadataRequestTopic{{Topic: &topic}}
	answer, err := f.client.Broker(int(asked)).RetriableRequest(ctx, r)
	must(t, err)
	list := answer.(*kmsg.MetadataResponse).Topics[0]
	must(t, kerr.ErrorForCode(list.ErrorCode))
	for _, p := range list.Partitions {
		all = append(all, p.Leader)
		if p.Leader == node {
			n++
		}
	}
	return n, all
}

// TestClusterFailover measures, with the default configuration, how long partitions are without a leader after kill -9, after SIGSTOP, and of
// the active controller. The bound is one and a half session timeouts.
func TestClusterFailover(t *testing.T) {
	const session = 9 * time.Second // broker.session.timeout.ms
	c := startCluster(t, ClusterOptions{})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	for _, o := range []struct {
		name       string
		controller bool
		begin, end func(n *Broker) error
	}{
		{"kill -9 of a leader", false, (*Broker).Kill, (*Broker).launch},
		{"kill -9 of a leader that is the active controller", true, (*Broker).Kill, (*Broker).launch},
		{"SIGSTOP of a leader", false, func(n *Broker) error { return n.signal(syscall.SIGSTOP) }, func(n *Broker) error { return n.signal(syscall.SIGCONT) }},
	} {
		t.Run(o.name, func(t *testing.T) {
			p := startPulses(t, f, 6)
			victim := c.choose(t, f, o.controller)
			survivor := int32((victim+1)%len(c.Nodes) + 1)
			n, _ := leads(t, f, p.topic, int32(victim+1), survivor)
			p.reset()
			must(t, o.begin(c.Nodes[victim]))
			began := time.Now()
			eventuallyWithin(t, 2*session, "others lead", func() bool {
				left, all := leads(t, f, p.topic, int32(victim+1), survivor)
				return left == 0 && !slices.Contains(all, -1)
			})
			led := time.Since(began)
			time.Sleep(500 * time.Millisecond)
			gaps := p.gaps()
			must(t, o.end(c.Nodes[victim]))
			must(t, c.Nodes[victim].awaitConnection())
			awaitSync(t, f, p.topic)
			p.stop(t)
			t.Logf("FIGURE %s: %d of %d partitions led by others after %.2f s (bound %.2f s); producers' longest gap %.2f s", o.name, n, len(p.list), led.Seconds(),
				(session * 3 / 2).Seconds(), gaps[len(gaps)-1].Seconds())
			if led > session*3/2 {
				t.Errorf("others lead after %v, want at most %v", led, session*3/2)
			}
		})
	}
}

// choose is a node that is the active controller, or is not.
func (c *Cluster) choose(t *testing.T, f *franz, controller bool) int {
	t.Helper()
	active := controllerOf(t, f)
	if controller {
		return active
	}
	return (active + 1) % len(c.Nodes)
}

// controllerOf is the active controller.
func controllerOf(t *testing.T, f *franz) int {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	r := kmsg.NewPtrDescribeQuorumRequest()
	r.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{}}}}
	answer, err := f.client.Request(ctx, r)
	must(t, err)
	quorum := answer.(*kmsg.DescribeQuorumResponse)
	must(t, kerr.ErrorForCode(quorum.ErrorCode))
	must(t, kerr.ErrorForCode(quorum.Topics[0].Partitions[0].ErrorCode))
	return int(quorum.Topics[0].Partitions[0].LeaderID) - 1
}

func eventuallyWithin(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so after %v: %s", limit, what)
		}
	}
}

// TestClusterRollingRestart restarts one node after another in good order, with the default configuration. No producer gets an error, and no
// partition pauses for long.
func TestClusterRollingRestart(t *testing.T) {
	c := startCluster(t, ClusterOptions{})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	p := startPulses(t, f, 12)
	var worst time.Duration
	for i := range c.Nodes {
		n, _ := leads(t, f, p.topic, int32(i+1), int32(i+1))
		active := controllerOf(t, f) == i
		p.reset()
		began := time.Now()
		must(t, c.stopOne(i))
		down := time.Since(began)
		time.Sleep(200 * time.Millisecond)
		stop := p.gaps()
		p.reset()
		began = time.Now()
		must(t, c.Nodes[i].launch())
		awaitSync(t, f, p.topic)
		back := time.Since(began)
		start := p.gaps()
		worst = max(worst, stop[len(stop)-1], start[len(start)-1])
		t.Logf("FIGURE node %d (led %d of %d partitions, active controller %v): stopped in %v, in sync again %v after its start; producers' longest gap: stop %v (median %v), start %v", i+1, n, len(p.list),
			active, round(down), round(back), round(stop[len(stop)-1]), round(stop[len(stop)/2]), round(start[len(start)-1]))
	}
	p.stop(t)
	t.Logf("FIGURE rolling restart: longest pause of a partition %v (target 100 ms)", round(worst))
	if worst > time.Second {
		t.Errorf("a partition paused for %v", worst)
	}
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

var manyFlag = flag.Int("cluster-partitions", 0, "how many partitions TestClusterMany measures with; 0 leaves it out")

var manyReplicasFlag = flag.Int("cluster-replicas", 3, "the replicas of each of them")

// TestClusterMany measures a cluster with many partitions: memory, how long it takes until every node knows of a new topic, and the start.
func TestClusterMany(t *testing.T) {
	if *manyFlag == 0 {
		t.Skip("takes a minute: -cluster-partitions 10000")
	}
	c := startCluster(t, ClusterOptions{})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	before := c.resident(t)
	began := time.Now()
	const each = 1000
	for i := range *manyFlag / each {
		ctx, cancel := limited()
		made, err := f.admin.CreateTopic(ctx, each, int16(*manyReplicasFlag), nil, fmt.Sprintf("many-%d", i))
		cancel()
		must(t, cmp.Or(err, made.Err))
	}
	created := time.Since(began)
	for i := range *manyFlag / each {
		awaitSync(t, f, fmt.Sprintf("many-%d", i))
	}
	replicas := *manyFlag * *manyReplicasFlag / len(c.Nodes)
	t.Logf("FIGURE %d partitions x %d replicas: created in %v, all in sync after %v", *manyFlag, *manyReplicasFlag, round(created), round(time.Since(began)))
	after := c.resident(t)
	for i := range after {
		t.Logf("FIGURE node %d: %d MiB resident before, %d MiB after: %.2f KiB for each of %d replicas", i+1, before[i]>>20, after[i]>>20, float64(after[i]-before[i])/float64(replicas)/1024, replicas)
	}
	c.propagation(t)
	began = time.Now()
	must(t, c.stopOne(0))
	stopped := time.Since(began)
	began = time.Now()
	must(t, c.Nodes[0].launch())
	for i := range *manyFlag / each {
		awaitSync(t, f, fmt.Sprintf("many-%d", i))
	}
	t.Logf("FIGURE one node: stopped in %v, in sync again %v after its start", round(stopped), round(time.Since(began)))
	must(t, c.Stop())
	began = time.Now()
	for _, n := range c.Nodes {
		must(t, n.launch())
	}
	c.awaitBrokers(t)
	listed := time.Since(began)
	for i := range *manyFlag / each {
		awaitSync(t, f, fmt.Sprintf("many-%d", i))
	}
	t.Logf("FIGURE the whole cluster started: brokers listed after %v, every partition led and in sync after %v", round(listed), round(time.Since(began)))
}

// resident is the memory of each node.
func (c *Cluster) resident(t *testing.T) []int64 {
	t.Helper()
	var list []int64
	for _, n := range c.Nodes {
		bytes, err := n.residentBytes()
		must(t, err)
		list = append(list, bytes)
	}
	return list
}

// propagation measures how long after the answer to CreateTopics each node lists the topic with its leader.
func (c *Cluster) propagation(t *testing.T) {
	t.Helper()
	var clients []*kgo.Client
	for _, n := range c.Nodes {
		client, err := kgo.NewClient(kgo.SeedBrokers(n.Address))
		must(t, err)
		defer client.Close()
		clients = append(clients, client)
	}
	var all []time.Duration
	for range 20 {
		topic := newTopic(t)
		ctx, cancel := limited()
		made, err := kadm.NewClient(clients[0]).CreateTopic(ctx, 1, 3, nil, topic)
		must(t, cmp.Or(err, made.Err))
		answered := time.Now()
		var wait sync.WaitGroup
		times := make([]time.Duration, len(clients))
		for i, client := range clients {
			wait.Go(func() {
				for !lists(ctx, client, topic) && ctx.Err() == nil {
				}
				times[i] = time.Since(answered)
			})
		}
		wait.Wait()
		cancel()
		all = append(all, slices.Max(times))
	}
	slices.Sort(all)
	t.Logf("FIGURE a new topic is known with its leader to every node, after the answer: median %v, longest of 20 %v", round(all[10]), round(all[19]))
}

// lists asks the client's one seed broker whether it knows the topic's leader.
func lists(ctx context.Context, client *kgo.Client, topic string) bool {
	r := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(topic)
	r.Topics = append(r.Topics, t)
	answer, err := client.SeedBrokers()[0].Request(ctx, r)
	if err != nil {
		return false
	}
	topics := answer.(*kmsg.MetadataResponse).Topics
	return len(topics) == 1 && topics[0].ErrorCode == 0 && len(topics[0].Partitions) == 1 && topics[0].Partitions[0].Leader >= 0
}
