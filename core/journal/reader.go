package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// readAhead is how much is read at once at least, so that small groups do not cost a read each.
const readAhead = 256 << 10

// reader reads groups with read-ahead. What keep returns stays valid until reset; everything else until the next call.
type reader struct {
	window []byte
	file   *file
	off    int64 // position of the window in the file
	kept   int64 // bytes handed out by keep since reset
	blocks [][]byte
	used   int // of blocks
}

func checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// reset takes back everything that keep handed out.
func (r *reader) reset() { r.kept, r.used = 0, 0 }

// peek returns n bytes, fewer at the end of the file; n is small.
func (r *reader) peek(f *file, at int64, n int) ([]byte, error) {
	if r.file != f || at < r.off || at+int64(n) > r.off+int64(len(r.window)) {
		if cap(r.window) == 0 {
			r.window = make([]byte, readAhead)
		}
		size := max(0, min(int64(cap(r.window)), f.size-at))
		r.window = r.window[:size]
		r.file, r.off = f, at
		if err := readFull(f, r.window, at); err != nil {
			r.file = nil
			return nil, err
		}
	}
	p := r.window[at-r.off:]
	return p[:min(n, len(p))], nil
}

// keep returns a copy of n bytes.
func (r *reader) keep(f *file, at, n int64) ([]byte, error) {
	p := r.room(int(n))
	have := 0
	if r.file == f && at >= r.off && at < r.off+int64(len(r.window)) {
		have = copy(p, r.window[at-r.off:])
	}
	if err := readFull(f, p[have:], at+int64(have)); err != nil {
		return nil, err
	}
	r.kept += n
	return p, nil
}

// room takes n bytes from the blocks; a group lies in one block.
func (r *reader) room(n int) []byte {
	if r.used > 0 {
		b := r.blocks[r.used-1]
		if cap(b)-len(b) >= n {
			r.blocks[r.used-1] = b[:len(b)+n]
			return b[len(b) : len(b)+n : len(b)+n]
		}
	}
	if r.used == len(r.blocks) {
		r.blocks = append(r.blocks, nil)
	}
	if cap(r.blocks[r.used]) < n {
		r.blocks[r.used] = make([]byte, max(n, readAhead))
	}
	r.blocks[r.used] = r.blocks[r.used][:n]
	r.used++
	return r.blocks[r.used-1][:n:n]
}

func readFull(f *file, p []byte, at int64) error {
	if len(p) == 0 {
		return nil
	}
	if n, err := f.handle.ReadAt(p, at); err != nil && (n < len(p) || !errors.Is(err, io.EOF)) {
		return fmt.Errorf("read %d bytes at %d: %w", len(p), at, err)
	}
	return nil
}
