package sim

// Wound is a place where the medium does not have, or give, what was written there and synced: rot, a sector that cannot be read, a phantom
// write, a misdirected one. Of the last there are two: where it is missing, and what it hit instead.
type Wound struct {
	Kind FaultKind
	Path string // the file's name at the moment; empty if it has none
	Off  int64
	Len  int64

	ino *inode
}

// Content is what the page cache has of the file: called from the hook of OnWound, before the damage can be seen there.
func (w *Wound) Content() []byte {
	p := make([]byte, w.ino.size)
	w.ino.read(p, 0)
	return p
}

// OnWound has a hook told of each wound when it is struck. For an oracle that has to know what a lying disk excuses.
func (d *Disk) OnWound(hook func(Wound)) { d.wounded = hook }

func (d *Disk) wound(k FaultKind, i *inode, off, n int64) {
	if d.wounded != nil {
		d.wounded(Wound{Kind: k, Path: nameOf(d.root.dir, "", i), Off: off, Len: n, ino: i})
	}
}

// nameOf searches the present names for a file.
func nameOf(dir *directory, prefix string, i *inode) string {
	for _, e := range dir.now {
		if e.ino == i {
			return prefix + e.name
		}
		if e.ino.dir == nil {
			continue
		}
		if found := nameOf(e.ino.dir, prefix+e.name+"/", i); found != "" {
			return found
		}
	}
	return ""
}

// EachFile calls visit with the path and the size of every file, in order. It is no call on the disk.
func (d *Disk) EachFile(visit func(path string, size int64)) { eachFile(d.root.dir, "", visit) }

func eachFile(dir *directory, prefix string, visit func(path string, size int64)) {
	for _, e := range dir.now {
		if e.ino.dir != nil {
			eachFile(e.ino.dir, prefix+e.name+"/", visit)
		} else {
			visit(prefix+e.name, e.ino.size)
		}
	}
}
