package record

import (
	"errors"
	"fmt"
)

// Record is one record of a batch.
type Record struct {
	OffsetDelta int32
	Timestamp   int64  // milliseconds; what the batch says if the broker has set it
	Key, Value  []byte // nil is a null, which differs from an empty one
	Headers     []Header
}

// Header is a named annotation of a record.
type Header struct {
	Key   []byte
	Value []byte // nil is a null
}

// ErrStop is what visit returns to end an iteration early and without an error.
var ErrStop = errors.New("stop the iteration")

// Each calls visit with the records of the batch in order. What a record refers to is valid during the call only. It
// stops with the first error, visit's or one of ErrInvalid, ErrCodec and ErrTooLarge; neither the checksum nor what
// Validate asks of a client is checked, and a compacted batch may have gaps.
//
// Memory stays within Limits and the size of the greatest record.
func (b Batch) Each(l Limits, visit func(Record) error) error {
	if b.Codec() == None {
		var headers []Header
		c := cursor{p: b.Records()}
		return c.each(b, &headers, visit)
	}
	return NewReader(l).Each(b, visit)
}

// Each is Batch.Each with the Reader's limits. A call inside visit needs another Reader.
func (r *Reader) Each(b Batch, visit func(Record) error) error {
	defer r.close()
	if b.Codec() == None {
		r.cur = cursor{p: b.Records()}
		return r.cur.each(b, &r.header, visit)
	}
	c, err := r.cursor(b)
	if err != nil {
		return err
	}
	err = c.each(b, &r.header, visit)
	r.window = c.p[:0]
	return err
}

func (c *cursor) each(b Batch, headers *[]Header, visit func(Record) error) error {
	for n := range b.Count() {
		r, ok := c.record(b.BaseTimestamp(), headers)
		if !ok {
			return fmt.Errorf("record %d of %d is malformed: %w", n, b.Count(), c.reason())
		}
		if b.HasLogAppendTime() {
			r.Timestamp = b.MaxTimestamp()
		}
		if err := visit(r); err != nil {
			if err == ErrStop {
				return nil
			}
			return err
		}
	}
	return nil
}

func (c *cursor) record(base int64, headers *[]Header) (Record, bool) {
	var r Record
	length := c.varint()
	if c.bad || length < 0 || !c.need(int(length)) {
		return r, false
	}
	end := c.i + int(length)
	c.byte()
	r.Timestamp = base + c.varlong()
	r.OffsetDelta = c.varint()
	r.Key = c.bytes(c.varint())
	r.Value = c.bytes(c.varint())
	*headers = (*headers)[:0]
	for count := c.varint(); count != 0 && !c.bad; count-- {
		key := c.varint()
		if key < 0 || count < 0 {
			return r, false
		}
		h := Header{Key: c.bytes(key)}
		h.Value = c.bytes(c.varint())
		*headers = append(*headers, h)
	}
	if len(*headers) > 0 {
		r.Headers = *headers
	}
	return r, !c.bad && c.i == end
}
