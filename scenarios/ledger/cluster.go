package ledger

import "lignum/core/record"

// MayShrink says whether records may be deleted: by retention, or because somebody has asked for it.
func (p *Partition) MayShrink() bool { return p.mayRetain || p.deleteUpTo > 0 }

// Replicas is how many copies the partition was made with; 0 with a broker that is alone.
func (p *Partition) Replicas() int { return p.settings.Replicas }

// Moving notes that the replicas may move to other brokers from now on.
func (p *Partition) Moving() { p.moved = true }

// MinISR notes that min.insync.replicas may have the value from now on.
func (p *Partition) MinISR(n int) { p.settings.MinISR = min(p.settings.MinISR, n) }

// elects says whether the partition can have a new leader that lacks what nobody but the old one had.
func (p *Partition) elects() bool { return p.settings.Replicas > 1 || p.moved }

// losses counts what could have taken records of the partition that were not safe: faults, and leaders other than the one before. Where leaders
// change it is always more than World.Losses, which stamps what nothing keeps safe.
func (p *Partition) losses() uint64 {
	n := p.ledger.Losses()
	if p.elects() {
		n += 1 + p.ledger.Elections(p.ID)
	}
	return n
}

// committed notes that a client was told that everything below an offset is committed. It returns the stamp of who is told so, which it has otherwise
// if the policy was ever async.
func (p *Partition) committed(to record.Offset, otherwise uint64) uint64 {
	if !p.pure {
		return otherwise
	}
	now := p.losses() // whatever was lost since the request left, this was not
	p.raise(now, to)
	return now
}

// spread says whether a record that was committed must be on one of the replicas still, flushed or not: there were fewer crashes since it was sent than
// it takes to lose it everywhere (D1). No node can tell a kill from a loss of power, so none is trusted after either.
func (s *slot) spread() bool {
	p := s.batch.Part
	return s.committed && p.elects() && p.ledger.Crashes()-s.batch.crashes < uint64(p.settings.MinISR)
}

// sight is the greatest end that clients had been told by a time.
type sight struct {
	at  int64
	end record.Offset
}

// saw notes an end that a client was told.
func (p *Partition) saw(end record.Offset) {
	if n := len(p.sights); n == 0 || end > p.sights[n-1].end {
		p.sights = append(p.sights, sight{p.ledger.Now(), end})
	}
}

// behind says whether an end is older than one that somebody had been told before the request left: a follower's, or that of a leader that does not
// know yet how far its predecessor came. Such an answer says what is there, not where the end is.
func (p *Partition) behind(v View, end record.Offset) bool {
	if p.settings.Replicas == 0 {
		return false
	}
	for i := len(p.sights) - 1; i >= 0; i-- {
		if p.sights[i].at <= v.sent {
			return end < p.sights[i].end
		}
	}
	return false
}

// Safe says whether nothing that was committed may go: the policy was always sync, and nobody asked for the partition's deletion.
func (p *Partition) Safe() bool { return p.pure && !p.closing }
