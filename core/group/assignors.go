package group

import (
	"cmp"
	"slices"

	"lignum/core/record"
)

// The names of the assignors.
const (
	uniformAssignor = "uniform"
	rangeAssignor   = "range"
)

// assignee is a member as an assignor sees it.
type assignee struct {
	id, instance string
	topics       []Topic // that it wants and that exist, by id
	had          parts   // of the last target
	got          parts
}

func (a *assignee) wants(topic record.TopicID) bool {
	_, ok := slices.BinarySearchFunc(a.topics, topic, func(t Topic, id record.TopicID) int { return t.ID.Compare(id) })
	return ok
}

// order puts static members first, by instance, then the others, by id.
func order(list []*assignee) []*assignee {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b *assignee) int {
		if (a.instance == "") != (b.instance == "") {
			if a.instance != "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.instance, b.instance), cmp.Compare(a.id, b.id))
	})
	return list
}

// assignByRange gives each member a run of each topic, in the same order everywhere, so that equal partitions of topics meet.
func assignByRange(list []*assignee) {
	type topic struct{ each, extra, next int32 }
	wanting := map[record.TopicID]int32{}
	for _, a := range list {
		for _, t := range a.topics {
			wanting[t.ID]++
		}
	}
	progress := map[record.TopicID]*topic{}
	for _, a := range order(list) {
		for _, t := range a.topics {
			p := progress[t.ID]
			if p == nil {
				p = &topic{each: t.Partitions / wanting[t.ID], extra: t.Partitions % wanting[t.ID]}
				progress[t.ID] = p
			}
			n := p.each
			if p.extra > 0 {
				n++
				p.extra--
			}
			for range n {
				a.got = append(a.got, record.Partition{Topic: t.ID, Index: p.next})
				p.next++
			}
		}
		a.got = partsOf(a.got)
	}
}

// assignUniformly spreads the partitions evenly and leaves as many as it can where they were.
func assignUniformly(list []*assignee) {
	list = order(list)
	free := keep(list)
	if alike(list) {
		level(list, free)
	} else {
		spread(list, free)
		balance(list)
	}
	for _, a := range list {
		a.got = partsOf(a.got)
	}
}

func alike(list []*assignee) bool {
	return !slices.ContainsFunc(list, func(a *assignee) bool { return !slices.Equal(a.topics, list[0].topics) })
}

// keep lets every member have what it had and still wants, and returns what nobody has, by topic and index.
func keep(list []*assignee) (free parts) {
	taken := map[record.Partition]bool{}
	counts := map[record.TopicID]int32{}
	for _, a := range list {
		for _, t := range a.topics {
			counts[t.ID] = t.Partitions
		}
	}
	for _, a := range list {
		for _, p := range a.had {
			if !taken[p] && p.Index < counts[p.Topic] && a.wants(p.Topic) {
				taken[p] = true
				a.got = append(a.got, p)
			}
		}
	}
	//house:anyorder they are sorted below
	for topic, n := range counts {
		for index := range n {
			if p := (record.Partition{Topic: topic, Index: index}); !taken[p] {
				free = append(free, p)
			}
		}
	}
	return partsOf(free)
}

// level is for members that all want the same: each gets the even share, and as many as need be one more.
func level(list []*assignee, free parts) {
	total := len(free)
	for _, a := range list {
		total += len(a.got)
	}
	each, extra := total/len(list), total%len(list)
	// Those who have more than the share keep one of the extra ones as long as there are any.
	for _, a := range list {
		most := each
		if len(a.got) > each && extra > 0 {
			most++
			extra--
		}
		if len(a.got) > most {
			free = append(free, a.got[most:]...)
			a.got = a.got[:most:most]
		}
	}
	free = partsOf(free)
	for _, a := range list {
		n := max(each-len(a.got), 0)
		if extra > 0 && len(a.got) <= each {
			n++
			extra--
		}
		n = min(n, len(free))
		a.got = append(a.got, free[:n]...)
		free = free[n:]
	}
}

// spread gives what is free to whoever wants it and has least, topics that few want first.
func spread(list []*assignee, free parts) {
	wanting := map[record.TopicID][]*assignee{}
	for _, a := range list {
		for _, t := range a.topics {
			wanting[t.ID] = append(wanting[t.ID], a)
		}
	}
	slices.SortStableFunc(free, func(p, q record.Partition) int {
		return cmp.Or(cmp.Compare(len(wanting[p.Topic]), len(wanting[q.Topic])), p.Compare(q))
	})
	for _, p := range free {
		least := slices.MinFunc(wanting[p.Topic], func(a, b *assignee) int { return cmp.Compare(len(a.got), len(b.got)) })
		least.got = append(least.got, p)
	}
}

// balancePasses bounds the time that balance takes; a few passes do.
const balancePasses = 32

// balance moves partitions from those who have many to those who want them and have at least two fewer.
func balance(list []*assignee) {
	for range balancePasses {
		moved := false
		for _, from := range list {
			for i := 0; i < len(from.got); i++ {
				p := from.got[i]
				to := from
				for _, a := range list {
					if len(a.got) < len(to.got) && a.wants(p.Topic) {
						to = a
					}
				}
				if len(from.got)-len(to.got) < 2 {
					continue
				}
				from.got = slices.Delete(from.got, i, i+1)
				to.got = append(to.got, p)
				moved = true
				i--
			}
		}
		if !moved {
			return
		}
	}
}
