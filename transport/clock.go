package transport

import (
	"time"

	"lignum/core/env"
)

// Clock is the machine's clock.
type Clock struct {
	start time.Time
}

// NewClock returns a clock whose monotonic time begins now.
func NewClock() *Clock { return &Clock{start: time.Now()} }

// Now is the monotonic time since the clock was made.
func (c *Clock) Now() env.Instant { return env.Instant(time.Since(c.start)) }

// Wall is the time of day.
func (c *Clock) Wall() env.Millis { return env.Millis(time.Now().UnixMilli()) }
