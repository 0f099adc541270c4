package api

import (
	"lignum/core/controller"
	"lignum/core/metadata"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// updateFeatures fixes levels of features for the whole cluster (KIP-584). API key 57, versions 0 to 2.
//
//	v1  unsafe downgrades, validation only
//	v2  no results for each feature
//
// All features change, or none does.
func (h *Handlers) updateFeatures(c *Call, r *kmsg.UpdateFeaturesRequest) {
	var updates []controller.UpdateFeature
	for _, u := range r.FeatureUpdates {
		kind := controller.FeatureUpdate(u.UpgradeType)
		if r.Version < 1 {
			kind = controller.UpgradeFeature
			if u.AllowDowngrade {
				kind = controller.SafeDowngradeFeature
			}
		}
		updates = append(updates, controller.UpdateFeature{Name: u.Feature, Level: u.MaxVersionLevel, Kind: kind})
	}
	var answers []controller.UpdatedFeature
	h.decide(func() (records []metadata.Record) {
		records, answers = h.Controller.UpdateFeatures(updates, r.Version >= 1 && r.ValidateOnly)
		return records
	}, func(err error) {
		out := r.ResponseKind().(*kmsg.UpdateFeaturesResponse)
		out.ErrorCode, out.ErrorMessage = outcome(controller.Refusal{}, err)
		for _, a := range answers {
			if a.Refused() {
				code, message := outcome(a.Refusal, nil)
				text := "The update failed for all features since the following feature had an error: " + *message
				out.ErrorCode, out.ErrorMessage = code, &text
				break
			}
		}
		out.Results = []kmsg.UpdateFeaturesResponseResult{}
		if r.Version <= 1 && out.ErrorCode == 0 {
			for _, a := range answers {
				to := kmsg.NewUpdateFeaturesResponseResult()
				to.Feature = a.Name
				out.Results = append(out.Results, to)
			}
		}
		c.Answer(out)
	})
}
