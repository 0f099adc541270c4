package wire

// VersionRange is what is served of one key. All versions are inclusive.
type VersionRange struct {
	Key      Key
	Min, Max int16
	// Announced is the least version that ApiVersions tells of. It is below Min only for Produce: librdkafka compares
	// it with 0 to find out whether a broker can do codecs (KAFKA-18659), and Apache Kafka announces the same.
	Announced int16
}

// entry is a row of the table.
type entry struct {
	VersionRange
	name         string
	flexible     int16 // first flexible version
	forRequest   schema
	flatDecoding bool // has a reader of its own in this package
	use          use
}

// use says who may send a request.
type use uint8

const (
	announced use = iota // everybody: ApiVersions tells of it
	unserved             // nobody: it can be read, but there is nothing yet that answers it
	between              // nodes of the cluster, on the controllers' listeners
)

// known lists, in the order of the keys, what Apache Kafka 4.0 serves of each key that can be read. A client
// may take the versions of one key as proof of what a broker can do with another, so they move together.
var known = [...]entry{
	{VersionRange{Produce, 3, 12, 0}, "Produce", 9, nil, true, announced},
	{VersionRange{Fetch, 4, 17, 4}, "Fetch", 12, nil, true, announced},
	{VersionRange{ListOffsets, 1, 10, 1}, "ListOffsets", 6, nil, true, announced},
	{VersionRange{Metadata, 0, 13, 0}, "Metadata", 9, nil, true, announced},
	{VersionRange{OffsetCommit, 2, 9, 2}, "OffsetCommit", 8, offsetCommit, false, announced},
	{VersionRange{OffsetFetch, 1, 9, 1}, "OffsetFetch", 6, offsetFetch, false, announced},
	{VersionRange{FindCoordinator, 0, 6, 0}, "FindCoordinator", 3, findCoordinator, false, announced},
	{VersionRange{JoinGroup, 0, 9, 0}, "JoinGroup", 6, joinGroup, false, announced},
	{VersionRange{Heartbeat, 0, 4, 0}, "Heartbeat", 4, heartbeat, false, announced},
	{VersionRange{LeaveGroup, 0, 5, 0}, "LeaveGroup", 4, leaveGroup, false, announced},
	{VersionRange{SyncGroup, 0, 5, 0}, "SyncGroup", 4, syncGroup, false, announced},
	{VersionRange{DescribeGroups, 0, 6, 0}, "DescribeGroups", 5, describeGroups, false, announced},
	{VersionRange{ListGroups, 0, 5, 0}, "ListGroups", 3, listGroups, false, announced},
	{VersionRange{ApiVersions, 0, 4, 0}, "ApiVersions", 3, apiVersions, false, announced},
	{VersionRange{CreateTopics, 2, 7, 2}, "CreateTopics", 5, createTopics, false, announced},
	{VersionRange{DeleteTopics, 1, 6, 1}, "DeleteTopics", 4, deleteTopics, false, announced},
	{VersionRange{DeleteRecords, 0, 2, 0}, "DeleteRecords", 2, deleteRecords, false, announced},
	{VersionRange{InitProducerID, 0, 5, 0}, "InitProducerId", 2, initProducerID, false, announced},
	{VersionRange{OffsetForLeaderEpoch, 2, 4, 2}, "OffsetForLeaderEpoch", 4, offsetForLeaderEpoch, false, announced},
	{VersionRange{DescribeConfigs, 1, 4, 1}, "DescribeConfigs", 4, describeConfigs, false, announced},
	{VersionRange{AlterConfigs, 0, 2, 0}, "AlterConfigs", 2, alterConfigs, false, announced},
	{VersionRange{AlterReplicaLogDirs, 1, 2, 1}, "AlterReplicaLogDirs", 2, alterReplicaLogDirs, false, announced},
	{VersionRange{DescribeLogDirs, 1, 4, 1}, "DescribeLogDirs", 2, describeLogDirs, false, announced},
	{VersionRange{CreatePartitions, 0, 3, 0}, "CreatePartitions", 2, createPartitions, false, announced},
	{VersionRange{DeleteGroups, 0, 2, 0}, "DeleteGroups", 2, deleteGroups, false, announced},
	{VersionRange{ElectLeaders, 0, 2, 0}, "ElectLeaders", 2, electLeaders, false, announced},
	{VersionRange{IncrementalAlterConfigs, 0, 1, 0}, "IncrementalAlterConfigs", 1, incrementalAlterConfigs, false, announced},
	{VersionRange{AlterPartitionReassignments, 0, 0, 0}, "AlterPartitionReassignments", 0, alterPartitionReassignments, false, announced},
	{VersionRange{ListPartitionReassignments, 0, 0, 0}, "ListPartitionReassignments", 0, listPartitionReassignments, false, announced},
	{VersionRange{OffsetDelete, 0, 0, 0}, "OffsetDelete", 1, offsetDelete, false, announced},
	{VersionRange{DescribeQuorum, 0, 2, 0}, "DescribeQuorum", 0, describeQuorum, false, announced},
	{VersionRange{AlterPartition, 2, 3, 2}, "AlterPartition", 0, alterPartition, false, between},
	{VersionRange{UpdateFeatures, 0, 2, 0}, "UpdateFeatures", 0, updateFeatures, false, announced},
	{VersionRange{Envelope, 0, 0, 0}, "Envelope", 0, envelope, false, between},
	{VersionRange{DescribeCluster, 0, 2, 0}, "DescribeCluster", 0, describeCluster, false, announced},
	{VersionRange{DescribeProducers, 0, 0, 0}, "DescribeProducers", 0, describeProducers, false, announced},
	{VersionRange{BrokerRegistration, 0, 4, 0}, "BrokerRegistration", 0, brokerRegistration, false, between},
	{VersionRange{BrokerHeartbeat, 0, 1, 0}, "BrokerHeartbeat", 0, brokerHeartbeat, false, between},
	{VersionRange{UnregisterBroker, 0, 0, 0}, "UnregisterBroker", 0, unregisterBroker, false, announced},
	{VersionRange{AllocateProducerIDs, 0, 0, 0}, "AllocateProducerIds", 0, allocateProducerIDs, false, between},
	{VersionRange{ConsumerGroupHeartbeat, 0, 1, 0}, "ConsumerGroupHeartbeat", 0, consumerGroupHeartbeat, false, announced},
	{VersionRange{ConsumerGroupDescribe, 0, 1, 0}, "ConsumerGroupDescribe", 0, consumerGroupDescribe, false, announced},
	{VersionRange{AssignReplicasToDirs, 0, 0, 0}, "AssignReplicasToDirs", 0, assignReplicasToDirs, false, between},
	{VersionRange{DescribeTopicPartitions, 0, 0, 0}, "DescribeTopicPartitions", 0, describeTopicPartitions, false, announced},
	{VersionRange{AddRaftVoter, 0, 0, 0}, "AddRaftVoter", 0, addRaftVoter, false, announced},
	{VersionRange{RemoveRaftVoter, 0, 0, 0}, "RemoveRaftVoter", 0, removeRaftVoter, false, announced},
	{VersionRange{QuorumMessage, 0, 0, 0}, "QuorumMessage", 0, nil, true, between},
}

// lookup finds a key's row; false if the key is not known.
func lookup(k Key) (e entry, ok bool) {
	lo, hi := 0, len(known)
	for lo < hi {
		mid := (lo + hi) / 2
		if known[mid].Key < k {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(known) || known[lo].Key != k {
		return entry{}, false
	}
	return known[lo], true
}

// reads reports whether a version is one of those that can be read.
func (e entry) reads(version int16) bool { return version >= e.Min && version <= e.Max }

// Range returns which versions of a key are announced; false if none is.
func Range(k Key) (lowest, highest int16, ok bool) {
	e, ok := lookup(k)
	if !ok || e.use != announced {
		return 0, 0, false
	}
	return e.Min, e.Max, true
}

// Accepts reports whether a request may be sent to a listener: to those for clients and brokers what is announced, to those of the
// controllers (control) also what the nodes of the cluster say to each other.
func Accepts(k Key, version int16, control bool) bool {
	e, ok := lookup(k)
	return ok && e.reads(version) && (e.use == announced || e.use == between && control)
}

// Table lists what is announced, in the order of the keys.
func Table() []VersionRange {
	list := make([]VersionRange, 0, len(known))
	for i := range known {
		if known[i].use == announced {
			list = append(list, known[i].VersionRange)
		}
	}
	return list
}

// Flexible reports whether a version of a known key has tagged fields and compact lengths.
func Flexible(k Key, version int16) bool {
	e, ok := lookup(k)
	return ok && version >= e.flexible
}
