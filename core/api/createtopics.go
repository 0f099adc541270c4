package api

import (
	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics makes topics. API key 19, versions 2 to 7.
//
//	v4  -1 for the broker's default number of partitions and replicas (KIP-464)
//	v5  flexible encoding, what the topic was made as (KIP-525)
//	v7  topic ids
//
// It replies when the topics exist and their partitions can be written to.
func (h *Handlers) createTopics(c *Call, r *kmsg.CreateTopicsRequest) {
	request := controller.CreateTopics{ValidateOnly: r.ValidateOnly}
	for i := range r.Topics {
		request.Topics = append(request.Topics, newTopic(&r.Topics[i]))
	}
	var answers []controller.CreatedTopic
	h.decideAndOpen(func() (records []metadata.Record) {
		records, answers = h.Controller.CreateTopics(request)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.CreateTopicsResponse)
		out.Topics = []kmsg.CreateTopicsResponseTopic{}
		if answers == nil {
			for _, t := range request.Topics {
				answers = append(answers, controller.CreatedTopic{Name: t.Name})
			}
		}
		for i := range answers {
			out.Topics = append(out.Topics, h.createdTopic(&answers[i], err))
		}
		c.Answer(out)
	})
}

func newTopic(t *kmsg.CreateTopicsRequestTopic) controller.NewTopic {
	out := controller.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
	for _, a := range t.ReplicaAssignment {
		out.Assignments = append(out.Assignments, controller.Assignment{Partition: a.Partition, Replicas: nodes(a.Replicas)})
	}
	for _, s := range t.Configs {
		v := controller.ConfigValue{Key: s.Name, Null: s.Value == nil}
		if s.Value != nil {
			v.Value = *s.Value
		}
		out.Configs = append(out.Configs, v)
	}
	return out
}

func (h *Handlers) createdTopic(t *controller.CreatedTopic, err error) kmsg.CreateTopicsResponseTopic {
	to := kmsg.NewCreateTopicsResponseTopic()
	to.Topic, to.NumPartitions, to.ReplicationFactor = t.Name, -1, -1
	to.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // Java's admin client cannot read null
	if to.ErrorCode, to.ErrorMessage = outcome(t.Refusal, err); to.ErrorCode != 0 {
		return to
	}
	to.TopicID, to.NumPartitions, to.ReplicationFactor = t.ID, t.Partitions, t.ReplicationFactor
	for _, d := range config.DescribeTopic(t.Config, h.Image.Defaults(h.Node, h.Config().Static), nil) {
		s := kmsg.NewCreateTopicsResponseTopicConfig()
		s.Name, s.Source, s.ReadOnly, s.IsSensitive = d.Key.Name, int8(d.Source), d.ReadOnly, d.Key.Sensitive()
		if !d.Null {
			s.Value = &d.Value
		}
		to.Configs = append(to.Configs, s)
	}
	return to
}

// haveTopics has the active controller make topics that a client needs without having asked for them, and calls then once that is done, or cannot
// be: who asked looks again.
func (h *Handlers) haveTopics(topics []controller.NewTopic, then func()) {
	if h.Active() {
		h.decideAndOpen(func() []metadata.Record {
			records, _ := h.Controller.CreateTopics(controller.CreateTopics{Topics: topics})
			return records
		}, func(error) { then() })
		return
	}
	r := kmsg.NewPtrCreateTopicsRequest()
	r.SetVersion(r.MaxVersion())
	for i := range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topics[i].Name, topics[i].Partitions, topics[i].ReplicationFactor
		for j := range topics[i].Configs {
			s := kmsg.NewCreateTopicsRequestTopicConfig()
			s.Name, s.Value = topics[i].Configs[j].Key, &topics[i].Configs[j].Value
			t.Configs = append(t.Configs, s)
		}
		r.Topics = append(r.Topics, t)
	}
	h.AskController(r, func(kmsg.Response, error) { then() })
}
