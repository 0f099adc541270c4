package ledger

import (
	"cmp"
	"slices"

	"lignum/core/record"
	"lignum/linearizability/history"
)

// BeginFinal forgets what an earlier last reader saw.
func (p *Partition) BeginFinal() {
	p.left = false
	for i := range p.slots {
		p.slots[i].final = false
	}
}

// Settle closes the books of a partition that a last reader has read from its start to its end, while nobody wrote.
func (p *Partition) Settle(start, end record.Offset) {
	if p.closing {
		return
	}
	l := p.ledger
	for i := 0; i < len(p.slots); {
		s := &p.slots[i]
		if s.final || s.next() <= start {
			i++
			continue
		}
		may := p.losable(s)
		l.Check("D1", may, "%s: batch %d (acks %d, acknowledged %v, seen %v) at offsets [%d, %d) is gone: the log is [%d, %d) (firm %d)", p.Name, s.batch.Number,
			s.batch.Acks, s.acked, s.seen, s.base, s.next(), start, end, p.firm(s.stamp))
		p.lose(i)
	}
	if p.wounded {
		l.Checked("L7") // it was read to its end, and nothing is missing without a word
	}
	p.checkDense(start, end)
	p.checkSequences(start)
}

// checkDense: the log has no hole.
func (p *Partition) checkDense(start, end record.Offset) {
	at := start
	for i := p.find(start); i < len(p.slots); i++ {
		s := &p.slots[i]
		p.ledger.Check("L3", s.base <= at, "%s: the log has a hole [%d, %d)", p.Name, at, s.base)
		at = s.next()
	}
	p.ledger.Check("L3", at == end || end == start, "%s: the log ends at %d, its last batch at %d", p.Name, end, at)
}

// writer is one life of an idempotent producer.
type writer struct {
	id    record.ProducerID
	epoch record.ProducerEpoch
}

// checkSequences: an idempotent producer's batches lie in the log in the order of their sequences, without a gap (P2).
func (p *Partition) checkSequences(start record.Offset) {
	if p.wounded || p.inherited || p.strayed {
		return
	}
	next, epochs := map[writer]int32{}, map[record.ProducerID]record.ProducerEpoch{}
	for i := p.find(start); i < len(p.slots); i++ {
		b := p.slots[i].batch
		if !b.idempotent() {
			continue
		}
		w := writer{b.Producer, b.Epoch}
		want, known := next[w]
		p.ledger.Check("P2", !known || want == b.Sequence, "%s: at offset %d producer %d goes on with sequence %d instead of %d", p.Name, p.slots[i].base,
			b.Producer, b.Sequence, want)
		next[w] = record.AddSequence(b.Sequence, b.Count)
		p.ledger.Check("P5", b.Epoch >= epochs[w.id], "%s: at offset %d producer %d writes in epoch %d, behind epoch %d", p.Name, p.slots[i].base, b.Producer, b.Epoch,
			epochs[w.id])
		epochs[w.id] = b.Epoch
	}
}

// History is what clients did with the partition and saw of it. In a partition that may have lost what clients saw it ends with the
// first fault that could do that.
func (p *Partition) History() history.Log {
	until := forever
	slots := slices.Clone(p.slots)
	if p.keeps() {
		slots = p.withRemoved(slots)
		// What a fault may have taken unseen, and was deleted since, is not known to have been there.
		slots = slices.DeleteFunc(slots, func(s slot) bool { return p.losable(&s) })
	} else {
		until = p.ledger.firstLoss
		slots = slices.Concat(p.gone, p.slots)
		slots = slices.DeleteFunc(slots, func(s slot) bool { return s.first > 0 || p.elects() && !s.seen && s.ackedAt == forever })
		slices.SortStableFunc(slots, func(a, b slot) int { return cmp.Compare(a.base, b.base) })
	}
	log := history.Log{Name: p.Name}
	top := int64(0)
	for _, op := range p.reads {
		if op.Return < until {
			log.Ops = append(log.Ops, op)
			top = max(top, op.Offset)
		}
	}
	for i := range slots {
		if s := &slots[i]; s.ackedAt < until {
			top = max(top, int64(s.next()))
		}
	}
	return p.addAppends(log, slots, until, top)
}

// Told says whether anybody was told something that the partition's history has to explain.
func (p *Partition) Told() bool {
	return len(p.reads) > 0 || slices.ContainsFunc(p.slots, func(s slot) bool { return s.ackedAt < forever })
}

// withRemoved adds what was deleted and sent again: readers may have seen it where it lay first.
func (p *Partition) withRemoved(slots []slot) []slot {
	for _, s := range p.removed {
		i, _ := slices.BinarySearchFunc(slots, s.base, func(s slot, o record.Offset) int { return cmp.Compare(s.base, o) })
		if (i == 0 || slots[i-1].next() <= s.base) && (i == len(slots) || s.next() <= slots[i].base) {
			slots = slices.Insert(slots, i, s)
		}
	}
	return slots
}

// addAppends adds the appends below the greatest end that is known. What nobody saw, and was deleted since, is an append of unknown
// content.
func (p *Partition) addAppends(log history.Log, slots []slot, until, top int64) history.Log {
	sights := ends(log)
	at := int64(0)
	for i := range slots {
		s := &slots[i]
		if int64(s.base) >= top {
			break
		}
		log = addUnseen(log, sights, at, int64(s.base))
		op := history.Op{Kind: history.Append, Call: s.batch.firstSent, Return: forever, Offset: int64(s.base), Count: int64(s.batch.Count), Content: s.batch.body}
		if s.ackedAt < until {
			op.Return = s.ackedAt
		}
		log.Ops = append(log.Ops, op)
		at = int64(s.next())
	}
	return addUnseen(log, sights, at, top)
}

// ends are the ends that readers saw, in order, each once.
func ends(log history.Log) []int64 {
	var all []int64
	for i := range log.Ops {
		all = append(all, log.Ops[i].Offset)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// addUnseen adds appends for offsets of which nobody saw what was there. Readers have seen where some of them ended.
func addUnseen(log history.Log, sights []int64, from, to int64) history.Log {
	i, _ := slices.BinarySearch(sights, from+1)
	for from < to {
		next := to
		if i < len(sights) {
			next = min(to, sights[i])
			i++
		}
		log.Ops = append(log.Ops, history.Op{Kind: history.Append, Return: forever, Offset: from, Count: next - from})
		from = next
	}
	return log
}
