package producers

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lignum/core/record"
)

// The bytes of a snapshot, put together by hand from Kafka's schema.
func TestSnapshotFormat(t *testing.T) {
	s := New(Options{})
	apply(s, data(7, 2, 10, 5, 100), txnData(9, 1, 0, 2, 105), marker(3, 4, record.Commit, 6, 107))
	be := binary.BigEndian
	var body []byte
	body = be.AppendUint32(body, 3)
	entry := func(id int64, epoch int16, sequence int32, offset int64, delta int32, timestamp int64, coordinator int32, first int64) {
		body = be.AppendUint64(body, uint64(id))
		body = be.AppendUint16(body, uint16(epoch))
		body = be.AppendUint32(body, uint32(sequence))
		body = be.AppendUint64(body, uint64(offset))
		body = be.AppendUint32(body, uint32(delta))
		body = be.AppendUint64(body, uint64(timestamp))
		body = be.AppendUint32(body, uint32(coordinator))
		body = be.AppendUint64(body, uint64(first))
	}
	entry(3, 4, -1, -1, 0, 1107, 6, -1)
	entry(7, 2, 14, 104, 4, 1104, -1, -1)
	entry(9, 1, 1, 106, 1, 1105, -1, 105)
	want := append(be.AppendUint32([]byte{0, 1}, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))), body...)
	if diff := cmp.Diff(want, s.Snapshot()); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	back := New(Options{})
	if err := back.Load(want); err != nil {
		t.Fatal(err)
	}
	if back.End() != 107 || New(Options{}).End() != 0 {
		t.Errorf("end %d", back.End())
	}
	if v, err := back.Check(data(7, 2, 10, 5, 0)); err != nil || v != (Verdict{true, 100, 104, 1104}) {
		t.Errorf("retry after a reload: %+v, %v", v, err)
	}
	if _, err := back.Check(data(7, 2, 15, 1, 0)); err != nil {
		t.Errorf("next after a reload: %v", err)
	}
}

// TestEveryKeptBatchOutlivesAReload: with several requests in flight, any of the last five may be sent again after a restart (P3, ID02).
func TestEveryKeptBatchOutlivesAReload(t *testing.T) {
	s := New(Options{})
	for i := range 7 {
		apply(s, data(7, 2, int32(3*i), 3, record.Offset(10*i)))
	}
	apply(s, data(8, 0, 0, 1, 100))
	back := New(Options{})
	if err := back.Load(s.Snapshot()); err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		want := Verdict{}
		if i >= 2 {
			want = Verdict{true, record.Offset(10 * i), record.Offset(10*i + 2), s.byID[7].batches[i-2].timestamp}
		}
		v, err := back.Check(data(7, 2, int32(3*i), 3, 0))
		if known := i >= 2; known != (err == nil) || v != want {
			t.Errorf("retry of batch %d: %+v, %v, want %+v", i, v, err, want)
		}
	}
	if back.Len() != 2 || !cmp.Equal(s.All(), back.All()) {
		t.Errorf("reloaded as %+v, was %+v", back.All(), s.All())
	}
}

func reseal(p []byte) []byte {
	binary.BigEndian.PutUint32(p[snapshotAtCRC:], crc32.Checksum(p[snapshotAtCount:], castagnoli))
	return p
}

func TestLoadRefuses(t *testing.T) {
	s := New(Options{})
	apply(s, txnData(1, 0, 0, 1, 0), txnData(2, 0, 0, 1, 1))
	edit := func(f func(p []byte)) []byte {
		p := s.Snapshot()
		f(p)
		return reseal(p)
	}
	good := s.Snapshot()
	kept := New(Options{})
	apply(kept, data(8, 0, 0, 1, 0))
	for name, p := range map[string][]byte{
		"empty":           nil,
		"header only":     good[:snapshotHeader],
		"flipped":         append(good[:len(good)-1:len(good)-1], good[len(good)-1]^1),
		"cut":             reseal(s.Snapshot()[:len(good)-1]),
		"version 0":       edit(func(p []byte) { p[1] = 0 }),
		"version 2":       edit(func(p []byte) { p[1] = 2 }),
		"count too great": edit(func(p []byte) { p[snapshotAtCount+3] = 3 }),
		"count enormous":  edit(func(p []byte) { p[snapshotAtCount] = 0xff }),
		"the same id, not later": edit(func(p []byte) {
			p[snapshotHeader+snapshotEntry+7], p[snapshotHeader+snapshotEntry+21] = 1, 0
		}),
		"two begin at once": edit(func(p []byte) { p[snapshotHeader+snapshotEntry+45] = 0 }),
		"negative delta":    edit(func(p []byte) { p[snapshotHeader+22] = 0xff }),
		"negative id":       edit(func(p []byte) { p[snapshotHeader] = 0xff }),
	} {
		if err := kept.Load(p); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if kept.Len() != 1 || kept.byID[8] == nil {
		t.Error("a refused snapshot has changed the state")
	}
}

func FuzzLoad(f *testing.F) {
	s := New(Options{})
	f.Add(s.Snapshot())
	apply(s, data(7, 2, 10, 5, 100), txnData(9, 1, 0, 2, 105), marker(3, 4, record.Commit, 6, 107))
	f.Add(s.Snapshot())
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) >= snapshotHeader {
			reseal(p)
		}
		s := New(Options{MaxProducers: 50})
		if s.Load(p) != nil {
			return
		}
		again := New(Options{MaxProducers: 50})
		if err := again.Load(s.Snapshot()); err != nil || !cmp.Equal(s.All(), again.All()) {
			t.Fatalf("%v:\n%s", err, cmp.Diff(s.All(), again.All()))
		}
		s.LastStable(1 << 40)
		s.Expire(5, 1)
	})
}
