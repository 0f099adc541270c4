package storage

import (
	"fmt"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
)

// Log is one partition's log in the store's care. What it reads is the embedded log's; what it changes goes through the methods here,
// which see to it that the change is written. TakeWrites, TakeSync and their like are the store's alone.
type Log struct {
	*commitlog.Log
	store  *Store
	id     record.Partition
	topic  string
	dir    string
	policy config.FlushPolicy
	flush  flushBounds

	highWatermark record.Offset
	advance       func()
	touched       bool // is in store.touched
	dirty         bool // is in store.dirty
	gone          bool // deleted or offline
	damaged       bool // its files do not hold what was written: see damage
	released      bool // and the checkpoints say so durably

	taken    record.Offset // log end at the last TakeWrites
	pending  int64         // bytes appended since
	joined   bool          // the journal holds everything of this log from base on
	cut      bool          // a truncation waits for a turn
	behind   int           // items of turns that start with a truncation, or follow one, and are not in the journal yet
	cutsOut  int           // those that start with a truncation and are not written
	late     []item        // written, but not in the journal
	unsaid   bool          // it was cut in an earlier life, and the journal has entries that do not know
	known    record.Offset // the end of what was durable, by what the checkpoints or the last anchor say
	starts   []startWait
	restEnd  record.Offset // its rest files are needed until everything below is durable
	lastCut  uint64        // sequence of its last truncation
	base     record.Offset // where it joined; what is below must be durable before anything above counts (S3)
	gate     uint64        // sequence that must be durable before commits count; open if 0, gateShut while the sync is awaited
	reached  commitlog.Mark
	hasMark  bool
	last     uint64 // sequence of its last entry
	written  uint64 // sequence of the last entry whose bytes are in the log's own files
	synced   uint64 // sequence of the last entry that is durable there
	wantSync bool   // is in store.syncs
	syncing  bool

	deleteDelay     time.Duration // file.delete.delay.ms
	used            env.Instant   // last append
	held            int64         // bytes of chunks, as the store counts them
	fresher, staler *Log          // neighbours in the order of use
	flushAt         env.Instant
	replay          replayState
	awaited         record.Offset // then is called when everything below is durable
	then            func()
	checkpointedSeq uint64 // synced when the checkpoints were last written
}

const gateShut = 1<<64 - 1

// flushBounds are flush.messages and flush.ms.
type flushBounds struct {
	messages int64
	millis   int64
}

// Topic is the topic's name.
func (l *Log) Topic() string { return l.topic }

// Dir is the log's directory.
func (l *Log) Dir() string { return l.dir }

// OnAdvance sets the function that is called on the loop when WrittenEnd or DurableEnd has moved, or the log has failed.
func (l *Log) OnAdvance(f func()) { l.advance = f }

// HighWatermark is what the partition last said, or where the log was cut, if that is less; at first what the checkpoint says. It lies within
// the log.
func (l *Log) HighWatermark() record.Offset { return l.highWatermark }

// SetHighWatermark moves it: retention and the checkpoint go by it.
func (l *Log) SetHighWatermark(o record.Offset) { l.highWatermark = o }

// WhenDurable calls then once everything that the log holds now counts as flushed, see FlushedEnd, or the log turns out to be damaged, or is deleted; never if the store
// fails before. It is for a log that was just opened: what was written by the process before, and may have been seen, is known to be durable only
// up to the last checkpoint.
func (l *Log) WhenDurable(then func()) {
	if l.FlushedEnd() >= l.EndOffset() || l.damaged {
		then()
		return
	}
	l.awaited, l.then = l.EndOffset(), then
	l.store.want(l)
}

// settle calls whoever waits in WhenDurable.
func (l *Log) settle() {
	if then := l.then; then != nil && (l.FlushedEnd() >= l.awaited || l.damaged || l.gone && l.store.failure == nil) {
		l.then = nil
		then()
	}
}

// Policy is the flush policy in force.
func (l *Log) Policy() config.FlushPolicy { return l.policy }

// SafeEnd is the end of what counts for acks=all: under sync durable, and the next start will know that it was; under async written, unless more than
// flush.messages records would be at stake: then it waits for the sync. It never lies inside a batch.
func (l *Log) SafeEnd() record.Offset {
	durable := min(l.DurableEnd(), l.EndOffset())
	if l.policy != config.Async {
		return min(durable, l.knownEnd())
	}
	if l.flush.messages < int64(l.WrittenEnd()-durable) {
		return durable
	}
	return l.WrittenEnd()
}

// FlushedEnd is the end of what is on stable storage, whatever the policy; under sync the next start will know that it was.
func (l *Log) FlushedEnd() record.Offset { return min(l.DurableEnd(), l.EndOffset(), l.knownEnd()) }

// Flush asks for a sync of what is written by now. OnAdvance's function is called behind it.
func (l *Log) Flush() { l.store.want(l) }

// Failure is why the log takes nothing any more: an error of its own, or one of the whole store.
func (l *Log) Failure() error {
	if l.store.failure != nil {
		return l.store.failure
	}
	return l.Log.Failure()
}

// knownEnd is the end of what the journal or the checkpoints say to have been durable. A sync of the log's own files that is faster than the
// commit does not count: nothing durable tells of it before the next checkpoint, and a medium that has lost a part of those files would show what a
// torn end looks like. The start would cut the log there and find nothing in the journal to put back (L7).
func (l *Log) knownEnd() record.Offset {
	switch {
	case l.policy == config.Async:
		return l.EndOffset()
	case !l.joined, l.gate != 0:
		return l.known
	}
	return max(l.base, l.JournaledEnd())
}

// Configure applies a topic's settings. A log that changes to sync is synced first; until then SafeEnd does not move past what is durable.
func (l *Log) Configure(t config.Topic) {
	l.Log.Configure(settingsOf(t))
	l.flush = flushBounds{t.FlushMessages, t.FlushMillis}
	if t.FlushPolicy == config.Sync && l.policy != config.Sync {
		l.store.want(l)
	}
	l.policy = t.FlushPolicy
	l.store.say(l)
	l.deleteDelay = time.Duration(min(t.FileDeleteDelayMillis, int64(longest/time.Millisecond))) * time.Millisecond
	l.store.armFlush(l)
}

// Append takes a copy of the batch, with the next offsets and the leader's epoch.
func (l *Log) Append(b record.Batch, a commitlog.AppendInfo) (record.Offset, error) {
	if err := l.refuse(); err != nil {
		return record.NoOffset, err
	}
	a = l.store.stamp(a)
	first, err := l.Log.Append(b, a)
	if err == nil {
		l.took(b, a.Now)
	}
	return first, err
}

// AppendAt takes a copy of a batch that has its offsets already.
func (l *Log) AppendAt(b record.Batch, a commitlog.AppendInfo) error {
	if err := l.refuse(); err != nil {
		return err
	}
	a = l.store.stamp(a)
	err := l.Log.AppendAt(b, a)
	if err == nil {
		l.took(b, a.Now)
	}
	return err
}

func (l *Log) refuse() error {
	if err := l.Failure(); err != nil {
		return err
	}
	if l.store.state >= stopping || l.gone {
		return fmt.Errorf("log %s: %w", l.id, commitlog.ErrClosed)
	}
	return nil
}

// took accounts for an append.
func (l *Log) took(b record.Batch, now env.Instant) {
	s := l.store
	l.pending += int64(b.Size())
	s.unwritten += int64(b.Size())
	s.markDirty(l)
	s.memory.use(l, now)
	if s.memory.held > s.memory.limit {
		s.memory.bound(s) // now: the next append of this drain may use the same memory again
	}
	s.armFlush(l)
}

// BeginEpoch notes that a leader epoch begins at the log end.
func (l *Log) BeginEpoch(e record.Epoch) {
	l.Log.BeginEpoch(e)
	l.store.markDirty(l)
}

// TruncateTo removes everything from the offset on.
func (l *Log) TruncateTo(o record.Offset) {
	l.cut = l.cut || o < l.EndOffset()
	l.Log.TruncateTo(o)
	l.truncated()
}

// TruncateFullyAndStartAt removes everything; the log is empty and starts at the offset.
func (l *Log) TruncateFullyAndStartAt(o record.Offset) {
	l.cut = true
	l.Log.TruncateFullyAndStartAt(o)
	l.truncated()
}

// AdvanceStart moves the log start forward, at most to the log end; done is called once that is durable. Files are removed behind that.
func (l *Log) AdvanceStart(o record.Offset, done func(error)) {
	if err := l.refuse(); err != nil {
		done(err)
		return
	}
	l.Log.AdvanceStart(o)
	l.starts = append(l.starts, startWait{min(o, l.EndOffset()), done})
	l.store.memory.count(l)
	l.store.want(l)
}

// startWait is somebody who waits for a log start to be durable.
type startWait struct {
	offset record.Offset
	done   func(error)
}

// settleStarts answers those whose log start is durable, or has been made void by a truncation below it.
func (l *Log) settleStarts() {
	kept := l.starts[:0]
	var done []startWait
	for _, w := range l.starts {
		if w.offset <= l.DurableStart() || w.offset > l.StartOffset() {
			done = append(done, w)
		} else {
			kept = append(kept, w)
		}
	}
	l.starts = kept
	if len(kept) > 0 {
		l.store.want(l)
	}
	if len(done) > 0 {
		l.store.checkpoint(func(err error) { // a truncation may void what the log itself notes
			for _, w := range done {
				w.done(err)
			}
		})
	}
}

func (l *Log) truncated() {
	l.highWatermark = min(l.highWatermark, l.EndOffset())
	l.restEnd = min(l.restEnd, l.EndOffset())
	l.store.markDirty(l)
}

// markDirty makes the log part of the next turn.
func (s *Store) markDirty(l *Log) {
	if !l.dirty && !l.gone {
		l.dirty = true
		s.dirty = append(s.dirty, l)
	}
}

// settingsOf takes what a log needs out of a topic's configuration.
func settingsOf(t config.Topic) commitlog.Settings {
	return commitlog.Settings{
		SegmentBytes:        int64(t.SegmentBytes),
		SegmentMillis:       t.SegmentMillis,
		SegmentJitterMillis: t.SegmentJitterMillis,
		IndexBytes:          int64(t.SegmentIndexBytes),
		IndexIntervalBytes:  int64(t.IndexIntervalBytes),
		RetentionMillis:     t.RetentionMillis,
		RetentionBytes:      t.RetentionBytes,
		Delete:              t.CleanupDelete,
		Compact:             t.CleanupCompact,
	}
}

// Finish takes back a read that a job has gone on with. It may have found an index that has to be built anew.
func (l *Log) Finish(j *commitlog.ReadJob) (commitlog.ReadResult, *commitlog.ReadJob, error) {
	l.store.markDirty(l)
	return l.Log.Finish(j)
}
