package wire

import "strconv"

// Key says what a request asks for.
type Key int16

// The request keys that this broker knows by name. The table in versions.go says which of them it serves.
const (
	Produce                 Key = 0
	Fetch                   Key = 1
	ListOffsets             Key = 2
	Metadata                Key = 3
	FindCoordinator         Key = 10
	ApiVersions             Key = 18
	CreateTopics            Key = 19
	DeleteTopics            Key = 20
	DeleteRecords           Key = 21
	InitProducerID          Key = 22
	OffsetForLeaderEpoch    Key = 23
	DescribeConfigs         Key = 32
	AlterConfigs            Key = 33
	DescribeLogDirs         Key = 35
	CreatePartitions        Key = 37
	IncrementalAlterConfigs Key = 44
	DescribeCluster         Key = 60
	DescribeProducers       Key = 61
	DescribeTopicPartitions Key = 75
)

// String is Kafka's name of the key, or its number.
func (k Key) String() string {
	if e, ok := lookup(k); ok {
		return e.name
	}
	return "Key(" + strconv.Itoa(int(k)) + ")"
}
