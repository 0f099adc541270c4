package api

import (
	"fmt"
	"strconv"

	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupResource is the type of groups among resources.
const groupResource = kmsg.ConfigResourceType(controller.GroupResource)

// describeConfigs shows the settings of topics, brokers and groups. API key 32, versions 1 to 4.
//
//	v1  synonyms: where a value comes from
//	v3  types and documentation
//	v4  flexible encoding
//
// A broker resource without a name stands for what was altered for all brokers.
func (h *Handlers) describeConfigs(c *Call, r *kmsg.DescribeConfigsRequest) {
	out := r.ResponseKind().(*kmsg.DescribeConfigsResponse)
	r.Resources = distinct(r.Resources, func(ask *kmsg.DescribeConfigsRequestResource) askedResource {
		return askedResource{ask.ResourceType, ask.ResourceName}
	})
	left := h.describable
	for i := range r.Resources {
		ask := &r.Resources[i]
		to := kmsg.NewDescribeConfigsResponseResource()
		to.ResourceType, to.ResourceName = ask.ResourceType, ask.ResourceName
		settings, code, message := h.settingsOf(ask, left)
		left -= len(settings)
		to.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		if to.ErrorCode = int16(code); code != wire.None {
			to.ErrorMessage = tellable(message)
		}
		for j := range settings {
			to.Configs = append(to.Configs, describeSetting(&settings[j], r))
		}
		out.Resources = append(out.Resources, to)
	}
	c.Answer(out)
}

type askedResource struct {
	kind kmsg.ConfigResourceType
	name string
}

// mostDescribed bounds the settings in one answer: those of some ten thousand topics. A resource takes a few bytes of a request, and some thousands of the answer.
const mostDescribed = 500_000

// settingsOf finds the settings of one resource, if the answer has room for any more.
func (h *Handlers) settingsOf(ask *kmsg.DescribeConfigsRequestResource, left int) ([]config.Described, wire.ErrorCode, string) {
	if left <= 0 {
		return nil, wire.PolicyViolation, "the answer would be too long; ask for fewer resources at once"
	}
	static := h.Config().Static
	switch ask.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := controller.ValidTopicName(ask.ResourceName); err != nil {
			return nil, wire.InvalidTopicException, err.Error()
		}
		t := h.Image.Topic(ask.ResourceName)
		if t == nil {
			return nil, wire.UnknownTopicOrPartition, wire.UnknownTopicOrPartition.Message()
		}
		return config.DescribeTopic(t.Config, h.Image.Defaults(h.Node, static), ask.ConfigNames), wire.None, ""
	case kmsg.ConfigResourceTypeBroker:
		if ask.ResourceName == "" {
			return config.DescribeClusterWide(h.Image.ClusterConfig(), ask.ConfigNames), wire.None, ""
		}
		if id, err := strconv.ParseInt(ask.ResourceName, 10, 32); err != nil || int32(id) != int32(h.Node) {
			return nil, wire.InvalidRequest, fmt.Sprintf("broker %q was asked for, this is broker %d: ask each broker for its own settings", ask.ResourceName, h.Node)
		}
		return config.DescribeBroker(h.Image.Defaults(h.Node, static), ask.ConfigNames), wire.None, ""
	case groupResource:
		if ask.ResourceName == "" {
			return nil, wire.InvalidRequest, "no group is named"
		}
		return config.DescribeGroup(h.Image.GroupConfig(ask.ResourceName), h.Image.Defaults(h.Node, static), ask.ConfigNames), wire.None, ""
	}
	return nil, wire.InvalidRequest, fmt.Sprintf("resources of type %d have no settings here", ask.ResourceType)
}

func describeSetting(d *config.Described, r *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	to := kmsg.NewDescribeConfigsResponseResourceConfig()
	to.Name, to.ReadOnly, to.IsSensitive = d.Key.Name, d.ReadOnly, d.Key.Sensitive()
	to.Source, to.IsDefault = kmsg.ConfigSource(d.Source), d.Source == config.FromDefault
	to.ConfigType = kmsg.ConfigType(d.Key.Type)
	if !d.Null {
		to.Value = &d.Value
	}
	to.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
	if r.IncludeSynonyms {
		for i := range d.Synonyms {
			s := &d.Synonyms[i]
			so := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			so.Name, so.Source = s.Name, kmsg.ConfigSource(s.Source)
			if !d.Key.Sensitive() {
				so.Value = &s.Value
			}
			to.ConfigSynonyms = append(to.ConfigSynonyms, so)
		}
	}
	if r.IncludeDocumentation {
		text := d.Key.Documentation()
		to.Documentation = &text
	}
	return to
}
