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
	i := d.look(l, path)
	if i == nil || i.dir != nil {
		return dst, false
	}
	size := i.size
	if l == Durable {
		size = i.mediaSize
	}
	dst = slices.Grow(dst, int(size))
	for k := int64(0); k*pageSize < size; k++ {
		at, n := len(dst), min(pageSize, size-k*pageSize)
		switch {
		case k >= int64(len(i.pages)):
			dst = append(dst, zeroes[:n]...)
		case i.pages[k].now == nil:
			dst = append(dst, zeroes[:n]...)
			i.pages[k].show(l, d, dst[at:])
		default:
			dst = append(dst, i.pages[k].now[:n]...)
			i.pages[k].show(l, d, dst[at:])
		}
	}
	return dst, true
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
	i, there := d.look(Cached, path), d.look(Durable, path)
	if i == nil || i != there || len(i.resizes) > 0 {
		return i != nil
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
