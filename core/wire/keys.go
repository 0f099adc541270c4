package wire

import "strconv"

// Key says what a request asks for.
type Key int16

// The request keys that this broker knows by name. The table in versions.go says which of them it serves, and to whom. QuorumMessage
// is Lignum's own; Apache Kafka has no such key.
const (
	Produce                     Key = 0
	Fetch                       Key = 1
	ListOffsets                 Key = 2
	Metadata                    Key = 3
	OffsetCommit                Key = 8
	OffsetFetch                 Key = 9
	FindCoordinator             Key = 10
	JoinGroup                   Key = 11
	Heartbeat                   Key = 12
	LeaveGroup                  Key = 13
	SyncGroup                   Key = 14
	DescribeGroups              Key = 15
	ListGroups                  Key = 16
	ApiVersions                 Key = 18
	CreateTopics                Key = 19
	DeleteTopics                Key = 20
	DeleteRecords               Key = 21
	InitProducerID              Key = 22
	OffsetForLeaderEpoch        Key = 23
	DescribeConfigs             Key = 32
	AlterConfigs                Key = 33
	AlterReplicaLogDirs         Key = 34
	DescribeLogDirs             Key = 35
	CreatePartitions            Key = 37
	DeleteGroups                Key = 42
	ElectLeaders                Key = 43
	IncrementalAlterConfigs     Key = 44
	AlterPartitionReassignments Key = 45
	ListPartitionReassignments  Key = 46
	OffsetDelete                Key = 47
	DescribeQuorum              Key = 55
	AlterPartition              Key = 56
	UpdateFeatures              Key = 57
	Envelope                    Key = 58
	DescribeCluster             Key = 60
	DescribeProducers           Key = 61
	BrokerRegistration          Key = 62
	BrokerHeartbeat             Key = 63
	UnregisterBroker            Key = 64
	AllocateProducerIDs         Key = 67
	ConsumerGroupHeartbeat      Key = 68
	ConsumerGroupDescribe       Key = 69
	AssignReplicasToDirs        Key = 73
	DescribeTopicPartitions     Key = 75
	AddRaftVoter                Key = 80
	RemoveRaftVoter             Key = 81
	QuorumMessage               Key = 10000
)

// TagSynced is a tag of a partition in an AlterPartition request, and Lignum's own: it has no value and says ISRChange.Synced.
const TagSynced = 10_000

// TagReplaces is a tag of a BrokerRegistration request, and Lignum's own: the broker epoch of the registration that the sender knows of and means to
// replace, in 8 bytes, -1 if it knows of none. The answer DUPLICATE_BROKER_REGISTRATION names the present one in its BrokerEpoch.
const TagReplaces = 10_001

// String is Kafka's name of the key, or its number.
func (k Key) String() string {
	if e, ok := lookup(k); ok {
		return e.name
	}
	return "Key(" + strconv.Itoa(int(k)) + ")"
}
