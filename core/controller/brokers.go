package controller

import (
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// RegisterBroker asks for a broker to join, or to be taken for a new life of one that was there.
type RegisterBroker struct {
	ID          record.NodeID
	Incarnation metadata.UUID // of the process
	Directories []metadata.UUID
	Rack        string
	Endpoints   []metadata.Endpoint
	Features    []metadata.FeatureRange
	// Fenced: the broker shall not lead until it is let in.
	Fenced bool
	// OtherAlive: the session of another incarnation that is registered with the id has not ended. It does not matter if the two
	// have a directory in common: a directory is locked by the process that lives, so the other one is dead.
	OtherAlive bool
	// Late: another incarnation is registered with the id that the request does not know of. It may be the request of an earlier life, held up on its way
	// until the present one had registered, and must not end that (V2). A life that has just begun is told whom it replaces, and asks again.
	Late bool
	// PreviousEpoch is the broker epoch that the mark of a clean stop holds, NoBrokerEpoch without such a mark.
	PreviousEpoch metadata.BrokerEpoch
	// Unclean: the broker may have lost what it had not synced, whatever PreviousEpoch says.
	Unclean bool
}

// RegisterBroker decides about a registration. Once the records are applied the image holds the broker's epoch.
//
// A broker that comes back is a new life: where it led, nobody may go on in the old leader epoch (L2), for what it had not
// synced may be gone. It is in no in-sync set until it has caught up under its new broker epoch (I6).
func (c *Controller) RegisterBroker(r RegisterBroker) ([]metadata.Record, Refusal) {
	old := c.Image.Broker(r.ID)
	if refusal := c.checkRegistration(&r, old); refusal.Refused() {
		return nil, refusal
	}
	if old != nil && old.Incarnation == r.Incarnation {
		return nil, Refusal{} // sent twice
	}
	after := &metadata.Broker{
		ID: r.ID, Epoch: metadata.NoBrokerEpoch, Incarnation: r.Incarnation, Directories: r.Directories, Rack: r.Rack,
		Endpoints: r.Endpoints, Features: r.Features, Fenced: r.Fenced,
	}
	records := []metadata.Record{&metadata.BrokerRegistered{
		ID: r.ID, Epoch: metadata.NoBrokerEpoch, Incarnation: r.Incarnation, Directories: r.Directories, Rack: r.Rack,
		Endpoints: r.Endpoints, Features: r.Features, Fenced: r.Fenced, Changed: record.NoOffset,
	}}
	if old == nil {
		old = c.Image.Departed(r.ID)
	}
	return append(records, c.reelect(changedBroker{id: r.ID, before: old, after: after, restarted: true, unclean: r.unclean(old)})...), Refusal{}
}

// unclean reports whether the broker may have lost since its last registration, which may have been unregistered, what it had not synced. The same process
// registers anew only before it has begun with its replicas.
func (r *RegisterBroker) unclean(last *metadata.Broker) bool {
	return last == nil || last.Incarnation != r.Incarnation && (r.Unclean || r.PreviousEpoch != last.Epoch)
}

func (c *Controller) checkRegistration(r *RegisterBroker, old *metadata.Broker) Refusal {
	switch {
	case r.ID < 0:
		return refuse(wire.InvalidRequest, fmt.Sprintf("broker id %d is negative", r.ID))
	case r.Incarnation == metadata.UUID{}:
		return refuse(wire.InvalidRequest, "the registration has no incarnation")
	case old != nil && old.Incarnation == r.Incarnation:
		return Refusal{}
	case old != nil && r.Late:
		return refuse(wire.DuplicateBrokerRegistration, fmt.Sprintf("broker %d is registered with epoch %d, which the request does not know of", r.ID, old.Epoch))
	case old != nil && r.OtherAlive && !slices.ContainsFunc(r.Directories, func(d metadata.UUID) bool { return slices.Contains(old.Directories, d) }):
		return refuse(wire.DuplicateBrokerRegistration, fmt.Sprintf("another process is registered as broker %d", r.ID))
	case len(r.Directories) == 0:
		return refuse(wire.InvalidRegistration, "the registration has no directories")
	}
	for i, d := range r.Directories {
		if d.Reserved() {
			return refuse(wire.InvalidRegistration, "the registration has a directory with an identity that is reserved")
		}
		if slices.Contains(r.Directories[:i], d) {
			return refuse(wire.InvalidRegistration, "the registration has a directory twice")
		}
		for _, b := range c.Image.Brokers() {
			if b.ID != r.ID && slices.Contains(b.Directories, d) {
				return refuse(wire.InvalidRegistration, fmt.Sprintf("a directory of broker %d is registered for broker %d", r.ID, b.ID))
			}
		}
	}
	for _, f := range c.Image.Features() {
		if !supports(r.Features, f.Name, f.Level) {
			return refuse(wire.UnsupportedVersion, fmt.Sprintf("broker %d does not support %s at level %d, which the cluster has agreed on", r.ID, f.Name, f.Level))
		}
	}
	return Refusal{}
}

func supports(ranges []metadata.FeatureRange, name string, level int16) bool {
	return slices.ContainsFunc(ranges, func(f metadata.FeatureRange) bool { return f.Name == name && f.Min <= level && level <= f.Max })
}

// ChangeBroker asks for a broker to be fenced or let in, or to be marked as shutting down.
type ChangeBroker struct {
	ID           record.NodeID
	Epoch        metadata.BrokerEpoch
	Fenced       bool
	ShuttingDown bool
	Failed       []metadata.UUID // directories that the broker has lost
}

// ChangeBroker decides about a broker's state and, with it, who leads what: a broker that stops being active loses what it
// leads and leaves the in-sync sets, one that becomes active takes what nobody leads.
func (c *Controller) ChangeBroker(r ChangeBroker) ([]metadata.Record, Refusal) {
	if refusal := c.checkBroker(r.ID, r.Epoch); refusal.Refused() {
		return nil, refusal
	}
	b := c.Image.Broker(r.ID)
	after := *b
	after.Fenced, after.ShuttingDown = r.Fenced, r.ShuttingDown
	var failed []metadata.UUID
	after.Directories = nil
	for _, d := range b.Directories {
		if slices.Contains(r.Failed, d) {
			failed = append(failed, d)
		} else {
			after.Directories = append(after.Directories, d)
		}
	}
	if b.Fenced == r.Fenced && b.ShuttingDown == r.ShuttingDown && len(failed) == 0 {
		return nil, Refusal{}
	}
	records := []metadata.Record{&metadata.BrokerChanged{ID: r.ID, Epoch: r.Epoch, Fenced: r.Fenced, ShuttingDown: r.ShuttingDown, Failed: failed}}
	return append(records, c.reelect(changedBroker{id: r.ID, after: &after})...), Refusal{}
}

// ExpireBroker fences a broker whose session is over.
func (c *Controller) ExpireBroker(id record.NodeID, epoch metadata.BrokerEpoch) []metadata.Record {
	b := c.Image.Broker(id)
	if b == nil || b.Epoch != epoch || b.Fenced {
		return nil
	}
	records, _ := c.ChangeBroker(ChangeBroker{ID: id, Epoch: epoch, Fenced: true, ShuttingDown: b.ShuttingDown})
	return records
}

// UnregisterBroker decides about a broker that shall be forgotten. Its replicas stay assigned to it; what it has stays eligible, in case it
// comes back with the same directory. One that is not fenced may still serve as a leader, and nobody would wait for it (F7): it has to be stopped, or its
// session to end, before it can be forgotten. Apache Kafka's clients ask again on that answer.
func (c *Controller) UnregisterBroker(id record.NodeID) ([]metadata.Record, Refusal) {
	b := c.Image.Broker(id)
	if b == nil {
		return nil, refuse(wire.BrokerIDNotRegistered, fmt.Sprintf("Broker ID %d is not currently registered", id))
	}
	if !b.Fenced {
		return nil, refuse(wire.RequestTimedOut, fmt.Sprintf("Broker ID %d is not fenced: it has to be stopped, or its session to end", id))
	}
	records := []metadata.Record{&metadata.BrokerUnregistered{ID: id, Epoch: b.Epoch}}
	return append(records, c.reelect(changedBroker{id: id})...), Refusal{}
}
