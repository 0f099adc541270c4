package commitlog_test

import (
	"bytes"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/record"
	"lignum/sim"
)

// changes counts the calls that change the disk or wait for it.
func changes(d *sim.Disk, act func()) int {
	n := 0
	d.Watch(func(op sim.Op, _ error) {
		switch op.Kind {
		case sim.OpWrite, sim.OpTruncate, sim.OpRename, sim.OpRemove, sim.OpMkdir, sim.OpSync, sim.OpSyncDir:
			n++
		}
	})
	act()
	d.Watch(nil)
	return n
}

// TestCloseOfWhatHasNotChanged: of thousands of logs most have not changed since the last start. They cost a stop nothing, and what they hold
// needs no more than what earlier stops have made durable.
func TestCloseOfWhatHasNotChanged(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(r *rig)
		act     func(r *rig)
		idle    bool
	}{
		{"new", func(*rig) {}, func(*rig) {}, true},
		{"elected", (*rig).someBatches, func(r *rig) { r.log.BeginEpoch(9) }, true},
		{"read", (*rig).someBatches, func(r *rig) { r.must(r.readAll()) }, true},
		{"appended", (*rig).someBatches, func(r *rig) { r.add(batchOf(10, 1)) }, false},
		{"appended and cut", (*rig).someBatches, func(r *rig) {
			end := r.log.EndOffset()
			r.add(batchOf(10, 1))
			r.log.TruncateTo(end)
		}, false},
		{"log start moved", (*rig).someBatches, func(r *rig) { r.log.AdvanceStart(3) }, false},
		{"emptied", (*rig).someBatches, func(r *rig) { r.log.TruncateFullyAndStartAt(50) }, false},
		{"producers expired", (*rig).someBatches, func(r *rig) {
			r.log.Producers().Expire(int64(r.wall), 1) // from now on their time counts
			r.log.Producers().Expire(int64(r.wall)+10, 1)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 1, tiny())
			r.create()
			c.prepare(r)
			r.must(r.stop())
			r.must(r.open(true))
			r.must(r.stop())
			r.must(r.open(true)) // as two stops have left it
			c.act(r)
			r.must(r.flush())
			epoch, end, state := r.log.LatestEpoch(), r.log.EndOffset(), r.log.Producers().Snapshot()
			n := changes(r.disk, func() { r.must(r.closeNow()) })
			if c.idle != (n == 0) {
				t.Errorf("the close changed the disk %d times", n)
			}
			r.disk.PowerBy(sim.LoseAll())
			r.must(r.open(true))
			if r.log.EndOffset() != end || !bytes.Equal(r.log.Producers().Snapshot(), state) {
				t.Errorf("the log ends at %d, it was %d, or the producers differ", r.log.EndOffset(), end)
			}
			if !c.idle && r.log.LatestEpoch() != epoch {
				t.Errorf("the latest epoch is %d, it was %d", r.log.LatestEpoch(), epoch)
			}
		})
	}
}

// closeNow closes the log without asking for a sync first.
func (r *rig) closeNow() error {
	c := r.log.TakeClose()
	c.Run()
	return r.log.Closed(c)
}

func (r *rig) add(b record.Batch) {
	_, err := r.log.Append(b, r.info(4))
	r.must(err)
}

// someBatches fills some segments, by a producer and by others.
func (r *rig) someBatches() {
	for i := range int32(20) {
		r.add(batchFrom(7, i, false, int64(r.wall)+int64(i)))
		r.add(batchOf(30, int64(r.wall)+int64(i)))
		r.must(r.flush())
	}
}

func (r *rig) readAll() error {
	_, _, err := r.read(commitlog.ReadRequest{UpTo: r.log.EndOffset(), MaxBytes: 1 << 20})
	return err
}

// TestAgeAfterACut (P1): a follower's log is cut, and goes on with records whose time, as their producer says it, is long ago. The producer has written a moment ago all the same.
func TestAgeAfterACut(t *testing.T) {
	r := newRig(t, 1, tiny())
	r.create()
	r.someBatches()
	r.log.TruncateTo(r.log.EndOffset() - 1)
	b := batchFrom(8, 0, false, 5)
	b.SetBaseOffset(r.log.EndOffset())
	b.SetLeaderEpoch(4)
	r.must(r.log.AppendAt(b, r.info(4)))
	r.must(r.flush())
	const day = 24 * 60 * 60 * 1000
	r.log.Producers().Expire(10*day, day)
	if v, err := r.log.Producers().Check(b); err != nil || !v.Duplicate {
		t.Errorf("a retry: %+v, %v; want a duplicate", v, err)
	}
	if r.log.Producers().Expire(11*day, day); r.log.Producers().Len() != 0 {
		t.Errorf("%d producers are known for ever", r.log.Producers().Len())
	}
}
