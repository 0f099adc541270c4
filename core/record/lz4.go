package record

import (
	"encoding/binary"
	"fmt"
)

// Parts of an LZ4 frame.
const (
	lz4Magic           = 0x184D2204
	lz4Version         = 0x40 // in bits 6-7 of the flags
	lz4VersionMask     = 0xC0
	lz4Independent     = 0x20
	lz4BlockChecksums  = 0x10
	lz4ContentSize     = 0x08
	lz4ContentChecksum = 0x04
	lz4FlagsReserved   = 0x03 // the second of them means a dictionary
	lz4SizeReserved    = 0x8F
	lz4StoredBit       = 1 << 31
)

// checkLZ4Frame walks over the blocks of p without decompressing them. It refuses what the lz4 library here can read
// and Kafka's Java consumer cannot: blocks that depend on each other, dictionaries, the legacy format, and more than one
// frame. Such a batch would stop every Java consumer of the partition for good.
func checkLZ4Frame(p []byte) error {
	const least = 7 // magic, flags, block size, header checksum
	if len(p) < least || binary.LittleEndian.Uint32(p) != lz4Magic {
		return fmt.Errorf("%w: lz4: no frame", ErrInvalid)
	}
	flags, size := p[4], p[5]
	switch {
	case flags&lz4VersionMask != lz4Version || flags&lz4FlagsReserved != 0:
		return fmt.Errorf("%w: lz4: frame flags %#02x", ErrInvalid, flags)
	case flags&lz4Independent == 0:
		return fmt.Errorf("%w: lz4: dependent blocks, which Kafka clients cannot read", ErrInvalid)
	case size&lz4SizeReserved != 0 || size>>4 < 4:
		return fmt.Errorf("%w: lz4: block size %#02x", ErrInvalid, size)
	}
	maxBlock := uint32(1) << (8 + 2*(size>>4)) // 4: 64 KiB ... 7: 4 MiB
	at := least
	if flags&lz4ContentSize != 0 {
		at += 8
	}
	trailer := 0
	if flags&lz4BlockChecksums != 0 {
		trailer = 4
	}
	for {
		if len(p)-at < 4 {
			return fmt.Errorf("%w: lz4: frame is cut short", ErrInvalid)
		}
		n := binary.LittleEndian.Uint32(p[at:]) &^ lz4StoredBit
		at += 4
		if n == 0 {
			break
		}
		if n > maxBlock || int64(len(p)-at) < int64(n)+int64(trailer) {
			return fmt.Errorf("%w: lz4: block of %d bytes", ErrInvalid, n)
		}
		at += int(n) + trailer
	}
	if flags&lz4ContentChecksum != 0 {
		at += 4
	}
	if at != len(p) {
		return fmt.Errorf("%w: lz4: frame of %d bytes in %d", ErrInvalid, at, len(p))
	}
	return nil
}

// hasDependentBlocks reports whether p starts with a frame whose blocks refer to each other.
func hasDependentBlocks(p []byte) bool {
	const flagsAt = 4
	return len(p) > flagsAt && p[flagsAt]&lz4Independent == 0
}
