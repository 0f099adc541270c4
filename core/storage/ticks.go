package storage

import (
	"time"

	"lignum/core/config"
	"lignum/core/env"
)

// dues are the instants at which background work is due.
type dues struct {
	checkpoint env.Instant
	watermark  env.Instant
	retention  env.Instant
	producers  env.Instant
	idle       env.Instant
	flush      env.Instant // least of the logs' flushAt, or earlier
	remove     env.Instant // least of the removals', or earlier
}

func (d *dues) clear() {
	*d = dues{env.Never, env.Never, env.Never, env.Never, env.Never, env.Never, env.Never}
}

func (d *dues) least() env.Instant {
	return min(d.checkpoint, d.watermark, d.retention, d.producers, d.idle, d.flush, d.remove)
}

// begin sets the first instants, when the store becomes ready.
func (d *dues) begin(o *Options, now env.Instant) {
	d.checkpoint = now.Add(o.CheckpointInterval)
	d.watermark = now.Add(o.WatermarkInterval)
	d.retention = now.Add(o.RetentionInterval)
	d.producers = now.Add(o.ProducerInterval)
	d.idle = now.Add(o.IdleChunks)
}

// Deadline is when Tick is wanted next.
func (s *Store) Deadline() env.Instant {
	if s.failure != nil || s.state != running {
		return env.Never
	}
	return s.due.least()
}

// Tick does what is due. Jobs that it decides on start with the next EndDrain.
func (s *Store) Tick() {
	if s.failure != nil || s.state != running {
		return
	}
	now := s.Clock.Now()
	d := &s.due
	if d.flush <= now {
		s.flushDue(now)
	}
	if d.checkpoint <= now {
		d.checkpoint = now.Add(s.o.CheckpointInterval)
		s.syncAll()
	}
	if d.watermark <= now {
		d.watermark = now.Add(s.o.WatermarkInterval)
		s.checkpoint(func(error) {})
	}
	if d.retention <= now {
		d.retention = now.Add(s.o.RetentionInterval)
		s.expire(now)
	}
	if d.producers <= now {
		d.producers = now.Add(s.o.ProducerInterval)
		for _, l := range s.order {
			// By the monotonic clock: when the time of day jumps, retries may be on their way all the same (P1).
			l.Producers().Expire(int64(now)/int64(time.Millisecond), s.o.ProducerTTL.Milliseconds())
		}
	}
	if d.idle <= now {
		d.idle = min(s.memory.releaseIdle(s.o.IdleChunks, now), now.Add(s.o.IdleChunks))
	}
	if d.remove <= now {
		s.removeDue(now)
	}
}

// syncAll asks for a sync of every log that has something, and for the checkpoints behind them.
func (s *Store) syncAll() {
	for _, l := range s.order {
		if l.EndOffset() > l.RecoveryPoint() {
			s.want(l)
		}
	}
	s.checkpoint(func(error) {})
}

// expire runs retention over all logs. A segment is not dropped while the high watermark is below its end. The files go when the new log
// start is durable, which takes a sync.
func (s *Store) expire(now env.Instant) {
	for _, l := range s.order {
		if l.Expire(now, l.highWatermark) > 0 {
			s.memory.count(l)
			s.want(l)
			s.touch(l)
		}
	}
	s.notify()
}

// armFlush makes sure that flush.messages and flush.ms of a log under async are kept. Under sync the journal keeps the records.
func (s *Store) armFlush(l *Log) {
	if l.policy != config.Async {
		return
	}
	records, _ := l.Unflushed()
	if records >= l.flush.messages {
		s.want(l)
	}
	l.flushAt = l.nextFlush()
	s.due.flush = min(s.due.flush, l.flushAt)
}

// nextFlush is when flush.ms wants the log synced.
func (l *Log) nextFlush() env.Instant {
	_, since := l.Unflushed()
	if l.policy != config.Async || since == env.Never || l.flush.millis > int64(longest/time.Millisecond) {
		return env.Never
	}
	return since.Add(time.Duration(l.flush.millis) * time.Millisecond)
}

// flushDue asks for the syncs that flush.ms wants by now.
func (s *Store) flushDue(now env.Instant) {
	next := env.Never
	for _, l := range s.order {
		if l.flushAt <= now {
			s.want(l)
			l.flushAt = env.Never
		}
		next = min(next, l.flushAt)
	}
	s.due.flush = next
}
