// Package metadata is the cluster as every broker sees it: brokers, topics, partitions, settings, producer ids. It is a fold
// of the metadata log's records.
//
// Invariants:
//
//	M4  the image and the offset of the last entry in it change together
//	M5  an image read back from a snapshot equals the image that was written
//	M6  entries are applied in order, each once, and all records of an entry together
//	M8  ids are drawn from what the image says is unused, and the record that uses them makes them used
//
// An entry of the log is a sequence of records, each
//
//	length   uvarint   bytes behind this field
//	kind     uvarint   what it is
//	version  uvarint   layout of the rest
//	fields             see fields.go; integers are varints, texts and lists carry their length in front
//
// Applying cannot refuse: what is in the log has happened. A record that does not fit the image is a mistake in the program
// that wrote it, and stops the node (invariant.Violated).
package metadata

import "lignum/core/record"

// BrokerEpoch is the version of a broker's registration: the offset of the entry that holds it.
type BrokerEpoch int64

// NoBrokerEpoch stands for an epoch that is not known. In a registration it asks for the entry's own offset.
const NoBrokerEpoch BrokerEpoch = -1

// PartitionEpoch is the version of a partition's state; each change adds one.
type PartitionEpoch int32

// NoNode stands for no broker, as the leader of a partition that has none.
const NoNode record.NodeID = -1

// UUID is a random identity: of a directory, or of one life of a broker process.
type UUID [16]byte

// LostDirectory stands for a replica whose log is damaged or gone, as Kafka has it (KIP-858). Zero stands for a directory that is not known.
var LostDirectory = UUID{15: 2}

// Reserved reports whether the identity is one of those with a meaning of their own, which no directory has.
func (u UUID) Reserved() bool {
	for _, b := range u[:15] {
		if b != 0 {
			return false
		}
	}
	return u[15] < 100
}

// Flush is what is known of how a partition's replicas keep records: whether what they say they have survives a loss of power (I7).
type Flush uint8

const (
	// FlushAsync: replicas may report what they have not synced.
	FlushAsync Flush = iota
	// FlushPending: replicas report only what they have synced, since the leader epoch in which this began; what they reported before may not
	// be synced yet. The leader says when it is.
	FlushPending
	// FlushSynced: everything that an in-sync or eligible replica has ever reported is synced there.
	FlushSynced
)

// Record is one change of the cluster.
type Record interface {
	kind() kind
	appendFields(w *writer)
	readFields(r *reader, version uint64)
}

// Endpoint is an address at which a broker is reached.
type Endpoint struct {
	Listener string
	Host     string
	Port     uint16
	Protocol int16 // Kafka's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
}

// FeatureRange is what a broker supports of one feature.
type FeatureRange struct {
	Name     string
	Min, Max int16
}

// BrokerRegistered says that a broker joined, or came back. It replaces an earlier registration of the same id.
type BrokerRegistered struct {
	ID           record.NodeID
	Epoch        BrokerEpoch // NoBrokerEpoch: the entry's offset
	Incarnation  UUID        // of the process
	Directories  []UUID
	Rack         string // "" for none
	Endpoints    []Endpoint
	Features     []FeatureRange
	Fenced       bool
	ShuttingDown bool
	Changed      record.Offset // of the entry that last changed the broker; NoOffset: this one's
}

// BrokerChanged fences a broker, lets it in again, or marks that it is shutting down.
type BrokerChanged struct {
	ID           record.NodeID
	Epoch        BrokerEpoch // of the registration that is meant
	Fenced       bool
	ShuttingDown bool
	Failed       []UUID // directories that the broker has lost
}

// BrokerUnregistered removes a broker. Only by its last registration it is known when it comes back.
type BrokerUnregistered struct {
	ID    record.NodeID
	Epoch BrokerEpoch // of the registration that is meant
}

// TopicCreated makes a topic without partitions.
type TopicCreated struct {
	ID   record.TopicID
	Name string
}

// TopicDeleted removes a topic with its partitions and settings.
type TopicDeleted struct {
	ID record.TopicID
}

// PartitionChanged is the whole state of a partition that is new or has changed. A new partition's index is the number of
// those there are.
type PartitionChanged struct {
	Topic record.TopicID
	Index int32
	Partition
}

// TopicConfigured sets or removes one setting of a topic.
type TopicConfigured struct {
	Topic   record.TopicID
	Key     string
	Value   string
	Removed bool
}

// GroupConfigured sets or removes one setting of a group, which need not exist.
type GroupConfigured struct {
	Group   string
	Key     string
	Value   string
	Removed bool
}

// BrokerConfigured sets or removes one setting of a broker, or of all if Broker is NoNode.
type BrokerConfigured struct {
	Broker  record.NodeID
	Key     string
	Value   string
	Removed bool
}

// ProducerIDsAllocated says that every producer id below Next has been given away.
type ProducerIDsAllocated struct {
	Broker record.NodeID // who got the block that ends at Next
	Epoch  BrokerEpoch
	Next   record.ProducerID
}

// FeatureSet fixes the level of a feature for the whole cluster; level 0 removes it.
type FeatureSet struct {
	Name  string
	Level int16
}

// NoOperation changes nothing.
type NoOperation struct{}

// kind is what a record is, as the log has it. Numbers are never used again.
type kind uint64

const (
	kindNoOperation kind = iota + 1
	kindBrokerRegistered
	kindBrokerChanged
	kindBrokerUnregistered
	kindTopicCreated
	kindTopicDeleted
	kindPartitionChanged
	kindTopicConfigured
	kindBrokerConfigured
	kindProducerIDsAllocated
	kindFeatureSet
	kindGroupConfigured
)

// blank makes an empty record of a kind; nil if there is no such kind.
func blank(k kind) Record {
	switch k {
	case kindNoOperation:
		return &NoOperation{}
	case kindBrokerRegistered:
		return &BrokerRegistered{}
	case kindBrokerChanged:
		return &BrokerChanged{}
	case kindBrokerUnregistered:
		return &BrokerUnregistered{}
	case kindTopicCreated:
		return &TopicCreated{}
	case kindTopicDeleted:
		return &TopicDeleted{}
	case kindPartitionChanged:
		return &PartitionChanged{}
	case kindTopicConfigured:
		return &TopicConfigured{}
	case kindBrokerConfigured:
		return &BrokerConfigured{}
	case kindGroupConfigured:
		return &GroupConfigured{}
	case kindProducerIDsAllocated:
		return &ProducerIDsAllocated{}
	case kindFeatureSet:
		return &FeatureSet{}
	default:
		return nil
	}
}

func (*NoOperation) kind() kind          { return kindNoOperation }
func (*BrokerRegistered) kind() kind     { return kindBrokerRegistered }
func (*BrokerChanged) kind() kind        { return kindBrokerChanged }
func (*BrokerUnregistered) kind() kind   { return kindBrokerUnregistered }
func (*TopicCreated) kind() kind         { return kindTopicCreated }
func (*TopicDeleted) kind() kind         { return kindTopicDeleted }
func (*PartitionChanged) kind() kind     { return kindPartitionChanged }
func (*TopicConfigured) kind() kind      { return kindTopicConfigured }
func (*BrokerConfigured) kind() kind     { return kindBrokerConfigured }
func (*ProducerIDsAllocated) kind() kind { return kindProducerIDsAllocated }
func (*FeatureSet) kind() kind           { return kindFeatureSet }
func (*GroupConfigured) kind() kind      { return kindGroupConfigured }
