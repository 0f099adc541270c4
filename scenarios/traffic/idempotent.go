package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/sim"
)

// Idempotent is a producer with sequences. Like the real ones it has at most five batches of a partition on their way, and after a lost
// connection or an error it sends everything again that was not acknowledged, in the same order, until it is.
type Idempotent struct {
	stage     *Stage
	o         ProducerOptions
	rand      sim.Stream
	payload   *payload
	routes    *routes
	id        record.ProducerID
	epoch     record.ProducerEpoch
	sequences map[*Target]int32
	open      []*parcel         // not acknowledged, in the order of the first sending
	asking    bool              // for an id
	sent      map[*Target]*peer // on which everything open was sent
	pausing   bool
	past      past
}

// past is what a producer was before it went on in a new epoch.
type past struct {
	epoch     record.ProducerEpoch
	sequences map[*Target]int32
}

// maxInFlight is how many batches the broker remembers of a producer, and so how many may be on their way.
const maxInFlight = 5

// NewIdempotent starts an idempotent producer.
func NewIdempotent(s *Stage, o ProducerOptions) *Idempotent {
	p := &Idempotent{stage: s, o: o, rand: s.World.Stream(domainProducer, o.Actor), id: record.NoProducer, sequences: map[*Target]int32{}, sent: map[*Target]*peer{}}
	p.routes = s.routes(o.Name, o.Actor, p.pause)
	p.payload = newPayload(s, o.Name, o.Actor, o.Codec, o.Biggest)
	p.later()
	return p
}

func (p *Idempotent) later() { p.stage.World.After(p.rand.Between(0, 2*p.o.Pace), p.burst) }

func (p *Idempotent) burst() {
	if p.stage.Quiet {
		p.routes.close()
		return
	}
	p.later()
	if !p.known() {
		return
	}
	p.resend()
	targets := p.stage.open()
	if len(targets) == 0 {
		return
	}
	if p.o.Bumps && len(p.open) == 0 && p.rand.Below(8) == 0 {
		p.bump()
	}
	t := targets[p.rand.Below(int64(len(targets)))]
	for range 1 + p.rand.Below(p.o.Burst) {
		if p.rand.Below(3) == 0 {
			t = targets[p.rand.Below(int64(len(targets)))]
		}
		if len(p.open) < p.o.InFlight && p.inFlight(t) < maxInFlight && p.connected(t) {
			p.produce(t)
		}
	}
}

// known says whether the producer has an id, and gets one if not.
func (p *Idempotent) known() bool {
	if p.pausing || p.asking {
		return false
	}
	if p.id < 0 {
		if from := p.routes.some(); from.ready {
			p.ask(from)
		}
		return false
	}
	return true
}

// connected says whether new batches for a partition may go out: its leader is known, and everything open of it was sent there.
func (p *Idempotent) connected(t *Target) bool {
	at := p.routes.place(t)
	if at == nowhere {
		return false
	}
	to := p.routes.link(at)
	if !to.ready {
		return false
	}
	if p.sent[t] != to {
		p.sent[t] = to
		for _, b := range append([]*parcel(nil), p.open...) {
			if b.target == t {
				p.send(to, b)
			}
		}
	}
	return !to.over
}

// resend sends everything again whose connection is gone, or whose leader is another one now.
func (p *Idempotent) resend() {
	for _, b := range append([]*parcel(nil), p.open...) {
		p.connected(b.target)
	}
}

// pause waits a little before the next connection.
func (p *Idempotent) pause(*peer) {
	if !p.pausing {
		p.pausing = true
		p.stage.World.After(p.rand.Between(0, 300*time.Millisecond), func() { p.pausing = false })
	}
}

// ask gets a producer id.
func (p *Idempotent) ask(from *peer) {
	p.asking = true
	r := kmsg.NewPtrInitProducerIDRequest()
	r.ProducerID, r.ProducerEpoch = -1, -1
	from.ask(r, version(&p.rand, wire.InitProducerID, 0), 5*time.Second, func(answer kmsg.Response) {
		p.asking = false
		got, ok := answer.(*kmsg.InitProducerIDResponse)
		if !ok || got.ErrorCode != 0 {
			from.close()
			return
		}
		p.stage.tell(p.o.Name, "is producer %d", got.ProducerID)
		p.id, p.epoch = record.ProducerID(got.ProducerID), record.ProducerEpoch(got.ProducerEpoch)
		clear(p.sequences)
		p.stage.Books.Check("M8", !p.stage.usedIDs[p.id], "producer id %d is given out twice", p.id)
		p.stage.usedIDs[p.id] = true
	})
}

func (p *Idempotent) inFlight(t *Target) int {
	n := 0
	for _, b := range p.open {
		if b.target == t {
			n++
		}
	}
	return n
}

// produce sends a new batch.
func (p *Idempotent) produce(t *Target) {
	sequence := p.sequences[t]
	b := p.payload.batch(p.stage.wallNow(), p.id, p.epoch, sequence)
	p.sequences[t] = record.AddSequence(sequence, b.Count())
	load := &parcel{target: t, bytes: b, books: t.Books.Plan(b, p.o.Acks)}
	p.open = append(p.open, load)
	p.send(p.sent[t], load)
}

// send sends a batch, for the first time or again.
func (p *Idempotent) send(from *peer, b *parcel) {
	if from.over {
		return
	}
	v := version(&p.rand, wire.Produce, 7)
	request := produceRequest(p.o.Acks, p.o.Timeout, []parcel{*b})
	try := b.books.Try()
	p.stage.tellSend(p.o.Name, b)
	from.send(wire.Produce, v, p.o.Timeout+5*time.Second, func(dst []byte) []byte { return request.AppendTo(dst, v) }, func(body []byte) {
		results, ok := from.produced(v, []parcel{*b}, body)
		p.stage.tellAnswer(p.o.Name, b, ok, results, 0)
		if !ok {
			return // the connection is over: it goes again
		}
		code := results[0].Error
		if !try.Answered(code, record.Offset(results[0].BaseOffset)) {
			p.refused(from, b, code)
			return
		}
		p.stage.acked(b, try, results[0])
		p.settle(b)
		if try.Firm() && b.books.Epoch == p.epoch {
			p.haunt(from, b.target)
		}
	})
}

// bump goes on in a new epoch, as clients do after an error.
func (p *Idempotent) bump() {
	if len(p.sequences) == 0 || p.epoch == 1<<15-1 {
		return
	}
	p.past = past{p.epoch, p.sequences}
	p.epoch, p.sequences = p.epoch+1, map[*Target]int32{}
	p.stage.tell(p.o.Name, "goes on in epoch %d", p.epoch)
}

// haunt sends a batch of the epoch before to a partition that knows the present one: what was held up somewhere comes late. It is refused (P5).
func (p *Idempotent) haunt(from *peer, t *Target) {
	sequence, known := p.past.sequences[t]
	if !known || from.over || p.past.epoch != p.epoch-1 || p.rand.Below(2) == 0 {
		return
	}
	if p.rand.Below(2) == 0 {
		sequence = 0
	}
	b := p.payload.batch(p.stage.wallNow(), p.id, p.past.epoch, sequence)
	late := &parcel{target: t, bytes: b, books: t.Books.Plan(b, p.o.Acks)}
	request := produceRequest(p.o.Acks, p.o.Timeout, []parcel{*late})
	try := late.books.Try()
	p.stage.tellSend(p.o.Name, late)
	const v = 9
	from.send(wire.Produce, v, p.o.Timeout+5*time.Second, func(dst []byte) []byte { return request.AppendTo(dst, v) }, func(body []byte) {
		results, ok := from.produced(v, []parcel{*late}, body)
		p.stage.tellAnswer(p.o.Name, late, ok, results, 0)
		if ok {
			accepted := try.Answered(results[0].Error, record.Offset(results[0].BaseOffset))
			p.stage.Books.Check("P5", !accepted, "%s: a batch of producer %d in epoch %d is accepted although the partition knows epoch %d", t.Books.Name, late.books.Producer,
				late.books.Epoch, late.books.Epoch+1)
		}
	})
}

func (p *Idempotent) settle(b *parcel) {
	for i, other := range p.open {
		if other == b {
			p.open = append(p.open[:i], p.open[i+1:]...)
			return
		}
	}
}

// refused decides what an error means: again, or give up and go on as another producer.
func (p *Idempotent) refused(from *peer, b *parcel, code wire.ErrorCode) {
	if from != p.sent[b.target] || from.over {
		return
	}
	p.routes.stale(b.target, code)
	switch code {
	case wire.OutOfOrderSequenceNumber, wire.UnknownProducerID, wire.DuplicateSequenceNumber, wire.InvalidProducerEpoch:
		if p.first(b) {
			b.target.Books.SequenceRefused(b.books, code.String())
			p.giveUp()
		}
	case wire.UnknownTopicOrPartition:
		if p.first(b) && (b.target.Books.Closed() || len(p.routes.peers) == 1) {
			p.giveUp()
		}
	case wire.InvalidTimestamp, wire.InvalidRecord, wire.MessageTooLarge, wire.RecordListTooLarge:
		if p.first(b) {
			p.giveUp()
		}
	}
	from.close() // and everything open goes again
}

// first says whether the batch is the oldest open one of its partition.
func (p *Idempotent) first(b *parcel) bool {
	for _, other := range p.open {
		if other.target == b.target {
			return other == b
		}
	}
	return false
}

// giveUp leaves all open batches as they are, and goes on under another id.
func (p *Idempotent) giveUp() {
	p.open, p.id, p.past = nil, record.NoProducer, past{}
}
