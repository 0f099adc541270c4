package clients

import "fmt"

// Driver is one client of one broker, ready to be told what to do. Every method
// waits until the client has done it.
type Driver interface {
	// Name is the client's name and version.
	Name() string
	Traits() Traits
	Create(topic string, partitions int) error
	// Topics lists the topics with their partition counts.
	Topics() (map[string]int, error)
	Delete(topic string) error
	// Produce writes the records, in order, and returns them with the partition
	// and offset that the client was told (offset -1 where it was not).
	Produce(topic string, o ProduceOptions, records []Record) ([]Record, error)
	// Read reads each partition from the offset that from names (0 if none) up to
	// its end.
	Read(topic string, from map[int32]int64) ([]Record, error)
	// OffsetAt is the first offset with this timestamp or a later one, -1 if none.
	OffsetAt(topic string, partition int32, timestamp int64) (int64, error)
	// Load writes for a while and calls progress as acknowledgements come in.
	Load(topic string, o LoadOptions, progress func(acked int)) ([]Ack, error)
	Close() error
}

// Traits are the ways in which a client is not like the others.
type Traits struct {
	TextOnly bool `json:"textOnly"` // keys and values are lines of text; one set of headers for all
	OwnTime  bool `json:"ownTime"`  // the client sets the timestamps
	Repeats  bool `json:"repeats"`  // its retries may repeat a record: it has no idempotent producer
}

// ProduceOptions choose the producer.
type ProduceOptions struct {
	Codec      string `json:"codec"` // none, gzip, snappy, lz4, zstd
	Acks       string `json:"acks"`  // 0, 1, all
	Idempotent bool   `json:"idempotent"`
}

// LoadOptions shape a load: Count records with acks=all, by turns to the
// partitions, at Rate records per second; the n-th record of a partition
// carries the value that [loadValue] makes of n.
type LoadOptions struct {
	Partitions int  `json:"partitions"`
	Count      int  `json:"count"`
	Rate       int  `json:"rate"`
	Idempotent bool `json:"idempotent"`
}

// Ack is one acknowledged record of a load.
type Ack struct {
	Partition int32 `json:"partition"`
	Sequence  int   `json:"sequence"`
	Offset    int64 `json:"offset"` // -1 if the client was not told
}

// Lacks is the answer of a driver whose client has no such feature.
type Lacks string

// Error says what is missing.
func (l Lacks) Error() string { return "the client has no such thing: " + string(l) }

// loadValue is the value of the sequence-th record that a load writes to a
// partition; every driver makes the same.
func loadValue(sequence int) []byte { return fmt.Appendf(nil, "%d of the load", sequence) }

// loadSequence is the inverse of loadValue.
func loadSequence(value []byte) (sequence int, err error) {
	_, err = fmt.Sscanf(string(value), "%d of the load", &sequence)
	return sequence, err
}
