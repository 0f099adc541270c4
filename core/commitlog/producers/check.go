package producers

import (
	"fmt"
	"math"

	"lignum/core/record"
)

// Verdict is Check's answer about a batch that is not refused.
type Verdict struct {
	// Duplicate says that the batch is in the log already, and the rest says where. The answer to the client is the one
	// that it missed (P3).
	Duplicate               bool
	FirstOffset, LastOffset record.Offset
	Timestamp               int64 // greatest of the records, or the time of the append
}

// Check decides whether a leader may append the batch, and changes nothing. A batch without a producer always may. One
// of a producer without sequences, as coordinators write them, is checked for its epoch only.
func (s *State) Check(b record.Batch) (Verdict, error) {
	if !b.HasProducer() {
		return Verdict{}, nil
	}
	p := s.byID[b.ProducerID()]
	if b.IsControl() {
		return Verdict{}, s.checkMarker(p, b)
	}
	if p == nil {
		return Verdict{}, s.checkFirst(b)
	}
	if v, ok := p.duplicate(b); ok {
		return v, nil
	}
	if err := p.checkEpoch(b); err != nil {
		return Verdict{}, err
	}
	if err := p.checkSequence(b); err != nil {
		return Verdict{}, err
	}
	if p.txnFirst >= 0 && !b.IsTransactional() {
		return Verdict{}, fmt.Errorf("%w: producer %d, open since offset %d", ErrInvalidTransaction, p.id, p.txnFirst)
	}
	return Verdict{}, nil
}

func (s *State) checkFirst(b record.Batch) error {
	if s.options.RejectUnknown && b.BaseSequence() > 0 {
		return fmt.Errorf("%w: producer %d, first sequence %d", ErrUnknownProducer, b.ProducerID(), b.BaseSequence())
	}
	return nil
}

func (s *State) checkMarker(p *producer, b record.Batch) error {
	m, ok, err := b.Marker()
	if err != nil || !ok || p == nil {
		return err
	}
	if err := p.checkEpoch(b); err != nil {
		return err
	}
	if m.CoordinatorEpoch < p.coordinatorEpoch {
		return fmt.Errorf("%w: epoch %d after %d, producer %d", ErrCoordinatorFenced, m.CoordinatorEpoch, p.coordinatorEpoch, p.id)
	}
	return nil
}

// duplicate finds the batch among those that are remembered.
func (p *producer) duplicate(b record.Batch) (Verdict, bool) {
	if b.ProducerEpoch() != p.epoch || b.BaseSequence() < 0 {
		return Verdict{}, false
	}
	for _, known := range p.batches[:p.count] {
		if known.lastSequence == b.LastSequence() && known.firstSequence() == b.BaseSequence() {
			return Verdict{
				Duplicate:   true,
				FirstOffset: known.lastOffset - record.Offset(known.delta),
				LastOffset:  known.lastOffset,
				Timestamp:   known.timestamp,
			}, true
		}
	}
	return Verdict{}, false
}

func (p *producer) checkEpoch(b record.Batch) error {
	if b.ProducerEpoch() < p.epoch {
		return fmt.Errorf("%w: %d after %d, producer %d", ErrInvalidProducerEpoch, b.ProducerEpoch(), p.epoch, p.id)
	}
	return nil
}

func (p *producer) checkSequence(b record.Batch) error {
	first := b.BaseSequence()
	if first < 0 {
		return nil
	}
	if b.ProducerEpoch() != p.epoch {
		if first != 0 {
			return fmt.Errorf("%w: %d first in epoch %d, producer %d", ErrOutOfOrderSequence, first, b.ProducerEpoch(), p.id)
		}
		return nil
	}
	last := record.NoSequence
	if known, ok := p.last(); ok {
		last = known.lastSequence
	}
	if first != last+1 && !(first == 0 && last == math.MaxInt32) {
		return fmt.Errorf("%w: %d after %d in epoch %d, producer %d", ErrOutOfOrderSequence, first, last, p.epoch, p.id)
	}
	return nil
}
