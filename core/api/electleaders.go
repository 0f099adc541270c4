package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// electLeaders gives preferred replicas the lead, or partitions without a leader any that there is (KIP-460). API key 43, versions 0 to 2.
//
//	v1  unclean elections, a code for the whole request
//	v2  flexible encoding
//
// It replies when the leaders are elected. Asked for all partitions it leaves out those that need no election.
func (h *Handlers) electLeaders(c *Call, r *kmsg.ElectLeadersRequest) {
	kind := controller.ElectionType(r.ElectionType)
	if r.Version < 1 {
		kind = controller.PreferredElection
	}
	var list []controller.TopicPartitions
	for _, t := range r.Topics {
		list = append(list, controller.TopicPartitions{Topic: t.Topic, Partitions: t.Partitions})
	}
	var answers []controller.ElectedLeader
	var refusal controller.Refusal
	h.decide(func() (records []metadata.Record) {
		records, answers, refusal = h.Controller.ElectLeaders(kind, list, r.Topics == nil)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.ElectLeadersResponse)
		out.Topics = []kmsg.ElectLeadersResponseTopic{}
		out.ErrorCode, _ = outcome(refusal, err)
		if answers == nil {
			for _, l := range list {
				for _, i := range l.Partitions {
					answers = append(answers, controller.ElectedLeader{Topic: l.Topic, Index: i, Refusal: refusal})
				}
			}
		}
		for i := range answers {
			a := &answers[i]
			if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != a.Topic {
				to := kmsg.NewElectLeadersResponseTopic()
				to.Topic = a.Topic
				out.Topics = append(out.Topics, to)
			}
			po := kmsg.NewElectLeadersResponseTopicPartition()
			po.Partition = a.Index
			po.ErrorCode, po.ErrorMessage = outcome(a.Refusal, err)
			to := &out.Topics[len(out.Topics)-1]
			to.Partitions = append(to.Partitions, po)
		}
		c.Answer(out)
	})
}
