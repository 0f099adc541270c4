package wire

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// The readers and writers of this package must agree with kmsg byte for byte: kmsg writes a random message, ours reads
// it and writes it again.

type message interface {
	Decode(body []byte, version int16) error
	AppendTo(dst []byte, version int16) []byte
}

// fetchResponse fits FetchResponse to message: the records come along.
type fetchResponse struct{ FetchResponse }

func (f *fetchResponse) AppendTo(dst []byte, version int16) []byte {
	return f.FetchResponse.AppendTo(dst, version, nil)
}

type versioned interface {
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
	SetVersion(int16)
}

var hot = []struct {
	name     string
	theirs   func() versioned
	ours     func() message
	from, to int16
}{
	{"ProduceRequest", func() versioned { return kmsg.NewPtrProduceRequest() }, func() message { return new(ProduceRequest) }, 3, 13},
	{"ProduceResponse", func() versioned { return kmsg.NewPtrProduceResponse() }, func() message { return new(ProduceResponse) }, 3, 13},
	{"FetchRequest", func() versioned { return kmsg.NewPtrFetchRequest() }, func() message { return new(FetchRequest) }, 4, 18},
	{"FetchResponse", func() versioned { return kmsg.NewPtrFetchResponse() }, func() message { return new(fetchResponse) }, 4, 18},
	{"ListOffsetsRequest", func() versioned { return kmsg.NewPtrListOffsetsRequest() }, func() message { return new(ListOffsetsRequest) }, 1, 11},
	{"ListOffsetsResponse", func() versioned { return kmsg.NewPtrListOffsetsResponse() }, func() message { return new(ListOffsetsResponse) }, 1, 11},
	{"MetadataRequest", func() versioned { return kmsg.NewPtrMetadataRequest() }, func() message { return new(MetadataRequest) }, 0, 13},
	{"MetadataResponse", func() versioned { return kmsg.NewPtrMetadataResponse() }, func() message { return new(MetadataResponse) }, 0, 13},
}

func TestEqualToKmsg(t *testing.T) {
	for _, h := range hot {
		for version := h.from; version <= h.to; version++ {
			t.Run(fmt.Sprintf("%s/v%d", h.name, version), rapid.MakeCheck(func(t *rapid.T) {
				theirs := h.theirs()
				fill(t, reflect.ValueOf(theirs).Elem(), version)
				theirs.SetVersion(version)
				settle(theirs, version)
				want := theirs.AppendTo(nil)
				ours := h.ours()
				if err := ours.Decode(want, version); err != nil {
					t.Fatalf("decode: %v\n%x", err, want)
				}
				if got := ours.AppendTo(nil, version); !bytes.Equal(got, want) {
					t.Fatalf("got  %x\nwant %x", got, want)
				}
				for cut := range want {
					if ours.Decode(want[:cut], version) == nil {
						t.Fatalf("accepted the first %d bytes of %x", cut, want)
					}
				}
			}))
		}
	}
}

// TestUnknownTagsAreIgnored: a newer client may send fields that this broker has not heard of.
func TestUnknownTagsAreIgnored(t *testing.T) {
	for _, h := range hot {
		t.Run(h.name, rapid.MakeCheck(func(t *rapid.T) {
			theirs := h.theirs()
			fill(t, reflect.ValueOf(theirs).Elem(), h.to)
			theirs.SetVersion(h.to)
			settle(theirs, h.to)
			want := theirs.AppendTo(nil)
			addTags(reflect.ValueOf(theirs).Elem())
			ours := h.ours()
			if err := ours.Decode(theirs.AppendTo(nil), h.to); err != nil {
				t.Fatal(err)
			}
			if got := ours.AppendTo(nil, h.to); !bytes.Equal(got, want) {
				t.Fatalf("got  %x\nwant %x", got, want)
			}
		}))
	}
}

// TestSchemasFitKmsg: the walk that guards kmsg's readers accepts what kmsg writes, to the last byte, and nothing that
// is cut short.
func TestSchemasFitKmsg(t *testing.T) {
	for i := range known {
		e := known[i]
		if e.flatDecoding {
			continue
		}
		for version := e.Min; version <= e.Max; version++ {
			t.Run(fmt.Sprintf("%s/v%d", e.name, version), rapid.MakeCheck(func(t *rapid.T) {
				r := kmsg.RequestForKey(int16(e.Key))
				fill(t, reflect.ValueOf(r).Elem(), version)
				r.SetVersion(version)
				if rapid.Bool().Draw(t, "tags") && version >= e.flexible {
					addTags(reflect.ValueOf(r).Elem())
				}
				body := r.AppendTo(nil)
				d := reader{src: body, flexible: version >= e.flexible}
				e.forRequest.walk(&d, version)
				if d.failed || len(d.src) != 0 {
					t.Fatalf("failed %v, %d bytes left of %x", d.failed, len(d.src), body)
				}
				for cut := range body {
					if e.forRequest.fits(body[:cut], version, d.flexible) {
						t.Fatalf("accepted the first %d bytes of %x", cut, body)
					}
				}
				h := Header{Key: e.Key, Version: version}
				got, err := DecodeBody(h, body)
				if err != nil {
					t.Fatal(err)
				}
				if again := got.(kmsg.Request).AppendTo(nil); !bytes.Equal(again, body) {
					t.Fatalf("got  %x\nwant %x", again, body)
				}
			}))
		}
	}
}

// kafkaNames are Kafka's names where kmsg has others.
var kafkaNames = map[string]string{
	"InitProducerID": "InitProducerId", "AllocateProducerIDs": "AllocateProducerIds", "AlterPartitionAssignments": "AlterPartitionReassignments",
}

// TestResponseSchemasFitKmsg is TestSchemasFitKmsg for what other nodes answer.
func TestResponseSchemasFitKmsg(t *testing.T) {
	for i := range known {
		e := known[i]
		if responseSchema(e.Key) == nil {
			continue
		}
		for version := e.Min; version <= e.Max; version++ {
			t.Run(fmt.Sprintf("%s/v%d", e.name, version), rapid.MakeCheck(func(t *rapid.T) {
				r := kmsg.ResponseForKey(int16(e.Key))
				fill(t, reflect.ValueOf(r).Elem(), version)
				r.SetVersion(version)
				if rapid.Bool().Draw(t, "tags") && version >= e.flexible {
					addTags(reflect.ValueOf(r).Elem())
				}
				body := r.AppendTo(nil)
				got, err := DecodeResponse(e.Key, version, body)
				if err != nil {
					t.Fatal(err)
				}
				if again := got.AppendTo(nil); !bytes.Equal(again, body) {
					t.Fatalf("got  %x\nwant %x", again, body)
				}
				for cut := range body {
					if _, err := DecodeResponse(e.Key, version, body[:cut]); err != ErrMalformed {
						t.Fatalf("the first %d bytes of %x: %v", cut, body, err)
					}
				}
			}))
		}
	}
}

// TestTableAgainstKmsg holds names, flexible versions and ranges against kmsg.
func TestTableAgainstKmsg(t *testing.T) {
	for i := range known {
		e := known[i]
		if i > 0 && known[i-1].Key >= e.Key {
			t.Errorf("%s is out of order", e.name)
		}
		if e.Key == QuorumMessage {
			continue // Lignum's own
		}
		r := kmsg.RequestForKey(int16(e.Key))
		name := kmsg.NameForKey(int16(e.Key))
		if n := kafkaNames[name]; n != "" {
			name = n
		}
		if r == nil || name != e.name {
			t.Errorf("key %d is %q", e.Key, name)
		}
		if e.Max > r.MaxVersion() || e.Announced > e.Min {
			t.Errorf("%s: versions %d (%d) to %d of %d", e.name, e.Min, e.Announced, e.Max, r.MaxVersion())
		}
		for v := e.Min; v <= e.Max; v++ {
			r.SetVersion(v)
			if r.IsFlexible() != Flexible(e.Key, v) {
				t.Errorf("%s v%d: flexible %v", e.name, v, r.IsFlexible())
			}
		}
	}
}

// fill gives every field of a kmsg structure a random value, tags excepted.
func fill(t *rapid.T, v reflect.Value, version int16) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kmsg.Tags]() {
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i), version)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "null") {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), version)
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		if n == 0 && v.Type() != reflect.TypeFor[[]byte]() && rapid.Bool().Draw(t, "null") {
			v.SetZero()
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), version)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, "byte")))
		}
	case reflect.String:
		v.SetString(rapid.StringN(0, 3, 140).Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Uint16:
		v.SetUint(uint64(rapid.Uint16().Draw(t, "uint16")))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	default:
		panic("kmsg has a " + v.Kind().String())
	}
}

// settle takes out what kmsg would write although its version does not have it, and puts defaults in now and then.
func settle(m versioned, version int16) {
	switch m := m.(type) {
	case *kmsg.FetchRequest:
		if version < 15 || m.MinBytes%2 == 0 {
			m.ReplicaState = kmsg.NewFetchRequestReplicaState()
		}
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				p := &m.Topics[i].Partitions[j]
				if version < 17 {
					p.ReplicaDirectoryID = [16]byte{}
				}
				if version < 18 || p.FetchOffset%2 == 0 {
					p.HighWatermark = math.MaxInt64
				}
			}
		}
	case *kmsg.FetchResponse:
		if version < 16 {
			m.Brokers = nil
		}
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				p := &m.Topics[i].Partitions[j]
				if p.HighWatermark%2 == 0 {
					p.DivergingEpoch = kmsg.NewFetchResponseTopicPartitionDivergingEpoch()
					p.CurrentLeader = kmsg.NewFetchResponseTopicPartitionCurrentLeader()
					p.SnapshotID = kmsg.NewFetchResponseTopicPartitionSnapshotID()
				}
			}
		}
	case *kmsg.ProduceResponse:
		if version < 10 {
			m.Brokers = nil
		}
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				p := &m.Topics[i].Partitions[j]
				if version < 10 || p.BaseOffset%2 == 0 {
					p.CurrentLeader = kmsg.NewProduceResponseTopicPartitionCurrentLeader()
				}
			}
		}
	}
}

// addTags gives every structure two fields that nobody has heard of.
func addTags(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[kmsg.Tags]() {
			tags := v.Addr().Interface().(*kmsg.Tags)
			tags.Set(77, []byte("new"))
			tags.Set(1000, nil)
			return
		}
		for i := range v.NumField() {
			// A structure inside a structure is a tagged field: it is there only if it is not all default.
			if f := v.Field(i); f.Kind() != reflect.Struct || f.Type() == reflect.TypeFor[kmsg.Tags]() {
				addTags(f)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			addTags(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			addTags(v.Index(i))
		}
	}
}
