package commitlog

import (
	"fmt"

	"lignum/core/env"
	"lignum/core/record"
)

// How much of a file is read at once by those who want headers only. The small one is for searches that end soon.
const (
	walkBlock   = 256 << 10
	searchBytes = 8 << 10
)

// walkFile calls visit with the headers of the batches from position at on, up to size, until it says false. A batch that is cut off
// or that has no good header is an error.
func walkFile(f env.File, at, size int64, visit func(h header, at int64) (more bool, err error)) error {
	return walk(f, make([]byte, min(walkBlock, max(size-at, 0))), at, size, visit)
}

// walk is walkFile with the caller's memory.
func walk(f env.File, block []byte, at, size int64, visit func(h header, at int64) (more bool, err error)) error {
	var have []byte // what of the file from at on is in block
	for at < size {
		if len(have) < record.HeaderSize {
			n := min(int64(len(block)), size-at)
			if n < record.HeaderSize {
				return fmt.Errorf("%w: a batch at %d is cut off at %d", ErrCorrupt, at, size)
			}
			have = block[:n]
			if err := readFull(f, have, at); err != nil {
				return err
			}
		}
		h, err := parseHeader(have)
		if err != nil {
			return fmt.Errorf("%w: batch at %d: %w", ErrCorrupt, at, err)
		}
		n := h.size()
		if at+int64(n) > size {
			return fmt.Errorf("%w: a batch of %d bytes at %d is cut off at %d", ErrCorrupt, n, at, size)
		}
		more, err := visit(h, at)
		if err != nil || !more {
			return err
		}
		at += int64(n)
		have = have[min(n, len(have)):]
	}
	return nil
}

// readBatch reads a whole batch of which the header is known.
func readBatch(f env.File, h header, at int64) (record.Batch, error) {
	p := make([]byte, h.size())
	if err := readFull(f, p, at); err != nil {
		return nil, err
	}
	b, _, err := record.Next(p)
	if err == nil {
		err = b.CheckCRC()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: batch at %d: %w", ErrCorrupt, at, err)
	}
	return b, nil
}
