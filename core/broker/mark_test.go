package broker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/record"
)

// stop ends a node in order.
func (r *rig) stop() {
	r.Helper()
	stopped := false
	r.host.Do(func() {
		r.node.Leave(func() {
			r.node.StopWaiting()
			r.node.Shutdown(func(err error) {
				if err != nil {
					r.Errorf("stop: %v", err)
				}
				stopped = true
			})
		})
	})
	r.until(func() bool { return stopped })
	r.host.Kill()
	r.ready, r.conn = false, nil
}

// eligible counts the partitions of a topic in whose absence of a minimum of replicas a broker may lead without loss.
func (r *rig) eligible(topic string, id int) (n int) {
	for _, p := range r.node.Image().Topic(topic).Partitions {
		if slices.Contains(p.ELR, record.NodeID(id)) {
			n++
		}
	}
	return n
}

// TestStopBeforeTheRegistration (I7): a life that never came to register says nothing of how the one before it ended. Where that was killed the replica may
// have lost what it had not synced, however orderly the stop in between; where that had stopped in order it still has everything.
func TestStopBeforeTheRegistration(t *testing.T) {
	for _, clean := range []bool{false, true} {
		c, active, other, _ := newLed(t)
		id := c.id(other)
		other.values["metadata.log.max.record.bytes.between.snapshots"] = "100" // by which a start knows what it cannot hear
		other.restart()
		c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "t") })
		c.createTopic(active, "async", 3, 3, "min.insync.replicas", "3", "lignum.flush.policy", "async")
		c.until("all are in sync", func() bool { return c.inSync(active, "async") })
		before := active.registered(id).Epoch
		if clean {
			other.stop()
		} else {
			other.host.Kill()
		}
		c.isolate(other)
		other.restart()
		c.until("it knows of its earlier life", func() bool { return other.registered(id) != nil && active.eligible("async", id) == 3 })
		other.stop()
		c.world.HealAll()
		other.restart()
		c.until("it has registered", func() bool { return active.registered(id).Epoch > before })
		if n := active.eligible("async", id); (n == 3) != clean {
			t.Errorf("the earlier life stopped in order: %v; %d of 3 replicas are taken for complete", clean, n)
		}
		c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "async") })
	}
}

// TestStopOfWhoSeesItself (I7): a life has no answer to its registration, but sees itself in the metadata, or saw itself there until it was unregistered. It is
// stopped in order before it goes on, as the life before it was: it still has everything.
func TestStopOfWhoSeesItself(t *testing.T) {
	for _, unregistered := range []bool{false, true} {
		shown := false
		for seed := uint64(1); !shown; seed++ {
			if shown = stopsUnanswered(t, seed, unregistered); seed == 40 {
				t.Fatal("it always hears its answer, which shows nothing")
			}
		}
	}
}

// stopsUnanswered is one try. It is false if the answer came after all.
func stopsUnanswered(t *testing.T, seed uint64, unregistered bool) bool {
	c, active, other, _ := newLedBySeed(t, seed)
	id := c.id(other)
	c.createTopic(active, "async", 3, 3, "min.insync.replicas", "3", "lignum.flush.policy", "async")
	c.until("all are in sync", func() bool { return c.inSync(active, "async") })
	before := active.registered(id).Epoch
	other.stop()
	other.restart()
	c.until("it has registered again", func() bool { return active.registered(id).Epoch > before })
	c.world.Cut(active.host.End(), other.host.End())
	present := active.registered(id).Epoch
	sees := func() bool { return other.registered(id) != nil && other.registered(id).Epoch == present }
	c.world.Run(c.world.Now().Add(50 * time.Millisecond)) // what was on its way
	if sees() {
		return false
	}
	if unregistered {
		c.unregister(active, int32(id))
		c.world.HealAll()
		c.until("it knows that", func() bool {
			return slices.ContainsFunc(other.logged, func(line string) bool { return strings.Contains(line, "registers anew") })
		})
	} else {
		c.until("it sees itself", sees)
	}
	if other.stop(); active.eligible("async", id) != 3 {
		t.Fatal("it is not eligible while it is stopped, which shows nothing")
	}
	c.world.HealAll()
	other.restart()
	c.until("it has registered", func() bool { b := active.registered(id); return b != nil && b.Epoch > present })
	if n := active.eligible("async", id); n != 3 {
		t.Errorf("unregistered: %v; %d of 3 replicas are taken for complete", unregistered, n)
	}
	c.until("it serves, and all are in sync", func() bool { return other.ready && c.inSync(active, "async") })
	return true
}
