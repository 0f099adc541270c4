package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
)

// The framing of xerial's snappy-java, which Kafka's Java clients use: a header of 16 bytes, then blocks, each with its
// length (int32, big-endian) before it. Other clients send a single block without any framing.
const (
	xerialMagic   = "\x82SNAPPY\x00"
	xerialHeader  = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01" // version, least compatible version
	xerialBlock   = 32 << 10                                         // uncompressed bytes in a block that we write
	xerialLenSize = 4
)

// A snappy copy of 3 bytes stands for 64 at most, so a block that claims more than 22 times its size is lying.
const snappyMaxRatio = 22

var errSnappyFrame = errors.New("snappy: bad framing")

// snappyReader decompresses both forms, a block at a time.
type snappyReader struct {
	in     []byte // compressed, not yet read
	framed bool
	block  []byte // memory of the current block
	out    []byte // part of block not yet read
}

func (s *snappyReader) reset(p []byte) {
	s.in, s.out, s.framed = p, nil, false
	if len(p) >= len(xerialHeader) && string(p[:len(xerialMagic)]) == xerialMagic {
		s.in, s.framed = p[len(xerialHeader):], true
	}
}

// Read implements io.Reader.
func (s *snappyReader) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if len(s.in) == 0 {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *snappyReader) next() error {
	src := s.in
	if s.framed {
		if len(s.in) < xerialLenSize {
			return errSnappyFrame
		}
		n := binary.BigEndian.Uint32(s.in)
		// Streams may be put one behind the other: then a header stands where a length is expected.
		if len(s.in) >= len(xerialHeader) && string(s.in[:len(xerialMagic)]) == xerialMagic {
			s.in = s.in[len(xerialHeader):]
			return nil
		}
		if n > uint32(len(s.in)-xerialLenSize) {
			return errSnappyFrame
		}
		src = s.in[xerialLenSize : xerialLenSize+int(n)]
		s.in = s.in[xerialLenSize+int(n):]
	} else {
		s.in = nil
	}
	size, err := snappy.DecodedLen(src)
	if err != nil {
		return err
	}
	if size/snappyMaxRatio > len(src) {
		return fmt.Errorf("snappy: block of %d bytes claims to hold %d", len(src), size)
	}
	if cap(s.block) < size {
		s.block = make([]byte, size)
	}
	s.out, err = snappy.Decode(s.block[:cap(s.block)], src)
	return err
}

// appendXerial compresses src behind dst in xerial's framing.
func appendXerial(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlock)]
		src = src[len(block):]
		at := len(dst)
		room := snappy.MaxEncodedLen(len(block))
		dst = append(dst, make([]byte, xerialLenSize+room)...)
		got := snappy.Encode(dst[at+xerialLenSize:], block)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(got)))
		dst = dst[:at+xerialLenSize+len(got)]
	}
	return dst
}
