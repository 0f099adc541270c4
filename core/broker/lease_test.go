package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/env"
	"lignum/core/wire"
)

// end asks a node for the end of a partition.
func (r *rig) end(topic string, partition int32) wire.ErrorCode {
	r.Helper()
	q := kmsg.NewPtrListOffsetsRequest()
	q.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = partition, -1, wire.LatestTimestamp
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return wire.ErrorCode(ask[*kmsg.ListOffsetsResponse](r, q, 7).Topics[0].Partitions[0].ErrorCode)
}

// isolate cuts a node off from all other nodes; its clients still reach it.
func (c *cluster) isolate(node *rig) {
	for _, other := range c.nodes {
		if other != node {
			c.world.Cut(node.host.End(), other.host.End())
			c.world.Cut(other.host.End(), node.host.End())
		}
	}
}

// deafen lets nothing that the other nodes say come to a node; they still hear it, and its clients reach it.
func (c *cluster) deafen(node *rig) {
	for _, other := range c.nodes {
		if other != node {
			c.world.Cut(other.host.End(), node.host.End())
		}
	}
}

// controller is the node that leads the quorum.
func (c *cluster) controller() (active *rig) {
	c.until("there is a controller", func() bool {
		for _, r := range c.nodes {
			if r.node.Quorum().Leading() {
				active = r
			}
		}
		return active != nil
	})
	return active
}

// ledBy finds a partition of a topic that a node leads.
func (c *cluster) ledBy(node *rig, topic string) (partition int32) {
	c.until("the node leads a partition and says its end", func() bool {
		for _, p := range c.describe(node, topic) {
			if c.nodes[p.Leader-1] == node && node.end(topic, p.Partition) == wire.None {
				partition = p.Partition
				return true
			}
		}
		return false
	})
	return partition
}

// TestCutOffControllerRenewsNoLease (F7): an active controller that is cut off from the others goes on believing in itself for a while. The lease of its own
// broker, which it asks without the network, ends with the session that the others would give it all the same.
func TestCutOffControllerRenewsNoLease(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	c.createTopic(c.nodes[0], "t", 6, 3)
	active := c.controller()
	led := c.ledBy(active, "t")
	c.isolate(active)
	session := 2 * time.Second
	c.world.Run(c.world.Now().Add(session / 2))
	if code := active.end("t", led); code != wire.None {
		t.Errorf("within the session the end is refused with %v", code)
	}
	c.world.Run(c.world.Now().Add(session/2 - session/10 + 10*time.Millisecond))
	if !active.node.Quorum().Leading() {
		t.Fatal("it does not believe any more that it is the active controller, which shows nothing")
	}
	if code := active.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("a session after it was cut off the end is told: %v", code)
	}
	c.world.HealAll()
	c.until("somebody tells the end again", func() bool {
		leader := c.leader(c.nodes[0], "t", led)
		return leader != nil && leader.end("t", led) == wire.None
	})
}

// newLed is a cluster of three, its active controller, and another node with a partition of the topic "t" that it leads.
func newLed(t *testing.T) (c *cluster, active, other *rig, led int32) {
	return newLedBySeed(t, 1)
}

func newLedBySeed(t *testing.T, seed uint64) (c *cluster, active, other *rig, led int32) {
	both := "broker,controller"
	c = newCluster(t, seed, both, both, both)
	c.createTopic(c.nodes[0], "t", 6, 3)
	active, other = c.controller(), c.nodes[0]
	if other == active {
		other = c.nodes[1]
	}
	return c, active, other, c.ledBy(other, "t")
}

// TestLeaseOfWhoIsCutOffFromTheController (F7): a leader that only the controller does not hear of serves until its session ends, and then no more.
func TestLeaseOfWhoIsCutOffFromTheController(t *testing.T) {
	c, active, other, led := newLed(t)
	c.isolate(other)
	c.world.Run(c.world.Now().Add(time.Second))
	if code := other.end("t", led); code != wire.None {
		t.Errorf("within the session the end is refused with %v", code)
	}
	c.until("another leads", func() bool { l := c.leader(active, "t", led); return l != nil && l != other })
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("when another leads the end is told: %v", code)
	}
	c.world.HealAll()
}

// TestLeaseOfWhoLeaves (F7): a leader that stops in order asks to be replaced, and its successor does not wait for it, for it is in sync no more. It tells no
// end from then on, though it hears neither of the election nor that its lease is over.
func TestLeaseOfWhoLeaves(t *testing.T) {
	c, active, other, led := newLed(t)
	c.deafen(other)
	began := c.world.Now()
	other.host.Do(func() { other.node.Leave(func() {}) })
	c.until("another leads", func() bool { l := c.leader(active, "t", led); return l != nil && l != other })
	if took := c.world.Now().Sub(began); took > time.Second {
		t.Fatalf("it was replaced after %v, when its lease may be over, which shows nothing", took)
	}
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("when another leads the end is told: %v", code)
	}
	c.world.HealAll()
}

// reassign asks for other replicas of a partition.
func (r *rig) reassign(topic string, partition int32, replicas ...int32) {
	r.Helper()
	q := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	q.TimeoutMillis = 5000
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = topic
	p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	p.Partition, p.Replicas = partition, replicas
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	out := ask[*kmsg.AlterPartitionAssignmentsResponse](r, q, 0)
	if code := wire.ErrorCode(out.Topics[0].Partitions[0].ErrorCode); code != wire.None {
		r.Fatal(code)
	}
}

// reassigning counts the reassignments that are on their way.
func (r *rig) reassigning() int {
	q := kmsg.NewPtrListPartitionReassignmentsRequest()
	q.TimeoutMillis = 5000
	return len(ask[*kmsg.ListPartitionReassignmentsResponse](r, q, 0).Topics)
}

// besides lists the ids of all nodes but one.
func (c *cluster) besides(node *rig) (ids []int32) {
	for i, other := range c.nodes {
		if other != node {
			ids = append(ids, int32(i+1))
		}
	}
	return ids
}

// TestLeaseOfTheReassigned (F7): a leader whose replica is taken away does not hear of that. The next one commits nothing without it while its lease holds,
// and the reassignment goes on until it is not in sync any more.
func TestLeaseOfTheReassigned(t *testing.T) {
	c, active, other, led := newLed(t)
	c.deafen(other)
	began := c.world.Now()
	active.reassign("t", led, c.besides(other)...)
	c.until("another leads", func() bool { l := c.leader(active, "t", led); return l != nil && l != other })
	if took := c.world.Now().Sub(began); took > time.Second || active.reassigning() != 1 {
		t.Fatalf("it was replaced after %v, and %d partitions are being reassigned", took, active.reassigning())
	}
	if code := other.end("t", led); code != wire.None {
		t.Fatalf("it has heard of that, or its lease is over, which shows nothing: %v", code)
	}
	c.produceTo(active, "t", led, "x")
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("when a record was committed without it the end is told: %v", code)
	}
	c.until("the reassignment is over", func() bool { return active.reassigning() == 0 })
	c.world.HealAll()
}

// TestReassignmentOfALeader: with nobody cut off a reassignment that takes a leader away is a matter of moments.
func TestReassignmentOfALeader(t *testing.T) {
	c, active, other, led := newLed(t)
	c.produceTo(active, "t", led, "x")
	began := c.world.Now()
	active.reassign("t", led, c.besides(other)...)
	c.until("the reassignment is over", func() bool { return active.reassigning() == 0 })
	if took := c.world.Now().Sub(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	if p := c.describe(active, "t")[led]; len(p.Replicas) != 2 || len(p.ISR) != 2 || c.nodes[p.Leader-1] == other {
		t.Errorf("%+v", p)
	}
	c.produceTo(active, "t", led, "y")
	c.until("the one that has gone has no replica", func() bool {
		_, err := other.host.Disk().ReadDir(fmt.Sprintf("t-%d", led))
		return errors.Is(err, env.ErrNotExist) && other.end("t", led) == wire.NotLeaderOrFollower
	})
}

// TestLeaseCountsFromTheHeartbeat (F7): the answer to a heartbeat comes late. The controller has counted the session from the heartbeat, and so must the lease.
func TestLeaseCountsFromTheHeartbeat(t *testing.T) {
	c, active, other, led := newLed(t)
	began := c.world.Now()
	c.deafen(other) // what it says still arrives: a heartbeat, within 300 ms
	c.world.Run(began.Add(600 * time.Millisecond))
	for _, o := range c.nodes {
		if o != other {
			c.world.Cut(other.host.End(), o.host.End())
		}
	}
	c.world.Heal(active.host.End(), other.host.End()) // the answer comes, and is not too late to be heard
	c.world.Run(began.Add(990 * time.Millisecond))
	if code := other.end("t", led); code != wire.None {
		t.Fatalf("within the session the end is refused with %v", code)
	}
	c.isolate(other)
	c.until("another leads", func() bool { l := c.leader(active, "t", led); return l != nil && l != other })
	if took := c.world.Now().Sub(began); took > 2600*time.Millisecond {
		t.Fatalf("it was replaced after %v, which shows nothing", took)
	}
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("when another leads the end is told: %v", code)
	}
	c.world.HealAll()
}
