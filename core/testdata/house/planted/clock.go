package planted

import (
	clock "time"
)

const tick = 5 * clock.Millisecond

func elapsed(start clock.Time) clock.Duration {
	clock.Sleep(tick)              // want clock
	_ = clock.NewTimer(tick)       // want clock
	_ = clock.NewTicker(tick)      // want clock
	clock.AfterFunc(tick, clean)   // want clock
	_ = clock.After(tick)          // want channel clock
	_ = clock.Tick(tick)           // want channel clock
	if clock.Since(start) > tick { // want clock
		return clock.Now().Sub(start) // want clock
	}
	now := clock.Now // want clock
	return now().Sub(start)
}

func clean() {}

func allowed(millis int64) clock.Duration {
	return clock.UnixMilli(millis).Add(tick).Sub(clock.UnixMilli(0))
}
