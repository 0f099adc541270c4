package api

import (
	"testing"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestPartitionsOfOthers: a broker without a replica of a partition that the cluster has, since a reassignment, say, is the wrong one to ask, and tells who leads. Clients that
// hear of an unknown topic id take the topic for another one and give it up.
func TestPartitionsOfOthers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Full = func() bool { return false }
	topic := d.Image.Topic("t")
	leader := topic.Partitions[0].Leader
	ask := func(version int16, key wire.Key, body any) any {
		d.replies = nil
		d.Handle(NewSession(1, env.ConnInfo{}, d), &Call{Header: wire.Header{Key: key, Version: version}, Body: body})
		if len(d.replies) != 1 {
			t.Fatalf("%d answers to a request of key %d", len(d.replies), key)
		}
		return d.replies[0]
	}
	for _, c := range []struct {
		name  string
		index int32
		want  wire.ErrorCode
	}{{"t", 0, wire.NotLeaderOrFollower}, {"t", 1, wire.UnknownTopicOrPartition}, {"t", -1, wire.UnknownTopicOrPartition}, {"nil", 0, wire.UnknownTopicOrPartition}} {
		fetched := func(version int16, topic wire.FetchTopic) wire.FetchResult {
			topic.Partitions = []wire.FetchPartition{{Index: c.index, LeaderEpoch: -1, LastFetchedEpoch: -1}}
			r := ask(version, wire.Fetch, &wire.FetchRequest{ReplicaID: -1, SessionEpoch: sessionless, Topics: []wire.FetchTopic{topic}})
			return r.(*fetchReply).response.Topics[0].Partitions[0]
		}
		byName, id := fetched(12, wire.FetchTopic{Name: []byte(c.name)}), wire.FetchTopic{ID: topic.ID}
		wantID := c.want
		if c.name != "t" {
			id.ID, wantID = record.TopicID{99}, wire.UnknownTopicID
		}
		byID := fetched(16, id)
		if byName.Error != c.want || byID.Error != wantID {
			t.Errorf("%s-%d: fetch by name %v, by id %v, want %v and %v", c.name, c.index, byName.Error, byID.Error, c.want, wantID)
		}
		if hinted := byID.Leader != nil && byID.Leader.ID == int32(leader); hinted != (c.want == wire.NotLeaderOrFollower) {
			t.Errorf("%s-%d: fetch: the leader is said to be %v", c.name, c.index, byID.Leader)
		}
		listed := ask(7, wire.ListOffsets, &wire.ListOffsetsRequest{Topics: []wire.ListOffsetsTopic{{
			Name: []byte(c.name), Partitions: []wire.ListOffsetsPartition{{Index: c.index, LeaderEpoch: -1, Timestamp: -1}},
		}}}).(*wire.ListOffsetsResponse)
		if got := listed.Topics[0].Partitions[0].Error; got != c.want {
			t.Errorf("%s-%d: list offsets: %v, want %v", c.name, c.index, got, c.want)
		}
		d.replies = nil
		d.Handle(NewSession(1, env.ConnInfo{}, d), producing(t, c.name, c.index))
		produced := d.replies[0].(*wire.ProduceResponse).Topics[0].Partitions[0]
		if hinted := produced.Leader != nil && produced.Leader.ID == int32(leader); produced.Error != c.want || hinted != (c.want == wire.NotLeaderOrFollower) {
			t.Errorf("%s-%d: produce: %v, want %v, leader %v", c.name, c.index, produced.Error, c.want, produced.Leader)
		}
	}
}

// producing is a request with one record.
func producing(t *testing.T, topic string, index int32) *Call {
	t.Helper()
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = 10, -1
	to, part := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	to.Topic, part.Partition, part.Records = topic, index, testBatch(record.None, "a")
	to.Partitions = append(to.Partitions, part)
	q.Topics = append(q.Topics, to)
	bytes := q.AppendTo(wire.AppendRequestHeader(nil, wire.Header{Key: wire.Produce, Version: q.Version}))
	r, err := Decode(&frame{bytes: bytes, refs: 1}, record.NewReader(record.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	return r.(*Call)
}

// TestCutShortWhenWoken: a fetch is woken and finds nothing, and in the same drain it is cut short, since the follower's next request is there, which is answered behind it. It
// does not wait on.
func TestCutShortWhenWoken(t *testing.T) {
	d := newStuck(t)
	d.Config().FetchMaxBytes = 1 << 20
	s := NewSession(1, env.ConnInfo{}, d)
	d.Handle(s, &Call{Header: wire.Header{Key: wire.Fetch, Version: 12}, Body: &wire.FetchRequest{
		ReplicaID: -1, SessionEpoch: sessionless, MaxWaitMillis: 500, MinBytes: 1, MaxBytes: 1 << 20,
		Topics: []wire.FetchTopic{{Name: []byte("t"), Partitions: []wire.FetchPartition{{LeaderEpoch: -1, LastFetchedEpoch: -1, MaxBytes: 1 << 20}}}},
	}})
	elected := func(epoch record.Epoch) {
		d.p.Follow(partition.State{Leader: 1, LeaderEpoch: epoch, PartitionEpoch: int32(epoch), Replicas: []record.NodeID{1}, ISR: []record.NodeID{1}})
	}
	if elected(1); len(d.parked.woken) != 1 {
		t.Fatal("it is not woken")
	}
	if d.EndDrain(); d.Parked() != 1 || s.Pending() != 1 {
		t.Fatalf("%d fetches wait, %d calls are open", d.Parked(), s.Pending())
	}
	elected(2)
	s.Cancel()
	if d.EndDrain(); d.Parked() != 0 || s.Pending() != 0 || d.timers.Len() != 0 {
		t.Errorf("cut short: %d fetches wait, %d calls are open, %d timers are set", d.Parked(), s.Pending(), d.timers.Len())
	}
}

// TestGroupsWithoutAName: offsets are committed for them, as Apache Kafka does; nobody can be a member of one.
func TestGroupsWithoutAName(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := NewSession(1, env.ConnInfo{}, d)
	commit := kmsg.NewPtrOffsetCommitRequest()
	topic, part := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	topic.Topic = "t"
	topic.Partitions = append(topic.Partitions, part)
	commit.Version, commit.Generation, commit.Topics = 8, -1, append(commit.Topics, topic)
	d.Handle(s, &Call{Header: wire.Header{Key: wire.OffsetCommit, Version: 8}, Body: commit})
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Version = 4
	d.Handle(s, &Call{Header: wire.Header{Key: wire.Heartbeat, Version: 4}, Body: beat})
	// This broker is nobody's coordinator.
	if code := wire.ErrorCode(d.replies[0].(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode); code != wire.CoordinatorNotAvailable {
		t.Errorf("commit: %v", code)
	}
	if code := wire.ErrorCode(d.replies[1].(*kmsg.HeartbeatResponse).ErrorCode); code != wire.InvalidGroupID {
		t.Errorf("heartbeat: %v", code)
	}
}
