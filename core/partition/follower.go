package partition

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/record"
	"lignum/core/wire"
)

// Errors of a fetch's answer, wrapped; test for them with errors.Is.
var (
	// ErrRefused: the leader has answered with an error code. See FetchError.
	ErrRefused = errors.New("the leader refuses the fetch")
	// ErrBadAnswer: the leader sends what no leader may send. Nothing of it from the fault on has been taken.
	ErrBadAnswer = errors.New("the answer to a fetch cannot be right")
	// ErrNoCommonPoint: the two logs have nothing in common that epochs could tell. Nothing is cut on a guess.
	ErrNoCommonPoint = errors.New("the leader's log and this one cannot be compared")
)

// FetchState is what a follower asks for next, and what it says of itself by that.
type FetchState struct {
	Offset           record.Offset // everything below is safe here: durable under the policy sync (D3)
	LeaderEpoch      record.Epoch
	LastFetchedEpoch record.Epoch // of the record before Offset; -1 if there is none
	LogStart         record.Offset
}

// fetches reports whether the replica follows a leader and all that it holds is safe.
func (p *Partition) fetches() bool {
	return p.cluster != nil && p.log != nil && !p.leads() && p.state.Leader >= 0 && p.log.SafeEnd() >= p.log.EndOffset()
}

// joinsUnflushed reports whether the next fetch might bring the replica into the ISR with records that it has not flushed. Those that are in it
// may be taken out when this one is there, and their files go: what they have flushed, and what was acknowledged under the policy sync before the
// topic came under async, would be in page caches alone (D1). As long as the log ends below what the leader has said to be committed nobody lets the
// replica in, so a copy is not flushed on the way.
func (p *Partition) joinsUnflushed() bool {
	return !slices.Contains(p.state.ISR, p.self) && p.log.EndOffset() >= p.committed && p.log.FlushedEnd() < p.log.EndOffset()
}

// FetchState is the next fetch of a follower. It is not ok while the replica follows nobody, or while what it has appended is on its way to
// the disk: a fetch at the log end would say that all of it is safe, and, of a replica that is to join the ISR, flushed.
func (p *Partition) FetchState() (s FetchState, ok bool) {
	if !p.fetches() || p.joinsUnflushed() {
		return FetchState{}, false
	}
	return FetchState{
		Offset: p.log.EndOffset(), LeaderEpoch: p.state.LeaderEpoch, LastFetchedEpoch: p.log.LatestEpoch(),
		LogStart: p.log.ReadableStart(),
	}, true
}

// Fetched takes in the answer to a fetch that was sent with the given state. An answer that comes too late, after another leader epoch has
// begun or the log has changed, is dropped. After an error the replica is as it was, or has taken a part of the answer.
func (p *Partition) Fetched(sent FetchState, r *wire.FetchResult) error {
	if !p.awaits(sent) {
		return nil
	}
	var err error
	switch {
	case r.Error == wire.OffsetOutOfRange:
		err = p.restartAt(record.Offset(r.LogStart))
	case r.Error != wire.None:
		err = fmt.Errorf("%w: %w", ErrRefused, FetchError(r.Error))
	case r.Diverging != nil:
		// Neither the mark nor the log start of this answer is for a log that has not been cut yet (RP13).
		err = p.cut(record.Epoch(r.Diverging.Epoch), record.Offset(r.Diverging.EndOffset), record.Offset(r.LogStart))
	default:
		if err = p.take(r.Records); p.log != nil {
			p.learn(record.Offset(r.HighWatermark), record.Offset(r.LogStart))
		}
	}
	if p.log != nil {
		p.check()
	}
	return err
}

// FetchError is the code of an ErrRefused.
type FetchError wire.ErrorCode

// Error implements error.
func (e FetchError) Error() string { return wire.ErrorCode(e).Message() }

// awaits reports whether the answer to a fetch still fits the replica.
func (p *Partition) awaits(sent FetchState) bool {
	return p.log != nil && !p.leads() && p.state.Leader >= 0 && sent.LeaderEpoch == p.state.LeaderEpoch &&
		sent.Offset == p.log.EndOffset() && sent.LastFetchedEpoch == p.log.LatestEpoch() && p.log.Failure() == nil
}

// take appends what the leader has sent. The last batch may be cut short.
func (p *Partition) take(records []byte) error {
	for len(records) > 0 {
		b, rest, err := record.Next(records)
		if errors.Is(err, record.ErrShort) {
			return nil
		}
		if err == nil {
			err = b.CheckCRC()
		}
		if err == nil {
			err = p.fits(b)
		}
		if err != nil {
			return fmt.Errorf("%w: at offset %d: %w", ErrBadAnswer, p.log.EndOffset(), err)
		}
		if err := p.appendAt(b); err != nil {
			return err
		}
		records = rest
	}
	return nil
}

// fits checks what a leader's log promises: epochs that do not fall (L3) and none above the leader's own.
func (p *Partition) fits(b record.Batch) error {
	epoch, last := b.LeaderEpoch(), p.log.LatestEpoch()
	if epoch < last || epoch > p.state.LeaderEpoch {
		return fmt.Errorf("leader epoch %d, want %d to %d", epoch, last, p.state.LeaderEpoch)
	}
	return nil
}

// appendAt appends one batch. A log that is empty may get a first one that begins below its start: the leader's log start lies in its middle.
func (p *Partition) appendAt(b record.Batch) error {
	start, end := p.log.StartOffset(), p.log.EndOffset()
	if base := b.BaseOffset(); base < end && start == end && b.NextOffset() > end {
		p.log.TruncateFullyAndStartAt(base)
		if err := p.log.AppendAt(b, commitlog.AppendInfo{}); err != nil {
			p.wake()
			return err
		}
		p.log.SetHighWatermark(start)
		p.log.AdvanceStart(start, func(error) {})
		return nil
	}
	return p.log.AppendAt(b, commitlog.AppendInfo{})
}

// learn takes over the leader's high watermark as far as the log goes (DM04), and its log start (R3).
func (p *Partition) learn(mark, start record.Offset) {
	p.committed = max(p.committed, mark)
	if mark = min(mark, p.log.EndOffset()); mark > p.log.HighWatermark() {
		p.raise(mark)
	}
	if start = min(start, p.log.HighWatermark()); start > p.log.StartOffset() {
		p.log.AdvanceStart(start, func(error) {})
	}
}

// cut truncates the log to where it and the leader's part at the latest, given the greatest epoch there that is not above the last one here, and
// its end. If that epoch is not here, everything behind the one before it goes: the leader's end may lie within a batch of this log. There may be
// more to cut then; the next fetch will tell. Where the leader's log has forgotten the epoch its end is no boundary of anything here: what the two
// could have in common lies before the leader's log start, and this log begins anew there; unless all of it up to there is known to be what was committed,
// and must not be lost for a moment.
func (p *Partition) cut(epoch record.Epoch, end, start record.Offset) error {
	if end >= 0 && (end < start || end == start && !p.holdsCommitted()) {
		p.startAt(start)
		return nil
	}
	known, to := p.log.EpochEnd(epoch)
	if epoch < 0 || end < 0 || to < 0 {
		return fmt.Errorf("%w: epoch %d ends at %d", ErrNoCommonPoint, epoch, end)
	}
	if known == epoch {
		to = min(to, end)
	}
	if epoch == p.log.LatestEpoch() && to >= p.log.EndOffset() {
		return fmt.Errorf("%w: nothing is to be cut at %d", ErrNoCommonPoint, to) // one of the two has not heard yet who is in sync
	}
	p.log.TruncateTo(to) // the mark with it: it lies behind the cut only if an unclean election has given up committed records
	p.wake()
	return nil
}

// holdsCommitted: the replica is in sync or eligible.
func (p *Partition) holdsCommitted() bool {
	return slices.Contains(p.state.ISR, p.self) || slices.Contains(p.state.ELR, p.self)
}

// restartAt empties a log that ends before the leader's begins. It can be no member of the ISR: that holds everything up to the high watermark,
// which no log start passes.
func (p *Partition) restartAt(start record.Offset) error {
	end := p.log.EndOffset()
	if start < 0 || end >= start && p.log.StartOffset() < end {
		return fmt.Errorf("%w: this one ends at %d, that one starts at %d", ErrNoCommonPoint, end, start)
	}
	p.startAt(start)
	return nil
}

// startAt empties the log; it begins anew at an offset.
func (p *Partition) startAt(start record.Offset) {
	p.log.TruncateFullyAndStartAt(start)
	p.log.SetHighWatermark(start)
	p.wake()
}

// Flushing reports whether a follower waits for what it has appended to be safe.
func (p *Partition) Flushing() bool {
	return p.log != nil && !p.leads() && p.log.SafeEnd() < p.log.EndOffset()
}
