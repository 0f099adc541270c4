package sim

import (
	"errors"
	"math/bits"
	"slices"

	"lignum/core/env"
	"lignum/core/invariant"
)

// FaultKind is a way in which a disk goes wrong.
type FaultKind uint8

// The kinds of faults. The first ones fail a call, the middle ones pass unnoticed at first, the last ones are what a power cut took.
const (
	FaultReadError FaultKind = iota + 1
	FaultWriteError
	FaultSyncError // of a file or a directory
	FaultCloseError
	FaultNoSpace
	FaultNameError  // another call was made to fail: open, rename and the like
	FaultUnreadable // a read met a bad sector
	FaultShortRead  // the kernel transferred less than was asked, and was asked again
	FaultShortWrite
	FaultSlow  // a call took long
	FaultStuck // a call does not return while the process lives
	FaultPhantom
	FaultMisdirected
	FaultRot
	FaultBadSector // a sector went bad: a latent error
	FaultLostName
	FaultLostCut
	FaultLostGrowth
	FaultLostSector
	FaultTornSector
	faultKinds
)

var faultNames = [...]string{"", "read errors", "write errors", "sync errors", "close errors", "space errors", "name errors",
	"unreadable sectors", "short reads", "short writes", "slow calls", "stuck calls", "phantom writes", "misdirected writes", "rot",
	"bad sectors", "lost names", "lost truncations", "lost growths", "lost sectors", "torn sectors"}

// String is the kind's name for people.
func (k FaultKind) String() string { return faultNames[k] }

// Orders that a hook of Inject gives.
var (
	// ErrPhantom has a write succeed that never reaches the medium, all of it or one of its sectors.
	ErrPhantom = errors.New("sim: phantom write")
	// ErrMisdirected has a write succeed of which a sector reaches the medium in another place, over what is there.
	ErrMisdirected = errors.New("sim: misdirected write")
)

func lieOf(err error) FaultKind {
	if err == ErrPhantom {
		return FaultPhantom
	}
	return FaultMisdirected
}

// failureOf is the kind of a call that fails.
func failureOf(k OpKind, err error) FaultKind {
	switch {
	case errors.Is(err, env.ErrNoSpace):
		return FaultNoSpace
	case k == OpRead:
		return FaultReadError
	case k == OpWrite:
		return FaultWriteError
	case k == OpSync, k == OpSyncDir:
		return FaultSyncError
	case k == OpClose:
		return FaultCloseError
	}
	return FaultNameError
}

// strike counts a fault that happened.
func (d *Disk) strike(k FaultKind) { d.happened[k]++ }

// Happened is how often a kind of fault really happened.
func (d *Disk) Happened(k FaultKind) uint64 { return d.happened[k] }

// EachFault calls visit with every kind of fault and how often it really happened.
func (d *Disk) EachFault(visit func(k FaultKind, times uint64)) {
	for k := FaultKind(1); k < faultKinds; k++ {
		visit(k, d.happened[k])
	}
}

// hits is a chance that draws nothing at rate 0.
func (d *Disk) hits(rate int64) bool { return rate > 0 && d.faultRand.Chance(rate) }

func (d *Disk) lieByChance() error {
	switch r := &d.options.Rates; {
	case d.hits(r.Phantom):
		return ErrPhantom
	case d.hits(r.Misdirected):
		return ErrMisdirected
	}
	return nil
}

// shorten decides whether the kernel transfers less than asked, and how much then; 0 if it does not.
func (d *Disk) shorten(k FaultKind, rate, n int64) int64 {
	if n < 2 || !d.hits(rate) {
		return 0
	}
	d.strike(k)
	return 1 + d.faultRand.Below(n-1)
}

// betray dooms what a write has just put into the page cache: the medium will not get it, or not there. The cache shows it,
// until it is written back.
func (d *Disk) betray(i *inode, off, n int64) {
	lie := d.lie
	d.lie = 0
	if lie == 0 || n <= 0 {
		return
	}
	first, last := off/d.unit(), (off+n-1)/d.unit()
	if lie == FaultMisdirected || d.faultRand.Below(2) == 0 {
		first += d.faultRand.Below(last - first + 1)
		last = first
	}
	for sector := first; sector <= last; sector++ {
		p, one := d.sector(i, sector)
		p.doomed |= one
		if lie == FaultMisdirected {
			p.astray |= one
		}
	}
	d.strike(lie)
	d.wound(lie, i, first*d.unit(), (last-first+1)*d.unit())
}

// sector is the page and the unit of a sector of a file.
func (d *Disk) sector(i *inode, sector int64) (*page, uint8) {
	perPage := pageSize / d.unit()
	return i.page(sector / perPage), 1 << (sector % perPage)
}

// misplace is the doomed part of a page's way to the medium: there the old content stays, and what is astray hits another
// sector. The kernel holds all of it clean; when it drops the page from its cache the truth comes out.
func (d *Disk) misplace(i *inode, index int64) {
	d.edited(i, 0)
	p := &i.pages[index]
	lost, astray := p.doomed&p.wrote, p.astray&p.wrote
	p.doomed, p.astray = 0, 0
	for units := astray; units != 0; units &= units - 1 {
		lo := int64(bits.TrailingZeros8(units)) * d.unit()
		d.overwrite(i, p.now[lo:lo+d.unit()])
	}
	if p = &i.pages[index]; d.cacheRand.Below(2) == 0 {
		p.phantom |= lost
		return
	}
	base := d.masked(p.was, i.size-index*pageSize)
	d.copyUnits(&p.now, base, lost)
	d.freePage(base)
}

// overwrite puts the content of a sector on the medium in a place where it does not belong, if there is one.
func (d *Disk) overwrite(i *inode, content []byte) {
	victim, sector := d.someSector(i)
	if victim == nil {
		return
	}
	p, one := d.sector(victim, sector)
	if p.now == nil || p.pending()&one != 0 {
		return // a hole, or what will be written again anyway
	}
	if p.pending() == 0 {
		d.freePage(p.was)
		p.was = d.copyPage(p.now)
	}
	if p.was == nil {
		return
	}
	d.edited(victim, 0)
	lo := int64(bits.TrailingZeros8(one)) * d.unit()
	d.wound(FaultMisdirected, victim, sector*d.unit(), d.unit())
	copy(p.was[lo:lo+d.unit()], content)
	if p.phantom |= one; d.cacheRand.Below(2) == 0 {
		copy(p.now[lo:lo+d.unit()], content)
	}
}

// age lets the medium go bad in what has just been synced, or elsewhere.
func (d *Disk) age(i *inode) {
	r := &d.options.Rates
	if d.hits(r.Latent) {
		if victim, sector := d.someSector(i); victim != nil {
			d.spoil(victim, sector)
		}
	}
	if d.hits(r.Rot) {
		if victim, sector := d.someSector(i); victim != nil {
			d.rot(victim, sector*d.unit()+d.faultRand.Below(d.unit()), 1<<d.faultRand.Below(8))
		}
	}
}

// someSector picks a sector that the medium has: half of the time of the given file, else of any.
func (d *Disk) someSector(i *inode) (*inode, int64) {
	if d.faultRand.Below(2) == 0 {
		var all []*inode
		d.walk(d.root, func(other *inode) {
			if other.dir == nil && other.mediaSize > 0 {
				all = append(all, other)
			}
		})
		if len(all) > 0 {
			i = all[d.faultRand.Below(int64(len(all)))]
		}
	}
	sectors := (min(i.mediaSize, i.size) + d.unit() - 1) / d.unit()
	if sectors == 0 {
		return nil, 0
	}
	return i, d.faultRand.Below(sectors)
}

// inodeOf finds a file for the helpers below; a wrong path is a mistake of the test.
func (d *Disk) inodeOf(path string) *inode {
	i, err := d.find(path)
	if err != nil || i.dir != nil {
		invariant.Violated("sim: no file %s: %v", path, err)
	}
	return i
}

// Rot inverts the bits of mask in the byte at off, on the medium and in the cache.
func (d *Disk) Rot(path string, off int64, mask byte) {
	d.rot(d.inodeOf(path), off, mask)
}

func (d *Disk) rot(i *inode, off int64, mask byte) {
	index, at := off/pageSize, off%pageSize
	if off < 0 || off >= i.size || index >= int64(len(i.pages)) {
		return
	}
	d.edited(i, 0)
	d.wound(FaultRot, i, off, 1)
	for _, p := range []*[pageSize]byte{i.pages[index].now, i.pages[index].was} {
		if p != nil {
			p[at] ^= mask
		}
	}
	if i.pages[index].now != nil {
		d.strike(FaultRot)
	}
}

// BadSector makes the sector that holds off unreadable until it is written again.
func (d *Disk) BadSector(path string, off int64) {
	d.spoil(d.inodeOf(path), off/d.unit())
}

func (d *Disk) spoil(i *inode, sector int64) {
	if !slices.Contains(i.bad, sector) {
		i.bad = append(i.bad, sector)
		d.strike(FaultBadSector)
		d.wound(FaultBadSector, i, sector*d.unit(), d.unit())
	}
}

// readable is how much of [off, off+n) can be read.
func (d *Disk) readable(i *inode, off, n int64) int64 {
	for _, sector := range i.bad {
		if lo := sector * d.unit(); lo < off+n && off < lo+d.unit() {
			n = max(0, lo-off)
		}
	}
	return n
}

// heal makes bad sectors good that are overwritten.
func (d *Disk) heal(i *inode, off, n int64) {
	kept := i.bad[:0]
	for _, sector := range i.bad {
		if lo := sector * d.unit(); lo >= off+n || off >= lo+d.unit() {
			kept = append(kept, sector)
		}
	}
	i.bad = kept
}
