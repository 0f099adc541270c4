package controller

import (
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
)

// Heartbeat is what a broker says of itself from time to time.
type Heartbeat struct {
	ID             record.NodeID
	Epoch          metadata.BrokerEpoch
	MetadataOffset record.Offset // of the last entry that it has applied
	WantFence      bool
	WantShutDown   bool
	OfflineDirs    []metadata.UUID
	// Others is the offset of the last entry that every other active broker is known to have applied; Sessions.Others.
	Others record.Offset
}

// HeartbeatReply tells a broker how it stands, once the records that came with it are applied.
type HeartbeatReply struct {
	CaughtUp       bool // it has applied all that takes something away from it, its own registration first: the session renews its lease (F7)
	Fenced         bool
	ShuttingDown   bool // it leads nothing any more, but must stay until the others know it
	ShouldShutDown bool
}

// Heartbeat decides about the state that a broker asks for. A fenced broker is let in once it has caught up with its own registration
// and with its fencing. One
// that wants to stop loses what it leads and is let go when every active broker has been seen to know that.
func (c *Controller) Heartbeat(h Heartbeat) ([]metadata.Record, HeartbeatReply, Refusal) {
	if refusal := c.checkBroker(h.ID, h.Epoch); refusal.Refused() {
		return nil, HeartbeatReply{}, refusal
	}
	b := c.Image.Broker(h.ID)
	reply := HeartbeatReply{CaughtUp: h.MetadataOffset >= max(record.Offset(b.Epoch), b.Changed)}
	change := ChangeBroker{ID: h.ID, Epoch: h.Epoch, Fenced: b.Fenced, ShuttingDown: b.ShuttingDown, Failed: h.OfflineDirs}
	left := len(b.Directories)
	for _, d := range b.Directories {
		if slices.Contains(h.OfflineDirs, d) {
			left--
		}
	}
	switch {
	case b.Fenced && h.WantShutDown:
		reply.ShouldShutDown = true
	case b.Fenced:
		// It also has to know that it was fenced, and so what it leads no more: the answer renews its lease (F7).
		change.Fenced = h.WantFence || !reply.CaughtUp || left == 0
		change.ShuttingDown = b.ShuttingDown && change.Fenced
	case left == 0:
		change.Fenced = true
		reply.ShouldShutDown = h.WantShutDown
	case b.ShuttingDown:
		reply.ShouldShutDown = !c.leads(h.ID) && h.Others >= b.Changed
		change.Fenced = reply.ShouldShutDown
	case h.WantFence:
		change.Fenced = true
		reply.ShouldShutDown = h.WantShutDown
	case h.WantShutDown && c.leads(h.ID):
		change.ShuttingDown = true
	case h.WantShutDown:
		change.Fenced, reply.ShouldShutDown = true, true
	}
	records, refusal := c.ChangeBroker(change)
	reply.Fenced, reply.ShuttingDown = change.Fenced, change.ShuttingDown && !change.Fenced
	return records, reply, refusal
}

// leads reports whether a broker leads anything.
func (c *Controller) leads(id record.NodeID) bool {
	for _, t := range c.Image.Topics() {
		for i := range t.Partitions {
			if t.Partitions[i].Leader == id {
				return true
			}
		}
	}
	return false
}
