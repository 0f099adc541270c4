// Package ledger is the oracle of the scenarios: it is told what simulated clients sent and saw, and which faults were injected, and
// derives from that alone what must hold. The broker is never asked.
//
// For every batch it knows whether it was acknowledged, refused or neither, and where it lies; for every partition what was first seen at
// each offset, and the offset below which nothing may be lost any more (firm). Checks bear the names of the guarantees.
//
// How a loss comes to be permitted: each fault that can take what was not durable counts up World.Losses. What was learned from an answer to
// a request that was sent before a loss may be gone after it, unless it lay below firm at the time. The mark firm moves where the policy
// sync promises stable storage: behind every batch acknowledged to acks=all, and, in a partition that was never under async, behind
// every high watermark that a client was told.
package ledger

import (
	"fmt"
	"maps"
	"slices"

	"lignum/core/record"
)

// World is what the ledger knows of the run.
type World struct {
	// Now is the virtual time in nanoseconds.
	Now func() int64
	// Losses counts the faults so far that could take what was not durable.
	Losses func() uint64
	// Crashes counts the process ends so far that look to the cluster as if they could have taken what was not durable: losses, and kills too.
	Crashes func() uint64
	// Elections counts the leaders of a partition so far; it is not asked about one with a single replica.
	Elections func(record.Partition) uint64
	// Everywhere says whether every broker that runs has heard of a partition, and so serves none that had its name before; nil: all hear at once.
	Everywhere func(record.Partition) bool
	// Fail reports a violation.
	Fail func(name, format string, args ...any)
}

// Ledger holds the books of one run.
type Ledger struct {
	World
	parts     map[record.Partition]*Partition
	order     []*Partition
	bodies    map[uint64]*Batch
	contents  map[uint64]*Batch // of topics that compress for themselves
	checks    map[string]uint64
	reader    *record.Reader
	firstLoss int64        // when the first loss could have been; history.Forever before
	namesakes []*Partition // of which some broker may not have heard, and serve a predecessor
}

// Invariants are the names that a run checks, in the order of GUARANTEES.
var Invariants = []string{"D1", "D2", "L2", "L3", "F1", "F2", "F4", "F5", "F7", "F8", "H3", "P1", "P2", "P3", "R2", "R3", "X2", "V2", "linearizable"}

// New opens the books.
func New(w World) *Ledger {
	return &Ledger{
		World: w, parts: map[record.Partition]*Partition{}, bodies: map[uint64]*Batch{}, contents: map[uint64]*Batch{}, checks: map[string]uint64{},
		reader:    record.NewReader(record.Limits{}),
		firstLoss: forever,
	}
}

const forever = int64(1<<63 - 1)

// LossPossible notes that from now on a fault may take what is not durable.
func (l *Ledger) LossPossible() { l.firstLoss = min(l.firstLoss, l.Now()) }

// Checked counts a check that was made.
func (l *Ledger) Checked(name string) { l.checks[name]++ }

// Check counts a check, and reports a violation if it did not hold.
func (l *Ledger) Check(name string, holds bool, format string, args ...any) bool {
	l.checks[name]++
	if !holds {
		l.Fail(name, format, args...)
	}
	return holds
}

// Checks is how often each invariant was checked.
func (l *Ledger) Checks() map[string]uint64 { return maps.Clone(l.checks) }

// Partition finds the books of a partition; nil if it is not known.
func (l *Ledger) Partition(id record.Partition) *Partition { return l.parts[id] }

// Partitions lists the partitions in the order in which they were added.
func (l *Ledger) Partitions() []*Partition { return slices.Clone(l.order) }

// Add opens the books of a new, empty partition.
func (l *Ledger) Add(id record.Partition, name string, s Settings) *Partition {
	if p := l.parts[id]; p != nil {
		return p
	}
	p := &Partition{ID: id, Name: fmt.Sprintf("%s-%d", name, id.Index), ledger: l, settings: s, syncSince: forever, pure: !s.Async}
	if !s.Async {
		p.syncSince = 0
	}
	l.parts[id] = p
	l.order = append(l.order, p)
	return p
}

// Totals is what became of the records of a run.
type Totals struct {
	Sent, Acked, Refused, Unknown uint64 // records, by what their producers were told last
	Known                         uint64 // records that were acknowledged or seen
	Forbidden                     uint64 // of the known ones: the ledger forbade their loss
	Lost                          uint64 // records that were known and went, with permission
	Bytes                         uint64 // of batches that were sent
}

// Add sums up.
func (t *Totals) Add(o Totals) {
	t.Sent += o.Sent
	t.Acked += o.Acked
	t.Refused += o.Refused
	t.Unknown += o.Unknown
	t.Known += o.Known
	t.Forbidden += o.Forbidden
	t.Lost += o.Lost
	t.Bytes += o.Bytes
}

// Totals closes the books.
func (l *Ledger) Totals() Totals {
	var t Totals
	for _, p := range l.order {
		for _, b := range p.batches {
			n := uint64(b.Count)
			t.Sent += n
			t.Bytes += uint64(b.Size)
			switch {
			case b.acked:
				t.Acked += n
			case b.refusedForGood():
				t.Refused += n
			default:
				t.Unknown += n
			}
		}
		for i := range p.slots {
			n := uint64(p.slots[i].batch.Count)
			t.Known += n
			if !p.losable(&p.slots[i]) {
				t.Forbidden += n
			}
		}
		t.Known += p.lost
		t.Lost += p.lost
	}
	return t
}
