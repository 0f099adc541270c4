package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"
)

func TestCreateTopics(t *testing.T) {
	t.Parallel()
	byHand := func(replicas ...[]record.NodeID) NewTopic {
		n := auto("t")
		for i, r := range replicas {
			n.Assignments = append(n.Assignments, Assignment{Partition: int32(i), Replicas: r})
		}
		return n
	}
	with := func(n NewTopic, f func(*NewTopic)) NewTopic { f(&n); return n }
	for _, c := range []struct {
		topic NewTopic
		want  string // part of the answer
	}{
		{auto("t"), "ok"},
		{NewTopic{Name: "t", Partitions: 3, ReplicationFactor: 2}, "ok"},
		{NewTopic{Name: "t", Partitions: 3, ReplicationFactor: 4}, "INVALID_REPLICATION_FACTOR cannot place 4 replica(s) of each partition: only 3"},
		{NewTopic{Name: "t", Partitions: 0, ReplicationFactor: 1}, "INVALID_PARTITIONS"},
		{NewTopic{Name: "t", Partitions: -2, ReplicationFactor: 1}, "INVALID_PARTITIONS"},
		{NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 0}, "INVALID_REPLICATION_FACTOR"},
		{NewTopic{Name: "t", Partitions: 10_001, ReplicationFactor: 1}, "POLICY_VIOLATION"},
		{auto(""), "INVALID_TOPIC_EXCEPTION topic name is empty"},
		{auto(".."), "INVALID_TOPIC_EXCEPTION"},
		{auto("a b"), "INVALID_TOPIC_EXCEPTION topic name \"a b\" has a character"},
		{auto(strings.Repeat("x", 250)), "INVALID_TOPIC_EXCEPTION"},
		{auto(strings.Repeat("x", 249)), "ok"},
		{auto("old"), "TOPIC_ALREADY_EXISTS"},
		{auto("o_l.d"), "INVALID_TOPIC_EXCEPTION topic 'o_l.d' differs from the topic 'o.l_d'"},
		{auto("__cluster_metadata"), "TOPIC_AUTHORIZATION_FAILED"},
		{byHand([]record.NodeID{2, 1}, []record.NodeID{3, 2}), "ok"},
		{byHand([]record.NodeID{2, 1}, []record.NodeID{3}), "INVALID_REPLICA_ASSIGNMENT partition 1 is assigned 1"},
		{byHand([]record.NodeID{2, 2}), "INVALID_REPLICA_ASSIGNMENT partition 0 is assigned to broker 2 more than once"},
		{byHand([]record.NodeID{2, 7}), "INVALID_REPLICA_ASSIGNMENT partition 0 is assigned to broker 7"},
		{byHand([]record.NodeID{}), "INVALID_REPLICA_ASSIGNMENT no replica"},
		{with(byHand([]record.NodeID{1}), func(n *NewTopic) { n.Assignments[0].Partition = 1 }), "INVALID_REPLICA_ASSIGNMENT partitions"},
		{with(byHand([]record.NodeID{1}), func(n *NewTopic) { n.ReplicationFactor = 1 }), "INVALID_REQUEST"},
		{with(byHand([]record.NodeID{1}), func(n *NewTopic) { n.Partitions = 1 }), "INVALID_REQUEST"},
		{with(auto("t"), func(n *NewTopic) { n.Configs = []ConfigValue{{Key: "retention.ms", Value: "5"}} }), "ok"},
		{with(auto("t"), func(n *NewTopic) { n.Configs = []ConfigValue{{Key: "retention.ms", Null: true}} }), "INVALID_CONFIG key retention.ms has no value"},
		{with(auto("t"), func(n *NewTopic) { n.Configs = []ConfigValue{{Key: "retention.sm", Value: "5"}} }), "INVALID_CONFIG unknown key retention.sm: did you mean retention.ms?"},
	} {
		cl := newCluster(3)
		cl.create(auto("old"), auto("o.l_d"))
		if got := cl.create(c.topic)[c.topic.Name]; !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %s, want %s", c.topic, got, c.want)
		} else if got == "ok" && cl.Image.Topic(c.topic.Name) == nil {
			t.Errorf("%v was not made", c.topic)
		}
	}
}

func TestCreateTopicsTogether(t *testing.T) {
	t.Parallel()
	c := newCluster(1)
	said := c.create(auto("a"), auto("b"), auto("a"), auto("x.y"), auto("x_y"), auto("c"))
	for name, want := range map[string]string{"a": "INVALID_REQUEST", "b": "ok", "x.y": "ok", "x_y": "INVALID_TOPIC", "c": "ok"} {
		if !strings.HasPrefix(said[name], want) {
			t.Errorf("%s: %s, want %s", name, said[name], want)
		}
	}
	records, answers := c.CreateTopics(CreateTopics{ValidateOnly: true, Topics: []NewTopic{
		{Name: "v", Partitions: 2, ReplicationFactor: 1, Configs: []ConfigValue{{Key: "segment.bytes", Value: " 99 "}}},
	}})
	if len(records) != 0 || answers[0].Refused() || answers[0].Partitions != 2 || answers[0].ReplicationFactor != 1 ||
		!slices.Equal(answers[0].Config, config.Overrides{{Key: "segment.bytes", Value: "99"}}) {
		t.Errorf("%v, %+v", records, answers)
	}
	records, answers = c.CreateTopics(CreateTopics{Topics: []NewTopic{{Name: "p", Partitions: 9_999, ReplicationFactor: 1}, {Name: "q", Partitions: 2, ReplicationFactor: 1}, auto("r")}})
	if answers[0].Refused() || answers[1].Code != wire.PolicyViolation || answers[2].Refused() || len(records) != 1+9_999+2 {
		t.Errorf("%d records, %+v", len(records), answers)
	}
}

func TestDeleteTopics(t *testing.T) {
	t.Parallel()
	c := newCluster(1)
	c.create(auto("a"), auto("b"), auto("c"))
	b := c.Image.Topic("b").ID
	records, answers := c.DeleteTopics([]NamedTopic{
		{Name: "a", ByName: true}, {ID: b}, {Name: "b", ByName: true}, {Name: "nope", ByName: true}, {ID: record.TopicID{1}},
		{}, {Name: "c", ByName: true, ID: b},
		{Name: "c", ByName: true}, {Name: "c", ByName: true},
	})
	want := []wire.ErrorCode{wire.None, wire.None, wire.InvalidRequest, wire.UnknownTopicOrPartition, wire.UnknownTopicID,
		wire.InvalidRequest, wire.InvalidRequest, wire.InvalidRequest, wire.InvalidRequest}
	for i, a := range answers {
		if a.Code != want[i] {
			t.Errorf("item %d: %s, want %s", i, a.Code, want[i])
		}
	}
	if answers[1].Name != "b" || answers[0].ID.IsZero() {
		t.Errorf("%+v", answers[:2])
	}
	c.apply(records)
	if got := c.Image.Topics(); len(got) != 1 || got[0].Name != "c" {
		t.Errorf("%d topics left", len(got))
	}
	c.DeleteTopicEnable = false
	if _, answers := c.DeleteTopics([]NamedTopic{{Name: "c", ByName: true}}); answers[0].Code != wire.TopicDeletionDisabled {
		t.Errorf("%+v", answers)
	}
}

func TestCreatePartitions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		grow GrowTopic
		want string
	}{
		{GrowTopic{Name: "t", Count: 5}, "ok"},
		{GrowTopic{Name: "t", Count: 2}, "INVALID_PARTITIONS topic t already has 2"},
		{GrowTopic{Name: "t", Count: 1}, "INVALID_PARTITIONS topic t has 2 partition(s), and 1 would not be more"},
		{GrowTopic{Name: "t", Count: -1}, "INVALID_PARTITIONS"},
		{GrowTopic{Name: "u", Count: 5}, "UNKNOWN_TOPIC_OR_PARTITION"},
		{GrowTopic{Name: "t", Count: 20_000}, "POLICY_VIOLATION"},
		{GrowTopic{Name: "t", Count: 3, Assignments: [][]record.NodeID{{3, 1}}}, "ok"},
		{GrowTopic{Name: "t", Count: 3, Assignments: [][]record.NodeID{{3}}}, "INVALID_REPLICA_ASSIGNMENT"},
		{GrowTopic{Name: "t", Count: 3, Assigned: true}, "INVALID_REPLICA_ASSIGNMENT 1 partition(s) are to be added, but 0"},
	} {
		cl := newCluster(3)
		cl.create(NewTopic{Name: "t", Partitions: 2, ReplicationFactor: 2})
		records, answers := cl.CreatePartitions([]GrowTopic{c.grow}, false)
		cl.apply(records)
		if got := answers[0].Refusal.text(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %s, want %s", c.grow, got, c.want)
		} else if got == "ok" && len(cl.Image.Topic("t").Partitions) != int(c.grow.Count) {
			t.Errorf("%v: %d partitions", c.grow, len(cl.Image.Topic("t").Partitions))
		}
	}
}

// TestTooMuch: what would take long, and be refused in the end, is refused at once.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	c := newCluster(3)
	c.create(auto("old"))
	placed, configured := auto("t"), auto("u")
	var changes []config.Alteration
	for i := range 10_001 {
		placed.Assignments = append(placed.Assignments, Assignment{Partition: int32(i), Replicas: []record.NodeID{1}})
		if i <= config.MaxChanges {
			changes = append(changes, config.Alteration{Key: fmt.Sprint("key", i), Value: "1"})
			configured.Configs = append(configured.Configs, ConfigValue{Key: fmt.Sprint("key", i), Value: "1"})
		}
	}
	placed.Assignments[0].Replicas = []record.NodeID{7} // is not looked at any more
	if got := c.create(placed)["t"]; !strings.HasPrefix(got, "POLICY_VIOLATION") {
		t.Error(got)
	}
	if got := c.create(configured)["u"]; got != "INVALID_CONFIG the topic has 1001 settings, at most 1000 are allowed" {
		t.Error(got)
	}
	for _, r := range []Resource{{TopicResource, "old"}, {BrokerResource, "1"}, {GroupResource, "g"}} {
		_, answers := c.AlterConfigs([]AlterConfigs{{Resource: r, Changes: changes}}, false)
		if got := answers[0].text(); got != "INVALID_REQUEST the request has 1001 settings for one resource, at most 1000 are allowed" {
			t.Errorf("%v: %s", r, got)
		}
	}
	long := config.Alteration{Key: "leader.replication.throttled.replicas", Operation: config.Subtract, Value: strings.Repeat("1:1,", 10_000)}
	_, answers := c.AlterConfigs([]AlterConfigs{{Resource: Resource{TopicResource, "old"}, Changes: []config.Alteration{long}}}, false)
	if got := answers[0].text(); got != "INVALID_CONFIG the value of leader.replication.throttled.replicas has 40000 bytes, at most 32767 are allowed" {
		t.Error(got)
	}
}

func TestTopicIDs(t *testing.T) {
	t.Parallel()
	c := newCluster(1)
	seen := map[record.TopicID]bool{}
	for range 2000 {
		id := c.newTopicID()
		if seen[id] || id.IsZero() || id.String()[0] == '-' {
			t.Fatalf("id %s", id)
		}
		seen[id] = true
	}
}
