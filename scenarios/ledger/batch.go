package ledger

import (
	"encoding/binary"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/linearizability/history"
)

// Batch is one record batch that a client wants to write, over all its tries.
type Batch struct {
	Part     *Partition
	Number   int // counts the partition's batches from 1
	Count    int32
	Size     int
	Acks     int16
	Producer record.ProducerID // record.NoProducer if it is not idempotent
	Epoch    record.ProducerEpoch
	Sequence int32

	body      uint64
	firstSent int64  // when the first try left; forever before
	crashes   uint64 // when the first try left
	firm      bool   // was sent for the first time while the policy was sync for sure
	firstTime int64  // timestamp of the first record
	tries     int
	answers   int  // to the tries
	late      bool // a try was on its way when the partition was deleted, or left later
	heir      bool // it was meant for a predecessor of Part
	refused   int  // of the tries
	acked     bool
	places    int // where it lies now, as far as is known
}

// BodyOf identifies what a producer decides of a batch: everything under the CRC. The broker assigns only what is in front of it.
func BodyOf(b record.Batch) uint64 {
	const attributes = 21
	p := []byte(b[attributes:])
	return chainOf(uint64(len(p)), p)
}

// chainOf hashes bytes into a chain.
func chainOf(chain uint64, p []byte) uint64 {
	for ; len(p) >= 8; p = p[8:] {
		chain = history.Chain(chain, binary.LittleEndian.Uint64(p))
	}
	var rest uint64
	for i, c := range p {
		rest |= uint64(c) << (8 * i)
	}
	return history.Chain(chain, rest)
}

// Plan enters a batch that is about to be sent. No two batches of a run may have the same content.
func (p *Partition) Plan(b record.Batch, acks int16) *Batch {
	batch := &Batch{
		Part: p, Number: len(p.batches) + 1, Count: b.Count(), Size: b.Size(), Acks: acks,
		Producer: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence(),
		body: BodyOf(b), firstSent: forever, firstTime: b.MaxTimestamp() - int64(b.Count()) + 1,
	}
	if p.settings.Recompressed {
		if content, err := p.ledger.contentOf(b); err == nil {
			p.ledger.contents[content] = batch
		}
	}
	p.batches = append(p.batches, batch)
	p.ledger.bodies[batch.body] = batch
	return batch
}

// idempotent says whether the broker has to keep the batch from lying in the log twice.
func (b *Batch) idempotent() bool { return b.Producer >= 0 }

// refusedForGood says whether every try of the batch was refused, so that it can never become visible.
func (b *Batch) refusedForGood() bool { return b.tries > 0 && b.refused == b.tries }

// Try is one request on its way that carries the batch.
type Try struct {
	batch *Batch
	sent  int64
	stamp uint64
	stray bool // it may come to a predecessor
}

// Try notes that a request with the batch leaves.
func (b *Batch) Try() Try {
	l := b.Part.ledger
	l.meet()
	t := Try{batch: b, sent: l.Now(), stamp: l.Losses()}
	if t.stray = b.Part.strays(t.sent); t.stray {
		b.Part.strayed = true
	}
	if b.tries == 0 {
		b.firstSent = t.sent
		if b.Part.elects() {
			b.crashes = l.Crashes()
		}
		b.firm = b.Part.syncSince <= t.sent
	}
	b.tries++
	b.late = b.late || b.Part.closing
	return t
}

// Firm says whether an acknowledgement of the try promises stable storage: acks=all, under the policy sync for sure.
func (t Try) Firm() bool {
	return t.batch.Acks == -1 && t.batch.firm && t.batch.Part.syncSince <= t.sent && !t.batch.Part.closing && !t.stray
}

// Answered notes what the broker said of a try. It returns whether that settles the batch.
func (t Try) Answered(code wire.ErrorCode, offset record.Offset) bool {
	t.batch.answers++
	switch {
	case code == wire.None:
		t.acknowledged(offset)
		return true
	case definite(code):
		t.batch.refused++
	}
	return false
}

// definite lists the errors that say: not written. Every other error leaves the outcome open (D2).
func definite(code wire.ErrorCode) bool {
	switch code {
	case wire.NotEnoughReplicas, wire.InvalidProducerEpoch, wire.OutOfOrderSequenceNumber, wire.UnknownProducerID,
		wire.InvalidRecord, wire.MessageTooLarge, wire.RecordListTooLarge, wire.CorruptMessage, wire.InvalidTimestamp,
		wire.UnsupportedForMessageFormat, wire.UnsupportedCompressionType, wire.InvalidRequiredAcks, wire.InvalidTxnState:
		return true
	}
	return false
}

// acknowledged enters where the broker says the batch lies, and what that promises.
func (t Try) acknowledged(at record.Offset) {
	b, p := t.batch, t.batch.Part
	l := p.ledger
	if p.closing || t.stray {
		b.acked = true // and lies here only if somebody sees it
		return
	}
	l.Check("L3", at >= 0, "%s: batch %d is acknowledged at offset %d", p.Name, b.Number, at)
	if at < 0 {
		return
	}
	s := slot{base: at, batch: b, stamp: t.stamp, acked: true, ackedAt: forever}
	switch {
	case b.Acks != -1 && p.elects():
		s.stamp = 0 // another leader may have been elected before the request came
	case b.Acks != -1:
	case b.firm && p.syncSince <= t.sent:
		// Whatever was lost since the request left, this was not.
		s.stamp = p.losses()
		p.raise(s.stamp, at+record.Offset(b.Count))
	}
	if b.Acks == -1 {
		s.ackedAt, s.committed = l.Now(), true
		p.saw(at + record.Offset(b.Count))
	}
	b.acked = true
	l.Checked("P3")
	p.learn(s)
}
