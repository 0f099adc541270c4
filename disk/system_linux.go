package disk

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"lignum/core/env"
)

// maxSlices is what one pwritev takes (IOV_MAX of Linux).
const maxSlices = 1024

// writeVectored writes the slices with as few calls as possible.
func writeVectored(f *os.File, off int64, p [][]byte) error {
	defer runtime.KeepAlive(f)
	return writeAll(descriptor(f.Fd()), off, p)
}

// vectors is what writeAll needs; each call may write less than asked.
type vectors interface {
	pwritev(p [][]byte, off int64) (int, error)
	pwrite(p []byte, off int64) (int, error)
}

type descriptor int

func (d descriptor) pwritev(p [][]byte, off int64) (int, error) { return unix.Pwritev(int(d), p, off) }
func (d descriptor) pwrite(p []byte, off int64) (int, error)    { return unix.Pwrite(int(d), p, off) }

// writeAll goes on until everything is written. The slices and their order stay as they are.
func writeAll[W vectors](w W, off int64, p [][]byte) error {
	for {
		for len(p) > 0 && len(p[0]) == 0 {
			p = p[1:]
		}
		if len(p) == 0 {
			return nil
		}
		n, err := w.pwritev(p[:min(len(p), maxSlices)], off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n <= 0:
			return unix.EIO
		}
		off += int64(n)
		for len(p) > 0 && n >= len(p[0]) {
			n -= len(p[0])
			p = p[1:]
		}
		if n == 0 {
			continue
		}
		// A slice was written in part: its rest goes alone, for the caller's slices are not ours to cut.
		rest := p[0][n:]
		if err := writeRest(w, off, rest); err != nil {
			return err
		}
		off += int64(len(rest))
		p = p[1:]
	}
}

func writeRest[W vectors](w W, off int64, b []byte) error {
	for len(b) > 0 {
		n, err := w.pwrite(b, off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n <= 0:
			return unix.EIO
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// again calls f until no signal interrupts it.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func syncData(f *os.File) error {
	defer runtime.KeepAlive(f)
	return again(func() error { return unix.Fdatasync(int(f.Fd())) })
}

func syncDir(path string) error {
	d, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(again(func() error { return unix.Fsync(int(d.Fd())) }), d.Close())
}

func usage(path string) (env.Usage, error) {
	var s unix.Statfs_t
	if err := again(func() error { return unix.Statfs(path, &s) }); err != nil {
		return env.Usage{}, err
	}
	return env.Usage{TotalBytes: int64(s.Blocks) * s.Bsize, FreeBytes: int64(s.Bavail) * s.Bsize}, nil
}

// takeLock takes two locks: flock, against Lignum, and a record lock, which is what a JVM's FileLock sees.
func takeLock(f *os.File) error {
	defer runtime.KeepAlive(f)
	fd := f.Fd()
	err := again(func() error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		record := unix.Flock_t{Type: unix.F_WRLCK}
		err = again(func() error { return unix.FcntlFlock(fd, unix.F_OFD_SETLK, &record) })
	}
	if err == unix.EWOULDBLOCK || err == unix.EACCES {
		return fmt.Errorf("%w (%s is locked)", ErrInUse, lockName)
	}
	return err
}

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
