package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Recompress returns the batch with its records under another codec, and everything else as it was. The batch must have passed
// Validate; the result is new memory. Whoever does it often uses a Compressor.
func Recompress(b Batch, c Codec, l Limits) (Batch, error) {
	var own Compressor
	return own.Recompress(b, c, l)
}

// Recompress is the function of that name, with the contexts that are kept.
func (x *Compressor) Recompress(b Batch, c Codec, l Limits) (Batch, error) {
	records := b.Records()
	if from := b.Codec(); from != None {
		var err error
		if records, err = Decompress(from, nil, records, l); err != nil {
			return nil, fmt.Errorf("recompress from %v to %v: %w", from, c, err)
		}
	}
	out := append(make([]byte, 0, HeaderSize+len(records)/2), b[:HeaderSize]...)
	if c == None {
		out = append(out, records...)
	} else {
		out = x.Compress(c, out, records)
	}
	out[attributesLowByte] = out[attributesLowByte]&^codecMask | byte(c)
	binary.BigEndian.PutUint32(out[atLength:], uint32(len(out)-LogOverhead))
	binary.BigEndian.PutUint32(out[atCRC:], crc32.Checksum(out[atAttributes:], castagnoli))
	return Batch(out), nil
}
