package record

import (
	"bytes"
	"testing"
)

// small keeps the fuzzer fast; the bounds themselves are tested elsewhere.
var small = Limits{MaxUncompressed: 4 << 20}

func seeds(f *testing.F) {
	for _, c := range codecs {
		f.Add([]byte(buildBatch(c, Record{Key: []byte("key"), Value: []byte("value"), Timestamp: 5}, Record{Headers: []Header{{Key: []byte("h")}}})))
		f.Add([]byte(buildBatch(c, Record{Value: make([]byte, 100_000)})))
	}
	f.Add([]byte(NewMarker(1, 2, Marker{Commit, 3}, 4)))
	f.Add(make([]byte, HeaderSize))
}

func FuzzNext(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		b, rest, err := Next(p)
		if err != nil {
			if b != nil || len(rest) != len(p) {
				t.Fatal("an error and a batch")
			}
			return
		}
		if len(b) < HeaderSize || !bytes.Equal(append(bytes.Clone(b), rest...), p) {
			t.Fatalf("%d bytes and %d left of %d", len(b), len(rest), len(p))
		}
		_ = b.CheckCRC()
		_, _, _ = b.Marker()
		if b.LastSequence() < NoSequence || b.LastOffset()-b.BaseOffset() < 0 {
			t.Fatal("a batch runs backwards")
		}
	})
}

// What Validate accepts, Each reads to the end, and what it read can be built again.
func FuzzValidate(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		b, _, err := Next(bytes.Clone(p))
		if err != nil {
			return
		}
		facts, err := Validate(reseal(b), small)
		if err != nil {
			return
		}
		again := NewBuilder(b.Codec())
		n := int32(0)
		err = b.Each(small, func(r Record) error {
			if r.OffsetDelta != n || (r.Key == nil && !facts.NullKeys) || r.Timestamp > max(facts.MaxTimestamp, NoTimestamp) {
				t.Fatalf("record %d is %+v, facts %+v", n, r, facts)
			}
			again.Append(r)
			n++
			return nil
		})
		if err != nil || n != b.Count() {
			t.Fatalf("%d of %d records: %v", n, b.Count(), err)
		}
		if _, err := Validate(again.Build(), small); err != nil {
			t.Fatalf("built again: %v", err)
		}
	})
}

func FuzzEach(f *testing.F) {
	seeds(f)
	reader := NewReader(small)
	f.Fuzz(func(t *testing.T, p []byte) {
		b, _, err := Next(p)
		if err != nil {
			return
		}
		n := int32(0)
		if err := reader.Each(b, func(Record) error { n++; return nil }); (err == nil) != (n == b.Count()) && err == nil {
			t.Fatalf("%d of %d records: %v", n, b.Count(), err)
		}
	})
}
