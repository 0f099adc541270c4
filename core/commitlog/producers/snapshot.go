package producers

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"lignum/core/record"
)

// A snapshot file holds, big-endian:
//
//	version int16 (1), crc uint32 (CRC-32C of the rest), number of entries int32, and for each
//	id int64, epoch int16, last sequence int32, last offset int64, offset delta int32 of the last batch,
//	timestamp int64, coordinator epoch int32, first offset of the open transaction int64 (-1: none)
//
// Last sequence and offset are -1 and the delta is 0 if no batch of this epoch is known.
//
// Kafka writes one entry for each producer, so that after a restart only its last batch is known as a duplicate. Here the batches
// before it stand in front of it, each in an entry of the same id. Kafka reads such a file too: of several entries the
// last one counts there, which is the one that Kafka itself would have written.
const (
	snapshotVersion = 1
	snapshotAtCRC   = 2
	snapshotAtCount = 6
	snapshotHeader  = 10
	snapshotEntry   = 46
)

// ErrCorrupt: the bytes are not a snapshot, or one that has changed since.
var ErrCorrupt = errors.New("producer snapshot is corrupt")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot encodes the state in the format of Kafka's .snapshot files, the producers in the order of their ids.
func (s *State) Snapshot() []byte {
	out := make([]byte, snapshotHeader, snapshotHeader+snapshotEntry*len(s.byID))
	binary.BigEndian.PutUint16(out, snapshotVersion)
	for _, p := range s.sorted() {
		out = p.appendEntries(out)
	}
	binary.BigEndian.PutUint32(out[snapshotAtCount:], uint32((len(out)-snapshotHeader)/snapshotEntry))
	binary.BigEndian.PutUint32(out[snapshotAtCRC:], crc32.Checksum(out[snapshotAtCount:], castagnoli))
	return out
}

// appendEntries writes one entry for each batch that is known, the last one at the end, or one without a batch.
func (p *producer) appendEntries(out []byte) []byte {
	for i := range p.count - 1 {
		out = p.appendEntry(out, p.batches[i], p.batches[i].timestamp)
	}
	last, ok := p.last()
	if !ok {
		last = batch{lastSequence: record.NoSequence, lastOffset: record.NoOffset}
	}
	return p.appendEntry(out, last, p.timestamp)
}

func (p *producer) appendEntry(out []byte, b batch, timestamp int64) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(p.id))
	out = binary.BigEndian.AppendUint16(out, uint16(p.epoch))
	out = binary.BigEndian.AppendUint32(out, uint32(b.lastSequence))
	out = binary.BigEndian.AppendUint64(out, uint64(b.lastOffset))
	out = binary.BigEndian.AppendUint32(out, uint32(b.delta))
	out = binary.BigEndian.AppendUint64(out, uint64(timestamp))
	out = binary.BigEndian.AppendUint32(out, uint32(p.coordinatorEpoch))
	return binary.BigEndian.AppendUint64(out, uint64(p.txnFirst))
}

// Load takes the place of everything with the content of a snapshot. After an error, which is ErrCorrupt, the state is
// as it was. The age of the producers counts from the next Expire on.
func (s *State) Load(p []byte) error {
	all, err := parse(p)
	if err != nil {
		return err
	}
	fresh := s.New()
	var open []record.Offset
	for _, e := range all {
		if fresh.byID[e.id] != nil {
			return fmt.Errorf("%w: producer %d is in it twice", ErrCorrupt, e.id)
		}
		to := fresh.get(e.id)
		older, newer := to.older, to.newer
		*to = e
		to.older, to.newer = older, newer
		if e.txnFirst >= 0 {
			fresh.idle.remove(to)
			open = append(open, e.txnFirst)
		}
	}
	slices.Sort(open)
	for i, first := range open {
		if i > 0 && open[i-1] == first {
			return fmt.Errorf("%w: two transactions begin at %d", ErrCorrupt, first)
		}
		fresh.txns.open(first)
	}
	*s = *fresh
	return nil
}

// parse reads the producers of a snapshot in the order of their last write, as far as timestamps tell it.
func parse(p []byte) ([]producer, error) {
	if len(p) < snapshotHeader {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(p))
	}
	if version := binary.BigEndian.Uint16(p); version != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d, want %d", ErrCorrupt, version, snapshotVersion)
	}
	if got, want := crc32.Checksum(p[snapshotAtCount:], castagnoli), binary.BigEndian.Uint32(p[snapshotAtCRC:]); got != want {
		return nil, fmt.Errorf("%w: checksum %08x, stored %08x", ErrCorrupt, got, want)
	}
	count := binary.BigEndian.Uint32(p[snapshotAtCount:])
	p = p[snapshotHeader:]
	if uint64(len(p)) != uint64(count)*snapshotEntry {
		return nil, fmt.Errorf("%w: %d bytes for %d producers", ErrCorrupt, len(p), count)
	}
	all := make([]producer, 0, count)
	for ; len(p) > 0; p = p[snapshotEntry:] {
		e, err := parseEntry(p)
		if err != nil {
			return nil, err
		}
		if n := len(all); n > 0 && all[n-1].precedes(&e) {
			last := e.batches[0]
			e.batches, e.count = all[n-1].batches, all[n-1].count
			e.remember(last)
			all[n-1] = e
			continue
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b producer) int { return cmp.Compare(a.timestamp, b.timestamp) })
	return all, nil
}

// precedes reports whether next is about a later batch of the same producer.
func (p *producer) precedes(next *producer) bool {
	return p.id == next.id && p.epoch == next.epoch && p.count > 0 && next.count > 0 &&
		p.batches[p.count-1].lastOffset < next.batches[0].lastOffset
}

func parseEntry(p []byte) (producer, error) {
	e := producer{
		id:               record.ProducerID(binary.BigEndian.Uint64(p)),
		epoch:            record.ProducerEpoch(binary.BigEndian.Uint16(p[8:])),
		timestamp:        int64(binary.BigEndian.Uint64(p[26:])),
		coordinatorEpoch: int32(binary.BigEndian.Uint32(p[34:])),
		txnFirst:         max(record.Offset(binary.BigEndian.Uint64(p[38:])), record.NoOffset),
		received:         -1,
	}
	last := batch{
		lastSequence: int32(binary.BigEndian.Uint32(p[10:])),
		lastOffset:   record.Offset(binary.BigEndian.Uint64(p[14:])),
		delta:        int32(binary.BigEndian.Uint32(p[22:])),
		timestamp:    e.timestamp,
	}
	if e.id < 0 || last.delta < 0 || last.lastSequence < record.NoSequence {
		return e, fmt.Errorf("%w: producer %d, sequence %d, delta %d", ErrCorrupt, e.id, last.lastSequence, last.delta)
	}
	if last.lastOffset >= 0 {
		e.remember(last)
	}
	return e, nil
}
