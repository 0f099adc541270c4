package sim

import "math/bits"

const (
	pageSize = 4096
	// maxFileSize bounds what one file may hold, so that a wild offset is an error and not a huge table.
	maxFileSize = 1 << 34
)

// inode is a file or a directory. Names lead to it; it lives as long as a name, present or durable, or an open
// file does.
type inode struct {
	id    uint64
	dir   *directory // nil for a file
	links int        // present names
	opens int        // open files
	moved bool       // from one directory to another: both may have a name of it
	gone  bool       // no directory has a name of it any more

	edition   uint64 // when the content changed last, counted by Disk.edits
	rewritten uint64 // when it changed last below the length that it had
	size      int64  // as the page cache has it
	mediaSize int64  // as the medium has it
	resizes   []resize
	pages     []page
	dirty     []int32 // pages that Sync has to look at
	bad       []int64 // sectors that cannot be read, by their number
	visited   uint64  // number of the last power cut that met this inode
}

// resize is a change of the length that is not durable yet.
type resize struct {
	size int64
	cut  bool
}

// page is one page of a file, cut into units, the sectors. The medium has a unit as in was if one of the masks
// names it, else as in now. A nil pointer stands for zeroes.
type page struct {
	now, was *[pageSize]byte
	wrote    uint8 // units written since the last sync
	cut      uint8 // units zeroed by a truncation since the last sync
	phantom  uint8 // units that differ from the medium although the kernel holds them clean: a sync failed
	listed   bool  // in inode.dirty
	doomed   uint8 // units written that will not reach the medium, though nobody will say so
	astray   uint8 // those of them that will reach it in another place
}

func (p *page) pending() uint8 { return p.wrote | p.cut | p.phantom }

// unit is the size of a sector, and so of the units of a page.
func (d *Disk) unit() int64 { return d.options.SectorSize }

// unitsIn is the mask of the units that meet [lo, hi) of a page.
func (d *Disk) unitsIn(lo, hi int64) uint8 {
	if lo >= hi {
		return 0
	}
	first, last := lo/d.unit(), (hi-1)/d.unit()
	return uint8(1<<(last+1)-1) &^ uint8(1<<first-1)
}

func (d *Disk) newPage() *[pageSize]byte {
	if n := len(d.freePages); n > 0 {
		p := d.freePages[n-1]
		d.freePages = d.freePages[:n-1]
		return p
	}
	return new([pageSize]byte)
}

func (d *Disk) freePage(p *[pageSize]byte) {
	if p != nil && len(d.freePages) < 1024 {
		d.freePages = append(d.freePages, p)
	}
}

func (d *Disk) copyPage(from *[pageSize]byte) *[pageSize]byte {
	if from == nil {
		return nil
	}
	p := d.newPage()
	*p = *from
	return p
}

func (i *inode) list(index int64) {
	if p := &i.pages[index]; !p.listed {
		p.listed = true
		i.dirty = append(i.dirty, int32(index))
	}
}

func (i *inode) page(index int64) *page {
	for int64(len(i.pages)) <= index {
		i.pages = append(i.pages, page{})
	}
	return &i.pages[index]
}

// edited notes that what processes see of a file is about to change from an offset on.
func (d *Disk) edited(i *inode, from int64) {
	d.edits++
	if i.edition = d.edits; from < i.size {
		i.rewritten = d.edits
	}
}

// write puts b at off into the page cache. It returns how many bytes found room.
func (d *Disk) write(i *inode, off int64, b []byte) (n int) {
	d.edited(i, off)
	for n < len(b) {
		at := off + int64(n)
		index, lo := at/pageSize, at%pageSize
		hi := min(pageSize, lo+int64(len(b)-n))
		p := i.page(index)
		if p.now == nil && d.used+pageSize > d.options.Capacity {
			break
		}
		d.soil(i, index, lo, hi)
		n += copy(p.now[lo:hi], b[n:])
	}
	if n > 0 {
		d.grow(i, off+int64(n))
		d.heal(i, off, int64(n))
	}
	return n
}

// soil prepares the units of [lo, hi) for being overwritten: the medium's content is kept in was.
func (d *Disk) soil(i *inode, index, lo, hi int64) {
	p := &i.pages[index]
	units := d.unitsIn(lo, hi)
	if p.pending() == 0 {
		d.freePage(p.was)
		p.was = d.copyPage(p.now)
	}
	// The kernel may have written an earlier version back by itself.
	if again := p.wrote & units; again != 0 && d.writesBack() {
		d.settle(p, again)
	}
	p.wrote |= units
	p.cut &^= units
	p.phantom &^= units
	p.doomed &^= units
	p.astray &^= units
	if p.now == nil {
		p.now = d.newPage()
		*p.now = [pageSize]byte{}
		d.used += pageSize
	}
	i.list(index)
}

// writesBack says whether the kernel wrote something back that nobody asked for.
func (d *Disk) writesBack() bool {
	return !d.options.NoWriteback && d.cacheRand.Below(8) == 0
}

// settle makes the medium's content of the units equal to the cache's.
func (d *Disk) settle(p *page, units uint8) {
	d.copyUnits(&p.was, p.now, units)
}

func (d *Disk) copyUnits(to **[pageSize]byte, from *[pageSize]byte, units uint8) {
	for ; units != 0; units &= units - 1 {
		lo := int64(bits.TrailingZeros8(units)) * d.unit()
		hi := lo + d.unit()
		switch {
		case from != nil && *to != nil:
			copy((*to)[lo:hi], from[lo:hi])
		case from != nil:
			*to = d.newPage()
			**to = [pageSize]byte{}
			copy((*to)[lo:hi], from[lo:hi])
		case *to != nil:
			clear((*to)[lo:hi])
		}
	}
}

// grow notes that the file reaches at least to size.
func (d *Disk) grow(i *inode, size int64) {
	if size <= i.size {
		return
	}
	i.size = size
	if n := len(i.resizes); n > 0 && !i.resizes[n-1].cut {
		i.resizes[n-1].size = size
		return
	}
	d.resized(i, resize{size: size})
}

func (d *Disk) resized(i *inode, r resize) {
	if len(i.resizes) >= 64 {
		d.flush(i) // the kernel's own decision, so that the list stays short
		return
	}
	i.resizes = append(i.resizes, r)
}

// truncate sets the length in the page cache.
func (d *Disk) truncate(i *inode, size int64) {
	d.edited(i, size)
	if size >= i.size {
		d.grow(i, size)
		return
	}
	for index := size / pageSize; index < int64(len(i.pages)); index++ {
		d.cutPage(i, index, max(0, size-index*pageSize))
	}
	i.size = size
	d.resized(i, resize{size: size, cut: true})
}

// cutPage zeroes a page from lo on.
func (d *Disk) cutPage(i *inode, index, lo int64) {
	p := &i.pages[index]
	if p.now == nil && p.pending() == 0 {
		return
	}
	if p.pending() == 0 {
		d.freePage(p.was)
		if p.was = p.now; lo == 0 {
			p.now = nil
			d.used -= pageSize
		} else {
			p.now = d.copyPage(p.was)
		}
	}
	units := d.unitsIn(lo, pageSize)
	whole := units
	if lo%d.unit() != 0 {
		whole &^= d.unitsIn(lo, lo+1)
	}
	// What was written and is cut off before a sync may have reached the medium in between.
	if gone := p.wrote & whole; gone != 0 && p.now != nil && d.writesBack() {
		d.settle(p, gone)
	}
	p.wrote &^= whole
	p.phantom &^= whole
	p.cut |= units &^ (p.wrote | p.phantom)
	if lo == 0 && p.now != nil {
		d.freePage(p.now)
		p.now = nil
		d.used -= pageSize
	}
	if p.now != nil {
		clear(p.now[lo:])
	}
	i.list(index)
}

// flush makes the file's content and length durable.
func (d *Disk) flush(i *inode) {
	for _, index := range i.dirty {
		if i.pages[index].doomed&i.pages[index].wrote != 0 {
			d.misplace(i, int64(index))
		}
		p := &i.pages[index]
		p.listed = false
		if p.phantom != 0 {
			d.settle(p, (p.wrote|p.cut)&^p.phantom)
		} else {
			d.freePage(p.was)
			p.was = nil
		}
		p.wrote, p.cut = 0, 0
	}
	i.dirty = i.dirty[:0]
	i.resizes = i.resizes[:0]
	i.mediaSize = i.size
}

// lose is a sync that fails: some of the dirty units reach the medium, the others never will, and all of them are
// marked clean. The cache goes on showing some of them. The length stays dirty.
func (d *Disk) lose(i *inode) {
	d.edited(i, 0)
	kept := i.dirty[:0]
	for _, index := range i.dirty {
		p := &i.pages[index]
		draw := d.cacheRand.Uint64()
		lost := p.wrote & uint8(draw|draw>>8) // three of four
		d.settle(p, p.wrote&^lost)
		p.wrote, p.doomed, p.astray = 0, 0, 0
		if d.cacheRand.Below(2) == 0 {
			p.phantom |= lost
		} else if lost != 0 {
			base := d.masked(p.was, i.size-int64(index)*pageSize)
			d.copyUnits(&p.now, base, lost)
			d.freePage(base)
		}
		if p.listed = p.cut != 0; p.listed {
			kept = append(kept, index)
		}
	}
	i.dirty = kept
}

// masked copies a page and zeroes what lies behind size.
func (d *Disk) masked(p *[pageSize]byte, size int64) *[pageSize]byte {
	c := d.copyPage(p)
	if c != nil && size < pageSize {
		clear(c[max(0, size):])
	}
	return c
}

// read copies from the page cache; the range lies within the file.
func (i *inode) read(b []byte, off int64) {
	for len(b) > 0 {
		index, lo := off/pageSize, off%pageSize
		n := int(min(pageSize-lo, int64(len(b))))
		if index < int64(len(i.pages)) && i.pages[index].now != nil {
			copy(b[:n], i.pages[index].now[lo:])
		} else {
			clear(b[:n])
		}
		b, off = b[n:], off+int64(n)
	}
}

// stored is how many bytes of the volume the file takes.
func (i *inode) stored() (n int64) {
	for k := range i.pages {
		if i.pages[k].now != nil {
			n += pageSize
		}
	}
	return n
}
