package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"lignum/core/env"
)

// file is one open file of the operating system.
type file struct {
	f    *os.File
	path string
	refs atomic.Int64

	doubtful atomic.Bool
}

func newFile(f *os.File, path string) *file {
	out := &file{f: f, path: path}
	out.refs.Store(1)
	return out
}

func (f *file) mustBeOpen(what string) {
	if f.refs.Load() <= 0 {
		panic(fmt.Sprintf("disk: %s of %s after its last close", what, f.path))
	}
}

// Descriptor is the file descriptor, for sendfile. See the package comment.
func (f *file) Descriptor() uintptr {
	f.mustBeOpen("descriptor")
	return f.f.Fd()
}

// Doubt notes that a part of the file could not be sent to a connection. It may be called on any goroutine.
func (f *file) Doubt() { f.doubtful.Store(true) }

// Doubtful reports whether Doubt was called.
func (f *file) Doubtful() bool { return f.doubtful.Load() }

// ReadAt reads len(p) bytes.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mustBeOpen("read")
	if off < 0 {
		return 0, failed("read", f.path, syscall.EINVAL)
	}
	n, err := f.f.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = failed("read", f.path, err)
		if errors.Is(err, syscall.EIO) {
			err = fmt.Errorf("%w: %w", err, env.ErrUnreadable)
		}
	}
	return n, err
}

// WriteAt writes all of the slices.
func (f *file) WriteAt(off int64, p ...[]byte) error {
	f.mustBeOpen("write")
	if off < 0 {
		return failed("write", f.path, syscall.EINVAL)
	}
	var err error
	if len(p) == 1 {
		_, err = f.f.WriteAt(p[0], off)
	} else {
		err = writeVectored(f.f, off, p)
	}
	if err != nil {
		return failed("write", f.path, err)
	}
	return nil
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	f.mustBeOpen("truncate")
	if err := f.f.Truncate(size); err != nil {
		return failed("truncate", f.path, err)
	}
	return nil
}

// Size returns the present length.
func (f *file) Size() (int64, error) {
	f.mustBeOpen("size")
	info, err := f.f.Stat()
	if err != nil {
		return 0, failed("size", f.path, err)
	}
	return info.Size(), nil
}

// Sync makes everything written so far durable.
func (f *file) Sync() error {
	f.mustBeOpen("sync")
	if err := syncData(f.f); err != nil {
		return failed("sync", f.path, err)
	}
	return nil
}

// Retain adds a reference.
func (f *file) Retain() {
	if f.refs.Add(1) <= 1 {
		panic(fmt.Sprintf("disk: retain of %s after its last close", f.path))
	}
}

// Close drops a reference.
func (f *file) Close() error {
	switch refs := f.refs.Add(-1); {
	case refs > 0:
		return nil
	case refs < 0:
		panic(fmt.Sprintf("disk: close of %s after its last close", f.path))
	}
	if err := f.f.Close(); err != nil {
		return failed("close", f.path, err)
	}
	return nil
}
