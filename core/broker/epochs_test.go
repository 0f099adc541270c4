package broker_test

import (
	"testing"

	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestLeaderEpochsAreCompared: whoever believes in an earlier leader epoch, or knows of a later one, is told so and nothing else (F6, KIP-320).
func TestLeaderEpochsAreCompared(t *testing.T) {
	r := newRig(t, nil)
	r.create("t", 1)
	r.produce("t", 0, -1, batch("x"))
	r.host.Power()
	r.start() // which begins leader epoch 1
	for epoch, want := range map[int32]wire.ErrorCode{-1: wire.None, 0: wire.FencedLeaderEpoch, 1: wire.None, 2: wire.UnknownLeaderEpoch} {
		fetch := fetchRequest("t", 0, 0)
		fetch.MaxWaitMillis = 0
		fetch.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
		f := ask[*kmsg.FetchResponse](r, fetch, 12).Topics[0].Partitions[0]
		if got := wire.ErrorCode(f.ErrorCode); got != want || want != wire.None && len(f.RecordBatches) > 0 {
			t.Errorf("fetch in epoch %d: %v, want %v, and %d bytes", epoch, got, want, len(f.RecordBatches))
		}
		for _, timestamp := range []int64{wire.LatestTimestamp, wire.EarliestTimestamp, 1} {
			list := kmsg.NewPtrListOffsetsRequest()
			topic, p := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
			topic.Topic, p.CurrentLeaderEpoch, p.Timestamp = "t", epoch, timestamp
			topic.Partitions = append(topic.Partitions, p)
			list.ReplicaID, list.Topics = -1, append(list.Topics, topic)
			l := ask[*kmsg.ListOffsetsResponse](r, list, 7).Topics[0].Partitions[0]
			if got := wire.ErrorCode(l.ErrorCode); got != want || want != wire.None && l.Offset >= 0 {
				t.Errorf("offset at %d in epoch %d: %v, want %v, and offset %d", timestamp, epoch, got, want, l.Offset)
			}
		}
		ends := kmsg.NewPtrOffsetForLeaderEpochRequest()
		topic, p := kmsg.NewOffsetForLeaderEpochRequestTopic(), kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		topic.Topic, p.CurrentLeaderEpoch, p.LeaderEpoch = "t", epoch, 0
		topic.Partitions = append(topic.Partitions, p)
		ends.ReplicaID, ends.Topics = -1, append(ends.Topics, topic)
		e := ask[*kmsg.OffsetForLeaderEpochResponse](r, ends, 4).Topics[0].Partitions[0]
		if got := wire.ErrorCode(e.ErrorCode); got != want || want == wire.None && (e.LeaderEpoch != 0 || e.EndOffset != 1) {
			t.Errorf("end of epoch 0 in epoch %d: %v, want %v, and %d of epoch %d", epoch, got, want, e.EndOffset, e.LeaderEpoch)
		}
	}
}
