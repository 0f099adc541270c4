package metadata

import (
	"cmp"
	"slices"
	"strings"

	"lignum/core/config"
	"lignum/core/record"
)

// Broker is a registered broker.
type Broker struct {
	ID           record.NodeID
	Epoch        BrokerEpoch
	Incarnation  UUID
	Directories  []UUID
	Rack         string // "" for none
	Endpoints    []Endpoint
	Features     []FeatureRange
	Fenced       bool
	ShuttingDown bool
	Changed      record.Offset // of the entry that last changed the fields above, took the broker out of an in-sync set or from leading, or put what it is in sync with under the policy sync
}

// Active reports whether the broker may lead and take new replicas.
func (b *Broker) Active() bool { return !b.Fenced && !b.ShuttingDown }

// Endpoint finds the broker's address on a listener.
func (b *Broker) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Partition is the state of one partition. Its slices are never changed in place, so they may be kept.
type Partition struct {
	Replicas    []record.NodeID // assigned, the preferred leader first
	Directories []UUID          // one for each replica, zero where it is not known
	ISR         []record.NodeID
	ELR         []record.NodeID // KIP-966: out of the ISR, but known to hold everything below the high watermark
	// LastKnownELR are those who left ISR and ELR because they may have lost records, since the ISR is below MinISR. While nobody leads, who led
	// last is first, whether eligible or not; it is not there if its disk is known to be gone.
	LastKnownELR []record.NodeID
	Adding       []record.NodeID // replicas that a reassignment adds
	Removing     []record.NodeID // replicas that a reassignment takes away
	Leader       record.NodeID   // NoNode if there is none
	LeaderEpoch  record.Epoch
	Epoch        PartitionEpoch
	Recovering   bool // the leader was elected uncleanly and has not said yet that it recovered
	// MinISR is the least size of the ISR with which the high watermark may move, as the ELR counts on it: min.insync.replicas, but no more than
	// there are replicas. A leader that knows of a greater minimum obeys that one; it never goes by a smaller one than this.
	MinISR int32
	// Flush: a replica may only be kept under the policy async while this says so and its topic's settings do.
	Flush Flush
}

// Directory is where a replica lies, as far as it is known.
func (p *Partition) Directory(id record.NodeID) UUID {
	for i, other := range p.Replicas {
		if other == id && i < len(p.Directories) {
			return p.Directories[i]
		}
	}
	return UUID{}
}

// Reassigning reports whether a reassignment is on its way.
func (p *Partition) Reassigning() bool { return len(p.Adding) > 0 || len(p.Removing) > 0 }

// Topic is one topic. Partitions are at their index.
type Topic struct {
	ID         record.TopicID
	Name       string
	Partitions []Partition
	Config     config.Overrides
}

// Internal reports whether the topic belongs to the cluster itself.
func (t *Topic) Internal() bool { return InternalTopic(t.Name) }

// InternalTopic reports whether a name is that of a topic of the cluster itself.
func InternalTopic(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}

// Image is the cluster as of one entry of the metadata log. It is owned by the loop and changed by Apply alone. What its methods
// return belongs to the image: it must not be changed, and must not be kept past the next Apply, except for the slices in
// a Partition and Overrides.
type Image struct {
	offset   record.Offset // of the last entry applied; NoOffset before the first
	epoch    record.Epoch  // of the last entry applied
	brokers  registrations
	departed registrations // as they were when they were unregistered, of brokers that have not come back
	topics   []*Topic      // by name
	byID     map[record.TopicID]*Topic

	partitions int // over all topics

	clusterConfig config.Overrides
	brokerConfig  []brokerConfig // by broker, none empty
	groupConfig   []groupConfig  // by group, none empty

	nextProducerID record.ProducerID // the first that nobody has
	features       []Feature         // by name
}

// Feature is a feature with the level that the cluster has agreed on.
type Feature struct {
	Name  string
	Level int16
}

type brokerConfig struct {
	id        record.NodeID
	overrides config.Overrides
}

type groupConfig struct {
	id        string
	overrides config.Overrides
}

// New returns the image of an empty log.
func New() *Image {
	return &Image{offset: record.NoOffset, epoch: record.NoEpoch, byID: map[record.TopicID]*Topic{}}
}

// Offset is that of the last entry in the image, NoOffset if there is none.
func (m *Image) Offset() record.Offset { return m.offset }

// Epoch is that of the last entry in the image, NoEpoch if there is none.
func (m *Image) Epoch() record.Epoch { return m.epoch }

// Brokers lists the registered brokers by id, fenced ones too.
func (m *Image) Brokers() []*Broker { return m.brokers }

// Broker finds a broker; nil if it is not registered.
func (m *Image) Broker(id record.NodeID) *Broker {
	return m.brokers.of(id)
}

// Departed is the last registration of a broker that was unregistered and has not come back, or nil: by that it is known when it does.
func (m *Image) Departed(id record.NodeID) *Broker {
	return m.departed.of(id)
}

// Active reports whether a broker is registered and may lead.
func (m *Image) Active(id record.NodeID) bool {
	b := m.Broker(id)
	return b != nil && b.Active()
}

// registrations are brokers by id.
type registrations []*Broker

func (r registrations) search(id record.NodeID) (int, bool) {
	return slices.BinarySearchFunc(r, id, func(b *Broker, id record.NodeID) int { return cmp.Compare(b.ID, id) })
}

func (r registrations) of(id record.NodeID) *Broker {
	if i, found := r.search(id); found {
		return r[i]
	}
	return nil
}

// put takes in a registration in the place of the last one with its id.
func (r *registrations) put(b *Broker) {
	i, found := r.search(b.ID)
	if !found {
		*r = slices.Insert(*r, i, b)
	}
	(*r)[i] = b
}

// take removes a broker's registration; nil if there is none.
func (r *registrations) take(id record.NodeID) *Broker {
	i, found := r.search(id)
	if !found {
		return nil
	}
	b := (*r)[i]
	*r = slices.Delete(*r, i, i+1)
	return b
}

// Topics lists the topics by name.
func (m *Image) Topics() []*Topic { return m.topics }

// TopicsFrom lists the topics whose names are not less than name, by name.
func (m *Image) TopicsFrom(name string) []*Topic {
	i, _ := m.searchTopic(name)
	return m.topics[i:]
}

// Topic finds a topic by its name; nil if there is none.
func (m *Image) Topic(name string) *Topic {
	i, ok := m.searchTopic(name)
	if !ok {
		return nil
	}
	return m.topics[i]
}

func (m *Image) searchTopic(name string) (int, bool) {
	return slices.BinarySearchFunc(m.topics, name, func(t *Topic, name string) int { return strings.Compare(t.Name, name) })
}

// TopicByID finds a topic by its identity; nil if there is none.
func (m *Image) TopicByID(id record.TopicID) *Topic { return m.byID[id] }

// Partition finds a partition's state; nil if there is none.
func (m *Image) Partition(id record.Partition) *Partition {
	t := m.byID[id.Topic]
	if t == nil || id.Index < 0 || int(id.Index) >= len(t.Partitions) {
		return nil
	}
	return &t.Partitions[id.Index]
}

// PartitionCount is the number of partitions of all topics.
func (m *Image) PartitionCount() int { return m.partitions }

// ClusterConfig is what was set for all brokers.
func (m *Image) ClusterConfig() config.Overrides { return m.clusterConfig }

// BrokerConfig is what was set for one broker.
func (m *Image) BrokerConfig(id record.NodeID) config.Overrides {
	i, ok := m.searchBrokerConfig(id)
	if !ok {
		return nil
	}
	return m.brokerConfig[i].overrides
}

func (m *Image) searchBrokerConfig(id record.NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.brokerConfig, id, func(c brokerConfig, id record.NodeID) int { return cmp.Compare(c.id, id) })
}

// GroupConfig is what was set for one group.
func (m *Image) GroupConfig(id string) config.Overrides {
	i, ok := m.searchGroupConfig(id)
	if !ok {
		return nil
	}
	return m.groupConfig[i].overrides
}

func (m *Image) searchGroupConfig(id string) (int, bool) {
	return slices.BinarySearchFunc(m.groupConfig, id, func(c groupConfig, id string) int { return cmp.Compare(c.id, id) })
}

// Defaults are the layers of settings below those of a topic, on the broker with the given id and configuration file.
func (m *Image) Defaults(id record.NodeID, static config.Overrides) config.Defaults {
	return config.Defaults{Broker: m.BrokerConfig(id), Cluster: m.clusterConfig, Static: static}
}

// NextProducerID is the first producer id that was never given away (M8).
func (m *Image) NextProducerID() record.ProducerID { return m.nextProducerID }

// Features lists the features by name with the levels that the cluster has agreed on.
func (m *Image) Features() []Feature { return m.features }

// FeatureLevel is the level of one feature, 0 if it is not used.
func (m *Image) FeatureLevel(name string) int16 {
	if i, ok := m.searchFeature(name); ok {
		return m.features[i].Level
	}
	return 0
}

func (m *Image) searchFeature(name string) (int, bool) {
	return slices.BinarySearchFunc(m.features, name, func(f Feature, name string) int { return strings.Compare(f.Name, name) })
}
