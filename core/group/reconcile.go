package group

import (
	"lignum/core/record"
)

// reconcile brings a member as near to its target as may be now. owned is what the member says that it has, nil if it does not say.
// held tells whether a partition belongs to somebody, the member itself included.
//
// A member first lets go of what it has lost and confirms that, then moves on to the target's epoch, and gets what it has won as
// soon as nobody has it. A partition that comes back to a member which was asked to let go of it is won like any other (CG20): it stays the
// member's until the confirmation.
func (m *current) reconcile(targetEpoch int32, target, owned parts, says bool, held func(record.Partition) bool) current {
	epoch := m.epoch
	switch m.state {
	case reconciled:
		if m.epoch == targetEpoch {
			return *m
		}
	case unrevoked:
		if !says || len(owned.both(m.revoking)) > 0 {
			return *m
		}
		epoch++
	}
	assigned := m.assigned.both(target)
	revoking := m.assigned.minus(assigned)
	if len(revoking) > 0 && (!says || len(owned.both(revoking)) > 0) {
		next := current{epoch: epoch, previous: m.previous, state: unrevoked, assigned: assigned, revoking: revoking}
		if epoch != m.epoch {
			next.previous = m.epoch
		}
		return next
	}
	won := target.minus(assigned)
	free := won.filter(func(p record.Partition) bool { return !held(p) })
	next := current{epoch: targetEpoch, previous: m.epoch, state: reconciled, assigned: assigned.plus(free)}
	if len(free) < len(won) {
		next.state = unreleased
	}
	if next.epoch == m.epoch {
		next.previous = m.previous
	}
	return next
}
