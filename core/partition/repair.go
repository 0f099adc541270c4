package partition

import (
	"errors"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/record"
)

// Repair is what a damaged replica needs next. A log that has lost what it held must not be elected and must not count, so the cluster is told
// first; only when that is committed an empty log takes its place, which catches up like that of any new replica (L7).
type Repair uint8

const (
	// Sound: nothing is to be done.
	Sound Repair = iota
	// Report: the controller is to be told that the replica is damaged.
	Report
	// Wait: nobody can be copied from now.
	Wait
	// Renew: the damaged log is to be set aside and the replica to be opened with an empty one.
	Renew
	// Place: the controller is to be told where the new log lies.
	Place
)

// Repair is the next step.
func (p *Partition) Repair() Repair {
	switch {
	case p.hurt() && !p.state.Lost:
		return Report
	case p.hurt() && (p.state.Leader < 0 || p.leads() || slices.Contains(p.state.ISR, p.self) || slices.Contains(p.state.ELR, p.self)):
		return Wait
	case p.hurt():
		return Renew
	case p.state.Lost && p.log != nil:
		return Place
	}
	return Sound
}

// hurt says whether the replica is to be copied anew. A log that cannot be read may be well at the next start, so it is kept as long as no replica that
// is up can take its place.
func (p *Partition) hurt() bool {
	if !errors.Is(p.failure, env.ErrUnreadable) {
		return damaged(p.failure)
	}
	return p.state.Lost || p.standIn()
}

// standIn says whether another replica is up that holds all that was committed.
func (p *Partition) standIn() bool {
	up := func(id record.NodeID) bool { return id != p.self && p.cluster.Active(id) }
	return slices.ContainsFunc(p.state.ISR, up) || slices.ContainsFunc(p.state.ELR, up)
}

// damaged reports whether a log failed because its content is not what was written.
func damaged(err error) bool {
	return errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, record.ErrCorrupt) || errors.Is(err, checkpoint.ErrCorrupt)
}

// mend has somebody look after the replica if it needs that.
func (p *Partition) mend() {
	if p.cluster != nil && p.cluster.Damaged != nil && p.Repair() != Sound {
		p.cluster.Damaged(p)
	}
}

// ReadFailed is called with the error of a read. A leader that finds its log damaged gives up if there is another replica that holds all of
// it, or, of one that may be elected, all that was committed; it may be able to serve the rest otherwise. What the disk could not read may be sound: an error
// that passes must not cost a replica, which may be the only one.
func (p *Partition) ReadFailed(err error) {
	if p.cluster != nil && p.log != nil && damaged(err) && p.replaceable() {
		p.fail(err)
	}
}

// replaceable says whether another replica can be elected at once.
func (p *Partition) replaceable() bool {
	other := func(id record.NodeID) bool { return id != p.self }
	up := func(id record.NodeID) bool { return other(id) && p.cluster.Active(id) }
	return slices.ContainsFunc(p.state.ISR, other) || slices.ContainsFunc(p.state.ELR, up)
}
