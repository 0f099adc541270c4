package api

import (
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions tells what this broker speaks. API key 18, versions 0 to 4.
//
//	v3  flexible encoding, the client's software name and version (KIP-511)
//	v4  features whose lowest version is 0 (KIP-1220)
//
// The features are metadata.version, at the level of the release whose versions are spoken, and group.version, for groups of the
// consumer protocol (KIP-848). Clients take the others as proof of behaviour that is not there.
func (h *Handlers) apiVersions(c *Call, r *kmsg.ApiVersionsRequest) {
	out := r.ResponseKind().(*kmsg.ApiVersionsResponse)
	if r.Version >= 3 {
		if !softwareName(r.ClientSoftwareName) || !softwareName(r.ClientSoftwareVersion) {
			out.ErrorCode = int16(wire.InvalidRequest)
			c.Answer(out)
			return
		}
		c.session.SoftwareName, c.session.SoftwareVersion = r.ClientSoftwareName, r.ClientSoftwareVersion
	}
	listVersions(out)
	addFeature(out, metadataFeature, metadataFeatureMin, metadataFeatureMax)
	if h.Config().Groups.ConsumerProtocol {
		addFeature(out, groupFeature, groupFeatureMin, groupFeatureMax)
	}
	out.FinalizedFeaturesEpoch = max(int64(h.Image.Offset()), 0)
	c.Answer(out)
}

// The levels of metadata.version that Apache Kafka 4.0 has: from 3.3-IV3 to 4.0-IV3.
const (
	metadataFeature    = "metadata.version"
	metadataFeatureMin = 7
	metadataFeatureMax = 25
)

// The levels of group.version: 1 is that there are groups of the consumer protocol.
const (
	groupFeature    = "group.version"
	groupFeatureMin = 0
	groupFeatureMax = 1
)

// addFeature tells of a feature that is at its highest level. Clients below version 4 cannot read a lowest level of 0 and do without
// the range.
func addFeature(out *kmsg.ApiVersionsResponse, name string, lowest, highest int16) {
	if lowest > 0 || out.Version >= 4 {
		s := kmsg.NewApiVersionsResponseSupportedFeature()
		s.Name, s.MinVersion, s.MaxVersion = name, lowest, highest
		out.SupportedFeatures = append(out.SupportedFeatures, s)
	}
	f := kmsg.NewApiVersionsResponseFinalizedFeature()
	f.Name, f.MinVersionLevel, f.MaxVersionLevel = name, highest, highest
	out.FinalizedFeatures = append(out.FinalizedFeatures, f)
}

// unsupportedVersion answers an ApiVersions request of a version that is not served: in the layout of version 0, with the
// table, so that the client can try again with a version that both know.
func (h *Handlers) unsupportedVersion(c *Call) {
	c.Header.Version = 0
	out := kmsg.NewPtrApiVersionsResponse()
	out.ErrorCode = int16(wire.UnsupportedVersion)
	listVersions(out)
	c.Answer(out)
}

func listVersions(out *kmsg.ApiVersionsResponse) {
	for _, r := range wire.Table() {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = int16(r.Key), r.Announced, r.Max
		out.ApiKeys = append(out.ApiKeys, k)
	}
}

// softwareName reports whether s is a letter or digit, followed by letters, digits, dots and dashes, and ends like it began.
func softwareName(s string) bool {
	for i := range len(s) {
		alphanumeric := s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] >= '0' && s[i] <= '9'
		inside := i > 0 && i < len(s)-1
		if !alphanumeric && !(inside && (s[i] == '.' || s[i] == '-')) {
			return false
		}
	}
	return s != ""
}
