package record

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
)

// Offset is a position in a partition: the number of records that were ever appended before it.
type Offset int64

// NoOffset stands for an offset that is not known.
const NoOffset Offset = -1

// Epoch is a leader epoch: the n-th leader of a partition.
type Epoch int32

// NoEpoch stands for an epoch that is not known.
const NoEpoch Epoch = -1

// NodeID names a broker of the cluster.
type NodeID int32

// ProducerID names an idempotent producer, in all of its lives.
type ProducerID int64

// NoProducer is in the batches of producers that are not idempotent.
const NoProducer ProducerID = -1

// ProducerEpoch counts the lives of one producer ID.
type ProducerEpoch int16

// NoProducerEpoch goes with NoProducer.
const NoProducerEpoch ProducerEpoch = -1

// NoSequence is the sequence of a batch that has none.
const NoSequence int32 = -1

// NoTimestamp is the timestamp of a record that has none, and of an empty set of records.
const NoTimestamp int64 = -1

// AddSequence moves a sequence on by n >= 0 records. Sequences go from 0 to 2^31-1 and start over at 0.
func AddSequence(sequence, n int32) int32 {
	return int32((uint32(sequence) + uint32(n)) & 0x7fffffff)
}

// TopicID is a topic's identity. Names come back after a deletion, identities do not.
type TopicID [16]byte

// topicIDText is the length of a TopicID's text: 16 bytes in base64 without padding.
const topicIDText = 22

// IsZero reports whether the id is absent.
func (t TopicID) IsZero() bool { return t == TopicID{} }

// String is Kafka's form: URL-safe base64 without padding, 22 characters.
func (t TopicID) String() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// Compare orders ids by their bytes.
func (t TopicID) Compare(other TopicID) int { return bytes.Compare(t[:], other[:]) }

// ParseTopicID reads the text that String writes.
func ParseTopicID(s string) (TopicID, error) {
	var t TopicID
	if len(s) != topicIDText {
		return t, fmt.Errorf("topic id %.40q has %d characters, want %d", s, len(s), topicIDText)
	}
	if _, err := base64.RawURLEncoding.Decode(t[:], []byte(s)); err != nil {
		return TopicID{}, fmt.Errorf("topic id %q: %w", s, err)
	}
	return t, nil
}

// Partition is a partition's identity, on disk and in the journal.
type Partition struct {
	Topic TopicID
	Index int32
}

// Compare orders partitions by topic, then by index.
func (p Partition) Compare(other Partition) int {
	if c := p.Topic.Compare(other.Topic); c != 0 {
		return c
	}
	return cmp.Compare(p.Index, other.Index)
}

// String is the topic's id and the index: "AAAAAAAAAAAAAAAAAAAAAQ-3".
func (p Partition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Index) }
