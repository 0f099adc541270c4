package commitlog_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/record"
)

func TestAppendAndRead(t *testing.T) {
	r := newRig(t, 1, tiny())
	r.create()
	for i := range 30 {
		b := batchOf(50, int64(1000+i), int64(1000+i))
		first, err := r.log.Append(b, r.info(3))
		r.must(err)
		if first != record.Offset(2*i) {
			t.Fatalf("batch %d at %d", i, first)
		}
	}
	if got := r.all(); len(got) != 30 {
		t.Fatalf("%d batches in memory", len(got))
	}
	r.must(r.settle())
	r.log.ReleaseMemory(1 << 30)
	if m := r.log.Memory(); m != 0 {
		t.Fatalf("%d bytes of chunks left", m)
	}
	got := r.all()
	if len(got) != 30 || got[7].BaseOffset() != 14 || got[7].LeaderEpoch() != 3 {
		t.Fatalf("%d batches in files", len(got))
	}
	r.must(r.stop())
	r.must(r.open(true))
	if got := r.all(); len(got) != 30 {
		t.Fatalf("%d batches after a clean stop", len(got))
	}
	r.must(r.stop())
	if n, bytes := r.mem.Held(); n != 0 {
		t.Fatalf("%d buffers of %d bytes are still held", n, bytes)
	}
}

// The layout of a small log, worked out by hand: a batch of one record with a value of 30 bytes takes 61+37 = 98 bytes.
func TestLayout(t *testing.T) {
	s := tiny()
	s.SegmentBytes, s.IndexIntervalBytes = 600, 150
	r := newRig(t, 1, s)
	r.create()
	for _, ts := range []int64{100, 300, 200, 250, 400, 150, 500, 90} {
		b := batchOf(30, ts)
		if b.Size() != 98 {
			t.Fatalf("a batch has %d bytes", b.Size())
		}
		_, err := r.log.Append(b, r.info(0))
		r.must(err)
		r.must(r.flush())
	}
	// Entries for the batches at 196 (> 150 behind 0) and 392. The first segment takes 6 batches, 588 bytes.
	index := binary.BigEndian.AppendUint32(nil, 2)
	index = binary.BigEndian.AppendUint32(index, 196)
	index = binary.BigEndian.AppendUint32(index, 4)
	index = binary.BigEndian.AppendUint32(index, 392)
	// At the first of them the greatest timestamp is 300, of offset 1; at the second 400, of offset 4. The last entry of the
	// complete segment would say the same, so there is none.
	times := binary.BigEndian.AppendUint64(nil, 300)
	times = binary.BigEndian.AppendUint32(times, 1)
	times = binary.BigEndian.AppendUint64(times, 400)
	times = binary.BigEndian.AppendUint32(times, 4)
	if got := r.content("00000000000000000000.index"); !slices.Equal(got, index) {
		t.Errorf("index:\n%x, want\n%x", got, index)
	}
	if got := r.content("00000000000000000000.timeindex"); !slices.Equal(got, times) {
		t.Errorf("time index:\n%x, want\n%x", got, times)
	}
	if n := len(r.content("00000000000000000000.log")); n != 588 {
		t.Errorf("first segment has %d bytes", n)
	}
	if n := len(r.content("00000000000000000006.log")); n != 196 {
		t.Errorf("second segment has %d bytes", n)
	}
	r.must(r.stop())
	// The clean close leaves the greatest timestamp of the active segment.
	times = binary.BigEndian.AppendUint64(nil, 500)
	times = binary.BigEndian.AppendUint32(times, 0)
	if got := r.content("00000000000000000006.timeindex"); !slices.Equal(got, times) {
		t.Errorf("time index of the last segment:\n%x, want\n%x", got, times)
	}
	want := []string{
		"00000000000000000000.index", "00000000000000000000.log", "00000000000000000000.timeindex",
		"00000000000000000006.index", "00000000000000000006.log", "00000000000000000006.snapshot", "00000000000000000006.timeindex",
		"00000000000000000008.snapshot", "leader-epoch-checkpoint", "partition.metadata", "segment-receipts",
	}
	if got := r.names(); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

func TestReadEndsOnBatchBoundary(t *testing.T) {
	r := newRig(t, 1, tiny())
	r.create()
	for range 20 {
		_, err := r.log.Append(batchOf(20, 5, 5, 5), r.info(0))
		r.must(err)
	}
	r.must(r.settle())
	for _, hot := range []bool{true, false} {
		if !hot {
			r.log.ReleaseMemory(1 << 30)
		}
		for from := record.Offset(0); from < 60; from++ {
			for upTo := from; upTo <= 60; upTo++ {
				p, _, err := r.read(commitlog.ReadRequest{From: from, UpTo: upTo, MaxBytes: 1 << 20, AtLeastOne: true})
				r.must(err)
				next := from / 3 * 3
				for len(p) > 0 {
					b, rest, err := record.Next(p)
					r.must(err)
					if b.BaseOffset() != next || b.NextOffset() > upTo {
						t.Fatalf("hot %v: [%d, %d): batch %d to %d, want %d", hot, from, upTo, b.BaseOffset(), b.LastOffset(), next)
					}
					next, p = b.NextOffset(), rest
				}
			}
		}
	}
}
