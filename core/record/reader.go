package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	// windowSize is how much of the decompressed records is held at once while they are checked.
	windowSize = 32 << 10
	// wholeZstd is the content up to which zstd is decompressed at one go, which needs no window.
	wholeZstd = 1 << 20
	// keepBuffer is the greatest buffer that a Reader keeps for its next batch.
	keepBuffer = 1 << 20
	// maxZstdWindow is the greatest window of the reference implementation's levels: 22 has 128 MiB.
	maxZstdWindow = 1 << 27
	// minZstdBuffer saves small batches a second try.
	minZstdBuffer = 64 << 10
)

// Reader validates and iterates batches and keeps the codecs' contexts and buffers from one to the next: at most about
// 3 MiB between calls. It serves one caller at a time; share a few of them among many connections.
type Reader struct {
	limits Limits
	window []byte
	raw    bytes.Reader // over the compressed records
	whole  bytes.Reader // over zstd content that was decompressed at one go
	snappy snappyReader
	gzip   *gzip.Reader
	lz4    *lz4.Reader
	zstd   *zstd.Decoder
	zbuf   []byte
	bound  boundedReader
	cur    cursor
	header []Header // memory for Each
}

// NewReader makes a Reader that keeps to the limits.
func NewReader(l Limits) *Reader { return &Reader{limits: l.orDefault()} }

// boundedReader ends with ErrTooLarge instead of going beyond what is left.
type boundedReader struct {
	in   io.Reader
	left int64
}

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	// One byte more than allowed is asked for, to tell the end from an excess.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.in.Read(p)
	if int64(n) > b.left {
		return 0, ErrTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// open starts the decompression of p. The codec is not None.
func (r *Reader) open(c Codec, p []byte) (io.Reader, error) {
	r.raw.Reset(p)
	in, err := r.decoder(c, p)
	if err != nil {
		return nil, asInvalid(err)
	}
	r.bound = boundedReader{in: in, left: r.limits.MaxUncompressed}
	return &r.bound, nil
}

func (r *Reader) decoder(c Codec, p []byte) (io.Reader, error) {
	switch c {
	case Gzip:
		if r.gzip == nil {
			r.gzip = new(gzip.Reader)
		}
		return r.gzip, r.gzip.Reset(&r.raw)
	case Snappy:
		r.snappy.reset(p)
		return &r.snappy, nil
	case LZ4:
		if hasDependentBlocks(p) {
			// The library keeps the last blocks for reference, also across Reset.
			return lz4.NewReader(&r.raw), nil
		}
		if r.lz4 == nil {
			r.lz4 = lz4.NewReader(nil)
		}
		r.lz4.Reset(&r.raw)
		return r.lz4, nil
	case Zstd:
		return r.openZstd(p)
	}
	return nil, fmt.Errorf("%w: %v", ErrCodec, c)
}

// openZstd decompresses small content at one go: the encoders of most clients do not know how much will come and name a
// window of some MiB for a batch of some KiB, and a window is allocated whole.
func (r *Reader) openZstd(p []byte) (io.Reader, error) {
	var h zstd.Header
	if err := h.Decode(p); err != nil {
		return nil, err
	}
	if r.zstd == nil {
		var err error
		// One decoder and no concurrency: DecodeAll then runs on the caller's goroutine.
		r.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
	}
	guess := 8 * len(p)
	if h.HasFCS {
		guess = int(min(h.FrameContentSize, wholeZstd))
	}
	if out, err := r.wholeZstd(p, min(max(guess, minZstdBuffer), wholeZstd)); err == nil {
		r.whole.Reset(out)
		return &r.whole, nil
	}
	// The decoder's error does not tell content that is too much from content that is wrong.
	if h.WindowSize <= uint64(r.limits.MaxMemory) {
		return r.streamZstd()
	}
	out, err := r.wholeZstd(p, r.limits.MaxMemory)
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: window of %d bytes for more than %d: %w", ErrTooLarge, h.WindowSize, r.limits.MaxMemory, err)
	}
	r.whole.Reset(out)
	return &r.whole, nil
}

// wholeZstd decompresses p into at most size bytes.
func (r *Reader) wholeZstd(p []byte, size int) ([]byte, error) {
	if cap(r.zbuf) < size {
		r.zbuf = make([]byte, 0, size)
	}
	return r.zstd.DecodeAll(p, r.zbuf[:0])
}

// streamZstd makes a decoder for this batch alone, because its window is not worth keeping.
func (r *Reader) streamZstd() (io.Reader, error) {
	return zstd.NewReader(&r.raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(r.limits.MaxMemory)), zstd.WithDecodeBuffersBelow(0))
}

// close forgets the batch and the buffers that were needed for this one only.
func (r *Reader) close() {
	r.raw.Reset(nil)
	r.whole.Reset(nil)
	r.bound.in = nil
	r.cur = cursor{}
	r.snappy.in, r.snappy.out = nil, nil
	if r.lz4 != nil {
		r.lz4.Reset(nil) // gives its block buffer back
	}
	clear(r.header)
	if cap(r.snappy.block) > keepBuffer {
		r.snappy.block = nil
	}
	if cap(r.zbuf) > keepBuffer {
		r.zbuf = nil
	}
	if cap(r.window) > keepBuffer {
		r.window = nil
	}
}

// asInvalid makes a codec's error one of this package: the checksum was right, so the client has sent this.
func asInvalid(err error) error {
	switch {
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrInvalid), errors.Is(err, ErrCodec):
		return err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: compressed records are cut short", ErrInvalid)
	}
	return fmt.Errorf("%w: decompress: %w", ErrInvalid, err)
}

// Decompress appends the content of p to dst.
func (r *Reader) Decompress(c Codec, dst, p []byte) ([]byte, error) {
	if c == None {
		return append(dst, p...), nil
	}
	defer r.close()
	in, err := r.open(c, p)
	if err != nil {
		return dst, err
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := in.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, asInvalid(err)
		}
	}
}

// Decompress appends the content of p to dst. Whoever has many of them uses a Reader.
func Decompress(c Codec, dst, p []byte, l Limits) ([]byte, error) {
	return NewReader(l).Decompress(c, dst, p)
}
