package api

import (
	"errors"
	"slices"
	"time"

	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs replaces all settings of topics, brokers and groups. API key 33, versions 0 to 2. Clients have given it up for
// IncrementalAlterConfigs, because it resets what it does not name.
func (h *Handlers) alterConfigs(c *Call, r *kmsg.AlterConfigsRequest) {
	var requests []controller.AlterConfigs
	for i := range r.Resources {
		a := alteration(r.Resources[i].ResourceType, r.Resources[i].ResourceName)
		a.Replace = true
		for _, s := range r.Resources[i].Configs {
			a.Changes = append(a.Changes, change(s.Name, config.Set, s.Value))
		}
		requests = append(requests, a)
	}
	h.alter(requests, r.ValidateOnly, func(answers []controller.AlteredConfigs, err error) {
		out := r.ResponseKind().(*kmsg.AlterConfigsResponse)
		out.Resources = []kmsg.AlterConfigsResponseResource{}
		for i := range answers {
			a := &answers[i]
			to := kmsg.NewAlterConfigsResponseResource()
			to.ResourceType, to.ResourceName = kmsg.ConfigResourceType(a.Resource.Type), a.Resource.Name
			to.ErrorCode, to.ErrorMessage = outcome(a.Refusal, err)
			out.Resources = append(out.Resources, to)
		}
		c.Answer(out)
	})
}

// incrementalAlterConfigs changes single settings of topics, brokers and groups (KIP-339). API key 44, versions 0 and 1.
func (h *Handlers) incrementalAlterConfigs(c *Call, r *kmsg.IncrementalAlterConfigsRequest) {
	var requests []controller.AlterConfigs
	for i := range r.Resources {
		a := alteration(r.Resources[i].ResourceType, r.Resources[i].ResourceName)
		for _, s := range r.Resources[i].Configs {
			a.Changes = append(a.Changes, change(s.Name, config.Operation(s.Op), s.Value))
		}
		requests = append(requests, a)
	}
	h.alter(requests, r.ValidateOnly, func(answers []controller.AlteredConfigs, err error) {
		out := r.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		out.Resources = []kmsg.IncrementalAlterConfigsResponseResource{}
		for i := range answers {
			a := &answers[i]
			to := kmsg.NewIncrementalAlterConfigsResponseResource()
			to.ResourceType, to.ResourceName = kmsg.ConfigResourceType(a.Resource.Type), a.Resource.Name
			to.ErrorCode, to.ErrorMessage = outcome(a.Refusal, err)
			out.Resources = append(out.Resources, to)
		}
		c.Answer(out)
	})
}

// alter has the controller decide about settings.
func (h *Handlers) alter(requests []controller.AlterConfigs, validateOnly bool, answer func([]controller.AlteredConfigs, error)) {
	var answers []controller.AlteredConfigs
	h.decide(func() (records []metadata.Record) {
		records, answers = h.Controller.AlterConfigs(requests, validateOnly)
		return records
	}, func(err error) {
		if answers == nil {
			for i := range requests {
				answers = append(answers, controller.AlteredConfigs{Resource: requests[i].Resource})
			}
		}
		if err != nil || validateOnly {
			answer(answers, err)
			return
		}
		h.whenInForce(answers, h.Clock.Now().Add(2*time.Duration(h.Config().SessionTimeoutMillis)*time.Millisecond), func(err error) {
			for i := range answers {
				if a := &answers[i]; err != nil && !a.Refused() {
					a.Refusal = controller.Refusal{Code: wire.RequestTimedOut, Message: err.Error()}
				}
			}
			answer(answers, nil)
		})
	})
}

// inForcePause is the time between two looks whether a policy is in force.
const inForcePause = 10 * time.Millisecond

var errNotInForce = errors.New("the change is made, but not every leader has said in time that it knows of the policy sync")

// whenInForce calls done when the leaders of all partitions that changes of settings have put under the policy sync know it: who is told that a change
// is made counts on it (D3). A leader that cannot be reached is replaced when its session is over, before the limit.
func (h *Handlers) whenInForce(changes []controller.AlteredConfigs, limit env.Instant, done func(error)) {
	switch {
	case !slices.ContainsFunc(changes, h.pending):
		done(nil)
	case h.Clock.Now() >= limit:
		done(errNotInForce)
	default:
		h.Timers.Start(new(timer.Timer), h.Clock.Now().Add(inForcePause), func() { h.whenInForce(changes, limit, done) })
	}
}

// pending reports whether a leader may still serve a partition that the change concerns under the policy async.
func (h *Handlers) pending(a controller.AlteredConfigs) bool {
	if a.Refusal.Refused() || h.Config().Lone() || a.Resource.Type != controller.TopicResource && a.Resource.Type != controller.BrokerResource {
		return false
	}
	sessions := h.Sessions()
	for _, t := range h.Image.Topics() {
		if a.Resource.Type == controller.TopicResource && t.Name != a.Resource.Name {
			continue
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if p.Leader >= 0 && p.Flush == metadata.FlushPending && (sessions == nil || !sessions.CaughtUp(p.Leader)) {
				return true
			}
		}
	}
	return false
}

func alteration(kind kmsg.ConfigResourceType, name string) controller.AlterConfigs {
	return controller.AlterConfigs{Resource: controller.Resource{Type: controller.ResourceType(kind), Name: name}}
}

func change(key string, op config.Operation, value *string) config.Alteration {
	a := config.Alteration{Key: key, Operation: op, Null: value == nil}
	if value != nil {
		a.Value = *value
	}
	return a
}
