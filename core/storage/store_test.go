package storage

import (
	"os"
	"strconv"
	"testing"
)

// S1 to S4 under random work, kills and power cuts at any call, also in the middle of a start.
func TestPromisesSurviveRandomCrashes(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	from := uint64(0)
	if v := os.Getenv("LSEED"); v != "" {
		from, _ = strconv.ParseUint(v, 10, 64)
		seeds = 1
	}
	for seed := from; seed < from+seeds; seed++ {
		w := newWorld(t, seed)
		w.boot()
		for range 6 {
			w.disk.CrashAt(uint64(w.rand.Below(400)) + 1)
			w.disk.Attempt(func() {
				for range 400 {
					w.step()
				}
			})
			w.crashAndVerify()
		}
	}
}

// crashAndVerify ends the life, and perhaps some more lives in the middle of their starts.
func (w *world) crashAndVerify() {
	killed := true
	for tries := 0; ; tries++ {
		if w.rand.Below(3) > 0 {
			w.logf("power")
			w.disk.Power()
			killed = false
		} else {
			w.logf("kill")
			w.disk.Kill()
		}
		if tries < 2 {
			w.disk.CrashAt(uint64(w.rand.Below(200)) + 1)
		}
		if w.disk.Attempt(w.boot) {
			break
		}
	}
	w.disk.CrashAt(0)
	w.verify(killed)
}
