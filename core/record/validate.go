package record

import (
	"fmt"
	"io"
)

// Facts is what Validate learns of a batch on the way.
type Facts struct {
	// NullKeys says that at least one record has no key, which a compacted topic refuses; FirstNullKey is the first
	// such record, counted from 0, or -1.
	NullKeys     bool
	FirstNullKey int32
	// MinTimestamp and MaxTimestamp are those of the records that have one, else NoTimestamp. MaxTimestamp is never
	// less than NoTimestamp, as in Kafka. The header of the batch may claim another maximum: see
	// Batch.SetMaxTimestamp.
	MinTimestamp, MaxTimestamp int64
	// DeltaOfMaxTimestamp is the offset delta of the first record with MaxTimestamp; -1 if none has one.
	DeltaOfMaxTimestamp int32
	// UncompressedSize is the size of the records without compression, in bytes.
	UncompressedSize int64
}

// Validate checks everything that a leader must know of a batch that a client sent before it may stand in a log: the
// checksum; that count and last offset delta agree with the records; that the records are well formed and count up
// from 0 without a gap; that nothing follows them; and that the flags are a client's to set. Compressed records are
// streamed: see Limits for what that may cost.
//
// It leaves to the caller what depends on the topic: sizes, bounds of timestamps, keys. The error is ErrCorrupt if the
// batch was damaged on the way, otherwise ErrInvalid, ErrTimestamp, ErrCodec or ErrTooLarge, and then sending it again
// is of no use.
//
// A batch without compression costs no allocation. Whoever has many others uses a Reader.
func Validate(b Batch, l Limits) (Facts, error) {
	if b.Codec() == None {
		return validatePlain(b)
	}
	return NewReader(l).Validate(b)
}

// Validate is the function of the same name, with the Reader's limits.
func (r *Reader) Validate(b Batch) (Facts, error) {
	if b.Codec() == None {
		return validatePlain(b)
	}
	if err := checkHeader(b); err != nil {
		return Facts{}, err
	}
	if b.Codec() == LZ4 {
		if err := checkLZ4Frame(b.Records()); err != nil {
			return Facts{}, err
		}
	}
	defer r.close()
	c, err := r.cursor(b)
	if err != nil {
		return Facts{}, err
	}
	f, err := c.validate(b)
	r.window = c.p[:0]
	return f, err
}

func validatePlain(b Batch) (Facts, error) {
	if err := checkHeader(b); err != nil {
		return Facts{}, err
	}
	c := cursor{p: b.Records()}
	return c.validate(b)
}

// cursor starts reading compressed records.
func (r *Reader) cursor(b Batch) (*cursor, error) {
	in, err := r.open(b.Codec(), b.Records())
	if err != nil {
		return nil, err
	}
	if r.window == nil {
		r.window = make([]byte, 0, windowSize)
	}
	r.cur = cursor{p: r.window[:0], in: in}
	return &r.cur, nil
}

func checkHeader(b Batch) error {
	if err := b.CheckCRC(); err != nil {
		return err
	}
	switch {
	case !b.Codec().Valid():
		return fmt.Errorf("%w: %v", ErrCodec, b.Codec())
	case b.IsControl():
		return fmt.Errorf("%w: control records are not for clients to write", ErrInvalid)
	case b.HasDeleteHorizon():
		return fmt.Errorf("%w: a delete horizon is not for clients to set", ErrInvalid)
	case b.HasLogAppendTime():
		return fmt.Errorf("%w: log append time is not for clients to set", ErrTimestamp)
	case b.Count() < 1 || b.LastOffsetDelta() != b.Count()-1:
		return fmt.Errorf("%w: %d records with last offset delta %d", ErrInvalid, b.Count(), b.LastOffsetDelta())
	case b.HasProducer() && (b.BaseSequence() < 0 || b.ProducerEpoch() < 0):
		return fmt.Errorf("%w: producer %d has epoch %d, sequence %d", ErrInvalid, b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	case b.IsTransactional() && !b.HasProducer():
		return fmt.Errorf("%w: transactional without a producer id", ErrInvalid)
	}
	return nil
}

func (c *cursor) validate(b Batch) (Facts, error) {
	f := Facts{FirstNullKey: -1, MinTimestamp: NoTimestamp, MaxTimestamp: NoTimestamp, DeltaOfMaxTimestamp: -1}
	base, count := b.BaseTimestamp(), b.Count()
	for n := range count {
		length := c.varint()
		end := c.pos() + int64(length)
		c.byte() // attributes, of which none is defined
		timestamp := base + c.varlong()
		delta := c.varint()
		key := c.varint()
		c.skip(key)
		value := c.varint()
		c.skip(value)
		if headers := c.varint(); headers != 0 {
			c.skipHeaders(headers)
		}
		if c.bad || length < 0 || c.pos() != end || key < -1 || value < -1 {
			return f, fmt.Errorf("record %d of %d is malformed: %w", n, count, c.reason())
		}
		if delta != n {
			return f, fmt.Errorf("%w: record %d has offset delta %d", ErrInvalid, n, delta)
		}
		if key < 0 && !f.NullKeys {
			f.NullKeys, f.FirstNullKey = true, n
		}
		f.note(timestamp, n)
	}
	if c.more() {
		return f, fmt.Errorf("%w: bytes behind the last of %d records", ErrInvalid, count)
	}
	if c.err != nil && c.err != io.EOF {
		return f, fmt.Errorf("behind the last of %d records: %w", count, c.reason())
	}
	f.UncompressedSize = c.pos()
	return f, nil
}

// note takes a record's timestamp into account.
func (f *Facts) note(timestamp int64, delta int32) {
	if timestamp == NoTimestamp {
		return
	}
	if timestamp > f.MaxTimestamp {
		f.MaxTimestamp, f.DeltaOfMaxTimestamp = timestamp, delta
	}
	if timestamp < f.MinTimestamp || f.MinTimestamp == NoTimestamp {
		f.MinTimestamp = timestamp
	}
}

// skipHeaders passes over headers. Each takes two bytes at least, so a lying count ends with the data.
func (c *cursor) skipHeaders(count int32) {
	if count < 0 {
		c.bad = true
		return
	}
	for ; count > 0 && !c.bad; count-- {
		key := c.varint()
		c.skip(key)
		value := c.varint()
		c.skip(value)
		if key < 0 || value < -1 {
			c.bad = true
		}
	}
}
