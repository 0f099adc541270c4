package broker_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRepeatedQuestions: an element of a few bytes may be answered with thousands, so what is asked for again and again is told once.
func TestRepeatedQuestions(t *testing.T) {
	r := newRig(t, map[string]string{"offsets.topic.num.partitions": "1"})
	r.create("t", 100)
	const times = 1000
	metadata := kmsg.NewPtrMetadataRequest()
	byName, byID := kmsg.NewMetadataRequestTopic(), kmsg.NewMetadataRequestTopic()
	byName.Topic = kmsg.StringPtr("t")
	metadata.Topics = slices.Repeat([]kmsg.MetadataRequestTopic{byName}, times)
	out := ask[*kmsg.MetadataResponse](r, metadata, 12)
	if len(out.Topics) != 1 || len(out.Topics[0].Partitions) != 100 {
		t.Errorf("%d topics", len(out.Topics))
	}
	byID.TopicID = out.Topics[0].TopicID
	other := kmsg.NewMetadataRequestTopic()
	other.Topic = kmsg.StringPtr("u")
	metadata.Topics, metadata.AllowAutoTopicCreation = slices.Repeat([]kmsg.MetadataRequestTopic{byID, other}, times), false
	if out = ask[*kmsg.MetadataResponse](r, metadata, 12); len(out.Topics) != 2 {
		t.Errorf("%d topics", len(out.Topics))
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	topic := resource
	topic.ResourceType, topic.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
	configs.Resources = slices.Repeat([]kmsg.DescribeConfigsRequestResource{resource, topic}, times)
	if out := ask[*kmsg.DescribeConfigsResponse](r, configs, 4); len(out.Resources) != 2 || len(out.Resources[0].Configs) < 50 {
		t.Errorf("%d resources", len(out.Resources))
	}
	groups := slices.Repeat([]string{"g", "h"}, times)
	classic := kmsg.NewPtrDescribeGroupsRequest()
	classic.Groups = slices.Clone(groups)
	if out := ask[*kmsg.DescribeGroupsResponse](r, classic, 5); len(out.Groups) != 2 {
		t.Errorf("%d groups", len(out.Groups))
	}
	modern := kmsg.NewPtrConsumerGroupDescribeRequest()
	modern.Groups = groups
	if out := ask[*kmsg.ConsumerGroupDescribeResponse](r, modern, 0); len(out.Groups) != 2 {
		t.Errorf("%d groups", len(out.Groups))
	}
	offsets := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "g"
	offsets.Groups = slices.Repeat([]kmsg.OffsetFetchRequestGroup{g}, times)
	if out := ask[*kmsg.OffsetFetchResponse](r, offsets, 9); len(out.Groups) != 1 {
		t.Errorf("%d groups", len(out.Groups))
	}
	producers := kmsg.NewPtrDescribeProducersRequest()
	of := kmsg.NewDescribeProducersRequestTopic()
	of.Topic, of.Partitions = "t", slices.Repeat([]int32{0, 1}, times)
	producers.Topics = append(producers.Topics, of, of)
	if out := ask[*kmsg.DescribeProducersResponse](r, producers, 0); len(out.Topics) != 1 || len(out.Topics[0].Partitions) != 2 {
		t.Errorf("%d topics", len(out.Topics))
	}
	dirs := kmsg.NewPtrDescribeLogDirsRequest()
	in := kmsg.NewDescribeLogDirsRequestTopic()
	in.Topic, in.Partitions = "t", slices.Repeat([]int32{3, 4}, times)
	dirs.Topics = append(dirs.Topics, in)
	if out := ask[*kmsg.DescribeLogDirsResponse](r, dirs, 4); len(out.Dirs[0].Topics) != 1 || len(out.Dirs[0].Topics[0].Partitions) != 2 {
		t.Errorf("%+v", out.Dirs)
	}
}
