package controller

import (
	"fmt"
	"slices"
	"strings"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// placement asks for partitions [first, first+count) of a topic with so many replicas each.
type placement struct {
	first, count, replicas int
	rules                  topicRules
}

// rack is the brokers that stand together, each list by id.
type rack struct {
	name           string
	active, fenced []record.NodeID
}

// place puts replicas on brokers: never two of a partition on one broker, spread over racks before two share one, active
// brokers before fenced ones, and an active one first. Over many partitions leaders and followers come out even. Where the
// first goes is drawn, so that topics of one partition do not all meet on one broker.
func (c *Controller) place(want placement) ([]metadata.Partition, Refusal) {
	racks := c.racks()
	active, all := 0, len(c.Image.Brokers())
	for i := range racks {
		active += len(racks[i].active)
	}
	switch {
	case active == 0:
		return nil, refuse(wire.InvalidReplicationFactor, fmt.Sprintf("cannot place %d replica(s): no broker is active", want.replicas))
	case want.replicas > all:
		return nil, refuse(wire.InvalidReplicationFactor,
			fmt.Sprintf("cannot place %d replica(s) of each partition: only %d broker(s) are registered", want.replicas, all))
	}
	s := striping{racks: racks, brokers: all, rackOffset: c.below(len(racks)), brokerOffset: c.below(all)}
	partitions := make([]metadata.Partition, want.count)
	for i := range partitions {
		partitions[i] = c.newPartition(s.replicas(want.first+i, want.replicas), want.rules)
	}
	return partitions, Refusal{}
}

// below draws a number in [0, n).
func (c *Controller) below(n int) int { return int(c.Rand.Uint64() % uint64(n)) }

// racks groups the brokers, by name of the rack. Brokers that have none count as one rack.
func (c *Controller) racks() []rack {
	var racks []rack
	for _, b := range c.Image.Brokers() {
		i := slices.IndexFunc(racks, func(r rack) bool { return r.name == b.Rack })
		if i < 0 {
			racks = append(racks, rack{name: b.Rack})
			i = len(racks) - 1
		}
		if b.Active() {
			racks[i].active = append(racks[i].active, b.ID)
		} else {
			racks[i].fenced = append(racks[i].fenced, b.ID)
		}
	}
	slices.SortFunc(racks, func(a, b rack) int { return strings.Compare(a.name, b.name) })
	return racks
}

// striping deals replicas to brokers.
type striping struct {
	racks                    []rack
	brokers                  int
	rackOffset, brokerOffset int
}

// replicas chooses n brokers for partition p. Leaders go round the racks, and in each rack round its brokers. Followers go to the
// racks behind the leader's; a shift that grows with each full round lets the partitions of one leader have different followers.
func (s *striping) replicas(p, n int) []record.NodeID {
	chosen := make([]record.NodeID, 0, n)
	round := p/len(s.racks) + s.brokerOffset
	shift := p / s.brokers
	chosen = s.leader(chosen, p, round)
	for _, fenced := range [...]bool{false, true} {
		for before := -1; len(chosen) < n && len(chosen) != before; {
			before = len(chosen)
			for k := 1; k <= len(s.racks) && len(chosen) < n; k++ {
				r := &s.racks[(p+s.rackOffset+k)%len(s.racks)]
				from := r.active
				if fenced {
					from = r.fenced
				}
				start := round + shift
				if k == len(s.racks) && len(from) > 1 { // the leader's own rack
					start = round + 1 + shift%(len(from)-1)
				}
				chosen = addNext(chosen, from, start)
			}
		}
	}
	return chosen
}

// leader chooses an active broker in the first rack, from the partition's own on, that has one.
func (s *striping) leader(chosen []record.NodeID, p, round int) []record.NodeID {
	for k := range s.racks {
		if r := &s.racks[(p+s.rackOffset+k)%len(s.racks)]; len(r.active) > 0 {
			return append(chosen, r.active[round%len(r.active)])
		}
	}
	return chosen
}

// addNext adds the first of from, starting at an index and going round, that is not chosen yet.
func addNext(chosen, from []record.NodeID, start int) []record.NodeID {
	for i := range from {
		if id := from[(start+i)%len(from)]; !slices.Contains(chosen, id) {
			return append(chosen, id)
		}
	}
	return chosen
}

// manual takes a partition's replicas as somebody chose them.
func (c *Controller) manual(index int32, replicas []record.NodeID, factor int, rules topicRules) (metadata.Partition, Refusal) {
	if len(replicas) == 0 {
		return metadata.Partition{}, refuse(wire.InvalidReplicaAssignment, fmt.Sprintf("no replica is assigned to partition %d", index))
	}
	active := false
	for i, id := range replicas {
		if c.Image.Broker(id) == nil {
			return metadata.Partition{}, refuse(wire.InvalidReplicaAssignment,
				fmt.Sprintf("partition %d is assigned to broker %d, which is not registered", index, id))
		}
		if slices.Contains(replicas[:i], id) {
			return metadata.Partition{}, refuse(wire.InvalidReplicaAssignment,
				fmt.Sprintf("partition %d is assigned to broker %d more than once", index, id))
		}
		active = active || c.Image.Active(id)
	}
	if len(replicas) != factor {
		return metadata.Partition{}, refuse(wire.InvalidReplicaAssignment,
			fmt.Sprintf("partition %d is assigned %d replica(s) where other partitions have %d", index, len(replicas), factor))
	}
	if !active {
		return metadata.Partition{}, refuse(wire.InvalidReplicaAssignment,
			fmt.Sprintf("all brokers that partition %d is assigned to are fenced or shutting down", index))
	}
	return c.newPartition(slices.Clone(replicas), rules), Refusal{}
}

// newPartition is a partition's first state. Its in-sync replicas are those on active brokers; there is at least one.
func (c *Controller) newPartition(replicas []record.NodeID, rules topicRules) metadata.Partition {
	p := metadata.Partition{
		Replicas: replicas, ISR: replicas, Directories: make([]metadata.UUID, len(replicas)),
		MinISR: rules.effectiveMinISR(len(replicas)), Flush: rules.initialFlush(),
	}
	if slices.ContainsFunc(replicas, func(id record.NodeID) bool { return !c.Image.Active(id) }) {
		p.ISR = slices.DeleteFunc(slices.Clone(replicas), func(id record.NodeID) bool { return !c.Image.Active(id) })
	}
	for i, id := range replicas {
		p.Directories[i] = onlyDirectory(c.Image.Broker(id))
	}
	p.Leader = p.ISR[0]
	return p
}

// onlyDirectory is the directory of a broker that has but one; otherwise zero, and the broker chooses.
func onlyDirectory(b *metadata.Broker) metadata.UUID {
	if len(b.Directories) == 1 {
		return b.Directories[0]
	}
	return metadata.UUID{}
}
