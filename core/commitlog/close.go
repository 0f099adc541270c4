package commitlog

import (
	"fmt"

	"lignum/core/env"
	"lignum/core/record"
)

// Close makes everything durable, leaves a producer snapshot at the log end, and closes the files. Where all that is so already it only
// closes.
type Close struct {
	sync  *Sync // nil: there is nothing to do, or the log has failed
	lane  *writer
	base  record.Offset // of the active segment, whose last index entries are
	index lastEntries
	times lastEntries
	files []env.File
	err   error
}

// lastEntries is what is still to be written to an index file.
type lastEntries struct {
	at      int64
	entries []byte
}

func (t *table) takeLast() lastEntries {
	last := lastEntries{t.at(), t.fresh}
	t.fresh = nil
	return last
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
	c := &Close{lane: l.lane}
	if l.failure == nil {
		s := l.active()
		s.addTime()
		c.base, c.index, c.times = s.base, s.index.takeLast(), s.times.takeLast()
		s.hintDirty = s.hintDirty || len(c.index.entries)+len(c.times.entries) > 0
		if state := l.producers.Snapshot(); !l.asFound(state) {
			c.sync = l.gatherSync(true)
			c.sync.state = state
		}
	}
	for _, s := range l.segments {
		l.retire(&s.file)
	}
	l.cold.forgetAll(l)
	c.files, l.closing = append(l.closing, l.cold.take()...), nil
	for len(l.ring.chunks) > 0 {
		l.ring.dropOldest()
	}
	l.closed = true
	return c
}

// Run does the work. Jobs only, on the write lane.
func (c *Close) Run() {
	if c.sync != nil {
		c.err = c.run()
	}
	c.lane.close() //nolint:errcheck // synced above
	for _, f := range c.files {
		f.Close() //nolint:errcheck // synced above
	}
}

func (c *Close) run() error {
	if err := c.write(indexSuffix, c.index); err != nil {
		return err
	}
	if err := c.write(timesSuffix, c.times); err != nil {
		return err
	}
	c.sync.Run()
	return c.sync.err
}

// write completes an index file.
func (c *Close) write(suffix string, t lastEntries) error {
	if len(t.entries) == 0 {
		return nil
	}
	if err := writeEntries(c.lane.disk, c.lane.dir, c.base, suffix, t.at, t.entries); err != nil {
		return fmt.Errorf("complete index of %s: %w", c.lane.dir, err)
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
		if c.sync != nil && c.sync.doStart {
			l.kept = c.sync.start
		}
	}
	return l.failure
}
