package storage

import (
	"fmt"
	"slices"

	"lignum/core/commitlog"
	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/journal"
	"lignum/core/record"
)

// Ports are what the store needs of the world.
type Ports struct {
	Disk   env.Disk
	Jobs   env.Jobs
	Memory env.Memory
	Clock  env.Clock
	Rand   env.Rand
}

// Events are the store's calls back to the broker, all on the loop.
type Events struct {
	// Ready is called once after Start: every log has been opened and the journal applied, or the error says why the directory cannot be used.
	Ready func(error)
	// Failed is called once when the directory fails while it is in use. Every log has failed with it.
	Failed func(error)
}

// state is where the store is in its life.
type state uint8

const (
	created state = iota
	starting
	running
	stopping
	stopped
)

// Store holds all logs of one broker. It is owned by the loop and does no I/O itself.
type Store struct {
	Ports
	o      Options
	events Events

	state   state
	failure error
	meta    checkpoint.Meta
	fresh   bool // this start has made the data directory
	clean   bool // the last stop was clean
	// brokerEpoch is what the marker of the clean stop said.
	brokerEpoch int64
	logs        map[record.Partition]*Log
	order       []*Log // by partition
	offline     []Offline
	strays      []string // directories without a usable name or identity
	startup     *startup // while starting

	journal    *journal.Journal
	rests      rests
	dirty      []*Log // have something for a turn
	turns      int    // on the write lane
	spareTurns []*turn
	acks       []ack // what waits for commits, in order of sequence
	reached    []ack // scratch
	committing bool
	preparing  bool  // a step of the journal's spare files runs
	unwritten  int64 // bytes that were appended and are not written
	touched    []*Log

	syncs       []*Log // want a sync, in order
	syncing     int
	recycle     recycle
	checkpoints checkpoints
	memory      memory
	files       fileBudget
	making      []*making  // logs that are being made
	deleting    []*removal // partitions whose names are not free yet
	removals    []unlinking
	due         dues
	stopper     *stopper
}

// New makes a store that has not read anything yet.
func New(p Ports, o Options, e Events) *Store {
	s := &Store{Ports: p, o: o.withDefaults(), events: e, logs: map[record.Partition]*Log{}}
	s.memory.init()
	s.due.clear()
	return s
}

// Meta is who the directory belongs to; known once the store is ready.
func (s *Store) Meta() checkpoint.Meta { return s.meta }

// Fresh reports whether this start has made the data directory.
func (s *Store) Fresh() bool { return s.fresh }

// WasClean reports whether the broker before this one stopped cleanly, and under which broker epoch; -1 if it did not say.
func (s *Store) WasClean() (clean bool, brokerEpoch int64) { return s.clean, s.brokerEpoch }

// Failure is why the store takes nothing any more; nil while it works.
func (s *Store) Failure() error { return s.failure }

// Log is the partition's log, nil if there is none or it is offline.
func (s *Store) Log(id record.Partition) *Log { return s.logs[id] }

// Logs lists all logs in the order of their partitions. The result must not be changed and holds until the next Create or Delete.
func (s *Store) Logs() []*Log { return s.order }

// Offline lists the partitions whose directories could not be used, and why.
func (s *Store) Offline() []Offline { return s.offline }

// Strays lists the directories that are not a partition's, as far as their names and contents tell. They are left alone.
func (s *Store) Strays() []string { return s.strays }

// Full says that so much waits for the disk that no more should be taken from clients for now.
func (s *Store) Full() bool {
	return s.state == running && (s.unwritten >= s.o.UnwrittenBytes || s.journal.Full())
}

// add takes a log into the store.
func (s *Store) add(l *Log) {
	i, found := slices.BinarySearchFunc(s.order, l.id, func(l *Log, id record.Partition) int { return l.id.Compare(id) })
	if found {
		invariant.Violated("storage: log %s twice", l.id)
	}
	s.order = slices.Insert(s.order, i, l)
	s.logs[l.id] = l
}

// drop takes a log out of the store.
func (s *Store) drop(l *Log) {
	delete(s.logs, l.id)
	s.order = slices.DeleteFunc(s.order, func(other *Log) bool { return other == l })
	s.dirty = slices.DeleteFunc(s.dirty, func(other *Log) bool { return other == l })
	s.syncs = slices.DeleteFunc(s.syncs, func(other *Log) bool { return other == l })
	s.memory.forget(l)
	for _, it := range l.late {
		it.writes.Release()
	}
	l.late, l.gone = nil, true
	s.touch(l) // for who waits in WhenDurable
}

// fail ends the store for good (S5) and tells everybody.
func (s *Store) fail(err error) {
	if s.failure != nil || s.state == stopped {
		return
	}
	s.failure = fmt.Errorf("log directory failed: %w", err)
	for _, l := range s.order {
		s.touch(l)
	}
	s.notify()
	for _, l := range s.order {
		for _, w := range l.starts {
			w.done(s.failure)
		}
		l.starts = nil
	}
	waiting := s.acks
	s.acks = nil
	for _, a := range waiting {
		if a.done != nil {
			a.done(s.failure)
		}
	}
	switch {
	case s.state == starting:
		s.ready(s.failure)
	case s.stopper != nil:
		s.stopper.finish(s, s.failure)
	case s.events.Failed != nil:
		s.events.Failed(s.failure)
	}
}

// touch notes that something about the log has changed that its listener should know of.
func (s *Store) touch(l *Log) {
	if !l.touched {
		l.touched = true
		s.touched = append(s.touched, l)
	}
}

// notify tells the listeners, in the order in which their logs were touched.
func (s *Store) notify() {
	for len(s.touched) > 0 {
		batch := s.touched
		s.touched = nil
		for _, l := range batch {
			l.touched = false
			l.settle()
			if l.advance != nil && !l.gone {
				l.advance()
			}
		}
	}
}

// stamp fills in the two times that an append carries.
func (s *Store) stamp(a commitlog.AppendInfo) commitlog.AppendInfo {
	if a.Now == 0 {
		a.Now = s.Clock.Now()
	}
	if a.Wall == 0 {
		a.Wall = s.Clock.Wall()
	}
	return a
}
