package journal

import (
	"fmt"
	"slices"

	"lignum/core/env"
	"lignum/core/invariant"
)

// stage is how far a file is on its way to be ready.
type stage uint8

const (
	taking  stage = iota // make a file, or take an old one out of the ring
	filling              // write zeroes up to its full size
	naming               // header, name, directory
)

// freshName is the file that is being zeroed for the first time; there is only one at a time.
const freshName = "fresh"

// zeroBytes is the size of the piece that zeroes are written from.
const zeroBytes = 64 << 10

// Prepare is a step in making a file ready in the background: a job. A file takes several, so that other jobs of the disk
// come in between.
type Prepare struct {
	busy  bool
	stage stage
	file  *file // the loop's; nil if no file is on its way

	disk   env.Disk
	dir    string
	o      Options
	handle env.File
	path   string // where the file is now
	retire string // name in the ring that it has to give up first
	filled int64
	header fileHeader
	zeroes []byte
	err    error
}

// TakePrepare returns the next background step, nil if there is none or one is running.
func (j *Journal) TakePrepare() *Prepare {
	p := &j.prepare
	if j.failed != nil || p.busy {
		return nil
	}
	if p.file == nil && !j.choose() {
		return nil
	}
	if p.stage == naming {
		if j.commit.busy && j.commit.creates {
			return nil // the generation before is being named at this moment
		}
		// From here until Prepared no other file gets a generation: names appear in the order of generations.
		f := j.named(p.file)
		p.header = fileHeader{f.identity, j.ring[0].generation}
	}
	p.busy = true
	return p
}

// choose picks a file to make ready: one that was used before, or a fresh one as long as the ring is small and in use.
func (j *Journal) choose() bool {
	f, path, retire := (*file)(nil), "", ""
	switch {
	case len(j.idle) > 0:
		f = j.idle[0]
		j.idle = slices.Delete(j.idle, 0, 1)
		path, retire = spareName(j.dir, f.generation), name(j.dir, f.generation)
	case len(j.spare) > 0:
		f = j.spare[0]
		j.spare = slices.Delete(j.spare, 0, 1)
		path = spareName(j.dir, f.generation)
	case len(j.ready) == 0 && j.files() < j.o.Files && j.number > 1:
		f, path = &file{}, j.dir+"/"+freshName+newSuffix
	default:
		return false
	}
	zeroes := j.prepare.zeroes
	if zeroes == nil {
		zeroes = make([]byte, zeroBytes)
	}
	j.prepare = Prepare{file: f, disk: j.disk, dir: j.dir, o: j.o, handle: f.handle, path: path, retire: retire, filled: f.size, zeroes: zeroes}
	return true
}

// Run does the step.
func (p *Prepare) Run() {
	switch p.stage {
	case taking:
		p.err = p.take()
	case filling:
		p.err = p.fill()
	case naming:
		p.err = publish(p.disk, p.dir, p.handle, p.path, p.header)
	}
}

// take gets hold of the file; its old name must be gone for good before its content changes.
func (p *Prepare) take() error {
	if p.retire != "" {
		if err := p.disk.Rename(p.retire, p.path); err != nil {
			return fmt.Errorf("rename %s to %s: %w", p.retire, p.path, err)
		}
		if err := p.disk.SyncDir(p.dir); err != nil {
			return fmt.Errorf("sync directory %s: %w", p.dir, err)
		}
	}
	if p.handle == nil {
		f, err := p.disk.Open(p.path, env.Create)
		if err != nil {
			return fmt.Errorf("open %s: %w", p.path, err)
		}
		p.handle = f
		if p.filled, err = f.Size(); err != nil {
			return fmt.Errorf("size of %s: %w", p.path, err)
		}
	}
	if p.filled > p.o.FileBytes {
		if err := p.handle.Truncate(p.o.FileBytes); err != nil {
			return fmt.Errorf("truncate %s: %w", p.path, err)
		}
		p.filled = p.o.FileBytes
	}
	return nil
}

// fill writes and syncs one step of zeroes: never so much at once that a commit has to wait for it.
func (p *Prepare) fill() error {
	n := min(p.o.FileBytes-p.filled, p.o.StepBytes)
	var pieces [][]byte
	for left := n; left > 0; left -= zeroBytes {
		pieces = append(pieces, p.zeroes[:min(left, zeroBytes)])
	}
	if err := p.handle.WriteAt(p.filled, pieces...); err != nil {
		return fmt.Errorf("write zeroes to %s at %d: %w", p.path, p.filled, err)
	}
	if err := p.handle.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", p.path, err)
	}
	p.filled += n
	return nil
}

// Prepared takes back a step that has run. The error is final, as that of a commit.
func (j *Journal) Prepared(p *Prepare) error {
	if p != &j.prepare || !p.busy {
		invariant.Violated("journal: step given back that is not running")
	}
	p.busy = false
	p.file.handle, p.file.size = p.handle, p.filled
	if p.err != nil {
		j.failed = fmt.Errorf("journal: %w", p.err)
		return j.failed
	}
	switch {
	case p.stage == naming:
		j.ready = append(j.ready, p.file)
		*p = Prepare{zeroes: p.zeroes}
	case p.filled < p.o.FileBytes:
		p.stage = filling
	default:
		p.stage = naming
	}
	return nil
}

func spareName(dir string, generation uint64) string {
	return fmt.Sprintf("%s/%020d%s", dir, generation, spareSuffix)
}
