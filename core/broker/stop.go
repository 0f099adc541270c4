package broker

import (
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
		done(nil)
		return
	}
	b.state = stopping
	b.dropCoordinators()
	for _, p := range b.partitions.All() {
		p.Close(wire.NotLeaderOrFollower)
	}
	epoch := int64(-1)
	if self := b.image.Broker(b.node); self != nil {
		epoch = int64(self.Epoch)
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
	b.store.Shutdown(epoch, done)
}
