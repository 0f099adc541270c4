package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// crewLimit bounds what a crew may take to read what was written, or to be complete again.
const crewLimit = 90 * time.Second

// TestGroups: groups of three members, each member a process of its own, one group for each client and protocol, on one cluster of three brokers.
// A member is killed, one joins, a static one restarts, and each broker in turn is killed with kill -9, so that every group loses its coordinator.
// No record is left unread, and no committed offset goes back. All groups go through a chapter of the story at the same time.
func TestGroups(t *testing.T) {
	settings := quick()
	for key, value := range map[string]string{
		"group.initial.rebalance.delay.ms": "500", "offsets.topic.num.partitions": "12",
		"group.consumer.session.timeout.ms": "6000", "group.consumer.min.session.timeout.ms": "6000",
		"group.consumer.heartbeat.interval.ms": "500", "group.consumer.min.heartbeat.interval.ms": "500",
	} {
		settings[key] = value
	}
	c := startCluster(t, ClusterOptions{Settings: settings})
	f, err := openFranz(c.client())
	must(t, err)
	defer f.Close()
	crews := everyCrew(t)
	for _, w := range crews {
		w.cluster, w.producer, w.admin = c, f.client, f.admin
	}
	defer func() {
		for _, w := range crews {
			w.end()
		}
	}()
	tell(t, crews, "three members", (*crew).assemble)
	tell(t, crews, "one is killed, one joins", (*crew).replace)
	tell(t, crews, "the static one restarts", (*crew).restart)
	for i, n := range c.Nodes {
		must(t, n.Kill())
		tell(t, crews, fmt.Sprintf("without broker %d", i+1), (*crew).work)
		must(t, n.Restart())
		c.awaitBrokers(t)
		awaitInSync(t, f)
	}
	tell(t, crews, "all leave", (*crew).leave)
	for _, w := range crews {
		t.Run(w.name, func(t *testing.T) {
			switch {
			case w.skip != "":
				t.Skip(w.skip)
			case w.failed != nil:
				t.Fatal(w.failed)
			}
			t.Logf("%d records written, %d read, %d of these again", w.written, w.reads, w.reads-w.written)
		})
	}
}

// tell has all crews that have not failed do a chapter at once.
func tell(t *testing.T, crews []*crew, chapter string, what func(*crew) error) {
	t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for _, w := range crews {
		if w.skip == "" && w.failed == nil {
			all.Go(func() {
				if err := what(w); err != nil {
					w.failed = fmt.Errorf("%s: %w", chapter, err)
				}
			})
		}
	}
	all.Wait()
	t.Logf("%s: %v", chapter, time.Since(began).Round(time.Millisecond))
}

// everyCrew is a crew for each client and protocol. One whose client is not there says why.
func everyCrew(t *testing.T) []*crew {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	var all []*crew
	add := func(name, protocol, environment string, static bool, command func(*testing.T) []string) {
		w := &crew{name: name + "-" + protocol, protocol: protocol, environment: environment, static: static, read: map[string]bool{}, committed: map[int32]int64{}}
		w.topic = newTopic(t) + "-" + w.name
		// A subtest, because who lacks a client skips it.
		t.Run("has-"+w.name, func(t *testing.T) {
			w.skip = "the client is not there: see the reason at has-" + w.name
			w.command = command(t)
			w.skip = ""
		})
		all = append(all, w)
	}
	own := func(*testing.T) []string { return []string{self} }
	for _, protocol := range []string{"classic", "consumer"} {
		add("franz", protocol, envMember+"=franz", true, own)
		add("java", protocol, "", true, java)
		add("librdkafka", protocol, "", true, func(t *testing.T) []string { return python(t, "librdkafka.py", "confluent_kafka") })
	}
	add("sarama", "classic", envMember+"=sarama", true, own)
	add("kafka-go", "classic", envMember+"=kafka-go", false, own)
	add("kafka-python", "classic", "", true, func(t *testing.T) []string { return python(t, "kafka_python.py", "kafka") })
	add("kafkajs", "classic", "", false, node)
	return all
}

// node is the command of the driver in JavaScript.
func node(t *testing.T) []string {
	t.Helper()
	if os.Getenv(envNode) == "" {
		t.Skip("no kafkajs: ./run fetches it and sets " + envNode)
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no Node on this machine")
	}
	return []string{"node", filepath.Join("node", "kafkajs.js")}
}

// crew is a group with its topic, and what was seen of both.
type crew struct {
	name, protocol, environment string
	command                     []string
	static                      bool // the client has static members
	topic                       string
	skip                        string
	failed                      error
	cluster                     *Cluster
	producer                    *kgo.Client
	admin                       *kadm.Client
	members                     []*member
	written                     int

	mutex     sync.Mutex
	reads     int
	read      map[string]bool
	committed map[int32]int64
}

// crewPartitions is how many partitions a crew's topic has.
const crewPartitions = 6

func (w *crew) group() string { return "group-" + w.topic }

func (w *crew) assemble() error {
	ctx, cancel := limited()
	defer cancel()
	if _, err := w.admin.CreateTopic(ctx, crewPartitions, 3, nil, w.topic); err != nil {
		return err
	}
	for _, instance := range []string{"one", "", ""} {
		if err := w.join(instance); err != nil {
			return err
		}
	}
	return inOrder(w.work, w.complete)
}

// complete waits until the group is stable with three members.
func (w *crew) complete() error { return w.awaitMembers(3) }

// join adds a member, with an instance id if the client knows such.
func (w *crew) join(instance string) error {
	if !w.static {
		instance = ""
	}
	o := memberOrder{Do: "member", Broker: w.cluster.Bootstrap(), Topic: w.topic, Group: w.group(), Protocol: w.protocol, Instance: instance}
	m, err := startMember(w.command, w.environment, o, func(values []string) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		w.reads += len(values)
		for _, v := range values {
			w.read[v] = true
		}
	})
	if err == nil {
		w.members = append(w.members, m)
	}
	return err
}

// inOrder does steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// replace kills a dynamic member; another one joins.
func (w *crew) replace() error {
	m := w.members[1]
	w.members = append(w.members[:1:1], w.members[2:]...)
	return inOrder(m.kill, func() error { return w.join("") }, w.work, w.complete)
}

// restart ends the static member, which comes back before its session ends. In the consumer protocol it must have said that it will: nobody
// takes the instance id of a member that may still be there (UNRELEASED_INSTANCE_ID).
func (w *crew) restart() error {
	m := w.members[0]
	w.members = w.members[1:]
	end := m.kill
	if w.protocol == "consumer" {
		end = m.leave
	}
	return inOrder(end, func() error { return w.join(m.order.Instance) }, w.work, w.complete)
}

// leave ends all members, after everything that was read has been committed.
func (w *crew) leave() error {
	err := inOrder(w.work, w.complete, w.awaitCommitted)
	for _, m := range w.members {
		err = errors.Join(err, m.leave())
	}
	w.members = nil
	return err
}

// end kills what is left of a crew that failed.
func (w *crew) end() {
	for _, m := range w.members {
		_ = m.kill()
	}
}

// work writes records and returns when all that was ever written is read.
func (w *crew) work() error {
	ctx, cancel := context.WithTimeout(context.Background(), crewLimit)
	defer cancel()
	var results []error
	var mutex sync.Mutex
	var all sync.WaitGroup
	for i := range 240 {
		all.Add(1)
		v := fmt.Sprint(w.written)
		w.written++
		w.producer.Produce(ctx, &kgo.Record{Topic: w.topic, Key: fmt.Append(nil, i), Value: []byte(v)}, func(_ *kgo.Record, err error) {
			defer all.Done()
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				results = append(results, err)
			}
		})
	}
	all.Wait()
	if len(results) > 0 {
		return fmt.Errorf("produce: %w", results[0])
	}
	return w.until("all records are read", func(context.Context) (bool, string) {
		w.mutex.Lock()
		defer w.mutex.Unlock()
		return len(w.read) == w.written, fmt.Sprintf("%d of %d are read", len(w.read), w.written)
	})
}

// until waits, and looks at the committed offsets meanwhile.
func (w *crew) until(what string, holds func(context.Context) (bool, string)) error {
	for deadline := time.Now().Add(crewLimit); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		ok, state := holds(ctx)
		err := w.look(ctx)
		cancel()
		if ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			var said []string
			for _, m := range w.members {
				said = append(said, m.stderr.String())
			}
			return fmt.Errorf("still not so: %s: %s; the members say: %s", what, state, strings.Join(said, "\n---\n"))
		}
	}
}

// look fails if a committed offset has gone back.
func (w *crew) look(ctx context.Context) error {
	offsets, err := w.admin.FetchOffsets(ctx, w.group())
	if err != nil {
		return nil // there is no coordinator at the moment
	}
	var faults []error
	for partition := range int32(crewPartitions) {
		o, ok := offsets.Lookup(w.topic, partition)
		was, known := w.committed[partition]
		switch {
		case ok && o.Err != nil:
		case known && !ok:
			faults = append(faults, fmt.Errorf("partition %d: nothing is committed, it was %d", partition, was))
		case ok && o.At < was && !w.setsBack():
			faults = append(faults, fmt.Errorf("partition %d: committed is %d behind %d", partition, o.At, was))
		case ok:
			w.committed[partition] = o.At
		}
	}
	return errors.Join(faults...)
}

// setsBack: kafka-go keeps what it commits between two generations, and sends it in the name of the next one. Who has the partition by then has begun
// below that, and commits less. No broker can tell: the member and the generation are right.
func (w *crew) setsBack() bool { return strings.HasPrefix(w.name, "kafka-go") }

// awaitMembers waits until the group is stable with so many members.
func (w *crew) awaitMembers(n int) error {
	return w.until(fmt.Sprintf("the group is stable with %d members", n), func(ctx context.Context) (bool, string) {
		if w.protocol == "consumer" {
			all, err := w.admin.DescribeConsumerGroups(ctx, w.group())
			g := all[w.group()]
			return err == nil && g.Err == nil && g.State == "Stable" && len(g.Members) == n, fmt.Sprintf("%s with %d members (%v, %v)", g.State, len(g.Members), err, g.Err)
		}
		all, err := w.admin.DescribeGroups(ctx, w.group())
		g := all[w.group()]
		return err == nil && g.Err == nil && g.State == "Stable" && len(g.Members) == n, fmt.Sprintf("%s with %d members (%v, %v)", g.State, len(g.Members), err, g.Err)
	})
}

// awaitCommitted waits until the ends of all partitions are committed.
func (w *crew) awaitCommitted() error {
	return w.until("everything is committed", func(ctx context.Context) (bool, string) {
		ends, err := w.admin.ListEndOffsets(ctx, w.topic)
		if err != nil {
			return false, err.Error()
		}
		left := int64(0)
		ends.Each(func(o kadm.ListedOffset) { left += o.Offset - w.committed[o.Partition] })
		return left == 0, fmt.Sprintf("%d are not", left)
	})
}

// awaitInSync waits until every replica of every partition is in sync.
func awaitInSync(t *testing.T, f *franz) {
	t.Helper()
	for deadline := time.Now().Add(crewLimit); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := limited()
		topics, err := f.admin.ListTopicsWithInternal(ctx)
		cancel()
		behind := 0
		topics.EachPartition(func(p kadm.PartitionDetail) {
			if len(p.ISR) < len(p.Replicas) || p.Leader < 0 {
				behind++
			}
		})
		if err == nil && len(topics) > 0 && behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d partitions are not in sync: %v", behind, err)
		}
	}
}
