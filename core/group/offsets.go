package group

import (
	"cmp"
	"slices"

	"lignum/core/record"
)

// Committed is an offset that a group has committed.
type Committed struct {
	Partition   int32
	LeaderEpoch record.Epoch // of the last record read; NoEpoch if it is not known
	Offset      record.Offset
	// Topic is the identity of the topic at the time of the commit; zero if it is not known.
	Topic    record.TopicID
	Metadata string

	committed int64 // wall time of the commit, in milliseconds
	expires   int64 // wall time that an old client asked for; noExpiry otherwise
	at        record.Offset
}

const noExpiry = -1

// topicOffsets are the offsets of one topic, by partition.
type topicOffsets struct {
	name string
	list []Committed
}

func (t *topicOffsets) find(partition int32) (int, bool) {
	return slices.BinarySearchFunc(t.list, partition, func(c Committed, p int32) int { return cmp.Compare(c.Partition, p) })
}

// offsets are a group's, by the topics' names.
type offsets struct {
	topics []topicOffsets
}

func (o *offsets) search(topic string) (int, bool) {
	return slices.BinarySearchFunc(o.topics, topic, func(t topicOffsets, name string) int { return cmp.Compare(t.name, name) })
}

// get finds an offset; nil if there is none. It is valid until the next change.
func (o *offsets) get(topic string, partition int32) *Committed {
	if i, ok := o.search(topic); ok {
		if j, ok := o.topics[i].find(partition); ok {
			return &o.topics[i].list[j]
		}
	}
	return nil
}

func (o *offsets) put(topic string, c Committed) {
	i, ok := o.search(topic)
	if !ok {
		o.topics = slices.Insert(o.topics, i, topicOffsets{name: topic})
	}
	t := &o.topics[i]
	j, ok := t.find(c.Partition)
	if ok {
		t.list[j] = c
		return
	}
	t.list = slices.Insert(t.list, j, c)
}

func (o *offsets) remove(topic string, partition int32) {
	i, ok := o.search(topic)
	if !ok {
		return
	}
	t := &o.topics[i]
	if j, ok := t.find(partition); ok {
		t.list = slices.Delete(t.list, j, j+1)
	}
	if len(t.list) == 0 {
		o.topics = slices.Delete(o.topics, i, i+1)
	}
}

func (o *offsets) empty() bool { return len(o.topics) == 0 }

// transaction is what one producer has staged and not yet ended: the last value for each key (guarantees C6, C9).
type transaction struct {
	groups []stagedGroup // by id
}

type stagedGroup struct {
	id string
	offsets
}

func (t *transaction) search(id string) (int, bool) {
	return slices.BinarySearchFunc(t.groups, id, func(g stagedGroup, id string) int { return cmp.Compare(g.id, id) })
}

func (t *transaction) group(id string) *stagedGroup {
	i, ok := t.search(id)
	if !ok {
		t.groups = slices.Insert(t.groups, i, stagedGroup{id: id})
	}
	return &t.groups[i]
}

// stages reports whether the transaction has an offset of that key.
func (t *transaction) stages(id, topic string, partition int32) bool {
	i, ok := t.search(id)
	return ok && t.groups[i].get(topic, partition) != nil
}
