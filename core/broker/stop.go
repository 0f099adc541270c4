package broker

import (
	"lignum/core/metadata"
	"lignum/core/wire"
)

// StopWaiting has everything that waits for records or for replicas answered now, and requests that come from now on refused, so that
// connections can be closed in order.
func (b *Broker) StopWaiting() {
	if b.state != serving {
		return
	}
	b.state = stopping
	b.dropCoordinators()
	for _, c := range b.order() {
		b.sessions[c].Cancel()
	}
}

// Shutdown ends the broker in order: everything is synced, and the next start is a clean one. done gets the reason why not, if so.
func (b *Broker) Shutdown(done func(error)) {
	if b.state == failed || b.store == nil {
		done(b.failure)
		return
	}
	b.state = stopping
	b.dropCoordinators()
	for _, p := range b.partitions.All() {
		p.Close(wire.NotLeaderOrFollower)
	}
	if b.quorum != nil {
		b.quorum.Stop()
	}
	if b.replication != nil {
		b.replication.Stop()
	}
	if b.peers != nil {
		b.peers.CloseAll()
	}
	b.store.Shutdown(int64(b.markEpoch()), done)
}

// markEpoch is the broker epoch that the mark of a clean stop names: whoever was registered with that one last has lost nothing. A life may see itself in the
// metadata and have no answer, or have been unregistered since. One that is not known to have been registered has written nothing; it leaves things as the one
// before it did (I7).
func (b *Broker) markEpoch() metadata.BrokerEpoch {
	last, asked := b.image.Broker(b.node), b.member.incarnation != metadata.UUID{}
	if last == nil {
		last = b.image.Departed(b.node)
	}
	clean, epoch := b.store.WasClean()
	switch {
	case last != nil && (b.config.Lone() || last.Incarnation == b.member.incarnation):
		return last.Epoch
	case asked && b.member.epoch != metadata.NoBrokerEpoch:
		return b.member.epoch
	case clean:
		return metadata.BrokerEpoch(epoch)
	}
	return metadata.NoBrokerEpoch
}
