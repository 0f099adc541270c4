package api

import (
	"errors"
	"fmt"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// Decode reads one request frame (its length prefix removed) and verifies the record batches in it. It is pure and runs at the
// edge. The call takes over the caller's reference to the frame. An error means that the peer does not speak the
// protocol and the connection has to be closed; the frame is then still the caller's.
func Decode(frame env.Buffer, records *record.Reader) (env.Request, error) {
	h, body, err := wire.DecodeHeader(frame.Bytes())
	if err != nil {
		var unsupported *wire.UnsupportedError
		if errors.As(err, &unsupported) && unsupported.Answerable() {
			return &Call{Header: unsupported.Header, frame: frame}, nil
		}
		return nil, err
	}
	if !wire.Accepts(h.Key, h.Version, true) { // whether on this listener, Handle sees
		return nil, &wire.UnsupportedError{Header: h}
	}
	c := &Call{Header: h, frame: frame}
	c.Body, err = wire.DecodeBody(h, body)
	if err != nil {
		return nil, fmt.Errorf("request %d, %v version %d: %w", h.CorrelationID, h.Key, h.Version, err)
	}
	if produce, ok := c.Body.(*wire.ProduceRequest); ok {
		c.verify(produce, records)
	}
	return c, nil
}

// verify judges the batches of a produce request, in the order of its partitions.
func (c *Call) verify(r *wire.ProduceRequest, records *record.Reader) {
	c.batches = c.batch0[:0]
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			c.batches = append(c.batches, judge(r.Topics[i].Partitions[j].Records, c.Header.Version, records))
		}
	}
}

// judge checks what can be said of a partition's records without knowing the topic.
func judge(p []byte, version int16, records *record.Reader) verdict {
	if len(p) == 0 {
		return refused(wire.InvalidRecord, "a produce request needs exactly one record batch for each partition, there is none")
	}
	b, rest, err := record.Next(p)
	if err != nil {
		return refusedBatch(err)
	}
	if len(rest) > 0 {
		return refused(wire.InvalidRecord, "a produce request needs exactly one record batch for each partition, there are more")
	}
	if b.Codec() == record.Zstd && version < 7 {
		return refused(wire.UnsupportedCompressionType, "produce requests below version 7 cannot use zstd")
	}
	facts, err := records.Validate(b)
	if err != nil {
		return refusedBatch(err)
	}
	if b.MaxTimestamp() != facts.MaxTimestamp {
		// The header may not claim another maximum than the records have: indexes and retention rely on it.
		b.SetMaxTimestamp(facts.MaxTimestamp)
	}
	return verdict{batch: b, facts: facts}
}

func refused(code wire.ErrorCode, message string) verdict {
	return verdict{code: code, message: message}
}

// refusedBatch finds the code that Kafka gives for a fault in a batch.
func refusedBatch(err error) verdict {
	code := wire.CorruptMessage
	switch {
	case errors.Is(err, record.ErrMagic):
		code = wire.UnsupportedForMessageFormat
	case errors.Is(err, record.ErrInvalid):
		code = wire.InvalidRecord
	case errors.Is(err, record.ErrTimestamp):
		code = wire.InvalidTimestamp
	case errors.Is(err, record.ErrCodec):
		code = wire.UnsupportedCompressionType
	case errors.Is(err, record.ErrTooLarge):
		code = wire.MessageTooLarge
	}
	return refused(code, err.Error())
}
