package env

import "errors"

// Errors of Disk and File, wrapped by the implementations; test for them with errors.Is.
var (
	// ErrNotExist: the file or directory is not there.
	ErrNotExist = errors.New("does not exist")
	// ErrExist: it is there already.
	ErrExist = errors.New("already exists")
	// ErrNoSpace: the disk or its quota is full.
	ErrNoSpace = errors.New("no space left")
	// ErrTooManyFiles: the process, or the system, has as many open files as it may have.
	ErrTooManyFiles = errors.New("too many open files")
	// ErrUnreadable: the device cannot give back what a file holds. It comes from ReadAt only, and says nothing of other places.
	ErrUnreadable = errors.New("cannot be read")
)

// Mode says how a file is opened.
type Mode uint8

// The ways to open a file.
const (
	// ReadOnly opens an existing file for reading.
	ReadOnly Mode = iota
	// ReadWrite opens an existing file for both.
	ReadWrite
	// Create opens for both and makes the file if it is not there.
	Create
	// CreateNew opens for both and fails with ErrExist if the file is there.
	CreateNew
)

// Entry is one name in a directory.
type Entry struct {
	Name string // without the directory
	Dir  bool
	Size int64 // bytes; 0 for a directory
}

// Usage is the state of the volume that holds a directory.
type Usage struct {
	TotalBytes, FreeBytes int64
	// OpenFiles is how many files, connections included, the process may have open at a time; 0 if there is no bound.
	OpenFiles int
}

// Disk is a file system with POSIX's real promises and no more. Paths are slash-separated and relative to
// the node's own root.
//
// Creating, renaming and removing a name is durable only after SyncDir of the directory that holds it;
// until then a power cut may undo each of them, in any order.
type Disk interface {
	// Open opens or creates a file. A path that is a directory is an error.
	Open(path string, mode Mode) (File, error)
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// Rename moves a file or directory, atomically replacing a file at the new name.
	Rename(from, to string) error
	// Mkdir makes one directory; its parent must exist. ErrExist if the name is taken.
	Mkdir(path string) error
	// ReadDir lists a directory in the order of the names.
	ReadDir(path string) ([]Entry, error)
	// SyncDir makes earlier creations, renames and removals in the directory durable.
	SyncDir(path string) error
	// Usage reports the volume's size and free space.
	Usage(path string) (Usage, error)
}

// File is one open file. All offsets are absolute. A File is counted like a Buffer: it starts with one
// reference, Close drops one, and the descriptor is closed with the last. Reads and writes may run at the same
// time on several goroutines as long as their ranges do not meet.
type File interface {
	// ReadAt reads len(p) bytes; fewer only together with an error, which is io.EOF at the end.
	ReadAt(p []byte, off int64) (n int, err error)
	// WriteAt writes all of the slices, one behind the other, from off on. It may be torn by a crash at
	// any byte until Sync reports success, and on an error any part of it may have been written.
	WriteAt(off int64, p ...[]byte) error
	// Truncate sets the size; a longer file reads as zeroes. Durable after Sync.
	Truncate(size int64) error
	// Size returns the present length in bytes.
	Size() (int64, error)
	// Sync makes everything written so far durable, data and length. If it fails, nothing written since
	// the last successful Sync may be trusted, and Sync must not be tried again.
	Sync() error
	// Retain adds a reference, for whoever reads from the file on another goroutine.
	Retain()
	// Close drops a reference.
	Close() error
}
