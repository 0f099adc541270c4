package sim

import (
	"io"

	"lignum/core/env"
	"lignum/core/invariant"
)

// file is one open file of a simulated disk.
type file struct {
	disk     *Disk
	ino      *inode
	path     string
	life     uint64
	refs     int
	writable bool
}

// begin checks the handle and passes the gate of every call.
func (f *file) begin(op Op) error {
	if f.refs <= 0 {
		invariant.Violated("%s of %s after its last close", op.Kind, f.path)
	}
	op.file = f
	return f.disk.begin(op)
}

// ReadAt reads len(p) bytes.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.begin(Op{Kind: OpRead, Path: f.path, Off: off, Len: int64(len(p))}); err != nil {
		return 0, err
	}
	n, err := f.read(p, off)
	if err != nil && err != io.EOF {
		err = failed(OpRead, f.path, err)
	}
	return n, err
}

func (f *file) read(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errInvalid
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := max(0, min(int64(len(p)), f.ino.size-off))
	if good := f.disk.readable(f.ino, off, n); good < n {
		f.ino.read(p[:good], off)
		return int(good), ErrIO
	}
	f.ino.read(p[:n], off)
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// WriteAt writes all of the slices.
func (f *file) WriteAt(off int64, p ...[]byte) error {
	total := int64(0)
	for _, b := range p {
		total += int64(len(b))
	}
	if err := f.begin(Op{Kind: OpWrite, Path: f.path, Off: off, Len: total, data: p}); err != nil {
		return err
	}
	err := f.canWrite(off, total)
	if err == nil {
		_, err = f.write(off, total, p)
	}
	if err != nil {
		return failed(OpWrite, f.path, err)
	}
	return nil
}

func (f *file) canWrite(off, n int64) error {
	switch {
	case !f.writable:
		return errReadOnly
	case off < 0:
		return errInvalid
	case off > maxFileSize-n:
		return errTooLarge
	}
	return nil
}

// write puts the first n bytes of the slices into the page cache.
func (f *file) write(off, n int64, p [][]byte) (done int64, err error) {
	for _, b := range p {
		b = b[:min(int64(len(b)), n-done)]
		k := f.disk.write(f.ino, off+done, b)
		if done += int64(k); k < len(b) {
			return done, env.ErrNoSpace
		}
	}
	return done, nil
}

// Truncate sets the size.
func (f *file) Truncate(size int64) error {
	if err := f.begin(Op{Kind: OpTruncate, Path: f.path, Off: size}); err != nil {
		return err
	}
	if err := f.canWrite(size, 0); err != nil {
		return failed(OpTruncate, f.path, err)
	}
	f.disk.truncate(f.ino, size)
	return nil
}

// Size returns the present length.
func (f *file) Size() (int64, error) {
	if err := f.begin(Op{Kind: OpSize, Path: f.path}); err != nil {
		return 0, err
	}
	return f.ino.size, nil
}

// Sync makes everything written so far durable.
func (f *file) Sync() error {
	if err := f.begin(Op{Kind: OpSync, Path: f.path}); err != nil {
		return err
	}
	f.disk.flush(f.ino)
	return nil
}

// Retain adds a reference.
func (f *file) Retain() {
	if f.refs <= 0 {
		invariant.Violated("retain of %s after its last close", f.path)
	}
	f.refs++
}

// Close drops a reference.
func (f *file) Close() error {
	if f.refs <= 0 {
		invariant.Violated("close of %s after its last close", f.path)
	}
	if f.refs > 1 {
		f.refs--
		return nil
	}
	err := f.begin(Op{Kind: OpClose, Path: f.path})
	f.refs = 0
	if f.life == f.disk.life && !f.disk.down {
		f.ino.opens--
		f.disk.reclaim(f.ino)
	}
	return err
}
