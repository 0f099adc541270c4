package record

// Limits bound what reading the records of one batch may cost. The zero value means the defaults.
type Limits struct {
	// MaxUncompressed is how many bytes the records of a batch may decompress to. Beyond it the batch is refused with
	// ErrTooLarge, whatever its own size: the answer to a decompression bomb, which costs this much processor
	// time and no memory. The default of 256 MiB leaves room for the batches of Java's producer, which fills
	// batch.size (at most some MiB) by its estimate of the compressed size.
	MaxUncompressed int64
	// MaxMemory is how much a codec may hold at once, in bytes, while a batch is streamed through it. It is the greatest
	// zstd window that is streamed; the default of 8 MiB covers all levels up to 19 of the reference
	// implementation. Frames with a greater window (levels 20 to 22) are read too if their whole content
	// fits in MaxMemory. A snappy block can only be decompressed whole: one may take 22 times its own size,
	// which the format bounds by itself.
	MaxMemory int
}

// The defaults of Limits.
const (
	DefaultMaxUncompressed = 256 << 20
	DefaultMaxMemory       = 8 << 20
)

func (l Limits) orDefault() Limits {
	if l.MaxUncompressed <= 0 {
		l.MaxUncompressed = DefaultMaxUncompressed
	}
	if l.MaxMemory <= 0 {
		l.MaxMemory = DefaultMaxMemory
	}
	l.MaxUncompressed = min(l.MaxUncompressed, 1<<62)
	l.MaxMemory = max(l.MaxMemory, wholeZstd)
	return l
}
