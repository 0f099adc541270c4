package controller

import (
	"fmt"

	"lignum/core/metadata"
	"lignum/core/wire"
)

// MetadataFeature is the feature that stands for the release whose behaviour the cluster has.
const MetadataFeature = "metadata.version"

// MetadataVersions are the levels of the MetadataFeature that Apache Kafka 4.0 has: from 3.3-IV3 to 4.0-IV3. A cluster is at the highest.
var MetadataVersions = metadata.FeatureRange{Name: MetadataFeature, Min: 7, Max: 25}

// SupportedFeatures are what a node of this release supports. A broker says so when it registers: one that does not support a level that the cluster has
// agreed on is not let in.
func SupportedFeatures() []metadata.FeatureRange { return []metadata.FeatureRange{MetadataVersions} }

// FeatureUpdate is how a feature may change, with Kafka's numbers.
type FeatureUpdate int8

// The kinds of updates.
const (
	UpgradeFeature         FeatureUpdate = 1
	SafeDowngradeFeature   FeatureUpdate = 2
	UnsafeDowngradeFeature FeatureUpdate = 3
)

// UpdateFeature asks for a feature to have another level, 0 for none.
type UpdateFeature struct {
	Name  string
	Level int16
	Kind  FeatureUpdate
}

// UpdatedFeature answers for one feature.
type UpdatedFeature struct {
	Name string
	Refusal
}

// UpdateFeatures decides about levels of features. Since KIP-584 it is all or nothing: with a refusal among the answers there are no records.
func (c *Controller) UpdateFeatures(updates []UpdateFeature, validateOnly bool) ([]metadata.Record, []UpdatedFeature) {
	var records []metadata.Record
	answers := make([]UpdatedFeature, 0, len(updates))
	refused := validateOnly
	seen := map[string]bool{}
	for _, u := range updates {
		answer := UpdatedFeature{u.Name, c.checkFeature(u)}
		if seen[u.Name] {
			answer.Refusal = refuse(wire.InvalidRequest, "the request has the feature "+u.Name+" more than once")
		}
		seen[u.Name] = true
		refused = refused || answer.Refused()
		answers = append(answers, answer)
		if u.Level != c.Image.FeatureLevel(u.Name) {
			records = append(records, &metadata.FeatureSet{Name: u.Name, Level: u.Level})
		}
	}
	if refused {
		return nil, answers
	}
	return records, answers
}

func (c *Controller) checkFeature(u UpdateFeature) Refusal {
	invalid := func(why string) Refusal {
		return refuse(wire.InvalidUpdateVersion, fmt.Sprintf("Invalid update version %d for feature %s. %s", u.Level, u.Name, why))
	}
	current := c.Image.FeatureLevel(u.Name)
	if u.Name == MetadataFeature && current == 0 {
		current = MetadataVersions.Max
	}
	switch {
	case u.Kind < UpgradeFeature || u.Kind > UnsafeDowngradeFeature:
		return invalid("The controller does not support the given upgrade type.")
	case u.Level < 0:
		return invalid("A feature version cannot be less than 0.")
	case u.Name != MetadataFeature && u.Level != 0:
		return invalid(fmt.Sprintf("Local controller %d does not support this feature.", c.Node))
	case u.Name != MetadataFeature:
		return Refusal{}
	case u.Level < MetadataVersions.Min || u.Level > MetadataVersions.Max:
		return invalid(fmt.Sprintf("Local controller %d only supports versions %d-%d", c.Node, MetadataVersions.Min, MetadataVersions.Max))
	case u.Level < current && u.Kind == UpgradeFeature:
		return invalid("Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	case u.Level > current && u.Kind != UpgradeFeature:
		return invalid("Can't downgrade to a newer version.")
	case u.Level < current && u.Kind == UnsafeDowngradeFeature:
		return refuse(wire.InvalidUpdateVersion, fmt.Sprintf("Invalid metadata.version %d. Unsafe metadata downgrade is not supported in this version.", u.Level))
	case u.Level < current:
		return refuse(wire.InvalidUpdateVersion,
			fmt.Sprintf("Invalid metadata.version %d. Refusing to perform the requested downgrade because it might delete metadata information.", u.Level))
	}
	for _, b := range c.Image.Brokers() {
		if len(b.Features) > 0 && !supports(b.Features, u.Name, u.Level) {
			return invalid(fmt.Sprintf("Broker %d does not support this level.", b.ID))
		}
	}
	return Refusal{}
}
