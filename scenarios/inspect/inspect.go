// Package inspect looks at what a broker has written and at what it believes: the white box beside the clients' view.
//
//   - Disk looks at the files of all partitions: every batch has its checksum, the next offset and no smaller epoch (L3, F8), every index entry is
//     sound (L5), every snapshot of producers is the fold of the batches before it (P4).
//   - Live holds a log in use against its files: leader epochs, indexes, producers and last stable offset are what a fold of the batches says (L4, L5,
//     P4, H5).
//   - Image holds the metadata against a fold of its log (M5).
//   - Survived holds a log that was opened against what the process before had promised (L6, R3, and how much of a topic under async may go).
//   - Recover opens a copy of what a process has left, twice (L6).
//   - Watch stands at every call on the disk: nothing goes on after a failed one (O1), a clean marker stands only for what is flushed and gone before
//     anything is loaded (L6), no segment goes that is active or not below the high watermark (R1).
//   - Holds looks for a batch on the medium at the moment at which it was acknowledged (D3).
//
// All of it reads the simulated disk beside its calls, so that looking changes nothing.
package inspect

import (
	"strings"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/record"
	"lignum/sim"
)

// Check takes each check that was made: the invariant's name, whether it held, and what to say if it did not.
type Check func(name string, holds bool, format string, args ...any) bool

// WhiteBox stands before what was found by looking into the broker or its files.
const WhiteBox = "white box: "

// Names in a data directory that are no partition's.
const (
	journalDir   = "journal"
	awaySuffix   = "-delete"
	straySuffix  = "-stray"
	deletedEnd   = ".deleted"
	logEnd       = ".log"
	indexEnd     = ".index"
	timesEnd     = ".timeindex"
	txnsEnd      = ".txnindex"
	snapshotEnd  = ".snapshot"
	journalEnd   = ".journal"
	restEnd      = ".rest"
	clean        = checkpoint.CleanShutdownFile
	offsetDigits = 20
)

// Inspector looks at the disk of one broker. It keeps memory from one look to the next.
type Inspector struct {
	disk   *sim.Disk
	made   Check
	fold   *fold           // of the directory at hand
	whole  fold            // one that is read anew each time
	file   []byte          // content of the file at hand
	medium []byte          // the same on the medium
	bases  []record.Offset // scratch

	found found // in the journal, last

	names    []string         // scratch
	listed   []string         // scratch of list
	editions []sim.Edition    // scratch
	seen     map[string]sight // by directory, of the present process
	folds    map[string]*fold // the same
	syncs    uint64           // of segments' files
	copied   *sim.Disk        // of Promised
	spent    int64
}

// New makes an inspector.
func New(d *sim.Disk, check Check) *Inspector {
	return &Inspector{disk: d, made: check, seen: map[string]sight{}, folds: map[string]*fold{}}
}

// Syncs counts the syncs of segments' files that were asked for while it was watched.
func (x *Inspector) Syncs() uint64 { return x.syncs }

// check makes a check and says, if it does not hold, that it is not the clients who saw it.
func (x *Inspector) check(name string, holds bool, format string, args ...any) bool {
	if !holds {
		format = WhiteBox + format
	}
	return x.made(name, holds, format, args...)
}

// dirs lists the directories of the partitions that there are.
func (x *Inspector) dirs() []string {
	dirs := x.names[:0]
	for _, name := range x.list(sim.Cached, ".") {
		if name == journalDir || strings.HasSuffix(name, awaySuffix) || strings.HasSuffix(name, straySuffix) ||
			!x.disk.Has(sim.Cached, name+"/"+checkpoint.PartitionFile) {
			continue
		}
		dirs = append(dirs, name)
	}
	x.names = dirs
	return dirs
}

// Disk looks at the files of all partitions.
func (x *Inspector) Disk() {
	for _, dir := range x.dirs() {
		x.readAll(dir, true).checkIndexes(x)
	}
}

// readAll makes the fold of a directory, whatever was read before.
func (x *Inspector) readAll(dir string, whole bool) *fold {
	x.fold = &x.whole
	x.fold.read(x, dir, whole)
	return x.fold
}

// peekFrom reads what a file of the page cache has from an offset on. The bytes hold until the next peek.
func (x *Inspector) peekFrom(path string, from int64) []byte {
	x.file, _ = x.disk.PeekFrom(sim.Cached, path, from, x.file[:0])
	x.spent += int64(len(x.file))
	return x.file
}

// peek reads a file of the page cache; false if it is not there. The bytes hold until the next peek.
func (x *Inspector) peek(l sim.Layer, path string) (content []byte, ok bool) {
	x.file, ok = x.disk.Peek(l, path, x.file[:0])
	x.spent += int64(len(x.file))
	return x.file, ok
}

// list is the names in a directory, in order. They hold until the next list.
func (x *Inspector) list(l sim.Layer, dir string) []string {
	x.listed = x.disk.Names(l, dir, x.listed[:0])
	x.spent += int64(len(x.listed)) * nameCost
	return x.listed
}

// nameCost is what a name costs, measured in bytes of a file.
const nameCost = 128

// Spent is how many bytes were read, and names as well: what the looks cost.
func (x *Inspector) Spent() int64 { return x.spent }

// Disk looks at the files of all partitions of a disk.
func Disk(d *sim.Disk, check Check) error {
	New(d, check).Disk()
	return nil
}
