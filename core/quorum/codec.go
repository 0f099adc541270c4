package quorum

import (
	"encoding/binary"
	"fmt"
)

// decoder reads fields off the front of p, integers big-endian. After an error it yields zero values. What it yields refers to p.
type decoder struct {
	p   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
	}
}

func (d *decoder) take(n uint64) []byte {
	if d.err == nil && n > uint64(len(d.p)) {
		d.fail("%d bytes where %d are wanted", len(d.p), n)
	}
	if d.err != nil {
		return nil
	}
	p := d.p[:n:n]
	d.p = d.p[n:]
	return p
}

func (d *decoder) uint8() uint8 {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) flag() bool {
	n := d.uint8()
	if n > 1 {
		d.fail("flag is %d", n)
	}
	return n == 1
}

func (d *decoder) expect(b byte) {
	if n := d.uint8(); n != b {
		d.fail("%d where %d is wanted", n, b)
	}
}

func (d *decoder) uint16() uint16 {
	if p := d.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if p := d.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if p := d.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

// uvarint takes the shortest form only, so that what was read is what is written again.
func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.p)
	if n <= 0 || n > 1 && d.p[n-1] == 0 {
		d.fail("bad varint")
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *decoder) directory() (id Directory) {
	copy(id[:], d.take(uint64(len(id))))
	return id
}

func (d *decoder) string() string { return string(d.take(uint64(d.uint16()))) }

// end reports the first error, or that there is more than was wanted.
func (d *decoder) end() error {
	if d.err == nil && len(d.p) > 0 {
		d.fail("%d bytes too many", len(d.p))
	}
	return d.err
}

// maxString bounds addresses and cluster ids.
const maxString = 1 << 10

func appendString(p []byte, s string) []byte {
	s = s[:min(len(s), maxString)]
	return append(binary.BigEndian.AppendUint16(p, uint16(len(s))), s...)
}
