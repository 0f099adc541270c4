package traffic

import (
	"time"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// ProducerOptions describe a producer.
type ProducerOptions struct {
	Name     string
	Actor    uint64
	Acks     int16
	Retries  int           // of a batch
	Pace     time.Duration // about, between two bursts
	Burst    int64         // most requests at once
	InFlight int           // most requests without an answer
	Codec    record.Codec
	Timeout  time.Duration
	Biggest  int64 // bytes of a record's value, about
	Bumps    bool  // an idempotent one goes on in a new epoch at times
}

// Producer writes batches without sequences: a retry may write them twice.
type Producer struct {
	stage   *Stage
	o       ProducerOptions
	rand    sim.Stream
	payload *payload
	routes  *routes
	again   []parcel // to be sent again
}

// parcel is a batch on its way to a partition.
type parcel struct {
	target *Target
	bytes  record.Batch
	books  *ledger.Batch
	try    ledger.Try
	left   int // retries
}

// NewProducer starts a producer.
func NewProducer(s *Stage, o ProducerOptions) *Producer {
	p := &Producer{stage: s, o: o, rand: s.World.Stream(domainProducer, o.Actor), routes: s.routes(o.Name, o.Actor, nil)}
	p.payload = newPayload(s, o.Name, o.Actor, o.Codec, o.Biggest)
	p.later()
	return p
}

func (p *Producer) later() {
	p.stage.World.After(p.rand.Between(0, 2*p.o.Pace), p.burst)
}

// burst sends some requests at once, and comes again.
func (p *Producer) burst() {
	if p.stage.Quiet {
		p.routes.close()
		return
	}
	p.later()
	for range 1 + p.rand.Below(p.o.Burst) {
		if p.routes.waiting() >= p.o.InFlight {
			return
		}
		p.request()
	}
}

// request sends one request with batches for one to three partitions, which have one leader.
func (p *Producer) request() {
	var load []parcel
	taken, place := map[*Target]bool{}, nowhere
	led := func(t *Target) bool {
		at := p.routes.place(t)
		if place == nowhere {
			place = at
		}
		return at != nowhere && at == place
	}
	for _, again := range p.again {
		if len(load) < 3 && !taken[again.target] && led(again.target) {
			taken[again.target] = true
			load = append(load, again)
		}
	}
	p.again = withoutParcels(p.again, load)
	targets := p.stage.open()
	if len(targets) == 0 {
		return
	}
	for n := 1 + p.rand.Below(3)*p.rand.Below(2); int64(len(load)) < n; n-- {
		t := targets[p.rand.Below(int64(len(targets)))]
		if taken[t] || !led(t) {
			continue
		}
		taken[t] = true
		b := p.payload.batch(p.stage.wallNow(), record.NoProducer, record.NoProducerEpoch, record.NoSequence)
		load = append(load, parcel{target: t, bytes: b, books: t.Books.Plan(b, p.o.Acks), left: p.o.Retries})
	}
	if len(load) == 0 {
		return
	}
	v := version(&p.rand, wire.Produce, 7)
	request := produceRequest(p.o.Acks, p.o.Timeout, load)
	for i := range load {
		load[i].try = load[i].books.Try()
		p.stage.tellSend(p.o.Name, &load[i])
	}
	var then func([]byte)
	if p.o.Acks != 0 {
		from := p.routes.link(place)
		then = func(body []byte) { p.answered(from, v, load, body) }
	}
	p.routes.link(place).send(wire.Produce, v, p.o.Timeout+5*time.Second, func(dst []byte) []byte { return request.AppendTo(dst, v) }, then)
}

func withoutParcels(list, taken []parcel) []parcel {
	kept := list[:0]
	for _, p := range list {
		found := false
		for i := range taken {
			found = found || taken[i].books == p.books
		}
		if !found {
			kept = append(kept, p)
		}
	}
	return kept
}

// produceRequest packs batches; those of one topic go together.
func produceRequest(acks int16, timeout time.Duration, load []parcel) *wire.ProduceRequest {
	r := &wire.ProduceRequest{Acks: acks, TimeoutMillis: int32(timeout / time.Millisecond)}
	for i := range load {
		t := load[i].target
		part := wire.ProducePartition{Index: t.Index, Records: load[i].bytes}
		at := -1
		for j := range r.Topics {
			if string(r.Topics[j].Name) == t.Topic {
				at = j
			}
		}
		if at < 0 {
			at = len(r.Topics)
			r.Topics = append(r.Topics, wire.ProduceTopic{Name: []byte(t.Topic)})
		}
		r.Topics[at].Partitions = append(r.Topics[at].Partitions, part)
	}
	return r
}

// answered takes the answer to a request; nil if there is none.
func (p *Producer) answered(from *peer, v int16, load []parcel, body []byte) {
	results, ok := from.produced(v, load, body)
	for i := range load {
		settled := false
		p.stage.tellAnswer(p.o.Name, &load[i], ok, results, i)
		if ok {
			settled = load[i].try.Answered(results[i].Error, record.Offset(results[i].BaseOffset))
			p.stage.acked(&load[i], load[i].try, results[i])
			p.routes.stale(load[i].target, results[i].Error)
		}
		if !settled && load[i].left > 0 && !p.stage.Quiet {
			load[i].left--
			p.again = append(p.again, load[i])
		}
	}
}

// produced reads the answer to a produce request, in the order of the load.
func (p *peer) produced(v int16, load []parcel, body []byte) ([]wire.ProduceResult, bool) {
	if body == nil {
		return nil, false
	}
	var r wire.ProduceResponse
	if err := r.Decode(body, v); err != nil {
		p.malformed(wire.Produce, v, err)
		return nil, false
	}
	out := make([]wire.ProduceResult, len(load))
	for i := range load {
		found := false
		for j := range r.Topics {
			for k := range r.Topics[j].Partitions {
				if r.Topics[j].Name == load[i].target.Topic && r.Topics[j].Partitions[k].Index == load[i].target.Index {
					out[i], found = r.Topics[j].Partitions[k], true
				}
			}
		}
		if !p.stage.Books.Check("X2", found, "%s: the answer says nothing of %s", p.name, load[i].target.Books.Name) {
			return nil, false
		}
	}
	return out, true
}

// acked tells who wants to know of a batch that is on stable storage now.
func (s *Stage) acked(p *parcel, try ledger.Try, r wire.ProduceResult) {
	if s.Acked != nil && r.Error == wire.None && try.Firm() && p.books.Part.Verbatim() {
		s.Acked(p.target, p.bytes, record.Offset(r.BaseOffset))
	}
}

// tellSend and tellAnswer tell the story of a batch.
func (s *Stage) tellSend(who string, p *parcel) {
	if s.Tell != nil {
		b := p.books
		s.tell(who, "sends batch %d of %s: %d records, acks %d, producer %d, sequence %d", b.Number, p.target.Books.Name, b.Count, b.Acks, b.Producer, b.Sequence)
	}
}

func (s *Stage) tellAnswer(who string, p *parcel, ok bool, results []wire.ProduceResult, i int) {
	switch {
	case s.Tell == nil:
	case !ok:
		s.tell(who, "gets no answer for batch %d of %s", p.books.Number, p.target.Books.Name)
	default:
		s.tell(who, "hears of batch %d of %s: %s, offset %d", p.books.Number, p.target.Books.Name, results[i].Error, results[i].BaseOffset)
	}
}
