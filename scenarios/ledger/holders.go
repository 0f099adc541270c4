package ledger

import "slices"

// Holder is a member as it sees itself: which partitions it has, and until when it may believe that without hearing from the coordinator
// again (C7). A member that hears nothing for as long as its session or its rebalance timeout has to count itself out.
type Holder struct {
	group *Group
	name  string // the instance, or the member: one life of an instance follows another
	has   []OffsetKey
	until int64
}

// Holder begins the books of a member's life.
func (g *Group) Holder(name string) *Holder { return &Holder{group: g, name: name} }

// Has reports whether the member has any partition.
func (h *Holder) Has() []OffsetKey { return h.has }

// Take notes what the member was told to have besides what it has. Nobody else may believe to have it (C7).
func (h *Holder) Take(keys []OffsetKey, until int64) {
	g, now := h.group, h.group.now()
	h.until = max(h.until, until)
	for _, k := range keys {
		if slices.Contains(h.has, k) {
			continue
		}
		for _, other := range g.holds[k] {
			g.check("C7", other.name == h.name || other.until <= now || h.until <= now, "%s-%d is given to %s, and %s has it until %d (now %d)", k.Topic, k.Index, h.name,
				other.name, other.until, now)
		}
		g.groups.ledger.Checked("C7")
		h.has = append(h.has, k)
		g.holds[k] = append(g.holds[k], h)
	}
}

// Keep notes that the member was told that all is as it was, and may believe it until some time.
func (h *Holder) Keep(until int64) {
	if until <= h.until {
		return
	}
	h.until = until
	g, now := h.group, h.group.now()
	for _, k := range h.has {
		for _, other := range g.holds[k] {
			g.check("C7", other.name == h.name || other.until <= now || until <= now, "%s keeps %s-%d, and %s has it", h.name, k.Topic, k.Index, other.name)
		}
	}
}

// Drop notes that the member has let go of some partitions.
func (h *Holder) Drop(keys []OffsetKey) {
	for _, k := range keys {
		h.group.holds[k] = slices.DeleteFunc(h.group.holds[k], func(other *Holder) bool { return other == h })
	}
	h.has = slices.DeleteFunc(slices.Clone(h.has), func(k OffsetKey) bool { return slices.Contains(keys, k) })
}

// DropAll notes that the member has let go of everything.
func (h *Holder) DropAll() { h.Drop(slices.Clone(h.has)) }
