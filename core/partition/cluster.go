package partition

import (
	"time"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// State is what the cluster's metadata says of a partition. Its slices are never changed in place.
type State struct {
	Leader         record.NodeID
	LeaderEpoch    record.Epoch
	PartitionEpoch int32
	Replicas       []record.NodeID // all that are assigned, those that a reassignment adds or takes away too
	Removing       []record.NodeID // replicas that a reassignment takes away
	ISR            []record.NodeID
	ELR            []record.NodeID // KIP-966: out of the ISR, but electable
	Recovering     bool            // the leader was elected uncleanly and has not said yet that it took over
	FlushPending   bool            // the policy sync has begun, and what replicas reported before may not have been synced (I7)
	Lost           bool            // this broker's replica is known to be damaged: it is in no set until it is placed again (L7)
}

// Cluster is what a replica needs of the rest of the cluster. One serves all replicas of a broker; a nil one is that of a broker alone.
type Cluster struct {
	Clock env.Clock
	// AlterISR sends a leader's wish to the controller; Partition.ISRAltered brings the answer, later.
	AlterISR func(p *Partition, c ISRChange)
	// BrokerEpoch is that of a broker's present registration, -1 if it is not registered.
	BrokerEpoch func(record.NodeID) int64
	// Active reports whether a broker is registered, not fenced and not about to stop.
	Active func(record.NodeID) bool
	// Leased reports whether this broker's session with the controller holds (F7).
	Leased func() bool
	// Resigned reports whether this broker has asked the controller to let it go: others may lead what it leads, whether it knows or not (F7). It may
	// be nil.
	Resigned func() bool
	// Fetchable is called on a follower when it can fetch, perhaps again: it has a new leader, or the leader a new epoch, or what it
	// appended is safe now.
	Fetchable func(p *Partition)
	// Damaged is called on a replica that needs repair, or has had it, again after each change of the metadata: see
	// Partition.Repair. It may be nil.
	Damaged func(p *Partition)
	// Lag is replica.lag.time.max.ms.
	Lag func() time.Duration
	// Session is broker.session.timeout.ms: a broker that was deposed may serve for so long without knowing of it.
	Session func() time.Duration
}

// ISRChange is a leader's wish for another in-sync set. It is for one leader epoch and one partition epoch and void in all others (I5).
type ISRChange struct {
	LeaderEpoch    record.Epoch
	PartitionEpoch int32
	ISR            []ISRMember
	// Synced ends FlushPending: in this leader epoch all of the ISR have told that they have synced what the leader's log held when it began.
	Synced bool
}

// ISRMember is a broker with the epoch under which it has fetched; -1 if it is in the ISR already and has not fetched from this leader (I6).
type ISRMember struct {
	ID          record.NodeID
	BrokerEpoch int64
}

// ISRAnswer is what became of an ISRChange.
type ISRAnswer struct {
	Code           wire.ErrorCode
	PartitionEpoch int32 // if there is no error: of the state that holds the change
}

func (c *Cluster) leased() bool { return c == nil || c.Leased() }

func (c *Cluster) resigned() bool { return c != nil && c.Resigned != nil && c.Resigned() }

func (c *Cluster) fetchable(p *Partition) {
	if c != nil {
		c.Fetchable(p)
	}
}
