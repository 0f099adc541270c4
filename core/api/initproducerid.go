package api

import (
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIDs hands out ids from a block that the controller has given this broker (M8). What is left of a block is lost with the
// process, never given twice.
type producerIDs struct {
	next, end record.ProducerID // [next, end) are free
	asking    bool
	waiting   []func(record.ProducerID, wire.ErrorCode)
}

// initProducerID gives an idempotent producer its id. API key 22, versions 0 to 5.
//
//	v2  flexible encoding
//	v3  the producer's present id and epoch, which matter to transactional producers only
//
// A transactional id needs a coordinator, which this broker is not for anybody.
func (h *Handlers) initProducerID(c *Call, r *kmsg.InitProducerIDRequest) {
	out := r.ResponseKind().(*kmsg.InitProducerIDResponse)
	out.ProducerID, out.ProducerEpoch = -1, -1
	if r.TransactionalID != nil {
		out.ErrorCode = int16(wire.NotCoordinator)
		if *r.TransactionalID == "" {
			out.ErrorCode = int16(wire.InvalidRequest)
		}
		c.Answer(out)
		return
	}
	h.nextProducerID(func(id record.ProducerID, code wire.ErrorCode) {
		out.ErrorCode = int16(code)
		if code == wire.None {
			out.ProducerID, out.ProducerEpoch = int64(id), 0
		}
		c.Answer(out)
	})
}

// nextProducerID calls then with an id that nobody else gets, now or once there is a new block.
func (h *Handlers) nextProducerID(then func(record.ProducerID, wire.ErrorCode)) {
	ids := &h.ids
	if ids.next < ids.end && len(ids.waiting) == 0 {
		ids.next++
		then(ids.next-1, wire.None)
		return
	}
	ids.waiting = append(ids.waiting, then)
	if !ids.asking {
		h.askProducerIDs()
	}
}

func (h *Handlers) askProducerIDs() {
	ids := &h.ids
	ids.asking = true
	r := kmsg.NewPtrAllocateProducerIDsRequest()
	r.BrokerID, r.BrokerEpoch = int32(h.Node), -1
	if self := h.Image.Broker(h.Node); self != nil {
		r.BrokerEpoch = int64(self.Epoch)
	}
	h.AskController(r, func(answer kmsg.Response, err error) {
		ids.asking = false
		waiting := ids.waiting
		ids.waiting = nil
		block, _ := answer.(*kmsg.AllocateProducerIDsResponse)
		if err != nil || block.ErrorCode != 0 {
			for _, then := range waiting {
				then(-1, wire.CoordinatorLoadInProgress) // clients try again
			}
			return
		}
		ids.next = record.ProducerID(block.ProducerIDStart)
		ids.end = ids.next + record.ProducerID(block.ProducerIDLen)
		for _, then := range waiting {
			h.nextProducerID(then)
		}
	})
}
