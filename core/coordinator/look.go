package coordinator

import (
	"lignum/core/record"
	"lignum/core/timer"
)

// Look is a shard as it is, and the end of the log that its state is the fold of; false if there is none that is loaded. It is for those who look at
// a broker from outside; the shard must not be changed.
func (r *Runtime) Look(index int32) (s Shard, end record.Offset, ok bool) {
	h := r.host(index)
	if h == nil || h.state != active || !h.current() {
		return nil, 0, false
	}
	return h.shard, h.basis, true
}

// Detached is a host without a log, for a shard that only replays: those who look at a broker from outside compare it with the real one.
func Detached(p Ports) *Host {
	p.Timers = &timer.Queue{}
	return &Host{runtime: &Runtime{Ports: p}, state: retired}
}
