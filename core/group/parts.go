package group

import (
	"slices"

	"lignum/core/record"
)

// parts are partitions, sorted and each once.
type parts []record.Partition

func partsOf(list []record.Partition) parts {
	slices.SortFunc(list, record.Partition.Compare)
	return slices.Compact(list)
}

func (p parts) has(q record.Partition) bool {
	_, ok := slices.BinarySearchFunc(p, q, record.Partition.Compare)
	return ok
}

func (p parts) filter(keep func(record.Partition) bool) parts {
	var out parts
	for _, q := range p {
		if keep(q) {
			out = append(out, q)
		}
	}
	return out
}

// both are those that are in p and in other.
func (p parts) both(other parts) parts { return p.filter(other.has) }

// minus are those that are in p and not in other.
func (p parts) minus(other parts) parts {
	return p.filter(func(q record.Partition) bool { return !other.has(q) })
}

// plus are those that are in either.
func (p parts) plus(other parts) parts {
	return partsOf(append(slices.Clone(p), other...))
}

// within reports whether all of p are in other.
func (p parts) within(other parts) bool {
	return !slices.ContainsFunc(p, func(q record.Partition) bool { return !other.has(q) })
}

// topics calls visit with each topic and its partitions.
func (p parts) topics(visit func(record.TopicID, []int32)) {
	for len(p) > 0 {
		n := 0
		var list []int32
		for n < len(p) && p[n].Topic == p[0].Topic {
			list = append(list, p[n].Index)
			n++
		}
		visit(p[0].Topic, list)
		p = p[n:]
	}
}

func (w *writer) parts(p parts) {
	n := 0
	p.topics(func(record.TopicID, []int32) { n++ })
	w.count(n)
	p.topics(func(topic record.TopicID, list []int32) {
		w.uuid(topic)
		w.int32s(list)
		w.noTags()
	})
}

func (r *reader) parts() parts {
	var out []record.Partition
	for n := r.count(17); n > 0 && !r.failed; n-- {
		topic := record.TopicID(r.uuid())
		for _, index := range r.int32s() {
			out = append(out, record.Partition{Topic: topic, Index: index})
		}
		r.tags(nil)
	}
	return partsOf(out)
}
