package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/sim"
)

// badStarts runs starts of a broker that has something to load, on a machine some of whose jobs are slow. In each the n-th I/O call fails, or the broker is
// ended from there on, or both.
func badStarts(t *testing.T, starts int, failure error, end bool) {
	t.Helper()
	for seed := range uint64(starts) {
		r := newSlowRig(t, seed)
		r.create("t", 3, "lignum.flush.policy", "async") // so that what was written has to be synced before it is served
		ask[*kmsg.InitProducerIDResponse](r, kmsg.NewPtrInitProducerIDRequest(), 4)
		for i := range int32(3) {
			r.produce("t", i, -1, batch("x"))
		}
		r.host.Kill()
		draw := sim.NewStream(seed, sim.DomainUser, 1)
		n, calls, ended := 1+draw.Below(600), int64(0), false
		r.host.Disk().Inject(func(sim.Op) error {
			if calls++; calls == n {
				return failure
			}
			return nil
		})
		r.ready, r.failed, r.conn = false, nil, nil
		r.host.Start()
		limit := r.world.Now().Add(30 * time.Second)
		for asked := false; !r.ready && !ended && len(r.world.Findings()) == 0 && r.world.Step(limit); {
			if calls >= n && end && !asked {
				asked = true
				r.host.Do(func() { r.node.Shutdown(func(error) { ended = true }) })
			}
			if r.failed != nil && !end {
				break
			}
		}
		if r.failed != nil && failure == nil {
			t.Errorf("seed %d, call %d: nothing was wrong, and the start fails: %v", seed, n, r.failed)
		}
		if !r.ready && !ended && r.failed == nil && len(r.world.Findings()) == 0 {
			t.Errorf("seed %d, call %d: the start neither ends nor fails", seed, n)
		}
		r.world.Run(r.world.Now().Add(5 * time.Second)) // what is under way still
		if r.host.Running() {
			r.host.Kill()
		}
		r.host.Disk().Inject(nil)
		if len(r.world.Findings()) == 0 {
			r.start()
		}
	}
}

// newSlowRig is a rig of which a job in twenty takes up to two seconds.
func newSlowRig(t *testing.T, seed uint64) *rig {
	return newRigIn(t, sim.NewWorld(sim.Options{Seed: seed, Jobs: sim.JobOptions{StuckRate: 50_000, Stuck: 2 * time.Second}}), nil)
}

// TestStartThatFails: an error in any call of a start ends it, or is got over; what is under way at that time finds nothing missing.
func TestStartThatFails(t *testing.T) {
	t.Parallel()
	badStarts(t, 40, errors.New("the disk fails"), false)
}

// TestStartThatIsEnded: a start may be ended at any time. What waits for logs to be opened then goes on without a quorum.
func TestStartThatIsEnded(t *testing.T) {
	t.Parallel()
	badStarts(t, 200, nil, true)
}

// TestStartThatFailsAndIsEnded: an operator ends a start that has failed, or is about to.
func TestStartThatFailsAndIsEnded(t *testing.T) {
	t.Parallel()
	badStarts(t, 40, errors.New("the disk fails"), true)
}
