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
}

// served lists, in the order of the keys, what Apache Kafka 4.0 serves of each key that is served at all. A client
// may take the versions of one key as proof of what a broker can do with another, so they move together.
var served = [...]entry{
	{VersionRange{Produce, 3, 12, 0}, "Produce", 9, nil, true},
	{VersionRange{Fetch, 4, 17, 4}, "Fetch", 12, nil, true},
	{VersionRange{ListOffsets, 1, 10, 1}, "ListOffsets", 6, nil, true},
	{VersionRange{Metadata, 0, 13, 0}, "Metadata", 9, nil, true},
	{VersionRange{FindCoordinator, 0, 6, 0}, "FindCoordinator", 3, findCoordinator, false},
	{VersionRange{ApiVersions, 0, 4, 0}, "ApiVersions", 3, apiVersions, false},
	{VersionRange{CreateTopics, 2, 7, 2}, "CreateTopics", 5, createTopics, false},
	{VersionRange{DeleteTopics, 1, 6, 1}, "DeleteTopics", 4, deleteTopics, false},
	{VersionRange{DeleteRecords, 0, 2, 0}, "DeleteRecords", 2, deleteRecords, false},
	{VersionRange{InitProducerID, 0, 5, 0}, "InitProducerId", 2, initProducerID, false},
	{VersionRange{OffsetForLeaderEpoch, 2, 4, 2}, "OffsetForLeaderEpoch", 4, offsetForLeaderEpoch, false},
	{VersionRange{DescribeConfigs, 1, 4, 1}, "DescribeConfigs", 4, describeConfigs, false},
	{VersionRange{AlterConfigs, 0, 2, 0}, "AlterConfigs", 2, alterConfigs, false},
	{VersionRange{DescribeLogDirs, 1, 4, 1}, "DescribeLogDirs", 2, describeLogDirs, false},
	{VersionRange{CreatePartitions, 0, 3, 0}, "CreatePartitions", 2, createPartitions, false},
	{VersionRange{IncrementalAlterConfigs, 0, 1, 0}, "IncrementalAlterConfigs", 1, incrementalAlterConfigs, false},
	{VersionRange{DescribeCluster, 0, 2, 0}, "DescribeCluster", 0, describeCluster, false},
	{VersionRange{DescribeProducers, 0, 0, 0}, "DescribeProducers", 0, describeProducers, false},
	{VersionRange{DescribeTopicPartitions, 0, 0, 0}, "DescribeTopicPartitions", 0, describeTopicPartitions, false},
}

// lookup finds a key's row; false if the key is not served.
func lookup(k Key) (e entry, ok bool) {
	lo, hi := 0, len(served)
	for lo < hi {
		mid := (lo + hi) / 2
		if served[mid].Key < k {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(served) || served[lo].Key != k {
		return entry{}, false
	}
	return served[lo], true
}

// serves reports whether a version is one of those that are served.
func (e entry) serves(version int16) bool { return version >= e.Min && version <= e.Max }

// Range returns which versions of a key are served; false if none is.
func Range(k Key) (lowest, highest int16, ok bool) {
	e, ok := lookup(k)
	return e.Min, e.Max, ok
}

// Table lists what is served, in the order of the keys.
func Table() []VersionRange {
	list := make([]VersionRange, len(served))
	for i := range served {
		list[i] = served[i].VersionRange
	}
	return list
}

// Flexible reports whether a version of a served key has tagged fields and compact lengths.
func Flexible(k Key, version int16) bool {
	e, ok := lookup(k)
	return ok && version >= e.flexible
}
