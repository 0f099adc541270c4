package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
)

// setPolicy asks for a flush policy of topic t, and returns what is answered.
func (r *rig) setPolicy(policy string) wire.ErrorCode {
	return wire.ErrorCode(ask[*kmsg.IncrementalAlterConfigsResponse](r, policyRequest(policy), 1).Resources[0].ErrorCode)
}

func policyRequest(policy string) *kmsg.IncrementalAlterConfigsRequest {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "lignum.flush.policy", &policy
	resource.Configs = append(resource.Configs, c)
	q.Resources = append(q.Resources, resource)
	return q
}

// TestPolicyIsInForceWhenItIsAnswered (D3): who is told that a topic is under the policy sync counts on it from then on. A leader that has not heard of it
// would go on as before; the answer waits for it, or for its end.
func TestPolicyIsInForceWhenItIsAnswered(t *testing.T) {
	c, active, other, led := newLed(t)
	if code := active.setPolicy("async"); code != wire.None {
		t.Fatal(code)
	}
	began := c.world.Now()
	if code := active.setPolicy("sync"); code != wire.None || c.world.Now().Sub(began) > 200e6 {
		t.Fatalf("%v after %v", code, c.world.Now().Sub(began))
	}
	if code := active.setPolicy("async"); code != wire.None {
		t.Fatal(code)
	}
	c.deafen(other)
	if code := active.setPolicy("sync"); code != wire.None {
		t.Fatal(code)
	}
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("it is answered while the leader, which has not heard of it, serves: %v", code)
	}
	c.world.HealAll()
}

// TestPolicyIsInForceWhoeverLeads (D3): while it is waited for that a leader hears of the policy sync another one is elected. What the two have not heard of
// they do not go by, and the old one goes on with the new one as its follower: the answer waits.
func TestPolicyIsInForceWhoeverLeads(t *testing.T) {
	both := "broker,controller"
	c := newCluster(t, 1, both, both, both, "broker", "broker")
	active, leader, next := c.controller(), c.nodes[3], c.nodes[4]
	q := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "t", -1, -1
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: []int32{4, 5}}}
	q.Topics = append(q.Topics, topic)
	if out := ask[*kmsg.CreateTopicsResponse](active, q, 7); out.Topics[0].ErrorCode != 0 {
		t.Fatal(out.Topics[0].ErrorCode)
	}
	c.ledBy(leader, "t")
	if code := active.setPolicy("async"); code != wire.None {
		t.Fatal(code)
	}
	if got := leader.produce("t", 0, -1, batch("a")); got.ErrorCode != 0 {
		t.Fatal(got.ErrorCode)
	}
	for _, node := range c.nodes[:3] {
		c.world.Cut(node.host.End(), leader.host.End())
		c.world.Cut(node.host.End(), next.host.End())
	}
	active.answers = nil
	active.send(policyRequest("sync"), 1)
	c.until("the change is made", func() bool { return active.node.Image().Topics()[0].Partitions[0].LeaderEpoch == 1 })
	leader.host.Do(func() { leader.node.Leave(func() {}) })
	c.until("it is answered", func() bool { return len(active.answers) > 0 })
	if got := leader.produce("t", 0, -1, batch("b")); got.ErrorCode == 0 {
		t.Error("it is answered while the leader before goes on under async")
	}
	c.world.HealAll()
}
