package metadata

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"lignum/core/config"
	"lignum/core/record"
)

// A snapshot is, with fixed integers big-endian:
//
//	magic    "LGMI"
//	version  uint8    0
//	offset   int64    of the last entry in the image
//	epoch    int32    of that entry
//	records           that build the image from nothing, as in an entry
//	crc      uint32   CRC-32C of everything before
const (
	snapshotMagic   = "LGMI"
	snapshotVersion = 0
	snapshotHeader  = len(snapshotMagic) + 1 + 8 + 4
	snapshotTrailer = 4
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Snapshot encodes the image. Equal images have equal snapshots.
func (m *Image) Snapshot() []byte {
	p := append([]byte(snapshotMagic), snapshotVersion)
	p = binary.BigEndian.AppendUint64(p, uint64(m.offset))
	p = binary.BigEndian.AppendUint32(p, uint32(m.epoch))
	p = m.appendContent(p)
	return binary.BigEndian.AppendUint32(p, crc32.Checksum(p, castagnoli))
}

// appendContent writes the records that build the image.
func (m *Image) appendContent(p []byte) []byte {
	var scratch writer
	add := func(r Record) { p = appendRecord(p, r, &scratch) }
	for _, f := range m.features {
		add(&FeatureSet{Name: f.Name, Level: f.Level})
	}
	for _, b := range m.departed {
		add(b.registered())
		add(&BrokerUnregistered{ID: b.ID, Epoch: b.Epoch})
	}
	for _, b := range m.brokers {
		add(b.registered())
	}
	eachSetting(m.clusterConfig, func(key, value string) { add(&BrokerConfigured{Broker: NoNode, Key: key, Value: value}) })
	for _, c := range m.brokerConfig {
		eachSetting(c.overrides, func(key, value string) { add(&BrokerConfigured{Broker: c.id, Key: key, Value: value}) })
	}
	for _, c := range m.groupConfig {
		eachSetting(c.overrides, func(key, value string) { add(&GroupConfigured{Group: c.id, Key: key, Value: value}) })
	}
	if m.nextProducerID > 0 {
		add(&ProducerIDsAllocated{Broker: NoNode, Epoch: NoBrokerEpoch, Next: m.nextProducerID})
	}
	for _, t := range m.topics {
		add(&TopicCreated{ID: t.ID, Name: t.Name})
		eachSetting(t.Config, func(key, value string) { add(&TopicConfigured{Topic: t.ID, Key: key, Value: value}) })
		for i := range t.Partitions {
			add(&PartitionChanged{Topic: t.ID, Index: int32(i), Partition: t.Partitions[i]})
		}
	}
	return p
}

// registered is the record that builds a registration.
func (b *Broker) registered() *BrokerRegistered {
	return &BrokerRegistered{
		ID: b.ID, Epoch: b.Epoch, Incarnation: b.Incarnation, Directories: b.Directories, Rack: b.Rack,
		Endpoints: b.Endpoints, Features: b.Features, Fenced: b.Fenced, ShuttingDown: b.ShuttingDown,
		Changed: b.Changed,
	}
}

func eachSetting(o config.Overrides, f func(key, value string)) {
	for _, s := range o {
		f(s.Key, s.Value)
	}
}

// DecodeSnapshot makes the image that a snapshot was written from. The records in it are checked by the checksum
// and their form alone: a snapshot comes from this node's disk or from the quorum's leader.
func DecodeSnapshot(p []byte) (*Image, error) {
	if len(p) < snapshotHeader+snapshotTrailer || string(p[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: %d bytes are no snapshot", ErrCorrupt, len(p))
	}
	body, trailer := p[:len(p)-snapshotTrailer], p[len(p)-snapshotTrailer:]
	if sum := crc32.Checksum(body, castagnoli); sum != binary.BigEndian.Uint32(trailer) {
		return nil, fmt.Errorf("%w: snapshot's checksum is %08x, want %08x", ErrCorrupt, sum, binary.BigEndian.Uint32(trailer))
	}
	if v := body[len(snapshotMagic)]; v != snapshotVersion {
		return nil, fmt.Errorf("%w: snapshot in version %d", ErrUnknown, v)
	}
	at := snapshotPosition(body)
	records, err := DecodeRecords(body[snapshotHeader:])
	if err != nil {
		return nil, fmt.Errorf("snapshot at %d: %w", at.Offset, err)
	}
	m := New()
	var changes Changes
	for _, r := range records {
		changes = Changes{}
		m.applyRecord(at, r, &changes)
	}
	m.offset, m.epoch = at.Offset, at.Epoch
	return m, nil
}

func snapshotPosition(body []byte) Position {
	at := len(snapshotMagic) + 1
	return Position{
		Offset: record.Offset(binary.BigEndian.Uint64(body[at:])),
		Epoch:  record.Epoch(binary.BigEndian.Uint32(body[at+8:])),
	}
}
