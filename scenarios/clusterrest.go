package scenarios

import (
	"fmt"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/scenarios/traffic"
)

// awaitReaders waits until every consumer has reached the end of everything (V8). The faults ended at since.
func (c *cluster) awaitReaders(since env.Instant) {
	problem := c.stage.Unread(c.endOf)
	switch {
	case problem == "":
		c.books.Checked("V8")
		c.stage.Reading = false
		c.lookAtAll()
	case c.world.Now().Sub(since) > healthy:
		c.fail("V8", "%v after the last fault %s", healthy, problem)
		c.finished = true
	default:
		c.world.After(askHealth, func() { c.awaitReaders(since) })
	}
}

// endOf is the high watermark of a partition at its leader, if there is one that serves.
func (c *cluster) endOf(t *traffic.Target) (record.Offset, bool) {
	id := record.Partition{Topic: t.ID, Index: t.Index}
	for _, m := range c.members {
		if l := m.log(id); l != nil && m.leads(id) {
			return l.HighWatermark(), true
		}
	}
	return 0, false
}

// unbalanced says what the active controller ought to have done about preferred leaders, if it is to (V8).
func (c *cluster) unbalanced() string {
	for _, m := range c.members {
		settings := c.plan.settings(int(m.id), m.host.Life())
		if q := m.node.Quorum(); q == nil || !q.Leading() || !settings.LeaderRebalance {
			continue
		}
		d := controller.Controller{Image: m.image(), Settings: controller.SettingsOf(settings)}
		if records, _ := d.BalanceLeaders(); len(records) > 0 {
			return fmt.Sprintf("%d partitions are not led by their preferred replicas, and the controller %s is to see to that", len(records), m.host.Name())
		}
	}
	return ""
}

// nothingWaits: when there is no traffic any more, members of groups included, no request to produce or to delete is held back anywhere (V8).
func (c *cluster) nothingWaits() {
	for _, m := range c.members {
		if m.host.Running() && m.ready && c.stage.Still() {
			n := m.node.Waiting()
			m.check("V8", n == 0, "%d requests are held back, and nobody waits for them", n)
		}
	}
}
