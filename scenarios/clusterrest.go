package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/scenarios/traffic"
)

// awaitReaders waits until every consumer has reached the end of everything (V8). The faults ended at since.
func (c *cluster) awaitReaders(since env.Instant) {
	problem := c.stage.Unread(c.endOf)
	switch {
	case problem == "":
		c.books.Checked("V8")
		c.stage.Reading = false
		c.lookAtAll(since)
	case c.overdue(since):
		c.fail("V8", "%v after the last fault %s", c.world.Now().Sub(since), problem)
		c.finished = true
	default:
		c.world.After(askHealth, func() { c.awaitReaders(since) })
	}
}

// standstill is how long a cluster that is not whole in time may go without a record, or a file, that a replica has come nearer to being in sync: at the
// end a copy is flushed, file by file.
const standstill = 20 * time.Second

// copying measures replicas that are being copied: some seeds have thousands of records to fetch, 300 bytes at a time, from disks whose calls take
// seconds now and then. There is no traffic meanwhile, so what is left of a replica has to become less: only a new least counts as progress, and who
// copies the same again and again does not get on. A replica that is found to be damaged may begin anew, once.
type copying struct {
	since    env.Instant // the fault behind which this counts
	at       env.Instant // of the last progress
	replicas map[replica]*copied
}

// replica is a partition's on one node.
type replica struct {
	node      record.NodeID
	partition record.Partition
}

// copied is how far the copy of a replica has come.
type copied struct {
	log   *storage.Log
	least int64 // that was left so far
	anew  bool  // another log has taken the place of a damaged one
}

// overdue says whether the time is over in which all had to be well again after a fault.
func (c *cluster) overdue(since env.Instant) bool {
	k, now := &c.copying, c.world.Now()
	if k.since != since || k.replicas == nil {
		*k = copying{since: since, at: since, replicas: map[replica]*copied{}}
	}
	if c.progress() {
		k.at = now
	}
	return now.Sub(since) > healthy && now.Sub(k.at) > standstill
}

// recordWeight is more than the files that a record can bring into being: those count as left until they are synced.
const recordWeight = 8

// progress says whether some replica has come nearer to being in sync. While a leader does not serve nobody knows.
func (c *cluster) progress() (some bool) {
	for _, t := range c.newest().Topics() {
		for i := range t.Partitions {
			p, id := &t.Partitions[i], record.Partition{Topic: t.ID, Index: int32(i)}
			end, ok := c.logEnd(p.Leader, id)
			if !ok && !c.hopeless(id) {
				return false
			}
			for _, m := range c.members {
				if slices.Contains(p.Replicas, m.id) {
					left := m.leftOf(id, end, slices.Contains(p.ISR, m.id))
					some = c.copying.note(replica{m.id, id}, m.log(id), left) || some
				}
			}
		}
	}
	return some
}

// note takes in what is left of a replica, and says whether it never was less.
func (k *copying) note(of replica, l *storage.Log, left int64) bool {
	r := k.replicas[of]
	if r == nil {
		r = &copied{log: l, least: math.MaxInt64}
		k.replicas[of] = r
	}
	if l != r.log && l != nil {
		if r.log != nil && !r.anew {
			r.anew, r.least = true, math.MaxInt64
		}
		r.log = l
	}
	less := left < r.least
	r.least = min(r.least, left)
	return less
}

// leftOf is what a replica, whose leader's log has an end, has to fetch and to write, and what it has to flush and 1 more where it is not in sync.
func (m *member) leftOf(id record.Partition, end record.Offset, inSync bool) int64 {
	l := m.log(id)
	if l == nil {
		return 1 + recordWeight*int64(end)
	}
	n := recordWeight * max(0, int64(end-l.WrittenEnd()))
	if inSync {
		return n
	}
	disk := m.host.Disk()
	disk.EachFile(func(path string, _ int64) {
		if strings.HasPrefix(path, l.Dir()+"/") && disk.Unsynced(path) {
			n++
		}
	})
	return n + 1
}

// behind says whether a replica of a topic of clients has less than its leader, or more.
func (c *cluster) behind() bool {
	for _, t := range c.newest().Topics() {
		for i := range t.Partitions {
			p, id := &t.Partitions[i], record.Partition{Topic: t.ID, Index: int32(i)}
			end, ok := c.logEnd(p.Leader, id)
			other := func(node record.NodeID) bool { has, open := c.logEnd(node, id); return open && has != end }
			if ok && !t.Internal() && slices.ContainsFunc(p.Replicas, other) {
				return true
			}
		}
	}
	return false
}

// logEnd is where a node's log of a partition ends, if it has one.
func (c *cluster) logEnd(node record.NodeID, id record.Partition) (end record.Offset, ok bool) {
	for _, m := range c.members {
		if m.id == node {
			if l := m.log(id); l != nil {
				return l.EndOffset(), true
			}
		}
	}
	return 0, false
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
		if n, ok := c.heldBack(m); ok {
			m.check("V8", n == 0, "%d requests are held back, and nobody waits for them", n)
		}
	}
}

// waits says whether a request is held back that nobody waits for: it has until all has to be well again.
func (c *cluster) waits() bool {
	return slices.ContainsFunc(c.members, func(m *member) bool { n, _ := c.heldBack(m); return n > 0 })
}

// heldBack is how many requests a node holds back; it is not ok while the node does not serve, or a client is connected.
func (c *cluster) heldBack(m *member) (n int, ok bool) {
	if !m.host.Running() || !m.ready || !c.stage.Still() {
		return 0, false
	}
	return m.node.Waiting(), true
}
