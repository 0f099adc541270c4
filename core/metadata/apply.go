package metadata

import (
	"slices"

	"lignum/core/config"
	"lignum/core/invariant"
	"lignum/core/record"
)

// Position is an entry's place in the metadata log.
type Position struct {
	Offset record.Offset
	Epoch  record.Epoch
}

// Changes says what an entry touched, for those who act on it. Each list is in the order of the records.
type Changes struct {
	// Partitions were created or changed and still exist. One that changed twice is there twice.
	Partitions []record.Partition
	// Deleted topics, as they were.
	Deleted []*Topic
	// Configured topics had settings changed and still exist.
	Configured []record.TopicID
	// Brokers were registered, changed or removed.
	Brokers []record.NodeID
	// BrokerConfig: settings of brokers changed, so that topics' effective ones may have, too.
	BrokerConfig bool
}

// Apply takes all records of one entry into the image. Entries come in the order of the log; one without records just
// moves the offset.
func (m *Image) Apply(at Position, records []Record) Changes {
	if at.Offset <= m.offset || at.Epoch < m.epoch {
		invariant.Violated("metadata entry %d of epoch %d applied after %d of epoch %d (M6)", at.Offset, at.Epoch, m.offset, m.epoch)
	}
	var changes Changes
	for _, r := range records {
		m.applyRecord(at, r, &changes)
	}
	m.offset, m.epoch = at.Offset, at.Epoch
	return changes
}

func (m *Image) applyRecord(at Position, r Record, changes *Changes) {
	switch r := r.(type) {
	case *BrokerRegistered:
		m.registerBroker(at, r)
		changes.Brokers = addOnce(changes.Brokers, r.ID)
	case *BrokerChanged:
		b := m.registration(r.ID, r.Epoch)
		b.Fenced, b.ShuttingDown, b.Changed = r.Fenced, r.ShuttingDown, at.Offset
		b.Directories = survivors(b.Directories, r.Failed)
		changes.Brokers = addOnce(changes.Brokers, r.ID)
	case *BrokerUnregistered:
		m.registration(r.ID, r.Epoch)
		m.departed.put(m.brokers.take(r.ID))
		changes.Brokers = addOnce(changes.Brokers, r.ID)
	case *TopicCreated:
		m.createTopic(r)
	case *TopicDeleted:
		m.deleteTopic(r.ID, changes)
	case *PartitionChanged:
		m.changePartition(at, r)
		changes.Partitions = append(changes.Partitions, record.Partition{Topic: r.Topic, Index: r.Index})
	case *TopicConfigured:
		t := m.existing(r.Topic)
		t.Config = configured(t.Config, r.Key, r.Value, r.Removed)
		changes.Configured = addOnce(changes.Configured, r.Topic)
	case *BrokerConfigured:
		m.configureBroker(r)
		changes.BrokerConfig = true
	case *GroupConfigured:
		m.configureGroup(r)
	case *ProducerIDsAllocated:
		if r.Next <= m.nextProducerID {
			invariant.Violated("producer ids up to %d allocated after %d (M8)", r.Next, m.nextProducerID)
		}
		m.nextProducerID = r.Next
	case *FeatureSet:
		m.setFeature(r)
	case *NoOperation:
	}
}

// addOnce appends v unless it is there. The lists are short, and new items come in runs, so the search starts at the end.
func addOnce[T comparable](list []T, v T) []T {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == v {
			return list
		}
	}
	return append(list, v)
}

// survivors lists the directories that have not failed. The list is not changed in place.
func survivors(directories, failed []UUID) []UUID {
	if len(failed) == 0 {
		return directories
	}
	var rest []UUID
	for _, d := range directories {
		if !slices.Contains(failed, d) {
			rest = append(rest, d)
		}
	}
	return rest
}

func configured(o config.Overrides, key, value string, removed bool) config.Overrides {
	if removed {
		return o.Without(key)
	}
	return o.With(key, value)
}

func (m *Image) registerBroker(at Position, r *BrokerRegistered) {
	epoch := r.Epoch
	if epoch == NoBrokerEpoch {
		epoch = BrokerEpoch(at.Offset)
	}
	b := &Broker{
		ID: r.ID, Epoch: epoch, Incarnation: r.Incarnation, Directories: r.Directories, Rack: r.Rack,
		Endpoints: r.Endpoints, Features: r.Features, Fenced: r.Fenced, ShuttingDown: r.ShuttingDown,
		Changed: r.Changed,
	}
	if b.Changed == record.NoOffset {
		b.Changed = at.Offset
	}
	last := m.departed.take(r.ID)
	if last == nil {
		last = m.Broker(r.ID)
	}
	if last != nil && epoch <= last.Epoch {
		invariant.Violated("broker %d registered with epoch %d after %d (M8)", r.ID, epoch, last.Epoch)
	}
	m.brokers.put(b)
}

// registration finds the broker that a record means.
func (m *Image) registration(id record.NodeID, epoch BrokerEpoch) *Broker {
	b := m.Broker(id)
	if b == nil || b.Epoch != epoch {
		invariant.Violated("no registration of broker %d with epoch %d", id, epoch)
	}
	return b
}

func (m *Image) createTopic(r *TopicCreated) {
	i, found := m.searchTopic(r.Name)
	if found || m.byID[r.ID] != nil || r.ID.IsZero() {
		invariant.Violated("topic %s (%s) created twice (M8)", r.Name, r.ID)
	}
	t := &Topic{ID: r.ID, Name: r.Name}
	m.topics = slices.Insert(m.topics, i, t)
	m.byID[r.ID] = t
}

func (m *Image) deleteTopic(id record.TopicID, changes *Changes) {
	t := m.existing(id)
	i, _ := m.searchTopic(t.Name)
	m.topics = slices.Delete(m.topics, i, i+1)
	delete(m.byID, id)
	m.partitions -= len(t.Partitions)
	changes.Deleted = append(changes.Deleted, t)
	changes.Partitions = slices.DeleteFunc(changes.Partitions, func(p record.Partition) bool { return p.Topic == id })
	changes.Configured = slices.DeleteFunc(changes.Configured, func(c record.TopicID) bool { return c == id })
}

func (m *Image) existing(id record.TopicID) *Topic {
	t := m.byID[id]
	if t == nil {
		invariant.Violated("no topic %s", id)
	}
	return t
}

func (m *Image) changePartition(at Position, r *PartitionChanged) {
	t := m.existing(r.Topic)
	switch n := int32(len(t.Partitions)); {
	case r.Index == n:
		t.Partitions = append(t.Partitions, r.Partition)
		m.partitions++
	case r.Index < 0 || r.Index > n:
		invariant.Violated("partition %d of topic %s, which has %d", r.Index, t.Name, n)
	default:
		old := &t.Partitions[r.Index]
		if r.Epoch != old.Epoch+1 || r.LeaderEpoch < old.LeaderEpoch {
			invariant.Violated("partition %s-%d goes from partition epoch %d, leader epoch %d to %d, %d (I5)",
				t.Name, r.Index, old.Epoch, old.LeaderEpoch, r.Epoch, r.LeaderEpoch)
		}
		m.noteDisplaced(at, old, &r.Partition)
		*old = r.Partition
	}
}

// noteDisplaced notes which brokers must learn of an entry before they may go on: those that lead no more, those that are not in sync any more, and all
// that are when the policy sync begins, for each may be the next leader.
func (m *Image) noteDisplaced(at Position, old, now *Partition) {
	stricter := old.Flush == FlushAsync && now.Flush == FlushPending
	for _, id := range old.ISR {
		if b := m.Broker(id); b != nil && (stricter || id == old.Leader && id != now.Leader || !slices.Contains(now.ISR, id)) {
			b.Changed = at.Offset
		}
	}
}

func (m *Image) configureBroker(r *BrokerConfigured) {
	if r.Broker == NoNode {
		m.clusterConfig = configured(m.clusterConfig, r.Key, r.Value, r.Removed)
		return
	}
	i, found := m.searchBrokerConfig(r.Broker)
	if !found {
		m.brokerConfig = slices.Insert(m.brokerConfig, i, brokerConfig{id: r.Broker})
	}
	c := &m.brokerConfig[i]
	if c.overrides = configured(c.overrides, r.Key, r.Value, r.Removed); len(c.overrides) == 0 {
		m.brokerConfig = slices.Delete(m.brokerConfig, i, i+1)
	}
}

func (m *Image) configureGroup(r *GroupConfigured) {
	i, found := m.searchGroupConfig(r.Group)
	if !found {
		m.groupConfig = slices.Insert(m.groupConfig, i, groupConfig{id: r.Group})
	}
	c := &m.groupConfig[i]
	if c.overrides = configured(c.overrides, r.Key, r.Value, r.Removed); len(c.overrides) == 0 {
		m.groupConfig = slices.Delete(m.groupConfig, i, i+1)
	}
}

func (m *Image) setFeature(r *FeatureSet) {
	i, found := m.searchFeature(r.Name)
	switch {
	case found && r.Level == 0:
		m.features = slices.Delete(m.features, i, i+1)
	case found:
		m.features[i].Level = r.Level
	case r.Level != 0:
		m.features = slices.Insert(m.features, i, Feature{Name: r.Name, Level: r.Level})
	}
}
