package partition

import (
	"slices"

	"lignum/core/record"
	"lignum/core/wire"
)

// Set holds the replicas of one broker.
type Set struct {
	byID   map[record.TopicID]*topic
	byName map[string]*topic
	list   []*Partition // in the order in which they came; see All
}

type topic struct {
	id         record.TopicID
	name       string
	partitions []*Partition // by index; nil where this broker has no replica
}

// NewSet is an empty set.
func NewSet() *Set {
	return &Set{byID: map[record.TopicID]*topic{}, byName: map[string]*topic{}}
}

// Add puts a replica in.
func (s *Set) Add(p *Partition) {
	t := s.byID[p.ID.Topic]
	if t == nil {
		t = &topic{id: p.ID.Topic, name: p.Topic}
		s.byID[t.id], s.byName[t.name] = t, t
	}
	for len(t.partitions) <= int(p.ID.Index) {
		t.partitions = append(t.partitions, nil)
	}
	t.partitions[p.ID.Index] = p
	s.list = append(s.list, p)
}

// Remove takes a topic's replicas out and returns them.
func (s *Set) Remove(id record.TopicID) []*Partition {
	t := s.byID[id]
	if t == nil {
		return nil
	}
	delete(s.byID, id)
	if s.byName[t.name] == t {
		delete(s.byName, t.name)
	}
	keep := s.list[:0]
	for _, p := range s.list {
		if p.ID.Topic != id {
			keep = append(keep, p)
		}
	}
	clear(s.list[len(keep):])
	s.list = keep
	out := make([]*Partition, 0, len(t.partitions))
	for _, p := range t.partitions {
		if p != nil {
			out = append(out, p)
		}
	}
	return out
}

// Take takes one replica out; nil if there is none.
func (s *Set) Take(id record.Partition) *Partition {
	p := s.Get(id)
	if p == nil {
		return nil
	}
	t := s.byID[id.Topic]
	t.partitions[id.Index] = nil
	s.list = slices.DeleteFunc(s.list, func(other *Partition) bool { return other == p })
	if !slices.ContainsFunc(t.partitions, func(other *Partition) bool { return other != nil }) {
		s.Remove(id.Topic)
	}
	return p
}

// Get finds a replica by its identity; nil if this broker has none.
func (s *Set) Get(id record.Partition) *Partition {
	if t := s.byID[id.Topic]; t != nil {
		return t.at(id.Index)
	}
	return nil
}

// ByID finds a replica for a request that names topics by id, or the error that the request gets.
func (s *Set) ByID(id record.TopicID, index int32) (*Partition, wire.ErrorCode) {
	t := s.byID[id]
	if t == nil {
		return nil, wire.UnknownTopicID
	}
	return t.find(index)
}

// ByName finds a replica for a request that names topics by name, or the error that the request gets.
func (s *Set) ByName(name []byte, index int32) (*Partition, wire.ErrorCode) {
	t := s.byName[string(name)]
	if t == nil {
		return nil, wire.UnknownTopicOrPartition
	}
	return t.find(index)
}

// NameOf is the name as a string that is not part of a request's frame.
func (s *Set) NameOf(name []byte) string {
	if t := s.byName[string(name)]; t != nil {
		return t.name
	}
	return string(name)
}

// All lists the replicas in the order in which they came. The result must not be changed.
func (s *Set) All() []*Partition { return s.list }

func (t *topic) at(index int32) *Partition {
	if index < 0 || int(index) >= len(t.partitions) {
		return nil
	}
	return t.partitions[index]
}

func (t *topic) find(index int32) (*Partition, wire.ErrorCode) {
	if p := t.at(index); p != nil {
		return p, wire.None
	}
	return nil, wire.UnknownTopicOrPartition
}
