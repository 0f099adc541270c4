package commitlog

import (
	"errors"
	"fmt"
	"hash/crc32"

	"lignum/core/env"
	"lignum/core/record"
)

// scanBlock is how much of a file recovery reads at once. A batch that is larger than mostWhole is checked piece by piece and
// only its header is kept.
const (
	scanBlock = 1 << 20
	mostWhole = 16 << 20
)

// crcFrom is where the part of a batch begins that its checksum covers.
const crcFrom = 21

// scanner reads the batches of a file one after another and checks everything about each that its bytes can tell.
type scanner struct {
	file   env.File
	size   int64 // bytes in the file
	at     int64 // where the next batch starts
	memory []byte
	pos    int64  // position in the file of memory[0]
	have   []byte // what of the file from at on is in memory
	table  *crc32.Table

	// What was never synced is written back as it is read: if an earlier life of the broker died of a failed sync, its pages look
	// clean, and a sync alone would not bring them to the disk (fsyncgate).
	flushed record.Offset // batches that end at or below were synced
	back    int64         // from here to at it is still to be written back; -1: nothing
}

func newScanner(f env.File, size int64, memory []byte, flushed record.Offset) *scanner {
	return &scanner{file: f, size: size, memory: memory, table: crc32.MakeTable(crc32.Castagnoli), flushed: flushed, back: -1}
}

// next reads the batch at s.at and moves on. The batch is valid until the following call; of one larger than mostWhole only the header
// is there. bad says what is wrong with the bytes; err is a failing disk, which says nothing about them.
func (s *scanner) next() (b record.Batch, bad, err error) {
	if len(s.have) < record.HeaderSize {
		if err := s.fill(record.HeaderSize); err != nil {
			return nil, nil, err
		}
	}
	h, bad := parseHeader(s.have)
	if bad != nil {
		return nil, bad, nil
	}
	n := h.size()
	if int64(n) > s.size-s.at {
		return nil, fmt.Errorf("%w: %d bytes of %d are there", record.ErrShort, s.size-s.at, n), nil
	}
	if n > mostWhole {
		return s.streamed(h, n)
	}
	if len(s.have) < n {
		if err := s.fill(n); err != nil {
			return nil, nil, err
		}
	}
	b, _, bad = record.Next(s.have[:n])
	if bad == nil {
		bad = b.CheckCRC()
	}
	if bad != nil {
		return nil, bad, nil
	}
	s.skip(n)
	return b, nil, nil
}

func (s *scanner) skip(n int) {
	s.at += int64(n)
	s.have = s.have[n:]
}

// writeBack writes what was read and is not known to be synced, before memory is used for something else.
func (s *scanner) writeBack() error {
	if s.back < 0 || s.back == s.at {
		return nil
	}
	if err := s.file.WriteAt(s.back, s.memory[s.back-s.pos:s.at-s.pos]); err != nil {
		return fmt.Errorf("write back at %d: %w", s.back, err)
	}
	s.back = s.at
	return nil
}

// fill reads on so that n bytes from s.at on are in memory, or as many as the file has.
func (s *scanner) fill(n int) error {
	if err := s.writeBack(); err != nil {
		return err
	}
	if n > len(s.memory) {
		memory := make([]byte, n)
		copy(memory, s.have)
		s.memory = memory
	} else {
		copy(s.memory, s.have)
	}
	got := len(s.have)
	want := int(min(int64(len(s.memory)), s.size-s.at))
	if err := readFull(s.file, s.memory[got:want], s.at+int64(got)); err != nil {
		return err
	}
	s.pos, s.have = s.at, s.memory[:want]
	return nil
}

// piece reads a piece of a batch that is not held as a whole.
func (s *scanner) piece(at, end int64) ([]byte, error) {
	piece := s.memory[:min(int64(len(s.memory)), end-at)]
	return piece, readFull(s.file, piece, at)
}

// streamed checks a batch that is too large to be held.
func (s *scanner) streamed(h header, n int) (b record.Batch, bad, err error) {
	first := header(append([]byte(nil), h[:record.HeaderSize]...))
	if first.batch().IsControl() {
		return nil, fmt.Errorf("%w: a control batch of %d bytes", record.ErrCorrupt, n), nil
	}
	if err := s.writeBack(); err != nil {
		return nil, nil, err
	}
	end := s.at + int64(n)
	sum := crc32.Checksum(first[crcFrom:], s.table)
	for at := s.at + record.HeaderSize; at < end; {
		piece, err := s.piece(at, end)
		if err != nil {
			return nil, nil, err
		}
		sum = crc32.Update(sum, s.table, piece)
		at += int64(len(piece))
	}
	if sum != first.batch().CRC() {
		return nil, fmt.Errorf("%w: checksum %08x, stored %08x", record.ErrCorrupt, sum, first.batch().CRC()), nil
	}
	for at := s.at; at < end && first.NextOffset() > s.flushed; {
		piece, err := s.piece(at, end)
		if err == nil {
			err = s.file.WriteAt(at, piece)
		}
		if err != nil {
			return nil, nil, err
		}
		at += int64(len(piece))
	}
	s.at, s.have = end, s.memory[:0]
	if s.back >= 0 {
		s.back = end
	}
	return first.batch(), nil, nil
}

// errBeyond says that a batch belongs to the next segment: what a truncation has cut and a loss of power brought back.
var errBeyond = errors.New("batch reaches into the next segment")

// scan reads a segment into x and stops at the first batch that is bad or does not continue the log: its offsets must not lie below
// what came before nor reach limit, and its epoch must not go back. visit is called with every good one.
func (s *scanner) scan(x *indexer, limit record.Offset, visit func(b record.Batch)) (next record.Offset, bad, err error) {
	next = x.base
	epoch := record.NoEpoch
	for s.at < s.size {
		at := s.at
		b, bad, err := s.next()
		if err != nil {
			return next, nil, err
		}
		if bad == nil {
			bad = continues(b, x.base, next, limit, epoch)
		}
		if bad != nil {
			s.at = at
			return next, bad, s.writeBack()
		}
		if e := b.LeaderEpoch(); e >= 0 {
			epoch = e
		}
		if s.back < 0 && b.NextOffset() > s.flushed {
			s.back = s.at
			if b.Size() == int(s.at-at) {
				s.back = at // one that was streamed is written already
			}
		}
		x.add(b.LastOffset(), b.MaxTimestamp(), s.at-at)
		next = b.NextOffset()
		visit(b)
	}
	return next, nil, s.writeBack()
}

// continues says what is wrong with a batch at this place.
func continues(b record.Batch, base, next, limit record.Offset, epoch record.Epoch) error {
	switch {
	case b.BaseOffset() < next:
		return fmt.Errorf("%w: offset %d where at least %d belongs", record.ErrCorrupt, b.BaseOffset(), next)
	case b.NextOffset() > limit:
		return errBeyond
	case b.LastOffset()-base > maxRelative:
		return fmt.Errorf("%w: offset %d in a segment that starts at %d", record.ErrCorrupt, b.LastOffset(), base)
	case b.LeaderEpoch() >= 0 && b.LeaderEpoch() < epoch:
		return fmt.Errorf("%w: epoch %d after %d", record.ErrCorrupt, b.LeaderEpoch(), epoch)
	}
	return nil
}
