package controller

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// ResourceType is what settings belong to, with Kafka's numbers.
type ResourceType int8

// The types of resources.
const (
	TopicResource        ResourceType = 2
	BrokerResource       ResourceType = 4
	BrokerLoggerResource ResourceType = 8
	ClientResource       ResourceType = 16
	GroupResource        ResourceType = 32
)

// Resource names what settings belong to: a topic or a group by its name; a broker by its id in digits, or all by an empty name.
type Resource struct {
	Type ResourceType
	Name string
}

// AlterConfigs asks for the settings of one resource to change. Either Changes says how, or, if Replace is set, the Set operations in it
// are all that the resource shall have.
type AlterConfigs struct {
	Resource Resource
	Changes  []config.Alteration
	Replace  bool
}

// AlteredConfigs answers for one resource.
type AlteredConfigs struct {
	Resource Resource
	Refusal
}

// AlterConfigs decides about settings. There is an answer for each item, in the order of the request; a resource that the
// request has twice is refused.
func (c *Controller) AlterConfigs(requests []AlterConfigs, validateOnly bool) ([]metadata.Record, []AlteredConfigs) {
	var records []metadata.Record
	answers := make([]AlteredConfigs, 0, len(requests))
	times := make(map[Resource]int, len(requests))
	altered := alteredSettings{own: map[record.TopicID]config.Overrides{}, defaults: c.defaults()}
	for i := range requests {
		times[requests[i].Resource]++
	}
	for i := range requests {
		r := &requests[i]
		answer := AlteredConfigs{Resource: r.Resource}
		var more []metadata.Record
		if times[r.Resource] > 1 {
			answer.Refusal = refuse(wire.InvalidRequest, "the request has the resource more than once")
		} else {
			more, answer.Refusal = c.alter(r, &altered)
		}
		records = append(records, more...)
		answers = append(answers, answer)
	}
	if validateOnly {
		return nil, answers
	}
	return append(records, c.obey(&altered)...), answers
}

func (c *Controller) alter(r *AlterConfigs, altered *alteredSettings) ([]metadata.Record, Refusal) {
	switch r.Resource.Type {
	case TopicResource:
		return c.alterTopic(r, altered)
	case BrokerResource:
		return c.alterBroker(r, altered)
	case GroupResource:
		return c.alterGroup(r)
	case BrokerLoggerResource, ClientResource:
		return nil, refuse(wire.InvalidRequest, fmt.Sprintf("settings of resources of type %d are not supported yet", r.Resource.Type))
	default:
		return nil, refuse(wire.InvalidRequest, fmt.Sprintf("there is no type of resource %d", r.Resource.Type))
	}
}

func (c *Controller) alterTopic(r *AlterConfigs, altered *alteredSettings) ([]metadata.Record, Refusal) {
	name := r.Resource.Name
	if name == "" {
		return nil, refuse(wire.InvalidRequest, "no topic is named, and topics have no common settings")
	}
	if err := ValidTopicName(name); err != nil {
		return nil, refuse(wire.InvalidTopicException, err.Error())
	}
	t := c.Image.Topic(name)
	if t == nil {
		return nil, refuse(wire.UnknownTopicOrPartition, "topic '"+name+"' does not exist")
	}
	before := t.Config
	if r.Replace {
		before = nil
	}
	after, err := config.AlterTopic(before, r.Changes)
	if err == nil {
		after, err = config.CheckTopic(after, c.defaults())
	}
	if err != nil {
		return nil, badConfig(err)
	}
	var records []metadata.Record
	altered.topics, altered.own[t.ID] = append(altered.topics, t), after
	differences(t.Config, after, func(s config.Setting, removed bool) {
		records = append(records, &metadata.TopicConfigured{Topic: t.ID, Key: s.Key, Value: s.Value, Removed: removed})
	})
	return records, Refusal{}
}

func (c *Controller) alterBroker(r *AlterConfigs, altered *alteredSettings) ([]metadata.Record, Refusal) {
	id, scope, current := metadata.NoNode, config.ClusterWide, c.Image.ClusterConfig()
	if name := r.Resource.Name; name != "" {
		n, err := strconv.ParseInt(name, 10, 32)
		if err != nil || n < 0 {
			return nil, refuse(wire.InvalidRequest, fmt.Sprintf("%.20q is no broker's id", name))
		}
		id, scope = record.NodeID(n), config.PerBroker
		if c.Image.Broker(id) == nil {
			return nil, refuse(wire.BrokerIDNotRegistered, fmt.Sprintf("broker %d is not registered", id))
		}
		current = c.Image.BrokerConfig(id)
	}
	before := current
	if r.Replace {
		before = nil
	}
	after, err := config.AlterBroker(before, r.Changes)
	if err == nil {
		after, err = config.CheckBroker(after, scope)
	}
	if err != nil {
		return nil, refuse(wire.InvalidRequest, err.Error()) // Kafka's code for every fault in a broker's settings
	}
	switch id {
	case metadata.NoNode:
		altered.defaults.Cluster, altered.all = after, true
	case c.Node:
		altered.defaults.Broker, altered.all = after, true
	}
	var records []metadata.Record
	differences(current, after, func(s config.Setting, removed bool) {
		records = append(records, &metadata.BrokerConfigured{Broker: id, Key: s.Key, Value: s.Value, Removed: removed})
	})
	return records, Refusal{}
}

// alterGroup decides about a group's settings. The group need not exist, now or ever.
func (c *Controller) alterGroup(r *AlterConfigs) ([]metadata.Record, Refusal) {
	name := r.Resource.Name
	if name == "" {
		return nil, refuse(wire.InvalidRequest, "no group is named, and groups have no common settings but the brokers'")
	}
	current := c.Image.GroupConfig(name)
	before := current
	if r.Replace {
		before = nil
	}
	after, err := config.AlterGroup(before, r.Changes)
	if err == nil {
		after, err = config.CheckGroup(after, c.defaults())
	}
	if err != nil {
		return nil, badConfig(err)
	}
	var records []metadata.Record
	differences(current, after, func(s config.Setting, removed bool) {
		records = append(records, &metadata.GroupConfigured{Group: name, Key: s.Key, Value: s.Value, Removed: removed})
	})
	return records, Refusal{}
}

func badConfig(err error) Refusal {
	var m config.MalformedAlteration
	if errors.As(err, &m) {
		return refuse(wire.InvalidRequest, err.Error())
	}
	return refuse(wire.InvalidConfig, err.Error())
}

// differences visits what turns before into after.
func differences(before, after config.Overrides, visit func(s config.Setting, removed bool)) {
	for _, s := range before {
		if _, still := after.Value(s.Key); !still {
			visit(config.Setting{Key: s.Key}, true)
		}
	}
	for _, s := range after {
		if !slices.Contains(before, s) {
			visit(s, false)
		}
	}
}
