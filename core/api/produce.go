package api

import (
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// produceCall is a produce request that waits for its partitions.
type produceCall struct {
	h        *Handlers
	call     *Call
	response wire.ProduceResponse
	waiting  int // partitions that are not settled
	timeout  timer.Timer
	timers   *timer.Queue
	answered bool
	silent   bool // acks=0: there is no reply, but the call counts as in flight until the records are written

	topic0 [1]wire.ProduceTopicResult
	part0  [1]wire.ProduceResult
	places []producePlace // by the index of the append; nil if there is but one partition
}

// producePlace is where the result of one append goes.
type producePlace struct {
	out  *wire.ProduceResult
	open bool // appended and not settled
}

// produce appends batches. API key 0, versions 3 to 12.
//
//	v3   record batches; older message sets are refused
//	v7   zstd
//	v8   errors of single records in the reply
//	v9   flexible encoding
//	v10  the new leader in the reply (KIP-951)
//
// It replies once every partition has: acks=1 when the leader's log holds the batch, acks=all when the high watermark passes
// it, acks=0 never; then an error closes the connection, as in Apache Kafka.
func (h *Handlers) produce(c *Call, r *wire.ProduceRequest) {
	p := &produceCall{h: h, call: c, timers: h.Timers}
	acks := partition.Acks(r.Acks)
	p.layOut(r, len(c.batches))
	p.waiting = 1 // this loop itself, so that nobody answers before its end
	n, failed := 0, false
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			out := &p.response.Topics[i].Partitions[j]
			h.produceOne(p, n, t, t.Partitions[j].Index, acks, out)
			failed = failed || out.Error != wire.None
			n++
		}
	}
	timeout := r.TimeoutMillis
	c.dropFrame()
	p.silent = acks == partition.AcksNone
	if p.silent && failed {
		c.session.Close()
	}
	p.waiting--
	if p.waiting > 0 && acks == partition.AcksAll {
		c.abandon = p.expire
		h.Timers.Start(&p.timeout, h.Clock.Now().Add(millis(timeout)), c.abandon)
	}
	p.finish()
}

// layOut makes room for the results; the places are stable from then on.
func (p *produceCall) layOut(r *wire.ProduceRequest, partitions int) {
	if partitions == 1 && len(r.Topics) == 1 {
		p.topic0[0].Partitions = p.part0[:]
		p.response.Topics = p.topic0[:]
		return
	}
	p.response.Topics = make([]wire.ProduceTopicResult, len(r.Topics))
	results := make([]wire.ProduceResult, partitions)
	p.places = make([]producePlace, partitions)
	n := 0
	for i := range r.Topics {
		count := len(r.Topics[i].Partitions)
		p.response.Topics[i].Partitions = results[n : n+count : n+count]
		n += count
	}
	for i := range results {
		p.places[i].out = &results[i]
	}
	for i := range r.Topics {
		// Whole strings: the frame goes back to its pool before the reply is written.
		p.response.Topics[i].Name = string(r.Topics[i].Name)
		p.response.Topics[i].ID = r.Topics[i].ID
	}
}

// produceOne appends the batch of one partition and fills in its result.
func (h *Handlers) produceOne(p *produceCall, n int, t *wire.ProduceTopic, index int32, acks partition.Acks, out *wire.ProduceResult) {
	v := &p.call.batches[n]
	*out = wire.NewProduceResult(index, v.code)
	target, code := h.producedPartition(t, index)
	if p.places == nil {
		p.topic0[0].ID = t.ID
		if target != nil {
			p.topic0[0].Name = target.Topic
		} else {
			p.topic0[0].Name = string(t.Name)
		}
	}
	switch {
	case acks < partition.AcksAll || acks > partition.AcksLeader:
		out.Error = wire.InvalidRequiredAcks
		return
	case code != wire.None:
		out.Error = code
		return
	case metadata.InternalTopic(target.Topic):
		// What is in there is for coordinators to write.
		out.Error = wire.InvalidTopicException
		return
	case v.code != wire.None:
		out.Message = &v.message
		return
	case v.batch.IsTransactional():
		// No transaction can be ongoing: no coordinator has started one (T3).
		out.Error = wire.InvalidTxnState
		return
	}
	if codec, ok := target.Codec(); ok {
		h.recompress(p, n, target, codec, acks, out)
		return
	}
	h.append(p, n, target, v, acks, out)
}

// append gives a batch to its partition.
func (h *Handlers) append(p *produceCall, n int, target *partition.Partition, v *verdict, acks partition.Acks, out *wire.ProduceResult) {
	p.waiting++
	p.open(n, true)
	at, refusal := target.Produce(v.batch, v.facts, acks, h.Clock.Wall(), p, n)
	if refusal != nil {
		p.waiting--
		p.open(n, false)
		refuseProduce(target, refusal, out)
		return
	}
	out.BaseOffset, out.LogStart, out.LogAppendTime = int64(at.First), int64(at.Start), int64(at.AppendTime)
}

// recompress brings a batch under the topic's own codec, off the loop, and appends it then. All batches of such a partition go
// through one lane, so that they stay in the order in which they came.
func (h *Handlers) recompress(p *produceCall, n int, target *partition.Partition, codec record.Codec, acks partition.Acks, out *wire.ProduceResult) {
	v, frame := p.call.batches[n], p.call.frame
	frame.Retain()
	p.waiting++
	p.open(n, true)
	limits := record.Limits{MaxUncompressed: h.Config().BatchMaxUncompressedBytes}
	lane := uint32(target.ID.Index) % ReadLanes
	compressor := &h.compressors[lane]
	h.Jobs.Start(laneRecompress+env.Lane(lane), func() func() {
		var err error
		if v.batch.Codec() != codec {
			v.batch, err = compressor.Recompress(v.batch, codec, limits)
		}
		return func() {
			defer frame.Release()
			switch {
			case p.answered && err == nil: // for its time: the reply is on its way, and not to be touched
				_, _ = target.Produce(v.batch, v.facts, acks, h.Clock.Wall(), nil, n)
				return
			case p.answered:
				return
			case err != nil:
				out.Error = wire.InvalidRecord
				p.open(n, false)
			default:
				h.append(p, n, target, &v, acks, out)
			}
			if acks == partition.AcksNone && out.Error != wire.None {
				p.call.session.Close()
			}
			p.waiting--
			p.finish()
		}
	})
}

// open notes whether an append is on its way.
func (p *produceCall) open(n int, open bool) {
	if p.places != nil {
		p.places[n].open = open
	}
}

func refuseProduce(target *partition.Partition, r *partition.Refusal, out *wire.ProduceResult) {
	out.Error = r.Code
	if r.Code == wire.InvalidRecord || r.Code == wire.InvalidTimestamp {
		out.LogStart = int64(target.StartOffset())
	}
	if r.Message != "" {
		out.Message = &r.Message
	}
	if r.Record >= 0 {
		out.RecordErrors = []wire.RecordError{{BatchIndex: r.Record, Message: &r.Message}}
	}
}

// hints tells where the leaders are of the partitions that are not led here, or not any more.
func (p *produceCall) hints() {
	if p.call.Header.Version < 10 {
		return
	}
	for i := range p.response.Topics {
		t := &p.response.Topics[i]
		for j := range t.Partitions {
			out := &t.Partitions[j]
			if out.Error != wire.NotLeaderOrFollower {
				continue
			}
			replica, _ := p.h.byName([]byte(t.Name), out.Index)
			if out.Leader = p.h.hint(replica, p.h.Image.Topic(t.Name), out.Index); out.Leader != nil {
				p.response.Endpoints = p.h.addEndpoint(p.call, record.NodeID(out.Leader.ID), p.response.Endpoints)
			}
		}
	}
}

func (h *Handlers) producedPartition(t *wire.ProduceTopic, index int32) (*partition.Partition, wire.ErrorCode) {
	if t.ID != [16]byte{} {
		return h.byID(t.ID, index)
	}
	return h.byName(t.Name, index)
}

// Settled implements partition.Appender.
func (p *produceCall) Settled(index int, code wire.ErrorCode) {
	if p.answered {
		return
	}
	out := &p.part0[0]
	if p.places != nil {
		p.places[index].open = false
		out = p.places[index].out
	}
	if code != wire.None {
		*out = wire.NewProduceResult(out.Index, code)
	}
	p.waiting--
	p.finish()
}

// Waits implements partition.Appender.
func (p *produceCall) Waits() bool { return !p.answered }

func (p *produceCall) finish() {
	if p.waiting > 0 || p.answered {
		return
	}
	p.answered = true
	p.timers.Stop(&p.timeout)
	if p.silent {
		p.call.Drop()
		return
	}
	p.hints()
	p.call.Answer(&p.response)
}

// expire answers a request whose partitions took too long, or whose connection is gone: what became of those records is unknown (D2).
func (p *produceCall) expire() {
	if p.answered {
		return
	}
	p.answered = true
	p.timers.Stop(&p.timeout)
	if p.places == nil {
		p.part0[0] = wire.NewProduceResult(p.part0[0].Index, wire.RequestTimedOut)
	}
	for _, place := range p.places {
		if place.open {
			*place.out = wire.NewProduceResult(place.out.Index, wire.RequestTimedOut)
		}
	}
	p.hints()
	p.call.Answer(&p.response)
}
