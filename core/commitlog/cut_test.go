package commitlog_test

import (
	"testing"

	"lignum/core/record"
)

// TestWriteBehindACut: a write was taken before a truncation, and ends behind it, when the log is long again. It has written nothing of what the log holds now
// from the cut on, and must not count for it.
func TestWriteBehindACut(t *testing.T) {
	for _, fully := range []bool{false, true} {
		r := newRig(t, 1, tiny())
		r.create()
		put := func(n int) {
			for range n {
				_, err := r.log.Append(batchOf(30, int64(r.wall)), r.info(0))
				r.must(err)
			}
		}
		put(4)
		r.take()
		r.run()
		cut := record.Offset(2)
		if fully {
			cut = 1
			r.log.TruncateFullyAndStartAt(cut)
		} else {
			r.log.TruncateTo(cut)
		}
		put(5)
		r.must(r.wrote())
		if written := r.log.WrittenEnd(); written > cut {
			t.Errorf("emptied: %v: %d are written, the log was cut at %d", fully, written, cut)
		}
		r.must(r.flush())
		if written := r.log.WrittenEnd(); written != cut+5 {
			t.Errorf("emptied: %v: %d are written in the end", fully, written)
		}
		r.must(r.stop())
	}
}

// TestSyncBehindACut: a sync that was taken before a truncation makes nothing durable from the cut on, a log start no more than records; and none is taken while the
// cut is still to be made, for the files do not hold what the log says (D4).
func TestSyncBehindACut(t *testing.T) {
	r := newRig(t, 1, tiny())
	r.create()
	for range 6 {
		_, err := r.log.Append(batchOf(30, int64(r.wall)), r.info(0))
		r.must(err)
	}
	r.must(r.flush())
	r.log.AdvanceStart(5)
	sync := r.log.TakeSync()
	if sync == nil {
		t.Fatal("there is nothing to sync")
	}
	r.log.TruncateTo(3)
	sync.Run()
	r.must(r.log.Synced(sync))
	if point, start := r.log.RecoveryPoint(), r.log.DurableStart(); point > 3 || start > 3 {
		t.Errorf("the recovery point is %d, the durable start %d, the log was cut at 3", point, start)
	}
	if r.log.TakeSync() != nil {
		t.Error("a sync is taken before the cut is made")
	}
	r.take()
	if r.log.TakeSync() != nil {
		t.Error("a sync is taken while the cut is being made")
	}
	r.run()
	r.must(r.wrote())
	r.must(r.settle())
	r.must(r.stop())
}
