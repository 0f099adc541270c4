package broker_test

import (
	"testing"
	"time"

	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func findCoordinator(r *rig, group string) *kmsg.FindCoordinatorResponse {
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorKey, q.CoordinatorKeys = group, []string{group}
	return ask[*kmsg.FindCoordinatorResponse](r, q, 4)
}

func commitRequest(group, topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	q := kmsg.NewPtrOffsetCommitRequest()
	q.Group, q.Generation = group, -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = topic
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch = partition, offset, -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

func fetchOffsets(r *rig, group string) kmsg.OffsetFetchResponseGroup {
	q := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	q.Groups = append(q.Groups, g)
	return ask[*kmsg.OffsetFetchResponse](r, q, 9).Groups[0]
}

// TestCommittedOffsetOutlivesPower: an answered commit is there after a power cut, and nothing is answered before the log is loaded.
func TestCommittedOffsetOutlivesPower(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "3"})
	r.create("t", 2)
	if out := findCoordinator(r, "g"); out.Coordinators[0].ErrorCode != 0 || out.Coordinators[0].Port != 9092 {
		t.Fatalf("find coordinator: %+v", out.Coordinators)
	}
	for offset := range int64(5) {
		out := ask[*kmsg.OffsetCommitResponse](r, commitRequest("g", "t", 1, offset), 8)
		if code := out.Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("commit: %v", wire.ErrorCode(code))
		}
	}
	for range 2 {
		g := fetchOffsets(r, "g")
		if g.ErrorCode != 0 || len(g.Topics) != 1 || g.Topics[0].Partitions[0].Offset != 4 {
			t.Fatalf("fetched %+v", g)
		}
		r.host.Power()
		r.start()
		for end := r.world.Now().Add(time.Minute); ; r.world.Run(r.world.Now().Add(time.Millisecond)) {
			if g = fetchOffsets(r, "g"); g.ErrorCode != int16(wire.CoordinatorLoadInProgress) {
				break
			}
			if r.world.Now() > end {
				t.Fatal("the coordinator loads for ever")
			}
		}
	}
	if g := fetchOffsets(r, "other"); g.ErrorCode != 0 || len(g.Topics) != 0 {
		t.Errorf("a group that does not exist: %+v", g)
	}
	out := ask[*kmsg.OffsetCommitResponse](r, commitRequest("g", "absent", 0, 1), 8)
	if code := wire.ErrorCode(out.Topics[0].Partitions[0].ErrorCode); code != wire.UnknownTopicOrPartition {
		t.Errorf("commit for a topic that does not exist: %v", code)
	}
}
