package commitlog

import (
	"errors"
	"math"

	"lignum/core/env"
	"lignum/core/record"
)

// Errors of this package, wrapped with what was being done; test for them with errors.Is.
var (
	// ErrCorrupt: bytes that were flushed are not what was written. The error names file and position.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrOutOfRange: the offset is below the log start or beyond the log end.
	ErrOutOfRange = errors.New("offset out of range")
	// ErrOrder: a batch with given offsets does not continue the log.
	ErrOrder = errors.New("batch does not continue the log")
	// ErrTooLarge: the batch is larger than a segment may be.
	ErrTooLarge = errors.New("batch is larger than a segment")
	// ErrRebuilding: a truncation is still under way and the producers are not yet known again. Retriable.
	ErrRebuilding = errors.New("producer state is being rebuilt")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log is closed")
)

// The limits of the format: positions and relative offsets are int32.
const (
	maxSegmentBytes = math.MaxInt32
	maxRelative     = math.MaxInt32
)

// Settings are a topic's settings as far as its logs need them. Kafka's key names are in the comments.
type Settings struct {
	SegmentBytes        int64 // segment.bytes
	SegmentMillis       int64 // segment.ms
	SegmentJitterMillis int64 // segment.jitter.ms: at most so much earlier a segment rolls by age
	IndexBytes          int64 // segment.index.bytes: a segment rolls when an index would outgrow it
	IndexIntervalBytes  int64 // index.interval.bytes
	RetentionMillis     int64 // retention.ms; -1: for ever
	RetentionBytes      int64 // retention.bytes; -1: without limit
	Delete              bool  // cleanup.policy has "delete"
	Compact             bool  // cleanup.policy has "compact"
}

// DefaultSettings are Kafka's defaults.
func DefaultSettings() Settings {
	const week = 7 * 24 * 60 * 60 * 1000
	return Settings{
		SegmentBytes:       1 << 30,
		SegmentMillis:      week,
		IndexBytes:         10 << 20,
		IndexIntervalBytes: 4096,
		RetentionMillis:    week,
		RetentionBytes:     -1,
		Delete:             true,
	}
}

// normal brings the values into what the format can hold.
func (s Settings) normal() Settings {
	s.SegmentBytes = min(max(s.SegmentBytes, 1), maxSegmentBytes)
	s.SegmentMillis = max(s.SegmentMillis, 1)
	s.SegmentJitterMillis = min(max(s.SegmentJitterMillis, 0), s.SegmentMillis)
	s.IndexBytes = max(s.IndexBytes, 4*timesEntry)
	s.IndexIntervalBytes = max(s.IndexIntervalBytes, 0)
	return s
}

// OpenOptions is what the store knows of a log from its own files.
type OpenOptions struct {
	// Clean: the broker stopped cleanly, everything is flushed and closed.
	Clean bool
	// RecoveryPoint: everything below it was synced. What is bad below it is corruption.
	RecoveryPoint record.Offset
	// Anchor: the journal says that everything below it was synced when the log had been truncated Truncations times. It counts beside the mark of a
	// truncation, too, unless that is a later one.
	Anchor      record.Offset
	Truncations uint64
	// StartOffset: log start offset, as last made durable; 0 if none was.
	StartOffset record.Offset
	// Wall is the time of day, for what has no known age.
	Wall env.Millis
}

// AppendInfo is what a batch does not say itself.
type AppendInfo struct {
	Epoch record.Epoch // the leader's epoch, stamped on the batch; Append only
	Now   env.Instant
	Wall  env.Millis
}

// Mark is a log end that a Writes has reached, for the journal: durable or not, it stands for that state of the log only,
// whatever is truncated later.
type Mark struct {
	End        record.Offset
	generation uint64
}

// Truncations is how many truncations the log had had.
func (m Mark) Truncations() uint64 { return m.generation }
