package quorum

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"go.etcd.io/raft/v3/raftpb"

	"lignum/core/record"
)

func sending() *Quorum {
	return New(Ports{}, Options{Node: 2, ClusterID: "cluster", Directory: Directory{2}, Address: "b:9093"}, Events{})
}

func someEntries() []*raftpb.Entry {
	return []*raftpb.Entry{
		{Type: raftpb.EntryNormal.Enum(), Index: new(uint64(8)), Term: new(uint64(2)), Data: []byte("data")},
		{Type: raftpb.EntryConfChange.Enum(), Index: new(uint64(9)), Term: new(uint64(3)), Data: someChange().encode()},
		{Type: raftpb.EntryNormal.Enum(), Index: new(uint64(10)), Term: new(uint64(3))},
	}
}

func someChange() confChange {
	return confChange{kind: raftpb.ConfChangeAddLearnerNode, id: 1<<32 | 4, directory: Directory{9}, address: "d:9093"}
}

func someMessages() []*raftpb.Message {
	base := func(t raftpb.MessageType) *raftpb.Message {
		return &raftpb.Message{Type: t.Enum(), To: new(uint64(1)), From: new(uint64(3)), Term: new(uint64(5)), LogTerm: new(uint64(2)),
			Index: new(uint64(7)), Commit: new(uint64(6)), RejectHint: new(uint64(0))}
	}
	app, resp, beat := base(raftpb.MsgApp), base(raftpb.MsgAppResp), base(raftpb.MsgHeartbeat)
	app.Entries = someEntries()
	resp.Reject, resp.RejectHint = new(true), new(uint64(4))
	beat.Context = []byte{1, 2}
	return []*raftpb.Message{app, resp, beat, base(raftpb.MsgTimeoutNow)}
}

func TestMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	p := sending().begin(kindMessages)
	head := len(p)
	for _, m := range someMessages() {
		p = appendMessage(p, m)
	}
	k, from, d := openPayload(p)
	if want := (sender{"cluster", 2, 0, Directory{2}, "b:9093"}); k != kindMessages || from != want {
		t.Errorf("kind %d from %+v", k, from)
	}
	for _, want := range someMessages() {
		if diff := cmp.Diff(want, readMessage(d), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
	whole := appendMessage(nil, someMessages()[0])
	for n := range whole {
		if d := (&decoder{p: whole[:n]}); readMessage(d) != nil && d.err == nil {
			t.Errorf("a message of %d bytes was read", n)
		}
	}
	for n := range head {
		if _, _, d := openPayload(p[:n]); d.err == nil {
			t.Errorf("a payload of %d bytes was opened", n)
		}
	}
}

// A snapshot itself is never sent.
func TestSnapshotIsAMark(t *testing.T) {
	t.Parallel()
	p := appendMessage(nil, &raftpb.Message{Type: raftpb.MsgSnap.Enum(), To: new(uint64(1)), From: new(uint64(2)), Term: new(uint64(9)),
		Snapshot: &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: new(uint64(100)), Term: new(uint64(8))}}})
	if m := readMessage(&decoder{p: p}); m.GetIndex() != 100 || m.GetLogTerm() != 8 || m.Snapshot != nil {
		t.Errorf("%v", m)
	}
}

func TestPullRoundTrip(t *testing.T) {
	t.Parallel()
	want := pull{1, true, 2, 3, 4, 5, 6}
	if got, err := readPull(&decoder{p: want.appendTo(nil)}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	first := someMembers()
	for _, want := range []pulled{
		{serial: 7, leader: NoNode, first: &first},
		{serial: 8, leader: 2, address: "b:9093", epoch: 3, serves: true, entries: someEntries()},
		{leader: record.NodeID(1), snapshot: 9, snapshotTerm: 2, position: 5, length: 10, piece: []byte("12345")},
	} {
		got, err := readPulled(&decoder{p: want.appendTo(nil)})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, protocmp.Transform(), cmp.AllowUnexported(pulled{}, members{}, member{})); d != "" && len(want.piece)+len(got.piece) > 0 {
			t.Error(d)
		}
	}
}

func TestConfChangeRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []confChange{someChange(), {kind: raftpb.ConfChangeRemoveNode, id: 1}} {
		p := want.encode()
		if got, err := decodeConfChange(p); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		for n := range p {
			if c, err := decodeConfChange(p[:n]); err == nil {
				t.Errorf("%x was read as %+v", p[:n], c)
			}
		}
	}
}

// FuzzReceive gives a node what anybody may send: it neither panics nor takes more memory than the payload has.
func FuzzReceive(f *testing.F) {
	q := sending()
	p := q.begin(kindMessages)
	for _, m := range someMessages() {
		p = appendMessage(p, m)
	}
	f.Add(p)
	f.Add(q.begin(kindGreeting))
	f.Add(append(q.begin(kindGreeted), 1))
	f.Add(pull{1, true, 2, 3, 4, 5, 6}.appendTo(q.begin(kindPull)))
	first := someMembers()
	f.Add(pulled{serial: 8, leader: 2, first: &first, entries: someEntries(), snapshot: 9, length: 1, piece: []byte("x")}.appendTo(q.begin(kindPulled)))
	f.Fuzz(func(t *testing.T, p []byte) {
		k, _, d := openPayload(p)
		if d.err != nil {
			return
		}
		body := d.p
		var again []byte
		switch k {
		case kindMessages:
			for len(d.p) > 0 && d.err == nil {
				if m := readMessage(d); d.err == nil && m.GetType() != raftpb.MsgSnap {
					again = appendMessage(again, m)
				} else {
					return
				}
			}
		case kindPull:
			if m, err := readPull(d); err == nil {
				again = m.appendTo(nil)
			}
		case kindPulled:
			if m, err := readPulled(d); err == nil && (len(m.entries) > 0) {
				again = m.appendTo(nil)
			}
		}
		if d.err == nil && again != nil && !bytes.Equal(again, body) {
			t.Errorf("%x was read as %x", body, again)
		}
	})
}

func FuzzDecodeConfChange(f *testing.F) {
	f.Add(someChange().encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		if c, err := decodeConfChange(p); err == nil && !bytes.Equal(c.encode(), p) {
			t.Errorf("%x was read as %+v", p, c)
		}
	})
}
