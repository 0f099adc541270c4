package peer_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lignum/core/peer"
	"lignum/sim"
)

// TestEveryCallEndsOnce: whatever happens to the network and to the server, a call ends once and in time, the server carries
// it out at most once, and the end says the truth about that.
func TestEveryCallEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t, rapid.Uint64().Draw(t, "seed"), sim.NetworkOptions{
			SplitRate: 100_000, BreakRate: int64(rapid.SampledFrom([]int{0, 20_000}).Draw(t, "breaks")),
		}, peer.Options{MaxQueued: 8})
		story(t, r)
		r.world.HealAll()
		r.far.Start()
		r.server.mute = false
		r.run(10 * time.Second)
		last := r.call(farAddress, 10*time.Second)
		r.run(10 * time.Second)
		if last.done == 0 || !last.dead && last.err != nil && !errors.Is(last.err, peer.ErrUnknown) && !errors.Is(last.err, peer.ErrUnreachable) {
			t.Fatalf("after the heal a call ends %d times, with %v", last.done, last.err)
		}
		judge(t, r)
		r.close()
	})
}

// story lets things happen.
func story(t *rapid.T, r *rig) {
	addresses := []string{farAddress, farAddress, farAddress, "far:9094", "far:1", "nobody:1"}
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		switch rapid.IntRange(0, 13).Draw(t, "step") {
		default:
			r.call(rapid.SampledFrom(addresses).Draw(t, "address"), time.Duration(rapid.IntRange(0, 3000).Draw(t, "timeout"))*time.Millisecond)
		case 0:
			r.far.Kill()
		case 1:
			r.far.Power()
		case 2:
			r.far.Start()
		case 3:
			r.world.Cut(r.near.End(), r.far.End())
		case 4:
			r.world.Cut(r.far.End(), r.near.End())
		case 5:
			r.world.HealAll()
		case 6:
			for _, c := range r.world.Between(r.near.End(), r.far.End()) {
				c.Clog(time.Second)
			}
		case 7:
			for _, c := range r.world.Between(r.near.End(), r.far.End()) {
				c.Break()
			}
		case 8:
			r.near.Do(func() { r.caller.set.Drop(2) })
		case 9:
			r.server.mute, r.server.delay = rapid.Bool().Draw(t, "mute"), time.Duration(rapid.IntRange(0, 500).Draw(t, "delay"))*time.Millisecond
		}
		r.run(time.Duration(rapid.IntRange(0, 400_000).Draw(t, "pause")) * time.Microsecond)
	}
}

func judge(t *rapid.T, r *rig) {
	for _, c := range r.calls {
		if c.done != 1 {
			t.Fatalf("call %d ended %d times", c.number, c.done)
		}
		// A loop may come round a little late.
		if took := c.doneAt.Sub(c.at); took > c.timeout+20*time.Millisecond {
			t.Fatalf("call %d with timeout %v ended after %v", c.number, c.timeout, took)
		}
		times := r.served[c.number]
		unsent := errors.Is(c.err, peer.ErrUnreachable) || errors.Is(c.err, peer.ErrBusy)
		switch {
		case times > 1, unsent && times > 0, c.err == nil && (times != 1 || c.answered != c.number):
			t.Fatalf("call %d ended with %v, answer %d, and was carried out %d times", c.number, c.err, c.answered, times)
		}
	}
	for _, fault := range r.caller.faults {
		t.Fatal(fault)
	}
	if n, _ := r.near.Memory().Held(); n != 0 {
		t.Fatalf("%d buffers are held", n)
	}
}

// TestOneStory: two worlds from one seed are the same.
func TestOneStory(t *testing.T) {
	for seed := range uint64(20) {
		traces := map[sim.Trace]bool{}
		for range 2 {
			r := newRig(t, seed, sim.NetworkOptions{SplitRate: 300_000, BreakRate: 20_000}, peer.Options{})
			for i := range 60 {
				r.call(farAddress, time.Duration(i)*20*time.Millisecond)
				switch i % 20 {
				case 5:
					r.far.Kill()
				case 9:
					r.far.Start()
				case 12:
					r.world.Partition([]sim.End{r.near.End()}, []sim.End{r.far.End()})
				case 15:
					r.world.HealAll()
				}
				r.run(50 * time.Millisecond)
			}
			traces[r.world.Trace()] = true
			r.close()
		}
		if len(traces) != 1 {
			t.Fatalf("seed %d tells two stories", seed)
		}
	}
}
