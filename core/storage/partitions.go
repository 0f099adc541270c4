package storage

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
)

// ErrExists: the partition has a log already, or had one that is offline.
var ErrExists = errors.New("partition exists already")

// errUnwanted: the partition was deleted while its log was being made.
var errUnwanted = errors.New("deleted while it was made")

// making is a log on its way.
type making struct {
	id       record.Partition
	dir      string
	unwanted *removal // it was deleted meanwhile; nil if not
}

// Create makes the log of a new partition. done gets it once its directory is durable.
func (s *Store) Create(id record.Partition, topic string, settings config.Topic, done func(*Log, error)) {
	dir := dirName(topic, id.Index)
	switch {
	case s.failure != nil:
		done(nil, s.failure)
		return
	case s.state != running:
		done(nil, commitlog.ErrClosed)
		return
	case s.logs[id] != nil || s.taken(dir):
		done(nil, fmt.Errorf("%w: %s", ErrExists, dir))
		return
	}
	if r := s.removing(dir); r != nil {
		r.then = append(r.then, waiting{id, func() { s.Create(id, topic, settings, done) }, done})
		return
	}
	if err := s.files.room(len(s.order) + len(s.making)); err != nil {
		done(nil, err)
		return
	}
	m := &making{id: id, dir: dir}
	s.making = append(s.making, m)
	disk, set, wall := s.Disk, settingsOf(settings), s.Clock.Wall()
	s.Jobs.Start(s.laneOf(id), func() func() {
		r, err := commitlog.Create(disk, dir, id, 0, wall)
		refused := errors.Is(err, env.ErrTooManyFiles) // the system's own limit, perhaps
		if refused {
			if left := removeAll(disk, dir); left != nil {
				refused, err = false, left
			}
		}
		return func() {
			s.making = slices.DeleteFunc(s.making, func(other *making) bool { return other == m })
			switch {
			case s.failure != nil:
				done(nil, s.failure)
			case refused:
				done(nil, err)
			case err != nil:
				s.fail(fmt.Errorf("create %s: %w", dir, err))
				done(nil, s.failure)
			case m.unwanted != nil:
				s.adopt(r, id, topic, dir, set).Configure(settings)
				done(nil, fmt.Errorf("%w: %s", errUnwanted, dir))
			default:
				l := s.adopt(r, id, topic, dir, set)
				l.Configure(settings)
				s.begin(l, done)
			}
			s.removeMade(m)
		}
	})
}

// begin gives out a log that was made. If the next start could still meet the end of an earlier log of the same partition, which was moved away
// and has come back, or was damaged, the journal must say first that there is another: that end would be taken for this one's.
func (s *Store) begin(l *Log, done func(*Log, error)) {
	if !s.remembered(l.id) {
		done(l, nil)
		return
	}
	s.enterEntry(l, journal.Entry{Kind: journal.Reset})
	s.acks = append(s.acks, ack{seq: l.last, done: func(err error) {
		if err != nil {
			done(nil, err)
			return
		}
		done(l, nil)
	}})
}

// removeMade goes on with a removal that had to wait for the log to be made.
func (s *Store) removeMade(m *making) {
	r := m.unwanted
	switch {
	case r == nil:
	case s.failure != nil:
		r.done(s.failure)
	case s.logs[m.id] == nil: // there was no room for it
		r.dir = ""
		s.ended(r, "", nil)
	default:
		s.deleting = slices.DeleteFunc(s.deleting, func(other *removal) bool { return other == r })
		s.takeOut(r)
	}
}

// giveUp ends the wait of a log that need not be made any more.
func (s *Store) giveUp(id record.Partition) {
	for _, r := range s.deleting {
		if i := slices.IndexFunc(r.then, func(w waiting) bool { return w.id == id }); i >= 0 {
			w := r.then[i]
			r.then = slices.Delete(r.then, i, i+1)
			w.done(nil, fmt.Errorf("%w: %s", errUnwanted, r.dir))
			return
		}
	}
}

// taken says whether the directory is in use or being made, by whatever topic, and is to stay.
func (s *Store) taken(dir string) bool {
	made := func(m *making) bool { return m.dir == dir && m.unwanted == nil }
	used := func(l *Log) bool { return l.dir == dir }
	off := func(o Offline) bool { return o.Dir == dir }
	return slices.ContainsFunc(s.making, made) || slices.ContainsFunc(s.order, used) || slices.ContainsFunc(s.offline, off)
}

// adopt makes a log that was opened or created part of the store.
func (s *Store) adopt(r *commitlog.Recovery, id record.Partition, topic, dir string, set commitlog.Settings) *Log {
	l := &Log{
		Log:   commitlog.New(r, set, s.Memory, s.Rand, s.Clock.Now(), s.Clock.Wall()),
		store: s, id: id, topic: topic, dir: dir,
		flushAt: env.Never,
	}
	l.ShareCold(s.files.cold)
	l.taken, l.known = l.EndOffset(), l.RecoveryPoint()
	s.add(l)
	return l
}

// removal is a partition that is being deleted and whose name is not free yet.
type removal struct {
	id    record.Partition
	dir   string // empty: it was missing
	delay time.Duration
	aside func(to string) // it is not deleted, only moved out of the way; gets the directory's new name
	log   *Log            // until the journal knows of the deletion
	done  func(error)
	then  []waiting // for the name
}

// waiting is a log that cannot be made yet.
type waiting struct {
	id     record.Partition
	create func()
	done   func(*Log, error)
}

// unlinking is something to be removed when its delay is over.
type unlinking struct {
	at  env.Instant
	dir string             // a deleted partition's, or
	log *Log               // the log that the
	job *commitlog.Deletes // files of deleted segments belong to
}

// Delete ends a partition. done is called once no restart can bring it back; the files go file.delete.delay.ms later.
func (s *Store) Delete(id record.Partition, done func(error)) {
	s.takeOut(&removal{id: id, done: done})
}

// SetAside ends a partition that nobody knows and keeps its files: the directory gets a name that no topic has. done gets that name.
func (s *Store) SetAside(id record.Partition, done func(to string, err error)) {
	var name string
	s.takeOut(&removal{id: id, aside: func(to string) { name = to }, done: func(err error) { done(name, err) }})
}

func (s *Store) takeOut(r *removal) {
	id, done := r.id, r.done
	if s.failure != nil {
		done(s.failure)
		return
	}
	l := s.logs[id]
	if l != nil {
		r.dir, r.delay, r.log = l.dir, l.deleteDelay, l
		s.drop(l)
	} else if i := slices.IndexFunc(s.offline, func(o Offline) bool { return o.ID == id }); i >= 0 {
		r.dir = s.offline[i].Dir
		if s.offline[i].named && r.aside == nil {
			r.aside = func(string) {} // it may be another's: nothing is removed
		}
		s.offline = slices.Delete(s.offline, i, i+1)
	} else if i := slices.IndexFunc(s.making, func(m *making) bool { return m.id == id && m.unwanted == nil }); i >= 0 {
		r.dir, s.making[i].unwanted = s.making[i].dir, r
		s.deleting = append(s.deleting, r)
		return
	} else {
		s.giveUp(id)
		done(nil)
		return
	}
	s.deleting = append(s.deleting, r)
	seq := s.journal.Add(journal.Entry{Kind: journal.Delete, Log: id})
	s.acks = append(s.acks, ack{seq: seq, done: func(err error) {
		if err != nil {
			done(err)
			return
		}
		r.log = nil
		s.checkpoints.forget(r.dir) // before, it may still come back
		s.end(r, l)
	}})
}

// end closes the log of a deletion that the journal knows of, and goes on with its directory.
func (s *Store) end(r *removal, l *Log) {
	if l == nil {
		s.moveAway(r, nil)
		return
	}
	s.closeLog(l, s.laneOf(l.id), func(err error) { s.moveAway(r, err) })
}

// removing finds the removal that still holds the name.
func (s *Store) removing(dir string) *removal {
	for _, r := range s.deleting {
		if r.dir == dir {
			return r
		}
	}
	return nil
}

// closeLog lets everything end that is under way in the log, and closes it on a lane. then gets the error.
func (s *Store) closeLog(l *Log, lane env.Lane, then func(error)) {
	again := func() func() { return func() { s.closeLog(l, lane, then) } }
	if c := l.Log.TakeClose(); c != nil {
		s.Jobs.Start(lane, func() func() {
			c.Run()
			return func() {
				err := l.Log.Closed(c)
				if corrupt(err) {
					err = nil // it is closed, and that is all there is to do
				}
				then(err)
			}
		})
		return
	}
	w := l.Log.TakeWrites()
	if w == nil { // behind the last turn and the last sync
		s.Jobs.Start(laneWrite, func() func() {
			return func() { s.Jobs.Start(s.laneOf(l.id), again) }
		})
		return
	}
	s.Jobs.Start(laneWrite, func() func() {
		w.Run()
		return func() {
			if err := l.Log.Wrote(w); err != nil && !corrupt(err) {
				s.fail(err)
			}
			s.closeLog(l, lane, then)
		}
	})
}

// moveAway gives the directory of a closed log a name that no topic has.
func (s *Store) moveAway(r *removal, err error) {
	suffix := deleteSuffix
	if r.aside != nil {
		suffix = straySuffix
	}
	disk, to, rest := s.Disk, awayName(r.dir, s.randomID(), suffix), s.takeRests(r.id)
	s.Jobs.Start(s.laneOf(r.id), func() func() {
		if err == nil {
			err = moveRests(disk, rest, r.dir)
		}
		if err == nil && r.dir != "" {
			if err = disk.Rename(r.dir, to); err == nil {
				err = disk.SyncDir(rootDir)
			}
		}
		return func() {
			if err != nil {
				s.fail(fmt.Errorf("delete %s: %w", r.dir, err))
				r.done(s.failure)
				return
			}
			// The checkpoints must not speak of the log any more before its name is free.
			s.checkpoint(func(err error) { s.ended(r, to, err) })
		}
	})
}

// ended is the end of a deletion: the name is free.
func (s *Store) ended(r *removal, to string, err error) {
	if err != nil {
		r.done(err)
		return
	}
	s.journal.Safe(r.id, s.journal.DurableSeq())
	switch {
	case r.aside != nil && r.dir == "":
		r.aside("nowhere") // it was missing
	case r.aside != nil:
		r.aside(to)
	case r.dir != "":
		s.planUnlink(unlinking{dir: to}, r.delay)
	}
	s.deleting = slices.DeleteFunc(s.deleting, func(other *removal) bool { return other == r })
	r.done(nil)
	for _, w := range r.then {
		w.create()
	}
}

// collectDeletes takes the files of segments that the log has dropped, to be removed when file.delete.delay.ms is over.
func (s *Store) collectDeletes(l *Log) {
	if job := l.Log.TakeDeletes(); job != nil {
		s.planUnlink(unlinking{log: l, job: job}, l.deleteDelay)
	}
}

func (s *Store) planUnlink(u unlinking, delay time.Duration) {
	u.at = s.Clock.Now().Add(delay)
	s.removals = append(s.removals, u)
	s.due.remove = min(s.due.remove, u.at)
}

// removeDue starts the removals whose delay is over.
func (s *Store) removeDue(now env.Instant) {
	s.due.remove = env.Never
	kept := s.removals[:0]
	for _, u := range s.removals {
		if u.at > now {
			kept = append(kept, u)
			s.due.remove = min(s.due.remove, u.at)
			continue
		}
		s.remove(u)
	}
	clear(s.removals[len(kept):])
	s.removals = kept
}

func (s *Store) remove(u unlinking) {
	disk, lane := s.Disk, laneFiles
	if u.log != nil {
		lane = s.laneOf(u.log.id)
	}
	s.Jobs.Start(lane, func() func() {
		var err error
		if u.log == nil {
			err = removeAll(disk, u.dir)
		} else {
			u.job.Run()
		}
		return func() {
			if u.log != nil {
				err = u.log.Deleted(u.job)
			}
			if u.log != nil && u.log.gone {
				return // its directory has gone, perhaps, and the files with it
			}
			if err != nil {
				s.fail(err)
			}
		}
	})
}

func removeAll(d env.Disk, dir string) error {
	entries, err := d.ReadDir(dir)
	if errors.Is(err, env.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read directory %s: %w", dir, err)
	}
	for _, e := range entries {
		path := dir + "/" + e.Name
		if e.Dir {
			err = removeAll(d, path)
		} else {
			err = d.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	if err := d.Remove(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}
