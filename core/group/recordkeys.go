package group

import (
	"lignum/core/coordinator"
	"lignum/core/record"
)

// The versions of keys.
const (
	keyOffset0        = 0
	keyOffset         = 1
	keyClassic        = 2
	keyConsumerEpoch  = 3
	keyConsumerTopics = 4
	keyConsumerMember = 5
	keyTargetEpoch    = 6
	keyTargetMember   = 7
	keyCurrentMember  = 8
	keyRegex          = 16
)

// The versions of values that Apache Kafka 4.0 writes.
const (
	offsetValue        = 3
	offsetValueTagged  = 4 // has tags, for the topic's id
	offsetValueExpires = 1
	classicValue       = 3
)

// key is a record's, whatever it is of.
type key struct {
	version   int16
	group     string
	name      string // the topic, the member, or the expression
	partition int32
}

func (k key) encode() []byte {
	w := writer{p: make([]byte, 0, 10+len(k.group)+len(k.name))}
	w.int16(k.version)
	w.string(k.group)
	switch k.version {
	case keyOffset0, keyOffset:
		w.string(k.name)
		w.int32(k.partition)
	case keyConsumerMember, keyTargetMember, keyCurrentMember, keyRegex:
		w.string(k.name)
	}
	return w.p
}

// decodeKey reads a key; known is false if this program has no use for the record.
func decodeKey(p []byte) (k key, known bool, err error) {
	r := reader{p: p}
	k.version = r.int16()
	switch k.version {
	case keyOffset0, keyOffset:
		k.group, k.name, k.partition = r.string(), r.string(), r.int32()
	case keyClassic, keyConsumerEpoch, keyConsumerTopics, keyTargetEpoch:
		k.group = r.string()
	case keyConsumerMember, keyTargetMember, keyCurrentMember, keyRegex:
		k.group, k.name = r.string(), r.string()
	default:
		return k, false, r.err()
	}
	return k, true, r.err()
}

func tombstone(k key) coordinator.Record { return coordinator.Record{Key: k.encode()} }

// offsetRecord says that a group has committed an offset.
func offsetRecord(group, topic string, c *Committed) coordinator.Record {
	k := key{version: keyOffset, group: group, name: topic, partition: c.Partition}
	w := writer{p: make([]byte, 0, 48+len(c.Metadata))}
	version := int16(offsetValue)
	switch {
	case c.expires != noExpiry:
		version = offsetValueExpires
	case !c.Topic.IsZero():
		version = offsetValueTagged
		w.flexible = true
	}
	w.int16(version)
	w.int64(int64(c.Offset))
	if version >= 3 {
		w.int32(int32(c.LeaderEpoch))
	}
	w.string(c.Metadata)
	w.int64(c.committed)
	if version == offsetValueExpires {
		w.int64(c.expires)
	}
	if version == offsetValueTagged {
		w.tagCount(1)
		w.uvarint(0)
		w.uvarint(len(c.Topic))
		w.uuid(c.Topic)
	}
	return coordinator.Record{Key: k.encode(), Value: w.p}
}

func decodeOffset(p []byte) (c Committed, err error) {
	r := reader{p: p}
	version := r.int16()
	r.flexible = version >= 4
	c.Offset, c.LeaderEpoch, c.expires = record.Offset(r.int64()), record.NoEpoch, noExpiry
	if version >= 3 {
		c.LeaderEpoch = record.Epoch(r.int32())
	}
	c.Metadata = r.string()
	c.committed = r.int64()
	if version == offsetValueExpires {
		c.expires = r.int64()
	}
	r.tags(func(tag int, v *reader) {
		if tag == 0 {
			c.Topic = v.uuid()
		}
	})
	return c, r.err()
}

// classicRecord is a classic group's last complete generation.
type classicRecord struct {
	protocolType string
	generation   int32
	protocol     string // "" for none
	leader       string // "" for none
	since        int64  // wall time of the last change of state; -1 if it is not known
	members      []classicMemberRecord
}

type classicMemberRecord struct {
	id, instance, clientID, host     string // instance "" for a dynamic member
	rebalanceTimeout, sessionTimeout int32
	subscription, assignment         []byte
}

func (c *classicRecord) encode() []byte {
	w := writer{}
	w.int16(classicValue)
	w.string(c.protocolType)
	w.int32(c.generation)
	w.maybeString(c.protocol)
	w.maybeString(c.leader)
	w.int64(c.since)
	w.count(len(c.members))
	for i := range c.members {
		m := &c.members[i]
		w.string(m.id)
		w.maybeString(m.instance)
		w.string(m.clientID)
		w.string(m.host)
		w.int32(m.rebalanceTimeout)
		w.int32(m.sessionTimeout)
		w.bytes(m.subscription)
		w.bytes(m.assignment)
	}
	return w.p
}

func decodeClassic(p []byte) (c classicRecord, err error) {
	r := reader{p: p}
	version := r.int16()
	r.flexible = version >= 4
	c.protocolType, c.generation = r.string(), r.int32()
	c.protocol, c.leader, c.since = r.string(), r.string(), -1
	if version >= 2 {
		c.since = r.int64()
	}
	for n := r.count(10); n > 0 && !r.failed; n-- {
		m := classicMemberRecord{id: r.string(), rebalanceTimeout: -1}
		if version >= 3 {
			m.instance = r.string()
		}
		m.clientID, m.host = r.string(), r.string()
		if version >= 1 {
			m.rebalanceTimeout = r.int32()
		}
		m.sessionTimeout = r.int32()
		m.subscription, m.assignment = r.bytes(), r.bytes()
		r.tags(nil)
		if m.rebalanceTimeout == -1 {
			m.rebalanceTimeout = m.sessionTimeout
		}
		c.members = append(c.members, m)
	}
	r.tags(nil)
	return c, r.err()
}
