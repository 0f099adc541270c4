package transport

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"lignum/core/env"
)

var noDeadline time.Time

const (
	doShort        = 's' // a few bytes
	shortReplySize = 4 + 60
)

// diskFile is an env.File over a temporary file, as far as sending needs one.
type diskFile struct {
	*os.File
	refs   atomic.Int64
	doubts atomic.Int64
}

func (f *diskFile) WriteAt(int64, ...[]byte) error { panic("not here") }
func (f *diskFile) Size() (int64, error)           { panic("not here") }
func (f *diskFile) Retain()                        { f.refs.Add(1) }
func (f *diskFile) Close() error                   { f.refs.Add(-1); return nil }
func (f *diskFile) Doubt()                         { f.doubts.Add(1) }
func (f *diskFile) Descriptor() uintptr            { return f.Fd() }

// plainFile has no descriptor.
type plainFile struct{ env.File }

func tempFile(t testing.TB, size int) *diskFile {
	t.Helper()
	content := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(content)
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &diskFile{File: f}
}

func rawParts(f env.File, size int) []env.Piece {
	return []env.Piece{
		{Bytes: make([]byte, 8), Len: 8}, {File: f, Len: int64(size)}, {Bytes: make([]byte, 3), Len: 3},
	}
}
