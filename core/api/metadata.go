package api

import (
	"slices"

	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// metadata describes brokers and topics. API key 3, versions 0 to 13.
//
//	v4   the client decides about automatic creation
//	v9   flexible encoding
//	v10  topic ids
//	v13  an error for the whole response
//
// It replies at once, or, if it creates topics, when they exist.
func (h *Handlers) metadata(c *Call, r *wire.MetadataRequest) {
	r.Topics = distinct(r.Topics, topicAsked)
	missing := h.toCreate(r)
	if len(missing) == 0 {
		h.answerMetadata(c, r)
		return
	}
	topics := make([]controller.NewTopic, 0, len(missing))
	for _, name := range missing {
		topics = append(topics, controller.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1})
	}
	h.haveTopics(topics, func() { h.answerMetadata(c, r) })
}

// askedTopic is how a client calls a topic.
type askedTopic struct {
	id   record.TopicID
	name string
}

func topicAsked(t *wire.MetadataTopic) askedTopic {
	if t.ID != [16]byte{} {
		return askedTopic{id: t.ID}
	}
	return askedTopic{name: string(t.Name)}
}

// toCreate lists the topics that the request asks for, that do not exist, and that may be created by being asked for.
func (h *Handlers) toCreate(r *wire.MetadataRequest) []string {
	if !r.AllowAutoCreation || r.AllTopics || !h.Config().AutoCreateTopics {
		return nil
	}
	var names []string
	for i := range r.Topics {
		name := string(r.Topics[i].Name)
		if name != "" && h.Image.Topic(name) == nil && controller.ValidTopicName(name) == nil && !metadata.InternalTopic(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (h *Handlers) answerMetadata(c *Call, r *wire.MetadataRequest) {
	out := &wire.MetadataResponse{ClusterID: &h.ClusterID, ControllerID: int32(h.controllerFor(c)), ClusterOperations: wire.NoOperations}
	for _, b := range h.Image.Brokers() {
		if e, ok := h.endpoint(c, b); ok && b.Active() {
			out.Brokers = append(out.Brokers, e)
		}
	}
	if r.ClusterOperations {
		out.ClusterOperations = clusterOperations
	}
	if r.AllTopics {
		for _, t := range h.Image.Topics() {
			out.Topics = append(out.Topics, describeTopic(h.Image, t, r.TopicOperations))
		}
	}
	for i := range r.Topics {
		out.Topics = append(out.Topics, h.oneTopic(&r.Topics[i], c.Header.Version, r.TopicOperations))
	}
	c.Answer(out)
}

// oneTopic describes a topic that is asked for by id, or by name if it has none: Java's client sends an empty name beside an id.
func (h *Handlers) oneTopic(ask *wire.MetadataTopic, version int16, operations bool) wire.MetadataTopicResult {
	if ask.ID == (record.TopicID{}) {
		name := string(ask.Name)
		if t := h.Image.Topic(name); t != nil {
			return describeTopic(h.Image, t, operations)
		}
		code := wire.UnknownTopicOrPartition
		if controller.ValidTopicName(name) != nil {
			code = wire.InvalidTopicException
		}
		return wire.MetadataTopicResult{Error: code, Name: &name, Operations: wire.NoOperations}
	}
	if t := h.Image.TopicByID(ask.ID); t != nil {
		return describeTopic(h.Image, t, operations)
	}
	missing := wire.MetadataTopicResult{Error: wire.UnknownTopicID, ID: ask.ID, Operations: wire.NoOperations}
	if version < 12 {
		missing.Name = new(string)
	}
	return missing
}

func describeTopic(m *metadata.Image, t *metadata.Topic, operations bool) wire.MetadataTopicResult {
	out := wire.MetadataTopicResult{
		Name: &t.Name, ID: t.ID, Internal: t.Internal(), Operations: wire.NoOperations,
		Partitions: make([]wire.MetadataPartition, len(t.Partitions)),
	}
	if operations {
		out.Operations = topicOperations
	}
	var ids []int32 // one array for all lists of the topic
	for i := range t.Partitions {
		p := &t.Partitions[i]
		to := &out.Partitions[i]
		*to = wire.MetadataPartition{Index: int32(i), Leader: int32(p.Leader), LeaderEpoch: int32(p.LeaderEpoch)}
		if p.Leader == metadata.NoNode {
			to.Error = wire.LeaderNotAvailable
		}
		ids, to.Replicas = appendIDs(ids, p.Replicas)
		ids, to.ISR = appendIDs(ids, p.ISR)
		from := len(ids)
		for _, r := range p.Replicas {
			if !m.Active(r) {
				ids = append(ids, int32(r))
			}
		}
		to.Offline = ids[from:len(ids):len(ids)]
	}
	return out
}

// appendIDs adds a list to an array that several lists share, and returns the array and the new part.
func appendIDs(array []int32, list []record.NodeID) (all, part []int32) {
	from := len(array)
	for _, id := range list {
		array = append(array, int32(id))
	}
	return array, array[from:len(array):len(array)]
}

// endpoint is where the broker is reached by the client of a call: on the listener that the client came in by.
func (h *Handlers) endpoint(c *Call, b *metadata.Broker) (wire.NodeEndpoint, bool) {
	e, ok := b.Endpoint(c.session.Info.Listener)
	if !ok {
		return wire.NodeEndpoint{}, false
	}
	out := wire.NodeEndpoint{ID: int32(b.ID), Host: e.Host, Port: int32(e.Port)}
	if b.Rack != "" {
		out.Rack = &b.Rack
	}
	return out, true
}

// controllerFor is whom a client is told to ask for what the controller decides: the active controller if it is a broker that the client is told of. If not, any
// such broker will do, for brokers pass it on, and clients look for no other node: this one before others, NoNode if there is none.
func (h *Handlers) controllerFor(c *Call) record.NodeID {
	found := metadata.NoNode
	for _, b := range h.Image.Brokers() {
		if _, ok := h.endpoint(c, b); !ok || !b.Active() {
			continue
		}
		if b.ID == h.Leader() {
			return b.ID
		}
		if found == metadata.NoNode || b.ID == h.Node {
			found = b.ID
		}
	}
	return found
}

// addEndpoint adds a broker's address to a list unless it is there.
func (h *Handlers) addEndpoint(c *Call, id record.NodeID, known []wire.NodeEndpoint) []wire.NodeEndpoint {
	for i := range known {
		if known[i].ID == int32(id) {
			return known
		}
	}
	if b := h.Image.Broker(id); b != nil {
		if e, ok := h.endpoint(c, b); ok {
			return append(known, e)
		}
	}
	return known
}

// The operations that somebody may do if there is no authorizer: bit n is Kafka's AclOperation n.
const (
	opRead, opWrite, opCreate, opDelete, opAlter, opDescribe         = 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
	opClusterAction, opDescribeConfigs, opAlterConfigs, opIdempotent = 1 << 9, 1 << 10, 1 << 11, 1 << 12

	topicOperations   = opRead | opWrite | opCreate | opDelete | opAlter | opDescribe | opDescribeConfigs | opAlterConfigs
	clusterOperations = opCreate | opAlter | opDescribe | opClusterAction | opDescribeConfigs | opAlterConfigs | opIdempotent
)
