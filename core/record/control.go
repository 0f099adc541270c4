package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType says what a control record is about. It stands in the record's key: version int16 (0), type int16.
type ControlType int16

// The control records of a transaction's end. Other types belong to metadata logs.
const (
	Abort  ControlType = 0
	Commit ControlType = 1
)

const (
	controlKeySize  = 4
	markerValueSize = 6
)

// Marker is the control record that ends a transaction in one partition. Its value is: version int16 (0),
// coordinator epoch int32.
type Marker struct {
	Type             ControlType
	CoordinatorEpoch int32 // leader epoch of the coordinator that decided
}

// NewMarker builds the control batch that ends the transaction of a producer. Its offset and leader epoch are set by
// whoever appends it.
func NewMarker(id ProducerID, epoch ProducerEpoch, m Marker, timestamp int64) Batch {
	var key [controlKeySize]byte
	var value [markerValueSize]byte
	binary.BigEndian.PutUint16(key[2:], uint16(m.Type))
	binary.BigEndian.PutUint32(value[2:], uint32(m.CoordinatorEpoch))
	b := NewBuilder(None)
	b.SetProducer(id, epoch, NoSequence)
	b.SetTransactional()
	b.SetControl()
	b.Append(Record{Timestamp: timestamp, Key: key[:], Value: value[:]})
	return b.Build()
}

// ParseControlType reads the key of a control record. Later versions only add to it.
func ParseControlType(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return 0, fmt.Errorf("%w: control record's key has %d bytes", ErrInvalid, len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, fmt.Errorf("%w: control record's version is %d", ErrInvalid, version)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// ParseMarker reads the control record that ends a transaction; ok is false if it is of another type.
func ParseMarker(r Record) (m Marker, ok bool, err error) {
	m.Type, err = ParseControlType(r.Key)
	if err != nil || (m.Type != Abort && m.Type != Commit) {
		return Marker{}, false, err
	}
	if len(r.Value) < markerValueSize {
		return Marker{}, false, fmt.Errorf("%w: transaction marker has %d bytes", ErrInvalid, len(r.Value))
	}
	if version := int16(binary.BigEndian.Uint16(r.Value)); version < 0 {
		return Marker{}, false, fmt.Errorf("%w: transaction marker's version is %d", ErrInvalid, version)
	}
	m.CoordinatorEpoch = int32(binary.BigEndian.Uint32(r.Value[2:]))
	return m, true, nil
}

// Marker reads the end of a transaction from a control batch; ok is false for any other batch, and for one whose record
// was compacted away, which leaves nothing of the transaction to end.
func (b Batch) Marker() (m Marker, ok bool, err error) {
	if !b.IsControl() || b.Count() == 0 {
		return Marker{}, false, nil
	}
	err = b.Each(Limits{}, func(r Record) error {
		m, ok, err = ParseMarker(r)
		if err != nil {
			return err
		}
		return ErrStop
	})
	return m, ok, err
}
