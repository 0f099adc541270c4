package controller

import (
	"encoding/binary"
	"fmt"
	"strings"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// CreateTopics asks for topics.
type CreateTopics struct {
	Topics       []NewTopic
	ValidateOnly bool // answer as if, but change nothing
}

// NewTopic is a topic to be made. Either Assignments places every replica, and the counts are -1, or the counts say how many.
type NewTopic struct {
	Name              string
	Partitions        int32 // -1: the default
	ReplicationFactor int16 // -1: the default
	Assignments       []Assignment
	Configs           []ConfigValue
}

// Assignment places the replicas of one partition, the preferred leader first.
type Assignment struct {
	Partition int32
	Replicas  []record.NodeID
}

// ConfigValue gives one setting a value.
type ConfigValue struct {
	Key   string
	Value string
	Null  bool // there is no value
}

// CreatedTopic answers for one topic. If it is not refused the rest says what it was made as.
type CreatedTopic struct {
	Name string
	Refusal
	ID                record.TopicID
	Partitions        int32
	ReplicationFactor int16
	Config            config.Overrides
}

// CreateTopics decides about new topics. There is one answer for each name, in the order of the request; a name that
// the request has twice is refused.
func (c *Controller) CreateTopics(r CreateTopics) ([]metadata.Record, []CreatedTopic) {
	d := creation{Controller: c, left: maxPartitionsPerRequest}
	answers := make([]CreatedTopic, 0, len(r.Topics))
	times := make(map[string]int, len(r.Topics))
	for i := range r.Topics {
		times[r.Topics[i].Name]++
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		switch n := times[t.Name]; {
		case n < 0: // answered
		case n > 1:
			times[t.Name] = -1
			answers = append(answers, CreatedTopic{Name: t.Name, Refusal: refuse(wire.InvalidRequest, "the request has the topic "+t.Name+" more than once")})
		default:
			answers = append(answers, d.create(t))
		}
	}
	if r.ValidateOnly {
		return nil, answers
	}
	return d.records, answers
}

// creation gathers the records of one request.
type creation struct {
	*Controller
	records []metadata.Record
	made    []string
	taken   map[string]string // nil until somebody asks; see names
	left    int               // partitions that the request may still make
}

func (d *creation) create(t *NewTopic) CreatedTopic {
	answer := CreatedTopic{Name: t.Name}
	if answer.Refusal = d.checkName(t.Name); answer.Refused() {
		return answer
	}
	if answer.Config, answer.Refusal = d.checkConfigs(t.Configs); answer.Refused() {
		return answer
	}
	var partitions []metadata.Partition
	if partitions, answer.Refusal = d.partitionsOf(t, rulesOf(config.NewTopic(answer.Config, d.defaults()))); answer.Refused() {
		return answer
	}
	d.left -= len(partitions)
	answer.ID = d.newTopicID()
	answer.Partitions, answer.ReplicationFactor = int32(len(partitions)), int16(len(partitions[0].Replicas))
	d.made = append(d.made, t.Name)
	if d.taken != nil {
		d.taken[unified(t.Name)] = t.Name
	}
	d.records = append(d.records, &metadata.TopicCreated{ID: answer.ID, Name: t.Name})
	for _, s := range answer.Config {
		d.records = append(d.records, &metadata.TopicConfigured{Topic: answer.ID, Key: s.Key, Value: s.Value})
	}
	for i := range partitions {
		d.records = append(d.records, &metadata.PartitionChanged{Topic: answer.ID, Index: int32(i), Partition: partitions[i]})
	}
	return answer
}

func (d *creation) checkName(name string) Refusal {
	if name == MetadataTopic {
		return refuse(wire.TopicAuthorizationFailed, "the topic "+name+" belongs to the cluster")
	}
	if err := ValidTopicName(name); err != nil {
		return refuse(wire.InvalidTopicException, err.Error())
	}
	if d.Image.Topic(name) != nil {
		return refuse(wire.TopicAlreadyExists, "topic '"+name+"' already exists")
	}
	if !strings.ContainsAny(name, "._") {
		return Refusal{}
	}
	if other, taken := d.names()[unified(name)]; taken {
		return collision(name, other)
	}
	return Refusal{}
}

// names are the topics that there are, and those that the request has made so far, by what their names are unified to.
func (d *creation) names() map[string]string {
	if d.taken == nil {
		d.taken = make(map[string]string)
		for _, t := range d.Image.Topics() {
			d.taken[unified(t.Name)] = t.Name
		}
		for _, name := range d.made {
			d.taken[unified(name)] = name
		}
	}
	return d.taken
}

func collision(name, other string) Refusal {
	return refuse(wire.InvalidTopicException,
		fmt.Sprintf("topic '%s' differs from the topic '%s' in '.' and '_' only, which names of metrics cannot tell apart", name, other))
}

func (d *creation) checkConfigs(configs []ConfigValue) (config.Overrides, Refusal) {
	if len(configs) > config.MaxChanges {
		return nil, refuse(wire.InvalidConfig, fmt.Sprintf("the topic has %d settings, at most %d are allowed", len(configs), config.MaxChanges))
	}
	var own config.Overrides
	for _, v := range configs {
		if v.Null {
			return nil, refuse(wire.InvalidConfig, "key "+v.Key+" has no value")
		}
		own = own.With(v.Key, v.Value)
	}
	own, err := config.CheckTopic(own, d.defaults())
	if err != nil {
		return nil, refuse(wire.InvalidConfig, err.Error())
	}
	return own, Refusal{}
}

func (d *creation) partitionsOf(t *NewTopic, rules topicRules) ([]metadata.Partition, Refusal) {
	switch {
	case len(t.Assignments) > 0 && t.ReplicationFactor != -1:
		return nil, refuse(wire.InvalidRequest, "replicas are assigned by hand, so the replication factor must be -1")
	case len(t.Assignments) > 0 && t.Partitions != -1:
		return nil, refuse(wire.InvalidRequest, "replicas are assigned by hand, so the number of partitions must be -1")
	case len(t.Assignments) > d.left:
		return nil, refuse(wire.PolicyViolation, tooManyPartitions)
	case len(t.Assignments) > 0:
		return d.assigned(t.Assignments, rules)
	case t.ReplicationFactor < -1 || t.ReplicationFactor == 0:
		return nil, refuse(wire.InvalidReplicationFactor, "the replication factor must be above 0, or -1 for the default")
	case t.Partitions < -1 || t.Partitions == 0:
		return nil, refuse(wire.InvalidPartitions, "the number of partitions must be above 0, or -1 for the default")
	}
	count, factor := t.Partitions, t.ReplicationFactor
	if count == -1 {
		count = d.NumPartitions
	}
	if factor == -1 {
		factor = d.DefaultReplicationFactor
	}
	if int(count) > d.left {
		return nil, refuse(wire.PolicyViolation, tooManyPartitions)
	}
	return d.place(placement{count: int(count), replicas: int(factor), rules: rules})
}

// assigned takes partitions that were placed by hand. Their indexes must be 0, 1, 2... in any order.
func (d *creation) assigned(assignments []Assignment, rules topicRules) ([]metadata.Partition, Refusal) {
	partitions := make([]metadata.Partition, len(assignments))
	for _, a := range assignments {
		if a.Partition < 0 || int(a.Partition) >= len(partitions) {
			return nil, refuse(wire.InvalidReplicaAssignment, "partitions that are assigned by hand must be numbered from 0 without gaps")
		}
		p := &partitions[a.Partition]
		if p.Replicas != nil {
			return nil, refuse(wire.InvalidReplicaAssignment, fmt.Sprintf("partition %d is assigned more than once", a.Partition))
		}
		made, refusal := d.manual(a.Partition, a.Replicas, len(assignments[0].Replicas), rules)
		if refusal.Refused() {
			return nil, refusal
		}
		*p = made
	}
	return partitions, Refusal{}
}

// newTopicID draws an id that is not in use and that is none of those with a meaning of their own: zero, and the small
// numbers of which Kafka has given some to its metadata log.
func (c *Controller) newTopicID() record.TopicID {
	for {
		var id record.TopicID
		binary.BigEndian.PutUint64(id[:8], c.Rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], c.Rand.Uint64())
		id[6] = id[6]&0x0f | 0x40 // version 4 and the variant of RFC 9562, as other tools expect
		id[8] = id[8]&0x3f | 0x80
		// A text that begins with a dash would be taken for an option on command lines.
		if id.String()[0] != '-' && c.Image.TopicByID(id) == nil {
			return id
		}
	}
}

// NamedTopic is a topic to be deleted, by its name or by its id.
type NamedTopic struct {
	Name   string
	ByName bool
	ID     record.TopicID // zero if ByName
}

// DeletedTopic answers for one topic, with name and id as far as they are known.
type DeletedTopic struct {
	NamedTopic
	Refusal
}

// DeleteTopics decides about topics to delete. There is an answer for each item, in the order of the request.
func (c *Controller) DeleteTopics(topics []NamedTopic) ([]metadata.Record, []DeletedTopic) {
	var records []metadata.Record
	answers := make([]DeletedTopic, 0, len(topics))
	named := map[string]int{}
	ids := map[record.TopicID]int{}
	for _, t := range topics {
		if t.ByName {
			named[t.Name]++
		} else {
			ids[t.ID]++
		}
	}
	gone := map[record.TopicID]bool{}
	for _, t := range topics {
		answer := DeletedTopic{NamedTopic: t}
		topic := c.Image.TopicByID(t.ID)
		if t.ByName {
			topic = c.Image.Topic(t.Name)
		}
		answer.Refusal = c.checkDelete(t, topic)
		switch {
		case answer.Refused():
		case t.ByName && named[t.Name] > 1 || !t.ByName && ids[t.ID] > 1 || gone[topic.ID]:
			answer.Refusal = refuse(wire.InvalidRequest, "the request has the topic more than once")
		default:
			answer.Name, answer.ID = topic.Name, topic.ID
			gone[topic.ID] = true
			records = append(records, &metadata.TopicDeleted{ID: topic.ID})
		}
		answers = append(answers, answer)
	}
	return records, answers
}

func (c *Controller) checkDelete(t NamedTopic, topic *metadata.Topic) Refusal {
	switch {
	case !c.DeleteTopicEnable:
		return refuse(wire.TopicDeletionDisabled, "delete.topic.enable is false")
	case t.ByName && !t.ID.IsZero():
		return refuse(wire.InvalidRequest, "a topic is meant by its name or by its id, not by both")
	case !t.ByName && t.ID.IsZero():
		return refuse(wire.InvalidRequest, "neither a topic's name nor its id is given")
	case topic == nil && t.ByName:
		return refuse(wire.UnknownTopicOrPartition, "")
	case topic == nil:
		return refuse(wire.UnknownTopicID, "")
	}
	return Refusal{}
}
