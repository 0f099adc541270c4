package sim

import (
	"slices"
	"strings"

	"lignum/core/env"
)

// directory holds names: as they are now, and as the medium has them.
type directory struct {
	now, was listing
	changes  []change // in order; what turns was into now
}

// listing is what names lead to, in the order of the names.
type listing []entry

type entry struct {
	name string
	ino  *inode
}

func (l listing) find(name string) (int, bool) {
	lo, hi := 0, len(l)
	for lo < hi {
		if middle := (lo + hi) / 2; l[middle].name < name {
			lo = middle + 1
		} else {
			hi = middle
		}
	}
	return lo, lo < len(l) && l[lo].name == name
}

// get is what the name leads to, nil if it is not there.
func (l listing) get(name string) *inode {
	if k, ok := l.find(name); ok {
		return l[k].ino
	}
	return nil
}

func (l *listing) put(name string, i *inode) {
	if k, ok := l.find(name); ok {
		(*l)[k].ino = i
	} else {
		*l = slices.Insert(*l, k, entry{name, i})
	}
}

func (l *listing) drop(name string) {
	if k, ok := l.find(name); ok {
		*l = slices.Delete(*l, k, k+1)
	}
}

// copyOf makes l equal to another listing.
func (l *listing) copyOf(other listing) {
	old := *l
	*l = append(old[:0], other...)
	if len(old) > len(*l) {
		clear(old[len(*l):])
	}
}

type changeKind uint8

const (
	linked   changeKind = iota + 1 // name leads to ino
	unlinked                       // name is gone
	renamed                        // to leads to ino, name is gone: one step
)

// change is one change of a directory that is not durable yet.
type change struct {
	kind     changeKind
	name, to string
	ino      *inode
	half     *halves // of a rename between two directories
}

// halves tie the two changes of a rename between directories together: the old name is not gone durably unless the
// new one is there.
type halves struct {
	target  *directory
	name    string
	ino     *inode
	durable bool // the new name is
	decided bool // by the power cut that is under way
	kept    bool
}

func newDirectory() *directory { return &directory{} }

func (d *Disk) newInode() *inode {
	d.inodes++
	d.edits++
	return &inode{id: d.inodes, edition: d.edits, rewritten: d.edits}
}

// find resolves a path.
func (d *Disk) find(path string) (*inode, error) {
	if !valid(path) || strings.Contains(path, "\x00") {
		return nil, errPath
	}
	i := d.root
	if path == "." {
		return i, nil
	}
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		switch {
		case len(name) > 255:
			return nil, errTooLong
		case i.dir == nil:
			return nil, errNotDir
		}
		if i = i.dir.now.get(name); i == nil {
			return nil, env.ErrNotExist
		}
	}
	return i, nil
}

// parent resolves all of a path but its last name. For the root the name is ".".
func (d *Disk) parent(path string) (*directory, string, error) {
	dir, name := ".", path
	if k := strings.LastIndexByte(path, '/'); k >= 0 {
		dir, name = path[:k], path[k+1:]
	}
	switch {
	case !valid(path) || strings.Contains(path, "\x00"):
		return nil, "", errPath
	case len(name) > 255:
		return nil, "", errTooLong
	}
	i, err := d.directory(dir)
	return i, name, err
}

func (d *Disk) directory(path string) (*directory, error) {
	i, err := d.find(path)
	switch {
	case err != nil:
		return nil, err
	case i.dir == nil:
		return nil, errNotDir
	}
	return i.dir, nil
}

// named is what a name of a directory leads to; the root is called ".".
func (d *Disk) named(dir *directory, name string) *inode {
	if name == "." {
		return d.root
	}
	return dir.now.get(name)
}

// below says whether the path leads through i.
func (d *Disk) below(i *inode, path string) bool {
	for k, c := range path {
		if c != '/' {
			continue
		}
		if above, err := d.find(path[:k]); err == nil && above == i {
			return true
		}
	}
	return false
}

// change applies a change to the present names and notes it.
func (d *Disk) change(dir *directory, c change) {
	switch c.kind {
	case linked:
		d.link(&dir.now, c.name, c.ino)
	case unlinked:
		d.unlink(&dir.now, c.name)
	case renamed:
		d.unlink(&dir.now, c.name)
		d.link(&dir.now, c.to, c.ino)
	}
	if len(dir.changes) >= 256 {
		d.syncDirectory(dir) // the kernel's own decision, so that the list stays short
	}
	dir.changes = append(dir.changes, c)
}

func (d *Disk) link(l *listing, name string, i *inode) {
	i.links++ // first, for it may be the last name that goes
	d.unlink(l, name)
	l.put(name, i)
}

func (d *Disk) unlink(l *listing, name string) {
	i := l.get(name)
	if i == nil {
		return
	}
	l.drop(name)
	i.links--
	d.reclaim(i)
}

// reclaim gives back the room of a file that nothing leads to any more.
func (d *Disk) reclaim(i *inode) {
	if i.links == 0 && i.opens == 0 {
		d.used -= i.stored()
		d.recycle(i)
	}
}

// forgotten notes that a directory has no name of i any more, neither now nor on the medium.
func (d *Disk) forgotten(i *inode) {
	if i.links == 0 && i.dir == nil && !i.moved {
		i.gone = true
		d.recycle(i)
	}
}

// recycle lets other files have the pages of one that nothing can lead to again.
func (d *Disk) recycle(i *inode) {
	if !i.gone || i.opens > 0 {
		return
	}
	for k := range i.pages {
		d.freePage(i.pages[k].now)
		d.freePage(i.pages[k].was)
	}
	i.pages, i.dirty = nil, nil
}

func (d *Disk) move(from, to *directory, c change) {
	c.ino.links++ // keep it while it has no name
	defer func() { c.ino.links-- }()
	if from == to {
		c.kind = renamed
		d.change(from, c)
		return
	}
	c.ino.moved = true
	h := &halves{target: to, name: c.to, ino: c.ino}
	d.change(to, change{kind: linked, name: c.to, ino: c.ino, half: h})
	d.change(from, change{kind: unlinked, name: c.name, ino: c.ino, half: h})
}

// syncDirectory makes the present names durable.
func (d *Disk) syncDirectory(dir *directory) {
	for _, c := range dir.changes {
		if c.half == nil {
			continue
		}
		if c.kind == unlinked && !c.half.durable {
			c.half.target.was.put(c.half.name, c.half.ino)
		}
		c.half.durable = true
	}
	for _, e := range dir.was {
		d.forgotten(e.ino)
	}
	for _, c := range dir.changes {
		d.forgotten(c.ino)
	}
	dir.changes = dir.changes[:0]
	dir.was.copyOf(dir.now)
}

// apply plays one change on the medium's names.
func (c change) apply(was *listing) {
	name := c.name
	if c.kind == renamed {
		name = c.to
	}
	if c.kind != unlinked {
		was.put(name, c.ino)
	}
	if c.kind != linked && was.get(c.name) == c.ino && (c.kind == unlinked || c.name != c.to) {
		was.drop(c.name)
	}
}
