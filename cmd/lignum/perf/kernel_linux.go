package perf

import (
	"io"
	"net"
	"os"
	"syscall"
)

// syncData makes a file's data durable, and of its metadata only what reading it back needs.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}

// sendRange sends part of a file without copying it through this process. The offset is explicit, so that many connections
// can share one descriptor.
func sendRange(c net.Conn, f *os.File, off int64, n int) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		for n > 0 {
			sent, err := syscall.Sendfile(int(fd), int(f.Fd()), &off, n)
			switch {
			case err == syscall.EAGAIN:
				return false
			case err == syscall.EINTR:
				continue
			case err != nil:
				failed = err
				return true
			case sent == 0:
				failed = io.ErrUnexpectedEOF
				return true
			}
			n -= sent
		}
		return true
	})
	if err != nil {
		return err
	}
	return failed
}
