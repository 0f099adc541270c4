package storage

import (
	"time"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
)

// Options are the store's settings. Zero means the default, unless a field says otherwise.
type Options struct {
	// Meta is written to a new directory, and must agree with what an old one says. An empty cluster ID and a zero directory ID agree
	// with everything; a new directory gets random ones.
	Meta    checkpoint.Meta
	Journal journal.Options

	// ChunkBytes bounds the memory of all logs' tails together; 32 MiB.
	ChunkBytes int64
	// IdleChunks is how long a log that takes no appends keeps its tail in memory; 30 s.
	IdleChunks time.Duration
	// UnwrittenBytes is how much may be appended and not yet written before the store is Full; 16 MiB.
	UnwrittenBytes int64
	// Lanes is how many jobs may sync, open, create or remove logs at the same time; 4.
	Lanes int

	CheckpointInterval time.Duration // log.flush.offset.checkpoint.interval.ms; 60 s
	WatermarkInterval  time.Duration // replica.high.watermark.checkpoint.interval.ms; 5 s
	RetentionInterval  time.Duration // log.retention.check.interval.ms; 5 min
	ProducerInterval   time.Duration // producer.id.expiration.check.interval.ms; 10 min
	ProducerTTL        time.Duration // producer.id.expiration.ms; 1 day

	// Settings are in force for logs that were found on the disk, until Configure says what their topics want.
	Settings config.Topic
}

// OptionsOf takes the store's settings from a broker's configuration.
func OptionsOf(b *config.Broker, topics config.Topic) Options {
	millis := func(n int64) time.Duration {
		return time.Duration(min(n, int64(longest/time.Millisecond))) * time.Millisecond
	}
	return Options{
		Meta:               checkpoint.Meta{NodeID: record.NodeID(b.NodeID), ClusterID: b.ClusterID},
		Journal:            journal.Options{FileBytes: b.JournalFileBytes, Files: int(b.JournalFiles)},
		ChunkBytes:         b.ChunkCacheBytes,
		Lanes:              int(b.IOLanes),
		CheckpointInterval: millis(b.RecoveryCheckpointMillis),
		WatermarkInterval:  millis(b.HighWatermarkMillis),
		RetentionInterval:  millis(b.RetentionCheckMillis),
		ProducerInterval:   millis(b.ProducerIDCheckMillis),
		ProducerTTL:        millis(b.ProducerIDExpiryMillis),
		Settings:           topics,
	}
}

const longest = 365 * 24 * time.Hour

func (o Options) withDefaults() Options {
	bytes := func(v *int64, fallback int64) {
		if *v <= 0 {
			*v = fallback
		}
	}
	span := func(v *time.Duration, fallback time.Duration) {
		if *v <= 0 {
			*v = fallback
		}
	}
	bytes(&o.ChunkBytes, 32<<20)
	bytes(&o.UnwrittenBytes, 16<<20)
	span(&o.IdleChunks, 30*time.Second)
	span(&o.CheckpointInterval, time.Minute)
	span(&o.WatermarkInterval, 5*time.Second)
	span(&o.RetentionInterval, 5*time.Minute)
	span(&o.ProducerInterval, 10*time.Minute)
	span(&o.ProducerTTL, 24*time.Hour)
	if o.Lanes <= 0 {
		o.Lanes = 4
	}
	if o.Settings == (config.Topic{}) {
		o.Settings = config.DefaultTopic()
	}
	return o
}

// The store's lanes. They are its own: nobody else may start jobs on [LaneBase, LaneBase+1<<32).
const (
	LaneBase    env.Lane = 1 << 40
	laneWrite            = LaneBase     // turns
	laneJournal          = LaneBase + 1 // commits
	lanePrepare          = LaneBase + 2 // the journal's spare files
	laneFiles            = LaneBase + 3 // meta.properties, markers, checkpoints
	laneSpread           = LaneBase + 4 // and Options.Lanes-1 more: what concerns one log
	laneClose            = LaneBase + 1<<31
	closeLanes           = 32 // from laneClose on: where the logs are closed at a stop, when nothing else runs
)

// laneOf spreads logs over lanes. A partition keeps its lane when its topic is deleted and made again, so that the two cannot meet.
func (s *Store) laneOf(id record.Partition) env.Lane {
	return laneSpread + env.Lane(uint32(id.Index)%uint32(s.o.Lanes))
}
