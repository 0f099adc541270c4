package scenarios

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"lignum/core/record"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// rotKinds are the faults of the scenario "rot": a disk that lies, and what brings its lies to light.
var rotKinds = []faultKind{
	{"kill", func(f *faults) { f.crash("kill", f.s.host.Kill) }},
	{"power", func(f *faults) { f.power() }},
	{"kill in a call", func(f *faults) { f.arm("kill in a call", f.s.host.KillAt) }},
	{"power in a call", func(f *faults) { f.arm("power in a call", f.s.host.PowerAt) }},
	{"stop", func(f *faults) { f.stop() }},
	{"break", func(f *faults) { f.breakSome() }},
	{"rot", func(f *faults) { f.lie(sim.Rates{Rot: 20 * f.lies()}) }},
	{"rot in a small file", func(f *faults) { f.rotSmall() }},
	{"bad sectors", func(f *faults) { f.lie(sim.Rates{Latent: f.lies() / 2}) }},
	{"phantom writes", func(f *faults) { f.lie(sim.Rates{Phantom: f.lies()}) }},
	{"misdirected writes", func(f *faults) { f.lie(sim.Rates{Misdirected: f.lies()}) }},
}

// rotFaults are the kinds that happen in the scenario "rot".
var rotFaults = []string{"kill", "power", "kill in a call", "power in a call", "stop", "break", "rot", "bad sectors", "unreadable sectors", "phantom writes",
	"misdirected writes", "wounded logs", "wounded journals", "wounded metadata"}

// Rot is one broker on a disk that lies: bits rot, sectors cannot be read any more, writes are acknowledged and synced and are not there, or
// somewhere else. One replica cannot give back what the medium has lost. It has to say so: what is damaged is refused, offline or seen by a
// checksum, what is not damaged goes on, and nothing is dropped without a word (L7, F8). Nothing strikes before a client knows of something that
// could be missed. What clients saw before the first fault is judged in any case; a partition that was hit where nobody comes by, in an older snapshot
// say, shows that it can be read to its end all the same.
func Rot(o Options) Result { return run(o, "rot", true) }

func (f *faults) lies() int64 { return pick(&f.rand, int64(1_000), 5_000, 20_000) }

// lie lets the medium lie for a while. The first third of a run is honest, so that there is something to lose.
func (f *faults) lie(r sim.Rates) {
	if f.s.world.Now() > f.s.honest() {
		f.disk(r)
	}
}

// rotSmall inverts a bit in one of the small files of a partition or of the whole directory, which say more with a byte than others.
func (f *faults) rotSmall() {
	if f.s.world.Now() < f.s.honest() {
		return
	}
	type small struct {
		path string
		size int64
	}
	var all []small
	disk := f.s.host.Disk()
	disk.EachFile(func(path string, size int64) {
		if size > 0 && size < 2000 && !strings.HasPrefix(path, "journal/") && !strings.HasSuffix(path, ".log") && !strings.HasSuffix(path, "index") {
			all = append(all, small{path, size})
		}
	})
	if len(all) > 0 {
		hit := all[f.rand.Below(int64(len(all)))]
		f.count("rot in a small file")
		disk.Rot(hit.path, f.rand.Below(hit.size), 1<<f.rand.Below(8))
	}
}

// wounds is what the medium has done, and what that permits.
type wounds struct {
	count uint64 // of all
	// vital: a file was hit without which a broker may refuse to start; named is the first.
	vital bool
	named string
	// amnesia: the last thing that the journal had of the metadata log was hit.
	amnesia bool
	dirs    map[string]bool // partitions' directories that were hit
	hints   map[string]bool // those of which an index was hit
	unnamed map[string]bool // those of which nobody may know whose they are, so that no other topic of the name gets them
	early   []string        // directories that were hit before a client knew of their partitions
}

// struck learns of a wound when it is struck.
func (s *single) struck(w sim.Wound) {
	s.wounds.count++
	s.books.LossPossible()
	s.tell("fault", fmt.Sprintf("%s: %s, %d bytes at %d", w.Kind, w.Path, w.Len, w.Off))
	dir, file, deep := strings.Cut(w.Path, "/")
	if file == "partition.metadata" {
		s.wounds.unnamed[dir] = true
	}
	switch {
	case !deep:
		s.vital(w.Path)
	case dir == "journal":
		s.faults.count("wounded journals")
		s.vital(w.Path)
		s.woundedJournal(&w)
	case strings.HasPrefix(dir, "__cluster_metadata"):
		s.faults.count("wounded metadata")
		s.vital(w.Path)
		s.wounds.dirs[dir] = true
	case isHint(file), isTable(file) && w.Kind == sim.FaultBadSector:
		s.faults.count("wounded indexes")
		s.wounds.hints[dir] = true
	default:
		s.faults.count("wounded logs")
		s.wounds.dirs[dir] = true
		if p := s.partitionAt(dir); p != nil {
			p.Wound()
		} else {
			s.wounds.early = append(s.wounds.early, dir)
		}
	}
}

// woundEarly tells the books of partitions that were hit before there were books.
func (s *single) woundEarly() {
	s.wounds.early = slices.DeleteFunc(s.wounds.early, func(dir string) bool {
		p := s.partitionAt(dir)
		if p != nil {
			p.Wound()
		}
		return p != nil
	})
}

func (s *single) vital(path string) {
	if !s.wounds.vital {
		s.wounds.vital, s.wounds.named = true, path
	}
}

// isHint says whether a file of a partition is made anew from the others when it says something else.
func isHint(file string) bool { return strings.HasSuffix(file, ".index") }

// isTable says whether a file of a partition is made anew when it cannot be read.
func isTable(file string) bool { return isHint(file) || strings.HasSuffix(file, ".timeindex") }

// partitionAt finds the books of the partition that has a directory.
func (s *single) partitionAt(dir string) *ledger.Partition {
	for _, t := range s.stage.Targets {
		if fmt.Sprintf("%s-%d", t.Topic, t.Index) == dir && !t.Books.Closed() {
			return t.Books
		}
	}
	return nil
}

// woundedJournal notes what was in the last group of a file of the journal, if that is where the wound is: a group without another behind
// it cannot be told from one that was never written.
func (s *single) woundedJournal(w *sim.Wound) {
	p, at := w.Content(), int64(journalBlock)
	if len(p) < journalBlock {
		return
	}
	identity := string(p[16:32])
	for at+journalGroup <= int64(len(p)) && binary.BigEndian.Uint32(p[at:]) == journalMagic && string(p[at+16:at+32]) == identity {
		bytes := int64(binary.BigEndian.Uint64(p[at+48:]))
		next := at + (bytes+journalBlock-1)/journalBlock*journalBlock
		if bytes < journalGroup || at+bytes > int64(len(p)) {
			return
		}
		last := next+journalGroup > int64(len(p)) || string(p[next+16:next+32]) != identity
		if last && w.Off < next && w.Off+w.Len > at {
			s.lastGroup(p[at+journalGroup : at+bytes])
		}
		at = next
	}
}

// What the journal's files look like; see docs/STORAGE.md.
const (
	journalBlock = 4096
	journalGroup = 64
	journalEntry = 48
	journalMagic = 0x4c475250
)

// lastGroup goes over the entries of a group.
func (s *single) lastGroup(p []byte) {
	for len(p) >= journalEntry {
		id := record.Partition{Topic: record.TopicID(p[8:24]), Index: int32(binary.BigEndian.Uint32(p[4:]))}
		offset, size := record.Offset(binary.BigEndian.Uint64(p[24:])), binary.BigEndian.Uint64(p[40:])
		if size > uint64(len(p)-journalEntry) {
			return
		}
		if books := s.books.Partition(id); books != nil {
			books.MayLose(offset)
		} else {
			s.wounds.amnesia = true
		}
		p = p[journalEntry+size:]
	}
}

// told says whether a client knows anything yet that a fault could take.
func (s *single) told() bool {
	return slices.ContainsFunc(s.books.Partitions(), (*ledger.Partition).Told)
}

// excused says why a partition need not be writable and readable to its end: something of it was hit, or something that the whole
// broker needs, and the broker says so.
func (s *single) excused(t *traffic.Target) bool {
	return t.Books.Wounded() || s.wounds.unnamed[fmt.Sprintf("%s-%d", t.Topic, t.Index)] || s.wounds.amnesia || s.wounds.vital && !s.ready
}

// countEnds counts what came of it when the last reader is through.
func (s *single) countEnds() {
	if !s.lies || s.wounds.count == 0 {
		return
	}
	if !s.ready {
		s.faults.count("refusals to start")
		return
	}
	for _, t := range s.stage.Targets {
		switch {
		case t.Books.Closed():
		case t.Books.Left():
			s.faults.count("unavailable partitions")
		case t.Books.Wounded():
			s.faults.count("wounded partitions read to their ends")
		}
	}
}
