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
	doubtful bool
}

// Doubtful reports whether a range of the file could not be sent to a connection.
func (f *file) Doubtful() bool { return f.doubtful }

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
	op := Op{Kind: OpRead, Path: f.path, Off: off, Len: int64(len(p))}
	if err := f.begin(op); err != nil {
		return 0, err
	}
	first := 0
	if cut := f.disk.shorten(FaultShortRead, f.disk.options.Rates.ShortRead, op.Len); cut > 0 {
		n, err := f.read(p[:cut], off)
		if err != nil {
			return f.readError(n, err)
		}
		first, op.Off, op.Len = n, off+cut, op.Len-cut
		if err := f.begin(op); err != nil {
			return first, err
		}
	}
	n, err := f.read(p[first:], off+int64(first))
	return f.readError(first+n, err)
}

func (f *file) readError(n int, err error) (int, error) {
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
		f.disk.strike(FaultUnreadable)
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
	op := Op{Kind: OpWrite, Path: f.path, Off: off, Len: total, file: f, data: p}
	if err := f.begin(op); err != nil {
		return err
	}
	if cut := f.disk.shorten(FaultShortWrite, f.disk.options.Rates.ShortWrite, total); cut > 0 {
		first := op
		if op.Off, op.Len, op.data = off+cut, total-cut, behind(p, cut); f.canWrite(off, total) == nil {
			if _, err := f.put(first, cut); err != nil {
				f.disk.watched(op, err)
				return failed(OpWrite, f.path, err)
			}
		}
		if err := f.begin(op); err != nil {
			return err
		}
	}
	if err := f.canWrite(op.Off, op.Len); err != nil {
		return failed(OpWrite, f.path, err)
	}
	if _, err := f.put(op, op.Len); err != nil {
		f.disk.watched(op, err)
		return failed(OpWrite, f.path, err)
	}
	return nil
}

// put does the first n bytes of a write, and lies about it if it has to.
func (f *file) put(op Op, n int64) (done int64, err error) {
	done, err = f.write(op.Off, n, op.data)
	f.disk.betray(f.ino, op.Off, done)
	return done, err
}

// behind is what the slices hold behind their first n bytes.
func behind(p [][]byte, n int64) [][]byte {
	for len(p) > 0 && n >= int64(len(p[0])) {
		n -= int64(len(p[0]))
		p = p[1:]
	}
	if n == 0 {
		return p
	}
	return append([][]byte{p[0][n:]}, p[1:]...)
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
	f.disk.age(f.ino)
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
		f.disk.opened--
		f.disk.reclaim(f.ino)
	}
	return err
}
