package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

func TestQuorumMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := QuorumMessageRequest{ClusterID: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "cluster"), Payload: rapid.SliceOf(rapid.Byte()).Draw(t, "payload")}
		body := request.AppendTo(nil, 0)
		got, err := DecodeBody(Header{Key: QuorumMessage}, body)
		if err != nil {
			t.Fatal(err)
		}
		if r := got.(*QuorumMessageRequest); !bytes.Equal(r.ClusterID, request.ClusterID) || !bytes.Equal(r.Payload, request.Payload) {
			t.Fatalf("%+v became %+v", request, r)
		}
		response := QuorumMessageResponse{Error: ErrorCode(rapid.Int16().Draw(t, "error")), Payload: request.Payload}
		answer := response.AppendTo(nil, 0)
		var read QuorumMessageResponse
		if err := read.Decode(answer, 0); err != nil || read.Error != response.Error || !bytes.Equal(read.Payload, response.Payload) {
			t.Fatalf("%+v became %+v: %v", response, read, err)
		}
		for cut := range body {
			if request.Decode(body[:cut], 0) == nil {
				t.Fatalf("accepted the first %d bytes of %x", cut, body)
			}
		}
		for cut := range answer {
			if read.Decode(answer[:cut], 0) == nil {
				t.Fatalf("accepted the first %d bytes of %x", cut, answer)
			}
		}
	})
}

func FuzzQuorumMessage(f *testing.F) {
	f.Add((&QuorumMessageRequest{ClusterID: []byte("4L6g3nShT-eMCtK--X86sw"), Payload: []byte("vote")}).AppendTo(nil, 0))
	f.Add((&QuorumMessageResponse{Error: InconsistentClusterID}).AppendTo(nil, 0))
	f.Add(join([]byte{1}, []byte{0xff, 0xff, 0xff, 0xff, 0x0f}))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := allocated()
		for _, m := range []message{new(QuorumMessageRequest), new(QuorumMessageResponse)} {
			if m.Decode(body, 0) != nil {
				continue
			}
			once := m.AppendTo(nil, 0)
			if err := m.Decode(once, 0); err != nil || !bytes.Equal(m.AppendTo(nil, 0), once) {
				t.Fatalf("%x was written as %x: %v", body, once, err)
			}
		}
		if used := allocated() - before; used > 1<<16+4*uint64(len(body)) {
			t.Fatalf("%d bytes for a body of %d", used, len(body))
		}
	})
}

func TestResponseHeader(t *testing.T) {
	for _, c := range []struct {
		name    string
		frame   []byte
		key     Key
		version int16
		body    string
		err     error
	}{
		{"plain", join(i32(7), []byte("body")), OffsetForLeaderEpoch, 3, "body", nil},
		{"flexible", join(i32(7), []byte{0}, []byte("body")), Fetch, 12, "body", nil},
		{"tags are passed over", join(i32(7), []byte{1, 9, 2, 'x', 'y'}, []byte("body")), QuorumMessage, 0, "body", nil},
		{"ApiVersions has no tags", join(i32(7), []byte("body")), ApiVersions, 4, "body", nil},
		{"cut short", i32(7)[:3], Fetch, 11, "", ErrMalformed},
		{"without its tags", i32(7), Fetch, 12, "", ErrMalformed},
	} {
		id, body, err := DecodeResponseHeader(c.frame, c.key, c.version)
		if err != c.err || err == nil && (id != 7 || string(body) != c.body) {
			t.Errorf("%s: %d %q %v", c.name, id, body, err)
		}
	}
	buf := BeginRequest([]byte("before"), Header{Key: Fetch, Version: 12, CorrelationID: 3, ClientID: []byte("me")})
	buf = append(buf, "body"...)
	EndFrame(buf, len("before"), 0)
	h, body, err := DecodeHeader(buf[len("before")+4:])
	if err != nil || h.CorrelationID != 3 || string(h.ClientID) != "me" || string(body) != "body" || buf[len("before")+3] != byte(len(buf)-len("before")-4) {
		t.Errorf("%+v %q %v in %x", h, body, err, buf)
	}
}

func TestDecodeResponseRefuses(t *testing.T) {
	var u *UnsupportedError
	for _, c := range []struct {
		key     Key
		version int16
	}{{CreateTopics, 7}, {QuorumMessage, 0}, {AlterPartition, 9}, {4711, 0}} {
		if _, err := DecodeResponse(c.key, c.version, nil); !errors.As(err, &u) {
			t.Errorf("%v v%d: %v", c.key, c.version, err)
		}
	}
	before := allocated()
	if _, err := DecodeResponse(AlterPartition, 3, join(i32(0), i16(0), []byte{0xff, 0xff, 0x7f}, make([]byte, 1<<20))); err != ErrMalformed {
		t.Error(err)
	}
	if used := allocated() - before; used > 2<<20+1<<16 {
		t.Errorf("%d bytes", used)
	}
}

func FuzzDecodeNodeResponse(f *testing.F) {
	for i := range known {
		for version := known[i].Min; responseSchema(known[i].Key) != nil && version <= known[i].Max; version++ {
			r := kmsg.ResponseForKey(int16(known[i].Key))
			r.SetVersion(version)
			f.Add(int16(known[i].Key), version, r.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		before := allocated()
		_, err := DecodeResponse(Key(key), version, body)
		if used := allocated() - before; used > 1<<20+400*uint64(len(body)) {
			t.Fatalf("%d bytes for a body of %d: %v", used, len(body), err)
		}
	})
}

// FuzzFollowersFetch holds the reader that a follower uses on its leader's answer against kmsg's, field by field.
func FuzzFollowersFetch(f *testing.F) {
	sample := FetchResponse{SessionID: 7, Topics: []FetchTopicResult{{Name: "orders", ID: [16]byte{1}, Partitions: []FetchResult{
		{Index: 1, HighWatermark: 10, LastStable: 9, LogStart: 1, Preferred: -1, Records: []byte("records"), Diverging: &EpochEnd{3, 4}},
		NewFetchResult(2, NotLeaderOrFollower),
	}}}}
	for version := int16(4); version <= 17; version++ {
		f.Add(version, sample.AppendTo(nil, version, nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		var ours FetchResponse
		if version < 4 || version > 17 || ours.Decode(body, version) != nil {
			return
		}
		theirs := kmsg.NewFetchResponse()
		theirs.SetVersion(version)
		if err := theirs.ReadFrom(body); err != nil {
			t.Fatalf("accepted, and kmsg says %v", err)
		}
		if ours.SessionID != theirs.SessionID || int16(ours.Error) != theirs.ErrorCode || len(ours.Topics) != len(theirs.Topics) {
			t.Fatalf("%+v\n%+v", ours, theirs)
		}
		for i := range ours.Topics {
			a, b := &ours.Topics[i], &theirs.Topics[i]
			if a.Name != b.Topic || a.ID != b.TopicID || len(a.Partitions) != len(b.Partitions) {
				t.Fatalf("%+v\n%+v", a, b)
			}
			for j := range a.Partitions {
				sameResult(t, version, &a.Partitions[j], &b.Partitions[j])
			}
		}
	})
}

func sameResult(t *testing.T, version int16, a *FetchResult, b *kmsg.FetchResponseTopicPartition) {
	t.Helper()
	diverging := EpochEnd{-1, -1}
	if a.Diverging != nil {
		diverging = *a.Diverging
	}
	leader := LeaderAndEpoch{-1, -1}
	if a.Leader != nil {
		leader = *a.Leader
	}
	if a.Index != b.Partition || int16(a.Error) != b.ErrorCode || a.HighWatermark != b.HighWatermark || a.LastStable != b.LastStableOffset ||
		a.LogStart != b.LogStartOffset || a.Preferred != b.PreferredReadReplica || !bytes.Equal(a.Records, b.RecordBatches) ||
		len(a.Aborted) != len(b.AbortedTransactions) || version >= 12 && (diverging != EpochEnd{b.DivergingEpoch.Epoch, b.DivergingEpoch.EndOffset} ||
		leader != LeaderAndEpoch{b.CurrentLeader.LeaderID, b.CurrentLeader.LeaderEpoch}) {
		t.Fatalf("v%d: %+v\n%+v", version, a, b)
	}
}
