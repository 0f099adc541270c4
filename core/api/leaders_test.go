package api

import (
	"testing"

	"lignum/core/env"
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
