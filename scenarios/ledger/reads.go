package ledger

import (
	"errors"

	"lignum/core/record"
	"lignum/linearizability/history"
)

// View is one look of a client at a partition, from when its request left.
type View struct {
	Client int
	sent   int64
	stamp  uint64
}

// Look notes that a request leaves that looks at partitions.
func (l *Ledger) Look(client int) View {
	l.meet()
	return View{Client: client, sent: l.Now(), stamp: l.Losses()}
}

// Cursor is where a client is in a partition.
type Cursor struct {
	Position record.Offset
	chain    uint64
	whole    bool // has seen everything below Position
	// Broken: the last answer held something that cannot be right, in a partition where the medium lied.
	Broken bool
}

// Seek moves the cursor.
func (c *Cursor) Seek(o record.Offset) { *c = Cursor{Position: o, whole: o == 0} }

// Fetched is what a fetch said of one partition.
type Fetched struct {
	HighWatermark, LastStable, LogStart record.Offset
	Committed                           bool // the fetch was read_committed
	Records                             []byte
	Final                               bool // the last reader's
}

// Fetched checks an answer, and moves the cursor behind it. It returns how many records there were.
func (p *Partition) Fetched(v View, c *Cursor, f Fetched) int {
	l := p.ledger
	if p.closing {
		return 0
	}
	l.Check("H3", f.LogStart <= f.LastStable && f.LastStable <= f.HighWatermark && f.LogStart >= 0,
		"%s: log start %d, last stable %d, high watermark %d", p.Name, f.LogStart, f.LastStable, f.HighWatermark)
	p.committed(f.HighWatermark, 0)
	if p.settings.Replicas == 0 || f.LogStart > p.start {
		p.started(v, f.LogStart)
	}
	behind := p.behind(v, f.HighWatermark)
	n := p.take(v, c, &f)
	if behind {
		return n
	}
	p.saw(f.HighWatermark)
	op := history.Op{Client: v.Client, Kind: history.Read, Call: v.sent, Return: l.Now(), Offset: int64(f.HighWatermark)}
	if c.whole && c.Position == f.HighWatermark {
		op.Whole, op.Content = true, c.chain
	}
	p.reads = append(p.reads, op)
	return n
}

// take goes over the batches of an answer.
func (p *Partition) take(v View, c *Cursor, f *Fetched) int {
	records := 0
	c.Broken = false
	epoch := record.NoEpoch
	limit := f.HighWatermark
	if f.Committed {
		limit = f.LastStable
	}
	for rest := f.Records; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if errors.Is(err, record.ErrShort) && records > 0 {
			break
		}
		if !p.sound(v, c, "F8", err == nil, "%s: what is delivered behind offset %d is no batch: %v", p.Name, c.Position, err) {
			break
		}
		rest = after
		if err := b.CheckCRC(); !p.sound(v, c, "F8", err == nil, "%s: the batch at offset %d is delivered damaged: %v", p.Name, b.BaseOffset(), err) {
			break
		}
		if records == 0 {
			if !p.sound(v, c, "F4", b.BaseOffset() <= c.Position && c.Position <= b.LastOffset(), "%s: a fetch from offset %d gets a batch at [%d, %d]", p.Name,
				c.Position, b.BaseOffset(), b.LastOffset()) && c.Broken {
				break
			}
			if b.BaseOffset() != c.Position {
				c.whole = false
			}
		} else if !p.sound(v, c, "L3", b.BaseOffset() == c.Position && b.LeaderEpoch() >= epoch, "%s: behind offset %d in epoch %d comes a batch at %d in epoch %d", p.Name,
			c.Position, epoch, b.BaseOffset(), b.LeaderEpoch()) && c.Broken {
			break
		}
		if !p.sound(v, c, "F1", b.LastOffset() < limit, "%s: offset %d is delivered, the limit is %d", p.Name, b.LastOffset(), limit) && c.Broken {
			break
		}
		epoch = b.LeaderEpoch()
		batch := p.delivered(v, c, b, f.Final)
		if batch == nil {
			break
		}
		c.chain = history.Chain(c.chain, batch.body)
		c.Position = b.NextOffset()
		records += int(b.Count())
	}
	return records
}

// delivered checks one batch that a client got. It returns nil if nobody sent it.
func (p *Partition) delivered(v View, c *Cursor, b record.Batch, final bool) *Batch {
	l := p.ledger
	batch := p.batchOf(b)
	if batch != nil && len(p.before) > 0 {
		l.Check("X4", batch.Part == p || p.heir(batch), "%s: a batch of %s, which was deleted, is delivered at offset %d", p.Name, batch.Part.Name, b.BaseOffset())
	}
	known := batch != nil && batch.Part == p && batch.tries > 0
	if !p.sound(v, c, "F8", known, "%s: nobody sent the batch of %d records that is delivered at offset %d", p.Name, b.Count(), b.BaseOffset()) {
		return nil
	}
	if p.wounded && p.settings.Replicas == 0 && !p.sound(v, c, "F8", !p.elsewhere(batch, b.BaseOffset()), "") {
		return nil
	}
	l.Check("D2", !batch.refusedForGood(), "%s: batch %d was refused, and is delivered at offset %d", p.Name, batch.Number, b.BaseOffset())
	l.Checked("D1")
	stamp := p.committed(0, v.stamp)
	p.learn(slot{
		base: b.BaseOffset(), batch: batch, epoch: b.LeaderEpoch(), stamp: stamp, ackedAt: forever, seen: true, committed: true, final: final,
	})
	return batch
}

// started checks a log start that a client was told.
func (p *Partition) started(v View, start record.Offset) {
	l := p.ledger
	switch {
	case v.sent < p.startSince || p.excused:
	case p.elects():
		// What retention has removed at one leader may still be there at the next one.
		l.Check("R3", start >= p.promised || v.sent < p.promisedAt, "%s: the log starts at %d, although %d was promised", p.Name, start, p.promised)
	default:
		l.Check("R3", start >= p.start, "%s: the log starts at %d, but it started at %d before (%d was promised)", p.Name, start, p.start, p.promised)
	}
	if start <= p.start {
		return
	}
	if start > p.deleteUpTo {
		l.Check("R2", p.mayRetain, "%s: the log starts at %d, but nobody asked to delete more than up to %d", p.Name, start, p.deleteUpTo)
		p.checkRetained(start)
	}
	p.start, p.startSince = start, l.Now()
}

// checkRetained holds what is left against retention.bytes: only whole segments beyond it may go.
func (p *Partition) checkRetained(start record.Offset) {
	if p.settings.RetentionMs >= 0 || p.settings.RetentionBytes < 0 || p.settings.Recompressed || p.losses() > 0 {
		return // what was lost since may have counted
	}
	left, from := int64(0), p.find(start)
	for i := from; i < len(p.slots); i++ {
		left += int64(p.slots[i].batch.Size)
	}
	unknown := len(p.batches) > 0 && from > 0 && len(p.slots) == from
	p.ledger.Check("R2", unknown || left >= p.settings.RetentionBytes || p.unsettled(), "%s: the log starts at %d and has %d bytes left, retention.bytes is %d", p.Name,
		start, left, p.settings.RetentionBytes)
}

// unsettled says whether batches may lie in the log of which that is not known.
func (p *Partition) unsettled() bool {
	for _, b := range p.batches {
		if may := b.tries - b.refused; may > b.places && (b.places == 0 || !b.idempotent()) {
			return true
		}
	}
	return false
}

// Latest is a high watermark that ListOffsets told.
func (p *Partition) Latest(v View, o record.Offset) {
	if p.closing {
		return
	}
	p.committed(o, 0)
	p.saw(o)
	p.reads = append(p.reads, history.Op{Client: v.Client, Kind: history.Read, Call: v.sent, Return: p.ledger.Now(), Offset: int64(o)})
}

// Earliest is a log start that ListOffsets told.
func (p *Partition) Earliest(v View, o record.Offset) {
	if !p.closing {
		p.started(v, o)
	}
}

// OutOfRange checks that a fetch from an offset was refused as out of range. The answer may be as old as its request: what came to be known
// since does not count.
func (p *Partition) OutOfRange(v View, o record.Offset) {
	if p.closing {
		return
	}
	below := p.mayRetain || o < max(p.deleteUpTo, p.start)
	known := o == 0
	if i := p.find(o - 1); o > 0 && i < len(p.slots) {
		s := &p.slots[i]
		known = s.base < o && s.since <= v.sent && !p.losable(s)
	}
	p.ledger.Check("F5", below || !known, "%s: offset %d is said to be out of range (firm %d, log start %d)", p.Name, o, p.firm(v.stamp), p.start)
}

// Deleting notes that a request leaves to delete everything below the offset; the answer goes to the function returned.
func (p *Partition) Deleting(to record.Offset) (answered func(low record.Offset)) {
	if to < 0 {
		to = 1 << 62 // the high watermark, whatever it is
	}
	p.deleteUpTo = max(p.deleteUpTo, to)
	p.ledger.meet()
	stray := p.strays(p.ledger.Now())
	return func(low record.Offset) {
		if stray {
			return
		}
		p.ledger.Checked("R3")
		if low > p.promised {
			p.promised, p.promisedAt = low, p.ledger.Now()
		}
		if !p.closing && low > p.start {
			p.start, p.startSince = low, p.ledger.Now()
		}
	}
}
