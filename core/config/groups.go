package config

import (
	"fmt"
	"slices"
	"strings"
)

// Groups are the settings of the group coordinator. Times are in milliseconds.
type Groups struct {
	MinSessionMillis, MaxSessionMillis int32
	MaxSize                            int32
	InitialRebalanceDelayMillis        int32

	OffsetMetadataMaxBytes      int32
	OffsetsRetentionMillis      int64
	OffsetsRetentionCheckMillis int64
	CommitTimeoutMillis         int32
	LoadBytes                   int32
	Codec                       int8 // by its number

	TopicPartitions  int32
	TopicReplication int16 // 0: nobody has set it
	TopicSegment     int32

	// ClassicProtocol and ConsumerProtocol say which protocols are offered.
	ClassicProtocol, ConsumerProtocol bool
	Assignors                         []string // the first is the default
	ConsumerSessionMillis             int32
	ConsumerHeartbeatMillis           int32
	ConsumerMaxSize                   int32
	// Upgrade and Downgrade allow a group that is in use to change to the consumer protocol, and back.
	Upgrade, Downgrade bool
}

// DefaultReplication is the default of offsets.topic.replication.factor in a cluster. A broker that stands alone has one replica.
const DefaultReplication = 3

func groupsOf(v brokerValues) Groups {
	protocols := splitList(v.text("group.coordinator.rebalance.protocols"))
	migration := strings.ToLower(v.text("group.consumer.migration.policy"))
	g := Groups{
		MinSessionMillis:            int32(v.integer("group.min.session.timeout.ms")),
		MaxSessionMillis:            int32(v.integer("group.max.session.timeout.ms")),
		MaxSize:                     int32(v.integer("group.max.size")),
		InitialRebalanceDelayMillis: int32(v.integer("group.initial.rebalance.delay.ms")),

		OffsetMetadataMaxBytes:      int32(min(v.integer("offset.metadata.max.bytes"), maxMetadata)),
		OffsetsRetentionMillis:      v.integer("offsets.retention.minutes") * 60_000,
		OffsetsRetentionCheckMillis: v.integer("offsets.retention.check.interval.ms"),
		CommitTimeoutMillis:         int32(v.integer("offsets.commit.timeout.ms")),
		LoadBytes:                   int32(v.integer("offsets.load.buffer.size")),
		Codec:                       int8(v.integer("offsets.topic.compression.codec")),

		TopicPartitions: int32(v.integer("offsets.topic.num.partitions")),
		TopicSegment:    int32(v.integer("offsets.topic.segment.bytes")),

		ClassicProtocol:         true, // Kafka cannot switch it off either
		ConsumerProtocol:        slices.Contains(protocols, "consumer"),
		Assignors:               splitList(v.text("group.consumer.assignors")),
		ConsumerSessionMillis:   int32(v.integer("group.consumer.session.timeout.ms")),
		ConsumerHeartbeatMillis: int32(v.integer("group.consumer.heartbeat.interval.ms")),
		ConsumerMaxSize:         int32(v.integer("group.consumer.max.size")),

		Upgrade:   migration == "upgrade" || migration == "bidirectional",
		Downgrade: migration == "downgrade" || migration == "bidirectional",
	}
	if _, given := v.Static.Value("offsets.topic.replication.factor"); given {
		g.TopicReplication = int16(v.integer("offsets.topic.replication.factor"))
	}
	return g
}

// maxMetadata is the longest string that a record's length field can hold.
const maxMetadata = 32767

// groupFaults are what is wrong between the settings of groups. What the brokers tell members of consumer groups must lie inside its limits.
func groupFaults(v brokerValues) []error {
	var faults []error
	for _, what := range []string{"session.timeout.ms", "heartbeat.interval.ms"} {
		name := "group.consumer." + what
		value, least, most := v.integer(name), v.integer("group.consumer.min."+what), v.integer("group.consumer.max."+what)
		if least > most {
			faults = append(faults, fmt.Errorf("group.consumer.min.%s is %d: want at most group.consumer.max.%s, which is %d", what, least, what, most))
		} else if value < least || value > most {
			faults = append(faults, fmt.Errorf("%s is %d: want %d to %d (group.consumer.min.%s, group.consumer.max.%s)", name, value, least, most, what, what))
		}
	}
	session, heartbeat := v.integer("group.consumer.session.timeout.ms"), v.integer("group.consumer.heartbeat.interval.ms")
	if heartbeat >= session {
		faults = append(faults, fmt.Errorf("group.consumer.heartbeat.interval.ms is %d: want less than group.consumer.session.timeout.ms, which is %d", heartbeat, session))
	}
	return faults
}
