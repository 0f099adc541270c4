package commitlog

import (
	"fmt"
	"time"

	"lignum/core/commitlog/epochs"
	"lignum/core/commitlog/producers"
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Log is one partition's log. It lives on the loop; see the package comment for what it promises.
//
// Invariants:
//
//	start <= end, recovery point <= written end <= end
//	segments are in the order of their bases, and the last one is never sealed
//	every byte that is not yet written is in a chunk
type Log struct {
	id       record.Partition
	settings Settings
	rand     env.Rand
	ring     ring
	segments []*segment

	start, end record.Offset
	kept       logStart      // what log-start says durably
	written    record.Offset // everything below is in the page cache at least
	recovery   record.Offset // everything below is synced
	journaled  record.Offset // everything below is in the journal, durably
	generation uint64        // counts truncations

	producers   *producers.State
	stale       bool          // a truncation has made the producers unknown until a Writes has rebuilt them
	staleFrom   record.Offset // they will be rebuilt as of here; everything from here on stays in memory until then
	epochs      *epochs.Cache
	epochsDirty bool // the checkpoint file does not say what the cache says

	lane        *writer   // belongs to the write lane
	outstanding []*Writes // taken and not yet given back, in order
	spare       *Writes
	syncing     *Sync // the sync that is under way
	dirDirty    bool  // names have changed since the last sync of the directory
	receipts    bool  // segment-receipts is to be written again
	truncation  truncation
	removes     []record.Offset // bases of segments whose files are to be renamed away
	unlinks     []string        // names that end in .deleted and can be removed
	lagging     []*segment      // segments before the last one that may wait for a Writes
	closing     []env.File      // handles that a job is to close
	cold        *ColdFiles
	rolled      int         // segments that were completed since TakeRolled
	unflushed   env.Instant // when the first append came that no sync has been asked for; Never if none did
	failure     error
	closed      bool
	found       found
}

// truncation is what the next Writes has to do for truncations, beyond what the segments themselves say.
type truncation struct {
	due      bool
	to       record.Offset // the least offset that a truncation went to
	restarts bool          // the log was emptied
	restart  record.Offset // where it starts then
	mark     bool          // truncation-checkpoint is to be written with it
	synced   record.Offset // what it says then
	marked   bool          // truncation-checkpoint exists, or will once the Writes that are out have run
	unmark   bool          // it can be removed
}

// New makes the log of what Open or Create has found. The instant and the time of day are those of now.
func New(r *Recovery, s Settings, mem env.Memory, rand env.Rand, now env.Instant, wall env.Millis) *Log {
	l := &Log{
		id:         r.id,
		settings:   s.normal(),
		rand:       rand,
		ring:       ring{mem: mem, size: leastChunk},
		segments:   r.segments,
		start:      r.start,
		end:        r.end,
		written:    r.end,
		recovery:   r.recovery,
		journaled:  r.recovery,
		producers:  r.producers,
		epochs:     r.epochs,
		lane:       r.lane(),
		dirDirty:   r.dirDirty,
		truncation: truncation{marked: r.marked},
		kept:       r.kept,
		generation: r.generation,
		unflushed:  env.Never,
		cold:       NewColdFiles(defaultCold),

		epochsDirty: r.epochsDirty,
		receipts:    !r.intact,
		found:       r.look(),
	}
	l.kept.offset = max(l.kept.offset, r.start) // the store has it durably
	if r.end > r.recovery {
		l.unflushed = now
	}
	for _, seg := range l.segments {
		age := max(int64(wall-seg.recvWall), 0)
		seg.received = now.Add(-time.Duration(age) * time.Millisecond)
		seg.interval = l.settings.IndexIntervalBytes
		l.limitAge(seg)
	}
	return l
}

// limitAge sets when the segment rolls by age.
func (l *Log) limitAge(s *segment) {
	s.rollMillis = l.settings.SegmentMillis
	if j := l.settings.SegmentJitterMillis; j > 0 {
		s.rollMillis -= int64(l.rand.Uint64() % uint64(j))
	}
}

// Configure changes the settings. They hold from the next append and the next Expire on.
func (l *Log) Configure(s Settings) {
	l.settings = s.normal()
	l.limitAge(l.active())
	l.active().interval = l.settings.IndexIntervalBytes
}

// ID is the partition that the log belongs to.
func (l *Log) ID() record.Partition { return l.id }

// Settings are the settings in force.
func (l *Log) Settings() Settings { return l.settings }

// StartOffset is the first offset that can be read.
func (l *Log) StartOffset() record.Offset { return l.start }

// ReadableStart is the first offset that readers are told of and get: the log start as far as it is durable, so that it does not go back when
// the power fails (R3). What lies between it and StartOffset is still there.
func (l *Log) ReadableStart() record.Offset {
	return max(min(l.start, l.kept.offset), l.segments[0].base)
}

// DurableStart is the log start as far as it survives a loss of power. It follows StartOffset with each sync, but never runs ahead of
// what is flushed, for a log that ends below its start is empty, and what was known of the producers goes with it.
func (l *Log) DurableStart() record.Offset { return l.kept.offset }

// EndOffset is the offset that the next record will get.
func (l *Log) EndOffset() record.Offset { return l.end }

// WrittenEnd: everything below it has been written, to the page cache at least.
func (l *Log) WrittenEnd() record.Offset { return l.written }

// RecoveryPoint: everything below it has been synced in the log's own files.
func (l *Log) RecoveryPoint() record.Offset { return l.recovery }

// DurableEnd: everything below it survives a loss of power, by the log's own files or by the journal.
func (l *Log) DurableEnd() record.Offset { return max(l.recovery, l.journaled) }

// JournaledEnd: everything below it is in the journal, durably, or was below the recovery point when the log was opened.
func (l *Log) JournaledEnd() record.Offset { return l.journaled }

// Failure is why the log accepts nothing any more; nil while it is sound.
func (l *Log) Failure() error { return l.failure }

// Size is the number of bytes in the log's segments, indexes not counted.
func (l *Log) Size() int64 {
	var n int64
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Segments is the number of segments.
func (l *Log) Segments() int { return len(l.segments) }

// Memory is how many bytes of chunks the log holds.
func (l *Log) Memory() int64 { return l.ring.bytes }

// Producers is the producer state as of the log end. While a truncation is under way it is empty, see ErrRebuilding.
func (l *Log) Producers() *producers.State { return l.producers }

// LastStable is the first offset that depends on a transaction whose outcome readers cannot know yet, at most the high
// watermark: of one that is open, or of one whose marker is not below the high watermark.
func (l *Log) LastStable(highWatermark record.Offset) record.Offset {
	return min(highWatermark, l.producers.LastStable(highWatermark))
}

// Unflushed is how many records no sync covers, and since when the oldest of them waits; Never if there are none.
func (l *Log) Unflushed() (records int64, since env.Instant) {
	return int64(l.end - l.recovery), l.unflushed
}

// EpochEnd answers a follower: the largest epoch that is not above e, and where it ended (KIP-279); none if it is not known.
func (l *Log) EpochEnd(e record.Epoch) (record.Epoch, record.Offset) {
	return l.epochs.EndOffset(e, l.end)
}

// EpochAt is the leader epoch of the record at an offset; NoEpoch if that is below all that is known.
func (l *Log) EpochAt(o record.Offset) record.Epoch { return l.epochs.EpochAt(o) }

// LatestEpoch is the last leader epoch that the log knows of; NoEpoch if none.
func (l *Log) LatestEpoch() record.Epoch { return l.epochs.Latest() }

// BeginEpoch notes that the epoch begins at the log end. A new leader does so before it appends anything (KAFKA-7415).
func (l *Log) BeginEpoch(e record.Epoch) {
	if l.epochs.Assign(e, l.end) {
		l.epochsDirty = true
	}
}

// Append gives the batch the next offsets and the leader's epoch and takes a copy of it. The batch itself is not changed.
func (l *Log) Append(b record.Batch, a AppendInfo) (record.Offset, error) {
	if int64(b.Size()) > l.settings.SegmentBytes {
		return record.NoOffset, fmt.Errorf("%w: %d bytes, segments have %d", ErrTooLarge, b.Size(), l.settings.SegmentBytes)
	}
	if l.stale && b.HasProducer() {
		return record.NoOffset, ErrRebuilding
	}
	first := l.end
	return first, l.add(b, first, a.Epoch, a)
}

// AppendAt takes a copy of a batch that has its offsets and epoch already: from a leader, or from the journal.
func (l *Log) AppendAt(b record.Batch, a AppendInfo) error {
	if b.BaseOffset() < l.end {
		return fmt.Errorf("%w: it starts at %d, the log ends at %d", ErrOrder, b.BaseOffset(), l.end)
	}
	if b.Size() > maxSegmentBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, b.Size())
	}
	return l.add(b, b.BaseOffset(), b.LeaderEpoch(), a)
}

// add copies the batch to the end of the log. All that can be refused is refused before anything changes.
func (l *Log) add(b record.Batch, base record.Offset, epoch record.Epoch, a AppendInfo) error {
	switch {
	case l.failure != nil:
		return l.failure
	case l.closed:
		return ErrClosed
	}
	n := b.Size()
	last := base + record.Offset(b.LastOffsetDelta())
	s := l.active()
	if s.mustRoll(&l.settings, int64(n), last, b.MaxTimestamp(), a.Wall) {
		s = l.roll(base, last, a)
	}
	c, room := l.ring.room(s, n, l.end, a.Now)
	copy(room, b)
	b = record.Batch(room)
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(epoch)
	c.took(base, last+1, n)
	s.trail.note(l.end, s.size, l.settings.SegmentBytes)
	s.add(last, b.MaxTimestamp(), int64(n))
	s.next, s.received, s.recvWall = last+1, a.Now, a.Wall
	l.end = last + 1
	if l.unflushed == env.Never {
		l.unflushed = a.Now
	}
	if epoch >= 0 && l.epochs.Assign(epoch, base) {
		l.epochsDirty = true
	}
	if !l.stale {
		l.apply(s, b, int64(a.Now)/int64(time.Millisecond))
	}
	return nil
}

// apply tells the producer state of a batch, and the transaction index of the transaction that it aborts.
func (l *Log) apply(s *segment, b record.Batch, now int64) {
	aborted, ok := l.producers.Apply(b, now)
	if !ok {
		return
	}
	s.txns.fresh = appendAborted(s.txns.fresh, aborted)
	s.aborted = appendAborted(s.aborted, aborted)
	s.txns.size += txnsEntry
	if s.sealed {
		l.lagging = append(l.lagging, s)
	}
}

// active is the segment that appends go to.
func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }

// fail makes an error final: the log takes no appends and starts no I/O from now on.
func (l *Log) fail(err error) error {
	if l.failure == nil {
		l.failure = fmt.Errorf("log %s: %w", l.id, err)
	}
	return l.failure
}

// check stops the program if the offsets contradict each other.
func (l *Log) check() {
	if l.start > l.end || l.recovery > l.written || l.written > l.end {
		invariant.Violated("log %s: start %d, recovery point %d, written %d, end %d", l.id, l.start, l.recovery, l.written, l.end)
	}
}
