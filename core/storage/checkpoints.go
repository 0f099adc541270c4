package storage

import (
	"slices"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/record"
)

// checkpoints is the state of the files' writing. They are written one after another, never two at a time.
type checkpoints struct {
	running bool
	waiting []func(error)                   // want what is true now to be written
	offline checkpointLines                 // of logs that are offline: their promises outlive this start
	written bool                            // in this life: nobody knows before whether what the files say is durable
	last    [3][]checkpoint.PartitionOffset // what the files say, then
}

// checkpointLines is the content of the three files.
type checkpointLines struct {
	recovery, start, watermark []checkpoint.PartitionOffset
}

// claim is what a checkpoint said of a log, to be told to it when it is durable.
type claim struct {
	log  *Log
	mark commitlog.Mark
	seq  uint64
	rest bool // what its rest files hold is durable in the log's own files
}

// checkpoint asks for the files to be written; done is called when what holds now is durable.
func (s *Store) checkpoint(done func(error)) {
	s.checkpoints.waiting = append(s.checkpoints.waiting, done)
}

// startCheckpoint writes the files for those who wait.
func (s *Store) startCheckpoint() {
	c := &s.checkpoints
	if c.running || len(c.waiting) == 0 {
		return
	}
	c.running = true
	waiting := c.waiting
	c.waiting = nil
	lines, claims := s.collectClaims()
	files := s.changedFiles(lines)
	disk := s.Disk
	s.Jobs.Start(laneFiles, func() func() {
		err := writeFiles(disk, files)
		return func() {
			c.running = false
			if err != nil {
				s.fail(err)
			} else {
				s.claimed(claims)
			}
			for _, done := range waiting {
				done(s.failure)
			}
		}
	})
}

// collectClaims gathers what is to be said of each log.
func (s *Store) collectClaims() (checkpointLines, []claim) {
	off := &s.checkpoints.offline
	lines := checkpointLines{slices.Clone(off.recovery), slices.Clone(off.start), slices.Clone(off.watermark)}
	claims := make([]claim, 0, len(s.order))
	all := slices.Clone(s.order)
	for _, r := range s.deleting {
		if r.log != nil { // it may still come back
			all = append(all, r.log)
		}
	}
	for _, l := range all {
		if l.damaged {
			lines.recovery = append(lines.recovery, l.line(l.DurableEnd()))
		} else {
			m := l.RecoveryMark()
			claims = append(claims, claim{l, m, s.safeSeq(l), s.restDone(l, m)})
			lines.recovery = append(lines.recovery, l.line(m.End))
		}
		// What lies below the mark after a loss of power must be what lies there now.
		lines.watermark = append(lines.watermark, l.line(min(l.highWatermark, l.DurableEnd())))
		if start := l.DurableStart(); start > 0 {
			lines.start = append(lines.start, l.line(start))
		}
	}
	return lines, claims
}

// safeSeq is the sequence up to which the log's own files have everything. While a truncation is not in the journal nothing more is let go
// of: what is left would seem to have a gap before it.
func (s *Store) safeSeq(l *Log) uint64 {
	if s.cutUnsaid(l) {
		return l.checkpointedSeq
	}
	return l.synced
}

// cutUnsaid says whether a truncation of this life is not in the journal yet.
func (s *Store) cutUnsaid(l *Log) bool {
	return l.cut || l.behind > 0 || l.lastCut > s.journal.DurableSeq()
}

func (l *Log) line(o record.Offset) checkpoint.PartitionOffset {
	return checkpoint.PartitionOffset{Topic: l.topic, Partition: l.id.Index, Offset: o}
}

// namedLines is one file's content.
type namedLines struct {
	name  string
	lines []checkpoint.PartitionOffset
}

// files lists them in the order in which they are written. The log starts go first: a recovery point is only good for a log that knows its start.
func (c *checkpointLines) files() []namedLines {
	return []namedLines{
		{checkpoint.LogStartFile, c.start},
		{checkpoint.RecoveryPointFile, c.recovery},
		{checkpoint.HighWatermarkFile, c.watermark},
	}
}

// drop takes out the lines of some directories.
func (c *checkpointLines) drop(which func(dir string) bool) {
	of := func(o checkpoint.PartitionOffset) bool { return which(dirName(o.Topic, o.Partition)) }
	c.start = slices.DeleteFunc(c.start, of)
	c.recovery = slices.DeleteFunc(c.recovery, of)
	c.watermark = slices.DeleteFunc(c.watermark, of)
}

// dropMissing takes out of the files what they say of directories that are not there: a crash came between the end of a log and the checkpoint behind it.
// The next log of that name would be taken for it. A job.
func (f *found) dropMissing(d env.Disk) error {
	there := map[string]bool{}
	for _, dir := range f.dirs {
		there[dir.name] = true
	}
	was := f.lines.files()
	f.lines.drop(func(dir string) bool { return !there[dir] })
	var fewer []namedLines
	for i, file := range f.lines.files() {
		if len(file.lines) < len(was[i].lines) {
			fewer = append(fewer, file)
		}
	}
	return writeFiles(d, fewer)
}

// changedFiles leaves out what is on disk already.
func (s *Store) changedFiles(lines checkpointLines) []namedLines {
	var files []namedLines
	for i, f := range lines.files() {
		if !s.checkpoints.written || !slices.Equal(f.lines, s.checkpoints.last[i]) {
			files = append(files, f)
			s.checkpoints.last[i] = f.lines
		}
	}
	s.checkpoints.written = true
	return files
}

func writeFiles(d env.Disk, files []namedLines) error {
	for _, f := range files {
		if err := checkpoint.Write(d, rootDir, f.name, checkpoint.EncodeOffsets(f.lines)); err != nil {
			return err
		}
	}
	return nil
}

// claimed tells the logs what is durable of them now.
func (s *Store) claimed(claims []claim) {
	for _, c := range claims {
		if c.log.gone {
			continue
		}
		// While the journal holds older entries of the log, and does not know of its last truncation, the log's own note of it is all there is.
		l := c.log
		l.unsaid = l.unsaid && s.remembered(l.id)
		if !l.unsaid && l.behind == 0 && l.lastCut <= s.journal.DurableSeq() {
			l.Checkpointed(c.mark)
		}
		if !l.Marked() && c.mark.Truncations() == l.RecoveryMark().Truncations() {
			l.known = max(l.known, c.mark.End)
		}
		if !l.Marked() || l.stale() {
			l.checkpointedSeq = max(l.checkpointedSeq, c.seq)
			if c.rest {
				s.dropRests(l.id, 0)
			}
		}
		s.markDirty(l) // what a truncation left behind can go now
	}
}

// stale says that the journal knows nothing of the log's last cut, and need not: under async nothing is promised of what an unclean stop leaves.
func (l *Log) stale() bool { return l.unsaid && !l.joined && l.policy == config.Async }

// claimable says that a checkpoint can let the journal go of the log's entries. As long as the mark of a truncation is on disk it cannot: a rotten batch
// that was written behind the truncation would pass for a torn end (L7).
func (s *Store) claimable(l *Log) bool {
	return !l.Marked() || l.stale() || !l.unsaid && !s.cutUnsaid(l) && l.Unmarkable()
}

// setOffline notes a partition that cannot be used. What the checkpoints say of it stays: it must not be forgotten that something was
// durable there.
func (s *Store) setOffline(o Offline) {
	s.offline = append(s.offline, o)
	known, kept := s.startup.found.lines, &s.checkpoints.offline
	keep := func(from []checkpoint.PartitionOffset, to *[]checkpoint.PartitionOffset) {
		for _, line := range from {
			if dirName(line.Topic, line.Partition) == o.Dir {
				*to = append(*to, line)
			}
		}
	}
	keep(known.recovery, &kept.recovery)
	keep(known.start, &kept.start)
	keep(known.watermark, &kept.watermark)
}

// forget drops what the checkpoints say of a directory that is deleted.
func (c *checkpoints) forget(dir string) {
	c.offline.drop(func(other string) bool { return other == dir })
}
