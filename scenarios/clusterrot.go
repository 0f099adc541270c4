package scenarios

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"lignum/core/env"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// lieLater has the medium of one node lie about partitions' logs, again and again (L7). There are enough other copies of everything.
func (f *clusterFaults) lieLater(spoils bool) {
	f.c.world.After(f.bad.rand.Between(0, f.bad.pace), func() {
		if f.c.healed {
			return
		}
		switch n := f.bad.rand.Below(5); {
		case n == 0:
			f.phantoms()
		case n == 1 && spoils:
			f.spoil()
		default:
			f.rot()
		}
		f.lieLater(spoils)
	})
}

// bad is the node whose medium lies.
type bad struct {
	rand sim.Stream
	pace time.Duration
	node *member
	over bool // it has another disk
	away bool // it has been taken away
	// spoiled: some of its sectors cannot be read, so that it need not get well by itself.
	spoiled bool
}

// victim is the node whose medium lies; nil if there is none any more.
func (f *clusterFaults) victim() *member {
	b := &f.bad
	if b.node == nil {
		for b.node == nil || b.node.role == controllerRole {
			b.node = f.c.members[b.rand.Below(int64(len(f.c.members)))]
		}
		b.node.host.Disk().OnWound(func(w sim.Wound) { f.struck(b.node, &w) })
	}
	if b.over || b.away {
		return nil
	}
	return b.node
}

// struck learns of a wound when it is struck.
func (f *clusterFaults) struck(m *member, w *sim.Wound) {
	dir, _, _ := strings.Cut(w.Path, "/")
	f.tell("%s: %s, %s, %d bytes at %d", m.host.Name(), w.Kind, w.Path, w.Len, w.Off)
	if books := f.c.booksAt(dir); books != nil {
		m.lies = true
		f.count("wounded logs")
		f.c.books.LossPossible()
		books.Wound()
	}
}

// booksAt finds the books of the partition that has a directory.
func (c *cluster) booksAt(dir string) *ledger.Partition {
	for _, t := range c.stage.Targets {
		if fmt.Sprintf("%s-%d", t.Topic, t.Index) == dir && !t.Books.Closed() {
			return t.Books
		}
	}
	return nil
}

// aLog draws one of a node's segments that hold records; "" if there is none.
func (f *clusterFaults) aLog(m *member) string {
	var all []string
	m.host.Disk().EachFile(func(path string, size int64) {
		dir, file, _ := strings.Cut(path, "/")
		if size > 0 && strings.HasSuffix(file, ".log") && f.c.booksAt(dir) != nil {
			all = append(all, path)
		}
	})
	if len(all) == 0 {
		return ""
	}
	return all[f.bad.rand.Below(int64(len(all)))]
}

// What comes before the checksum in a batch is not covered by it.
const (
	batchLength   = 8
	batchOverhead = 12
	batchCovered  = 21
)

// rot inverts a bit that some batch's checksum covers.
func (f *clusterFaults) rot() {
	m := f.victim()
	if m == nil {
		return
	}
	path := f.aLog(m)
	p, _ := m.host.Disk().Peek(sim.Cached, path, nil)
	from, to, ok := drawCovered(&f.bad.rand, p)
	if !ok {
		return
	}
	f.count("rot")
	m.host.Disk().Rot(path, from+f.bad.rand.Below(to-from), 1<<f.bad.rand.Below(8))
}

// drawCovered draws one of the batches of a segment, and says which of its bytes its checksum covers.
func drawCovered(rand *sim.Stream, p []byte) (from, to int64, ok bool) {
	var ends [][2]int64
	for at := 0; at+batchCovered < len(p); {
		next := at + batchOverhead + int(int32(binary.BigEndian.Uint32(p[at+batchLength:])))
		if next <= at+batchCovered || next > len(p) {
			break // wounded already, or being written
		}
		ends = append(ends, [2]int64{int64(at + batchCovered), int64(next)})
		at = next
	}
	if len(ends) == 0 {
		return 0, 0, false
	}
	at := ends[rand.Below(int64(len(ends)))]
	return at[0], at[1], true
}

// phantoms has writes to logs get lost for a while: they are acknowledged and synced, and what they wrote is gone with the power.
func (f *clusterFaults) phantoms() {
	m := f.victim()
	if m == nil {
		return
	}
	one := pick(&f.bad.rand, int64(3), 20)
	f.tell("%s: one of %d writes to logs gets lost", m.host.Name(), one)
	m.host.Disk().Inject(func(op sim.Op) error {
		dir, file, _ := strings.Cut(op.Path, "/")
		if op.Kind == sim.OpWrite && strings.HasSuffix(file, ".log") && f.c.booksAt(dir) != nil && f.bad.rand.Below(one) == 0 {
			return sim.ErrPhantom
		}
		return nil
	})
	f.c.world.After(f.bad.rand.Between(0, 4*time.Second), f.honest)
}

// honest ends the phantom writes.
func (f *clusterFaults) honest() {
	if m := f.bad.node; m != nil {
		m.host.Disk().Inject(nil)
	}
}

// spoil makes a sector of a log unreadable, or what says whose log it is. That ends the broker, and perhaps all starts until it gets another disk.
func (f *clusterFaults) spoil() {
	m := f.victim()
	if m == nil {
		return
	}
	if path := f.aLog(m); path != "" {
		if dir, _, _ := strings.Cut(path, "/"); f.bad.rand.Below(4) == 0 {
			path = dir + "/partition.metadata"
			f.count("unreadable identities")
		}
		p, _ := m.host.Disk().Peek(sim.Cached, path, nil)
		f.count("bad sectors")
		f.bad.spoiled = true
		m.host.Disk().BadSector(path, f.bad.rand.Below(int64(len(p))))
	}
}

// refusals is how often a node may refuse to start before its disk is replaced.
const refusals = 3

// replace gives the node whose medium lies an empty disk.
func (f *clusterFaults) replace() {
	m := f.bad.node
	f.count("replaced disks")
	f.tell("%s: gets another disk", m.host.Name())
	f.honest()
	f.c.books.LossPossible()
	m.wipedAt = f.c.newest().Offset()
	m.end(m.host.Wipe)
	m.powers++
	m.lies, m.refused = false, 0
	f.bad.over, f.bad.away = true, false
}

// takeAway takes the node away whose medium has lied. What the others have has to be everything, and without a fault (L7).
func (c *cluster) takeAway() {
	m := c.faults.bad.node
	c.faults.bad.away = true
	c.faults.tell("%s is taken away", m.host.Name())
	c.books.LossPossible()
	m.end(m.host.Power)
	m.powers++
	c.awaitOthers(c.world.Now())
}

// awaitOthers waits until others lead everything, then has everything read, and brings the node back with an empty disk.
func (c *cluster) awaitOthers(since env.Instant) {
	problem := c.ledWithout(c.faults.bad.node)
	switch {
	case problem != "" && c.world.Now().Sub(since) > healthy:
		c.fail("V1", "%v after a node was taken away %s", healthy, problem)
		c.finished = true
		return
	case problem != "":
		c.world.After(askHealth, func() { c.awaitOthers(since) })
		return
	}
	for _, t := range c.stage.Targets {
		if t.Books.Wounded() {
			t.Books.Mended()
			c.books.Checked("L7")
		}
	}
	traffic.NewLastReader(c.stage, 900, patience, func() {
		c.faults.replace()
		since := c.world.Now()
		c.world.After(settleTime, func() { c.awaitHealth(since) })
	})
}

// ledWithout says which partition has no leader but a node that is away; "" if none.
func (c *cluster) ledWithout(away *member) string {
	newest := c.newest()
	for _, m := range c.members {
		if m != away && (!m.host.Running() || !m.ready || m.image().Offset() != newest.Offset()) {
			return m.host.Name() + " does not serve, or does not know everything"
		}
	}
	for _, t := range newest.Topics() {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; p.Leader < 0 || p.Leader == away.id {
				return fmt.Sprintf("%s-%d has no leader: %+v", t.Name, i, *p)
			}
		}
	}
	return ""
}
