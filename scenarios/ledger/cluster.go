package ledger

import (
	"slices"

	"lignum/core/record"
)

// soft is a mark of a partition with several replicas: while there had been so many losses in all, everything below the offset was on so many of them
// that it takes budget faults to lose it, counted from lossy on.
type soft struct {
	stamp uint64
	lossy uint64
	firm  record.Offset
}

// Replicas is how many copies the partition was made with; 0 with a broker that is alone.
func (p *Partition) Replicas() int { return p.settings.Replicas }

// Moving notes that the replicas may move to other brokers from now on.
func (p *Partition) Moving() { p.moved = true }

// MinISR notes that min.insync.replicas may have the value from now on.
func (p *Partition) MinISR(n int) { p.settings.MinISR = min(p.settings.MinISR, n) }

// elects says whether the partition can have a new leader that lacks what nobody but the old one had.
func (p *Partition) elects() bool { return p.settings.Replicas > 1 || p.moved }

// losses counts what could have taken records of the partition that were not safe: faults, and leaders other than the one before.
func (p *Partition) losses() uint64 {
	n := p.ledger.Losses()
	if p.elects() {
		n += 1 + p.ledger.Elections(p.ID)
	}
	return n
}

// committed notes that everything below an offset was committed at some time since a request left, when there had been lossy faults. It returns the
// stamp of who is told so: the losses by now if none since can have mattered, else the one it has otherwise.
func (p *Partition) committed(lossy uint64, to record.Offset, otherwise uint64) uint64 {
	now := p.losses()
	switch {
	case p.pure:
		p.raise(now, to)
		return now
	case p.within(lossy):
		p.soften(soft{now, lossy, to})
		return now
	}
	return otherwise
}

// within says whether the faults since then are less than it takes to lose what was committed (D1).
func (p *Partition) within(lossy uint64) bool {
	return p.ledger.Losses()-lossy < uint64(max(0, p.settings.MinISR))
}

// soften adds a mark. Those that say less are dropped.
func (p *Partition) soften(m soft) {
	for i := range p.softs {
		if s := &p.softs[i]; s.stamp <= m.stamp && s.lossy >= m.lossy && s.firm >= m.firm {
			return
		}
	}
	p.softs = slices.DeleteFunc(p.softs, func(s soft) bool {
		return m.stamp <= s.stamp && m.lossy >= s.lossy && m.firm >= s.firm || !p.within(s.lossy)
	})
	p.softs = append(p.softs, m)
}

// softFirm is below which offset nothing can have been lost of what was there while there had been so many losses.
func (p *Partition) softFirm(stamp uint64) record.Offset {
	firm := record.Offset(0)
	for _, s := range p.softs {
		if s.stamp <= stamp && p.within(s.lossy) {
			firm = max(firm, s.firm)
		}
	}
	return firm
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
