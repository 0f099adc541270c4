package clients

import (
	"errors"
	"maps"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// TestFranzAdmin asks with franz-go's admin client what the Java one does not: of
// leader epochs, and in versions of long ago.
func TestFranzAdmin(t *testing.T) {
	b := startBroker(t)
	for _, c := range []struct {
		name    string
		options []kgo.Opt
	}{
		{name: "newest"},
		{name: "oldest", options: []kgo.Opt{kgo.MaxVersions(kversion.V2_1_0())}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := openFranz(b, c.options...)
			must(t, err)
			defer f.Close()
			topic := createTopic(t, f, 3)
			_, err = f.Produce(topic, ProduceOptions{Codec: "none", Acks: "all", Idempotent: true}, sample(sampleOptions{Count: 30, Partitions: 3, Start: hourAgo()}))
			must(t, err)
			t.Run("leader-epochs", func(t *testing.T) { checkLeaderEpochs(t, f, topic) })
			t.Run("configs", func(t *testing.T) { checkFranzConfigs(t, f, topic, c.name == "oldest") })
			t.Run("partitions", func(t *testing.T) { checkFranzPartitions(t, f, topic) })
			t.Run("records", func(t *testing.T) { checkFranzRecords(t, f, topic) })
			t.Run("unknown-topic", func(t *testing.T) { checkFranzUnknown(t, f) })
		})
	}
}

func checkLeaderEpochs(t *testing.T, f *franz, topic string) {
	ctx, cancel := limited()
	defer cancel()
	ends, err := f.admin.ListEndOffsets(ctx, topic)
	must(t, errors.Join(err, ends.Error()))
	end, _ := ends.Lookup(topic, 1)
	epoch := max(end.LeaderEpoch, 0) // the oldest versions do not tell
	var ask kadm.OffsetForLeaderEpochRequest
	ask.Add(topic, 1, epoch)
	answer, err := f.admin.OffsetForLeaderEpoch(ctx, ask)
	must(t, err)
	if got := answer[topic][1]; got.Err != nil || got.LeaderEpoch != epoch || got.EndOffset != 10 {
		t.Errorf("epoch %d ends at %+v, want offset 10", epoch, got)
	}
}

// checkFranzConfigs changes a setting and reads it back: with IncrementalAlterConfigs,
// or with AlterConfigs, which replaces all settings there are.
func checkFranzConfigs(t *testing.T, f *franz, topic string, replace bool) {
	ctx, cancel := limited()
	defer cancel()
	alter := f.admin.AlterTopicConfigs
	if replace {
		alter = f.admin.AlterTopicConfigsState
	}
	value, bad := "86400000", "soon"
	answers, err := alter(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, topic)
	must(t, errors.Join(err, answers[0].Err))
	eventually(t, "the setting is described", func() bool {
		described, err := f.admin.DescribeTopicConfigs(ctx, topic)
		must(t, errors.Join(err, described[0].Err))
		for _, c := range described[0].Configs {
			if c.Key == "retention.ms" {
				return c.MaybeValue() == value
			}
		}
		return false
	})
	answers, err = alter(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &bad}}, topic)
	must(t, err)
	if !errors.Is(answers[0].Err, kerr.InvalidConfig) {
		t.Errorf("a bad value: %v, want %v", answers[0].Err, kerr.InvalidConfig)
	}
}

func checkFranzPartitions(t *testing.T, f *franz, topic string) {
	ctx, cancel := limited()
	defer cancel()
	answers, err := f.admin.UpdatePartitions(ctx, 5, topic)
	must(t, errors.Join(err, answers.Error()))
	eventually(t, "five partitions", func() bool {
		topics, err := f.Topics()
		must(t, err)
		return topics[topic] == 5
	})
}

func checkFranzRecords(t *testing.T, f *franz, topic string) {
	ctx, cancel := limited()
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 4, -1)
	answers, err := f.admin.DeleteRecords(ctx, offsets)
	must(t, errors.Join(err, answers.Error()))
	if got, _ := answers.Lookup(topic, 0); got.LowWatermark != 4 {
		t.Errorf("low watermark %d, want 4", got.LowWatermark)
	}
	starts, err := f.admin.ListStartOffsets(ctx, topic)
	must(t, errors.Join(err, starts.Error()))
	if start, _ := starts.Lookup(topic, 0); start.Offset != 4 {
		t.Errorf("start offset %d, want 4", start.Offset)
	}
}

func checkFranzUnknown(t *testing.T, f *franz) {
	ctx, cancel := limited()
	defer cancel()
	topics, err := f.admin.ListTopics(ctx, "no-such-topic")
	must(t, err)
	if got := topics["no-such-topic"].Err; !errors.Is(got, kerr.UnknownTopicOrPartition) {
		t.Errorf("metadata of a topic that is not there: %v", got)
	}
	ends, err := f.admin.ListEndOffsets(ctx, "no-such-topic")
	must(t, err)
	if got := ends.Error(); got != nil && !errors.Is(got, kerr.UnknownTopicOrPartition) {
		t.Errorf("offsets of a topic that is not there: %v", got)
	}
	_, err = f.admin.DeleteTopic(ctx, "no-such-topic")
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("deleting a topic that is not there: %v", err)
	}
}

// TestSaramaAdmin asks with sarama's admin client, which still sends AlterConfigs.
func TestSaramaAdmin(t *testing.T) {
	b := startBroker(t)
	s, err := openSarama(b)
	must(t, err)
	defer s.Close()
	topic := createTopic(t, s, 2)
	value, want := "86400000", map[string]string{"retention.ms": "86400000", "cleanup.policy": "delete"}
	must(t, s.admin.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false))
	eventually(t, "the setting is described", func() bool {
		resource := &sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms", "cleanup.policy"}}
		results, err := s.admin.DescribeConfigs([]*sarama.ConfigResource{resource}, sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true})
		must(t, err)
		got := map[string]string{}
		for _, e := range results[0].Configs {
			got[e.Name] = e.Value
		}
		return maps.Equal(got, want)
	})
	must(t, s.admin.CreatePartitions(topic, 4, nil, false))
	_, err = s.Produce(topic, ProduceOptions{Codec: "none", Acks: "all"}, Sample(10, hourAgo()))
	must(t, err)
	must(t, s.admin.DeleteRecords(topic, map[int32]int64{0: 3}))
	oldest, err := s.client.GetOffset(topic, 0, sarama.OffsetOldest)
	must(t, err)
	if oldest != 3 {
		t.Errorf("oldest offset %d, want 3", oldest)
	}
	brokers, controller, err := s.admin.DescribeCluster()
	must(t, err)
	if len(brokers) != 1 || controller != 1 {
		t.Errorf("%d brokers, controller %d", len(brokers), controller)
	}
	dirs, err := s.admin.DescribeLogDirs([]int32{1})
	must(t, err)
	if len(dirs[1]) != 1 || dirs[1][0].ErrorCode != sarama.ErrNoError {
		t.Errorf("log directories: %+v", dirs)
	}
}
