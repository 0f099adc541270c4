package commitlog_test

import (
	"bytes"
	"strings"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/record"
	"lignum/sim"
)

// searcher reads a log batch by batch and counts what that does to its indexes.
type searcher struct {
	*rig
	t           *testing.T
	opened, cut int
}

func newSearcher(t *testing.T) *searcher {
	s := tiny()
	s.SegmentBytes = 1 << 20
	w := &searcher{rig: newRig(t, 1, s), t: t}
	w.create()
	w.disk.Watch(func(op sim.Op, _ error) {
		switch {
		case !strings.HasSuffix(op.Path, ".index"):
		case op.Kind == sim.OpOpen:
			w.opened++
		case op.Kind == sim.OpTruncate:
			w.cut++
		}
	})
	return w
}

// fill appends batches of two records; nothing of them stays in memory.
func (w *searcher) fill(n, size int) {
	w.t.Helper()
	for range n {
		_, err := w.log.Append(batchOf(size, 1, 2), w.info(w.log.LatestEpoch()+1))
		w.must(err)
	}
	w.must(w.settle())
	w.log.ReleaseMemory(1 << 40)
}

// check reads from each offset, and compares how often that opened an index, and had one built anew.
func (w *searcher) check(what string, opens, mends int) {
	w.t.Helper()
	w.opened, w.cut = 0, 0
	for at := w.log.StartOffset(); at < w.log.EndOffset(); at++ {
		p, from, err := w.read(commitlog.ReadRequest{From: at, UpTo: w.log.EndOffset(), MaxBytes: 1, AtLeastOne: true})
		w.must(err)
		b, _, err := record.Next(p)
		w.must(err)
		if from != "file" || b.BaseOffset() > at || b.LastOffset() < at || b.CheckCRC() != nil {
			w.t.Fatalf("%s: offsets %d to %d from %s at %d", what, b.BaseOffset(), b.LastOffset(), from, at)
		}
	}
	opened := w.opened
	w.must(w.flush())
	if opened != opens || w.cut != mends {
		w.t.Errorf("%s: an index was opened %d times for searches, want %d, and %d were built anew, want %d", what, opened, opens, w.cut, mends)
	}
}

// TestSearchesKeepTheIndexOpen: who searches a segment again and again opens its files once. What becomes of the index meanwhile, the
// searches follow: it rots or cannot be read and is mended, it is cut, or another file takes its name. None of them believes in an index that was there before; they would
// have it built anew.
func TestSearchesKeepTheIndexOpen(t *testing.T) {
	w := newSearcher(t)
	w.fill(40, 20)
	w.check("first", 1, 0)
	w.check("again", 0, 0)

	index := "00000000000000000000.index"
	whole := w.content(index)
	w.disk.Rot(dir+"/"+index, 8*5+7, 0xff)
	w.check("rotten", 0, 1)
	w.check("mended", 0, 0)
	if p := w.content(index); !bytes.Equal(p, whole) {
		t.Errorf("the index has %d bytes, want %d as before", len(p), len(whole))
	}

	w.disk.BadSector(dir+"/"+index, 0)
	w.check("unreadable", 0, 1)
	w.check("readable", 0, 0)

	w.log.TruncateTo(30)
	w.fill(40, 70)
	w.check("cut in place, another segment behind it", 1, 0)
	w.check("cut, again", 0, 0)

	w.log.TruncateFullyAndStartAt(0)
	w.fill(40, 50)
	w.check("another file of that name", 1, 0)
	w.check("that file again", 0, 0)

	w.must(w.stop())
	w.must(w.open(true))
	_, late, err := w.log.Read(commitlog.ReadRequest{From: 20, UpTo: w.log.EndOffset(), MaxBytes: 1, AtLeastOne: true})
	w.must(err)
	late.Run()
	w.log.TruncateFullyAndStartAt(0)
	w.fill(40, 80)
	_, _, err = w.finish(commitlog.ReadResult{}, late, nil)
	w.must(err)
	w.check("another file while a search was under way", 1, 0)
}
