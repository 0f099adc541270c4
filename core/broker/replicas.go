package broker

import (
	"fmt"
	"slices"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
)

// opening counts the logs that are being created, for those who wait until all are there.
type opening struct {
	count   int
	waiting []func()
}

// whenOpened calls then once every log that the image asks for so far is open.
func (b *Broker) whenOpened(then func()) {
	if b.opening.count == 0 {
		then()
		return
	}
	b.opening.waiting = append(b.opening.waiting, then)
}

func (b *Broker) opened() {
	if b.opening.count--; b.opening.count > 0 {
		return
	}
	waiting := b.opening.waiting
	b.opening.waiting = nil
	for _, then := range waiting {
		then()
	}
}

// apply brings the replicas in line with what an entry of the metadata log has changed.
func (b *Broker) apply(c metadata.Changes) {
	b.noteTopics(c)
	for _, t := range c.Deleted {
		b.removeTopic(t.ID)
		b.groups.TopicDeleted(t.Name, t.ID)
	}
	for _, id := range c.Partitions {
		if p := b.image.Partition(id); p != nil {
			b.follow(id, p)
		}
	}
	if c.BrokerConfig {
		b.current = nil
		for _, p := range b.partitions.All() {
			b.configure(p)
		}
		return
	}
	for _, topic := range c.Configured {
		t := b.image.TopicByID(topic)
		for i := range t.Partitions {
			if p := b.partitions.Get(record.Partition{Topic: topic, Index: int32(i)}); p != nil {
				b.configure(p)
			}
		}
	}
}

// applyAll makes the replicas of a whole image, at the start.
func (b *Broker) applyAll() {
	for _, t := range b.image.Topics() {
		for i := range t.Partitions {
			b.follow(record.Partition{Topic: t.ID, Index: int32(i)}, &t.Partitions[i])
		}
	}
}

// topicConfig is what is in force for a topic on this broker.
func (b *Broker) topicConfig(t *metadata.Topic) config.Topic {
	return config.NewTopic(t.Config, b.image.Defaults(b.node, b.config.Static))
}

func (b *Broker) configure(p *partition.Partition) {
	if t := b.image.TopicByID(p.ID.Topic); t != nil {
		p.Configure(b.topicConfig(t))
	}
}

// follow makes or updates the replica that this broker has of a partition, if it has one.
func (b *Broker) follow(id record.Partition, s *metadata.Partition) {
	p := b.partitions.Get(id)
	if p == nil {
		if !slices.Contains(s.Replicas, b.node) {
			return
		}
		t := b.image.TopicByID(id.Topic)
		p = partition.New(id, t.Name, b.node, b.topicConfig(t), b.cluster)
		b.partitions.Add(p)
		b.open(p, b.topicConfig(t))
	}
	if !slices.Contains(s.Replicas, b.node) {
		b.removeReplica(p)
		return
	}
	p.Follow(partition.State{
		Leader: s.Leader, LeaderEpoch: s.LeaderEpoch, PartitionEpoch: int32(s.Epoch), Replicas: s.Replicas, Removing: s.Removing,
		ISR: s.ISR, ELR: s.ELR,
		Recovering: s.Recovering, FlushPending: s.Flush == metadata.FlushPending, Lost: s.Directory(b.node) == metadata.LostDirectory,
	})
	b.coordinate(p)
}

// open gives a replica its log: one that the store has found on the disk, or a new one.
func (b *Broker) open(p *partition.Partition, c config.Topic) {
	if log := b.store.Log(p.ID); log != nil {
		log.Configure(c)
		b.outgrow(p.ID, log)
		// What readers were told of in the life before must not go back: it is served when it is durable again.
		b.opening.count++
		log.WhenDurable(func() {
			if b.partitions.Get(p.ID) == p {
				p.Opened(log, nil)
				b.coordinate(p)
			}
			b.opened()
		})
		return
	}
	if b.cluster != nil {
		b.store.Identify(p.ID, p.Topic) // then it can be copied anew
	}
	for _, bad := range b.store.Offline() {
		if bad.ID == p.ID {
			b.Log(env.Error, "partition is offline", "topic", p.Topic, "partition", p.ID.Index, "error", bad.Err)
			p.Opened(nil, bad.Err)
			return
		}
	}
	b.opening.count++
	b.store.Create(p.ID, p.Topic, c, func(log *storage.Log, err error) {
		if b.partitions.Get(p.ID) == p {
			if err != nil {
				err = fmt.Errorf("create the log of %s-%d: %w", p.Topic, p.ID.Index, err)
				b.Log(env.Error, "partition is offline", "topic", p.Topic, "partition", p.ID.Index, "error", err)
			}
			p.Opened(log, err)
			b.coordinate(p)
		}
		b.opened()
	})
}

// outgrow has the leader epoch of a partition raised if its log has seen later ones: the directory came from another cluster. Nobody is let in
// before that is done.
func (b *Broker) outgrow(id record.Partition, log *storage.Log) {
	seen := log.LatestEpoch()
	if s := b.image.Partition(id); !b.config.Lone() || s == nil || s.LeaderEpoch >= seen {
		return
	}
	b.opening.count++
	done := func(err error) {
		if err != nil {
			b.Log(env.Error, "the leader epoch could not be raised above that of the log", "topic", log.Topic(), "partition", id.Index, "error", err)
		}
		b.opened()
	}
	b.decide(func() ([]metadata.Record, func(error)) {
		return b.controller.RaiseLeaderEpoch(id, seen), done
	}, done)
}

// removeTopic ends the replicas of a deleted topic and removes their logs.
func (b *Broker) removeTopic(id record.TopicID) {
	for _, p := range b.partitions.Remove(id) {
		b.end(p)
	}
}

// removeReplica ends one replica, which is assigned to other brokers now.
func (b *Broker) removeReplica(p *partition.Partition) {
	if b.partitions.Take(p.ID) != nil {
		b.end(p)
	}
}

// end removes the log of a replica that is not in the set any more.
func (b *Broker) end(p *partition.Partition) {
	p.Close(wire.UnknownTopicOrPartition)
	if b.replication != nil {
		b.replication.Forget(p)
	}
	b.coordinate(p)
	b.store.Delete(p.ID, func(err error) {
		if err != nil {
			b.Log(env.Error, "a deleted partition could not be removed", "topic", p.Topic, "partition", p.ID.Index, "error", err)
		}
	})
}

// removeUnknown removes the replicas that a new image does not know: their topics were deleted while this node was not told each entry.
func (b *Broker) removeUnknown() {
	for _, p := range slices.Clone(b.partitions.All()) {
		if b.image.Partition(p.ID) == nil {
			b.removeReplica(p)
		}
	}
}

// setStraysAside moves the directories out of the way that belong to no replica of this broker: of a topic that was deleted, or given to other
// brokers, while this one was away, or put there by somebody. Nothing of a user's is removed unasked. One that is damaged would else keep its name from the
// next topic that has it.
func (b *Broker) setStraysAside() {
	for _, log := range slices.Clone(b.store.Logs()) {
		b.setAsideIfStray(log.ID(), log.Dir())
	}
	for _, bad := range slices.Clone(b.store.Offline()) {
		if bad.ID.Topic != (record.TopicID{}) {
			b.setAsideIfStray(bad.ID, bad.Dir)
		}
	}
	for _, dir := range b.store.Strays() {
		b.Log(env.Warn, "a directory is not a partition of this cluster and is left alone", "directory", dir)
	}
}

func (b *Broker) setAsideIfStray(id record.Partition, dir string) {
	if p := b.image.Partition(id); id == quorum.Partition() || p != nil && slices.Contains(p.Replicas, b.node) {
		return
	}
	b.store.SetAside(id, func(to string, err error) {
		if err != nil {
			b.Log(env.Error, "a directory that belongs to no replica of this broker could not be set aside", "directory", dir, "error", err)
			return
		}
		b.Log(env.Warn, "a directory belongs to no replica of this broker and was set aside", "directory", dir, "topic id", id.Topic, "now", to)
	})
}
