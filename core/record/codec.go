package record

import "strconv"

// Codec is a compression of the records of a batch, with the number that the attributes carry.
type Codec uint8

// The codecs.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

// Valid reports whether the codec exists.
func (c Codec) Valid() bool { return c <= Zstd }

// String is Kafka's name of the codec.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return "codec " + strconv.Itoa(int(c))
}

// ParseCodec reads a name that String writes.
func ParseCodec(name string) (c Codec, ok bool) {
	for c = None; c.Valid(); c++ {
		if c.String() == name {
			return c, true
		}
	}
	return None, false
}
