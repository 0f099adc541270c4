package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rot ends a node in order, starts it again, and has the first record of its log of a partition rot, which is in no memory.
func (c *cluster) rot(r *rig, topic string, partition int32) {
	c.Helper()
	c.end(r, true)
	path := ""
	r.host.Disk().EachFile(func(p string, size int64) {
		if strings.HasPrefix(p, fmt.Sprint(topic, "-", partition, "/")) && strings.HasSuffix(p, ".log") && size > 0 && path == "" {
			path = p
		}
	})
	r.host.Start()
	c.until("all are in sync", func() bool { return c.whole(topic) })
	r.host.Disk().Rot(path, 65, 4)
}

// lead gives a partition's lead to its first replica.
func (c *cluster) lead(r *rig, topic string, partition int32) {
	c.Helper()
	q := kmsg.NewPtrElectLeadersRequest()
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	q.Topics = append(q.Topics, t)
	if out := ask[*kmsg.ElectLeadersResponse](r, q, 2); out.Topics[0].Partitions[0].ErrorCode != 0 {
		c.Fatalf("elect: %v", wire.ErrorCode(out.Topics[0].Partitions[0].ErrorCode))
	}
}

// TestCoordinatorWithADamagedLog (L7): a replica of the offsets topic is elected whose log is damaged. It cannot be loaded, and another one leads in its place.
func TestCoordinatorWithADamagedLog(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	by := c.nodes[0]
	c.createTopic(by, "t", 1, 3)
	var at kmsg.FindCoordinatorResponseCoordinator
	c.until("the group has a coordinator", func() bool {
		at = findCoordinator(by, "g").Coordinators[0]
		return at.ErrorCode == 0
	})
	first := c.nodes[at.NodeID-1]
	c.until("the offset is committed", func() bool {
		return ask[*kmsg.OffsetCommitResponse](first, commitRequest("g", "t", 0, 4), 8).Topics[0].Partitions[0].ErrorCode == 0
	})
	c.until("all are in sync", func() bool { return c.whole("__consumer_offsets") })
	index := int32(-1)
	for i, p := range by.node.Image().Topic("__consumer_offsets").Partitions {
		if id := (record.Partition{Topic: by.node.Image().Topic("__consumer_offsets").ID, Index: int32(i)}); p.Leader == record.NodeID(at.NodeID) {
			if end, _, _, _ := first.node.Tells(id); end > 0 {
				index = int32(i)
			}
		}
	}
	c.rot(first, "__consumer_offsets", index)
	c.lead(first, "__consumer_offsets", index)
	by = c.nodes[at.NodeID%3]
	end := c.world.Now().Add(30 * time.Second)
	for {
		at = findCoordinator(by, "g").Coordinators[0]
		if at.ErrorCode == 0 {
			if g := fetchOffsets(c.nodes[at.NodeID-1], "g"); g.ErrorCode == 0 && len(g.Topics) == 1 && g.Topics[0].Partitions[0].Offset == 4 {
				break
			}
		}
		if c.world.Now() > end {
			t.Fatal("nobody tells what was committed")
		}
		c.world.Run(c.world.Now().Add(100 * time.Millisecond))
	}
	c.until("the damaged replica is copied anew", func() bool { return c.whole("__consumer_offsets") })
}

// TestLookUpInADamagedLog (L7): a leader that finds its log damaged when it looks for a time gives up for another.
func TestLookUpInADamagedLog(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both)
	by := c.nodes[0]
	c.createTopic(by, "t", 1, 3)
	for i := range 3 {
		c.produceTo(by, "t", 0, fmt.Sprint(i))
	}
	c.until("all are in sync", func() bool { return c.whole("t") })
	first := c.leader(by, "t", 0)
	c.rot(first, "t", 0)
	c.lead(first, "t", 0)
	by = c.nodes[c.id(first)%3]
	c.until("it leads", func() bool { return c.leader(by, "t", 0) == first })
	end := c.world.Now().Add(30 * time.Second)
	for {
		q := kmsg.NewPtrListOffsetsRequest()
		q.ReplicaID = -1
		topic, p := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
		topic.Topic, p.Timestamp, p.CurrentLeaderEpoch = "t", 1, -1
		topic.Partitions = append(topic.Partitions, p)
		q.Topics = append(q.Topics, topic)
		if l := c.leader(by, "t", 0); l != nil {
			if out := ask[*kmsg.ListOffsetsResponse](l, q, 7).Topics[0].Partitions[0]; out.ErrorCode == 0 && out.Offset == 0 {
				break
			}
		}
		if c.world.Now() > end {
			t.Fatal("nobody finds the record")
		}
		c.world.Run(c.world.Now().Add(100 * time.Millisecond))
	}
	c.until("the damaged replica is copied anew", func() bool { return c.whole("t") })
}
