package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics removes topics. API key 20, versions 1 to 6.
//
//	v4  flexible encoding
//	v6  topics by id
//
// It replies when the topics are gone from the cluster; their files follow in the background.
func (h *Handlers) deleteTopics(c *Call, r *kmsg.DeleteTopicsRequest) {
	var topics []controller.NamedTopic
	for _, name := range r.TopicNames {
		topics = append(topics, controller.NamedTopic{Name: name, ByName: true})
	}
	for _, t := range r.Topics {
		n := controller.NamedTopic{ID: t.TopicID, ByName: t.Topic != nil}
		if t.Topic != nil {
			n.Name = *t.Topic
		}
		topics = append(topics, n)
	}
	var answers []controller.DeletedTopic
	h.decide(func() (records []metadata.Record) {
		records, answers = h.Controller.DeleteTopics(topics)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.DeleteTopicsResponse)
		out.Topics = []kmsg.DeleteTopicsResponseTopic{}
		if answers == nil {
			for _, t := range topics {
				answers = append(answers, controller.DeletedTopic{NamedTopic: t})
			}
		}
		for i := range answers {
			a := &answers[i]
			to := kmsg.NewDeleteTopicsResponseTopic()
			to.TopicID = a.ID
			if a.Name != "" || a.ByName {
				to.Topic = &a.Name
			}
			to.ErrorCode, to.ErrorMessage = outcome(a.Refusal, err)
			out.Topics = append(out.Topics, to)
		}
		c.Answer(out)
	})
}
