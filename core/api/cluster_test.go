package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// desk is a set of handlers over an image of four brokers and the topic t (one partition on brokers 1, 2 and 3), where decisions are
// applied at once.
type desk struct {
	*Handlers
	env.Network
	now     env.Instant
	entries record.Offset
	failing error
	timers  timer.Queue
	replies []any
	added   []Voter
	done    func(controller.Refusal)
}

func (d *desk) Now() env.Instant                    { return d.now }
func (d *desk) Wall() env.Millis                    { return 0 }
func (d *desk) Uint64() uint64                      { return uint64(d.entries)*0x9e3779b97f4a7c15 + 1 }
func (d *desk) Send(_ env.ConnID, out env.Outgoing) { d.replies = append(d.replies, out.(*Call).reply) }
func (d *desk) Resume(env.ConnID)                   {}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{}
	image := metadata.New()
	c := &controller.Controller{Image: image, Rand: d, Settings: controller.Settings{NumPartitions: 1, DefaultReplicationFactor: 3, DeleteTopicEnable: true, Node: 1}}
	settings := &config.Broker{Listeners: []config.Listener{{Name: "PLAINTEXT"}, {Name: "QUORUM", Controller: true}}}
	d.Handlers = NewHandlers(World{
		Clock: d, Rand: d, Timers: &d.timers, Node: 1, ClusterID: "cluster", LogDir: "/data", Image: image, Controller: c, Partitions: partition.NewSet(),
		Config: func() *config.Broker { return settings },
		Active: func() bool { return true }, Sessions: func() *controller.Sessions { return nil },
		Decide: func(decision controller.Decision, refused func(error)) {
			if d.failing != nil {
				refused(d.failing)
				return
			}
			records, done := decision()
			d.apply(records)
			done(nil)
		},
		Quorum: Quorum{
			Describe: func() QuorumDescription {
				v := Voter{1, metadata.UUID{7}, "[::1]:9093"}
				return QuorumDescription{Leads: d.failing == nil, Leader: 1, Epoch: 3, HighWatermark: 9, Voters: []QuorumReplica{{v, 8, 5, 4}}}
			},
			AddVoter:    func(v Voter, done func(controller.Refusal)) { d.added, d.done = append(d.added, v), done },
			RemoveVoter: func(_ Voter, done func(controller.Refusal)) { done(controller.Refusal{Code: wire.VoterNotFound}) },
		},
	})
	d.DecideFirst = func(decision controller.Decision, refused func(error)) { d.Decide(decision, refused) }
	for id := range record.NodeID(4) {
		records, refusal := c.RegisterBroker(controller.RegisterBroker{ID: id + 1, Incarnation: metadata.UUID{byte(id + 1)}, Directories: []metadata.UUID{{9, byte(id)}}})
		if refusal.Refused() {
			t.Fatal(refusal.Message)
		}
		d.apply(records)
	}
	records, _ := c.CreateTopics(controller.CreateTopics{Topics: []controller.NewTopic{{
		Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: []controller.Assignment{{Replicas: []record.NodeID{1, 2, 3}}},
	}}})
	d.apply(records)
	return d
}

func (d *desk) apply(records []metadata.Record) {
	if len(records) > 0 {
		d.Image.Apply(metadata.Position{Offset: d.entries, Epoch: 1}, records)
		d.entries++
	}
}

// ask has a request answered; it must be encodable in its version.
func ask[R kmsg.Response](d *desk, r kmsg.Request, version int16) R {
	r.SetVersion(version)
	s := NewSession(1, env.ConnInfo{}, d)
	s.Inter, s.Control = true, true
	d.replies = nil
	d.Handle(s, &Call{Header: wire.Header{Key: wire.Key(r.Key()), Version: version}, Body: r})
	d.timers.Fire(d.now)
	if len(d.replies) == 0 {
		var none R
		return none
	}
	out := d.replies[0].(R)
	again := r.ResponseKind()
	if err := again.ReadFrom(out.AppendTo(nil)); err != nil {
		panic(err)
	}
	return out
}

func text(code int16, message *string) string {
	if message == nil {
		return wire.ErrorCode(code).String()
	}
	return wire.ErrorCode(code).String() + " " + *message
}

func TestReassignments(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	alter := func(replicas ...int32) string {
		r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		r.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{
			{Topic: "t", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 0, Replicas: replicas}}},
			{Topic: "u", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: 4}}},
		}
		out := ask[*kmsg.AlterPartitionAssignmentsResponse](d, r, 0)
		if out.ErrorCode != 0 {
			return "all: " + text(out.ErrorCode, out.ErrorMessage)
		}
		if p := out.Topics[1].Partitions[0]; text(p.ErrorCode, p.ErrorMessage) != "UNKNOWN_TOPIC_OR_PARTITION Unable to find a topic named u." {
			t.Error(text(p.ErrorCode, p.ErrorMessage))
		}
		p := out.Topics[0].Partitions[0]
		return text(p.ErrorCode, p.ErrorMessage)
	}
	list := func(topics ...kmsg.ListPartitionReassignmentsRequestTopic) string {
		r := kmsg.NewPtrListPartitionReassignmentsRequest()
		r.Topics = topics
		out := ask[*kmsg.ListPartitionReassignmentsResponse](d, r, 0)
		var all []string
		for _, t := range out.Topics {
			for _, p := range t.Partitions {
				all = append(all, fmt.Sprintf("%s-%d %v +%v -%v", t.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas))
			}
		}
		return strings.Join(append(all, text(out.ErrorCode, out.ErrorMessage)), "; ")
	}
	for i, step := range [][2]string{
		{alter(), "NO_REASSIGNMENT_IN_PROGRESS " + wire.NoReassignmentInProgress.Message()},
		{list(), "NONE"},
		{alter(4, 9), "INVALID_REPLICA_ASSIGNMENT The manual partition assignment includes broker 9, but no such broker is registered."},
		{alter(4, 1), "NONE"},
		{list(), "t-0 [4 1 2 3] +[4] -[2 3]; NONE"},
		{list(kmsg.ListPartitionReassignmentsRequestTopic{Topic: "t", Partitions: []int32{1}}), "NONE"},
		{alter(), "NONE"},
		{list(), "NONE"},
	} {
		if step[0] != step[1] {
			t.Errorf("step %d: %s, want %s", i, step[0], step[1])
		}
	}
	d.failing = errors.New("busy")
	if a, l := alter(1), list(); a != "all: REQUEST_TIMED_OUT busy" || l != "REQUEST_TIMED_OUT busy" {
		t.Error(a, l)
	}
}

// TestLongTexts: what is wrong is told with the words of the request, which may be longer than a text in the answer can be.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.WhenOpened = func(then func()) { then() }
	long := strings.Repeat("x", 32_700)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = make([]kmsg.CreateTopicsRequestTopic, 2)
	create.Topics[0].Topic, create.Topics[1].Topic = long, long
	elect := kmsg.NewPtrElectLeadersRequest()
	elect.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: long, Partitions: []int32{0}}}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: long + long[:67]}}
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t", Configs: make([]kmsg.IncrementalAlterConfigsRequestResourceConfig, 9),
	}}
	for i := range alter.Resources[0].Configs {
		alter.Resources[0].Configs[i].Name, alter.Resources[0].Configs[i].Value = long[i:], &long
	}
	received := func(out, again kmsg.Response) {
		t.Helper()
		again.SetVersion(out.GetVersion())
		if err := again.ReadFrom(out.AppendTo(nil)); err != nil {
			t.Errorf("%T: %v", out, err)
		}
	}
	told := func(code wire.ErrorCode, message *string, want string) {
		t.Helper()
		if got := text(int16(code), message); !strings.HasPrefix(got, want) || len(got) > 5000 {
			t.Errorf("%.100s of %d bytes, want %s", got, len(got), want)
		}
	}
	var created kmsg.CreateTopicsResponse
	received(ask[*kmsg.CreateTopicsResponse](d, create, 4), &created)
	told(wire.ErrorCode(created.Topics[0].ErrorCode), created.Topics[0].ErrorMessage, "INVALID_REQUEST the request has the topic xxx")
	var elected kmsg.ElectLeadersResponse
	received(ask[*kmsg.ElectLeadersResponse](d, elect, 1), &elected)
	told(wire.ErrorCode(elected.Topics[0].Partitions[0].ErrorCode), elected.Topics[0].Partitions[0].ErrorMessage, "UNKNOWN_TOPIC_OR_PARTITION No such topic as xxx")
	var described kmsg.DescribeConfigsResponse
	received(ask[*kmsg.DescribeConfigsResponse](d, describe, 1), &described)
	told(wire.ErrorCode(described.Resources[0].ErrorCode), described.Resources[0].ErrorMessage, "INVALID_REQUEST broker \"xxx")
	var altered kmsg.IncrementalAlterConfigsResponse
	received(ask[*kmsg.IncrementalAlterConfigsResponse](d, alter, 0), &altered)
	told(wire.ErrorCode(altered.Resources[0].ErrorCode), altered.Resources[0].ErrorMessage, "INVALID_CONFIG unknown key xxx")
}

// TestLongValues: a value that is too long for some of the answers that would show it is refused, however it was put together.
func TestLongValues(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var pairs []string
	for i := range 3640 {
		pairs = append(pairs, fmt.Sprintf("%d:10", 10_000+i))
	}
	for i, value := range []string{strings.Join(pairs, ","), "99999:10"} {
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "t",
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{
				{Name: "leader.replication.throttled.replicas", Op: kmsg.IncrementalAlterConfigOpAppend, Value: &value},
			}}}
		out := ask[*kmsg.IncrementalAlterConfigsResponse](d, q, 1).Resources[0]
		want := []string{"NONE", "INVALID_CONFIG the value of leader.replication.throttled.replicas has 32768 bytes"}[i]
		if got := text(out.ErrorCode, out.ErrorMessage); !strings.HasPrefix(got, want) {
			t.Errorf("%.100s, want %s", got, want)
		}
	}
}

func TestElectLeaders(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	elect := func(version int16, kind int8, topics ...kmsg.ElectLeadersRequestTopic) string {
		r := kmsg.NewPtrElectLeadersRequest()
		r.ElectionType, r.Topics = kind, topics
		out := ask[*kmsg.ElectLeadersResponse](d, r, version)
		all := []string{wire.ErrorCode(out.ErrorCode).String()}
		for _, t := range out.Topics {
			for _, p := range t.Partitions {
				all = append(all, fmt.Sprintf("%s-%d %s", t.Topic, p.Partition, wire.ErrorCode(p.ErrorCode)))
			}
		}
		return strings.Join(all, "; ")
	}
	t0 := kmsg.ElectLeadersRequestTopic{Topic: "t", Partitions: []int32{0, 3}}
	for i, step := range []struct{ got, want string }{
		{elect(2, 0, t0), "NONE; t-0 ELECTION_NOT_NEEDED; t-3 UNKNOWN_TOPIC_OR_PARTITION"},
		{elect(0, 1, t0), "NONE; t-0 ELECTION_NOT_NEEDED; t-3 UNKNOWN_TOPIC_OR_PARTITION"},
		{elect(1, 0), "NONE"},
		{elect(2, 5, t0), "INVALID_REQUEST; t-0 INVALID_REQUEST; t-3 INVALID_REQUEST"},
	} {
		if step.got != step.want {
			t.Errorf("step %d: %s, want %s", i, step.got, step.want)
		}
	}
	d.failing = errors.New("busy")
	if got := elect(2, 0, t0); got != "REQUEST_TIMED_OUT; t-0 REQUEST_TIMED_OUT; t-3 REQUEST_TIMED_OUT" {
		t.Error(got)
	}
}

func TestUnregisterBroker(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i, want := range []string{"REQUEST_TIMED_OUT Broker ID 3 is not fenced: it has to be stopped, or its session to end", "NONE", "BROKER_ID_NOT_REGISTERED Broker ID 3 is not currently registered"} {
		if i == 1 {
			d.apply(d.Controller.ExpireBroker(3, d.Image.Broker(3).Epoch))
		}
		r := kmsg.NewPtrUnregisterBrokerRequest()
		r.BrokerID = 3
		if out := ask[*kmsg.UnregisterBrokerResponse](d, r, 0); text(out.ErrorCode, out.ErrorMessage) != want {
			t.Errorf("%s, want %s", text(out.ErrorCode, out.ErrorMessage), want)
		}
	}
	if err := controller.Check(d.Image); err != nil || d.Image.Broker(3) != nil {
		t.Error(err)
	}
}

// TestDeposedControllerRefusesNothing (M7): a controller that does not know that it was deposed may not know either what its successor has decided. It
// does not say that something is there, or is not, or need not be done; as little as one whose decision was not committed.
func TestDeposedControllerRefusesNothing(t *testing.T) {
	t.Parallel()
	there, missing := "t", "absent"
	unregister := func(id int32) func(*desk) string {
		return func(d *desk) string {
			out := ask[*kmsg.UnregisterBrokerResponse](d, &kmsg.UnregisterBrokerRequest{BrokerID: id}, 0)
			return text(out.ErrorCode, out.ErrorMessage)
		}
	}
	for name, request := range map[string]func(*desk) string{
		"unregister a broker":          unregister(3),
		"unregister an unknown broker": unregister(99),
		"create": func(d *desk) string {
			topic := kmsg.CreateTopicsRequestTopic{Topic: there, NumPartitions: 1, ReplicationFactor: 1}
			out := ask[*kmsg.CreateTopicsResponse](d, &kmsg.CreateTopicsRequest{Topics: []kmsg.CreateTopicsRequestTopic{topic}}, 5).Topics[0]
			return text(out.ErrorCode, out.ErrorMessage)
		},
		"delete": func(d *desk) string {
			out := ask[*kmsg.DeleteTopicsResponse](d, &kmsg.DeleteTopicsRequest{TopicNames: []string{missing}}, 5).Topics[0]
			return text(out.ErrorCode, out.ErrorMessage)
		},
		"grow": func(d *desk) string {
			topic := kmsg.CreatePartitionsRequestTopic{Topic: missing, Count: 3}
			out := ask[*kmsg.CreatePartitionsResponse](d, &kmsg.CreatePartitionsRequest{Topics: []kmsg.CreatePartitionsRequestTopic{topic}}, 1).Topics[0]
			return text(out.ErrorCode, out.ErrorMessage)
		},
		"elect": func(d *desk) string {
			topic := kmsg.ElectLeadersRequestTopic{Topic: there, Partitions: []int32{0}}
			out := ask[*kmsg.ElectLeadersResponse](d, &kmsg.ElectLeadersRequest{Topics: []kmsg.ElectLeadersRequestTopic{topic}}, 2).Topics[0].Partitions[0]
			return text(out.ErrorCode, out.ErrorMessage)
		},
		"reassign": func(d *desk) string {
			topic := kmsg.AlterPartitionAssignmentsRequestTopic{Topic: missing, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{1}}}}
			out := ask[*kmsg.AlterPartitionAssignmentsResponse](d, &kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{topic}}, 0)
			return text(out.ErrorCode, out.ErrorMessage)
		},
		"configure": func(d *desk) string {
			r := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: missing}
			out := ask[*kmsg.IncrementalAlterConfigsResponse](d, &kmsg.IncrementalAlterConfigsRequest{Resources: []kmsg.IncrementalAlterConfigsRequestResource{r}}, 1).Resources[0]
			return text(out.ErrorCode, out.ErrorMessage)
		},
	} {
		d := newDesk(t)
		d.WhenOpened = func(then func()) { then() }
		refused := request(d)
		d.Quorum.Confirm = func(done func(error)) { done(errors.New("another leads")) }
		if got, want := request(d), "REQUEST_TIMED_OUT another leads"; got != want || refused == want {
			t.Errorf("%s: %s, and %s otherwise", name, got, refused)
		}
	}
}

func TestUpdateFeatures(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		version int16
		update  kmsg.UpdateFeaturesRequestFeatureUpdate
		want    string
	}{
		{2, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "metadata.version", MaxVersionLevel: 25, UpgradeType: 1}, "NONE 0"},
		{1, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "metadata.version", MaxVersionLevel: 25, UpgradeType: 1}, "NONE 1"},
		{0, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "metadata.version", MaxVersionLevel: 24, AllowDowngrade: true},
			"INVALID_UPDATE_VERSION The update failed for all features since the following feature had an error: Invalid metadata.version 24. Refusing"},
		{2, kmsg.UpdateFeaturesRequestFeatureUpdate{Feature: "x", MaxVersionLevel: 1, UpgradeType: 1},
			"INVALID_UPDATE_VERSION The update failed for all features since the following feature had an error: Invalid update version 1 for feature x. Local controller 1"},
	} {
		r := kmsg.NewPtrUpdateFeaturesRequest()
		r.FeatureUpdates = []kmsg.UpdateFeaturesRequestFeatureUpdate{c.update}
		out := ask[*kmsg.UpdateFeaturesResponse](d, r, c.version)
		if got := fmt.Sprint(text(out.ErrorCode, out.ErrorMessage), " ", len(out.Results)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%+v: %s, want %s", c.update, got, c.want)
		}
	}
}

func TestReplicaDirectories(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	alter := kmsg.NewPtrAlterReplicaLogDirsRequest()
	partitions := []int32{0, 7}
	alter.Dirs = []kmsg.AlterReplicaLogDirsRequestDir{
		{Dir: "/data", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: partitions}, {Topic: "u", Partitions: partitions}}},
		{Dir: "/other", Topics: []kmsg.AlterReplicaLogDirsRequestDirTopic{{Topic: "t", Partitions: partitions}}},
	}
	var got []wire.ErrorCode
	for _, topic := range ask[*kmsg.AlterReplicaLogDirsResponse](d, alter, 2).Topics {
		for _, p := range topic.Partitions {
			got = append(got, wire.ErrorCode(p.ErrorCode))
		}
	}
	want := "[REPLICA_NOT_AVAILABLE UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_OR_PARTITION LOG_DIR_NOT_FOUND LOG_DIR_NOT_FOUND]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	assign := kmsg.NewPtrAssignReplicasToDirsRequest()
	assign.BrokerID, assign.BrokerEpoch = 1, int64(d.Image.Broker(1).Epoch)
	topic := d.Image.Topic("t").ID
	assign.Directories = []kmsg.AssignReplicasToDirsRequestDirectory{{ID: metadata.LostDirectory, Topics: []kmsg.AssignReplicasToDirsRequestDirectoryTopic{
		{TopicID: topic, Partitions: []kmsg.AssignReplicasToDirsRequestDirectoryTopicPartition{{Partition: 0}, {Partition: 1}}},
	}}}
	out := ask[*kmsg.AssignReplicasToDirsResponse](d, assign, 0)
	if p := out.Directories[0].Topics[0].Partitions; out.ErrorCode != 0 || p[0].ErrorCode != 0 || wire.ErrorCode(p[1].ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("%+v", out)
	}
	if p := d.Image.Topic("t").Partitions[0]; p.Leader != 2 || p.Directory(1) != metadata.LostDirectory {
		t.Errorf("%+v", p)
	}
	assign.BrokerEpoch++
	if out := ask[*kmsg.AssignReplicasToDirsResponse](d, assign, 0); wire.ErrorCode(out.ErrorCode) != wire.StaleBrokerEpoch {
		t.Errorf("%+v", out)
	}
}

func TestDescribeQuorum(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	describe := func(topic string, partitions ...int32) (kmsg.DescribeQuorumResponseTopicPartition, *kmsg.DescribeQuorumResponse) {
		r := kmsg.NewPtrDescribeQuorumRequest()
		r.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: topic}}
		for _, i := range partitions {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: i})
		}
		out := ask[*kmsg.DescribeQuorumResponse](d, r, 2)
		return out.Topics[0].Partitions[0], out
	}
	p, out := describe("__cluster_metadata", 0)
	if p.ErrorCode != 0 || p.LeaderID != 1 || p.LeaderEpoch != 3 || p.HighWatermark != 9 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].LogEndOffset != 8 {
		t.Errorf("%+v", p)
	}
	if l := out.Nodes[0].Listeners[0]; l.Name != "QUORUM" || l.Host != "::1" || l.Port != 9093 {
		t.Errorf("%+v", l)
	}
	if p, _ := describe("__cluster_metadata", 1); wire.ErrorCode(p.ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("%+v", p)
	}
	if p, _ := describe("t", 0); wire.ErrorCode(p.ErrorCode) != wire.UnknownTopicOrPartition {
		t.Errorf("%+v", p)
	}
	d.failing = errors.New("not the leader")
	if p, _ := describe("__cluster_metadata", 0); wire.ErrorCode(p.ErrorCode) != wire.NotLeaderOrFollower {
		t.Errorf("%+v", p)
	}
}

func TestRaftVoters(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	other := "another"
	sound := kmsg.AddRaftVoterRequest{VoterID: 5, VoterDirectoryID: [16]byte{5}, TimeoutMillis: 1000,
		Listeners: []kmsg.AddRaftVoterRequestListener{{Name: "QUORUM", Host: "::1", Port: 99}}}
	add := func(spoil func(*kmsg.AddRaftVoterRequest)) *kmsg.AddRaftVoterResponse {
		r := sound
		spoil(&r)
		return ask[*kmsg.AddRaftVoterResponse](d, &r, 0)
	}
	for want, spoil := range map[string]func(*kmsg.AddRaftVoterRequest){
		"INCONSISTENT_CLUSTER_ID The given id \"another\"":                      func(r *kmsg.AddRaftVoterRequest) { r.ClusterID = &other },
		"INVALID_REQUEST Add voter request didn't include a valid voter":        func(r *kmsg.AddRaftVoterRequest) { r.VoterDirectoryID = [16]byte{} },
		"INVALID_REQUEST Add voter request didn't include the endpoint for the": func(r *kmsg.AddRaftVoterRequest) { r.Listeners = nil },
	} {
		if out := add(spoil); !strings.HasPrefix(text(out.ErrorCode, out.ErrorMessage), want) {
			t.Errorf("%s, want %s", text(out.ErrorCode, out.ErrorMessage), want)
		}
	}
	if add(func(*kmsg.AddRaftVoterRequest) {}) != nil || len(d.added) != 1 || d.added[0].Address != "[::1]:99" {
		t.Fatalf("%+v", d.added)
	}
	d.done(controller.Refusal{})
	if out := d.replies[0].(*kmsg.AddRaftVoterResponse); out.ErrorCode != 0 {
		t.Errorf("%+v", out)
	}
	add(func(*kmsg.AddRaftVoterRequest) {})
	d.timers.Fire(d.now.Add(time.Second))
	if out := d.replies[0].(*kmsg.AddRaftVoterResponse); wire.ErrorCode(out.ErrorCode) != wire.RequestTimedOut {
		t.Errorf("%+v", out)
	}
	d.done(controller.Refusal{}) // too late, and nobody is told
	remove := kmsg.NewPtrRemoveRaftVoterRequest()
	remove.VoterID, remove.VoterDirectoryID = 5, [16]byte{5}
	if out := ask[*kmsg.RemoveRaftVoterResponse](d, remove, 0); wire.ErrorCode(out.ErrorCode) != wire.VoterNotFound {
		t.Errorf("%+v", out)
	}
	remove.VoterID = -1
	if out := ask[*kmsg.RemoveRaftVoterResponse](d, remove, 0); text(out.ErrorCode, out.ErrorMessage) != "INVALID_REQUEST Remove voter request didn't include a valid voter" {
		t.Errorf("%+v", out)
	}
}
