package sim

import (
	"errors"
	"fmt"
	"io/fs"

	"lignum/core/env"
)

// Errors that a simulated disk gives beside those of env.
var (
	// ErrIO is a device that failed.
	ErrIO = errors.New("input/output error")
	// ErrDown answers every call on a machine that has died, until Kill or Power starts it again, and every
	// later call on files that were opened in an earlier life.
	ErrDown = errors.New("the machine is down")

	errIsDir    = errors.New("is a directory")
	errNotDir   = errors.New("not a directory")
	errNotEmpty = errors.New("directory not empty")
	errInvalid  = errors.New("invalid argument")
	errReadOnly = errors.New("file is open for reading only")
	errTooLarge = errors.New("file too large")
	errPath     = errors.New("path is not below the root")
	errTooLong  = errors.New("file name too long")
)

// DiskOptions describe a simulated disk.
type DiskOptions struct {
	Seed  uint64
	Actor uint64 // keeps the draws of several disks of one seed apart
	// SectorSize is the unit that a power cut keeps, loses or tears: 512 (the default) or 4096.
	SectorSize int64
	// Capacity is the volume's size in bytes; 0 means a terabyte.
	Capacity int64
	// MaxOpen is how many files may be open at a time; 0 means any number.
	MaxOpen int
	// NoWriteback keeps the kernel from writing anything back that was not synced. Walks over all crash
	// states want it; random runs are richer without.
	NoWriteback bool
	// Rates make calls fail by chance.
	Rates Rates
}

// Rates say how many calls in a million go wrong.
type Rates struct {
	Read, Write, Sync, Close, Space int64 // calls that fail

	ShortRead, ShortWrite int64 // reads and writes that the kernel does in two parts, with anything in between
	Slow                  int64 // calls of any kind that take seconds
	Stuck                 int64 // calls of any kind that do not return before the process ends
	Phantom, Misdirected  int64 // writes that are acknowledged, synced, and not on the medium, or elsewhere
	Latent, Rot           int64 // syncs behind which a sector of the disk cannot be read, or has another bit
}

// Disk is an env.Disk with POSIX's real promises and no more: a page cache over sectors, and names, lengths and
// content that reach the medium in any order unless synced. Its methods beyond env.Disk are the hands of fate:
// Kill, Power and Wipe, CrashAt and Inject, SetRates, Rot and BadSector. Happened counts what they did.
type Disk struct {
	options   DiskOptions
	root      *inode
	inodes    uint64
	edits     uint64 // of files' content
	used      int64
	opened    int    // files that are open
	life      uint64 // counts crashes; files of an earlier life are dead
	down      bool
	calls     uint64
	crashAt   uint64
	inject    func(Op) error
	schedule  func(Op)
	observe   func(Op, error)
	watch     func(Op, error)
	wounded   func(Wound)
	cacheRand Stream
	faultRand Stream
	freePages []*[pageSize]byte
	window    []byte // of Find
	faults    [OpClose + 1]uint64
	happened  [faultKinds]uint64
	lie       FaultKind // what the present call does instead of what it says
}

// NewDisk returns an empty disk.
func NewDisk(o DiskOptions) *Disk {
	if o.SectorSize != pageSize {
		o.SectorSize = 512
	}
	if o.Capacity == 0 {
		o.Capacity = 1 << 40
	}
	d := &Disk{
		options:   o,
		cacheRand: NewStream(o.Seed, DomainCache, o.Actor),
		faultRand: NewStream(o.Seed, DomainFault, o.Actor),
	}
	d.Wipe()
	return d
}

func failed(op OpKind, path string, err error) error {
	if op == OpRead && err == ErrIO {
		return fmt.Errorf("%s %s: %w: %w", op, path, err, env.ErrUnreadable)
	}
	return fmt.Errorf("%s %s: %w", op, path, err)
}

// Open opens or creates a file.
func (d *Disk) Open(path string, mode env.Mode) (env.File, error) {
	if err := d.begin(Op{Kind: OpOpen, Path: path}); err != nil {
		return nil, err
	}
	if d.options.MaxOpen > 0 && d.opened >= d.options.MaxOpen {
		return nil, failed(OpOpen, path, env.ErrTooManyFiles)
	}
	f, err := d.open(path, mode)
	if err != nil {
		return nil, failed(OpOpen, path, err)
	}
	return f, nil
}

func (d *Disk) open(path string, mode env.Mode) (*file, error) {
	dir, name, err := d.parent(path)
	if err != nil {
		return nil, err
	}
	i := dir.now.get(name)
	switch {
	case name == "." && mode == env.CreateNew:
		return nil, env.ErrExist
	case name == "." || (i != nil && i.dir != nil && mode != env.CreateNew):
		return nil, errIsDir
	case i == nil && mode != env.Create && mode != env.CreateNew:
		return nil, env.ErrNotExist
	case i != nil && mode == env.CreateNew:
		return nil, env.ErrExist
	case i == nil:
		i = d.newInode()
		d.change(dir, change{kind: linked, name: name, ino: i})
	}
	i.opens++
	d.opened++
	return &file{disk: d, ino: i, path: path, life: d.life, refs: 1, writable: mode != env.ReadOnly}, nil
}

// Mkdir makes one directory.
func (d *Disk) Mkdir(path string) error {
	if err := d.begin(Op{Kind: OpMkdir, Path: path}); err != nil {
		return err
	}
	dir, name, err := d.parent(path)
	switch {
	case err != nil:
		return failed(OpMkdir, path, err)
	case name == "." || dir.now.get(name) != nil:
		return failed(OpMkdir, path, env.ErrExist)
	}
	i := d.newInode()
	i.dir = newDirectory()
	d.change(dir, change{kind: linked, name: name, ino: i})
	return nil
}

// Remove removes a file or an empty directory.
func (d *Disk) Remove(path string) error {
	if err := d.begin(Op{Kind: OpRemove, Path: path}); err != nil {
		return err
	}
	dir, name, err := d.parent(path)
	if err == nil && name == "." {
		err = errInvalid
	}
	if err != nil {
		return failed(OpRemove, path, err)
	}
	i := dir.now.get(name)
	switch {
	case i == nil:
		return failed(OpRemove, path, env.ErrNotExist)
	case i.dir != nil && len(i.dir.now) > 0:
		return failed(OpRemove, path, errNotEmpty)
	}
	d.change(dir, change{kind: unlinked, name: name, ino: i})
	return nil
}

// Rename moves a file or directory.
func (d *Disk) Rename(from, to string) error {
	if err := d.begin(Op{Kind: OpRename, Path: from, To: to}); err != nil {
		return err
	}
	if err := d.rename(from, to); err != nil {
		return failed(OpRename, from+" to "+to, err)
	}
	return nil
}

func (d *Disk) rename(from, to string) error {
	fromDir, fromName, err := d.parent(from)
	if err != nil {
		return err
	}
	toDir, toName, err := d.parent(to)
	if err != nil {
		return err
	}
	i, old := d.named(fromDir, fromName), d.named(toDir, toName)
	switch {
	case i == nil:
		return env.ErrNotExist
	case old != nil && old.dir != nil:
		return env.ErrExist
	case i.dir != nil && old != nil:
		return errNotDir
	case i == old:
		return nil
	case i.dir != nil && (i == d.root || d.below(i, to)):
		return errInvalid
	}
	d.move(fromDir, toDir, change{name: fromName, to: toName, ino: i})
	return nil
}

// ReadDir lists a directory in the order of the names.
func (d *Disk) ReadDir(path string) ([]env.Entry, error) {
	if err := d.begin(Op{Kind: OpReadDir, Path: path}); err != nil {
		return nil, err
	}
	dir, err := d.directory(path)
	if err != nil {
		return nil, failed(OpReadDir, path, err)
	}
	out := make([]env.Entry, len(dir.now))
	for k, e := range dir.now {
		out[k] = env.Entry{Name: e.name, Dir: e.ino.dir != nil, Size: e.ino.size}
	}
	return out, nil
}

// SyncDir makes earlier creations, renames and removals in the directory durable.
func (d *Disk) SyncDir(path string) error {
	if err := d.begin(Op{Kind: OpSyncDir, Path: path}); err != nil {
		return err
	}
	dir, err := d.directory(path)
	if err != nil {
		return failed(OpSyncDir, path, err)
	}
	d.syncDirectory(dir)
	return nil
}

// Usage reports the volume's size and free space.
func (d *Disk) Usage(path string) (env.Usage, error) {
	if err := d.begin(Op{Kind: OpUsage, Path: path}); err != nil {
		return env.Usage{}, err
	}
	if _, err := d.find(path); err != nil {
		return env.Usage{}, failed(OpUsage, path, err)
	}
	return env.Usage{TotalBytes: d.options.Capacity, FreeBytes: d.options.Capacity - d.used, OpenFiles: d.options.MaxOpen}, nil
}

// SyncAll makes everything durable, names and content, as the kernel may do at any time.
func (d *Disk) SyncAll() {
	d.syncDirectory(d.root.dir)
	d.walk(d.root, func(i *inode) {
		if i.dir != nil {
			d.syncDirectory(i.dir)
		} else {
			d.flush(i)
		}
	})
}

// SetCapacity changes the volume's size, also to less than what is used: then nothing finds room.
func (d *Disk) SetCapacity(bytes int64) { d.options.Capacity = bytes }

// SetMaxOpen changes how many files may be open at a time, also to less than there are; 0 means any number.
func (d *Disk) SetMaxOpen(n int) { d.options.MaxOpen = n }

// SetRates changes how often calls fail by chance.
func (d *Disk) SetRates(r Rates) { d.options.Rates = r }

func valid(path string) bool { return fs.ValidPath(path) }
