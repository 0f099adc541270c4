package commitlog_test

import (
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/sim"
)

// A batch that is too large to be held as a whole is recovered and verified piece by piece.
func TestLargeBatch(t *testing.T) {
	r := newRig(t, 1, commitlog.DefaultSettings())
	r.create()
	for _, size := range []int{100, 17 << 20, 100, 3 << 20} {
		_, err := r.log.Append(batchOf(size, 5), r.info(0))
		r.must(err)
	}
	r.must(r.flush())
	r.disk.Kill()
	r.mem = sim.NewMemory()
	r.must(r.open(false))
	if end := r.log.EndOffset(); end != 4 || len(r.all()) != 4 {
		t.Fatalf("the log ends at %d", end)
	}
	r.disk.Rot(dir+"/00000000000000000000.log", 9<<20, 1)
	r.disk.Kill()
	r.must(r.open(false))
	if end := r.log.EndOffset(); end != 1 {
		t.Fatalf("the log ends at %d, its second batch is bad", end)
	}
}

// A process that dies of a failed sync leaves pages that look clean and are on no disk. What the next one finds there counts as
// flushed only when it is.
func TestSyncAfterFailedSync(t *testing.T) {
	for seed := range uint64(50) {
		r := newRig(t, seed, tiny())
		r.create()
		for range 20 {
			_, err := r.log.Append(batchOf(30, 5), r.info(0))
			r.must(err)
		}
		r.disk.Inject(func(op sim.Op) error {
			if op.Kind == sim.OpSync {
				return sim.ErrIO
			}
			return nil
		})
		if r.settle() == nil {
			t.Fatal("a failed sync is not noticed")
		}
		r.disk.Inject(nil)
		r.disk.Kill()
		r.mem = sim.NewMemory()
		r.must(r.open(false))
		found := r.log.EndOffset()
		r.must(r.settle())
		if p := r.log.RecoveryPoint(); p != found {
			t.Fatalf("recovery point %d after %d were found and synced", p, found)
		}
		r.checkpoint()
		r.disk.PowerBy(sim.LoseAll())
		r.mem = sim.NewMemory()
		r.must(r.open(false))
		if n := len(r.all()); n != int(found) {
			t.Fatalf("%d batches of %d are left", n, found)
		}
	}
}

// The age of a segment is carried over a restart. Where nothing is known of it, as in a directory that Kafka has written, the timestamps count.
func TestAgeOutlivesRestart(t *testing.T) {
	s := tiny()
	s.SegmentBytes, s.RetentionMillis = 100, 10_000
	for _, c := range []struct {
		name    string
		forget  bool
		stamp   int64
		wait    time.Duration
		expired int
	}{
		{"too young", false, 0, 9 * time.Second, 0},
		{"old enough", false, 1 << 60, 11 * time.Second, 3},
		{"from Kafka, old", true, 5, 0, 3},
		{"from Kafka, in the future", true, 1 << 60, 9 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 1, s)
			r.create()
			for range 3 {
				_, err := r.log.Append(batchOf(30, c.stamp), r.info(0))
				r.must(err)
			}
			r.must(r.stop())
			if c.forget {
				r.must(r.disk.Remove(dir + "/segment-receipts"))
				r.must(r.open(true))
				r.pass(c.wait)
			} else {
				r.pass(c.wait)
				r.must(r.open(true))
			}
			if n := r.log.Expire(r.now, r.log.EndOffset()); n != c.expired {
				t.Errorf("%d segments expired, want %d", n, c.expired)
			}
		})
	}
}
