package scenarios

import (
	"slices"

	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// roll is who is registered, and who was.
type roll struct {
	at       record.Offset // of the newest image
	brokers  map[record.NodeID]enrolled
	absent   map[record.NodeID]env.Instant // until when a broker was seen not to be registered
	left     map[record.NodeID]int         // how often it may have been unregistered
	told     map[record.NodeID]int         // how often somebody was told that it was
	gone     record.NodeID                 // who was unregistered in the entry at hand
	leavings uint64
	refusals uint64
}

// enrolled is how a broker is registered.
type enrolled struct {
	epoch  metadata.BrokerEpoch
	fenced bool
}

func (r *roll) begin() {
	r.at, r.gone = record.NoOffset, metadata.NoNode
	r.brokers, r.absent = map[record.NodeID]enrolled{}, map[record.NodeID]env.Instant{}
	r.left, r.told = map[record.NodeID]int{}, map[record.NodeID]int{}
}

// call compares who is registered with who was before: only a fenced broker is unregistered (I8). It is judged where a single entry lies between the two
// images; where several do, a broker may have been registered and unregistered between them.
func (x *clusterBox) call(m *member, image *metadata.Image) {
	r := &x.roll
	r.gone = metadata.NoNode
	if image.Offset() <= r.at {
		return
	}
	single := image.Offset() == r.at+1
	r.at = image.Offset()
	for _, of := range x.c.members {
		before, was := r.brokers[of.id]
		b := image.Broker(of.id)
		switch {
		case was && b == nil:
			x.check(m, "I8", before.fenced || !single, "broker %d, epoch %d, is unregistered at offset %d, and it was not fenced", of.id, before.epoch, r.at)
			x.leaves(of)
			if single {
				r.gone = of.id
			}
		case !single && (!was || b.Epoch != before.epoch):
			r.left[of.id]++ // perhaps
			r.absent[of.id] = x.c.world.Now()
		case !was && b != nil:
			r.absent[of.id] = x.c.world.Now()
		}
		if delete(r.brokers, of.id); b != nil {
			r.brokers[of.id] = enrolled{b.Epoch, b.Fenced}
		}
	}
}

// leaves notes that a broker was unregistered.
func (x *clusterBox) leaves(m *member) {
	x.roll.left[m.id]++
	x.roll.leavings++
	x.c.tell("check", m.host.Name()+" is unregistered")
	m.forgotten = m.host.Life()
}

// remembered: who is unregistered stays a replica, and as eligible as it was (I8).
func (x *clusterBox) remembered(m *member, id record.Partition, before, now *metadata.Partition) {
	gone := x.roll.gone
	if gone == metadata.NoNode || len(now.ISR) >= int(now.MinISR) || now.Leader != before.Leader {
		return // a lower minimum, or an election that it allows: nobody else need be eligible
	}
	for _, lists := range [...][2][]record.NodeID{{before.Replicas, now.Replicas}, {before.ELR, now.ELR}, {before.LastKnownELR, now.LastKnownELR}} {
		kept := !slices.Contains(lists[0], gone) || slices.Contains(lists[1], gone)
		x.check(m, "I8", kept, "broker %d is unregistered, and partition %v forgets it: %s, then %s", gone, id, words(before), words(now))
	}
}

// unregistered holds what somebody was told of a broker that was to be unregistered against what became of it (M7).
func (x *clusterBox) unregistered(broker int32, asked int64, code wire.ErrorCode) {
	r, id := &x.roll, record.NodeID(broker)
	switch code {
	case wire.None:
		r.told[id]++
		x.c.books.Check("M7", r.told[id] <= r.left[id], "somebody was told %d times that broker %d is unregistered, and it was %d times", r.told[id], id, r.left[id])
	case wire.BrokerIDNotRegistered:
		_, registered := r.brokers[id]
		until, known := r.absent[id]
		absent := !registered || known && until >= env.Instant(asked)
		x.c.books.Check("M7", absent, "broker %d is said not to be registered, and it was all the time since that was asked", id)
	case wire.RequestTimedOut:
		r.refusals++
	}
}
