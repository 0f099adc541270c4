package storage

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
)

// A log that cannot be read at a start is offline, and may be well at the next one; so may one whose identity was damaged, once somebody has mended
// that. And of one that is damaged itself the journal may be all that tells how much was flushed. Until then what the journal has of it must not be
// lost, and the journal cannot keep it: its files are let go oldest first, and one log would hold them all. So its entries are copied, as they are,
// into a rest file of the log, before the journal may let go of them. A later start reads rest files before the journal, as if the journal had those
// entries still, and what a rest file has is skipped there. They are removed when the log's own files have everything durably and a checkpoint says
// so, as the journal's are; they go with the log's directory when that is deleted or set aside, and for good behind a clean stop.
const restSuffix = ".rest"

// rests lists the rest files of logs, the oldest first.
type rests map[record.Partition]*restFiles

type restFiles struct {
	numbers []int
	going   bool // they are being removed
}

// restName is the name of a rest file, in the data directory itself: whose directory is whose may not be known.
func restName(id record.Partition, number int) string {
	return fmt.Sprintf("%x-%d.%d%s", id.Topic[:], id.Index, number, restSuffix)
}

// add takes a name into the list, if it is one of a rest file.
func (r rests) add(name string) {
	topic, tail, _ := strings.Cut(strings.TrimSuffix(name, restSuffix), "-")
	index, number, _ := strings.Cut(tail, ".")
	var id record.Partition
	p, err := hex.DecodeString(topic)
	n, errNumber := strconv.Atoi(number)
	i, errIndex := strconv.ParseInt(index, 10, 32)
	copy(id.Topic[:], p)
	id.Index = int32(i)
	if errors.Join(err, errNumber, errIndex) == nil && restName(id, n) == name {
		r.put(id, n)
	}
}

func (r rests) put(id record.Partition, number int) {
	if r[id] == nil {
		r[id] = &restFiles{}
	}
	r[id].numbers = append(r[id].numbers, number)
	slices.Sort(r[id].numbers)
}

// ids lists the partitions in order.
func (r rests) ids() []record.Partition {
	all := make([]record.Partition, 0, len(r))
	//house:anyorder sorted below
	for id := range r {
		all = append(all, id)
	}
	slices.SortFunc(all, record.Partition.Compare)
	return all
}

// names lists a partition's files.
func (r rests) names(id record.Partition) []string {
	var all []string
	if f := r[id]; f != nil {
		for _, n := range f.numbers {
			all = append(all, restName(id, n))
		}
	}
	return all
}

// unreadable says whether an error is about a place that the device cannot read.
func unreadable(err error) bool { return errors.Is(err, env.ErrUnreadable) }

// readRests is the first pass over the rest files: a job. A partition of which one is bad is offline.
func (f *found) readRests(d env.Disk) error {
	for _, id := range f.rests.ids() {
		names := f.rests.names(id)
		if f.clean { // every log has everything
			if err := removeRests(d, names); err != nil {
				return err
			}
			delete(f.rests, id)
			continue
		}
		p := &plan{}
		f.plans[id] = p
		for _, name := range names {
			err := eachRest(d, name, func(at journal.Place) { f.journal.Skip(id, at) }, func(e *journal.Entry) {
				p.base++
				p.note(e, p.base)
			})
			switch {
			case errors.Is(err, journal.ErrCorrupt):
				f.badRests[id] = fmt.Errorf("%w: %w", commitlog.ErrCorrupt, err)
			case unreadable(err):
				f.badRests[id] = err
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// eachRest visits the entries of a rest file.
func eachRest(d env.Disk, name string, begin func(journal.Place), visit func(*journal.Entry)) error {
	r, err := journal.OpenRest(d, name)
	if err != nil {
		return err
	}
	defer r.Close()
	begin(r.Place())
	for {
		entries, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range entries {
			visit(&entries[i])
		}
	}
}

func removeRests(d env.Disk, names []string) error {
	for _, name := range names {
		if err := checkpoint.Remove(d, rootDir, name); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// keeper copies what the journal has of one log.
type keeper struct {
	id      record.Partition
	number  int
	file    *journal.RestWriter // once there is something
	entries []journal.Entry     // scratch
}

// keepUnusable finds the logs whose entries are to be kept: those that cannot be used, and those that nobody knows whether they are among them.
func (s *Store) keepUnusable() {
	f, keep := s.startup.found, s.startup.replay.keep
	off := map[record.Partition]error{}
	for _, o := range s.offline {
		off[o.ID] = o.Err
	}
	//house:anyorder each by itself
	for id, p := range f.plans {
		err, known := off[id]
		if !known && s.logs[id] == nil {
			err = f.unnamed[id.Index]
		}
		if !p.fresh || p.deleted && known || err == nil || s.logs[id] != nil {
			continue // endDeleted goes on with the one that was deleted; of one that is not known the deletion is kept, too
		}
		k := &keeper{id: id, number: 1}
		if files := s.rests[id]; files != nil {
			k.number = slices.Max(files.numbers) + 1
		}
		keep[id] = k
	}
}

// keepers lists them in order.
func (r *replay) keepers() []*keeper {
	all := make([]*keeper, 0, len(r.keep))
	//house:anyorder sorted below
	for _, k := range r.keep {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *keeper) int { return a.id.Compare(b.id) })
	return all
}

// keepEntries copies the entries that are to be kept, and makes the copies durable behind the last: a job.
func (r *replay) keepEntries(entries []journal.Entry, last bool) error {
	if len(r.keep) == 0 {
		return nil
	}
	for _, e := range entries {
		if k := r.keep[e.Log]; k != nil && e.Kind != journal.None {
			k.entries = append(k.entries, e)
		}
	}
	for _, k := range r.keepers() {
		if err := r.keepSome(k, last); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) keepSome(k *keeper, last bool) (err error) {
	if k.file == nil && len(k.entries) > 0 {
		if k.file, err = journal.NewRest(r.recovery.Disk(), restName(k.id, k.number), r.recovery.Place()); err != nil {
			return err
		}
	}
	if len(k.entries) > 0 {
		err = k.file.Add(k.entries)
		clear(k.entries)
		k.entries = k.entries[:0]
	}
	if last && err == nil && k.file != nil {
		err = k.file.Finish()
		k.file.Close()
	}
	return err
}

// kept notes the new rest files.
func (s *Store) kept() {
	for _, k := range s.startup.replay.keepers() {
		if k.file != nil {
			s.rests.put(k.id, k.number)
		}
	}
}

// restOfLog is a rest file that is read in the second pass.
type restOfLog struct {
	log  *Log
	name string
	file *journal.RestReader
}

// openRests lists the files that belong to logs which are open.
func (s *Store) openRests() (all []restOfLog) {
	for _, l := range s.order {
		for _, name := range s.rests.names(l.id) {
			all = append(all, restOfLog{log: l, name: name})
		}
	}
	return all
}

// readNext reads the next piece of the rest files, and then of the journal.
func (s *Store) readNext() {
	r := s.startup.replay
	if len(r.rests) == 0 {
		s.readJournal()
		return
	}
	disk, rest := s.Disk, &r.rests[0]
	s.Jobs.Start(laneJournal, func() func() {
		entries, err := rest.read(disk)
		return func() {
			switch {
			case errors.Is(err, io.EOF):
				r.rests = r.rests[1:]
				s.readNext()
			case err != nil:
				s.fail(err) // a moment ago it could be read
			default:
				s.applyRest(rest.log, entries)
			}
		}
	})
}

func (r *restOfLog) read(d env.Disk) (entries []journal.Entry, err error) {
	if r.file == nil {
		if r.file, err = journal.OpenRest(d, r.name); err != nil {
			return nil, err
		}
	}
	if entries, err = r.file.Read(); err != nil {
		r.file.Close()
	}
	return entries, err
}

// applyRest applies a piece, as applyEntries one of the journal.
func (s *Store) applyRest(l *Log, entries []journal.Entry) {
	for i := range entries {
		l.replay.seen++
		s.apply(l, &entries[i], l.replay.seen)
	}
	s.startTurn()
	s.startup.turnDone(s)
}

// endDeleted goes on with the deletion of partitions that cannot be read.
func (s *Store) endDeleted(r *replay) {
	for _, o := range slices.Clone(s.offline) {
		if p := r.plans[o.ID]; p == nil || !p.deleted || !unreadable(o.Err) {
			continue
		}
		s.offline = slices.DeleteFunc(s.offline, func(other Offline) bool { return other.ID == o.ID })
		s.checkpoints.forget(o.Dir)
		r := &removal{id: o.ID, dir: o.Dir, done: func(error) {}}
		s.deleting = append(s.deleting, r)
		s.end(r, nil)
	}
}

// remembered says whether the next start could still meet an entry of the log.
func (s *Store) remembered(id record.Partition) bool {
	return s.journal.Holds(id) || s.rests[id] != nil
}

// restDone says whether nothing needs the log's rest files any more once the checkpoint says what it is about to say.
func (s *Store) restDone(l *Log, m commitlog.Mark) bool {
	f := s.rests[l.id]
	return f != nil && !f.going && m.End >= l.restEnd && !s.cutUnsaid(l)
}

// dropRests removes the rest files of a log that has everything itself, or is deleted; then the journal may let go what it has of it up to a sequence.
func (s *Store) dropRests(id record.Partition, last uint64) {
	f, disk, names := s.rests[id], s.Disk, s.rests.names(id)
	if f == nil || f.going {
		return
	}
	f.going = true
	s.Jobs.Start(laneFiles, func() func() {
		err := removeRests(disk, names)
		return func() {
			delete(s.rests, id)
			s.journal.Safe(id, last)
			if err != nil {
				s.fail(err)
			}
		}
	})
}

// takeRests takes the rest files of a partition that ends, unless they are on their way out.
func (s *Store) takeRests(id record.Partition) (names []string) {
	if f := s.rests[id]; f != nil && !f.going {
		names = s.rests.names(id)
		delete(s.rests, id)
	}
	return names
}

// moveRests lets the rest files share the fate of the partition's directory: a job. Each is gone from its place for good before the next goes, for
// the last may say that the partition is deleted, and before the directory has another name: else they would be those of a partition without one.
func moveRests(d env.Disk, names []string, dir string) error {
	if dir == "" {
		return removeRests(d, names)
	}
	for _, name := range names {
		err := d.Rename(name, checkpoint.Join(dir, name))
		if err == nil {
			err = d.SyncDir(dir)
		}
		if err == nil {
			err = d.SyncDir(rootDir)
		}
		if err != nil {
			return fmt.Errorf("move %s: %w", name, err)
		}
	}
	return nil
}
