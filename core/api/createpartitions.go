package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions makes topics grow. API key 37, versions 0 to 3.
//
// It replies when the new partitions can be written to.
func (h *Handlers) createPartitions(c *Call, r *kmsg.CreatePartitionsRequest) {
	var topics []controller.GrowTopic
	for i := range r.Topics {
		t := &r.Topics[i]
		g := controller.GrowTopic{Name: t.Topic, Count: t.Count, Assigned: t.Assignment != nil}
		for _, a := range t.Assignment {
			g.Assignments = append(g.Assignments, nodes(a.Replicas))
		}
		topics = append(topics, g)
	}
	var answers []controller.GrownTopic
	h.decideAndOpen(func() (records []metadata.Record) {
		records, answers = h.Controller.CreatePartitions(topics, r.ValidateOnly)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.CreatePartitionsResponse)
		out.Topics = []kmsg.CreatePartitionsResponseTopic{}
		if answers == nil {
			for _, t := range topics {
				answers = append(answers, controller.GrownTopic{Name: t.Name})
			}
		}
		for i := range answers {
			to := kmsg.NewCreatePartitionsResponseTopic()
			to.Topic = answers[i].Name
			to.ErrorCode, to.ErrorMessage = outcome(answers[i].Refusal, err)
			out.Topics = append(out.Topics, to)
		}
		c.Answer(out)
	})
}
