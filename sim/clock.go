package sim

import (
	"math/bits"
	"time"

	"lignum/core/env"
)

// rated is a clock that runs a little too fast or too slowly. It stands for a straight line, from an instant of the world on.
type rated struct {
	since env.Instant // of the world
	base  int64       // what the clock showed then, in nanoseconds
	drift int64       // nanoseconds that it gains in a million
}

// at is what the clock shows at an instant of the world.
func (r rated) at(now env.Instant) int64 {
	passed := int64(now - r.since)
	return r.base + passed + passed/Million*r.drift + passed%Million*r.drift/Million
}

// reaches is the first instant of the world at which the clock shows at least t; Never if that is too far away.
func (r rated) reaches(t int64) env.Instant {
	if t <= r.base {
		return r.since
	}
	hi, lo := bits.Mul64(uint64(t-r.base), Million)
	passed, _ := bits.Div64(hi, lo, uint64(Million+r.drift))
	if passed >= uint64(env.Never-r.since)-2 {
		return env.Never
	}
	// at rounds down, or towards zero if the clock is slow; the true instant is next to the quotient.
	at := r.since + env.Instant(max(passed, 1)-1)
	for r.at(at) < t {
		at++
	}
	return at
}

// change lets the clock go on from now at another rate.
func (r *rated) change(now env.Instant, drift int64) {
	*r = rated{since: now, base: r.at(now), drift: max(-maxDrift, min(drift, maxDrift))}
}

// maxDrift bounds how much a clock gains or loses in a million nanoseconds.
const maxDrift = Million / 10

// Drift makes the host's clocks run at another rate from now on, each by so many parts in a million too fast, or too slowly if that
// is negative: the monotonic one, in this life and those to come, and the time of day. At most 100,000 either way.
func (h *Host) Drift(steady, wall int64) {
	h.steady.change(h.world.now, steady)
	h.wall.change(h.world.now, wall)
	if h.node != nil {
		h.world.guard(h, h.rearm)
	}
}

// JumpWall moves the host's time of day, either way.
func (h *Host) JumpWall(by env.Millis) { h.wall.base += int64(by) * int64(time.Millisecond) }

// hostClock is a host's env.Clock.
type hostClock Host

// Now is the time since some instant that differs from life to life.
func (c *hostClock) Now() env.Instant { return env.Instant(c.steady.at(c.world.now)) }

// Wall is the host's time of day.
func (c *hostClock) Wall() env.Millis {
	return env.Millis(c.wall.at(c.world.now) / int64(time.Millisecond))
}
