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
	// OtherAlive: the session of another incarnation that is registered with the id has not ended.
	OtherAlive bool
	// Unclean: the broker may have lost what it had written, so it must not stay in any in-sync set but as the last.
	Unclean bool
}

// RegisterBroker decides about a registration. Once the records are applied the image holds the broker's epoch.
//
// A broker that comes back is a new life: where it led, nobody may go on in the old leader epoch (L2), for what it had not
// synced may be gone. So its partitions get a new leader, or it leads them on in a new epoch.
func (c *Controller) RegisterBroker(r RegisterBroker) ([]metadata.Record, Refusal) {
	old := c.Image.Broker(r.ID)
	switch {
	case r.ID < 0:
		return nil, refuse(wire.InvalidRequest, fmt.Sprintf("broker id %d is negative", r.ID))
	case r.Incarnation == metadata.UUID{}:
		return nil, refuse(wire.InvalidRequest, "the registration has no incarnation")
	case old != nil && old.Incarnation == r.Incarnation:
		return nil, Refusal{} // sent twice
	case old != nil && r.OtherAlive:
		return nil, refuse(wire.DuplicateBrokerRegistration, fmt.Sprintf("another process is registered as broker %d", r.ID))
	}
	if id, taken := c.directoryTaken(r); taken {
		return nil, refuse(wire.InvalidRegistration, fmt.Sprintf("a directory of broker %d is registered for broker %d", r.ID, id))
	}
	records := []metadata.Record{&metadata.BrokerRegistered{
		ID: r.ID, Epoch: metadata.NoBrokerEpoch, Incarnation: r.Incarnation, Directories: r.Directories, Rack: r.Rack,
		Endpoints: r.Endpoints, Features: r.Features, Fenced: r.Fenced,
	}}
	if old == nil {
		return records, Refusal{}
	}
	e := election{Controller: c, lost: r.ID, unclean: r.Unclean}
	if !r.Fenced {
		e.returned = r.ID
		e.back = true
	}
	return append(records, c.reelect(e)...), Refusal{}
}

func (c *Controller) directoryTaken(r RegisterBroker) (by record.NodeID, taken bool) {
	for _, b := range c.Image.Brokers() {
		for _, d := range r.Directories {
			if b.ID != r.ID && slices.Contains(b.Directories, d) {
				return b.ID, true
			}
		}
	}
	return 0, false
}

// ChangeBroker asks for a broker to be fenced or let in, or to be marked as shutting down.
type ChangeBroker struct {
	ID           record.NodeID
	Epoch        metadata.BrokerEpoch
	Fenced       bool
	ShuttingDown bool
}

// ChangeBroker decides about a broker's state and, with it, who leads what: a broker that stops being active loses what it
// leads, one that becomes active takes what nobody leads.
func (c *Controller) ChangeBroker(r ChangeBroker) ([]metadata.Record, Refusal) {
	if refusal := c.checkBroker(r.ID, r.Epoch); refusal.Refused() {
		return nil, refusal
	}
	b := c.Image.Broker(r.ID)
	if b.Fenced == r.Fenced && b.ShuttingDown == r.ShuttingDown {
		return nil, Refusal{}
	}
	records := []metadata.Record{&metadata.BrokerChanged{ID: r.ID, Epoch: r.Epoch, Fenced: r.Fenced, ShuttingDown: r.ShuttingDown}}
	switch active := !r.Fenced && !r.ShuttingDown; {
	case b.Active() && !active:
		records = append(records, c.reelect(election{Controller: c, lost: r.ID})...)
	case !b.Active() && active:
		records = append(records, c.reelect(election{Controller: c, lost: metadata.NoNode, returned: r.ID, back: true})...)
	}
	return records, Refusal{}
}

// UnregisterBroker decides about a broker that shall be forgotten.
func (c *Controller) UnregisterBroker(id record.NodeID) ([]metadata.Record, Refusal) {
	b := c.Image.Broker(id)
	if b == nil {
		return nil, refuse(wire.BrokerIDNotRegistered, fmt.Sprintf("broker %d is not registered", id))
	}
	records := []metadata.Record{&metadata.BrokerUnregistered{ID: id, Epoch: b.Epoch}}
	return append(records, c.reelect(election{Controller: c, lost: id})...), Refusal{}
}
