package broker_test

import (
	"fmt"
	"testing"
	"time"

	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTopicGoesWhileABrokerIsAway: the entry that says so is in a snapshot by the time that the broker hears of it. Its replicas go all the same, and the name
// is free.
func TestTopicGoesWhileABrokerIsAway(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both, "broker")
	for _, r := range c.nodes {
		r.values["metadata.log.max.record.bytes.between.snapshots"] = "1000"
		r.host.Kill()
		r.start()
	}
	first, away := c.nodes[0], c.nodes[3]
	c.createTopic(first, "t", 2, 4)
	c.until("the broker has its replicas", func() bool { return away.end("t", 0) == wire.None || away.end("t", 0) == wire.NotLeaderOrFollower })
	c.isolate(away)
	q := kmsg.NewPtrDeleteTopicsRequest()
	topic, name := kmsg.NewDeleteTopicsRequestTopic(), "t"
	topic.Topic, q.TopicNames = &name, nil
	q.Topics = append(q.Topics, topic)
	if out := ask[*kmsg.DeleteTopicsResponse](first, q, 6); out.Topics[0].ErrorCode != 0 {
		t.Fatalf("delete: %v", wire.ErrorCode(out.Topics[0].ErrorCode))
	}
	for i := range 20 {
		c.createTopic(first, fmt.Sprint("u", i), 1, 1)
	}
	c.world.Run(c.world.Now().Add(3 * time.Second))
	c.world.HealAll()
	c.until("the broker knows the last topic", func() bool { return len(c.describe(away, "u19")) == 1 })
	for p := range int32(2) {
		if code := away.end("t", p); code != wire.UnknownTopicOrPartition {
			t.Errorf("partition %d of the topic that is gone: %v", p, code)
		}
	}
	c.createTopic(first, "t", 2, 4)
	c.until("the broker has replicas of the next one", func() bool {
		for _, p := range c.describe(away, "t") {
			if len(p.ISR) == 4 {
				return true
			}
		}
		return false
	})
}
