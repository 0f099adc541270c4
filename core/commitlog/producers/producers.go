// Package producers holds what one partition knows of its idempotent and transactional producers: which sequences it has
// seen, so that a retry is not appended twice, and which transactions are open, so that readers wait for their outcome.
//
// The state is a fold of the log: Check decides about a batch and changes nothing, Apply takes a batch that is in the
// log and cannot refuse (P4). After a truncation the state is built anew, from the newest snapshot that is not above the
// cut and the batches behind it. A snapshot keeps all batches that are remembered.
//
// Invariants:
//
//   - At most Options.MaxProducers producers are kept, plus those with an open transaction.
//   - A producer with an open transaction is never forgotten.
//   - Deleting old records does not forget their producers: only expiry and the bound do. A retry is recognised
//     whatever retention did.
package producers

import (
	"errors"

	"lignum/core/record"
)

// Errors of Check, wrapped with what was found; test for them with errors.Is.
var (
	// ErrOutOfOrderSequence: the batch does not follow the producer's last one and is none of the last few either.
	ErrOutOfOrderSequence = errors.New("out of order sequence")
	// ErrInvalidProducerEpoch: a later life of the producer has been here.
	ErrInvalidProducerEpoch = errors.New("producer epoch is too old")
	// ErrUnknownProducer: the batch does not start at sequence 0 and nothing is known of its producer.
	ErrUnknownProducer = errors.New("unknown producer")
	// ErrInvalidTransaction: a batch outside of any transaction while the producer's transaction is open.
	ErrInvalidTransaction = errors.New("batch is not part of the open transaction")
	// ErrCoordinatorFenced: a marker of a transaction coordinator that has been replaced.
	ErrCoordinatorFenced = errors.New("transaction coordinator is fenced")
)

// DefaultMaxProducers bounds the state of one partition to about 25 MB.
const DefaultMaxProducers = 100_000

// keptBatches is how many batches of a producer are remembered: as many as a client may have in flight.
const keptBatches = 5

// Options set the rules of a State. The zero value is Kafka's behaviour, with a bound.
type Options struct {
	// MaxProducers is how many producers are kept; beyond it the one that wrote least recently is forgotten.
	// 0 means DefaultMaxProducers.
	MaxProducers int
	// RejectUnknown refuses a batch of an unknown producer that does not start at sequence 0 (P6): it may be a retry of
	// a batch that was appended before the producer was forgotten.
	//
	// It is off by default, as in Kafka, because it breaks clients and has little left to protect. An unknown
	// producer in mid-sequence is a client whose topic was deleted and created again, or one that wrote nothing
	// for longer than producer.id.expiration.ms, when no retry of its can still be under way. (Retention,
	// DeleteRecords, restarts and elections forget nobody here.) What clients do with UNKNOWN_PRODUCER_ID: Java
	// bumps its epoch and goes on, but aborts a transaction; franz-go resets; librdkafka resets unless a message
	// of the batch was sent before, which is common around a topic's deletion, and is then dead for good;
	// sarama reports the messages as failed.
	RejectUnknown bool
}

// State is the state of one partition's producers.
type State struct {
	options Options
	byID    map[record.ProducerID]*producer
	idle    recency // those without an open transaction
	txns    transactions
}

// batch is what is remembered of a batch. Its sequences and offsets count alike.
type batch struct {
	lastSequence int32 // NoSequence if the batch came without
	delta        int32 // last offset less first
	lastOffset   record.Offset
	timestamp    int64 // greatest of the records
}

// firstSequence is NoSequence if the batch came without.
func (b batch) firstSequence() int32 {
	if b.lastSequence < 0 {
		return record.NoSequence
	}
	return int32(uint32(b.lastSequence-b.delta) & 0x7fffffff)
}

// producer is one entry of the state.
type producer struct {
	id               record.ProducerID
	epoch            record.ProducerEpoch
	coordinatorEpoch int32         // of the last marker; -1 before the first
	txnFirst         record.Offset // first offset of the open transaction; NoOffset if none is open
	timestamp        int64         // of the last batch or marker, as the log has it
	received         int64         // when it came, by the clock of Apply and Expire, which is monotonic; -1 if unknown
	batches          [keptBatches]batch
	count            int // batches known of this epoch, the oldest first

	older, newer *producer // in State.idle
}

func (p *producer) last() (batch, bool) {
	if p.count == 0 {
		return batch{}, false
	}
	return p.batches[p.count-1], true
}

func (p *producer) remember(b batch) {
	if p.count == keptBatches {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = b
	p.count++
}

// begin starts a life of the producer, which forgets the batches of another one.
func (p *producer) begin(e record.ProducerEpoch) {
	if p.epoch != e {
		p.epoch, p.count = e, 0
	}
}

// New makes an empty state.
func New(o Options) *State {
	if o.MaxProducers <= 0 {
		o.MaxProducers = DefaultMaxProducers
	}
	return &State{options: o}
}

// New makes an empty state with the same options.
func (s *State) New() *State { return New(s.options) }

// Empty reports whether nothing is known.
func (s *State) Empty() bool { return len(s.byID) == 0 && s.txns.empty() }

// Len is the number of producers.
func (s *State) Len() int { return len(s.byID) }

// Greatest is the greatest producer id that is remembered, NoProducer if there is none.
func (s *State) Greatest() record.ProducerID {
	greatest := record.NoProducer
	//house:anyorder the maximum is the same in any order
	for id := range s.byID {
		greatest = max(greatest, id)
	}
	return greatest
}

// get finds a producer or makes it.
func (s *State) get(id record.ProducerID) *producer {
	if p := s.byID[id]; p != nil {
		return p
	}
	if s.byID == nil {
		s.byID = make(map[record.ProducerID]*producer)
	}
	for len(s.byID) >= s.options.MaxProducers && s.idle.oldest != nil {
		s.forget(s.idle.oldest)
	}
	p := &producer{
		id:               id,
		epoch:            record.NoProducerEpoch,
		coordinatorEpoch: -1,
		txnFirst:         record.NoOffset,
		timestamp:        record.NoTimestamp,
	}
	s.byID[id] = p
	s.idle.push(p)
	return p
}

func (s *State) forget(p *producer) {
	s.idle.remove(p)
	delete(s.byID, p.id)
}

// Expire forgets the producers that have written nothing for ttl milliseconds and have no open transaction, and says how
// many they were. Time that passed before a producer was loaded or replayed does not count: it may be
// forgotten late, never early. The same holds if the clock has gone back.
func (s *State) Expire(now, ttlMillis int64) int {
	n := 0
	for p := s.idle.oldest; p != nil; {
		next := p.newer
		if p.received < 0 || p.received > now {
			p.received = now
		} else if now-p.received >= ttlMillis {
			s.forget(p)
			n++
		}
		p = next
	}
	return n
}

// recency is a list of producers in the order of their last write.
type recency struct {
	oldest, newest *producer
}

func (r *recency) push(p *producer) {
	p.older, p.newer = r.newest, nil
	if r.newest != nil {
		r.newest.newer = p
	} else {
		r.oldest = p
	}
	r.newest = p
}

func (r *recency) remove(p *producer) {
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		r.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		r.newest = p.older
	}
	p.older, p.newer = nil, nil
}
