package broker_test

import (
	"slices"
	"testing"

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
