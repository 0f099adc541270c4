package record

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// TestRecompress: whatever codec a batch comes with and goes to, its records and the rest of its header stay.
func TestRecompress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := Codec(rapid.IntRange(0, 4).Draw(t, "from"))
		to := Codec(rapid.IntRange(0, 4).Draw(t, "to"))
		builder := NewBuilder(from)
		builder.SetProducer(7, 2, 11)
		count := rapid.IntRange(1, 20).Draw(t, "records")
		for i := range count {
			value := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "value")
			builder.Append(Record{Timestamp: int64(1000 + i), Key: []byte{byte(i)}, Value: value})
		}
		was := builder.Build()
		now, err := Recompress(was, to, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if now.Codec() != to || now.ProducerID() != 7 || now.BaseSequence() != 11 || now.Count() != int32(count) || now.MaxTimestamp() != was.MaxTimestamp() {
			t.Fatalf("header changed: codec %v, producer %d, sequence %d, %d records", now.Codec(), now.ProducerID(), now.BaseSequence(), now.Count())
		}
		if _, err := Validate(now, Limits{}); err != nil {
			t.Fatal(err)
		}
		if a, b := uncompressed(t, was), uncompressed(t, now); !bytes.Equal(a, b) {
			t.Fatalf("records changed: %x, were %x", b, a)
		}
	})
}

func uncompressed(t *rapid.T, b Batch) []byte {
	if b.Codec() == None {
		return b.Records()
	}
	p, err := Decompress(b.Codec(), nil, b.Records(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
