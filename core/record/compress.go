package record

import (
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"lignum/core/invariant"
)

// Compressor compresses records and keeps the codecs' contexts from one call to the next. The zero value is ready for
// use. It serves one caller at a time.
type Compressor struct {
	gzip *gzip.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
}

// sink is an io.Writer that appends.
type sink struct {
	p []byte
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	s.p = append(s.p, p...)
	return len(p), nil
}

// Compress appends src to dst, compressed in the form in which Kafka's own clients write it: snappy in xerial's framing,
// LZ4 in a frame of independent blocks of 64 KiB. The codec must exist.
func (c *Compressor) Compress(codec Codec, dst, src []byte) []byte {
	switch codec {
	case None:
		return append(dst, src...)
	case Gzip:
		return c.compressGzip(dst, src)
	case Snappy:
		return appendXerial(dst, src)
	case LZ4:
		return c.compressLZ4(dst, src)
	case Zstd:
		return c.compressZstd(dst, src)
	}
	invariant.Violated("compress with %v", codec)
	return nil
}

// Compress appends src to dst, compressed. Whoever does it often uses a Compressor.
func Compress(codec Codec, dst, src []byte) []byte {
	var c Compressor
	return c.Compress(codec, dst, src)
}

func (c *Compressor) compressGzip(dst, src []byte) []byte {
	out := &sink{p: dst}
	if c.gzip == nil {
		c.gzip = gzip.NewWriter(out)
	}
	c.gzip.Reset(out)
	_, err := c.gzip.Write(src)
	must(err)
	must(c.gzip.Close())
	return out.p
}

func (c *Compressor) compressLZ4(dst, src []byte) []byte {
	out := &sink{p: dst}
	if c.lz4 == nil {
		c.lz4 = lz4.NewWriter(out)
		must(c.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1)))
	}
	c.lz4.Reset(out)
	_, err := c.lz4.Write(src)
	must(err)
	must(c.lz4.Close())
	return out.p
}

func (c *Compressor) compressZstd(dst, src []byte) []byte {
	if c.zstd == nil {
		var err error
		// One encoder and no concurrency: EncodeAll then runs on the caller's goroutine.
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
		must(err)
	}
	return c.zstd.EncodeAll(src, dst)
}

// must is for errors that only a broken program can see: the sink takes everything and the options are constants.
func must(err error) {
	if err != nil {
		invariant.Violated("compress: %v", err)
	}
}
