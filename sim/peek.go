package sim

import (
	"bytes"
	"slices"
)

// Layer is how far what was written has come.
type Layer uint8

// The layers.
const (
	// Cached is what processes see: the page cache. It survives Kill.
	Cached Layer = iota
	// Durable is what is left if a power cut now keeps nothing that was not synced.
	Durable
)

// Peek appends what a layer has of a file to dst; false if there is no such file. It is no call: nothing fails, is counted or takes time.
func (d *Disk) Peek(l Layer, path string, dst []byte) ([]byte, bool) {
	return d.PeekFrom(l, path, 0, dst)
}

// PeekFrom is Peek for what a file has from an offset on.
func (d *Disk) PeekFrom(l Layer, path string, from int64, dst []byte) ([]byte, bool) {
	i := d.look(l, path)
	if i == nil || i.dir != nil {
		return dst, false
	}
	size, skip := i.sizeIn(l), len(dst)+int(from%pageSize)
	dst = slices.Grow(dst, int(max(0, size-from))+pageSize)
	for k := from / pageSize; k*pageSize < size; k++ {
		dst = d.peekPage(l, i, k, min(pageSize, size-k*pageSize), dst)
	}
	head := skip - int(from%pageSize)
	return append(dst[:head], dst[min(skip, len(dst)):]...), true
}

// Edition is what is told of a file, as processes see it, without reading it: when it changed last, and when it changed last below the length that it had.
// The numbers rise, and no two files of a disk have the same. A file still begins with what it was as of an edition if it was not rewritten since.
type Edition struct {
	Name               string
	Changed, Rewritten uint64
}

// Editions appends what there is in a directory to dst, in the order of the names; nothing if there is no such directory.
func (d *Disk) Editions(path string, dst []Edition) []Edition {
	i := d.look(Cached, path)
	if i == nil || i.dir == nil {
		return dst
	}
	for _, e := range i.dir.now {
		dst = append(dst, Edition{e.name, e.ino.edition, e.ino.rewritten})
	}
	return dst
}

// Find is where in a file a layer has some bytes first, at from or behind it; -1 if nowhere. It is no call either. It says as well how many bytes it
// has looked at.
func (d *Disk) Find(l Layer, path string, from int64, want []byte) (at, looked int64) {
	i := d.look(l, path)
	if i == nil || i.dir != nil {
		return -1, 0
	}
	start := from / pageSize * pageSize // of the window in the file
	window, size := d.window[:0], i.sizeIn(l)
	for end := start; end < size; end = start + int64(len(window)) {
		window = d.peekPage(l, i, end/pageSize, min(pageSize, size-end), window)
		d.window = window
		first := max(0, from-start)
		if at := bytes.Index(window[first:], want); at >= 0 {
			return start + first + int64(at), end - from + pageSize
		}
		if done := len(window) - len(want) + 1; done > 0 {
			window, start = window[:copy(window, window[done:])], start+int64(done)
		}
	}
	return -1, max(0, size-from)
}

// sizeIn is a file's length in a layer.
func (i *inode) sizeIn(l Layer) int64 {
	if l == Durable {
		return i.mediaSize
	}
	return i.size
}

// peekPage appends the first n bytes of a page.
func (d *Disk) peekPage(l Layer, i *inode, index, n int64, dst []byte) []byte {
	if index >= int64(len(i.pages)) {
		return append(dst, zeroes[:n]...)
	}
	at, p := len(dst), &i.pages[index]
	if p.now == nil {
		dst = append(dst, zeroes[:n]...)
	} else {
		dst = append(dst, p.now[:n]...)
	}
	p.show(l, d, dst[at:])
	return dst
}

var zeroes [pageSize]byte

// show makes the page cache's content of the page that of a layer, as far as to reaches.
func (p *page) show(l Layer, d *Disk, to []byte) {
	if l == Cached {
		return
	}
	for units, lo := p.pending(), int64(0); units != 0 && lo < int64(len(to)); units, lo = units>>1, lo+d.unit() {
		hi := min(lo+d.unit(), int64(len(to)))
		switch {
		case units&1 == 0:
		case p.was != nil:
			copy(to[lo:hi], p.was[lo:hi])
		default:
			clear(to[lo:hi])
		}
	}
}

// Dirty says whether the file has anything that a power cut could take, its name included.
func (d *Disk) Dirty(path string) bool {
	i := d.look(Cached, path)
	return i != nil && (i != d.look(Durable, path) || d.unsynced(i))
}

// Unsynced says whether a power cut could take anything of what the file holds, whatever becomes of its name.
func (d *Disk) Unsynced(path string) bool {
	i := d.look(Cached, path)
	return i != nil && d.unsynced(i)
}

func (d *Disk) unsynced(i *inode) bool {
	if len(i.resizes) > 0 {
		return true
	}
	for k := range i.pages {
		if p := &i.pages[k]; p.pending() != 0 && p.differs(d, i.size-int64(k)*pageSize) {
			return true
		}
	}
	return false
}

// differs says whether a power cut could take anything of the page's first n bytes: what was written again as it was cannot be lost.
func (p *page) differs(d *Disk, n int64) bool {
	if n <= 0 {
		return false
	}
	var cached [pageSize]byte
	if p.now != nil {
		cached = *p.now
	}
	durable := cached
	p.show(Durable, d, durable[:])
	n = min(n, pageSize)
	return !bytes.Equal(cached[:n], durable[:n])
}

// Names appends the names in a directory of a layer to dst, in order; none if there is no such directory.
func (d *Disk) Names(l Layer, path string, dst []string) []string {
	i := d.look(l, path)
	if i == nil || i.dir == nil {
		return dst
	}
	for _, e := range i.dir.of(l) {
		dst = append(dst, e.name)
	}
	return dst
}

// Has says whether a layer has the name.
func (d *Disk) Has(l Layer, path string) bool { return d.look(l, path) != nil }

func (dir *directory) of(l Layer) listing {
	if l == Durable {
		return dir.was
	}
	return dir.now
}

// look resolves a path in a layer.
func (d *Disk) look(l Layer, path string) *inode {
	i := d.root
	if path == "." {
		return i
	}
	for more := true; more && i != nil; {
		var name string
		name, path, more = cutPath(path)
		if i.dir == nil {
			return nil
		}
		i = i.dir.of(l).get(name)
	}
	return i
}

func cutPath(path string) (name, rest string, more bool) {
	for k := range len(path) {
		if path[k] == '/' {
			return path[:k], path[k+1:], true
		}
	}
	return path, "", false
}

// Watch calls f with every call on the disk before it happens, and with the error if it is to fail; a write that finds no room comes a second
// time, with its error. nil stops it.
func (d *Disk) Watch(f func(op Op, err error)) { d.watch = f }

func (d *Disk) watched(op Op, err error) {
	if d.watch != nil {
		d.watch(op, err)
	}
}
