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
		r.then = append(r.then, func() { s.Create(id, topic, settings, done) })
		return
	}
	s.making = append(s.making, dir)
	disk, set, wall := s.Disk, settingsOf(settings), s.Clock.Wall()
	s.Jobs.Start(s.laneOf(id), func() func() {
		r, err := commitlog.Create(disk, dir, id, 0, wall)
		return func() {
			s.making = slices.DeleteFunc(s.making, func(d string) bool { return d == dir })
			switch {
			case s.failure != nil:
				done(nil, s.failure)
			case err != nil:
				s.fail(fmt.Errorf("create %s: %w", dir, err))
				done(nil, s.failure)
			default:
				l := s.adopt(r, id, topic, dir, set)
				l.Configure(settings)
				done(l, nil)
			}
		}
	})
}

// taken says whether the directory is in use or being made, by whatever topic.
func (s *Store) taken(dir string) bool {
	used := func(l *Log) bool { return l.dir == dir }
	off := func(o Offline) bool { return o.Dir == dir }
	return slices.Contains(s.making, dir) || slices.ContainsFunc(s.order, used) || slices.ContainsFunc(s.offline, off)
}

// adopt makes a log that was opened or created part of the store.
func (s *Store) adopt(r *commitlog.Recovery, id record.Partition, topic, dir string, set commitlog.Settings) *Log {
	l := &Log{
		Log:   commitlog.New(r, set, s.Memory, s.Rand, s.Clock.Now(), s.Clock.Wall()),
		store: s, id: id, topic: topic, dir: dir,
		flushAt: env.Never,
	}
	l.taken = l.EndOffset()
	s.add(l)
	return l
}

// removal is a partition whose name is not free yet.
type removal struct {
	dir  string
	then []func() // wait for the name to be free
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
	if s.failure != nil {
		done(s.failure)
		return
	}
	l := s.logs[id]
	if l == nil {
		s.deleteOffline(id, done)
		return
	}
	s.drop(l)
	s.deleting = append(s.deleting, &removal{dir: l.dir})
	l.last = s.journal.Add(journal.Entry{Kind: journal.Delete, Log: id, Offset: l.EndOffset()})
	s.acks = append(s.acks, ack{seq: l.last, log: l, done: func(err error) {
		if err != nil {
			done(err)
			return
		}
		s.closeLog(l, func(err error) { s.moveAway(id, l.dir, l.deleteDelay, err, done) })
	}})
}

// deleteOffline ends a partition whose directory could not be used.
func (s *Store) deleteOffline(id record.Partition, done func(error)) {
	i := slices.IndexFunc(s.offline, func(o Offline) bool { return o.ID == id })
	if i < 0 {
		done(nil)
		return
	}
	dir := s.offline[i].Dir
	s.offline = slices.Delete(s.offline, i, i+1)
	s.checkpoints.forget(dir)
	s.deleting = append(s.deleting, &removal{dir: dir})
	s.moveAway(id, dir, 0, nil, done)
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

// closeLog lets everything end that is under way in the log, and closes it. then gets the error.
func (s *Store) closeLog(l *Log, then func(error)) {
	again := func() func() { return func() { s.closeLog(l, then) } }
	if c := l.Log.TakeClose(); c != nil {
		s.Jobs.Start(s.laneOf(l.id), func() func() {
			c.Run()
			return func() { then(l.Log.Closed(c)) }
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
			if err := l.Log.Wrote(w); err != nil {
				s.fail(err)
			}
			s.closeLog(l, then)
		}
	})
}

// moveAway gives the directory of a closed log a name that no topic has.
func (s *Store) moveAway(id record.Partition, dir string, delay time.Duration, closed error, done func(error)) {
	disk, to := s.Disk, deletedName(dir, s.randomID())
	s.Jobs.Start(s.laneOf(id), func() func() {
		err := closed
		if err == nil {
			err = disk.Rename(dir, to)
		}
		if err == nil {
			err = disk.SyncDir(rootDir)
		}
		return func() {
			if err != nil {
				s.fail(fmt.Errorf("delete %s: %w", dir, err))
				done(s.failure)
				return
			}
			// The checkpoints must not speak of the log any more before its name is free.
			s.checkpoint(func(err error) {
				if err != nil {
					done(err)
					return
				}
				s.journal.Safe(id, s.journal.DurableSeq())
				s.planUnlink(unlinking{dir: to}, delay)
				done(nil)
				s.free(dir)
			})
		}
	})
}

// free lets those go on that wait for the name.
func (s *Store) free(dir string) {
	i := slices.IndexFunc(s.deleting, func(r *removal) bool { return r.dir == dir })
	then := s.deleting[i].then
	s.deleting = slices.Delete(s.deleting, i, i+1)
	for _, f := range then {
		f()
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
