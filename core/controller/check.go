package controller

import (
	"errors"
	"fmt"
	"slices"

	"lignum/core/metadata"
	"lignum/core/record"
)

// Check returns everything that an image breaks of
//
//	I3  what the high watermark waits for: with the ISR at its minimum nobody else is eligible
//	I4  who may be in the sets, and who leads
//	I5  the static part: there is one leader, and who can lead without loss does
//	X4  identities: no directory belongs to two brokers, and no replica in a set lies in a directory that its broker does not have
//
// nil if nothing.
func Check(m *metadata.Image) error {
	var faults []error
	owner := map[metadata.UUID]record.NodeID{}
	for _, b := range m.Brokers() {
		for _, d := range b.Directories {
			if other, taken := owner[d]; taken {
				faults = append(faults, fmt.Errorf("brokers %d and %d have the same directory (X4)", other, b.ID))
			}
			owner[d] = b.ID
		}
		if record.Offset(b.Epoch) > m.Offset() || b.Epoch < 0 {
			faults = append(faults, fmt.Errorf("broker %d has epoch %d at offset %d (M8)", b.ID, b.Epoch, m.Offset()))
		}
	}
	for _, t := range m.Topics() {
		for i := range t.Partitions {
			if err := checkPartition(m, &t.Partitions[i]); err != nil {
				faults = append(faults, fmt.Errorf("%s-%d: %w: %+v", t.Name, i, err, t.Partitions[i]))
			}
		}
	}
	return errors.Join(faults...)
}

func checkPartition(m *metadata.Image, p *metadata.Partition) error {
	t := (&view{Controller: &Controller{Image: m}}).turn(p, topicRules{})
	if err := checkLists(p); err != nil {
		return err
	}
	for _, id := range p.ISR {
		if !t.mayLead(id) {
			return fmt.Errorf("replica %d is in sync and not active (I4)", id)
		}
	}
	switch {
	case p.MinISR < 1 || int(p.MinISR) > len(p.Replicas):
		return errors.New("the minimum does not fit the replicas (I3)")
	case len(p.ISR) >= int(p.MinISR) && len(p.ELR)+len(p.LastKnownELR) > 0:
		return errors.New("others are eligible while the high watermark may move without them (I3, I4)")
	case p.Leader != metadata.NoNode && !slices.Contains(p.ISR, p.Leader):
		return errors.New("the leader is not in sync (I4)")
	case p.Leader == metadata.NoNode && len(p.ISR) > 0:
		return errors.New("nobody leads, and there are replicas in sync (V1)")
	case p.Leader == metadata.NoNode && slices.ContainsFunc(p.ELR, t.mayLead):
		return errors.New("nobody leads, and there is an eligible replica (V1)")
	case p.Recovering && len(p.ISR) > 1:
		return errors.New("the leader recovers and is not alone in sync (I4)")
	}
	if t.completeReassignment() {
		return errors.New("a reassignment is complete and was not ended (V8)")
	}
	if t.handsOver() {
		return errors.New("a replica leads that a reassignment takes away, and all others are in sync (V8)")
	}
	return nil
}

func checkLists(p *metadata.Partition) error {
	if len(p.Replicas) == 0 || len(p.Directories) != len(p.Replicas) {
		return errors.New("replicas and directories do not fit")
	}
	for _, list := range [...][]record.NodeID{p.Replicas, p.ISR, p.ELR, p.LastKnownELR, p.Adding, p.Removing} {
		if !subset(list, p.Replicas) || hasTwice(list) {
			return fmt.Errorf("%v is no set of replicas (I4)", list)
		}
	}
	for _, id := range p.ISR {
		if slices.Contains(p.ELR, id) || slices.Contains(p.LastKnownELR, id) {
			return fmt.Errorf("replica %d is in sync and in another set (I4)", id)
		}
	}
	for _, id := range p.Adding {
		if slices.Contains(p.Removing, id) {
			return fmt.Errorf("replica %d is added and removed", id)
		}
	}
	return nil
}
