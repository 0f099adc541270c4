package broker

import (
	"lignum/core/group"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
)

// Logs lists the logs that the broker has open, the metadata's included, in order. It is for those who look at a broker from outside, on the loop
// or while that stands still; the result must not be changed.
func (b *Broker) Logs() []*storage.Log {
	if b.store == nil {
		return nil
	}
	return b.store.Logs()
}

// Offline lists the partitions whose directories could not be used.
func (b *Broker) Offline() []storage.Offline {
	if b.store == nil {
		return nil
	}
	return b.store.Offline()
}

// Image is the metadata as the broker knows it, for the same readers.
func (b *Broker) Image() *metadata.Image { return b.image }

// Quorum is the metadata quorum as the broker takes part in it, for the same readers; nil before it has begun.
func (b *Broker) Quorum() *quorum.Quorum { return b.quorum }

// Leads reports whether the broker leads a partition, for the same readers.
func (b *Broker) Leads(id record.Partition) bool {
	p := b.partitions.Get(id)
	return p != nil && p.Leads() && p.Open()
}

// Tells reports what the broker says of a partition that it leads, for the same readers: its end, in which leader epoch, and whether a client that
// asked for it would be told. ok is false if it does not lead the partition.
func (b *Broker) Tells(id record.Partition) (end record.Offset, epoch record.Epoch, told, ok bool) {
	p := b.partitions.Get(id)
	if p == nil || !p.Leads() || !p.Open() {
		return 0, record.NoEpoch, false, false
	}
	_, epoch = p.Leader()
	return p.HighWatermark(), epoch, p.Available() == wire.None && p.Settled(), true
}

// Serves reports whether the broker answers reads as a partition's leader, for the same readers.
func (b *Broker) Serves(id record.Partition) bool {
	p := b.partitions.Get(id)
	return p != nil && p.Available() == wire.None
}

// Waiting is how many requests to produce or to delete records are held back, for the same readers.
func (b *Broker) Waiting() int {
	n := 0
	for _, p := range b.partitions.All() {
		n += p.Waiting()
	}
	return n
}

// Groups is the coordinator of groups, for the same readers; nil before there is one.
func (b *Broker) Groups() *group.Coordinator { return b.groups }
