//go:build amd64 || arm64 || riscv64 || ppc64le || s390x || loong64 || mips64le

package transport

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"unsafe"

	"lignum/core/env"
)

const (
	// maxVector is how many pieces of memory go into one system call; the kernel takes up to 1024.
	maxVector = 512
	// maxSendfile is how many bytes of a file one system call is asked for.
	maxSendfile = 1 << 30

	msgMore = 0x8000 // MSG_MORE: more follows at once, wait for it
)

// socket writes pieces to a connection: all that is in memory with one sendmsg, ranges of files with sendfile at
// explicit offsets, so that a descriptor can be shared. It works on the descriptor of a TCP connection itself
// because net's own way to sendfile uses the file's position and falls back to copying without a word.
type socket struct {
	nc    net.Conn
	moved func() // called when bytes have left

	raw   syscall.RawConn // nil if the connection is not TCP
	step  func(fd uintptr) bool
	parts []env.Piece // not yet sent
	done  int64       // bytes of parts[0] that are
	iov   []syscall.Iovec
	err   error
}

func (s *socket) open(nc net.Conn, moved func()) {
	s.nc, s.moved = nc, moved
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			s.raw, s.step = raw, s.advance
		}
	}
}

// send writes all parts.
func (s *socket) send(parts []env.Piece) error {
	if s.raw == nil {
		return plainSend(s.nc, parts, s.moved)
	}
	s.parts, s.done, s.err = parts, 0, nil
	for len(s.parts) > 0 {
		if err := s.raw.Write(s.step); err != nil {
			return err
		}
		if s.err != nil {
			return s.err
		}
		if len(s.parts) > 0 {
			if err := s.copyOne(); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyOne sends the rest of a range of a file that sendfile does not work for.
func (s *socket) copyOne() error {
	p := s.parts[0]
	p.Off, p.Len = p.Off+s.done, p.Len-s.done
	s.parts, s.done = s.parts[1:], 0
	return copyFile(s.nc, p, s.moved)
}

// advance sends until the socket is full (false: call again when it is not), all is sent, something failed, or the
// next piece must be copied.
func (s *socket) advance(fd uintptr) bool {
	for len(s.parts) > 0 {
		var n int64
		var errno syscall.Errno
		if f := s.parts[0].File; f == nil {
			n, errno = s.sendMemory(fd)
		} else if d, ok := f.(descriptor); ok {
			n, errno = s.sendFile(fd, d)
		} else {
			return true
		}
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return false
		case s.parts[0].File != nil && (errno == syscall.EINVAL || errno == syscall.ENOSYS):
			return true
		case errno == syscall.EIO && s.parts[0].File != nil:
			doubt(s.parts[0].File)
			s.err = fmt.Errorf("send a range of a file: %w", errno)
			return true
		case errno != 0:
			s.err = errno
			return true
		case n == 0:
			doubt(s.parts[0].File)
			s.err = shortFile(s.parts[0].Off+s.done, s.parts[0].Off+s.parts[0].Len, io.ErrUnexpectedEOF)
			return true
		default:
			s.moved()
			s.pass(n)
		}
	}
	return true
}

// pass drops n bytes from the front of parts.
func (s *socket) pass(n int64) {
	n += s.done
	for len(s.parts) > 0 && n >= s.parts[0].Len {
		n -= s.parts[0].Len
		s.parts = s.parts[1:]
	}
	s.done = n
}

// sendMemory sends the pieces up to the next range of a file.
func (s *socket) sendMemory(fd uintptr) (int64, syscall.Errno) {
	s.iov = s.iov[:0]
	skip, flags := int(s.done), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT
	for i := range s.parts {
		if s.parts[i].File != nil || len(s.iov) == maxVector {
			flags |= msgMore
			break
		}
		b := s.parts[i].Bytes[skip:]
		skip = 0
		v := syscall.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		s.iov = append(s.iov, v)
	}
	msg := syscall.Msghdr{Iov: unsafe.SliceData(s.iov), Iovlen: uint64(len(s.iov))}
	n, _, errno := syscall.Syscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&msg)), uintptr(flags))
	clear(s.iov)
	return int64(n), errno
}

// sendFile sends from a range of a file.
func (s *socket) sendFile(fd uintptr, d descriptor) (int64, syscall.Errno) {
	p := &s.parts[0]
	off := p.Off + s.done
	n, err := syscall.Sendfile(int(fd), int(d.Descriptor()), &off, int(min(p.Len-s.done, maxSendfile)))
	if err != nil {
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EIO
		}
		return 0, errno
	}
	return int64(n), 0
}
