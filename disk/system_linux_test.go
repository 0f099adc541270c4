package disk

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// miser is a kernel that writes as little as it likes, and is interrupted now and then.
type miser struct {
	content []byte
	calls   int
	fail    error // what the last call before the end gives
}

func (m *miser) pwritev(p [][]byte, off int64) (int, error) {
	if len(p) > maxSlices {
		return 0, unix.EINVAL
	}
	return m.pwrite(bytes.Join(p, nil), off)
}

func (m *miser) pwrite(p []byte, off int64) (int, error) {
	switch m.calls++; {
	case rand.IntN(5) == 0:
		return 0, unix.EINTR
	case m.fail != nil && m.calls > 20:
		return 0, m.fail
	}
	n := 1 + rand.IntN(len(p))
	for int64(len(m.content)) < off+int64(n) {
		m.content = append(m.content, '?')
	}
	copy(m.content[off:], p[:n])
	return n, nil
}

func TestPartialWritesAreFinished(t *testing.T) {
	for range 2000 {
		var p [][]byte
		for range rand.IntN(40) {
			p = append(p, bytes.Repeat([]byte{byte('a' + rand.IntN(26))}, rand.IntN(30)))
		}
		m := &miser{content: []byte("--")}
		if err := writeAll(m, 2, p); err != nil {
			t.Fatal(err)
		}
		if want := "--" + string(bytes.Join(p, nil)); string(m.content) != want {
			t.Fatalf("content %q, want %q", m.content, want)
		}
	}
}

func TestFailingWritesEnd(t *testing.T) {
	m := &miser{fail: unix.EIO}
	if err := writeAll(m, 0, [][]byte{make([]byte, 1<<20), make([]byte, 1<<20)}); err != nil && !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
}
