package journal

import (
	"slices"

	"lignum/core/record"
)

// Covered is a log that a file holds entries of, up to a sequence.
type Covered struct {
	Log record.Partition
	Seq uint64
}

// Sealed is the number of files that wait for their logs' own syncs.
func (j *Journal) Sealed() int { return len(j.ring) - 1 }

// Pressing says that it is time to sync the logs of the oldest file: late enough that one sync frees several files, early enough that
// commits do not run out of files.
func (j *Journal) Pressing() bool { return j.stalled || j.Sealed() >= max(1, j.o.Files/2) }

// Oldest lists the logs that keep the oldest sealed file from being recycled, in order; empty if nothing is sealed.
func (j *Journal) Oldest() []Covered {
	if j.Sealed() == 0 {
		return nil
	}
	f := j.ring[0]
	all := make([]Covered, 0, f.unsafe)
	//house:anyorder sorted below
	for p, m := range f.cover {
		if !m.safe {
			all = append(all, Covered{p, m.seq})
		}
	}
	slices.SortFunc(all, func(a, b Covered) int { return a.Log.Compare(b.Log) })
	return all
}

// Holds says whether a replay at the next start could still meet an entry of the log, safe or not.
func (j *Journal) Holds(p record.Partition) bool {
	holds := func(f *file) bool { _, ok := f.cover[p]; return ok }
	if f := j.prepare.file; f != nil && j.prepare.stage == taking && holds(f) {
		return true
	}
	return slices.ContainsFunc(j.ring, holds) || slices.ContainsFunc(j.idle, holds)
}

// Safe says that the log's entries up to seq are durable in its own files, together with the checkpoints that speak of
// them. Files that are not needed any more can be recycled from then on.
func (j *Journal) Safe(p record.Partition, seq uint64) {
	for _, f := range j.ring {
		if m, ok := f.cover[p]; ok && !m.safe && m.seq <= seq {
			f.cover[p] = mark{seq: m.seq, safe: true}
			f.unsafe--
		}
	}
	j.retire()
}

// retire moves sealed files that no log needs to the idle ones, the oldest first and never one behind a file that is needed .
func (j *Journal) retire() {
	for j.Sealed() > 0 && j.ring[0].unsafe == 0 {
		j.idle = append(j.idle, j.ring[0])
		j.ring = slices.Delete(j.ring, 0, 1)
	}
}
