package api

import (
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// byName finds a replica, or the error that the request gets: a partition that others have is looked for at the wrong place, one that nobody has is
// not there.
func (h *Handlers) byName(name []byte, index int32) (*partition.Partition, wire.ErrorCode) {
	p, code := h.Partitions.ByName(name, index)
	if code != wire.None && hasPartition(h.Image.Topic(string(name)), index) {
		code = wire.NotLeaderOrFollower
	}
	return p, code
}

// byID is byName for requests that name topics by id.
func (h *Handlers) byID(id record.TopicID, index int32) (*partition.Partition, wire.ErrorCode) {
	p, code := h.Partitions.ByID(id, index)
	if code == wire.None {
		return p, code
	}
	switch t := h.Image.TopicByID(id); {
	case t == nil:
		return nil, code
	case hasPartition(t, index):
		return nil, wire.NotLeaderOrFollower
	}
	return nil, wire.UnknownTopicOrPartition
}

func hasPartition(t *metadata.Topic, index int32) bool {
	return t != nil && index >= 0 && int(index) < len(t.Partitions)
}

// hint tells a client that asked the wrong broker where the leader is (KIP-951); nil if that is not known either. The replica here, if there is one, has the last word.
func (h *Handlers) hint(p *partition.Partition, t *metadata.Topic, index int32) *wire.LeaderAndEpoch {
	switch {
	case p != nil:
		id, epoch := p.Leader()
		return &wire.LeaderAndEpoch{ID: int32(id), Epoch: int32(epoch)}
	case hasPartition(t, index):
		s := &t.Partitions[index]
		return &wire.LeaderAndEpoch{ID: int32(s.Leader), Epoch: int32(s.LeaderEpoch)}
	}
	return nil
}
