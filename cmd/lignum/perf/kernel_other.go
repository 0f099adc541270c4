//go:build !linux

package perf

import (
	"io"
	"net"
	"os"
)

// syncData makes a file durable.
func syncData(f *os.File) error { return f.Sync() }

// sendRange sends part of a file.
func sendRange(c net.Conn, f *os.File, off int64, n int) error {
	_, err := io.Copy(c, io.NewSectionReader(f, off, int64(n)))
	return err
}
