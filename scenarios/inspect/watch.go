package inspect

import (
	"strings"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/sim"
)

// Watcher stands at every call of one process on the disk.
type Watcher struct {
	x *Inspector
	// Log finds the log of a directory that is in use; nil while the process loads or if there is none.
	Log func(dir string) *storage.Log
	// Committing is called when the journal is about to be synced, if it is not nil.
	Committing func()

	failed  string       // the first change or sync that failed
	syncs   map[any]bool // files of which a sync has failed, by identity: a file of the journal gets its name when it is open
	stopped map[any]bool // directories by name, and files of the journal by identity, of which a write has failed
}

// Watch begins with a new process.
func (x *Inspector) Watch(log func(dir string) *storage.Log) *Watcher {
	w := &Watcher{x: x, Log: log, syncs: map[any]bool{}, stopped: map[any]bool{}}
	x.disk.Watch(w.Call)
	return w
}

// Call sees one call before it happens. A call that fails is seen with its error.
func (w *Watcher) Call(op sim.Op, err error) {
	switch op.Kind {
	case sim.OpOpen:
		w.opens(op)
		return
	case sim.OpWrite, sim.OpSync, sim.OpSyncDir, sim.OpTruncate, sim.OpRename:
	default:
		return
	}
	w.goesOn(op)
	if op.Kind == sim.OpSync && segments(op.Path) != "" {
		w.x.syncs++
	}
	if op.Kind == sim.OpSync && w.Committing != nil && strings.HasPrefix(op.Path, journalDir+"/") {
		w.Committing()
	}
	if err != nil {
		w.fails(op)
	}
	if op.Kind != sim.OpRename || err != nil {
		return
	}
	switch dir, _, ok := strings.Cut(op.Path, "/"); {
	case op.To == clean:
		w.marks()
	case ok && strings.HasSuffix(op.To, logEnd+deletedEnd):
		w.removes(dir, op.Path)
	}
}

// segments is the directory of one of a partition's segments' files, which fail as one; "" for any other file.
func segments(path string) string {
	dir, name, _ := strings.Cut(path, "/")
	for _, end := range [...]string{logEnd, indexEnd, timesEnd, txnsEnd} {
		if strings.HasSuffix(name, end) {
			return dir
		}
	}
	return ""
}

// unit is what fails as one with a file that is called: a partition's segments, or a file of the journal; nil for any other.
func unit(op sim.Op) any {
	if strings.HasPrefix(op.Path, journalDir+"/") {
		return op.File()
	}
	if dir := segments(op.Path); dir != "" {
		return dir
	}
	return nil
}

// goesOn: after a failed write nothing is written behind it, after a failed sync the file is not synced again (O1).
func (w *Watcher) goesOn(op sim.Op) {
	if w.failed == "" {
		return
	}
	switch op.Kind {
	case sim.OpSync:
		w.x.check("O1", !w.syncs[op.File()], "%s is synced again after a sync of it has failed", op.Path)
	case sim.OpWrite:
		w.x.check("O1", !w.stopped[unit(op)], "%s is written to although a write there has failed", op.Path)
	}
}

// fails notes a failure.
func (w *Watcher) fails(op sim.Op) {
	if w.failed == "" {
		w.failed = op.Kind.String() + " of " + op.Path
	}
	u := unit(op)
	switch {
	case op.Kind == sim.OpSync:
		w.syncs[op.File()] = true
		if u != nil && u == op.File() {
			w.stopped[u] = true
		}
	case u != nil && (op.Kind == sim.OpWrite || op.Kind == sim.OpTruncate):
		w.stopped[u] = true
	}
}

// marks: the mark of a clean stop is left only if nothing has failed and all that it stands for is on the medium (L6, O1).
func (w *Watcher) marks() {
	x := w.x
	x.check("O1", w.failed == "", "the mark of a clean stop is left although the %s has failed", w.failed)
	points := map[string]record.Offset{}
	if content, ok := x.peek(sim.Durable, checkpoint.RecoveryPointFile); ok {
		if lines, err := checkpoint.ParseOffsets(content); err == nil {
			for _, l := range lines {
				points[dirOf(l)] = l.Offset
			}
		}
	}
	for _, dir := range x.dirs() {
		if w.Log(dir) == nil {
			continue // set aside or offline
		}
		x.readAll(dir, false)
		x.check("L6", points[dir] == x.fold.end, "%s: a clean stop with recovery point %d, the log ends at %d", dir, points[dir], x.fold.end)
		for _, name := range x.fold.names {
			path := dir + "/" + name
			x.check("L6", segments(path) == "" || !x.disk.Dirty(path), "the mark of a clean stop is left, but %s is not on the medium", path)
		}
	}
}

// opens: while anything is loaded or written there is no mark of a clean stop (L6).
func (w *Watcher) opens(op sim.Op) {
	if strings.HasSuffix(op.Path, logEnd) {
		w.x.check("L6", !w.x.disk.Has(sim.Durable, clean), "%s is opened while there is the mark of a clean stop", op.Path)
	}
}

// removes: a segment that goes lies below the high watermark, and is not the active one (R1).
func (w *Watcher) removes(dir, path string) {
	l := w.Log(dir)
	base, ok := offsetOf(strings.TrimPrefix(path, dir+"/"), logEnd)
	if l == nil || !ok {
		return
	}
	next := record.NoOffset
	for _, name := range w.x.list(sim.Cached, dir) {
		if at, ok := offsetOf(name, logEnd); ok && at > base && (next < 0 || at < next) {
			next = at
		}
	}
	w.x.check("R1", next >= 0, "%s: the active segment %d is removed", dir, base)
	if l.ID() == quorum.Partition() {
		return // what is below a checkpoint goes there (M5)
	}
	w.x.check("R1", next <= l.HighWatermark(), "%s: segment %d goes, which ends at %d; the high watermark is %d", dir, base, next, l.HighWatermark())
}
