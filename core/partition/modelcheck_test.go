package partition

import (
	"encoding/binary"
	"slices"

	"lignum/core/record"
)

// read reads a node's log.
func (n *node) read(from, to record.Offset) (out []byte) {
	found, cold, err := n.p.Read(ReadRequest{From: from, UpTo: to, MaxBytes: 1 << 20, AtLeastOne: true})
	for cold != nil {
		cold.Run()
		found, cold, err = cold.Finish()
	}
	if err != nil {
		n.c.fatalf("node %d cannot read at %d: %v", n.id, from, err)
	}
	for i := range found.Spans() {
		out = append(out, found.Span(i).Bytes...)
	}
	if found.File != nil {
		p := make([]byte, found.Length)
		if _, err := found.File.ReadAt(p, found.Position); err != nil {
			n.c.fatalf("node %d cannot read its file: %v", n.id, err)
		}
		out = append(out, p...)
		_ = found.File.Close()
	}
	found.Release()
	return out
}

// look reads the whole log of a node and checks that its names are kept (L2) and that epochs do not fall (L3).
func (n *node) look() {
	c := n.c
	shadow := make([]entry, n.p.StartOffset())
	for from := n.p.StartOffset(); from < n.p.EndOffset(); {
		rest := n.read(from, n.p.EndOffset())
		if len(rest) == 0 {
			c.fatalf("node %d: nothing at %d, the log ends at %d", n.id, from, n.p.EndOffset())
		}
		for len(rest) > 0 {
			b, tail, err := record.Next(rest)
			if err != nil {
				break
			}
			rest = tail
			if b.BaseOffset() != record.Offset(len(shadow)) && (from != n.p.StartOffset() || b.BaseOffset() > from) {
				c.fatalf("node %d: batch at %d behind %d", n.id, b.BaseOffset(), len(shadow))
			}
			_ = b.Each(record.Limits{}, func(r record.Record) error {
				e := entry{b.LeaderEpoch(), binary.BigEndian.Uint64(r.Value)}
				if b.BaseOffset()+record.Offset(r.OffsetDelta) < record.Offset(len(shadow)) {
					return nil
				}
				at := name{e.epoch, record.Offset(len(shadow))}
				if old, ok := c.names[at]; ok && old != e.value {
					c.fatalf("L2: %v is %d on node %d, was %d", at, e.value, n.id, old)
				}
				c.names[at] = e.value
				if len(shadow) > 0 && shadow[len(shadow)-1].epoch > e.epoch {
					c.fatalf("L3: node %d: epoch %d behind %d at %d", n.id, e.epoch, shadow[len(shadow)-1].epoch, len(shadow))
				}
				shadow = append(shadow, e)
				return nil
			})
			from = b.NextOffset()
		}
	}
	n.shadow = shadow
}

// inspect checks everything that a step of a node may have changed.
func (c *cluster) inspect(n *node) {
	if !n.up {
		return
	}
	n.look()
	p := n.p
	if p.leads() {
		c.removed = max(c.removed, p.log.StartOffset())
	}
	if p.leads() && p.lead.begun && p.log.HighWatermark() > c.top {
		c.commit(n)
	}
	if p.log.HighWatermark() > c.top {
		c.fatalf("H3: high watermark %d of node %d is above the greatest of any leader, %d", p.log.HighWatermark(), n.id, c.top)
	}
	for o := range min(p.log.HighWatermark(), record.Offset(len(c.content))) {
		if n.shadow[o].value != c.content[o] && (n.shadow[o] != entry{} || o >= c.removed) {
			c.fatalf("F1, F2: node %d shows %d at %d, %d is committed there", n.id, n.shadow[o].value, o, c.content[o])
		}
	}
	if n.marked == p.state.LeaderEpoch && p.leads() && p.log.HighWatermark() < n.mark {
		c.fatalf("H1: high watermark of leader %d goes back from %d to %d", n.id, n.mark, p.log.HighWatermark())
	}
	n.mark, n.marked = p.log.HighWatermark(), p.state.LeaderEpoch
	c.match(n)
	c.candidates()
	for o, v := range c.acked {
		if int(o) >= len(c.content) || c.content[o] != v {
			c.fatalf("D1: %d was acknowledged at %d and is not committed", v, o)
		}
	}
}

// commit notes that a leader's mark has passed records.
func (c *cluster) commit(n *node) {
	for o := c.top; o < n.p.log.HighWatermark(); o++ {
		if n.shadow[o] == (entry{}) {
			c.fatalf("node %d commits %d, which it has removed", n.id, o)
		}
		c.content = append(c.content, n.shadow[o].value)
	}
	c.top = n.p.log.HighWatermark()
	c.logf("%d commits up to %d", n.id, c.top)
	if len(n.p.state.ISR) < min(int(c.settings.MinInSyncReplicas), len(c.nodes)) {
		c.fatalf("H2: node %d moves the mark with ISR %v", n.id, n.p.state.ISR)
	}
	if safe := n.p.log.SafeEnd(); safe < c.top {
		c.fatalf("D3: leader %d commits %d, safe there is %d", n.id, c.top, safe)
	}
}

// match compares a log with all others (L1).
func (c *cluster) match(n *node) {
	for _, other := range c.nodes {
		if other == n || !other.up {
			continue
		}
		same := -1
		for i := range min(len(n.shadow), len(other.shadow)) {
			if n.shadow[i].epoch == other.shadow[i].epoch && n.shadow[i] != (entry{}) && other.shadow[i] != (entry{}) {
				same = i
			}
		}
		for i := range same + 1 {
			if n.shadow[i] != other.shadow[i] && n.shadow[i] != (entry{}) && other.shadow[i] != (entry{}) {
				c.fatalf("L1: logs of %d and %d have epoch %d at %d and differ at %d: %v, %v", n.id, other.id, n.shadow[same].epoch, same, i, n.shadow[i], other.shadow[i])
			}
		}
	}
}

// candidates checks that whoever may be elected holds what is committed (I1, I2, L8).
func (c *cluster) candidates() {
	s := c.now().state
	for _, id := range slices.Concat(s.ISR, s.ELR) {
		if n := c.nodes[id]; n.up {
			c.complete(n, "in ISR or ELR")
		}
	}
}

func (c *cluster) complete(n *node, why string) {
	s := c.now().state
	if !slices.Contains(s.ISR, n.id) && !slices.Contains(s.ELR, n.id) {
		return
	}
	for o, v := range c.content {
		if o >= len(n.shadow) || n.shadow[o].value != v && (n.shadow[o] != entry{} || record.Offset(o) >= c.removed) {
			c.fatalf("I2: node %d, %s, lacks %d at %d; its log has %d records, %d are committed", n.id, why, v, o, len(n.shadow), c.top)
		}
	}
	if start := n.p.StartOffset(); start < c.promised {
		c.fatalf("R3: node %d, %s, begins at %d, what is below %d was deleted", n.id, why, start, c.promised)
	}
	if c.lossless {
		return
	}
	if end := n.p.log.SafeEnd(); end < c.top {
		c.fatalf("D3: node %d, %s, has %d safe, %d are committed", n.id, why, end, c.top)
	}
}
