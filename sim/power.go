package sim

import (
	"math/bits"
	"slices"
)

// Decision is a kind of choice that a power cut makes for something that was not durable.
type Decision uint8

// The decisions. The first option always loses what is at stake, the second keeps it.
const (
	// DecideName: a change of a directory is lost or kept.
	DecideName Decision = iota + 1
	// DecideCut: a truncation is lost or kept.
	DecideCut
	// DecideGrowth: a growth of a file is lost, kept, or kept in part.
	DecideGrowth
	// DecideSector: a written sector is lost, kept, or torn.
	DecideSector
	// DecideTear: where in a torn sector or a part of a growth the new ends: any of n places.
	DecideTear
)

// Chooser makes the choices of a power cut: Choose picks one of n options, 0 to n-1.
type Chooser interface {
	Choose(d Decision, n int64) int64
}

// Kill ends the process: open files are gone, the page cache stays. The disk then belongs to the next process.
func (d *Disk) Kill() {
	d.life++
	d.down, d.crashAt = false, 0
	d.recount()
}

// Power cuts the power: everything that was not synced is kept, lost or torn as the seed has it. Each cut has its
// own temper: one mostly loses, another mostly keeps.
func (d *Disk) Power() {
	r := &randomPower{rand: NewStream(d.options.Seed, DomainPower, d.options.Actor<<32|d.life)}
	r.lose = [...]int64{Million / 2, Million, 0, Million * 9 / 10, Million / 10, Million / 3}[r.rand.Below(6)]
	r.tear = [...]int64{0, Million / 10, Million / 2}[r.rand.Below(3)]
	d.PowerBy(r)
}

// PowerBy cuts the power and lets c choose what is kept.
func (d *Disk) PowerBy(c Chooser) {
	d.resolveDir(d.root, witness{d, c})
	d.Kill()
}

// witness counts what a power cut takes.
type witness struct {
	disk *Disk
	Chooser
}

func (w witness) Choose(d Decision, n int64) int64 {
	choice := w.Chooser.Choose(d, n)
	switch {
	case d == DecideSector && choice == 2:
		w.disk.strike(FaultTornSector)
	case d == DecideTear || choice != 0:
	default:
		w.disk.strike([...]FaultKind{DecideName: FaultLostName, DecideCut: FaultLostCut, DecideGrowth: FaultLostGrowth,
			DecideSector: FaultLostSector}[d])
	}
	return choice
}

// Wipe empties the disk.
func (d *Disk) Wipe() {
	d.root = d.newInode()
	d.root.dir = newDirectory()
	d.Kill()
}

type randomPower struct {
	rand       Stream
	lose, tear int64
}

func (r *randomPower) Choose(d Decision, n int64) int64 {
	switch {
	case d == DecideTear:
		return r.rand.Below(n)
	case r.rand.Chance(r.lose):
		return 0
	case n == 3 && r.rand.Chance(r.tear):
		return 2
	}
	return 1
}

type constant int64

func (c constant) Choose(_ Decision, n int64) int64 { return min(int64(c), n-1) }

// LoseAll is the power cut that keeps nothing that was not synced.
func LoseAll() Chooser { return constant(0) }

// KeepAll is the power cut that happens to keep everything.
func KeepAll() Chooser { return constant(1) }

// resolveDir decides the fate of a directory's changes, and then of all that can be reached through it.
func (d *Disk) resolveDir(i *inode, c Chooser) {
	i.visited = d.life + 1
	dir := i.dir
	for _, ch := range dir.changes {
		if d.keeps(ch, c) {
			ch.apply(&dir.was)
		}
	}
	dir.changes = nil
	dir.was = slices.DeleteFunc(dir.was, func(e entry) bool {
		child := e.ino
		switch {
		case child.visited == d.life+1:
			return child.dir != nil // a directory has one name
		case child.dir != nil:
			d.resolveDir(child, c)
		default:
			d.resolveFile(child, c)
		}
		return false
	})
	dir.now.copyOf(dir.was)
}

func (d *Disk) keeps(ch change, c Chooser) bool {
	h := ch.half
	switch {
	case h == nil:
		return c.Choose(DecideName, 2) != 0
	case h.durable && ch.kind == unlinked && ch.ino.dir != nil:
		return true
	case h.durable:
		return c.Choose(DecideName, 2) != 0
	case !h.decided:
		h.decided, h.kept = true, c.Choose(DecideName, 2) != 0
	}
	return h.kept
}

// resolveFile decides the fate of a file's length and sectors.
func (d *Disk) resolveFile(i *inode, c Chooser) {
	i.visited = d.life + 1
	d.edited(i, 0)
	size, cut := resolveSize(i, c)
	for index := range i.pages {
		p := &i.pages[index]
		if p.pending() != 0 {
			d.resolvePage(p, size-int64(index)*pageSize, cut-int64(index)*pageSize, c)
		}
		p.listed = false
		if rest := size - int64(index)*pageSize; rest < pageSize && p.now != nil {
			clear(p.now[max(0, rest):])
		}
	}
	i.size, i.mediaSize = size, size
	i.resizes, i.dirty = i.resizes[:0], i.dirty[:0]
}

// resolveSize returns the length, and the shortest length that a kept truncation set.
func resolveSize(i *inode, c Chooser) (size, cut int64) {
	size, cut = i.mediaSize, maxFileSize
	for _, r := range i.resizes {
		if r.cut {
			if c.Choose(DecideCut, 2) != 0 {
				size, cut = min(size, r.size), min(cut, r.size)
			}
			continue
		}
		if r.size <= size {
			continue
		}
		switch c.Choose(DecideGrowth, 3) {
		case 1:
			size = r.size
		case 2:
			size += c.Choose(DecideTear, r.size-size)
		}
	}
	return size, cut
}

// resolvePage decides for each sector of a page that differs from the medium. What lies behind size is cut off anyway, and what the
// medium has behind cut is gone.
func (d *Disk) resolvePage(p *page, size, cut int64, c Chooser) {
	base := p.was
	if base != nil && cut < pageSize {
		clear(base[max(0, cut):])
	}
	for units := p.pending(); units != 0; units &= units - 1 {
		one := units & -units
		lo := int64(bits.TrailingZeros8(units)) * d.unit()
		outcome := int64(0)
		if p.wrote&^p.doomed&one != 0 && lo < size {
			outcome = c.Choose(DecideSector, 3)
		}
		switch outcome {
		case 0:
			d.copyUnits(&p.now, base, one)
		case 2:
			at := lo + c.Choose(DecideTear, d.unit())
			if base != nil {
				copy(p.now[at:lo+d.unit()], base[at:])
			} else {
				clear(p.now[at : lo+d.unit()])
			}
		}
	}
	d.freePage(p.was)
	p.was, p.wrote, p.cut, p.phantom, p.doomed, p.astray = nil, 0, 0, 0, 0, 0
}

// recount finds out what is used and which links there are, after a crash.
func (d *Disk) recount() {
	d.used, d.opened = 0, 0
	d.walk(d.root, func(i *inode) { i.opens, i.links = 0, 0 })
	d.walk(d.root, func(i *inode) {
		if i.links == 0 {
			d.used += i.stored()
		}
		i.links++
	})
}

// walk visits everything below i, once for each present name.
func (d *Disk) walk(i *inode, visit func(*inode)) {
	for _, e := range i.dir.now {
		child := e.ino
		visit(child)
		if child.dir != nil {
			d.walk(child, visit)
		}
	}
}
