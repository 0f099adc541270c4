package producers

import (
	"cmp"
	"slices"

	"lignum/core/record"
)

// Aborted is a transaction that was aborted, as the transaction index lists it for readers.
type Aborted struct {
	Producer record.ProducerID
	First    record.Offset // of its first record here
	Last     record.Offset // of its marker
	// LastStable is the last stable offset as of the marker: no transaction that was open below it is still open.
	LastStable record.Offset
}

// Apply takes over a batch that is in the log. It cannot refuse: what Check was not asked about has been decided
// elsewhere. ok says that the batch ended a transaction by an abort.
//
// now is when the batch was received, in milliseconds; -1 if that is not known, as in a replay.
func (s *State) Apply(b record.Batch, now int64) (aborted Aborted, ok bool) {
	if !b.HasProducer() {
		return Aborted{}, false
	}
	if !b.IsControl() {
		s.applyData(b, now)
		return Aborted{}, false
	}
	// Without a readable marker nothing of the transaction is left in the log.
	m, found, err := b.Marker()
	if err != nil || !found {
		return Aborted{}, false
	}
	return s.applyMarker(b, m, now)
}

func (s *State) applyData(b record.Batch, now int64) {
	p := s.get(b.ProducerID())
	p.begin(b.ProducerEpoch())
	p.remember(batch{
		lastSequence: b.LastSequence(),
		delta:        b.LastOffsetDelta(),
		lastOffset:   b.LastOffset(),
		timestamp:    b.MaxTimestamp(),
	})
	p.timestamp, p.received = b.MaxTimestamp(), now
	if p.txnFirst >= 0 {
		return
	}
	s.idle.remove(p)
	if b.IsTransactional() {
		p.txnFirst = b.BaseOffset()
		s.txns.open(p.txnFirst)
		return
	}
	s.idle.push(p)
}

func (s *State) applyMarker(b record.Batch, m record.Marker, now int64) (aborted Aborted, ok bool) {
	p := s.get(b.ProducerID())
	p.begin(b.ProducerEpoch())
	p.coordinatorEpoch = m.CoordinatorEpoch
	p.timestamp, p.received = b.MaxTimestamp(), now
	if p.txnFirst < 0 { // nothing was open here: no reader waits
		s.idle.remove(p)
		s.idle.push(p)
		return Aborted{}, false
	}
	first := p.txnFirst
	p.txnFirst = record.NoOffset
	s.idle.push(p)
	s.txns.end(first, b.BaseOffset())
	if m.Type != record.Abort {
		return Aborted{}, false
	}
	return Aborted{Producer: p.id, First: first, Last: b.BaseOffset(), LastStable: s.txns.oldestOpen(b.BaseOffset() + 1)}, true
}

// LastStable is the first offset of the oldest transaction whose outcome readers cannot know, because it is open or its
// marker is not below the high watermark; the high watermark if there is none. The high watermark does not go
// back but by a truncation, which makes a new State.
func (s *State) LastStable(highWatermark record.Offset) record.Offset {
	return min(s.txns.settle(highWatermark), highWatermark)
}

// OldestOpen is the first offset of the oldest open transaction; ok is false if none is open.
func (s *State) OldestOpen() (first record.Offset, ok bool) {
	first = s.txns.oldestOpen(record.NoOffset)
	return first, first >= 0
}

// Info is what is known of a producer, for people who ask (DescribeProducers).
type Info struct {
	ID               record.ProducerID
	Epoch            record.ProducerEpoch
	LastSequence     int32         // NoSequence if it has written nothing in this epoch
	LastTimestamp    int64         // of its last batch or marker
	CoordinatorEpoch int32         // of the last marker; -1 if there was none
	TxnFirst         record.Offset // first offset of the open transaction; NoOffset if none is open
}

// All lists the producers in the order of their ids.
func (s *State) All() []Info {
	all := make([]Info, 0, len(s.byID))
	for _, p := range s.sorted() {
		info := Info{ID: p.id, Epoch: p.epoch, LastSequence: record.NoSequence, LastTimestamp: p.timestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TxnFirst: p.txnFirst}
		if last, ok := p.last(); ok {
			info.LastSequence = last.lastSequence
		}
		all = append(all, info)
	}
	return all
}

func (s *State) sorted() []*producer {
	all := make([]*producer, 0, len(s.byID))
	//house:anyorder they are sorted below
	for _, p := range s.byID {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *producer) int { return cmp.Compare(a.id, b.id) })
	return all
}

// End is the offset behind the last record that the state tells of; 0 if it tells of none. A snapshot whose End is above
// the offset in its name is not what that name says (P4).
func (s *State) End() record.Offset {
	end := record.Offset(0)
	//house:anyorder a maximum is the same in any order
	for _, p := range s.byID {
		end = max(end, p.txnFirst+1)
		if last, ok := p.last(); ok {
			end = max(end, last.lastOffset+1)
		}
	}
	return end
}
