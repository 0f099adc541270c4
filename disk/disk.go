// Package disk is the real side of the ports that block: env.Disk on a directory of the operating system, and env.Jobs
// on a pool of goroutines.
//
// On Linux a write is one pwritev, File.Sync is fdatasync and SyncDir is fsync of the directory. Elsewhere the same
// methods use what the Go runtime offers. Paths cannot leave the root; symbolic links below it are followed, for they are
// the operator's wish.
//
// A file also has the method
//
//	Descriptor() uintptr
//
// which whoever sends file ranges to a socket asserts on. The descriptor is valid as long as the caller holds a
// reference; it must be read with explicit offsets only. Who cannot send a range calls Doubt, and who reads the file next asks Doubtful and looks for itself.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"lignum/core/env"
)

// lockName is the file that is locked while a process owns the directory; Apache Kafka uses the same name.
const lockName = ".lock"

// Disk is an env.Disk on a directory. It may be used on any goroutine.
type Disk struct {
	root     string
	lock     *os.File
	patience time.Duration
}

// ErrInUse says that another process, or another Disk of this one, owns the directory.
var ErrInUse = errors.New("the directory is in use by another process")

// Open makes the directory if it is not there and takes possession of it: until Close nobody else can.
func Open(root string) (*Disk, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := makeRoot(root); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(root, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", root, err)
	}
	if err := takeLock(lock); err != nil {
		return nil, fmt.Errorf("lock %s: %w", root, errors.Join(err, lock.Close()))
	}
	return &Disk{root: root, lock: lock, patience: patience}, nil
}

// makeRoot creates the directory, and what is missing above it, durably.
func makeRoot(root string) error {
	err := os.Mkdir(root, 0o755)
	switch {
	case err == nil:
		return syncDir(filepath.Dir(root))
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(root) != root:
		if err := makeRoot(filepath.Dir(root)); err != nil {
			return err
		}
		return makeRoot(root)
	}
	if info, e := os.Stat(root); e == nil && info.IsDir() {
		return nil
	}
	return err
}

// Close gives the directory up. Files that are open stay usable.
func (d *Disk) Close() error { return d.lock.Close() }

// Root is the absolute path of the directory.
func (d *Disk) Root() string { return d.root }

var errPath = errors.New("path is not below the root")

// full is the path for the operating system.
func (d *Disk) full(path string) (string, error) {
	if !fs.ValidPath(path) {
		return "", errPath
	}
	local, err := filepath.Localize(path)
	if err != nil {
		return "", errPath
	}
	return filepath.Join(d.root, local), nil
}

// failed wraps an error with what was done, and gives it env's identity if it has one there.
func failed(op, path string, err error) error {
	var onPath *fs.PathError
	var onLink *os.LinkError
	switch {
	case errors.As(err, &onPath):
		err = onPath.Err
	case errors.As(err, &onLink):
		err = onLink.Err
	}
	switch {
	case errors.Is(err, syscall.ENOTEMPTY): // which Go counts as fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		err = env.ErrNotExist
	case errors.Is(err, fs.ErrExist):
		err = env.ErrExist
	case noSpace(err):
		err = env.ErrNoSpace
	case tooMany(err):
		err = env.ErrTooManyFiles
	}
	return fmt.Errorf("%s %s: %w", op, path, err)
}

var modeFlags = [...]int{
	env.ReadOnly:  os.O_RDONLY,
	env.ReadWrite: os.O_RDWR,
	env.Create:    os.O_RDWR | os.O_CREATE,
	env.CreateNew: os.O_RDWR | os.O_CREATE | os.O_EXCL,
}

// A call for which there is no descriptor left is tried again for so long: others close theirs, and connections end. What syncs has not begun
// to then.
const (
	patience = 10 * time.Second
	tryAgain = 5 * time.Millisecond
)

func (d *Disk) patient(f func() error) error {
	err := f()
	if !tooMany(err) {
		return err
	}
	for end := time.Now().Add(d.patience); tooMany(err) && time.Now().Before(end); err = f() {
		time.Sleep(tryAgain)
	}
	return err
}

// Open opens or creates a file.
func (d *Disk) Open(path string, mode env.Mode) (env.File, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, failed("open", path, err)
	}
	var f *os.File
	err = d.patient(func() error {
		f, err = os.OpenFile(full, modeFlags[mode], 0o644)
		return err
	})
	if err != nil {
		return nil, failed("open", full, err)
	}
	if mode == env.ReadOnly {
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = syscall.EISDIR
		}
		if err != nil {
			return nil, failed("open", full, errors.Join(err, f.Close()))
		}
	}
	return newFile(f, full), nil
}

// Remove removes a file or an empty directory.
func (d *Disk) Remove(path string) error {
	full, err := d.full(path)
	switch {
	case err != nil:
		return failed("remove", path, err)
	case path == ".":
		return failed("remove", full, syscall.EINVAL)
	}
	if err := os.Remove(full); err != nil {
		return failed("remove", full, err)
	}
	return nil
}

// Rename moves a file or directory.
func (d *Disk) Rename(from, to string) error {
	fullFrom, err := d.full(from)
	if err != nil {
		return failed("rename", from, err)
	}
	fullTo, err := d.full(to)
	if err != nil {
		return failed("rename", to, err)
	}
	if err := os.Rename(fullFrom, fullTo); err != nil {
		return failed("rename", fullFrom+" to "+fullTo, err)
	}
	return nil
}

// Mkdir makes one directory.
func (d *Disk) Mkdir(path string) error {
	full, err := d.full(path)
	if err != nil {
		return failed("mkdir", path, err)
	}
	if err := os.Mkdir(full, 0o755); err != nil {
		return failed("mkdir", full, err)
	}
	return nil
}

// ReadDir lists a directory in the order of the names. The lock file of the root is not listed.
func (d *Disk) ReadDir(path string) ([]env.Entry, error) {
	full, err := d.full(path)
	if err != nil {
		return nil, failed("readdir", path, err)
	}
	var found []fs.DirEntry
	err = d.patient(func() error {
		found, err = os.ReadDir(full)
		return err
	})
	if err != nil {
		return nil, failed("readdir", full, err)
	}
	out := make([]env.Entry, 0, len(found))
	for _, e := range found {
		if path == "." && e.Name() == lockName {
			continue
		}
		info, err := e.Info()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = os.Stat(filepath.Join(full, e.Name()))
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			continue
		case err != nil:
			return nil, failed("readdir", full, err)
		case info.IsDir():
			out = append(out, env.Entry{Name: e.Name(), Dir: true})
		default:
			out = append(out, env.Entry{Name: e.Name(), Size: info.Size()})
		}
	}
	return out, nil
}

// SyncDir makes earlier creations, renames and removals in the directory durable.
func (d *Disk) SyncDir(path string) error {
	full, err := d.full(path)
	if err != nil {
		return failed("sync directory", path, err)
	}
	if err := d.patient(func() error { return syncDir(full) }); err != nil {
		return failed("sync directory", full, err)
	}
	return nil
}

// Usage reports the volume's size and free space.
func (d *Disk) Usage(path string) (env.Usage, error) {
	full, err := d.full(path)
	if err != nil {
		return env.Usage{}, failed("usage", path, err)
	}
	u, err := usage(full)
	if err != nil {
		return env.Usage{}, failed("usage", full, err)
	}
	u.OpenFiles = openFiles()
	return u, nil
}
