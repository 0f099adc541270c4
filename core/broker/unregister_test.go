package broker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// unregister asks for a broker to be unregistered until it is, and waits until the one who was asked knows it.
func (c *cluster) unregister(by *rig, id int32) {
	c.Helper()
	r := kmsg.NewPtrUnregisterBrokerRequest()
	r.BrokerID = id
	for {
		switch code := wire.ErrorCode(ask[*kmsg.UnregisterBrokerResponse](by, r, 0).ErrorCode); code {
		case wire.None:
			return
		case wire.RequestTimedOut: // it is not fenced yet
		default:
			c.Fatalf("broker %d cannot be unregistered: %s", id, code)
		}
	}
}

// registered is how a node knows another one.
func (r *rig) registered(id int) *metadata.Broker { return r.node.Image().Broker(record.NodeID(id)) }

// id is a node's id.
func (c *cluster) id(r *rig) int { return slices.Index(c.nodes, r) + 1 }

// restart kills a node and begins its next life.
func (r *rig) restart() {
	r.host.Kill()
	r.ready, r.failed, r.conn = false, nil, nil
	r.host.Start()
}

// inSync says whether all replicas of a topic with three are in sync, as a node knows it.
func (c *cluster) inSync(by *rig, topic string) bool {
	all := c.describe(by, topic)
	for _, p := range all {
		if len(p.ISR) != 3 {
			return false
		}
	}
	return len(all) > 0
}

// TestUnregisteredWhileItStarts (V1): a broker that has registered is fenced until its replicas are open. It is unregistered before it has seen itself in the
// metadata, and registers anew.
func TestUnregisteredWhileItStarts(t *testing.T) {
	c, active, other, _ := newLed(t)
	id := c.id(other)
	before := active.registered(id).Epoch
	other.restart()
	c.until("it has registered again", func() bool { return active.registered(id).Epoch > before })
	c.world.Cut(active.host.End(), other.host.End())
	c.unregister(active, int32(id))
	if other.registered(id) != nil && other.registered(id).Epoch > before {
		t.Fatal("it has seen itself in the metadata before, which shows nothing")
	}
	c.world.HealAll()
	c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "t") })
}

// TestUnregisteredInUse (V1): a broker that is cut off for longer than its session can be unregistered. When it hears of that its process ends, and the next
// life registers anew, with another broker epoch, and joins its replicas' in-sync sets.
func TestUnregisteredInUse(t *testing.T) {
	c, active, other, led := newLed(t)
	id := c.id(other)
	before := active.registered(id).Epoch
	c.isolate(other)
	c.until("it is fenced", func() bool { return active.registered(id).Fenced })
	c.unregister(active, int32(id))
	if code := other.end("t", led); code != wire.NotLeaderOrFollower {
		t.Errorf("who is unregistered tells the end of what it led: %v", code)
	}
	c.world.HealAll()
	other.until(func() bool { return other.failed != nil })
	if !strings.Contains(other.failed.Error(), "unregistered") {
		t.Errorf("it ends for another reason: %v", other.failed)
	}
	other.restart()
	c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "t") })
	if b := active.registered(id); b.Epoch <= before || b.Fenced {
		t.Errorf("it is back as %+v, and was epoch %d", b, before)
	}
}
