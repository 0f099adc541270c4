// Package env holds the ports: everything a broker needs from the world around it.
//
// A broker is one deterministic state machine. It reaches time, chance, memory, disk and network only
// through the interfaces of this package, and it is called back only on its loop. The production
// implementations live in the packages disk and transport; the simulator implements the same ports
// from one seed.
//
// Rules that hold for both sides:
//
//   - Methods of Clock, Rand, Memory, Network and Jobs are called on the loop and never block.
//   - Methods of Disk and File block; they are called inside jobs only. A job owns the values that it
//     was given, shares nothing with the loop, and hands a value back.
//   - Every Disk and File call in a job is a possible crash point.
package env

import "time"

// Instant is a point on a node's monotonic clock, in nanoseconds since an arbitrary start. It never
// goes back and never jumps, but it stands still while no process runs, so it must not be stored.
type Instant int64

// Never is later than every instant: the deadline of somebody who has none.
const Never = Instant(1<<63 - 1)

// Add returns the instant d after i; it stops at Never instead of wrapping round.
func (i Instant) Add(d time.Duration) Instant {
	if d > 0 && i > Never-Instant(d) {
		return Never
	}
	return i + Instant(d)
}

// Sub returns how long after other i is.
func (i Instant) Sub(other Instant) time.Duration { return time.Duration(i - other) }

// Millis is wall-clock time in milliseconds since 1970-01-01 UTC, the unit of record timestamps. It
// may jump either way.
type Millis int64

// Clock tells both kinds of time.
type Clock interface {
	// Now is the monotonic time: for timers, timeouts and ages.
	Now() Instant
	// Wall is the time of day: for record timestamps and retention. It may jump.
	Wall() Millis
}

// Rand is a source of random bits, unpredictable in production and seeded in the simulator.
type Rand interface {
	Uint64() uint64
}

// Memory hands out reference-counted buffers from bounded pools.
type Memory interface {
	// Get returns a buffer of exactly n bytes with one reference. Its content is arbitrary.
	Get(n int) Buffer
}

// Buffer is pooled memory. Whoever keeps it longer than the call it came with holds a reference of its own.
// Reference counts may be changed on any goroutine; the bytes may be written only while no other
// holder can read the part that is written.
type Buffer interface {
	// Bytes is the whole buffer. It must not be touched after the holder's Release.
	Bytes() []byte
	// Retain adds one reference.
	Retain()
	// Release drops one reference; the last one returns the memory to its pool.
	Release()
}

// Lane orders jobs: jobs of one lane run one after another in the order of their start; different
// lanes run side by side.
type Lane uint64

// Jobs runs what blocks or takes long.
type Jobs interface {
	// Start runs the job off the loop. The function that run returns is called on the loop once run has
	// returned; it may be nil. A job that was started always runs, unless the node crashes.
	Start(lane Lane, run func() (done func()))
}

// Waker asks the host of the loop to call it again.
type Waker interface {
	// Wake makes the host call the loop's Tick soon, even if its Deadline is far away.
	Wake()
}

// Level is how much a log line matters.
type Level int8

// The levels of log lines.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log takes a line for the operator: a message, and pairs of a name (a string) and a value. It decides nothing.
type Log func(level Level, message string, pairs ...any)
