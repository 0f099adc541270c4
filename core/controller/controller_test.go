package controller

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// dice is a source of bits that a test can repeat.
type dice struct{ state uint64 }

func (d *dice) Uint64() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// cluster is a controller whose decisions are applied at once.
type cluster struct {
	Controller
	entries int
}

// newCluster registers brokers 1 to n; racks may name their racks.
func newCluster(n int, racks ...string) *cluster {
	c := &cluster{Controller: Controller{
		Image: metadata.New(), Rand: &dice{}, Settings: Settings{NumPartitions: 1, DefaultReplicationFactor: 1, DeleteTopicEnable: true, Node: 1},
	}}
	for i := range n {
		r := RegisterBroker{ID: record.NodeID(i + 1), Incarnation: metadata.UUID{byte(i + 1)}, Directories: []metadata.UUID{{9, byte(i)}}}
		if len(racks) > 0 {
			r.Rack = racks[i%len(racks)]
		}
		records, _ := c.RegisterBroker(r)
		c.apply(records)
	}
	return c
}

func (c *cluster) apply(records []metadata.Record) {
	decoded, err := metadata.DecodeRecords(metadata.AppendRecords(nil, records))
	if err != nil {
		panic(err)
	}
	c.Image.Apply(metadata.Position{Offset: record.Offset(c.entries), Epoch: 1}, decoded)
	c.entries++
}

// create makes topics and returns the refusals by name, "ok" for none.
func (c *cluster) create(topics ...NewTopic) map[string]string {
	records, answers := c.CreateTopics(CreateTopics{Topics: topics})
	c.apply(records)
	said := map[string]string{}
	for _, a := range answers {
		said[a.Name] = a.Refusal.text()
	}
	return said
}

func (r Refusal) text() string {
	if !r.Refused() {
		return "ok"
	}
	return strings.TrimSpace(r.Code.String() + " " + r.Message)
}

func (c *cluster) change(t *testing.T, r ChangeBroker) {
	t.Helper()
	r.Epoch = c.Image.Broker(r.ID).Epoch
	records, refusal := c.ChangeBroker(r)
	if refusal.Refused() {
		t.Fatal(refusal.text())
	}
	c.apply(records)
}

func auto(name string) NewTopic { return NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1} }

func TestAlterConfigs(t *testing.T) {
	t.Parallel()
	set := func(key, value string) []config.Alteration { return []config.Alteration{{Key: key, Value: value}} }
	for _, c := range []struct {
		request AlterConfigs
		want    string
	}{
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Changes: set("segment.ms", "7")}, "ok 1"},
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Changes: set("retention.ms", "5")}, "ok 0"},
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Changes: set("segment.ms", "7"), Replace: true}, "ok 2"},
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Replace: true}, "ok 1"},
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Changes: set("segment.ms", "soon")}, "INVALID_CONFIG"},
		{AlterConfigs{Resource: Resource{TopicResource, "t"}, Changes: []config.Alteration{{Key: "a", Null: true}}}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{TopicResource, "u"}, Changes: set("segment.ms", "7")}, "UNKNOWN_TOPIC_OR_PARTITION"},
		{AlterConfigs{Resource: Resource{TopicResource, ""}}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{TopicResource, "?"}}, "INVALID_TOPIC_EXCEPTION"},
		{AlterConfigs{Resource: Resource{BrokerResource, ""}, Changes: set("message.max.bytes", "7")}, "ok 1"},
		{AlterConfigs{Resource: Resource{BrokerResource, "1"}, Changes: set("message.max.bytes", "7")}, "ok 1"},
		{AlterConfigs{Resource: Resource{BrokerResource, "1"}, Changes: set("num.partitions", "7")}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{BrokerResource, "2"}, Changes: set("message.max.bytes", "7")}, "BROKER_ID_NOT_REGISTERED"},
		{AlterConfigs{Resource: Resource{BrokerResource, "one"}}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{BrokerLoggerResource, "1"}}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{GroupResource, "g"}, Changes: set("consumer.session.timeout.ms", "50000")}, "ok 1"},
		{AlterConfigs{Resource: Resource{GroupResource, "g"}, Replace: true}, "ok 0"},
		{AlterConfigs{Resource: Resource{GroupResource, "g"}, Changes: set("consumer.session.timeout.ms", "44999")}, "INVALID_CONFIG"},
		{AlterConfigs{Resource: Resource{GroupResource, "g"}, Changes: set("share.session.timeout.ms", "50000")}, "INVALID_CONFIG"},
		{AlterConfigs{Resource: Resource{GroupResource, "g"}, Changes: []config.Alteration{{Key: "consumer.session.timeout.ms", Null: true}}}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{GroupResource, ""}, Changes: set("consumer.session.timeout.ms", "50000")}, "INVALID_REQUEST"},
		{AlterConfigs{Resource: Resource{3, "1"}}, "INVALID_REQUEST there is no type"},
	} {
		cl := newCluster(1)
		cl.create(NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []ConfigValue{{Key: "retention.ms", Value: "5"}}})
		records, answers := cl.AlterConfigs([]AlterConfigs{c.request}, false)
		cl.apply(records)
		got := answers[0].Refusal.text()
		if got == "ok" {
			got += fmt.Sprint(" ", len(records))
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: %s, want %s", c.request, got, c.want)
		}
	}
	cl := newCluster(1)
	twice := AlterConfigs{Resource: Resource{BrokerResource, ""}, Changes: set("message.max.bytes", "7")}
	if records, answers := cl.AlterConfigs([]AlterConfigs{twice, twice}, false); len(records) > 0 || !answers[1].Refused() {
		t.Errorf("%v", answers)
	}
	if records, answers := cl.AlterConfigs([]AlterConfigs{twice}, true); len(records) > 0 || answers[0].Refused() {
		t.Errorf("%v", answers)
	}
}

// TestProducerIDsAreNeverGivenTwice is M8 over restarts of broker and controller.
func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	c := newCluster(2)
	next := record.ProducerID(0)
	for i := range 5 {
		id := record.NodeID(i%2 + 1)
		records, block := c.AllocateProducerIDs(id, c.Image.Broker(id).Epoch)
		if block.Refused() || block.First != next || block.Count != 1000 {
			t.Fatalf("%+v, want first %d", block, next)
		}
		next += 1000
		c.apply(records)
		image, err := metadata.DecodeSnapshot(c.Image.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		c.Image = image
	}
	if _, block := c.AllocateProducerIDs(1, 99); block.Code != wire.StaleBrokerEpoch {
		t.Errorf("%+v", block)
	}
	if _, block := c.AllocateProducerIDs(7, 0); block.Code != wire.StaleBrokerEpoch {
		t.Errorf("%+v", block)
	}
}

// TestRestartBeginsNewLeaderEpoch holds that no life of a broker goes on in the leader epoch of another (L2).
func TestRestartBeginsNewLeaderEpoch(t *testing.T) {
	t.Parallel()
	c := newCluster(1)
	c.create(NewTopic{Name: "t", Partitions: 2, ReplicationFactor: 1})
	epoch := c.Image.Broker(1).Epoch
	again := RegisterBroker{ID: 1, Incarnation: metadata.UUID{77}, Directories: []metadata.UUID{{9, 0}}}
	records, _ := c.RegisterBroker(again)
	c.apply(records)
	for i, p := range c.Image.Topic("t").Partitions {
		if p.Leader != 1 || p.LeaderEpoch != 1 || p.Epoch != 1 || len(p.ISR) != 1 {
			t.Errorf("partition %d: %+v", i, p)
		}
	}
	if c.Image.Broker(1).Epoch <= epoch {
		t.Errorf("broker epoch %d after %d", c.Image.Broker(1).Epoch, epoch)
	}
	if records, refusal := c.RegisterBroker(again); len(records) > 0 || refusal.Refused() {
		t.Errorf("the same registration again: %v, %s", records, refusal.text())
	}
	again.Incarnation, again.OtherAlive, again.Directories = metadata.UUID{78}, true, []metadata.UUID{{8}}
	if _, refusal := c.RegisterBroker(again); refusal.Code != wire.DuplicateBrokerRegistration {
		t.Error(refusal.text())
	}
	again.Fenced, again.Directories = true, []metadata.UUID{{9, 0}} // the same disk: the other process is dead
	records, _ = c.RegisterBroker(again)
	c.apply(records)
	if p := c.Image.Topic("t").Partitions[0]; p.Leader != metadata.NoNode || p.LeaderEpoch != 2 {
		t.Errorf("fenced: %+v", p)
	}
	c.change(t, ChangeBroker{ID: 1})
	if p := c.Image.Topic("t").Partitions[0]; p.Leader != 1 || p.LeaderEpoch != 3 {
		t.Errorf("let in: %+v", p)
	}
}

func TestFencingMovesLeaders(t *testing.T) {
	t.Parallel()
	c := newCluster(3)
	c.create(NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []Assignment{{0, []record.NodeID{1, 2, 3}}},
		Configs: []ConfigValue{{Key: "min.insync.replicas", Value: "2"}}})
	p := func() metadata.Partition { return c.Image.Topic("t").Partitions[0] }
	for _, step := range []struct {
		change    ChangeBroker
		leader    record.NodeID
		isr, elr  []record.NodeID
		epochRise record.Epoch
	}{
		{ChangeBroker{ID: 1, Fenced: true}, 2, []record.NodeID{2, 3}, nil, 1},
		{ChangeBroker{ID: 3, Fenced: true}, 2, []record.NodeID{2}, []record.NodeID{3}, 0},
		{ChangeBroker{ID: 2, ShuttingDown: true}, metadata.NoNode, nil, []record.NodeID{3, 2}, 1},
		{ChangeBroker{ID: 1}, metadata.NoNode, nil, []record.NodeID{3, 2}, 0},
		{ChangeBroker{ID: 3}, 3, []record.NodeID{3}, []record.NodeID{2}, 1},
		{ChangeBroker{ID: 2}, 3, []record.NodeID{3}, []record.NodeID{2}, 0},
	} {
		before := p()
		c.change(t, step.change)
		got := p()
		if got.Leader != step.leader || !slices.Equal(got.ISR, step.isr) || !slices.Equal(got.ELR, step.elr) ||
			got.LeaderEpoch-before.LeaderEpoch != step.epochRise {
			t.Fatalf("after %+v: %+v", step.change, got)
		}
	}
	if _, refusal := c.ChangeBroker(ChangeBroker{ID: 3, Epoch: 99}); refusal.Code != wire.StaleBrokerEpoch {
		t.Error(refusal.text())
	}
}

func TestDecisionsWaitForEachOther(t *testing.T) {
	t.Parallel()
	var pending []func(error)
	q := NewDecisions(func(_ []metadata.Record, done func(error)) { pending = append(pending, done) })
	var story []string
	decide := func(name string, records int) {
		q.Decide(func() ([]metadata.Record, func(error)) {
			story = append(story, "decide "+name)
			return make([]metadata.Record, records), func(err error) { story = append(story, fmt.Sprint("done ", name, " ", err)) }
		}, func(err error) { t.Error(err) })
	}
	decide("a", 1)
	decide("b", 0)
	decide("c", 1)
	if len(pending) != 1 || q.Waiting() != 2 {
		t.Fatalf("%d proposals, %d waiting", len(pending), q.Waiting())
	}
	pending[0](nil)
	pending[1](errors.New("lost"))
	want := "decide a, done a <nil>, decide b, done b <nil>, decide c, done c lost"
	if got := strings.Join(story, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	decide("d", 1)
	for range maxWaiting {
		decide("e", 0)
	}
	busy := 0
	q.Decide(func() ([]metadata.Record, func(error)) { t.Error("decided"); return nil, func(error) {} }, func(err error) { busy++ })
	if busy != 1 {
		t.Error("the queue has no end")
	}
	pending[2](nil)
	if q.Waiting() != 0 {
		t.Errorf("%d waiting", q.Waiting())
	}
}

// TestBrokersGoFirst (V1): a heartbeat does not wait behind what clients ask for, and a queue that is never empty does not grow.
func TestBrokersGoFirst(t *testing.T) {
	t.Parallel()
	var pending []func(error)
	q := NewDecisions(func(_ []metadata.Record, done func(error)) { pending = append(pending, done) })
	var story string
	decision := func(name string, records int) Decision {
		return func() ([]metadata.Record, func(error)) {
			story += name
			return make([]metadata.Record, records), func(error) {}
		}
	}
	fail := func(err error) { t.Error(err) }
	q.Decide(decision("a", 1), fail)
	q.Decide(decision("b", 1), fail)
	q.DecideFirst(decision("1", 0), fail)
	q.Decide(decision("c", 1), fail)
	q.DecideFirst(decision("2", 1), fail)
	for i := range 4 {
		pending[i](nil)
	}
	if story != "a12bc" || q.Waiting() != 0 {
		t.Errorf("%s, %d waiting", story, q.Waiting())
	}
	q.Decide(decision("d", 1), fail)
	q.Decide(decision("", 1), fail)
	for i := range 10_000 {
		q.Decide(decision("", 1), fail)
		pending[4+i](nil)
	}
	if n := cap(q.patient.waiting); n > 100 {
		t.Errorf("%d places for one that waits", n)
	}
}

// TestDepositionEndsDecisions: what waits when another controller is elected is refused; it would be decided by an image that is out of date.
func TestDepositionEndsDecisions(t *testing.T) {
	t.Parallel()
	var pending func(error)
	q := NewDecisions(func(_ []metadata.Record, done func(error)) { pending = done })
	deposed, lost := errors.New("deposed"), errors.New("lost")
	var told error
	q.Decide(func() ([]metadata.Record, func(error)) {
		return make([]metadata.Record, 1), func(err error) { told = err }
	}, func(err error) { t.Error(err) })
	refused := 0
	for _, decide := range []func(Decision, func(error)){q.Decide, q.DecideFirst} {
		decide(func() ([]metadata.Record, func(error)) { t.Error("decided"); return nil, func(error) {} }, func(err error) {
			if refused++; err != deposed {
				t.Error(err)
			}
		})
	}
	q.Close(deposed)
	pending(lost)
	if refused != 2 || told != lost || q.Waiting() != 0 {
		t.Errorf("%d are refused, the one on its way is told %v, %d wait", refused, told, q.Waiting())
	}
}

// TestPlacement checks what place promises, on clusters of any shape.
func TestPlacement(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		racks := rapid.IntRange(1, 4).Draw(t, "racks")
		perRack := rapid.IntRange(1, 4).Draw(t, "brokers of a rack")
		names := []string{"a", "b", "c", "d"}[:racks]
		n := racks * perRack
		c := newCluster(n, names...)
		c.Rand = &dice{rapid.Uint64().Draw(t, "seed")}
		fenced := rapid.IntRange(0, n-1).Draw(t, "fenced")
		for i := range fenced {
			records, _ := c.ChangeBroker(ChangeBroker{ID: record.NodeID(i + 1), Epoch: c.Image.Broker(record.NodeID(i + 1)).Epoch, Fenced: true})
			c.apply(records)
		}
		factor := rapid.IntRange(1, n).Draw(t, "factor")
		rounds := rapid.IntRange(1, 5).Draw(t, "rounds")
		partitions, refusal := c.place(placement{count: n * rounds, replicas: factor})
		if refusal.Refused() {
			t.Fatal(refusal.text())
		}
		leads := map[record.NodeID]int{}
		for i, p := range partitions {
			in := map[string]bool{}
			for k, id := range p.Replicas {
				if slices.Contains(p.Replicas[:k], id) {
					t.Fatalf("partition %d twice on %d: %v", i, id, p.Replicas)
				}
				in[c.Image.Broker(id).Rack] = true
				if c.Image.Active(id) != slices.Contains(p.ISR, id) {
					t.Fatalf("partition %d: %+v", i, p)
				}
			}
			if len(p.Replicas) != factor || p.Leader != p.Replicas[0] || len(p.ISR) < min(factor, n-fenced) {
				t.Fatalf("partition %d: %+v", i, p)
			}
			if fenced == 0 && len(in) != min(factor, racks) {
				t.Fatalf("partition %d with replicas %v stands in %d racks", i, p.Replicas, len(in))
			}
			leads[p.Leader]++
		}
		for _, b := range c.Image.Brokers() {
			if fenced == 0 && leads[b.ID] != rounds {
				t.Fatalf("broker %d leads %d of %d partitions: %v", b.ID, leads[b.ID], len(partitions), leads)
			}
		}
	})
}

// TestEveryDecisionApplies makes random decisions and applies their records: none is impossible, and the sets keep their order (I4, I5).
func TestEveryDecisionApplies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(4, "a", "b")
		c.Rand = &dice{rapid.Uint64().Draw(t, "seed")}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c.apply(c.randomDecision(t))
			if err := Check(c.Image); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func (c *cluster) randomDecision(t *rapid.T) []metadata.Record {
	name := rapid.SampledFrom([]string{"a", "b.c", "b_c", "d"}).Draw(t, "topic")
	id := record.NodeID(rapid.IntRange(1, 4).Draw(t, "broker"))
	n := rapid.IntRange(1, 4).Draw(t, "n")
	yes := rapid.Bool().Draw(t, "yes")
	var records []metadata.Record
	switch rapid.IntRange(0, 6).Draw(t, "what") {
	case 0, 1:
		records, _ = c.CreateTopics(CreateTopics{Topics: []NewTopic{{Name: name, Partitions: int32(n), ReplicationFactor: int16(id),
			Configs: []ConfigValue{{Key: "min.insync.replicas", Value: fmt.Sprint(n)}, {Key: "unclean.leader.election.enable", Value: fmt.Sprint(yes)}}}}})
	case 2:
		records, _ = c.DeleteTopics([]NamedTopic{{Name: name, ByName: true}})
	case 3:
		records, _ = c.CreatePartitions([]GrowTopic{{Name: name, Count: int32(n)}}, false)
	case 4:
		records, _ = c.AlterConfigs([]AlterConfigs{{Resource: Resource{TopicResource, name}, Replace: yes}}, false)
	case 5:
		records, _ = c.ChangeBroker(ChangeBroker{ID: id, Epoch: c.Image.Broker(id).Epoch, Fenced: yes, ShuttingDown: n == 1})
	default:
		incarnation := metadata.UUID{byte(n), byte(c.entries), byte(c.entries >> 8)}
		records, _ = c.RegisterBroker(RegisterBroker{ID: id, Incarnation: incarnation, Fenced: yes, Unclean: n == 1, Rack: "a",
			Directories: []metadata.UUID{{9, byte(id - 1)}}})
	}
	return records
}

// TestLogsFromElsewhere: a partition goes on above the leader epochs, and producers get ids above those, that a moved log has seen.
func TestLogsFromElsewhere(t *testing.T) {
	cl := newCluster(1)
	cl.create(NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1})
	id := record.Partition{Topic: cl.Image.Topic("t").ID}
	before := *cl.Image.Partition(id)
	cl.apply(cl.RaiseLeaderEpoch(id, before.LeaderEpoch+7))
	if p := cl.Image.Partition(id); p.LeaderEpoch != before.LeaderEpoch+8 || p.Epoch != before.Epoch+1 || p.Leader != before.Leader {
		t.Errorf("leader epoch %d, partition epoch %d, leader %d", p.LeaderEpoch, p.Epoch, p.Leader)
	}
	if records := cl.RaiseLeaderEpoch(id, before.LeaderEpoch); records != nil {
		t.Error("an epoch that is above already is raised")
	}
	broker := cl.Image.Brokers()[0]
	cl.apply(cl.OutgrowProducerIDs(broker.ID, broker.Epoch, 4711))
	if records, block := cl.AllocateProducerIDs(broker.ID, broker.Epoch); block.First != 4712 {
		t.Errorf("the next block begins at %d, want 4712 (%v)", block.First, records)
	}
	if records := cl.OutgrowProducerIDs(broker.ID, broker.Epoch, -1); records != nil {
		t.Error("no log remembers a producer, and yet ids are set aside")
	}
}
