package broker_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"lignum/core/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestProducedIsRead follows records through every kind of acknowledgement, and through a power cut.
func TestProducedIsRead(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 2)
	for i, acks := range []int16{1, -1, -1} {
		if p := r.produce("t", 1, acks, batch(fmt.Sprint("v", i))); p.ErrorCode != 0 || p.BaseOffset != int64(i) {
			t.Fatalf("append %d: error %d, offset %d", i, p.ErrorCode, p.BaseOffset)
		}
	}
	r.send(produceRequest("t", 1, 0, batch("v3")), 12)
	if p := r.produce("t", 1, -1, batch("v4")); p.BaseOffset != 4 {
		t.Fatalf("behind acks=0 comes offset %d", p.BaseOffset)
	}
	want := []string{"v0", "v1", "v2", "v3", "v4"}
	if diff := cmp.Diff(want, r.read("t", 1, 0)); diff != "" {
		t.Error(diff)
	}
	r.host.Power()
	r.start()
	if diff := cmp.Diff(want, r.read("t", 1, 0)); diff != "" {
		t.Error("after the power cut: ", diff)
	}
	if p := r.produce("t", 1, -1, batch("v5")); p.BaseOffset != 5 {
		t.Errorf("the log goes on at %d", p.BaseOffset)
	}
}

// TestAnswersKeepTheOrderOfTheirRequests: a fetch that waits holds up what was asked behind it on the same connection (X2).
func TestAnswersKeepTheOrderOfTheirRequests(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 1)
	first := r.next + 1
	r.send(fetchRequest("t", 0, 0), 12)
	r.send(kmsg.NewPtrMetadataRequest(), 9)
	r.send(produceRequest("t", 0, -1, batch("x")), 12)
	r.until(func() bool { return len(r.answers) == 3 })
	for i, p := range r.answers {
		if correlation(p) != first+int32(i) {
			t.Errorf("answer %d is to request %d, want %d", i, correlation(p), first+int32(i))
		}
	}
	out := take[*kmsg.FetchResponse](r, kmsg.NewPtrFetchRequest(), 12)
	if n := len(out.Topics[0].Partitions[0].RecordBatches); n == 0 {
		t.Error("the fetch did not see what was produced behind it")
	}
}

// TestParkedFetchEnds: at its time with nothing, and with its connection.
func TestParkedFetchEnds(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 1)
	began := r.world.Now()
	if got := r.read("t", 0, 0); got != nil {
		t.Errorf("read %v from an empty partition", got)
	}
	if waited := r.world.Now().Sub(began); waited < time.Second {
		t.Errorf("waited %v, want the second that was asked for", waited)
	}
	q := fetchRequest("t", 0, 0)
	q.MaxWaitMillis = 1 << 30
	r.send(q, 12)
	r.world.Run(r.world.Now().Add(time.Second))
	r.conn.Break()
	r.until(func() bool { return r.gone })
	r.world.Run(r.world.Now().Add(time.Second))
	if buffers, bytes := r.host.Memory().Held(); bytes > 4<<20 {
		t.Errorf("%d buffers, %d bytes are still held", buffers, bytes)
	}
}

// TestFetchSession: after the first answer only news is told (KIP-227).
func TestFetchSession(t *testing.T) {
	r := newRig(t, nil)
	r.create("a", 1)
	r.create("b", 1)
	q := fetchRequest("a", 0, 0)
	q.Topics = append(q.Topics, fetchRequest("b", 0, 0).Topics...)
	q.SessionEpoch, q.MaxWaitMillis = 0, 0
	out := ask[*kmsg.FetchResponse](r, q, 12)
	if out.SessionID == 0 || len(out.Topics) != 2 {
		t.Fatalf("session %d, %d topics", out.SessionID, len(out.Topics))
	}
	again := func(epoch int32, change func(*kmsg.FetchRequest)) *kmsg.FetchResponse {
		q := fetchRequest("a", 0, 0)
		q.Topics, q.MaxWaitMillis = nil, 0
		q.SessionID, q.SessionEpoch = out.SessionID, epoch
		if change != nil {
			change(q)
		}
		return ask[*kmsg.FetchResponse](r, q, 12)
	}
	if o := again(1, nil); o.ErrorCode != 0 || len(o.Topics) != 0 {
		t.Errorf("nothing is new: error %d, %d topics", o.ErrorCode, len(o.Topics))
	}
	r.produce("b", 0, -1, batch("x"))
	if o := again(2, nil); len(o.Topics) != 1 || o.Topics[0].Topic != "b" || len(o.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("want the news of b, got %d topics", len(o.Topics))
	}
	if o := again(9, nil); o.ErrorCode != int16(wire.InvalidFetchSessionEpoch) {
		t.Errorf("epoch 9: error %d", o.ErrorCode)
	}
	forget := func(q *kmsg.FetchRequest) {
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = "b", []int32{0}
		q.ForgottenTopics = append(q.ForgottenTopics, f)
	}
	r.produce("b", 0, -1, batch("y"))
	if o := again(3, forget); len(o.Topics) != 0 {
		t.Errorf("b was forgotten, got %d topics", len(o.Topics))
	}
	out.SessionID++
	if o := again(4, nil); o.ErrorCode != int16(wire.FetchSessionIDNotFound) {
		t.Errorf("unknown session: error %d", o.ErrorCode)
	}
}

// TestRefusals are what a producer and a reader are told of their mistakes.
func TestRefusals(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 1, "max.message.bytes", "200")
	r.create("compact", 1, "cleanup.policy", "compact")
	good := batch("x")
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	old := bytes.Clone(good)
	old[16] = 1
	for _, c := range []struct {
		what    string
		topic   string
		records []byte
		acks    int16
		want    wire.ErrorCode
	}{
		{"damaged batch", "t", flipped, -1, wire.CorruptMessage},
		{"old format", "t", old, -1, wire.UnsupportedForMessageFormat},
		{"two batches", "t", slices.Concat(good, good), -1, wire.InvalidRecord},
		{"no batch", "t", nil, -1, wire.InvalidRecord},
		{"too large", "t", batch(string(make([]byte, 300))), -1, wire.MessageTooLarge},
		{"unknown topic", "nope", good, -1, wire.UnknownTopicOrPartition},
		{"strange acks", "t", good, 2, wire.InvalidRequiredAcks},
		{"none of these", "t", good, -1, wire.None},
	} {
		if p := r.produce(c.topic, 0, c.acks, c.records); p.ErrorCode != int16(c.want) {
			t.Errorf("%s: error %v, want %v", c.what, wire.ErrorCode(p.ErrorCode), c.want)
		}
	}
	for offset, want := range map[int64]wire.ErrorCode{0: wire.None, 1: wire.None, 2: wire.OffsetOutOfRange, -5: wire.OffsetOutOfRange} {
		q := fetchRequest("t", 0, offset)
		q.MaxWaitMillis = 0
		if p := ask[*kmsg.FetchResponse](r, q, 12).Topics[0].Partitions[0]; p.ErrorCode != int16(want) {
			t.Errorf("fetch at %d: error %v, want %v", offset, wire.ErrorCode(p.ErrorCode), want)
		}
	}
	q := fetchRequest("t", 0, 0)
	q.Topics[0].Partitions[0].CurrentLeaderEpoch = 7
	if p := ask[*kmsg.FetchResponse](r, q, 12).Topics[0].Partitions[0]; p.ErrorCode != int16(wire.UnknownLeaderEpoch) {
		t.Errorf("fetch in epoch 7: error %v", wire.ErrorCode(p.ErrorCode))
	}
}

// TestFailedProduceWithoutAcksClosesTheConnection, for there is no reply to carry the error.
func TestFailedProduceWithoutAcksClosesTheConnection(t *testing.T) {
	r := newRig(t, nil)
	r.send(produceRequest("nope", 0, 0, batch("x")), 12)
	r.until(func() bool { return r.gone })
}

// TestUnknownVersionsOfApiVersions are answered in the layout of version 0, with the table.
func TestUnknownVersionsOfApiVersions(t *testing.T) {
	r := newRig(t, nil)
	r.dial()
	r.next++
	r.conn.Send([]byte{0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff})
	r.until(func() bool { return len(r.answers) > 0 || r.gone })
	out := take[*kmsg.ApiVersionsResponse](r, kmsg.NewPtrApiVersionsRequest(), 0)
	if out.ErrorCode != int16(wire.UnsupportedVersion) || len(out.ApiKeys) != len(wire.Table()) {
		t.Errorf("error %d, %d keys", out.ErrorCode, len(out.ApiKeys))
	}
}

// TestTopicComesBackAsAnother: a topic of the same name has another id and none of the old records, also after a restart.
func TestTopicComesBackAsAnother(t *testing.T) {
	r := newRig(t, nil)
	id := func() [16]byte {
		q := kmsg.NewPtrMetadataRequest()
		m := kmsg.NewMetadataRequestTopic()
		name := "t"
		m.Topic = &name
		q.Topics = append(q.Topics, m)
		return ask[*kmsg.MetadataResponse](r, q, 12).Topics[0].TopicID
	}
	r.create("t", 1)
	r.produce("t", 0, -1, batch("old"))
	old := id()
	q := kmsg.NewPtrDeleteTopicsRequest()
	d := kmsg.NewDeleteTopicsRequestTopic()
	name := "t"
	d.Topic = &name
	q.Topics = append(q.Topics, d)
	if out := ask[*kmsg.DeleteTopicsResponse](r, q, 6); out.Topics[0].ErrorCode != 0 {
		t.Fatalf("delete: error %d", out.Topics[0].ErrorCode)
	}
	r.create("t", 1)
	if id() == old {
		t.Error("the new topic has the old one's id")
	}
	r.produce("t", 0, -1, batch("new"))
	r.host.Kill()
	r.start()
	if diff := cmp.Diff([]string{"new"}, r.read("t", 0, 0)); diff != "" {
		t.Error(diff)
	}
	f := fetchRequest("t", 0, 0)
	f.Topics[0].TopicID = old
	if p := ask[*kmsg.FetchResponse](r, f, 13).Topics[0].Partitions[0]; p.ErrorCode != int16(wire.UnknownTopicID) {
		t.Errorf("fetch by the old id: error %v", wire.ErrorCode(p.ErrorCode))
	}
}

// TestProducerIDsAreNeverGivenTwice, whatever ends the process (M8).
func TestProducerIDsAreNeverGivenTwice(t *testing.T) {
	r := newRig(t, nil)
	seen := map[int64]bool{}
	for life := range 4 {
		for range 3 {
			q := kmsg.NewPtrInitProducerIDRequest()
			q.ProducerID, q.ProducerEpoch = -1, -1
			out := ask[*kmsg.InitProducerIDResponse](r, q, 4)
			if out.ErrorCode != 0 || seen[out.ProducerID] {
				t.Fatalf("life %d: error %d, id %d, seen before: %t", life, out.ErrorCode, out.ProducerID, seen[out.ProducerID])
			}
			seen[out.ProducerID] = true
		}
		r.host.Power()
		r.start()
	}
}

// TestCleanStop: everything that was acknowledged is there after a stop in order, and the next start knows that it was one.
func TestCleanStop(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 1)
	r.produce("t", 0, 1, batch("x"))
	stopped := false
	r.world.After(0, func() {
		r.node.Shutdown(func(err error) {
			stopped = true
			if err != nil {
				t.Error(err)
			}
		})
	})
	r.until(func() bool { return stopped })
	r.host.Power()
	r.start()
	if diff := cmp.Diff([]string{"x"}, r.read("t", 0, 0)); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(r.logged, "logs are open"+fmt.Sprint("logs", 2, "clean", true)) {
		t.Errorf("the start was not taken for a clean one: %q", r.logged)
	}
}

// TestDeletedBeforeAKill: a topic that was deleted just before the process died does not stand in the way of a new one of its name, whatever
// part of the deletion has reached the disk.
func TestDeletedBeforeAKill(t *testing.T) {
	for calls := uint64(1); calls < 40; calls++ {
		r := newRig(t, nil)
		r.create("t", 1)
		r.produce("t", 0, -1, batch("old"))
		q := kmsg.NewPtrDeleteTopicsRequest()
		d := kmsg.NewDeleteTopicsRequestTopic()
		name := "t"
		d.Topic = &name
		q.Topics = append(q.Topics, d)
		r.host.KillAt(calls)
		r.send(q, 6)
		r.world.Run(r.world.Now().Add(time.Second))
		if r.host.Running() {
			r.host.Kill()
		}
		r.start()
		m := kmsg.NewPtrMetadataRequest()
		if out := ask[*kmsg.MetadataResponse](r, m, 9); len(out.Topics) == 0 {
			r.create("t", 1)
			if got := r.read("t", 0, 0); got != nil {
				t.Errorf("killed at call %d: the new topic has %v", calls, got)
			}
		} else if got := r.read("t", 0, 0); !slices.Equal(got, []string{"old"}) {
			t.Errorf("killed at call %d: the topic that was not deleted has %v", calls, got)
		}
	}
}
