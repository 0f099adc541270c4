package ledger

import "lignum/core/record"

// Known is the offset below which all records were on stable storage for sure when a request leaves now; what is judged by it has to be there.
func (p *Partition) Known() record.Offset { return p.firm(p.losses()) }

// AtTime judges the answer to a look-up by time (F7): the first record that is not before the time, of what was there. o is -1 if there was
// said to be none; known is Known when the request left.
func (p *Partition) AtTime(time int64, known, o record.Offset, at int64) {
	if !p.timed() {
		return
	}
	l := p.ledger
	if o >= 0 {
		l.Check("F7", at >= time, "%s: the first record not before %d is said to be at offset %d, of %d", p.Name, time, o, at)
		p.checkRecord(o, at)
	}
	end := known
	if o >= 0 {
		end = o
	}
	p.eachSure(end, func(at record.Offset, t int64) {
		l.Check("F7", t < time, "%s: the first record not before %d is said to be at offset %d, but the one at %d is of %d", p.Name, time, o, at, t)
	})
}

// AtMax judges the answer to a look-up of the greatest timestamp (F7).
func (p *Partition) AtMax(known, o record.Offset, at int64) {
	if !p.timed() {
		return
	}
	if o >= 0 {
		p.checkRecord(o, at)
	}
	p.eachSure(known, func(other record.Offset, t int64) {
		good := o >= 0 && (t < at || t == at && (other >= o || p.mayRetain))
		p.ledger.Check("F7", good, "%s: the greatest timestamp is said to be %d, at offset %d, but the record at %d is of %d", p.Name, at, o, other, t)
	})
}

// timed says whether look-ups by time can be judged: not where a rotten time index may lead astray.
func (p *Partition) timed() bool { return !p.closing && !p.wounded && !p.excused }

// checkRecord: if it is known what lies at the offset, it has that timestamp.
func (p *Partition) checkRecord(o record.Offset, at int64) {
	i := p.find(o)
	if i == len(p.slots) || p.slots[i].base > o || p.losable(&p.slots[i]) {
		return
	}
	t := p.slots[i].batch.time(o - p.slots[i].base)
	p.ledger.Check("F7", t == at, "%s: the record at offset %d is said to be of %d, it is of %d", p.Name, o, at, t)
}

// eachSure visits the records below an offset that are there for sure.
func (p *Partition) eachSure(end record.Offset, visit func(o record.Offset, time int64)) {
	start := max(p.start, p.deleteUpTo)
	if p.mayRetain {
		start = end // retention may be faster than a look
	}
	for i := p.find(start); i < len(p.slots) && p.slots[i].base < end; i++ {
		s := &p.slots[i]
		if p.losable(s) {
			continue
		}
		for o := max(s.base, start); o < min(s.next(), end); o++ {
			visit(o, s.batch.time(o-s.base))
		}
	}
}

// time is the timestamp of the batch's i-th record. The clients count a millisecond up from record to record.
func (b *Batch) time(i record.Offset) int64 { return b.firstTime + int64(i) }
