package group

import (
	"lignum/core/coordinator"
	"lignum/core/record"
	"lignum/core/wire"
)

// FetchOffsets asks for what a group has committed.
type FetchOffsets struct {
	Group string
	// Member and Epoch are those of the sender, if it is a member of a group of the consumer protocol; Epoch is below 0 otherwise.
	Member string
	Epoch  int32
	// Topics are what is wanted, all if it is nil.
	Topics []WantedOffsets
	// Stable: what a transaction has staged makes a key uncertain (KIP-447).
	Stable bool
}

// WantedOffsets are partitions of one topic.
type WantedOffsets struct {
	Topic      string
	Partitions []int32
}

// FoundOffsets answer for one topic.
type FoundOffsets struct {
	Topic   string
	Offsets []FoundOffset
}

// FoundOffset is one answer: an offset of NoOffset if there is none.
type FoundOffset struct {
	Committed
	Code wire.ErrorCode
}

// FetchedOffsets is the answer for a group.
type FetchedOffsets struct {
	Code   wire.ErrorCode
	Topics []FoundOffsets
}

// FetchOffsets replies once what it tells is safe (C1).
func (s *Shard) FetchOffsets(r *FetchOffsets, reply func(FetchedOffsets)) {
	out := FetchedOffsets{}
	g := s.find(r.Group)
	if g != nil && g.consumer != nil {
		out.Code = g.consumer.mayFetch(r.Member, r.Epoch)
	}
	if out.Code == wire.None && r.Topics == nil {
		out.Topics = s.allOffsets(g, r.Stable)
	} else if out.Code == wire.None {
		for _, t := range r.Topics {
			found := FoundOffsets{Topic: t.Topic, Offsets: make([]FoundOffset, 0, len(t.Partitions))}
			for _, partition := range t.Partitions {
				found.Offsets = append(found.Offsets, s.oneOffset(g, r, t.Topic, partition))
			}
			out.Topics = append(out.Topics, found)
		}
	}
	settle(s, out, func(code wire.ErrorCode) FetchedOffsets { return FetchedOffsets{Code: code} }, reply)
}

func (s *Shard) oneOffset(g *group, r *FetchOffsets, topic string, partition int32) FoundOffset {
	none := FoundOffset{Committed: Committed{Partition: partition, Offset: record.NoOffset, LeaderEpoch: record.NoEpoch}}
	if r.Stable && s.staged(r.Group, topic, partition) {
		none.Code = wire.UnstableOffsetCommit
		return none
	}
	if g == nil {
		return none
	}
	if c := g.offsets.get(topic, partition); c != nil && s.same(topic, c) {
		return FoundOffset{Committed: *c}
	}
	return none
}

// same reports whether the topic is still the one that the offset was committed for: one of the same name may have been made since.
func (s *Shard) same(topic string, c *Committed) bool {
	if c.Topic.IsZero() {
		return true
	}
	t, ok := s.world.Topics.ByName(topic)
	return !ok || t.ID == c.Topic
}

func (s *Shard) allOffsets(g *group, stable bool) []FoundOffsets {
	if g == nil {
		return nil
	}
	var out []FoundOffsets
	for i := range g.offsets.topics {
		t := &g.offsets.topics[i]
		found := FoundOffsets{Topic: t.name}
		for j := range t.list {
			c := &t.list[j]
			switch {
			case !s.same(t.name, c):
			case stable && s.staged(g.id, t.name, c.Partition):
				none := Committed{Partition: c.Partition, Offset: record.NoOffset, LeaderEpoch: record.NoEpoch}
				found.Offsets = append(found.Offsets, FoundOffset{Committed: none, Code: wire.UnstableOffsetCommit})
			default:
				found.Offsets = append(found.Offsets, FoundOffset{Committed: *c})
			}
		}
		if len(found.Offsets) > 0 {
			out = append(out, found)
		}
	}
	return out
}

// DeleteOffsets forgets offsets of topics that no member wants. It replies with a code for the whole, or one for each partition in order.
func (s *Shard) DeleteOffsets(id string, wanted []WantedOffsets, reply func(wire.ErrorCode, [][]wire.ErrorCode)) {
	if code := s.mayDeleteOffsets(id); code != wire.None {
		settle(s, code, func(code wire.ErrorCode) wire.ErrorCode { return code }, func(code wire.ErrorCode) { reply(code, nil) })
		return
	}
	g := s.find(id)
	codes := make([][]wire.ErrorCode, len(wanted))
	var records []coordinator.Record
	for i, t := range wanted {
		codes[i] = make([]wire.ErrorCode, len(t.Partitions))
		for j, partition := range t.Partitions {
			if g.wants(t.Topic) {
				codes[i][j] = wire.GroupSubscribedToTopic
			} else if g.offsets.get(t.Topic, partition) != nil || s.staged(id, t.Topic, partition) {
				records = append(records, tombstone(key{version: keyOffset, group: id, name: t.Topic, partition: partition}))
			}
		}
	}
	done := func(code wire.ErrorCode) { reply(code, codes) }
	if code := s.append(records, done); code != wire.None {
		reply(code, nil)
	}
}

func (s *Shard) mayDeleteOffsets(id string) wire.ErrorCode {
	switch g := s.find(id); {
	case id == "":
		return wire.InvalidGroupID
	case g == nil:
		return wire.GroupIDNotFound
	case g.consumer == nil && g.classic.state != empty && g.classic.protocolType != consumerType:
		return wire.NonEmptyGroup
	}
	return wire.None
}

// wants reports whether a member may read the topic.
func (g *group) wants(topic string) bool {
	if g.consumer != nil {
		return g.consumer.wants(topic)
	}
	return g.classic.wants(topic)
}
