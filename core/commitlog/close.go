package commitlog

import (
	"fmt"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// Close makes everything durable, leaves a producer snapshot at the log end, and closes the files.
type Close struct {
	sync     *Sync
	lane     *writer
	times    env.File // the active segment's time index
	at       int64    // where its last entry goes
	entry    []byte
	end      record.Offset
	snapshot []byte
	files    []env.File
	clean    bool // nothing has failed before
	err      error
}

// TakeClose ends the log: it takes no more appends. It is nil while a Writes or a Sync is out, or something waits for a Writes: run and
// give back what TakeWrites and TakeSync return until both return nil, and ask again. If the log has failed, its files are closed and
// nothing else.
func (l *Log) TakeClose() *Close {
	if len(l.outstanding) > 0 || l.syncing != nil || l.closed {
		return nil
	}
	if l.failure == nil && (l.due() || l.stale) {
		return nil
	}
	c := &Close{lane: l.lane, clean: l.failure == nil}
	if c.clean {
		s := l.active()
		s.addTime()
		c.at, c.entry, c.times = s.times.at(), s.times.fresh, s.files.times
		s.times.fresh = nil
		c.sync, c.end, c.snapshot = l.gatherSync(true), l.end, l.producers.Snapshot()
	}
	for _, s := range l.segments {
		l.retire(&s.files)
	}
	for len(l.cold.open) > 0 {
		l.cold.forget(l.cold.open[0].base, &l.closing)
	}
	c.files, l.closing = l.closing, nil
	for len(l.ring.chunks) > 0 {
		l.ring.dropOldest()
	}
	l.closed = true
	return c
}

// Run does the work. Jobs only, on the write lane.
func (c *Close) Run() {
	if c.clean {
		c.err = c.run()
	}
	c.lane.files.close() //nolint:errcheck // synced above
	for _, f := range c.files {
		f.Close() //nolint:errcheck // synced above
	}
}

func (c *Close) run() error {
	if len(c.entry) > 0 {
		if err := c.times.WriteAt(c.at, c.entry); err != nil {
			return fmt.Errorf("write time index of %s: %w", c.lane.dir, err)
		}
	}
	c.sync.Run()
	if c.sync.err != nil {
		return c.sync.err
	}
	if err := checkpoint.Write(c.lane.disk, c.lane.dir, fileName(c.end, snapshotSuffix), c.snapshot); err != nil {
		return fmt.Errorf("write producer snapshot: %w", err)
	}
	return nil
}

// Closed takes back a Close that has run. Only without an error was it a clean stop.
func (l *Log) Closed(c *Close) error {
	if c.err != nil {
		l.fail(c.err)
	}
	if l.failure == nil {
		l.recovery = l.end
		if c.sync.doStart {
			l.kept = c.sync.start
		}
	}
	return l.failure
}
