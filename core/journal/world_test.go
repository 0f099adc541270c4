package journal

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"lignum/core/record"
	"lignum/sim"
)

// tiny are sizes at which every corner of the ring is reached within a few commits.
var tiny = Options{FileBytes: 4 * block, Files: 3, MaxFiles: 5, GroupBytes: 2 * block, QueueBytes: 8 * block, StepBytes: block}

// world drives a journal by hand and knows what it must remember.
type world struct {
	t    testing.TB
	disk *sim.Disk
	rand *sim.Stream
	o    Options
	j    *Journal

	base    uint64            // counter of the entry before sequence 1 of this life
	counter uint64            // names entries across lives: it is their offset
	durable uint64            // counter up to which commits have succeeded
	needed  uint64            // counter of the oldest entry that is not safe
	safe    map[uint64]bool   // by counter
	content map[uint64][]byte // by counter
}

func newWorld(t testing.TB, seed uint64, o Options) *world {
	return &world{
		t: t, disk: sim.NewDisk(sim.DiskOptions{Seed: seed}), rand: sim.NewRand(seed), o: o,
		needed: 1, safe: map[uint64]bool{}, content: map[uint64][]byte{},
	}
}

func partition(n uint64) record.Partition {
	return record.Partition{Topic: record.TopicID{1, byte(n)}, Index: int32(n)}
}

func (w *world) logOf(counter uint64) record.Partition { return partition(counter % 3) }

// readAll reads a recovery to its end.
func readAll(r *Recovery) ([]Entry, error) {
	var all []Entry
	for {
		entries, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		for _, e := range entries {
			e.Data = [][]byte{bytes.Clone(bytes.Join(e.Data, nil))}
			all = append(all, e)
		}
	}
}

// open starts a life: everything durable and still needed must be there, in order and whole.
func (w *world) open() {
	r, err := Open(w.disk, dir, w.o, Opening{Salt: w.rand.Uint64()})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	entries, err := readAll(r)
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	first := w.needed
	if len(entries) > 0 {
		first = uint64(entries[0].Offset)
	}
	last := first + uint64(len(entries)) - 1
	if first > w.needed || last < w.durable || last > w.counter {
		w.t.Fatalf("recovered entries %d..%d, needed %d..%d, added %d", first, last, w.needed, w.durable, w.counter)
	}
	for i, e := range entries {
		counter := first + uint64(i)
		if uint64(e.Offset) != counter || e.Log != w.logOf(counter) || !bytes.Equal(e.Data[0], w.content[counter]) {
			w.t.Fatalf("entry %d is offset %d of %v with %d bytes", counter, e.Offset, e.Log, len(e.Data[0]))
		}
	}
	r.Rewind()
	if again, err := readAll(r); err != nil || !reflect.DeepEqual(again, entries) {
		w.t.Fatalf("second pass: %d entries, error %v; first pass: %d entries", len(again), err, len(entries))
	}
	w.base, w.counter, w.durable = first-1, last, last
	w.j = New(r, w.rand)
	if w.j.DurableSeq() != uint64(len(entries)) {
		w.t.Fatalf("durable sequence %d after %d entries", w.j.DurableSeq(), len(entries))
	}
	// What was safe is known no more; the logs say so again.
	for c := first; c <= last; c++ {
		if w.safe[c] {
			w.sync(w.logOf(c), c)
		}
	}
}

func (w *world) add(size int64) {
	w.counter++
	data := bytes.Repeat([]byte{byte(w.counter), 'x'}, int(size))
	w.content[w.counter] = data
	seq := w.j.Add(Entry{
		Kind: Append, Log: w.logOf(w.counter), Offset: record.Offset(w.counter), Epoch: 7,
		Data: [][]byte{data[:size/2], data[size/2 : size], data[size:]},
	})
	if w.base+seq != w.counter {
		w.t.Fatalf("entry %d has sequence %d behind %d", w.counter, seq, w.base)
	}
}

func (w *world) commit() bool {
	c := w.j.TakeCommit()
	if c == nil {
		return false
	}
	queuedMeanwhile := w.rand.Below(2) == 0
	if queuedMeanwhile {
		w.add(5) // must not be released by this commit (DM10)
	}
	c.Run()
	if err := w.j.Committed(c); err != nil {
		w.t.Fatalf("commit: %v", err)
	}
	w.durable = w.base + w.j.DurableSeq()
	if queuedMeanwhile && w.durable >= w.counter {
		w.t.Fatalf("entry %d was added during the commit that released it", w.counter)
	}
	return true
}

func (w *world) prepare() bool {
	p := w.j.TakePrepare()
	if p == nil {
		return false
	}
	p.Run()
	if err := w.j.Prepared(p); err != nil {
		w.t.Fatalf("prepare: %v", err)
	}
	return true
}

// sync makes a log's entries up to a counter safe.
func (w *world) sync(log record.Partition, counter uint64) {
	if counter <= w.base {
		return
	}
	for c := w.needed; c <= counter; c++ {
		if w.logOf(c) == log {
			w.safe[c] = true
		}
	}
	for w.safe[w.needed] {
		w.needed++
	}
	w.j.Safe(log, counter-w.base)
}

func (w *world) syncOldest() {
	for _, c := range w.j.Oldest() {
		w.sync(c.Log, w.base+c.Seq)
	}
}

// step does something by chance.
func (w *world) step() {
	switch w.rand.Below(8) {
	case 0, 1, 2:
		if !w.j.Full() {
			w.add([]int64{3, 700, 2500, 5000, 11000}[w.rand.Below(5)])
		}
	case 3, 4, 5:
		w.commit()
	case 6:
		w.prepare()
	case 7:
		if w.j.Pressing() {
			w.syncOldest()
		}
	}
}
