package ledger

import (
	"slices"

	"lignum/core/record"
	"lignum/linearizability/history"
)

// Succeed opens the books of a partition of a topic that was made again under the name of one that was deleted. What was asked of the old
// one by its name, and was not answered, may be done to the new one: a name is all that such a request has.
func (p *Partition) Succeed(old *Partition) {
	if p == old || !old.closing {
		return
	}
	if p.before = append(p.before, old); len(p.before) == 1 && p.ledger.Everywhere != nil {
		p.sole = forever
		p.ledger.namesakes = append(p.ledger.namesakes, p)
	}
	p.deleteUpTo = max(p.deleteUpTo, old.deleteUpTo)
	p.Join(old)
}

// meet notes of which partitions every broker has heard by now.
func (l *Ledger) meet() {
	l.namesakes = slices.DeleteFunc(l.namesakes, func(p *Partition) bool {
		if !p.closing && !l.Everywhere(p.ID) {
			return false
		}
		p.sole = l.Now()
		return true
	})
}

// strays says whether a request that left at a time, and names the topic, may come to a predecessor: a leader of that one serves it until it hears that
// it was deleted, and answers for it. With Apache Kafka it is so too.
func (p *Partition) strays(sent int64) bool { return sent < p.sole }

// Strays says whether a look that names the topic without its id may be one at a predecessor.
func (p *Partition) Strays(v View) bool { return p.strays(v.sent) }

// Join opens the books of a partition that its topic has been given later, or again: changes of the policy may be under way. It gets as many replicas as
// another one has, which are more while that one is being moved.
func (p *Partition) Join(other *Partition) {
	p.moved = p.moved || other.moved
	if !other.pure {
		p.pure, p.syncSince = false, forever
	}
}

// heir finds the batch of a predecessor that came late: it was on its way when the predecessor was deleted, or was sent after it (X4).
func (p *Partition) heir(b *Batch) bool {
	if b == nil || b.Part == p || !b.late || !slices.Contains(p.before, b.Part) {
		return false
	}
	b.Part, b.heir, b.places = p, true, 0 // where it lay in the predecessor it lies no more
	p.batches = append(p.batches, b)
	p.inherited = true
	return true
}

// mayInherit says whether something that a producer sent to a predecessor may lie here, though nobody has read it yet.
func (p *Partition) mayInherit(id record.ProducerID) bool {
	return slices.ContainsFunc(p.before, func(old *Partition) bool {
		return slices.ContainsFunc(old.batches, func(b *Batch) bool { return b.late && b.Producer == id && !b.refusedForGood() })
	})
}

// repeats says whether a producer's batch for this partition, of which only the answer is known, was taken for the repetition of one of its batches for a
// predecessor that lies here: both have the same sequences, and what the producer was told is where that one lies. Apache Kafka cannot tell them apart
// either.
func (s *slot) repeats(other *slot) bool {
	b, o := s.batch, other.batch
	return o.heir && other.seen && !b.heir && s.acked && !s.seen && s.base == other.base && b.idempotent() &&
		b.Producer == o.Producer && b.Epoch == o.Epoch && b.Sequence == o.Sequence && b.Count == o.Count
}

// Verbatim says whether batches are kept as they were sent, but for what a broker assigns.
func (p *Partition) Verbatim() bool { return !p.settings.Recompressed }

// contentOf identifies the records of a batch, however they are compressed.
func (l *Ledger) contentOf(b record.Batch) (uint64, error) {
	chain := uint64(b.Count())
	text := func(p []byte) {
		n := uint64(len(p)) << 1
		if p == nil {
			n = 1
		}
		chain = chainOf(history.Chain(chain, n), p)
	}
	chain = history.Chain(chain, uint64(b.ProducerID()))
	chain = history.Chain(chain, uint64(b.ProducerEpoch())<<32|uint64(uint32(b.BaseSequence())))
	err := l.reader.Each(b, func(r record.Record) error {
		chain = history.Chain(chain, uint64(r.OffsetDelta))
		chain = history.Chain(chain, uint64(r.Timestamp))
		text(r.Key)
		text(r.Value)
		return nil
	})
	return chain, err
}

// batchOf finds who sent a batch that is delivered; nil if nobody did.
func (p *Partition) batchOf(b record.Batch) *Batch {
	if batch := p.ledger.bodies[BodyOf(b)]; batch != nil || !p.settings.Recompressed {
		return batch
	}
	content, err := p.ledger.contentOf(b)
	if err != nil {
		return nil
	}
	return p.ledger.contents[content]
}
