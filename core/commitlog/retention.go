package commitlog

import (
	"fmt"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/record"
)

// Expire removes the segments that are too old or too many, oldest first, never beyond the high watermark, and says how many. If the
// active segment is among them the log goes on in a new one first. A segment's age counts from when its last batch came (L9).
// The log start moves at once, see AdvanceStart for the files.
func (l *Log) Expire(now env.Instant, highWatermark record.Offset) int {
	if l.failure != nil || l.closed || !l.settings.Delete {
		return 0
	}
	excess := int64(-1)
	if l.settings.RetentionBytes >= 0 {
		excess = l.Size() - l.settings.RetentionBytes
	}
	n := 0
	for _, s := range l.segments {
		old := l.settings.RetentionMillis >= 0 && now.Sub(s.received) > l.age()
		many := excess >= 0 && excess >= s.size
		if s.next > highWatermark || s.size == 0 || (!old && !many) {
			break
		}
		excess -= s.size
		n++
	}
	if n == 0 {
		return 0
	}
	if n == len(l.segments) {
		s := l.active()
		l.roll(l.end, l.end, AppendInfo{Now: now, Wall: s.recvWall})
	}
	l.AdvanceStart(l.segments[n].base)
	return n
}

// age is retention.ms as a duration that does not wrap round.
func (l *Log) age() time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(l.settings.RetentionMillis, most)) * time.Millisecond
}

// AdvanceStart moves the log start forward, at most to the log end. The next sync makes it durable; the segments that lie below it go with the
// Writes after that. It never moves back.
func (l *Log) AdvanceStart(o record.Offset) {
	o = min(o, l.end)
	if o <= l.start || l.failure != nil || l.closed {
		return
	}
	l.start = o
	l.trim()
	l.check()
}

// trim removes the segments below the log start, as far as that is durable and the first that stays has a synced snapshot: what is
// known of the producers must not go with the batches that it is known from.
func (l *Log) trim() {
	n := 0
	for i := 1; i < len(l.segments) && l.segments[i].base <= min(l.start, l.kept.offset); i++ {
		if l.segments[i].safe {
			n = i
		}
	}
	if n == 0 {
		return
	}
	for _, s := range l.segments[:n] {
		l.discard(s)
	}
	l.segments = slices.Delete(l.segments, 0, n)
	if l.epochs.TruncateFromStart(l.segments[0].base) {
		l.epochsDirty = true
	}
	for len(l.ring.chunks) > 0 && l.ring.chunks[0].segment.dead && !l.stale {
		l.ring.dropOldest()
	}
}

// ReleaseMemory gives back chunks, the oldest first, until n bytes are free or all that is left must stay: what is not written is
// never given back. It returns how many bytes it freed.
func (l *Log) ReleaseMemory(n int64) int64 {
	var freed int64
	for freed < n && len(l.ring.chunks) > 0 && !l.stale {
		c := l.ring.chunks[0]
		if c.pos+int64(c.used) > c.segment.written && !c.segment.dead {
			break
		}
		if len(l.ring.chunks) == 1 {
			l.ring.size = max(l.ring.size/2, leastChunk)
		}
		freed += l.ring.dropOldest()
	}
	return freed
}

// Deletes removes files that were renamed away.
type Deletes struct {
	disk    env.Disk
	dir     string
	names   []string
	closing []env.File
	err     error
}

// TakeDeletes hands out the removal of files that are no longer part of the log; nil if there are none. It may run on any lane, at
// any time: the names are never used again for anything else.
func (l *Log) TakeDeletes() *Deletes {
	if len(l.unlinks)+len(l.closing) == 0 {
		return nil
	}
	d := &Deletes{disk: l.lane.disk, dir: l.lane.dir, names: l.unlinks, closing: l.closing}
	l.unlinks, l.closing = nil, nil
	return d
}

// Run does the work. Jobs only.
func (d *Deletes) Run() {
	for _, f := range d.closing {
		f.Close() //nolint:errcheck // read-only or synced
	}
	if len(d.names) == 0 {
		return
	}
	// The renames first: else a loss of power might bring back a name without its file.
	if d.err = d.disk.SyncDir(d.dir); d.err != nil {
		d.err = fmt.Errorf("sync directory %s: %w", d.dir, d.err)
		return
	}
	for _, name := range d.names {
		if err := removeFile(d.disk, join(d.dir, name)); err != nil {
			d.err = fmt.Errorf("remove %s: %w", join(d.dir, name), err)
			return
		}
	}
}

// Deleted takes back a Deletes that has run. A failed sync of the directory is as final as any other.
func (l *Log) Deleted(d *Deletes) error {
	if d.err != nil {
		return l.fail(d.err)
	}
	return nil
}
