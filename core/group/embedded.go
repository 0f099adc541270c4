package group

import (
	"lignum/core/record"
)

// What consumers of the classic protocol say to each other inside of its metadata and assignments.

// subscription is a member's metadata: version int16, topics, user data; from version 1 on what it owns, from 2 on a generation,
// from 3 on a rack.
type subscription struct {
	version int16
	topics  []string
	owned   []namedParts
	rack    string
}

type namedParts struct {
	topic      string
	partitions []int32
}

func parseSubscription(p []byte) (subscription, error) {
	r := reader{p: p}
	s := subscription{version: r.int16()}
	for n := r.count(2); n > 0 && !r.failed; n-- {
		s.topics = append(s.topics, r.string())
	}
	r.bytes()
	if s.version >= 1 {
		s.owned = r.namedParts()
	}
	if s.version >= 2 {
		r.int32()
	}
	if s.version >= 3 {
		s.rack = r.string()
	}
	return s, r.err()
}

func (r *reader) namedParts() (list []namedParts) {
	for n := r.count(6); n > 0 && !r.failed; n-- {
		list = append(list, namedParts{topic: r.string(), partitions: r.int32s()})
	}
	return list
}

// parseAssignment reads a member's part: version int16, partitions, user data.
func parseAssignment(p []byte) ([]namedParts, error) {
	if len(p) == 0 {
		return nil, nil
	}
	r := reader{p: p}
	r.int16()
	list := r.namedParts()
	r.bytes()
	return list, r.err()
}

// writeAssignment is parseAssignment's counterpart. Topics that do not exist any more are left out.
func writeAssignment(version int16, p parts, topics *Topics) []byte {
	var list []namedParts
	p.topics(func(id record.TopicID, partitions []int32) {
		if t, ok := topics.ByID(id); ok {
			list = append(list, namedParts{t.Name, partitions})
		}
	})
	w := writer{}
	w.int16(version)
	w.count(len(list))
	for _, n := range list {
		w.string(n.topic)
		w.int32s(n.partitions)
	}
	w.length(-1, true)
	return w.p
}

// identify finds the topics of partitions by their names.
func identify(list []namedParts, topics *Topics) parts {
	var out []record.Partition
	for _, n := range list {
		if t, ok := topics.ByName(n.topic); ok {
			for _, index := range n.partitions {
				out = append(out, record.Partition{Topic: t.ID, Index: index})
			}
		}
	}
	return partsOf(out)
}
