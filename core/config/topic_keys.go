package config

const (
	maxInt32Text = "2147483647"
	maxInt64Text = "9223372036854775807"
	weekMillis   = "604800000"
	dayMillis    = "86400000"
)

// topicKeys are the settings of one topic, with the defaults of Kafka 4.0.
var topicKeys = []Key{
	{Name: "cleanup.policy", Type: List, Default: "delete", Limits: oneOf("compact", "delete"),
		Doc: "How old data leaves the log: delete removes whole segments by age and size, compact keeps the last record of each key. Both may be given. Lignum does not compact yet: under compact it refuses records without a key and keeps everything."},
	{Name: "compression.gzip.level", Type: Int, Default: "-1", Limits: orExactly(between(1, 9), -1),
		Doc: "Effort of gzip where the broker compresses (compression.type=gzip); -1 leaves the choice to the codec."},
	{Name: "compression.lz4.level", Type: Int, Default: "9", Limits: between(1, 17),
		Doc: "Effort of lz4 where the broker compresses (compression.type=lz4)."},
	{Name: "compression.type", Type: String, Default: "producer", Limits: compressionTypes,
		Doc: "The codec in which the broker stores batches. With producer they stay as they were sent."},
	{Name: "compression.zstd.level", Type: Int, Default: "3", Limits: between(-131072, 22),
		Doc: "Effort of zstd where the broker compresses (compression.type=zstd)."},
	{Name: "delete.retention.ms", Type: Long, Default: dayMillis, Limits: atLeast(0), Effect: Inert,
		Doc: "How long a tombstone stays in a compacted log, so that a reader who started at the beginning still sees it."},
	{Name: "file.delete.delay.ms", Type: Long, Default: "60000", Limits: atLeast(0),
		Doc: "How long a removed segment's files stay on disk under another name before they are deleted."},
	{Name: "flush.messages", Type: Long, Default: maxInt64Text, Limits: atLeast(1),
		Doc: "Sync the log after so many records. Under lignum.flush.policy=sync everything is synced before it is acknowledged anyway."},
	{Name: "flush.ms", Type: Long, Default: maxInt64Text, Limits: atLeast(0),
		Doc: "Sync the log when a record has waited for so long. Under lignum.flush.policy=sync everything is synced before it is acknowledged anyway."},
	{Name: "follower.replication.throttled.replicas", Type: List, Default: "", Limits: satisfies(throttledReplicas), Effect: Inert,
		Doc: "Replicas whose fetching from the leader is throttled: pairs partition:broker, or * for all."},
	{Name: "index.interval.bytes", Type: Int, Default: "4096", Limits: atLeast(0),
		Doc: "An entry goes into the offset index for about every so many bytes of log. Less means a larger index and shorter scans."},
	{Name: "leader.replication.throttled.replicas", Type: List, Default: "", Limits: satisfies(throttledReplicas), Effect: Inert,
		Doc: "Replicas whose traffic is throttled on the leader's side: pairs partition:broker, or * for all."},
	{Name: "lignum.flush.policy", Type: String, Default: "sync", Limits: flushPolicies,
		Doc: "sync: acks=all is answered when every in-sync replica has the records on stable storage. async: it is answered when they have them in memory, and flush.messages and flush.ms bound what a loss of power can take."},
	{Name: "local.retention.bytes", Type: Long, Default: "-2", Limits: atLeast(-2), Effect: Inert,
		Doc: "Size of the local part of a tiered log before it is removed; -2 stands for retention.bytes."},
	{Name: "local.retention.ms", Type: Long, Default: "-2", Limits: atLeast(-2), Effect: Inert,
		Doc: "Age of the local part of a tiered log before it is removed; -2 stands for retention.ms."},
	{Name: "max.compaction.lag.ms", Type: Long, Default: maxInt64Text, Limits: atLeast(1), Effect: Inert,
		Doc: "A record of a compacted log waits at most so long until it is looked at by compaction."},
	{Name: "max.message.bytes", Type: Int, Default: "1048588", Limits: atLeast(0),
		Doc: "The largest record batch, compressed and with its header, that a producer may send."},
	{Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000", Limits: atLeast(0),
		Doc: "How far a record's timestamp may lie in the broker's future. Ignored with message.timestamp.type=LogAppendTime."},
	{Name: "message.timestamp.before.max.ms", Type: Long, Default: maxInt64Text, Limits: atLeast(0),
		Doc: "How far a record's timestamp may lie in the broker's past. Ignored with message.timestamp.type=LogAppendTime."},
	{Name: "message.timestamp.type", Type: String, Default: "CreateTime", Limits: timestampTypes,
		Doc: "Whose time a record carries: that of its producer (CreateTime) or of the broker's append (LogAppendTime)."},
	{Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5", Limits: unitInterval(), Effect: Inert,
		Doc: "The part of a compacted log that must be uncleaned before compaction is worth it. Smaller means less waste and more work."},
	{Name: "min.compaction.lag.ms", Type: Long, Default: "0", Limits: atLeast(0), Effect: Inert,
		Doc: "A record of a compacted log is kept at least so long, even if a later one has its key."},
	{Name: "min.insync.replicas", Type: Int, Default: "1", Limits: atLeast(1),
		Doc: "How many replicas must be in sync, the leader included, for a write with acks=all to be accepted."},
	{Name: "preallocate", Type: Boolean, Default: "false", Effect: Inert,
		Doc: "Reserve a segment's space on disk when it is created."},
	{Name: "remote.log.copy.disable", Type: Boolean, Default: "false", Effect: Refused,
		Doc: "Stop copying a tiered log's segments to remote storage."},
	{Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false", Effect: Refused,
		Doc: "Delete a topic's remote data when its tiering is switched off."},
	{Name: "remote.storage.enable", Type: Boolean, Default: "false", Effect: Refused,
		Doc: "Keep old segments of the topic in remote storage."},
	{Name: "retention.bytes", Type: Long, Default: "-1",
		Doc: "Old segments are deleted while a partition is larger than this; -1 sets no bound. It counts for each partition by itself."},
	{Name: "retention.ms", Type: Long, Default: weekMillis, Limits: atLeast(-1),
		Doc: "Segments whose newest record is older than this are deleted; -1 keeps them for ever."},
	{Name: "segment.bytes", Type: Int, Default: "1073741824", Limits: atLeast(14),
		Doc: "Size at which a segment is closed and another one begun. Retention works on whole segments."},
	{Name: "segment.index.bytes", Type: Int, Default: "10485760", Limits: atLeast(4),
		Doc: "Largest size of a segment's offset index; the segment is closed when it is full."},
	{Name: "segment.jitter.ms", Type: Long, Default: "0", Limits: atLeast(0),
		Doc: "Each segment's segment.ms is shortened by a random time up to this, so that not all roll together."},
	{Name: "segment.ms", Type: Long, Default: weekMillis, Limits: atLeast(1),
		Doc: "Age at which a segment is closed even if it is not full, so that retention can reach it."},
	{Name: "unclean.leader.election.enable", Type: Boolean, Default: "false",
		Doc: "Let a replica that is not in sync lead when no other is left. The partition is back sooner and may lose acknowledged records."},
}

var (
	compressionTypes = oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
	timestampTypes   = oneOf("CreateTime", "LogAppendTime")
	flushPolicies    = oneOf("sync", "async")
)

// scale says how a broker setting's value becomes that of the topic setting it stands behind.
type scale int64

const (
	same          scale = 1
	fromMinutes   scale = 60_000
	fromHours     scale = 3_600_000
	unlimitedTime       = -1 // below zero means no bound, in every unit
)

// brokerDefault is a broker setting that gives a topic setting its default.
type brokerDefault struct {
	name  string
	scale scale
}

// topicDefaults names, for each topic setting, the broker settings behind it: the first that has a value counts. A topic setting
// that is not here has no broker setting.
var topicDefaults = map[string][]brokerDefault{
	"cleanup.policy":                  {{"log.cleanup.policy", same}},
	"compression.gzip.level":          {{"compression.gzip.level", same}},
	"compression.lz4.level":           {{"compression.lz4.level", same}},
	"compression.type":                {{"compression.type", same}},
	"compression.zstd.level":          {{"compression.zstd.level", same}},
	"delete.retention.ms":             {{"log.cleaner.delete.retention.ms", same}},
	"file.delete.delay.ms":            {{"log.segment.delete.delay.ms", same}},
	"flush.messages":                  {{"log.flush.interval.messages", same}},
	"flush.ms":                        {{"log.flush.interval.ms", same}, {"log.flush.scheduler.interval.ms", same}},
	"index.interval.bytes":            {{"log.index.interval.bytes", same}},
	"lignum.flush.policy":             {{"lignum.log.flush.policy", same}},
	"local.retention.bytes":           {{"log.local.retention.bytes", same}},
	"local.retention.ms":              {{"log.local.retention.ms", same}},
	"max.compaction.lag.ms":           {{"log.cleaner.max.compaction.lag.ms", same}},
	"max.message.bytes":               {{"message.max.bytes", same}},
	"message.timestamp.after.max.ms":  {{"log.message.timestamp.after.max.ms", same}},
	"message.timestamp.before.max.ms": {{"log.message.timestamp.before.max.ms", same}},
	"message.timestamp.type":          {{"log.message.timestamp.type", same}},
	"min.cleanable.dirty.ratio":       {{"log.cleaner.min.cleanable.ratio", same}},
	"min.compaction.lag.ms":           {{"log.cleaner.min.compaction.lag.ms", same}},
	"min.insync.replicas":             {{"min.insync.replicas", same}},
	"preallocate":                     {{"log.preallocate", same}},
	"retention.bytes":                 {{"log.retention.bytes", same}},
	"retention.ms":                    {{"log.retention.ms", same}, {"log.retention.minutes", fromMinutes}, {"log.retention.hours", fromHours}},
	"segment.bytes":                   {{"log.segment.bytes", same}},
	"segment.index.bytes":             {{"log.index.size.max.bytes", same}},
	"segment.jitter.ms":               {{"log.roll.jitter.ms", same}, {"log.roll.jitter.hours", fromHours}},
	"segment.ms":                      {{"log.roll.ms", same}, {"log.roll.hours", fromHours}},
	"unclean.leader.election.enable":  {{"unclean.leader.election.enable", same}},
}
