package group

import (
	"time"
	"unicode/utf16"

	"lignum/core/coordinator"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// TopicName is the topic that groups live in.
const TopicName = "__consumer_offsets"

// Coordinator finds the shard that a group belongs to.
type Coordinator struct {
	*coordinator.Runtime
	world World
	// partitions is how many the offsets topic has; 0 if there is no such topic.
	partitions func() int32
}

// NewCoordinator has no shards yet; lane is the first of coordinator.LoadLanes.
func NewCoordinator(p coordinator.Ports, lane env.Lane, w World, partitions func() int32) *Coordinator {
	s := w.Settings()
	c := &Coordinator{world: w, partitions: partitions}
	c.Runtime = coordinator.New(p, coordinator.Options{
		Topic: TopicName, LoadBytes: int(s.LoadBytes), Timeout: time.Duration(s.CommitTimeoutMillis) * time.Millisecond,
		Codec: record.Codec(s.Codec), Lane: lane,
	}, func(h *coordinator.Host) coordinator.Shard { return New(h, &c.world) })
	return c
}

// PartitionOf is where a group lives, as Apache Kafka has it; -1 if there is no offsets topic.
func (c *Coordinator) PartitionOf(group string) int32 {
	n := c.partitions()
	if n <= 0 {
		return -1
	}
	return partitionOf(group, n)
}

// partitionOf takes the hash of a Java string.
func partitionOf(group string, partitions int32) int32 {
	var hash int32
	for _, r := range group {
		if hi, lo := utf16.EncodeRune(r); hi != '\uFFFD' {
			hash = 31*(31*hash+hi) + lo
			continue
		}
		hash = 31*hash + r
	}
	if hash == -1<<31 {
		return 0
	}
	if hash < 0 {
		hash = -hash
	}
	return hash % partitions
}

// Find is the shard of a group, or the error that a request for it gets.
func (c *Coordinator) Find(group string) (*Shard, wire.ErrorCode) {
	if c == nil {
		return nil, wire.CoordinatorNotAvailable
	}
	s, code := c.Shard(c.PartitionOf(group))
	if code != wire.None {
		return nil, code
	}
	return s.(*Shard), wire.None
}

// All are the shards here, or an error if one of them is not ready.
func (c *Coordinator) All() ([]*Shard, wire.ErrorCode) {
	if c == nil {
		return nil, wire.CoordinatorNotAvailable
	}
	var all []*Shard
	for _, index := range c.Led() {
		switch s, code := c.Shard(index); code {
		case wire.None:
			all = append(all, s.(*Shard))
		case wire.NotCoordinator:
		default:
			return nil, code
		}
	}
	return all, wire.None
}

// TopicDeleted forgets what groups have committed for a topic that is gone.
func (c *Coordinator) TopicDeleted(name string, id record.TopicID) {
	if c == nil {
		return
	}
	for _, index := range c.Led() {
		if s, code := c.Shard(index); code == wire.None {
			s.(*Shard).TopicDeleted(name, id)
		}
	}
}
