package config

import (
	"slices"
	"strconv"
)

// Compression is the value of compression.type.
type Compression uint8

// The values of compression.type.
const (
	// Producer keeps batches as they were sent.
	Producer Compression = iota
	Uncompressed
	Gzip
	Snappy
	LZ4
	Zstd
)

// TimestampType is the value of message.timestamp.type.
type TimestampType uint8

// The values of message.timestamp.type.
const (
	CreateTime TimestampType = iota
	LogAppendTime
)

// FlushPolicy is the value of lignum.flush.policy: when acks=all may be answered.
type FlushPolicy uint8

// The values of lignum.flush.policy.
const (
	// Sync: when every in-sync replica has the records on stable storage.
	Sync FlushPolicy = iota
	// Async: when every in-sync replica has the records in memory.
	Async
)

// Unlimited is the value of a bound that does not bind, in RetentionBytes and RetentionMillis.
const Unlimited = -1

// Topic is the effective configuration of one topic on one broker, parsed. Times are in milliseconds and may be as large
// as 1<<63-1, which means never.
type Topic struct {
	CleanupCompact, CleanupDelete bool

	Compression Compression
	GzipLevel   int32 // -1: the codec's own choice
	LZ4Level    int32
	ZstdLevel   int32

	FlushPolicy   FlushPolicy
	FlushMessages int64
	FlushMillis   int64

	MaxMessageBytes             int32
	TimestampType               TimestampType
	TimestampBeforeMaxMillis    int64
	TimestampAfterMaxMillis     int64
	MinInSyncReplicas           int32
	UncleanLeaderElection       bool
	RetentionBytes              int64 // Unlimited or below: no bound
	RetentionMillis             int64 // Unlimited: no bound
	FileDeleteDelayMillis       int64
	SegmentBytes                int32
	SegmentMillis               int64
	SegmentJitterMillis         int64
	SegmentIndexBytes           int32
	IndexIntervalBytes          int32
	DeleteRetentionMillis       int64
	MinCompactionLagMillis      int64
	MaxCompactionLagMillis      int64
	MinCleanableDirtyMillionths int64 // the ratio in millionths, [0, 1000000]
}

// NewTopic computes a topic's effective configuration from its own settings and what lies below them. All must have been
// checked: a value that does not parse counts as the default.
func NewTopic(own Overrides, below Defaults) Topic {
	v := topicValues{own, &below}
	policies := splitList(v.text("cleanup.policy"))
	return Topic{
		CleanupCompact: slices.Contains(policies, "compact"),
		CleanupDelete:  slices.Contains(policies, "delete"),

		Compression: compressionOf(v.text("compression.type")),
		GzipLevel:   int32(v.integer("compression.gzip.level")),
		LZ4Level:    int32(v.integer("compression.lz4.level")),
		ZstdLevel:   int32(v.integer("compression.zstd.level")),

		FlushPolicy:   flushPolicyOf(v.text("lignum.flush.policy")),
		FlushMessages: v.integer("flush.messages"),
		FlushMillis:   v.integer("flush.ms"),

		MaxMessageBytes:             int32(v.integer("max.message.bytes")),
		TimestampType:               timestampTypeOf(v.text("message.timestamp.type")),
		TimestampBeforeMaxMillis:    v.integer("message.timestamp.before.max.ms"),
		TimestampAfterMaxMillis:     v.integer("message.timestamp.after.max.ms"),
		MinInSyncReplicas:           int32(v.integer("min.insync.replicas")),
		UncleanLeaderElection:       v.text("unclean.leader.election.enable") == "true",
		RetentionBytes:              v.integer("retention.bytes"),
		RetentionMillis:             v.integer("retention.ms"),
		FileDeleteDelayMillis:       v.integer("file.delete.delay.ms"),
		SegmentBytes:                int32(v.integer("segment.bytes")),
		SegmentMillis:               v.integer("segment.ms"),
		SegmentJitterMillis:         v.integer("segment.jitter.ms"),
		SegmentIndexBytes:           int32(v.integer("segment.index.bytes")),
		IndexIntervalBytes:          int32(v.integer("index.interval.bytes")),
		DeleteRetentionMillis:       v.integer("delete.retention.ms"),
		MinCompactionLagMillis:      v.integer("min.compaction.lag.ms"),
		MaxCompactionLagMillis:      v.integer("max.compaction.lag.ms"),
		MinCleanableDirtyMillionths: v.millionths("min.cleanable.dirty.ratio"),
	}
}

// DefaultTopic is the configuration of a topic for which nobody set anything.
func DefaultTopic() Topic { return NewTopic(nil, Defaults{}) }

// topicValues looks a topic's settings up through all layers.
type topicValues struct {
	own   Overrides
	below *Defaults
}

// text returns a setting's canonical value.
func (v topicValues) text(name string) string {
	key := TopicKey(name)
	if given, ok := v.own.Value(name); ok {
		if canonical, err := key.Canonical(given); err == nil {
			return canonical
		}
	}
	for _, d := range topicDefaults[name] {
		given, ok := v.below.value(d.name)
		if !ok {
			continue
		}
		if canonical, err := BrokerKey(d.name).Canonical(given); err == nil {
			return d.scale.apply(canonical)
		}
	}
	return key.Default
}

func (v topicValues) integer(name string) int64 {
	n, err := strconv.ParseInt(v.text(name), 10, 64)
	if err != nil {
		n, _ = strconv.ParseInt(TopicKey(name).Default, 10, 64) // the tables hold only good defaults
	}
	return n
}

func (v topicValues) millionths(name string) int64 {
	n, _ := parseMillionths(v.text(name))
	return n
}

// apply converts a broker setting's value to the topic setting's unit. Values in hours and minutes have 32 bits, so
// the product fits.
func (s scale) apply(canonical string) string {
	if s == same {
		return canonical
	}
	n, err := strconv.ParseInt(canonical, 10, 32)
	if err != nil || n < 0 {
		return strconv.Itoa(unlimitedTime)
	}
	return strconv.FormatInt(n*int64(s), 10)
}

func compressionOf(v string) Compression {
	switch v {
	case "uncompressed":
		return Uncompressed
	case "gzip":
		return Gzip
	case "snappy":
		return Snappy
	case "lz4":
		return LZ4
	case "zstd":
		return Zstd
	default:
		return Producer
	}
}

func timestampTypeOf(v string) TimestampType {
	if v == "LogAppendTime" {
		return LogAppendTime
	}
	return CreateTime
}

func flushPolicyOf(v string) FlushPolicy {
	if v == "async" {
		return Async
	}
	return Sync
}
