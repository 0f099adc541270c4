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

// TestEveryVersionOfGroupRequests takes a group through its life in each version of its requests.
func TestEveryVersionOfGroupRequests(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "3", "group.initial.rebalance.delay.ms": "0"})
	r.create("t", 2)
	for v := range int16(7) {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey, q.CoordinatorKeys = "g", []string{"g"}
		out := ask[*kmsg.FindCoordinatorResponse](r, q, v)
		if v >= 4 {
			out.NodeID, out.ErrorCode = out.Coordinators[0].NodeID, out.Coordinators[0].ErrorCode
		}
		if out.NodeID != 1 || out.ErrorCode != 0 {
			t.Errorf("find coordinator version %d: %+v", v, out)
		}
	}
	for v := range int16(10) {
		classicLife(r, v)
	}
	for v := int16(1); v < 10; v++ {
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Group, q.Topics = "g", []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{0, 1}}}
		q.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", MemberEpoch: -1, Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", Partitions: []int32{0, 1}}}}}
		out := ask[*kmsg.OffsetFetchResponse](r, q, v)
		offsets := []int64{}
		for _, topic := range out.Topics {
			for _, p := range topic.Partitions {
				offsets = append(offsets, p.Offset)
			}
		}
		for _, g := range out.Groups {
			for _, p := range g.Topics[0].Partitions {
				offsets = append(offsets, p.Offset)
			}
		}
		if len(offsets) != 2 || offsets[0] != 9 || offsets[1] != -1 {
			t.Errorf("offset fetch version %d: %v", v, offsets)
		}
	}
	drop := kmsg.NewPtrOffsetDeleteRequest()
	drop.Group = "g"
	drop.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "t", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}, {Partition: 7}}}}
	if out := ask[*kmsg.OffsetDeleteResponse](r, drop, 0); out.ErrorCode != 0 || out.Topics[0].Partitions[0].ErrorCode != 0 || out.Topics[0].Partitions[1].ErrorCode != 3 {
		t.Errorf("offset delete: %+v", out)
	}
	for v := range int16(3) {
		q := kmsg.NewPtrDeleteGroupsRequest()
		q.Groups = []string{"g", "none"}
		want := int16(0)
		if v > 0 {
			want = int16(wire.GroupIDNotFound)
		}
		if out := ask[*kmsg.DeleteGroupsResponse](r, q, v); out.Groups[0].ErrorCode != want || out.Groups[1].ErrorCode != int16(wire.GroupIDNotFound) {
			t.Errorf("delete groups version %d: %+v", v, out.Groups)
		}
	}
}

// classicLife is one member's: join, sync, beat, commit, leave. The requests' versions are the given one, as far as they go.
func classicLife(r *rig, version int16) {
	r.Helper()
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 10_000, 10_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 0, 0, 0, 0, 0, 255, 255, 255, 255}}}
	joined := ask[*kmsg.JoinGroupResponse](r, join, version)
	if version >= 4 {
		if joined.ErrorCode != int16(wire.MemberIDRequired) {
			r.Errorf("join version %d: %+v", version, joined)
		}
		join.MemberID = joined.MemberID
		joined = ask[*kmsg.JoinGroupResponse](r, join, version)
	}
	if joined.ErrorCode != 0 || joined.LeaderID != joined.MemberID || len(joined.Members) != 1 || *joined.Protocol != "range" {
		r.Fatalf("join version %d: %+v", version, joined)
	}
	consumer, protocol := "consumer", "range"
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation, sync.ProtocolType, sync.Protocol = "g", joined.MemberID, joined.Generation, &consumer, &protocol
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: joined.MemberID, MemberAssignment: []byte("mine")}}
	if out := ask[*kmsg.SyncGroupResponse](r, sync, min(version, 5)); out.ErrorCode != 0 || string(out.MemberAssignment) != "mine" {
		r.Errorf("sync version %d: %+v", version, out)
	}
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.MemberID, beat.Generation = "g", joined.MemberID, joined.Generation
	if out := ask[*kmsg.HeartbeatResponse](r, beat, min(version, 4)); out.ErrorCode != 0 {
		r.Errorf("heartbeat version %d: %+v", version, out)
	}
	commit := commitRequest("g", "t", 0, int64(version))
	commit.MemberID, commit.Generation, commit.RetentionTimeMillis = joined.MemberID, joined.Generation, -1
	if out := ask[*kmsg.OffsetCommitResponse](r, commit, max(version, 2)); out.Topics[0].Partitions[0].ErrorCode != 0 {
		r.Errorf("commit version %d: %+v", version, out)
	}
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g", "none"}
	if out := ask[*kmsg.DescribeGroupsResponse](r, describe, min(version, 6)); out.Groups[0].State != "Stable" || len(out.Groups[0].Members) != 1 ||
		out.Groups[0].Members[0].ClientHost == "" || out.Groups[1].State != "Dead" || (out.Groups[1].ErrorCode != 0) != (version >= 6) {
		r.Errorf("describe version %d: %+v", version, out.Groups)
	}
	if out := ask[*kmsg.ListGroupsResponse](r, kmsg.NewPtrListGroupsRequest(), min(version, 5)); len(out.Groups) != 1 || out.Groups[0].ProtocolType != "consumer" {
		r.Errorf("list version %d: %+v", version, out.Groups)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group, leave.MemberID, leave.Members = "g", joined.MemberID, []kmsg.LeaveGroupRequestMember{{MemberID: joined.MemberID}}
	if out := ask[*kmsg.LeaveGroupResponse](r, leave, min(version, 5)); out.ErrorCode != 0 || version >= 3 && out.Members[0].ErrorCode != 0 {
		r.Errorf("leave version %d: %+v", version, out)
	}
}

// TestConsumerGroupOutlivesPower: a member of the consumer protocol goes on where it was behind a power cut.
func TestConsumerGroupOutlivesPower(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "3"})
	r.create("t", 2)
	findCoordinator(r, "g")
	for version := range int16(2) {
		q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.RebalanceTimeoutMillis, q.SubscribedTopicNames = "g", "m", 10_000, []string{"t"}
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		out := ask[*kmsg.ConsumerGroupHeartbeatResponse](r, q, version)
		if out.ErrorCode != 0 || out.MemberEpoch != 1 || len(out.Assignment.Topics) != 1 || len(out.Assignment.Topics[0].Partitions) != 2 {
			t.Fatalf("join: %+v", out)
		}
		describe := kmsg.NewPtrConsumerGroupDescribeRequest()
		describe.Groups = []string{"g"}
		g := ask[*kmsg.ConsumerGroupDescribeResponse](r, describe, version).Groups[0]
		if g.State != "Stable" || g.AssignorName != "uniform" || len(g.Members) != 1 || g.Members[0].Assignment.TopicPartitions[0].Topic != "t" {
			t.Errorf("described %+v", g)
		}
		r.host.Power()
		r.start()
		next := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		next.Group, next.MemberID, next.MemberEpoch, next.RebalanceTimeoutMillis = "g", "m", 1, -1
		for range 1000 {
			if out = ask[*kmsg.ConsumerGroupHeartbeatResponse](r, next, version); out.ErrorCode != int16(wire.CoordinatorLoadInProgress) {
				break
			}
			r.world.Run(r.world.Now().Add(time.Millisecond))
		}
		if out.ErrorCode != 0 || out.MemberEpoch != 1 {
			t.Fatalf("behind the power cut: %+v", out)
		}
	}
}

// TestSettingsOfAGroup: they are altered and described like a topic's, limited by the broker's, told to members, and outlive a power cut.
func TestSettingsOfAGroup(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "3"})
	r.create("t", 2)
	findCoordinator(r, "g")
	const interval = "consumer.heartbeat.interval.ms"
	alter := func(group, key, value string) wire.ErrorCode {
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
			ResourceType: 32, ResourceName: group, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}},
		}}
		out := ask[*kmsg.IncrementalAlterConfigsResponse](r, q, 1)
		return wire.ErrorCode(out.Resources[0].ErrorCode)
	}
	for _, c := range []struct {
		group, key, value string
		want              wire.ErrorCode
	}{
		{"g", interval, "9000", wire.None}, {"g", interval, "15001", wire.InvalidConfig}, {"g", "retention.ms", "1", wire.InvalidConfig}, {"", interval, "9000", wire.InvalidRequest},
	} {
		if got := alter(c.group, c.key, c.value); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: 32, ResourceName: "g"}, {ResourceType: 32, ResourceName: "other"}, {ResourceType: 32}}
	for range 2 {
		out := ask[*kmsg.DescribeConfigsResponse](r, describe, 4).Resources
		own, other := out[0].Configs, out[1].Configs
		if len(own) != 2 || own[0].Name != interval || *own[0].Value != "9000" || own[0].Source != 8 || len(other) != 2 || *other[0].Value != "5000" || other[0].Source != 5 {
			t.Errorf("described %+v, %+v", own, other)
		}
		if out[2].ErrorCode != int16(wire.InvalidRequest) {
			t.Errorf("no group: %+v", out[2])
		}
		r.host.Power()
		r.start()
	}
	q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	q.Group, q.MemberID, q.RebalanceTimeoutMillis, q.SubscribedTopicNames, q.Topics = "g", "m", 10_000, []string{"t"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	out := ask[*kmsg.ConsumerGroupHeartbeatResponse](r, q, 1)
	for end := r.world.Now().Add(time.Minute); out.ErrorCode == int16(wire.CoordinatorLoadInProgress) && r.world.Now() < end; r.world.Run(r.world.Now().Add(time.Millisecond)) {
		out = ask[*kmsg.ConsumerGroupHeartbeatResponse](r, q, 1)
	}
	if out.ErrorCode != 0 || out.HeartbeatIntervalMillis != 9000 {
		t.Errorf("heartbeat: %+v", out)
	}
}

// TestGroupsHearOfTopics: a member gets the partitions that a topic has gained, and those of a topic that came after it had asked for it, though nothing else
// happens to the group (V6).
func TestGroupsHearOfTopics(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "3"})
	r.create("t", 1)
	findCoordinator(r, "g")
	beat := func(epoch int32) *kmsg.ConsumerGroupHeartbeatResponse {
		q := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		q.Group, q.MemberID, q.MemberEpoch, q.RebalanceTimeoutMillis, q.SubscribedTopicNames = "g", "m", epoch, 10_000, []string{"t", "u"}
		q.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		return ask[*kmsg.ConsumerGroupHeartbeatResponse](r, q, 1)
	}
	for i, step := range []struct {
		do   func()
		want int // partitions
	}{
		{func() {}, 1},
		{func() {
			q := kmsg.NewPtrCreatePartitionsRequest()
			topic := kmsg.NewCreatePartitionsRequestTopic()
			topic.Topic, topic.Count = "t", 3
			q.Topics = append(q.Topics, topic)
			if out := ask[*kmsg.CreatePartitionsResponse](r, q, 3); out.Topics[0].ErrorCode != 0 {
				t.Fatalf("grow: %v", wire.ErrorCode(out.Topics[0].ErrorCode))
			}
		}, 3},
		{func() { r.create("u", 2) }, 5},
		{func() { r.create("v", 2) }, 5},
	} {
		step.do()
		out, has := beat(int32(min(i, 3))), 0
		if out.Assignment != nil {
			for _, topic := range out.Assignment.Topics {
				has += len(topic.Partitions)
			}
		}
		if out.ErrorCode != 0 || has != step.want {
			t.Errorf("step %d: %v, epoch %d, %d partitions, want %d", i, wire.ErrorCode(out.ErrorCode), out.MemberEpoch, has, step.want)
		}
	}
}
