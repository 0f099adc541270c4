package controller

import (
	"fmt"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// GrowTopic asks for a topic to have more partitions.
type GrowTopic struct {
	Name  string
	Count int32 // of all partitions afterwards
	// Assignments places the new partitions' replicas, in order; nil leaves it to the controller.
	Assignments [][]record.NodeID
	Assigned    bool // Assignments is meant even if it is empty
}

// GrownTopic answers for one topic.
type GrownTopic struct {
	Name string
	Refusal
}

// CreatePartitions decides about more partitions. There is one answer for each name, in the order of the request; a name
// that the request has twice is refused.
func (c *Controller) CreatePartitions(topics []GrowTopic, validateOnly bool) ([]metadata.Record, []GrownTopic) {
	times := make(map[string]int, len(topics))
	for i := range topics {
		times[topics[i].Name]++
	}
	var records []metadata.Record
	var answers []GrownTopic
	left := maxPartitionsPerRequest
	for i := range topics {
		t := &topics[i]
		switch n := times[t.Name]; {
		case n < 0: // answered
		case n > 1:
			times[t.Name] = -1
			answers = append(answers, GrownTopic{t.Name, refuse(wire.InvalidRequest, "the request has the topic "+t.Name+" more than once")})
		default:
			more, refusal := c.grow(t, left)
			records = append(records, more...)
			left -= len(more)
			answers = append(answers, GrownTopic{t.Name, refusal})
		}
	}
	if validateOnly {
		records = nil
	}
	return records, answers
}

func (c *Controller) grow(t *GrowTopic, left int) ([]metadata.Record, Refusal) {
	topic := c.Image.Topic(t.Name)
	if topic == nil {
		return nil, refuse(wire.UnknownTopicOrPartition, "")
	}
	have := len(topic.Partitions)
	more := int(t.Count) - have
	assigned := t.Assigned || len(t.Assignments) > 0
	switch {
	case more == 0:
		return nil, refuse(wire.InvalidPartitions, fmt.Sprintf("topic %s already has %d partition(s)", t.Name, have))
	case more < 0:
		return nil, refuse(wire.InvalidPartitions, fmt.Sprintf("topic %s has %d partition(s), and %d would not be more", t.Name, have, t.Count))
	case assigned && len(t.Assignments) != more:
		return nil, refuse(wire.InvalidReplicaAssignment, fmt.Sprintf("%d partition(s) are to be added, but %d are assigned", more, len(t.Assignments)))
	case more > left:
		return nil, refuse(wire.PolicyViolation, tooManyPartitions)
	}
	factor := len(topic.Partitions[0].Replicas)
	rules := rulesOf(c.topicSettings(topic))
	var partitions []metadata.Partition
	var refusal Refusal
	if assigned {
		for i, replicas := range t.Assignments {
			p, refusal := c.manual(int32(have+i), replicas, factor, rules)
			if refusal.Refused() {
				return nil, refusal
			}
			partitions = append(partitions, p)
		}
	} else if partitions, refusal = c.place(placement{first: have, count: more, replicas: factor, rules: rules}); refusal.Refused() {
		return nil, refusal
	}
	records := make([]metadata.Record, len(partitions))
	for i := range partitions {
		records[i] = &metadata.PartitionChanged{Topic: topic.ID, Index: int32(have + i), Partition: partitions[i]}
	}
	return records, Refusal{}
}
