package ledger

import "lignum/core/record"

// Wound notes that the medium lied in one of the partition's files: it may become unavailable, and readers may meet bytes that a checksum or
// an offset gives away. What it may not do is lose records without a word (L7), or deliver anything else for one of them (F8).
func (p *Partition) Wound() { p.wounded, p.mended = true, forever }

// Mended notes that none of the partition's replicas that are there has a wound: who asks from now on meets nothing broken any more.
func (p *Partition) Mended() { p.mended = min(p.mended, p.ledger.Now()) }

// Wounded says whether the medium lied in one of the partition's files.
func (p *Partition) Wounded() bool { return p.wounded }

// MayLose notes that the medium lied about the last thing that was ever written of the records from an offset on: nothing behind it can tell
// that it was there, so one copy is not enough to know.
func (p *Partition) MayLose(from record.Offset) {
	if !p.excused || from < p.excusedFrom {
		p.excused, p.excusedFrom = true, from
	}
}

// Leave notes that a last reader could not read the partition to its end, and was told why.
func (p *Partition) Leave() { p.left = true }

// Left says whether the present last reader left the partition alone.
func (p *Partition) Left() bool { return p.left }

// Judgeable says whether the partition's history must have an order. Where the medium lied it ends with the first fault that could take anything.
func (p *Partition) Judgeable() bool { return !p.closing }

// keeps says whether what clients of acks=all saw must be there to the end.
func (p *Partition) keeps() bool { return p.pure && !p.wounded && !p.excused }

// sound is Check for what a read delivers: in a wounded partition a reader that sees that something is broken has been told.
func (p *Partition) sound(v View, c *Cursor, name string, holds bool, format string, args ...any) bool {
	if !holds && p.wounded && v.sent < p.mended {
		p.ledger.Checked("L7")
		c.Broken = true
		return false
	}
	return p.ledger.Check(name, holds, format, args...)
}

// elsewhere says whether the batch is known to lie in another place: then a read that finds it here has met a broken header.
func (p *Partition) elsewhere(b *Batch, at record.Offset) bool {
	if b.places == 0 {
		return false
	}
	for i := range p.slots {
		if s := &p.slots[i]; s.batch == b && s.base == at {
			return false
		}
	}
	return true
}
