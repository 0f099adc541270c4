package ledger

import (
	"cmp"
	"slices"

	"lignum/core/record"
	"lignum/linearizability/history"
)

// Settings are what the ledger has to know of a topic.
type Settings struct {
	Async          bool  // lignum.flush.policy=async
	RetentionBytes int64 // -1: none
	RetentionMs    int64 // -1: none
	Recompressed   bool  // compression.type is not producer
	SegmentBytes   int   // larger batches are refused; 0: nobody knows
	Replicas       int   // 0 with a broker that is alone
	MinISR         int   // that is in force, and so how many losses of what is not flushed it takes to lose a committed record
}

// Partition is the books of one partition.
type Partition struct {
	ID   record.Partition
	Name string // topic-index

	ledger   *Ledger
	settings Settings
	// syncSince is from when on the policy is sync for sure; forever if it may be async.
	syncSince int64
	pure      bool // was never under async, for sure
	closing   bool // its deletion was asked for

	batches []*Batch
	slots   []slot // what is known to lie where, by offset; no two overlap
	gone    []slot // what was there before the first loss and went
	removed []slot // what was deleted, and lies in the log once more since
	lost    uint64 // records that went with permission
	sights  []sight
	moved   bool   // its replicas may have moved
	marks   []mark // what may not be lost, by the losses up to then; both rise

	start       record.Offset // greatest log start that a client was told of
	startSince  int64
	promised    record.Offset // greatest log start that DeleteRecords was answered with
	promisedAt  int64
	deleteUpTo  record.Offset // greatest offset that somebody asked DeleteRecords for
	mayRetain   bool          // retention is or was on
	left        bool          // by the present last reader
	before      []*Partition  // of topics of the same name that were deleted
	inherited   bool          // something sent to one of them came here
	sole        int64         // since when no broker can take its name for one of them; forever before
	strayed     bool          // something that was sent to it by its name may have come to one of them
	wounded     bool          // the medium lied in one of its files
	mended      int64         // from when on none of the replicas that are there has such a file
	excused     bool          // what lies from excusedFrom on may be gone without a trace
	excusedFrom record.Offset
	reads       []history.Op
}

// slot is a batch at a place.
type slot struct {
	base    record.Offset
	batch   *Batch
	epoch   record.Epoch // known if it was seen
	stamp   uint64       // losses up to when it was known to be there last
	first   uint64       // losses when the answer came that it was known from for the first time
	told    uint64       // losses when the answer came that it was last known from
	since   int64        // from when on it is known to be there without a break
	ackedAt int64        // of acks=all; forever without
	acked   bool
	seen    bool
	// committed: it was seen or acknowledged to acks=all, so that it was on as many replicas as min.insync.replicas wants.
	committed bool
	final     bool // seen by the last reader
}

func (s *slot) next() record.Offset { return s.base + record.Offset(s.batch.Count) }

// mark says that while there had been so many losses, everything below the offset was on stable storage.
type mark struct {
	stamp uint64
	firm  record.Offset
}

// raise notes that everything below the offset was on stable storage.
func (p *Partition) raise(stamp uint64, to record.Offset) {
	i, found := slices.BinarySearchFunc(p.marks, stamp, func(m mark, s uint64) int { return cmp.Compare(m.stamp, s) })
	switch {
	case i > 0 && p.marks[i-1].firm >= to:
		return
	case found:
		p.marks[i].firm = max(p.marks[i].firm, to)
	default:
		p.marks = slices.Insert(p.marks, i, mark{stamp, to})
	}
	p.marks = slices.DeleteFunc(p.marks, func(m mark) bool { return m.stamp > stamp && m.firm <= to })
}

// firm is below which offset nothing can have been lost that was there when so many losses had been.
func (p *Partition) firm(stamp uint64) record.Offset {
	for i := len(p.marks) - 1; i >= 0; i-- {
		if p.marks[i].stamp > stamp {
			continue
		}
		if p.excused {
			return min(p.marks[i].firm, p.excusedFrom)
		}
		return p.marks[i].firm
	}
	return 0
}

// losable says whether a fault since may have taken the slot.
func (p *Partition) losable(s *slot) bool {
	return s.stamp < p.losses() && s.base >= p.firm(s.stamp) && !s.spread()
}

// Policy notes that a change of the flush policy leaves for the broker. Its answer, if it is good, goes to the function returned.
func (p *Partition) Policy(async bool) (answered func()) {
	if async {
		p.syncSince, p.pure = forever, false
		if p.elects() {
			p.marks = nil // what is synced on those who are in sync now may not be on those who are later
			for i := range p.slots {
				p.slots[i].stamp = min(p.slots[i].stamp, p.ledger.Losses())
			}
		}
		return func() {}
	}
	return func() {
		if p.syncSince == forever {
			p.syncSince = p.ledger.Now()
		}
	}
}

// Retention notes that the topic may have retention from now on.
func (p *Partition) Retention(bytes, millis int64) {
	p.settings.RetentionBytes, p.settings.RetentionMs = bytes, millis
	if bytes >= 0 || millis >= 0 {
		p.mayRetain = true
	}
}

// Closing notes that a request for the partition's deletion leaves: nothing is promised any more.
func (p *Partition) Closing() {
	p.closing = true
	for _, b := range p.batches {
		b.late = b.late || b.answers < b.tries
	}
}

// Closed says whether the partition's deletion was asked for.
func (p *Partition) Closed() bool { return p.closing }

// find is the index of the first slot that does not end below the offset.
func (p *Partition) find(o record.Offset) int {
	if n := len(p.slots); n > 0 && p.slots[n-1].next() <= o {
		return n
	}
	i, _ := slices.BinarySearchFunc(p.slots, o, func(s slot, o record.Offset) int {
		if s.next() <= o {
			return -1
		}
		return 1
	})
	return i
}

// learn enters that a batch lies at a place. What contradicts it must have been lost, with permission.
func (p *Partition) learn(s slot) {
	s.told = p.losses()
	s.first = p.ledger.Losses() // not those when the request left: it may have lain in the network and been done behind a fault
	s.since = p.ledger.Now()
	i := p.find(s.base)
	for i < len(p.slots) && p.slots[i].base < s.next() {
		old := &p.slots[i]
		if old.base == s.base && old.batch == s.batch {
			if old.stamp >= s.stamp || old.base < p.firm(old.stamp) {
				s.since = old.since // else it may have gone meanwhile and been sent again
			}
			old.merge(&s)
			return
		}
		switch {
		case s.repeats(old):
			return
		case old.repeats(&s):
			old.batch.places--
			p.slots = slices.Delete(p.slots, i, i+1)
			continue
		case !p.contradicted(old, &s):
			return
		}
		p.lose(i)
	}
	p.slots = slices.Insert(p.slots, i, s)
	s.batch.places++
	p.checkPlaces(s.batch)
}

func (s *slot) merge(o *slot) {
	s.stamp = max(s.stamp, o.stamp)
	s.first, s.told = min(s.first, o.first), max(s.told, o.told)
	s.since = o.since
	s.ackedAt = min(s.ackedAt, o.ackedAt)
	s.acked, s.final, s.committed = s.acked || o.acked, s.final || o.final, s.committed || o.committed
	if o.seen {
		s.seen, s.epoch = true, o.epoch
	}
}

// contradicted judges two batches at one place. It says whether the new one is right.
func (p *Partition) contradicted(old, s *slot) bool {
	l := p.ledger
	name := "L2"
	switch {
	case old.seen && s.seen:
		name = "F2"
	case old.acked || s.acked:
		name = "D1"
	}
	l.Checked(name)
	switch {
	case (old.stamp < s.stamp || old.stamp == s.stamp && old.told < s.told) && p.losable(old):
		return true
	case s.stamp < old.stamp && p.losable(s):
		p.lost += uint64(s.batch.Count)
		return false
	case old.stamp == s.stamp && p.elects() && p.losable(old):
		return true // two leaders have told it, neither for sure
	case old.stamp == s.stamp && p.elects() && !s.committed && p.losable(s):
		p.lost += uint64(s.batch.Count)
		return false // acks=1, of a leader that was alone with it: the answer came when the next one's batch was known
	}
	l.Fail(name, "%s: batch %d at offsets [%d, %d) and batch %d at [%d, %d) (firm %d, losses %d, known since %d and %d)", p.Name,
		old.batch.Number, old.base, old.next(), s.batch.Number, s.base, s.next(), p.firm(old.stamp), p.losses(), old.stamp, s.stamp)
	return old.stamp < s.stamp
}

// lose takes a slot out that a fault took.
func (p *Partition) lose(i int) {
	s := p.slots[i]
	s.batch.places--
	p.lost += uint64(s.batch.Count)
	if s.first == 0 && (!p.elects() || s.seen || s.ackedAt < forever) {
		p.gone = append(p.gone, s)
	}
	p.slots = slices.Delete(p.slots, i, i+1)
}

// checkPlaces holds the number of places of a batch against its tries.
func (p *Partition) checkPlaces(b *Batch) {
	l := p.ledger
	if b.idempotent() {
		if b.places > 1 {
			p.forgetLosable(b)
			p.forgetRemoved(b)
		}
		l.Check("P1", b.places <= 1 || p.wounded, "%s: batch %d of producer %d, sequence %d, lies in the log %d times: %v", p.Name, b.Number, b.Producer,
			b.Sequence, b.places, p.placesOf(b))
		return
	}
	if b.places > 1 {
		l.Check("L2", b.places <= b.tries-b.refused, "%s: batch %d was sent %d times and lies in the log %d times: %v", p.Name, b.Number,
			b.tries, b.places, p.placesOf(b))
	}
}

// forgetLosable drops the places of a batch that a fault may have taken, those first of which nothing was heard for longest: it was written again since.
func (p *Partition) forgetLosable(b *Batch) {
	for b.places > 1 {
		first := -1
		for i := range p.slots {
			s := &p.slots[i]
			if s.batch != b || !p.losable(s) {
				continue
			}
			if first < 0 || cmp.Or(cmp.Compare(s.stamp, p.slots[first].stamp), cmp.Compare(s.since, p.slots[first].since)) < 0 {
				first = i
			}
		}
		if first < 0 {
			return
		}
		p.lose(first)
	}
}

// forgetRemoved drops the places of a batch from which it may have been removed, of a partition with other leaders since: a replica that began anew at
// the log start does not know who wrote what lay below.
func (p *Partition) forgetRemoved(b *Batch) {
	for i := 0; i < len(p.slots) && b.places > 1 && p.elects(); {
		if s := &p.slots[i]; s.batch == b && (p.mayRetain || s.base < max(p.deleteUpTo, p.start)) {
			p.removed = append(p.removed, *s)
			p.lose(i)
			continue
		}
		i++
	}
}

func (p *Partition) placesOf(b *Batch) []record.Offset {
	var at []record.Offset
	for i := range p.slots {
		if p.slots[i].batch == b {
			at = append(at, p.slots[i].base)
		}
	}
	return at
}

// SequenceRefused judges that a producer which keeps the rules, and has no unanswered batch before this one, was told that its sequence is out of
// order or its id is unknown.
func (p *Partition) SequenceRefused(b *Batch, code string) {
	// Nobody knew the producer here: then a later batch that was sent at once may have been taken while this one was refused, for its size or by a deposed leader.
	// In a cluster a leader whose session is over for a moment refuses too, and goes on.
	fenced := p.settings.Replicas > 0 && b.tries > 1
	unknown := b.Sequence == 0 && (p.elects() || fenced || p.settings.Recompressed || (p.settings.SegmentBytes > 0 && b.Size > p.settings.SegmentBytes))
	excused := unknown || !p.pure || b.Acks != -1 || p.mayRetain || p.deleteUpTo > 0 || p.closing || p.wounded || p.excused || p.inherited || p.strayed ||
		p.mayInherit(b.Producer)
	p.ledger.Check("P2", excused, "%s: batch %d of producer %d, sequence %d, is refused with %s although every batch before it was acknowledged",
		p.Name, b.Number, b.Producer, b.Sequence, code)
}
