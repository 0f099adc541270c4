package group

import (
	"slices"
	"strings"

	"lignum/core/coordinator"
	"lignum/core/record"
	"lignum/core/wire"
)

// Listed is a group in a list.
type Listed struct {
	ID           string
	ProtocolType string
	State        string
	Type         string
}

// The types of groups.
const (
	Classic  = "classic"
	Consumer = "consumer"
)

// List lists the groups in one of the states and of one of the types; no states or types means all. It replies once that is safe to tell.
func (s *Shard) List(states, types []string, reply func([]Listed, wire.ErrorCode)) {
	type result struct {
		list []Listed
		code wire.ErrorCode
	}
	var out result
	for _, id := range s.ids() {
		l := s.listed(s.groups[id])
		if matches(states, l.State) && matches(types, l.Type) {
			out.list = append(out.list, l)
		}
	}
	settle(s, out, func(code wire.ErrorCode) result { return result{code: code} }, func(r result) { reply(r.list, r.code) })
}

func matches(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(strings.TrimSpace(f), value) })
}

func (s *Shard) listed(g *group) Listed {
	if g.consumer != nil {
		return Listed{ID: g.id, ProtocolType: consumerType, State: g.consumer.state().String(), Type: Consumer}
	}
	return Listed{ID: g.id, ProtocolType: g.classic.protocolType, State: g.classic.state.String(), Type: Classic}
}

// Described is a classic group with its members.
type Described struct {
	Code         wire.ErrorCode
	Message      string
	ID           string
	State        string
	ProtocolType string
	Protocol     string
	Members      []DescribedMember
}

// DescribedMember is one of them.
type DescribedMember struct {
	ID, Instance, ClientID, Host string
	Metadata, Assignment         []byte
}

// dead is the state of a group that does not exist.
const dead = "Dead"

// Describe describes a classic group. One that does not exist is dead.
func (s *Shard) Describe(id string, reply func(Described)) {
	settle(s, s.describe(id), func(code wire.ErrorCode) Described { return Described{ID: id, Code: code} }, reply)
}

func (s *Shard) describe(id string) Described {
	g := s.find(id)
	switch {
	case g == nil:
		return Described{ID: id, State: dead, Code: wire.GroupIDNotFound, Message: "Group " + id + " not found."}
	case g.consumer != nil:
		return Described{ID: id, State: dead, Code: wire.GroupIDNotFound, Message: "Group " + id + " is not a classic group."}
	}
	c := g.classic
	out := Described{ID: id, State: c.state.String(), ProtocolType: c.protocolType}
	if c.state == stable {
		out.Protocol = c.protocol
	}
	for _, m := range c.members {
		d := DescribedMember{ID: m.id, Instance: m.instance, ClientID: m.clientID, Host: m.host}
		if c.state == stable {
			d.Metadata, d.Assignment = m.metadata(c.protocol), m.assignment
		}
		out.Members = append(out.Members, d)
	}
	return out
}

// Delete removes an empty group with its offsets.
func (s *Shard) Delete(id string, reply func(wire.ErrorCode)) {
	g := s.find(id)
	code := wire.None
	switch {
	case g == nil:
		code = wire.GroupIDNotFound
	case g.consumer != nil && !g.consumer.empty(), g.consumer == nil && g.classic.state != empty:
		code = wire.NonEmptyGroup
	}
	if code != wire.None {
		settle(s, code, func(code wire.ErrorCode) wire.ErrorCode { return code }, reply)
		return
	}
	if g.consumer == nil {
		g.classic.unexpectAll(s.timers())
	}
	records := append(s.offsetTombstones(g), g.tombstones()...)
	if len(records) == 0 {
		s.reap(g)
	}
	if code := s.append(records, reply); code != wire.None {
		reply(code)
	}
}

// offsetTombstones end everything that the group has committed or staged.
func (s *Shard) offsetTombstones(g *group) []coordinator.Record {
	var records []coordinator.Record
	end := func(o *offsets, unless *offsets) {
		for i := range o.topics {
			t := &o.topics[i]
			for _, c := range t.list {
				if unless == nil || unless.get(t.name, c.Partition) == nil {
					records = append(records, tombstone(key{version: keyOffset, group: g.id, name: t.name, partition: c.Partition}))
				}
			}
		}
	}
	end(&g.offsets, nil)
	for _, t := range s.transactions() {
		if i, ok := t.search(g.id); ok {
			end(&t.groups[i].offsets, &g.offsets)
		}
	}
	return records
}

// DescribedConsumer is a group of the consumer protocol with its members.
type DescribedConsumer struct {
	Code            wire.ErrorCode
	Message         string
	ID, State       string
	Epoch           int32
	AssignmentEpoch int32
	Assignor        string
	Members         []DescribedConsumerMember
}

// DescribedConsumerMember is one of them.
type DescribedConsumerMember struct {
	ID, Instance, Rack, ClientID, Host string
	Epoch                              int32
	Topics                             []string
	Regex                              string
	Assigned, Target                   []record.Partition
	Classic                            bool
}

// DescribeConsumer describes a group of the consumer protocol.
func (s *Shard) DescribeConsumer(id string, reply func(DescribedConsumer)) {
	settle(s, s.describeConsumer(id), func(code wire.ErrorCode) DescribedConsumer { return DescribedConsumer{ID: id, Code: code} }, reply)
}

func (s *Shard) describeConsumer(id string) DescribedConsumer {
	g := s.find(id)
	switch {
	case g == nil:
		return DescribedConsumer{ID: id, Code: wire.GroupIDNotFound, Message: "Group " + id + " not found."}
	case g.consumer == nil:
		return DescribedConsumer{ID: id, Code: wire.GroupIDNotFound, Message: "Group " + id + " is not a consumer group."}
	}
	c := g.consumer
	d := draft{s: s, id: id, c: c}
	out := DescribedConsumer{ID: id, State: c.state().String(), Epoch: c.epoch, AssignmentEpoch: c.targetEpoch, Assignor: d.assignor()}
	for _, member := range c.ids() {
		m := c.members[member]
		out.Members = append(out.Members, DescribedConsumerMember{
			ID: m.id, Instance: m.instance, Rack: m.rack, ClientID: m.clientID, Host: m.host, Epoch: m.epoch, Topics: m.topics, Regex: m.regex,
			Assigned: m.assigned, Target: c.target[m.id], Classic: m.classic != nil,
		})
	}
	return out
}
