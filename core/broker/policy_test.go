package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
)

// setPolicy asks for a flush policy of topic t, and returns what is answered.
func (r *rig) setPolicy(policy string) wire.ErrorCode {
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "lignum.flush.policy", &policy
	resource.Configs = append(resource.Configs, c)
	q.Resources = append(q.Resources, resource)
	return wire.ErrorCode(ask[*kmsg.IncrementalAlterConfigsResponse](r, q, 1).Resources[0].ErrorCode)
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
	for _, node := range c.nodes {
		if node != other {
			c.world.Cut(node.host.End(), other.host.End())
		}
	}
	if code := active.setPolicy("sync"); code != wire.None {
		t.Fatal(code)
	}
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("it is answered while the leader, which has not heard of it, serves: %v", code)
	}
	c.world.HealAll()
}
