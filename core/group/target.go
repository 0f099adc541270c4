package group

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"lignum/core/coordinator"
)

// draft is a decision about a consumer group under way: what the group will be once the records are applied.
type draft struct {
	s       *Shard
	id      string
	c       *consumer // as it is; not changed here
	records []coordinator.Record

	member  string // who the decision is about
	old     facts
	facts   facts
	current current
	target  parts
	gone    string // a member that leaves with the decision; "" for none
	// trusted: what the member says that it owns is of its present epoch. An older request may have been overtaken by the answer to a
	// newer one, and then it confirms nothing (C7).
	trusted bool
	former  *classic // the group as it was, if it changes to the consumer protocol

	regexes map[string][]string // those that are new or have changed; nil for one that nobody has any more
}

// factsOf are a member's as they will be.
func (d *draft) factsOf(id string) *facts {
	if id == d.member {
		return &d.facts
	}
	return &d.c.members[id].facts
}

// ids lists the members as they will be, in order.
func (d *draft) ids() []string {
	ids := slices.DeleteFunc(d.c.ids(), func(id string) bool { return id == d.gone })
	if i, found := slices.BinarySearch(ids, d.member); !found && d.member != "" {
		ids = slices.Insert(ids, i, d.member)
	}
	return ids
}

// topicsOf are those that a member wants and that exist, by id.
func (d *draft) topicsOf(f *facts) []Topic {
	names := f.topics
	if f.regex != "" {
		matching, ok := d.regexes[f.regex]
		if !ok {
			matching = d.c.regexes[f.regex]
		}
		names = append(slices.Clone(names), matching...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	topics := make([]Topic, 0, len(names))
	for _, name := range names {
		if t, ok := d.s.world.Topics.ByName(name); ok {
			topics = append(topics, t)
		}
	}
	slices.SortFunc(topics, func(a, b Topic) int { return a.ID.Compare(b.ID) })
	return topics
}

// hash is of all topics that any member wants; 0 if there are none.
func (d *draft) hash() int64 {
	var all []Topic
	seen := map[string]bool{}
	for _, id := range d.ids() {
		f := d.factsOf(id)
		k := string(binary.AppendUvarint(nil, uint64(len(f.regex)))) + f.regex
		for _, t := range f.topics {
			k += string(binary.AppendUvarint(nil, uint64(len(t)))) + t
		}
		if !seen[k] { // most members want the same
			seen[k] = true
			all = append(all, d.topicsOf(f)...)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.SortFunc(all, func(a, b Topic) int { return a.ID.Compare(b.ID) })
	all = slices.Compact(all)
	h := fnv.New64a()
	var b [4]byte
	for _, t := range all {
		h.Write(t.ID[:])
		binary.BigEndian.PutUint32(b[:], uint32(t.Partitions))
		h.Write(b[:])
	}
	return max(int64(h.Sum64()&(1<<63-1)), 1)
}

// bump moves the group to its next epoch if the members' wishes or the topics have changed, and computes who shall have what.
func (d *draft) bump(changed bool) (epoch int32) {
	epoch = d.c.epoch
	hash := d.c.hash
	if version := d.s.world.Topics.Version(); changed || d.c.checked != version {
		hash = d.hash()
	}
	if changed || hash != d.c.hash {
		epoch++
		d.records = append(d.records, epochRecord(d.id, epoch, hash))
	}
	return epoch
}

// assign computes the target of an epoch with the assignor that most members want.
func (d *draft) assign(epoch int32) {
	var list []*assignee
	for _, id := range d.ids() {
		f := d.factsOf(id)
		a := &assignee{id: id, instance: f.instance, topics: d.topicsOf(f), had: d.c.target[id]}
		if id == d.member {
			a.had = d.target
		}
		list = append(list, a)
	}
	if len(list) > 0 && d.assignor() == rangeAssignor {
		assignByRange(list)
	} else if len(list) > 0 {
		assignUniformly(list)
	}
	for _, a := range list {
		if old, ok := d.c.target[a.id]; !ok || !slices.Equal(old, a.got) {
			d.records = append(d.records, targetRecord(d.id, a.id, a.got))
		}
		if a.id == d.member {
			d.target = a.got
		}
	}
	d.records = append(d.records, targetEpochRecord(d.id, epoch))
}

func (d *draft) assignor() string {
	votes := map[string]int{}
	var names []string
	for _, id := range d.ids() {
		if name := d.factsOf(id).assignor; name != "" {
			if votes[name]++; votes[name] == 1 {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 {
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(votes[b], votes[a]), cmp.Compare(a, b)) })
		return names[0]
	}
	for _, name := range d.s.settings().Assignors {
		if known(name) {
			return name
		}
	}
	return uniformAssignor
}

// known reports whether there is an assignor of that name.
func known(name string) bool { return name == uniformAssignor || name == rangeAssignor }
