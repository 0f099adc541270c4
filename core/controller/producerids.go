package controller

import (
	"fmt"
	"math"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// producerIDBlock is how many ids a broker gets at a time.
const producerIDBlock = 1000

// ProducerIDs is a block of producer ids [First, First+Count), or why there is none.
type ProducerIDs struct {
	First record.ProducerID
	Count int32
	Refusal
}

// AllocateProducerIDs gives a broker the next block of producer ids (M8).
func (c *Controller) AllocateProducerIDs(id record.NodeID, epoch metadata.BrokerEpoch) ([]metadata.Record, ProducerIDs) {
	if refusal := c.checkBroker(id, epoch); refusal.Refused() {
		return nil, ProducerIDs{Refusal: refusal}
	}
	first := c.Image.NextProducerID()
	if first > math.MaxInt64-producerIDBlock {
		return nil, ProducerIDs{Refusal: refuse(wire.UnknownServerError, "producer ids are used up")}
	}
	next := first + producerIDBlock
	return []metadata.Record{&metadata.ProducerIDsAllocated{Broker: id, Epoch: epoch, Next: next}},
		ProducerIDs{First: first, Count: producerIDBlock}
}

// OutgrowProducerIDs decides that every producer id up to seen has been given away: a log that came from another cluster holds records of it,
// and a producer that got the same id here would be taken for the one that wrote them (M8, P1).
func (c *Controller) OutgrowProducerIDs(id record.NodeID, epoch metadata.BrokerEpoch, seen record.ProducerID) []metadata.Record {
	if seen < c.Image.NextProducerID() || seen > math.MaxInt64-producerIDBlock {
		return nil
	}
	return []metadata.Record{&metadata.ProducerIDsAllocated{Broker: id, Epoch: epoch, Next: seen + 1}}
}

// checkBroker refuses what does not come from a broker's present registration.
func (c *Controller) checkBroker(id record.NodeID, epoch metadata.BrokerEpoch) Refusal {
	switch b := c.Image.Broker(id); {
	case b == nil:
		return refuse(wire.StaleBrokerEpoch, fmt.Sprintf("broker %d is not registered", id)) // Kafka's code for this, too
	case b.Epoch != epoch:
		return refuse(wire.StaleBrokerEpoch, fmt.Sprintf("broker %d is registered with epoch %d, not %d", id, b.Epoch, epoch))
	}
	return Refusal{}
}
