package api

import (
	"testing"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestAnsweredRequestsHoldNoFrame: the memory of a request is free once it is answered, also if the client does not read the answer.
func TestAnsweredRequestsHoldNoFrame(t *testing.T) {
	d := newDesk(t)
	d.Leader = func() record.NodeID { return 1 }
	for _, q := range []kmsg.Request{
		kmsg.NewPtrMetadataRequest(), kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrDescribeConfigsRequest(), kmsg.NewPtrDescribeProducersRequest(),
		kmsg.NewPtrFetchRequest(), kmsg.NewPtrListOffsetsRequest(),
	} {
		q.SetVersion(4)
		if max := q.MaxVersion(); max < 4 {
			q.SetVersion(max)
		}
		h := wire.Header{Key: wire.Key(q.Key()), Version: q.GetVersion(), CorrelationID: 7}
		f := &frame{bytes: q.AppendTo(wire.AppendRequestHeader(nil, h)), refs: 1}
		r, err := Decode(f, nil)
		if err != nil {
			t.Fatalf("%T: %v", q, err)
		}
		d.replies = nil
		d.Handle(NewSession(1, env.ConnInfo{}, unread{d}), r.(*Call))
		if f.refs != 0 {
			t.Errorf("%T: %d references when it is answered", q, f.refs)
		}
	}
}

// unread is the network of a client that does not read: what is sent to it stays.
type unread struct{ *desk }

func (unread) Send(env.ConnID, env.Outgoing) {}

// TestFetchOfEverythingThereIsNot: sessions and waiting fetches have as many partitions as there may be, not as a client can think of.
func TestFetchOfEverythingThereIsNot(t *testing.T) {
	d := newDesk(t)
	d.sessions = newFetchSessions(10)
	fetch := func(session, epoch int32, from, n int) *fetchReply {
		q := &wire.FetchRequest{ReplicaID: -1, SessionID: session, SessionEpoch: epoch, Topics: []wire.FetchTopic{{Name: []byte("absent")}}}
		for i := range n {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions, wire.FetchPartition{Index: int32(from + i)})
		}
		d.replies = nil
		d.Handle(NewSession(1, env.ConnInfo{}, d), &Call{Header: wire.Header{Key: wire.Fetch, Version: 12}, Body: q})
		return d.replies[0].(*fetchReply)
	}
	if out := fetch(0, firstInIt, 0, 2*maxUnknown); out.response.Error != wire.InvalidRequest {
		t.Errorf("a request for %d partitions: %v", 2*maxUnknown, out.response.Error)
	}
	out := fetch(0, firstInIt, 0, maxUnknown/2)
	id := out.response.SessionID
	if out.response.Error != wire.None || id == 0 {
		t.Fatalf("a request for %d partitions: %v", maxUnknown/2, out.response.Error)
	}
	if out = fetch(id, 1, maxUnknown/2, maxUnknown/2); out.response.Error != wire.None {
		t.Errorf("as many more: %v", out.response.Error)
	}
	if out = fetch(id, 2, maxUnknown, maxUnknown/2); out.response.Error != wire.FetchSessionIDNotFound || len(d.sessions.sessions) != 0 {
		t.Errorf("as many again: %v, %d sessions", out.response.Error, len(d.sessions.sessions))
	}
}
