package inspect

import (
	"fmt"
	"hash/crc32"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/sim"
)

// Recover takes a copy of one partition's directory as the last process has left it, the n-th, and opens it twice: what the first recovery has made the
// second one finds, and leaves alone (L6).
func (x *Inspector) Recover(n int) {
	dirs := x.dirs()
	if len(dirs) == 0 {
		return
	}
	dir := dirs[n%len(dirs)]
	o := commitlog.OpenOptions{
		Clean: x.disk.Has(sim.Cached, clean), Wall: 1,
		RecoveryPoint: x.checkpointed(checkpoint.RecoveryPointFile, dir), StartOffset: x.checkpointed(checkpoint.LogStartFile, dir),
	}
	copied := sim.NewDisk(sim.DiskOptions{})
	if err := x.copyTo(copied, dir); err != nil {
		x.check("L6", false, "%s: the copy cannot be made: %v", dir, err)
		return
	}
	first, err := opened(copied, dir, o)
	if err != nil {
		return // the process that begins says so itself
	}
	copied.Kill()
	o.Clean = false
	second, err := opened(copied, dir, o)
	x.check("L6", err == nil && first == second, "%s: a recovery found %s, and the next one %s (%v)", dir, first, second, err)
}

// checkpointed is what a checkpoint file says of a directory.
func (x *Inspector) checkpointed(file, dir string) record.Offset {
	content, ok := x.peek(sim.Cached, file)
	if !ok {
		return 0
	}
	lines, err := checkpoint.ParseOffsets(content)
	if err != nil {
		return 0
	}
	for _, l := range lines {
		if dirOf(l) == dir {
			return l.Offset
		}
	}
	return 0
}

// copyTo copies a directory to another disk.
func (x *Inspector) copyTo(d *sim.Disk, dir string) error {
	if err := d.Mkdir(dir); err != nil {
		return err
	}
	for _, name := range x.list(sim.Cached, dir) {
		content, _ := x.peek(sim.Cached, dir+"/"+name)
		f, err := d.Open(dir+"/"+name, env.Create)
		if err == nil {
			err = f.WriteAt(0, content)
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// opened recovers a log and says what came of it.
func opened(d *sim.Disk, dir string, o commitlog.OpenOptions) (string, error) {
	r, err := commitlog.Open(d, dir, record.Partition{}, commitlog.DefaultSettings(), o)
	if err != nil {
		return "", err
	}
	rand := sim.NewRand(0)
	l := commitlog.New(r, commitlog.DefaultSettings(), sim.NewMemory(), rand, 0, o.Wall)
	sum, count := readable(d, dir, l.StartOffset())
	// Without the epoch of an election that was followed by no append: a recovery may forget it.
	epoch, begin := record.NoEpoch, record.NoOffset
	if l.StartOffset() < l.EndOffset() {
		epoch = l.EpochAt(l.EndOffset() - 1)
		_, begin = l.EpochEnd(epoch - 1)
	}
	return fmt.Sprintf("[%d, %d), epoch %d since %d, %d batches with sum %08x, producers %v", l.StartOffset(), l.EndOffset(), epoch, max(begin, l.StartOffset()), count,
		sum, l.Producers().All()), nil
}

// readable sums up the batches from the log start on; what lies before may be there or not.
func readable(d *sim.Disk, dir string, start record.Offset) (sum uint32, count int) {
	var p []byte
	for _, name := range d.Names(sim.Cached, dir, nil) {
		if _, ok := offsetOf(name, logEnd); !ok {
			continue
		}
		p, _ = d.Peek(sim.Cached, dir+"/"+name, p[:0])
		for rest := p; len(rest) > 0; {
			b, after, err := record.Next(rest)
			if err != nil {
				sum++
				break
			}
			if rest = after; b.LastOffset() >= start {
				sum, count = crc32.Update(sum, crc32.IEEETable, b), count+1
			}
		}
	}
	return sum, count
}
