package transport

import (
	"fmt"
	"io"
	"net"

	"lignum/core/env"
)

// descriptor is a file of the disk that has a descriptor. It stays open while the file's reference is held.
type descriptor interface {
	Descriptor() uintptr
}

// doubt tells a file that a range of it could not be sent, though the connection is well: the next reader is to look for itself, and say so in an answer.
func doubt(f env.File) {
	if d, ok := f.(interface{ Doubt() }); ok {
		d.Doubt()
	}
}

// copySize is how many bytes of a file, or of an encrypted connection, are written at a time.
const copySize = 64 << 10

// copyFile sends a range of a file through memory.
func copyFile(nc net.Conn, p env.Piece, moved func()) error {
	buf := make([]byte, min(p.Len, copySize))
	for off, end := p.Off, p.Off+p.Len; off < end; {
		b := buf[:min(int64(len(buf)), end-off)]
		n, err := p.File.ReadAt(b, off)
		if n < len(b) {
			doubt(p.File)
			return shortFile(off+int64(n), end, err)
		}
		if _, err := nc.Write(b); err != nil {
			return err
		}
		off += int64(n)
		moved()
	}
	return nil
}

// shortFile is the end of a connection that was promised more of a file than could be read.
func shortFile(at, end int64, err error) error {
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read file at %d of a range up to %d: %w", at, end, err)
}
