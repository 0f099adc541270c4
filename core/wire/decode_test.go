package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestHeader(t *testing.T) {
	client := []byte("kcat")
	for _, c := range []struct {
		name  string
		frame []byte
		want  Header
		body  string
		err   error
	}{
		{"plain", join(i16(0), i16(3), i32(7), i16(4), client, []byte("body")), Header{Produce, 3, 7, client}, "body", nil},
		{"flexible", join(i16(0), i16(9), i32(7), i16(4), client, []byte{0}, []byte("body")), Header{Produce, 9, 7, client}, "body", nil},
		{"tags are passed over", join(i16(0), i16(9), i32(7), i16(4), client, []byte{2, 0, 1, 'x', 9, 0}, []byte("body")), Header{Produce, 9, 7, client}, "body", nil},
		{"null client", join(i16(3), i16(1), i32(-1), i16(-1)), Header{Metadata, 1, -1, nil}, "", nil},
		{"empty client", join(i16(3), i16(1), i32(1), i16(0)), Header{Metadata, 1, 1, []byte{}}, "", nil},
		{"empty frame", nil, Header{}, "", ErrShortHeader},
		{"seven bytes", make([]byte, 7), Header{}, "", ErrShortHeader},
		{"no client", join(i16(3), i16(1), i32(1)), Header{Metadata, 1, 1, nil}, "", ErrMalformed},
		{"client cut short", join(i16(3), i16(1), i32(1), i16(5), client), Header{Metadata, 1, 1, nil}, "", ErrMalformed},
		{"client of length -2", join(i16(3), i16(1), i32(1), i16(-2), client), Header{Metadata, 1, 1, nil}, "", ErrMalformed},
		{"four billion tags", join(i16(0), i16(9), i32(7), i16(4), client, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}), Header{Produce, 9, 7, client}, "", ErrMalformed},
	} {
		h, body, err := DecodeHeader(c.frame)
		if err != c.err || h.Key != c.want.Key || h.Version != c.want.Version || h.CorrelationID != c.want.CorrelationID ||
			!bytes.Equal(h.ClientID, c.want.ClientID) || (h.ClientID == nil) != (c.want.ClientID == nil) || string(body) != c.body {
			t.Errorf("%s: %+v %q %v", c.name, h, body, err)
		}
		if err == nil && len(c.frame) < 20 {
			if again := append(AppendRequestHeader(nil, h), body...); !bytes.Equal(again, c.frame) {
				t.Errorf("%s: written %x, read %x", c.name, again, c.frame)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		key, version int16
		answerable   bool
		message      string
	}{
		{18, 99, true, "version 99 of ApiVersions is not served"},
		{18, -1, true, "version -1 of ApiVersions is not served"},
		{0, 2, false, "version 2 of Produce is not served"},
		{0, 14, false, "version 14 of Produce is not served"},
		{4, 0, false, "request key 4 is not served"},
		{-1, 0, false, "request key -1 is not served"},
		{32767, 0, false, "request key 32767 is not served"},
	} {
		_, _, err := DecodeHeader(join(i16(c.key), i16(c.version), i32(42), []byte("whatever comes then")))
		var u *UnsupportedError
		if !errors.As(err, &u) || u.Header.CorrelationID != 42 || u.Header.Version != c.version || u.Answerable() != c.answerable || err.Error() != c.message {
			t.Errorf("key %d version %d: %v", c.key, c.version, err)
		}
		if _, err := DecodeBody(Header{Key: Key(c.key), Version: c.version}, nil); !errors.As(err, &u) {
			t.Errorf("key %d version %d: body: %v", c.key, c.version, err)
		}
	}
}

func TestResponseFrames(t *testing.T) {
	for _, c := range []struct {
		key     Key
		version int16
		want    []byte
	}{
		{Produce, 8, join(i32(4+2+5), i32(9))},
		{Produce, 9, join(i32(4+1+2+5), i32(9), []byte{0})},
		{ApiVersions, 4, join(i32(4+2+5), i32(9))},
	} {
		buf := BeginResponse([]byte("before"), c.key, c.version, 9)
		buf = append(buf, "xy"...)
		EndFrame(buf, len("before"), 5)
		if want := "before" + string(c.want) + "xy"; string(buf) != want {
			t.Errorf("%v v%d: %x", c.key, c.version, buf)
		}
	}
}

func TestVersions(t *testing.T) {
	if lo, hi, ok := Range(Fetch); lo != 4 || hi != 17 || !ok {
		t.Error(lo, hi, ok)
	}
	if _, _, ok := Range(4); ok {
		t.Error("LeaderAndIsr is served")
	}
	table := Table()
	if len(table) == 0 || table[0] != (VersionRange{Produce, 3, 12, 0}) {
		t.Error(table)
	}
	for i, r := range table {
		if lo, hi, ok := Range(r.Key); lo != r.Min || hi != r.Max || !ok || i > 0 && table[i-1].Key >= r.Key {
			t.Error(r, lo, hi, ok)
		}
	}
	if s := Key(4711).String(); s != "Key(4711)" {
		t.Error(s)
	}
}

// TestAccepts: clients get what is announced, nodes of the cluster also what is theirs, and nobody what nothing answers.
func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		key         Key
		version     int16
		client, own bool
	}{
		{Produce, 3, true, true}, {Produce, 2, false, false}, {Produce, 13, false, false}, {Fetch, 17, true, true},
		{AlterPartition, 3, false, true}, {AlterPartition, 1, false, false}, {Envelope, 0, false, true}, {QuorumMessage, 0, false, true},
		{QuorumMessage, 1, false, false}, {BrokerHeartbeat, 1, false, true}, {4, 0, false, false}, {-1, 0, false, false},
	} {
		if client, own := Accepts(c.key, c.version, false), Accepts(c.key, c.version, true); client != c.client || own != c.own {
			t.Errorf("%v v%d: clients %v, nodes %v", c.key, c.version, client, own)
		}
	}
	for _, e := range known {
		if _, _, ok := Range(e.Key); ok != (e.use == announced) || e.use == unserved && Accepts(e.Key, e.Max, true) {
			t.Errorf("%v is announced %v", e.Key, ok)
		}
	}
}

// TestErrorCodes holds names and retriability against a client's table; where they differ, Apache Kafka decides.
func TestErrorCodes(t *testing.T) {
	renamed := map[string]string{"NOT_LEADER_FOR_PARTITION": "NOT_LEADER_OR_FOLLOWER"}
	kafkaSays := map[ErrorCode]bool{BrokerNotAvailable: false, ConcurrentTransactions: true, ShareSessionNotFound: true, InvalidShareSessionEpoch: true}
	for code := ErrorCode(-1); int(code)+1 < len(codes); code++ {
		if strings.TrimSpace(code.Message()) == "" {
			t.Errorf("%v has no message", code)
		}
		if code == None {
			continue
		}
		k := kerr.TypedErrorForCode(int16(code))
		if k == nil {
			t.Fatalf("no code %d", code)
		}
		name := k.Message
		if n := renamed[name]; n != "" {
			name = n
		}
		retriable, differs := kafkaSays[code]
		if !differs {
			retriable = k.Retriable
		}
		if code.String() != name || code.Retriable() != retriable {
			t.Errorf("%d is %v, retriable %v; want %s, %v", code, code, code.Retriable(), name, retriable)
		}
	}
	for _, unknown := range []ErrorCode{-2, -32768, 137, 32767} {
		if unknown.String() != "UNKNOWN_SERVER_ERROR" {
			t.Error(unknown)
		}
	}
}

// TestLiesCostNothing: a few bytes that claim millions of elements are refused before anything is made for them.
func TestLiesCostNothing(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x07}
	tags := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for _, c := range []struct {
		name    string
		key     Key
		version int16
		body    []byte
	}{
		{"produce topics", Produce, 3, join(i16(-1), i16(1), i32(1), i32(1<<31-1), make([]byte, 100))},
		{"produce topics, compact", Produce, 9, join([]byte{0}, i16(1), i32(1), huge, make([]byte, 100))},
		{"produce partitions", Produce, 3, join(i16(-1), i16(1), i32(1), i32(1), i16(1), []byte("t"), i32(1<<30), make([]byte, 100))},
		{"produce records", Produce, 3, join(i16(-1), i16(1), i32(1), i32(1), i16(1), []byte("t"), i32(1), i32(0), i32(1<<30), make([]byte, 100))},
		{"produce topics, negative", Produce, 3, join(i16(-1), i16(1), i32(1), i32(-2))},
		{"produce topics, null", Produce, 3, join(i16(-1), i16(1), i32(1), i32(-1))},
		{"fetch topics", Fetch, 4, join(make([]byte, 17), i32(1<<30), make([]byte, 100))},
		{"fetch tags", Fetch, 12, join(make([]byte, 4*6+1), []byte{1, 1, 1}, tags)},
		{"metadata topics", Metadata, 1, join(i32(1<<30), make([]byte, 100))},
		{"metadata, all topics from a null list in version 0", Metadata, 0, i32(-1)},
		{"create topics", CreateTopics, 2, join(i32(1<<30), make([]byte, 100))},
		{"create topics that are there only by count", CreateTopics, 2, join(i32(4000), make([]byte, 5000))},
		{"create topics tags", CreateTopics, 5, join([]byte{1}, i32(0), []byte{0}, tags)},
		{"api versions tags", ApiVersions, 3, join([]byte{1, 1}, tags)},
		{"api versions null name", ApiVersions, 3, []byte{0, 1, 0}},
		{"delete topics names", DeleteTopics, 1, join(i32(1<<31-1), make([]byte, 100))},
		{"describe configs names", DescribeConfigs, 1, join(i32(1), []byte{2}, i16(0), i32(1<<31-1), make([]byte, 100))},
		{"log dirs partitions", DescribeLogDirs, 1, join(i32(1), i16(0), i32(1<<29), make([]byte, 100))},
		{"empty", IncrementalAlterConfigs, 0, nil},
	} {
		before, start := allocated(), time.Now()
		got, err := DecodeBody(Header{Key: c.key, Version: c.version}, c.body)
		if used := allocated() - before; used > 1<<16 || time.Since(start) > time.Second {
			t.Errorf("%s: %d bytes, %v", c.name, used, time.Since(start))
		}
		if err != ErrMalformed {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// TestElementsAreBounded: elements that are really there still cost more memory than bytes, so their number has an end.
func TestElementsAreBounded(t *testing.T) {
	body := func(n int) []byte { return join(i32(int32(n)), make([]byte, 2*n)) }
	if _, err := DecodeBody(Header{Key: Metadata, Version: 1}, body(1000)); err != nil {
		t.Error(err)
	}
	tooMany := body(maxElements + 1)
	before := allocated()
	if _, err := DecodeBody(Header{Key: Metadata, Version: 1}, tooMany); err != ErrMalformed {
		t.Error(err)
	}
	if used := allocated() - before; used > 1<<16 {
		t.Errorf("%d bytes", used)
	}
}

// TestOneAllocation: the usual requests cost one allocation, the request itself.
func TestOneAllocation(t *testing.T) {
	for _, h := range hot {
		if !strings.HasSuffix(h.name, "Request") {
			continue
		}
		key := Key(h.theirs().(kmsg.Request).Key())
		for _, version := range []int16{h.from, min(h.to, known[key].Max)} {
			body := usual(key, version)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := DecodeBody(Header{Key: key, Version: version}, body); err != nil {
					t.Fatal(err)
				}
			}); n > 1 {
				t.Errorf("%s v%d: %v allocations", h.name, version, n)
			}
		}
	}
}

// usual is a body with one topic and one partition.
func usual(k Key, version int16) []byte {
	name := []byte("orders")
	switch k {
	case Produce:
		r := ProduceRequest{Acks: -1, Topics: []ProduceTopic{{Name: name, Partitions: []ProducePartition{{Records: make([]byte, 1000)}}}}}
		return r.AppendTo(nil, version)
	case Fetch:
		r := FetchRequest{ReplicaID: -1, Topics: []FetchTopic{{Name: name, Partitions: []FetchPartition{{FetchOffset: 1}}}}}
		return r.AppendTo(nil, version)
	case ListOffsets:
		r := ListOffsetsRequest{Topics: []ListOffsetsTopic{{Name: name, Partitions: []ListOffsetsPartition{{Timestamp: -1}}}}}
		return r.AppendTo(nil, version)
	}
	r := MetadataRequest{Topics: []MetadataTopic{{Name: name}}}
	return r.AppendTo(nil, version)
}

func BenchmarkDecode(b *testing.B) {
	for _, k := range []Key{Produce, Fetch, ListOffsets, Metadata} {
		h := Header{Key: k, Version: known[k].Max}
		frame := append(AppendRequestHeader(nil, h), usual(k, h.Version)...)
		b.Run(k.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, body, _ := DecodeHeader(frame)
				if _, err := DecodeBody(h, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(join(i16(0), i16(9), i32(7), i16(4), []byte("kcat"), []byte{2, 0, 1, 'x', 9, 0}, []byte("body")))
	f.Add(join(i16(18), i16(4), i32(7), i16(-1), []byte{0}))
	f.Add(join(i16(3), i16(1), i32(7), i16(-1)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := DecodeHeader(frame)
		if err != nil {
			return
		}
		again, rest, err := DecodeHeader(append(AppendRequestHeader(nil, h), body...))
		if err != nil || again.Key != h.Key || !bytes.Equal(again.ClientID, h.ClientID) || !bytes.Equal(rest, body) {
			t.Fatalf("%+v %x became %+v %x: %v", h, body, again, rest, err)
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	f.Add(int16(QuorumMessage), int16(0), (&QuorumMessageRequest{ClusterID: []byte("id"), Payload: []byte("payload")}).AppendTo(nil, 0))
	for _, k := range []Key{Produce, Fetch, ListOffsets, Metadata} {
		for version := known[k].Min; version <= known[k].Max; version++ {
			f.Add(int16(k), version, usual(k, version))
		}
	}
	for _, e := range known {
		for version := e.Min; version <= e.Max; version++ {
			if r := kmsg.RequestForKey(int16(e.Key)); r != nil {
				r.SetVersion(version)
				f.Add(int16(e.Key), version, r.AppendTo(nil))
			}
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		before := allocated()
		got, err := DecodeBody(Header{Key: Key(key), Version: version}, body)
		if used := allocated() - before; used > 1<<20+400*uint64(len(body)) {
			t.Fatalf("%d bytes for a body of %d", used, len(body))
		}
		if err != nil {
			return
		}
		if theirs := kmsg.RequestForKey(key); theirs != nil {
			theirs.SetVersion(version)
			if err := theirs.ReadFrom(body); err != nil {
				t.Fatalf("accepted, and kmsg says %v", err)
			}
		}
		ours, ok := got.(message)
		if !ok {
			return
		}
		once := ours.AppendTo(nil, version)
		if err := ours.Decode(once, version); err != nil {
			t.Fatalf("%x was written as %x: %v", body, once, err)
		}
		if twice := ours.AppendTo(nil, version); !bytes.Equal(once, twice) {
			t.Fatalf("%x, then %x", once, twice)
		}
	})
}

// FuzzDecodeResponse covers the readers that a follower uses on what a leader sent.
func FuzzDecodeResponse(f *testing.F) {
	for i, h := range hot {
		for version := h.from; version <= h.to; version++ {
			m := h.theirs()
			m.SetVersion(version)
			f.Add(byte(i), version, m.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, version int16, body []byte) {
		h := hot[int(which)%len(hot)]
		if version < h.from || version > h.to {
			return
		}
		before := allocated()
		m := h.ours()
		err := m.Decode(body, version)
		if used := allocated() - before; used > 1<<20+400*uint64(len(body)) {
			t.Fatalf("%d bytes for a body of %d", used, len(body))
		}
		if err != nil {
			return
		}
		once := m.AppendTo(nil, version)
		if err := m.Decode(once, version); err != nil {
			t.Fatalf("%x was written as %x: %v", body, once, err)
		}
	})
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func i16(v int16) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func i32(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
