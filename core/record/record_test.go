package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var codecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

func buildBatch(c Codec, records ...Record) Batch {
	b := NewBuilder(c)
	for _, r := range records {
		b.Append(r)
	}
	return b.Build()
}

// reseal renews the checksum after a test has changed the batch.
func reseal(b Batch) Batch {
	binary.BigEndian.PutUint32(b[atCRC:], b.checksum())
	return b
}

func collect(t testing.TB, b Batch) []Record {
	t.Helper()
	var got []Record
	err := b.Each(Limits{}, func(r Record) error {
		got = append(got, copyRecord(r))
		return nil
	})
	if err != nil {
		t.Fatalf("Each: %v", err)
	}
	return got
}

func copyRecord(r Record) Record {
	c := Record{OffsetDelta: r.OffsetDelta, Timestamp: r.Timestamp, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}
	for _, h := range r.Headers {
		c.Headers = append(c.Headers, Header{Key: bytes.Clone(h.Key), Value: bytes.Clone(h.Value)})
	}
	return c
}

func TestTopicID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id TopicID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		back, err := ParseTopicID(id.String())
		if err != nil || back != id {
			t.Fatalf("%v came back as %v, %v", id, back, err)
		}
	})
	for _, bad := range []string{"", "AAAA", strings.Repeat("A", 23), strings.Repeat("+", 22)} {
		if _, err := ParseTopicID(bad); err == nil {
			t.Errorf("ParseTopicID(%q) succeeded", bad)
		}
	}
	a, b := Partition{Index: 2}, Partition{Topic: TopicID{1}, Index: 1}
	if a.Compare(b) >= 0 || b.Compare(a) <= 0 || a.Compare(a) != 0 || a.Compare(Partition{Index: 10}) >= 0 {
		t.Error("partitions are out of order")
	}
}

func TestAddSequence(t *testing.T) {
	for _, c := range []struct{ sequence, n, want int32 }{
		{0, 0, 0}, {0, 5, 5}, {math.MaxInt32, 0, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 3, 1},
		{math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := AddSequence(c.sequence, c.n); got != c.want {
			t.Errorf("AddSequence(%d, %d) = %d, want %d", c.sequence, c.n, got, c.want)
		}
	}
}

func drawBytes(t *rapid.T, label string) []byte {
	switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2: // compressible, may cross the window
		return bytes.Repeat([]byte{7}, rapid.IntRange(0, 3*windowSize).Draw(t, label+" size"))
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, label)
}

func drawRecord(t *rapid.T) Record {
	r := Record{
		Timestamp: rapid.OneOf(rapid.Int64Range(-1, 3), rapid.Int64Range(1e12, 2e12)).Draw(t, "timestamp"),
		Key:       drawBytes(t, "key"),
		Value:     drawBytes(t, "value"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		h := Header{Key: []byte(rapid.String().Draw(t, "header key")), Value: drawBytes(t, "header value")}
		r.Headers = append(r.Headers, h)
	}
	return r
}

// What the builder makes is valid, says what was put in, and comes back as it was, with each codec.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codec := rapid.SampledFrom(codecs).Draw(t, "codec")
		reader := NewReader(Limits{})
		b := NewBuilder(codec)
		sequence := rapid.Int32Range(0, math.MaxInt32).Draw(t, "sequence")
		b.SetProducer(9, 3, sequence)
		b.SetBaseOffset(1 << 40)
		b.SetLeaderEpoch(5)
		for round := range 2 { // the second with used contexts
			b.Reset()
			var want []Record
			facts := Facts{FirstNullKey: -1, MinTimestamp: -1, MaxTimestamp: -1, DeltaOfMaxTimestamp: -1}
			for n := range rapid.Int32Range(1, 12).Draw(t, "count") {
				r := drawRecord(t)
				b.Append(r)
				r.OffsetDelta = n
				want = append(want, r)
				facts.note(r.Timestamp, n)
				if r.Key == nil && !facts.NullKeys {
					facts.NullKeys, facts.FirstNullKey = true, n
				}
			}
			facts.UncompressedSize = int64(b.Size() - HeaderSize)
			batch, rest, err := Next(append(b.Build(), "next"...))
			if err != nil || string(rest) != "next" {
				t.Fatalf("Next: %v, rest %q", err, rest)
			}
			got, err := reader.Validate(batch)
			if err != nil {
				t.Fatalf("round %d: Validate: %v", round, err)
			}
			if diff := cmp.Diff(facts, got); diff != "" {
				t.Fatalf("facts (-want +got):\n%s", diff)
			}
			checkHeaderOf(t, batch, want, sequence)
			var records []Record
			if err := reader.Each(batch, func(r Record) error { records = append(records, copyRecord(r)); return nil }); err != nil {
				t.Fatalf("Each: %v", err)
			}
			if !reflect.DeepEqual(want, records) { // cmp.Diff alone takes seconds for long values
				t.Fatalf("records (-want +got):\n%s", cmp.Diff(want, records))
			}
		}
	})
}

func checkHeaderOf(t *rapid.T, b Batch, want []Record, sequence int32) {
	n := int32(len(want))
	maxTimestamp := want[0].Timestamp
	for _, r := range want {
		maxTimestamp = max(maxTimestamp, r.Timestamp)
	}
	switch {
	case b.BaseOffset() != 1<<40 || b.LastOffset() != 1<<40+Offset(n)-1 || b.NextOffset() != 1<<40+Offset(n):
		t.Fatalf("offsets %d to %d", b.BaseOffset(), b.LastOffset())
	case b.Count() != n || b.LastOffsetDelta() != n-1 || b.LeaderEpoch() != 5 || b.Size() != len(b):
		t.Fatalf("count %d, delta %d, epoch %d", b.Count(), b.LastOffsetDelta(), b.LeaderEpoch())
	case b.ProducerID() != 9 || b.ProducerEpoch() != 3 || b.BaseSequence() != sequence || b.LastSequence() != AddSequence(sequence, n-1):
		t.Fatalf("producer %d, %d, %d to %d", b.ProducerID(), b.ProducerEpoch(), b.BaseSequence(), b.LastSequence())
	case b.BaseTimestamp() != want[0].Timestamp || b.MaxTimestamp() != maxTimestamp || b.HasLogAppendTime():
		t.Fatalf("timestamps %d, %d", b.BaseTimestamp(), b.MaxTimestamp())
	case b.IsControl() || b.IsTransactional() || !b.HasProducer() || b.HasDeleteHorizon():
		t.Fatalf("attributes %#x", b.attributes())
	}
}

func TestNext(t *testing.T) {
	good := buildBatch(None, Record{Value: []byte("v")})
	edit := func(f func(b Batch)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	length := func(n uint32) []byte { return edit(func(b Batch) { binary.BigEndian.PutUint32(b[atLength:], n) }) }
	for _, c := range []struct {
		name string
		p    []byte
		want error
	}{
		{"whole", good, nil},
		{"empty", nil, ErrShort},
		{"cut in the length", good[:11], ErrShort},
		{"cut in the header", good[:20], ErrShort},
		{"cut in the records", good[:len(good)-1], ErrShort},
		{"2 GiB", length(math.MaxInt32), ErrShort},
		{"zeroes", make([]byte, 4096), ErrCorrupt},
		{"negative length", length(1 << 31), ErrCorrupt},
		{"less than a header", length(HeaderSize - LogOverhead - 1), ErrCorrupt},
		{"magic 1", edit(func(b Batch) { b[atMagic] = 1 }), ErrMagic},
		{"magic 0, the smallest", edit(func(b Batch) { b[atMagic] = 0; b[11] = leastOldMessage; b[10] = 0 }), ErrMagic},
		{"magic 3", edit(func(b Batch) { b[atMagic] = 3 }), ErrMagic},
		{"negative last offset delta", edit(func(b Batch) { b[atLastOffsetDelta] = 0x80 }), ErrCorrupt},
		{"negative count", edit(func(b Batch) { b[atCount] = 0x80 }), ErrCorrupt},
	} {
		b, rest, err := Next(c.p)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if err == nil && (len(b) != len(good) || len(rest) != 0) {
			t.Errorf("%s: %d bytes, %d left", c.name, len(b), len(rest))
		}
	}
}

func TestSetTimestamps(t *testing.T) {
	b := buildBatch(None, Record{Timestamp: 100}, Record{Timestamp: 300}, Record{Timestamp: 200})
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], 999)
	f, err := Validate(reseal(b), Limits{})
	if err != nil || f.MinTimestamp != 100 || f.MaxTimestamp != 300 || f.DeltaOfMaxTimestamp != 1 {
		t.Fatalf("facts %+v, %v", f, err)
	}
	b.SetMaxTimestamp(f.MaxTimestamp)
	if err := b.CheckCRC(); err != nil || b.MaxTimestamp() != 300 {
		t.Fatalf("max timestamp %d, %v", b.MaxTimestamp(), err)
	}
	b.SetLogAppendTime(700)
	if err := b.CheckCRC(); err != nil || b.MaxTimestamp() != 700 || !b.HasLogAppendTime() {
		t.Fatalf("max timestamp %d, %v", b.MaxTimestamp(), err)
	}
	for _, r := range collect(t, b) {
		if r.Timestamp != 700 {
			t.Errorf("record at %d", r.Timestamp)
		}
	}
	before := b.CRC()
	b.SetBaseOffset(77)
	b.SetLeaderEpoch(8)
	if b.CRC() != before || b.CheckCRC() != nil || b.BaseOffset() != 77 || b.LeaderEpoch() != 8 {
		t.Error("offset and epoch are not outside the checksum")
	}
}

// plain makes a batch with a count and a payload of the test's own.
func plain(count int32, payload ...[]byte) Batch {
	b := buildBatch(None, Record{})[:HeaderSize:HeaderSize]
	binary.BigEndian.PutUint32(b[atCount:], uint32(count))
	binary.BigEndian.PutUint32(b[atLastOffsetDelta:], uint32(count-1))
	b = append(b, bytes.Join(payload, nil)...)
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-LogOverhead))
	return reseal(b)
}

func TestValidateRefuses(t *testing.T) {
	two := buildBatch(None, Record{Key: []byte("k"), Value: []byte("v")}, Record{Key: []byte("k"), Value: []byte("w")})
	edit := func(f func(b Batch)) Batch {
		b := Batch(bytes.Clone(two))
		f(b)
		return reseal(b)
	}
	flag := func(bit byte) Batch { return edit(func(b Batch) { b[attributesLowByte] |= bit }) }
	record := func(delta int32) []byte { return appendRecord(nil, Record{OffsetDelta: delta}, 0) }
	damaged := Batch(bytes.Clone(two))
	damaged[len(damaged)-1] ^= 1
	endless := bytes.Repeat([]byte{0xff}, 11)
	for _, c := range []struct {
		name string
		b    Batch
		want error
	}{
		{"good", plain(2, record(0), record(1)), nil},
		{"damaged", damaged, ErrCorrupt},
		{"codec 5", flag(5), ErrCodec},
		{"codec 7", flag(7), ErrCodec},
		{"control", flag(controlBit), ErrInvalid},
		{"delete horizon", flag(deleteHorizonBit), ErrInvalid},
		{"log append time", flag(logAppendTimeBit), ErrTimestamp},
		{"transactional without a producer", flag(transactionalBit), ErrInvalid},
		{"no record", plain(0), ErrInvalid},
		{"count less than the delta says", edit(func(b Batch) { b[atCount+3] = 1 }), ErrInvalid},
		{"more claimed than there are", plain(3, record(0), record(1)), ErrInvalid},
		{"2^31-1 claimed", plain(math.MaxInt32, record(0)), ErrInvalid},
		{"more there than claimed", plain(1, record(0), record(1)), ErrInvalid},
		{"deltas from 1", plain(1, record(1)), ErrInvalid},
		{"a gap", plain(2, record(0), record(2)), ErrInvalid},
		{"the same twice", plain(2, record(0), record(0)), ErrInvalid},
		{"trailing byte", plain(1, record(0), []byte{0}), ErrInvalid},
		{"empty record", plain(1, []byte{0}), ErrInvalid},
		{"negative length", plain(1, []byte{1}), ErrInvalid},
		{"length too small", plain(1, []byte{10, 0, 0, 0, 1, 1, 0}), ErrInvalid},
		{"length too great", plain(1, []byte{14, 0, 0, 0, 1, 1, 0, 0}), ErrInvalid},
		{"key beyond the end", plain(1, []byte{12, 0, 0, 0, 126, 1, 0}), ErrInvalid},
		{"key of length -2", plain(1, []byte{12, 0, 0, 0, 3, 1, 0}), ErrInvalid},
		{"headers -1", plain(1, []byte{12, 0, 0, 0, 1, 1, 1}), ErrInvalid},
		{"headers 63, none there", plain(1, []byte{12, 0, 0, 0, 1, 1, 126}), ErrInvalid},
		{"header key null", plain(1, []byte{16, 0, 0, 0, 1, 1, 2, 1, 1}), ErrInvalid},
		{"endless varint", plain(1, endless), ErrInvalid},
		{"idempotent without sequence", edit(func(b Batch) { clear(b[atProducerID:atBaseSequence]) }), ErrInvalid},
		{"idempotent without epoch", edit(func(b Batch) { clear(b[atProducerID:atProducerEpoch]); clear(b[atBaseSequence:atCount]) }), ErrInvalid},
	} {
		if _, err := Validate(c.b, Limits{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestMarkers(t *testing.T) {
	for _, want := range []Marker{{Commit, 7}, {Abort, 0}} {
		b := NewMarker(5, 2, want, 1234)
		got, ok, err := b.Marker()
		if err != nil || !ok || got != want {
			t.Errorf("%+v came back as %+v, %v, %v", want, got, ok, err)
		}
		if !b.IsControl() || !b.IsTransactional() || b.ProducerID() != 5 || b.ProducerEpoch() != 2 || b.BaseSequence() != NoSequence {
			t.Errorf("marker's header is wrong: %x", []byte(b[:HeaderSize]))
		}
	}
	key := func(version, kind int16) []byte {
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(version)), uint16(kind))
	}
	value := make([]byte, markerValueSize)
	for _, c := range []struct {
		name    string
		r       Record
		ok, bad bool
	}{
		{"later versions with more fields", Record{Key: append(key(1, 1), 9), Value: append([]byte{0, 1}, value...)}, true, false},
		{"leader change", Record{Key: key(0, 2)}, false, false},
		{"short key", Record{Key: key(0, 1)[:3], Value: value}, false, true},
		{"short value", Record{Key: key(0, 1), Value: value[:5]}, false, true},
		{"negative key version", Record{Key: key(-1, 1), Value: value}, false, true},
		{"negative value version", Record{Key: key(0, 1), Value: []byte{0x80, 0, 0, 0, 0, 0}}, false, true},
	} {
		if _, ok, err := ParseMarker(c.r); ok != c.ok || errors.Is(err, ErrInvalid) != c.bad {
			t.Errorf("%s: %v, %v", c.name, ok, err)
		}
	}
	if _, ok, err := buildBatch(None, Record{Key: key(0, 1), Value: value}).Marker(); ok || err != nil {
		t.Errorf("a batch that is no control batch: %v, %v", ok, err)
	}
	b := NewBuilder(None)
	b.SetControl()
	b.SetLastOffsetDelta(0)
	if _, ok, err := b.Build().Marker(); ok || err != nil {
		t.Errorf("an empty control batch: %v, %v", ok, err)
	}
}

func TestCompactedBatch(t *testing.T) {
	b := NewBuilder(Zstd)
	b.AppendAt(Record{OffsetDelta: 3, Value: []byte("a")})
	b.AppendAt(Record{OffsetDelta: 8, Value: []byte("b")})
	b.SetLastOffsetDelta(10)
	batch := b.Build()
	got := collect(t, batch)
	if batch.LastOffset() != 10 || batch.Count() != 2 || len(got) != 2 || got[0].OffsetDelta != 3 || got[1].OffsetDelta != 8 {
		t.Errorf("last offset %d, records %+v", batch.LastOffset(), got)
	}
	if _, _, err := Next(batch); err != nil {
		t.Error(err)
	}
}

func TestEachStops(t *testing.T) {
	b := buildBatch(Gzip, Record{}, Record{}, Record{})
	for _, c := range []struct{ give, want error }{{ErrStop, nil}, {errors.ErrUnsupported, errors.ErrUnsupported}} {
		n := 0
		err := b.Each(Limits{}, func(Record) error { n++; return c.give })
		if n != 1 || err != c.want {
			t.Errorf("%d visits, %v", n, err)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, c := range codecs {
		if back, ok := ParseCodec(c.String()); !ok || back != c {
			t.Errorf("%v came back as %v", c, back)
		}
	}
	if _, ok := ParseCodec("lzma"); ok || Codec(6).Valid() || fmt.Sprint(Codec(6)) != "codec 6" {
		t.Error("an unknown codec is known")
	}
}

func TestValidateDoesNotAllocate(t *testing.T) {
	b := buildBatch(None, Record{Key: []byte("k"), Value: make([]byte, 1000), Headers: []Header{{Key: []byte("h")}}})
	if n := testing.AllocsPerRun(100, func() { _, _ = Validate(b, Limits{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
