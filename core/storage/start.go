package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
)

// startup is what lives only until the store is ready.
type startup struct {
	found   *found
	opening int // jobs that open logs
	replay  *replay
}

// found is what the first job has read.
type found struct {
	meta        checkpoint.Meta
	fresh       bool // meta.properties was made
	clean       bool
	brokerEpoch int64
	dirs        []foundDir
	deleted     []string // directories of deleted partitions
	strays      []string
	lines       checkpointLines
	journal     *journal.Recovery
	plans       map[record.Partition]*plan
	rests       rests
	badRests    map[record.Partition]error // why what rest files hold is not known
	unnamed     map[int32]error            // by index: there is a directory that does not tell whose it is
	openFiles   int                        // how many the process may have open
}

// foundDir is one partition's directory.
type foundDir struct {
	id    record.Partition
	topic string
	name  string
	err   error // why its identity is not known
}

// Start reads the directory, opens all logs, and applies the journal; Events.Ready is called when that is done.
func (s *Store) Start() {
	s.state = starting
	s.startup = &startup{}
	fresh := s.o.Meta
	if fresh.ClusterID == "" {
		fresh.ClusterID = s.randomID().String()
	}
	if fresh.Directory.IsZero() {
		fresh.Directory = checkpoint.DirectoryID(s.randomID())
	}
	disk, want, o, salt := s.Disk, s.o.Meta, s.o.Journal, s.Rand.Uint64()
	s.Jobs.Start(laneFiles, func() func() {
		f, err := readDirectory(disk, want, fresh, o, salt)
		return func() {
			if err != nil {
				s.fail(err)
				return
			}
			s.open(f)
		}
	})
}

// randomID is 128 random bits.
func (s *Store) randomID() (id record.TopicID) {
	binary.BigEndian.PutUint64(id[:8], s.Rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], s.Rand.Uint64())
	return id
}

// readDirectory reads everything but the logs. A job.
func readDirectory(d env.Disk, want, fresh checkpoint.Meta, o journal.Options, salt uint64) (*found, error) {
	f := &found{
		brokerEpoch: checkpoint.NoBrokerEpoch, plans: map[record.Partition]*plan{}, rests: rests{}, badRests: map[record.Partition]error{},
		unnamed: map[int32]error{},
	}
	u, err := d.Usage(rootDir)
	if err != nil {
		return nil, err
	}
	f.openFiles = u.OpenFiles
	if err := f.readMeta(d, want, fresh); err != nil {
		return nil, err
	}
	if err := f.takeMarker(d); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name string
		to   *[]checkpoint.PartitionOffset
	}{
		{checkpoint.RecoveryPointFile, &f.lines.recovery},
		{checkpoint.LogStartFile, &f.lines.start},
		{checkpoint.HighWatermarkFile, &f.lines.watermark},
	} {
		p, err := checkpoint.Read(d, rootDir, c.name)
		if errors.Is(err, env.ErrNotExist) {
			continue
		}
		if err == nil {
			*c.to, err = checkpoint.ParseOffsets(p)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if err := f.list(d); err != nil {
		return nil, err
	}
	if err := f.dropMissing(d); err != nil {
		return nil, err
	}
	if f.journal, err = journal.Open(d, journalDir, o, journal.Opening{Discard: f.clean, Salt: salt}); err != nil {
		return nil, err
	}
	if err := f.readRests(d); err != nil {
		return nil, err
	}
	return f, readPlans(f.journal, f.plans)
}

// readMeta checks whose directory it is; a new one becomes this broker's.
func (f *found) readMeta(d env.Disk, want, fresh checkpoint.Meta) error {
	p, err := checkpoint.Read(d, rootDir, checkpoint.MetaFile)
	if errors.Is(err, env.ErrNotExist) {
		f.meta, f.fresh = fresh, true
		return checkpoint.Write(d, rootDir, checkpoint.MetaFile, checkpoint.EncodeMeta(fresh))
	}
	if err != nil {
		return err
	}
	if f.meta, err = checkpoint.ParseMeta(p); err != nil {
		return err
	}
	switch m := f.meta; {
	case m.NodeID != want.NodeID:
		return fmt.Errorf("%s: the directory belongs to node %d, this is node %d", checkpoint.MetaFile, m.NodeID, want.NodeID)
	case want.ClusterID != "" && m.ClusterID != want.ClusterID:
		return fmt.Errorf("%s: the directory belongs to cluster %q, this is cluster %q", checkpoint.MetaFile, m.ClusterID, want.ClusterID)
	case m.Directory.IsZero():
		f.meta.Directory = fresh.Directory
		return checkpoint.Write(d, rootDir, checkpoint.MetaFile, checkpoint.EncodeMeta(f.meta))
	}
	return nil
}

// takeMarker reads the marker of a clean stop, and removes it for good before anything is loaded (ST02).
func (f *found) takeMarker(d env.Disk) error {
	p, err := checkpoint.Read(d, rootDir, checkpoint.CleanShutdownFile)
	if errors.Is(err, env.ErrNotExist) {
		// A start that died behind the removal may have left it undone: it must not come back.
		return d.SyncDir(rootDir)
	}
	if err == nil {
		f.brokerEpoch, err = checkpoint.ParseCleanShutdown(p)
		f.clean = err == nil
	}
	if err != nil && !errors.Is(err, checkpoint.ErrCorrupt) {
		return err
	}
	return checkpoint.Remove(d, rootDir, checkpoint.CleanShutdownFile)
}

// list finds the directories of partitions, and reads who they are.
func (f *found) list(d env.Disk) error {
	entries, err := d.ReadDir(rootDir)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	for _, e := range entries {
		topic, index, ok := parseDir(e.Name)
		switch {
		case !e.Dir && strings.HasSuffix(e.Name, restSuffix):
			f.rests.add(e.Name)
		case !e.Dir || e.Name == journalDir || strings.HasSuffix(e.Name, straySuffix):
		case strings.HasSuffix(e.Name, deleteSuffix):
			f.deleted = append(f.deleted, e.Name)
		case !ok:
			f.strays = append(f.strays, e.Name)
		default:
			if err := f.addDir(d, foundDir{id: record.Partition{Index: index}, topic: topic, name: e.Name}); err != nil {
				return err
			}
		}
	}
	return nil
}

// addDir reads who a partition's directory belongs to. One that holds no records and does not say was never finished: a crash came while
// it was made, and it goes.
func (f *found) addDir(d env.Disk, dir foundDir) error {
	p, err := checkpoint.Read(d, dir.name, checkpoint.PartitionFile)
	if err == nil {
		dir.id.Topic, err = checkpoint.ParsePartition(p)
	}
	switch {
	case err != nil && !corrupt(err) && !unreadable(err) && !errors.Is(err, env.ErrNotExist):
		return fmt.Errorf("%s/%s: %w", dir.name, checkpoint.PartitionFile, err)
	case err != nil:
		dir.err = fmt.Errorf("%s/%s: %w", dir.name, checkpoint.PartitionFile, err)
	}
	if errors.Is(err, env.ErrNotExist) {
		entries, err := d.ReadDir(dir.name)
		if err != nil {
			return fmt.Errorf("read directory %s: %w", dir.name, err)
		}
		holds := func(e env.Entry) bool { return strings.HasSuffix(e.Name, ".log") && e.Size > 0 }
		if !slices.ContainsFunc(entries, holds) {
			return removeAll(d, dir.name)
		}
	}
	if dir.err != nil {
		f.unnamed[dir.id.Index] = dir.err
	}
	f.dirs = append(f.dirs, dir)
	return nil
}

// open starts the recovery of all logs, side by side as far as there are lanes.
func (s *Store) open(f *found) {
	s.startup.found = f
	s.startup.replay = &replay{recovery: f.journal, plans: f.plans, keep: map[record.Partition]*keeper{}}
	s.rests = f.rests
	s.meta, s.fresh, s.clean, s.strays, s.brokerEpoch = f.meta, f.fresh, f.clean, f.strays, f.brokerEpoch
	s.files = newFileBudget(f.openFiles)
	if n := len(f.dirs); n > 0 {
		// What the journal holds for a log that cannot be opened must not be given up, so it is all or nothing.
		if err := s.files.room(n - 1); err != nil {
			s.fail(err)
			return
		}
	}
	marks := newMarks(f.lines)
	set := settingsOf(s.o.Settings)
	claimants := f.claimants()
	for i, dir := range f.dirs {
		if all := claimants[dir.id]; len(all) > 1 && dir.err == nil {
			dir.err = fmt.Errorf("directories %s say that they are the same partition: leave one of them here", strings.Join(all, ", "))
		}
		if dir.err == nil {
			dir.err = f.badRests[dir.id]
		}
		if dir.err != nil {
			s.setOffline(Offline{ID: dir.id, Topic: dir.topic, Dir: dir.name, Err: dir.err})
			continue
		}
		m := marks[dir.name]
		o := commitlog.OpenOptions{
			Clean: f.clean, RecoveryPoint: m.recovery, StartOffset: m.start, Wall: s.Clock.Wall(),
		}
		if p := f.plans[dir.id]; p != nil {
			o.Anchor, o.Truncations = p.anchor, p.truncations
		}
		disk := s.Disk
		s.startup.opening++
		s.Jobs.Start(laneSpread+env.Lane(i%s.o.Lanes), func() func() {
			cutBack, err := exists(disk, checkpoint.Join(dir.name, truncationFile))
			var r *commitlog.Recovery
			if err == nil {
				r, err = commitlog.Open(disk, dir.name, dir.id, set, o)
			}
			return func() {
				switch {
				case s.failure != nil:
					return
				case err != nil && !corrupt(err) && !unreadable(err):
					// The disk failed, which says nothing of the log: what the journal holds for it must not be given up.
					s.fail(fmt.Errorf("open %s: %w", dir.name, err))
					return
				case err != nil:
					s.setOffline(Offline{ID: dir.id, Topic: dir.topic, Dir: dir.name, Err: err})
				default:
					l := s.adopt(r, dir.id, dir.topic, dir.name, set)
					l.replay.cutBack = cutBack
					l.highWatermark = m.watermark // resume sees to it that it lies within the log
					l.Configure(s.o.Settings)
				}
				s.startup.opening--
				s.openedAll()
			}
		})
	}
	s.openedAll()
}

// claimants lists the directories of each partition. If there are several somebody has copied one, and nothing tells which of them is to be gone on with.
func (f *found) claimants() map[record.Partition][]string {
	all := map[record.Partition][]string{}
	for _, dir := range f.dirs {
		if dir.err == nil {
			all[dir.id] = append(all[dir.id], dir.name)
		}
	}
	return all
}

// corrupt says whether an error is about what is on the disk, and not about the disk.
func corrupt(err error) bool {
	return errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, record.ErrCorrupt) || errors.Is(err, checkpoint.ErrCorrupt)
}

// truncationFile is there while a log remembers a truncation below what was flushed.
const truncationFile = "truncation-checkpoint"

func exists(d env.Disk, path string) (bool, error) {
	f, err := d.Open(path, env.ReadOnly)
	switch {
	case errors.Is(err, env.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("open %s: %w", path, err)
	}
	return true, f.Close()
}

// openedAll goes on when the last log is open.
func (s *Store) openedAll() {
	if st := s.startup; st != nil && st.opening == 0 && s.failure == nil {
		s.keepUnusable()
		s.beginReplay()
	}
}

// marks is what the checkpoint files say of one log.
type marks struct {
	recovery, start, watermark record.Offset
}

// newMarks arranges the checkpoints by directory.
func newMarks(lines checkpointLines) map[string]marks {
	all := map[string]marks{}
	each := func(lines []checkpoint.PartitionOffset, set func(*marks, record.Offset)) {
		for _, o := range lines {
			dir := dirName(o.Topic, o.Partition)
			m := all[dir]
			set(&m, o.Offset)
			all[dir] = m
		}
	}
	each(lines.recovery, func(m *marks, o record.Offset) { m.recovery = o })
	each(lines.start, func(m *marks, o record.Offset) { m.start = o })
	each(lines.watermark, func(m *marks, o record.Offset) { m.watermark = o })
	return all
}

// ready ends the start.
func (s *Store) ready(err error) {
	s.startup = nil
	if err == nil {
		s.state = running
		s.due.begin(&s.o, s.Clock.Now())
	}
	if s.events.Ready != nil {
		s.events.Ready(err)
	}
}
