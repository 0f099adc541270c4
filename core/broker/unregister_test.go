package broker_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

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

// registerAs asks the active controller to register a broker as it was in an earlier life, replacing a registration.
func (c *cluster) registerAs(active *rig, earlier metadata.Broker, replaced metadata.BrokerEpoch) *kmsg.BrokerRegistrationResponse {
	c.Helper()
	active.dial()
	r := kmsg.NewPtrBrokerRegistrationRequest()
	r.ClusterID = *ask[*kmsg.MetadataResponse](active, kmsg.NewPtrMetadataRequest(), 9).ClusterID
	r.BrokerID, r.IncarnationID = int32(earlier.ID), earlier.Incarnation
	for _, d := range earlier.Directories {
		r.LogDirs = append(r.LogDirs, d)
	}
	r.UnknownTags.Set(wire.TagReplaces, binary.BigEndian.AppendUint64(nil, uint64(replaced)))
	active.dialTo("CONTROLLER")
	out := ask[*kmsg.BrokerRegistrationResponse](active, r, 4)
	active.dial()
	return out
}

// TestUnregisteredWhileItStarts (V1): a broker that has registered is fenced until its replicas are open. It is unregistered before it has seen itself in the
// metadata, and registers anew; also if what it sees there instead is its earlier life, whose request came late.
func TestUnregisteredWhileItStarts(t *testing.T) {
	for _, late := range []bool{false, true} {
		c, active, other, _ := newLedBySeed(t, 3)
		id := c.id(other)
		earlier := *active.registered(id)
		other.restart()
		c.until("it has registered again", func() bool { return active.registered(id).Epoch > earlier.Epoch })
		process := active.registered(id).Incarnation
		c.world.Cut(active.host.End(), other.host.End())
		c.unregister(active, int32(id))
		if other.registered(id) != nil && other.registered(id).Epoch > earlier.Epoch {
			t.Fatal("it has seen itself in the metadata before, which shows nothing")
		}
		if late {
			if code := wire.ErrorCode(c.registerAs(active, earlier, metadata.NoBrokerEpoch).ErrorCode); code != wire.None {
				t.Errorf("while nobody is registered a request is refused with %v", code)
			}
		}
		c.world.HealAll()
		c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "t") })
		if !slices.ContainsFunc(other.logged, func(line string) bool { return strings.Contains(line, "registers anew") }) {
			t.Error("it has not registered twice, which shows nothing")
		}
		if active.registered(id).Incarnation != process {
			t.Error("it has registered as another process, which might have lost something")
		}
	}
}

// TestRegistrationOfAnEarlierLife (V2): what a broker's earlier life has sent may come when the present one serves. It does not take the name from that.
func TestRegistrationOfAnEarlierLife(t *testing.T) {
	c, active, other, _ := newLed(t)
	id := c.id(other)
	earlier := *active.registered(id)
	other.restart()
	c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "t") })
	present := *active.registered(id)
	for _, replaced := range []metadata.BrokerEpoch{metadata.NoBrokerEpoch, earlier.Epoch - 1, earlier.Epoch} {
		out := c.registerAs(active, earlier, replaced)
		if code := wire.ErrorCode(out.ErrorCode); code != wire.DuplicateBrokerRegistration || out.BrokerEpoch != int64(present.Epoch) {
			t.Errorf("a registration that came late and replaces %d is answered with %v, epoch %d, not %d", replaced, code, out.BrokerEpoch, present.Epoch)
		}
	}
	c.world.Run(c.world.Now().Add(3 * time.Second))
	if b := active.registered(id); other.failed != nil || b.Epoch != present.Epoch || b.Fenced {
		t.Errorf("the broker failed with %v, and is registered as %+v", other.failed, b)
	}
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

// TestUnregisteredWhileItStops (V2): a broker that stops in order is fenced, does not hear of it, and is unregistered. Nobody depends on it any more: it goes on
// with its stop.
func TestUnregisteredWhileItStops(t *testing.T) {
	c, active, other, _ := newLed(t)
	id := c.id(other)
	c.deafen(other)
	took := other.leave()
	c.until("it is fenced", func() bool { return active.registered(id).Fenced })
	c.unregister(active, int32(id))
	c.world.HealAll()
	c.until("it may go", func() bool { _, left := took(); return left })
	if !slices.ContainsFunc(other.logged, func(line string) bool { return strings.Contains(line, "unregistered while it stopped") }) {
		t.Error("it has not heard of it, which shows nothing")
	}
}
