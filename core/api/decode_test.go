package api

import (
	"bytes"
	"testing"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// frame is a buffer that counts its references.
type frame struct {
	bytes []byte
	refs  int
}

func (f *frame) Bytes() []byte { return f.bytes }
func (f *frame) Retain()       { f.refs++ }
func (f *frame) Release()      { f.refs-- }

// produceFrame is a produce request for one partition.
func produceFrame(version int16, records []byte) []byte {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = version, -1
	t := kmsg.NewProduceRequestTopic()
	t.Topic = "t"
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q.AppendTo(wire.AppendRequestHeader(nil, wire.Header{Key: wire.Produce, Version: version}))
}

func testBatch(c record.Codec, values ...string) record.Batch {
	b := record.NewBuilder(c)
	for _, v := range values {
		b.Append(record.Record{Timestamp: 5, Value: []byte(v)})
	}
	return b.Build()
}

// TestVerdicts: what the edge finds wrong with records, and that the frame is given back once.
func TestVerdicts(t *testing.T) {
	good := testBatch(record.None, "a", "b")
	late := bytes.Clone(good)
	record.Batch(late).SetMaxTimestamp(99)
	counted := bytes.Clone(good)
	counted[60] = 3
	for _, c := range []struct {
		what    string
		version int16
		records []byte
		want    wire.ErrorCode
	}{
		{"good", 9, good, wire.None},
		{"header claims a later timestamp", 9, late, wire.None},
		{"zstd before its version", 6, testBatch(record.Zstd, "a"), wire.UnsupportedCompressionType},
		{"zstd", 7, testBatch(record.Zstd, "a"), wire.None},
		{"null", 9, nil, wire.InvalidRecord},
		{"cut short", 9, good[:len(good)-1], wire.CorruptMessage},
		{"lying count", 9, counted, wire.CorruptMessage},
	} {
		f := &frame{bytes: produceFrame(c.version, c.records), refs: 1}
		r, err := Decode(f, record.NewReader(record.Limits{}))
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		v := r.(*Call).batches[0]
		if v.code != c.want {
			t.Errorf("%s: %v (%s), want %v", c.what, v.code, v.message, c.want)
		}
		if v.code == wire.None && v.batch.MaxTimestamp() != 5 {
			t.Errorf("%s: the header's greatest timestamp is %d, the records' is 5", c.what, v.batch.MaxTimestamp())
		}
		r.Release()
		r.Release()
		if f.refs != 0 {
			t.Errorf("%s: %d references are left", c.what, f.refs)
		}
	}
}

// TestBombIsRefused: a few bytes that unfold to more than is allowed cost an error.
func TestBombIsRefused(t *testing.T) {
	bomb := testBatch(record.Zstd, string(make([]byte, 4<<20)))
	f := &frame{bytes: produceFrame(9, bomb), refs: 1}
	r, err := Decode(f, record.NewReader(record.Limits{MaxUncompressed: 1 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	if v := r.(*Call).batches[0]; v.code != wire.MessageTooLarge {
		t.Errorf("%d bytes that unfold to 4 MiB: %v", len(bomb), v.code)
	}
}

// FuzzDecode: no frame, however hostile, does more than be refused.
func FuzzDecode(f *testing.F) {
	f.Add(produceFrame(9, testBatch(record.None, "a", "b")))
	f.Add(produceFrame(9, testBatch(record.LZ4, "a", "b")))
	f.Add([]byte{0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff})
	reader := record.NewReader(record.Limits{MaxUncompressed: 1 << 20})
	f.Fuzz(func(t *testing.T, p []byte) {
		b := &frame{bytes: p, refs: 1}
		r, err := Decode(b, reader)
		if err != nil {
			if b.refs != 1 {
				t.Fatal("a frame that was refused is the caller's")
			}
			return
		}
		var _ env.Request = r
		if c := r.(*Call); c.Body == nil && c.Header.Key != wire.ApiVersions {
			t.Fatalf("key %v has no body", c.Header.Key)
		}
		r.Release()
	})
}
