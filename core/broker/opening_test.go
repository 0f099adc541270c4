package broker_test

import (
	"strings"
	"testing"

	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestDeletedDuringAStart: a broker that was killed makes durable what its logs hold before it serves them. A topic is deleted meanwhile; the start does not wait for what is gone.
func TestDeletedDuringAStart(t *testing.T) {
	t.Parallel()
	const partitions = 40
	c := newCluster(t, 1, "broker,controller", "broker")
	first, second := c.nodes[0], c.nodes[1]
	second.values["lignum.log.flush.policy"] = "async" // else the store syncs them of its own accord
	c.createTopic(first, "t", partitions, 2, "lignum.flush.policy", "async")
	for i := range int32(partitions) {
		c.produceTo(first, "t", i, "x")
	}
	second.ready, second.conn = false, nil
	second.host.Kill()
	syncs := 0
	second.host.Disk().Watch(func(op sim.Op, _ error) {
		if op.Kind == sim.OpSync && strings.HasPrefix(op.Path, "t-") && strings.HasSuffix(op.Path, ".log") {
			syncs++
		}
	})
	second.host.Start()
	c.until("logs are being synced", func() bool { return syncs > 0 })
	q := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr("t")
	q.Topics = append(q.Topics, topic)
	if out := ask[*kmsg.DeleteTopicsResponse](first, q, 6); out.Topics[0].ErrorCode != 0 {
		t.Fatal(out.Topics[0].ErrorCode)
	}
	c.until("the second one serves", func() bool { return second.ready })
}
