package commitlog_test

import (
	"bytes"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/record"
)

// TestReadsFollowTheTrail: who goes through what was appended lately needs no look at the disk, and gets what a reader gets
// who does look.
func TestReadsFollowTheTrail(t *testing.T) {
	r := newRig(t, 1, tiny())
	r.create()
	for range 30 {
		_, err := r.log.Append(batchOf(20, 1, 2), r.info(1))
		r.must(err)
		r.must(r.flush())
	}
	r.log.ReleaseMemory(1 << 40)
	asked, reads, pieces := 0, 0, [][]byte(nil)
	for at := record.Offset(0); at < r.log.EndOffset(); {
		q := commitlog.ReadRequest{From: at, UpTo: r.log.EndOffset(), MaxBytes: 300, AtLeastOne: true}
		res, job, err := r.log.Read(q)
		if job != nil {
			asked++
		}
		p, from, err := r.finish(res, job, err)
		r.must(err)
		if from != "file" || len(p) > 300 {
			t.Fatalf("%d bytes at %d from %s", len(p), at, from)
		}
		for {
			b, rest, err := record.Next(p)
			if err != nil {
				break // cut at MaxBytes
			}
			pieces = append(pieces, b)
			at, p = b.NextOffset(), rest
		}
		reads++
	}
	if segments := r.log.Segments(); segments < 4 || asked == 0 || asked == reads {
		t.Errorf("%d of %d reads went to the disk, over %d segments", asked, reads, segments)
	}
	r.must(r.settle())
	r.checkpoint()
	r.must(r.stop())
	r.must(r.open(true))
	var again []byte
	for _, b := range r.all() {
		again = append(again, b...)
	}
	if !bytes.Equal(again, bytes.Join(pieces, nil)) {
		t.Error("another reader finds other bytes")
	}
}

// TestTrailEndsAtACut: places behind a truncation are gone.
func TestTrailEndsAtACut(t *testing.T) {
	r := newRig(t, 1, commitlog.DefaultSettings())
	r.create()
	for range 20 {
		_, err := r.log.Append(batchOf(20, 1, 2, 3), r.info(1))
		r.must(err)
	}
	r.must(r.flush())
	r.log.TruncateTo(30)
	for range 5 {
		_, err := r.log.Append(batchOf(7, 4), r.info(2))
		r.must(err)
	}
	r.must(r.settle())
	r.log.ReleaseMemory(1 << 40)
	all := r.all()
	if len(all) != 15 || all[9].LeaderEpoch() != 1 || all[10].LeaderEpoch() != 2 || all[10].BaseOffset() != 30 {
		t.Errorf("%d batches", len(all))
	}
}
