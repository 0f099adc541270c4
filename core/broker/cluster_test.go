package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/broker"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is several nodes in a simulated world. One rig is the client of each.
type cluster struct {
	*testing.T
	world *sim.World
	nodes []*rig
}

// nodeSettings are the configuration of node id of n in the roles of each.
func nodeSettings(id int, roles []string) map[string]string {
	voters := ""
	for i, role := range roles {
		if role != "broker" {
			if voters != "" {
				voters += ","
			}
			voters += fmt.Sprintf("%d@n%d:9093", i+1, i+1)
		}
	}
	s := map[string]string{
		"node.id": fmt.Sprint(id), "process.roles": roles[id-1], "controller.quorum.voters": voters, "lignum.journal.file.bytes": "1048576",
		"broker.heartbeat.interval.ms": "300", "broker.session.timeout.ms": "2000", "broker.rack": fmt.Sprintf("r%d", id%2),
		"replica.lag.time.max.ms": "2000", "offsets.topic.num.partitions": "3",
	}
	client, quorum := fmt.Sprintf("PLAINTEXT://n%d:9092", id), fmt.Sprintf("CONTROLLER://n%d:9093", id)
	switch roles[id-1] {
	case "broker":
		s["listeners"] = client
	case "controller":
		s["listeners"], s["controller.listener.names"] = quorum, "CONTROLLER"
	default:
		s["listeners"], s["controller.listener.names"] = client+","+quorum, "CONTROLLER"
		s["advertised.listeners"] = client
	}
	return s
}

func newCluster(t *testing.T, seed uint64, roles ...string) *cluster {
	c := &cluster{T: t, world: sim.NewWorld(sim.Options{Seed: seed})}
	for i := range roles {
		r := &rig{T: t, world: c.world, values: nodeSettings(i+1, roles)}
		reader := record.NewReader(record.Limits{})
		r.host = c.world.AddHost(sim.HostOptions{
			Name: fmt.Sprintf("n%d", i+1), Wall: 1_700_000_000_000, Boot: r.boot,
			Listeners: []sim.Listener{{Name: "PLAINTEXT", Port: 9092}, {Name: "CONTROLLER", Port: 9093}},
			Decode: func(info env.ConnInfo, frame env.Buffer) (env.Request, error) {
				return broker.Decode(info, frame, reader)
			},
		})
		c.nodes = append(c.nodes, r)
	}
	t.Cleanup(func() {
		for _, f := range c.world.Findings() {
			t.Errorf("%v\n%s", f, f.Stack)
		}
		if t.Failed() {
			for i, r := range c.nodes {
				for _, l := range r.logged {
					t.Logf("n%d: %s", i+1, l)
				}
			}
		}
		c.world.Close()
	})
	for _, r := range c.nodes {
		r.host.Start()
	}
	c.until("all nodes are ready", func() bool {
		for _, r := range c.nodes {
			if !r.ready {
				return false
			}
		}
		return true
	})
	return c
}

// until runs the world until something is so, for at most a minute.
func (c *cluster) until(what string, done func() bool) {
	c.Helper()
	limit := c.world.Now().Add(time.Minute)
	for !done() {
		for i, r := range c.nodes {
			if r.failed != nil {
				c.Fatalf("node %d failed: %v", i+1, r.failed)
			}
		}
		if len(c.world.Findings()) > 0 || !c.world.Step(limit) {
			c.Fatalf("it does not come about: %s", what)
		}
	}
}

// createTopic makes a topic by way of one node, whichever is the active controller.
func (c *cluster) createTopic(by *rig, name string, partitions int32, replicas int16, configs ...string) {
	c.Helper()
	q := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicas
	for i := 0; i < len(configs); i += 2 {
		s := kmsg.NewCreateTopicsRequestTopicConfig()
		s.Name, s.Value = configs[i], &configs[i+1]
		t.Configs = append(t.Configs, s)
	}
	q.Topics = append(q.Topics, t)
	if out := ask[*kmsg.CreateTopicsResponse](by, q, 7); out.Topics[0].ErrorCode != 0 {
		c.Fatalf("create %s: %d %v", name, out.Topics[0].ErrorCode, *out.Topics[0].ErrorMessage)
	}
}

// describe asks one node for a topic; nil while it does not know it, or not all its leaders.
func (c *cluster) describe(by *rig, name string) []kmsg.MetadataResponseTopicPartition {
	c.Helper()
	q := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &name
	q.Topics = append(q.Topics, t)
	out := ask[*kmsg.MetadataResponse](by, q, 12)
	if out.Topics[0].ErrorCode != 0 {
		return nil
	}
	for _, p := range out.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			return nil
		}
	}
	return out.Topics[0].Partitions
}

// TestPullsMayWait: a node that is no voter keeps the connection on which it waits for news, however short its patience with those that have some.
func TestPullsMayWait(t *testing.T) {
	c := newCluster(t, 1, "broker,controller", "broker")
	r := c.nodes[1]
	r.host.Kill()
	r.values["controller.quorum.fetch.timeout.ms"] = "100"
	r.start()
	r.logged = nil
	c.world.Run(c.world.Now().Add(10 * time.Second))
	for _, l := range r.logged {
		if strings.Contains(l, "connection lost") {
			t.Error(l)
		}
	}
}

// TestClusterForms: nodes of every combination of roles find each other; a topic that was asked for at one node is known at all.
func TestClusterForms(t *testing.T) {
	both, b, q := "broker,controller", "broker", "controller"
	for name, roles := range map[string][]string{
		"combined": {both, both, both}, "apart": {q, q, q, b, b, b}, "mixed": {both, q, both, b}, "one controller": {both, b, b},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 1, roles...)
			var brokers []*rig
			for i, r := range c.nodes {
				if roles[i] != q {
					brokers = append(brokers, r)
				}
			}
			for i, r := range brokers {
				topic := fmt.Sprintf("topic%d", i)
				c.createTopic(r, topic, 4, 2)
				for _, other := range brokers {
					c.until("the topic is known", func() bool { return c.describe(other, topic) != nil })
				}
			}
		})
	}
}

// TestClientsFindAController: clients send what the controller decides to the broker that they are told is one. Where controllers are no brokers it is any that
// they can reach; else it is the active one.
func TestClientsFindAController(t *testing.T) {
	for _, roles := range [][]string{{"controller", "broker", "broker"}, {"broker,controller", "broker", "broker"}} {
		c := newCluster(t, 1, roles...)
		for i, r := range c.nodes {
			if roles[i] == "controller" {
				continue
			}
			want := []int32{1, 1}
			if roles[0] == "controller" {
				want = []int32{int32(i + 1), int32(i + 1)} // the one that was asked
			}
			got := []int32{ask[*kmsg.MetadataResponse](r, kmsg.NewPtrMetadataRequest(), 12).ControllerID}
			q := kmsg.NewPtrDescribeClusterRequest()
			q.EndpointType = 1
			if got = append(got, ask[*kmsg.DescribeClusterResponse](r, q, 1).ControllerID); !slices.Equal(got, want) {
				t.Errorf("roles %q: node %d says that the controller is %v, want %v", roles, i+1, got, want)
			}
		}
	}
}

// TestStartsBehindAFeatureUpdate: a level that the cluster has agreed on keeps no broker out that supports it, in a cluster or alone.
func TestStartsBehindAFeatureUpdate(t *testing.T) {
	update := kmsg.NewPtrUpdateFeaturesRequest()
	update.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{{Feature: "metadata.version", MaxVersionLevel: 25, UpgradeType: 1}}
	agree := func(r *rig) {
		t.Helper()
		if out := ask[*kmsg.UpdateFeaturesResponse](r, update, 2); out.ErrorCode != 0 {
			t.Fatalf("%d %v", out.ErrorCode, out.ErrorMessage)
		}
		r.host.Kill()
		r.start()
	}
	agree(newRig(t, nil))
	c := newCluster(t, 1, "broker,controller", "broker")
	agree(c.nodes[1])
	agree(c.nodes[0])
}

// TestControllersOfTheirOwn (X5): what the nodes of the cluster ask of each other is answered on the controllers' listeners alone: clients, and brokers that
// share a listener with them, have no say in the quorum, nor in who leads.
func TestControllersOfTheirOwn(t *testing.T) {
	c := newCluster(t, 1, "broker,controller", "broker", "broker")
	r := c.nodes[0]
	for request, version := range map[kmsg.Request]int16{
		kmsg.NewPtrBrokerHeartbeatRequest(): 1, kmsg.NewPtrBrokerRegistrationRequest(): 3, kmsg.NewPtrAlterPartitionRequest(): 3,
	} {
		for listener, answered := range map[string]bool{"PLAINTEXT": false, "CONTROLLER": true} {
			r.dialTo(listener)
			r.send(request, version)
			r.until(func() bool { return len(r.answers) > 0 || r.gone })
			if r.gone == answered {
				t.Errorf("%T on %s: answered %v", request, listener, !r.gone)
			}
		}
	}
}

// leader is the rig of a partition's leader, as by says; nil if there is none.
func (c *cluster) leader(by *rig, topic string, partition int32) *rig {
	for _, p := range c.describe(by, topic) {
		if p.Partition == partition && p.Leader > 0 {
			return c.nodes[p.Leader-1]
		}
	}
	return nil
}

// produceTo appends to a partition, wherever it is led, until that is acknowledged.
func (c *cluster) produceTo(by *rig, topic string, partition int32, value string) {
	c.Helper()
	var last kmsg.ProduceResponseTopicPartition
	c.until("the batch is acknowledged", func() bool {
		to := c.leader(by, topic, partition)
		if to == nil || !to.ready {
			return false
		}
		last = to.produce(topic, partition, -1, batch(value))
		return last.ErrorCode == 0
	})
}

// TestLeaderDies: what was acknowledged is there when another leads, and when the first one has come back.
func TestLeaderDies(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	c.createTopic(c.nodes[0], "t", 1, 3, "min.insync.replicas", "2")
	for i := range 5 {
		c.produceTo(c.nodes[0], "t", 0, fmt.Sprint(i))
	}
	for round := range 4 {
		alive := c.nodes[(round+1)%3]
		var dead *rig
		c.until("there is a leader", func() bool { dead = c.leader(alive, "t", 0); return dead != nil })
		if dead == alive {
			alive = c.nodes[(round+2)%3]
		}
		dead.ready, dead.conn = false, nil
		if round%2 == 0 {
			dead.host.Kill()
		} else {
			dead.host.Power()
		}
		c.until("another leads", func() bool { l := c.leader(alive, "t", 0); return l != nil && l != dead })
		c.produceTo(alive, "t", 0, fmt.Sprint(5+round))
		dead.host.Start()
		c.until("all are in sync", func() bool {
			p := c.describe(alive, "t")
			return len(p) == 1 && len(p[0].ISR) == 3
		})
	}
	var values []string
	c.until("all records are read", func() bool {
		from := c.leader(c.nodes[0], "t", 0)
		if from == nil {
			return false
		}
		out := ask[*kmsg.FetchResponse](from, fetchRequest("t", 0, int64(len(values))), 12)
		values = append(values, valuesIn(t, out.Topics[0].Partitions[0].RecordBatches, int64(len(values)))...)
		return int64(len(values)) == out.Topics[0].Partitions[0].HighWatermark
	})
	values = slices.Compact(values) // a batch whose answer was lost may be there twice
	if len(values) != 9 {
		t.Fatalf("%q", values)
	}
	for i, v := range values {
		if v != fmt.Sprint(i) {
			t.Fatalf("%q", values)
		}
	}
}
