package partition

import (
	"slices"

	"lignum/core/record"
	"lignum/core/wire"
)

// Appender is told what became of a batch that it appended.
type Appender interface {
	// Settled is called once for each append that was accepted: with None when the batch is as safe
	// as was asked for, otherwise with the reason why that can no longer be said.
	Settled(index int, code wire.ErrorCode)
	// Waits reports whether anybody still waits for that. A request whose time is over, or whose connection is gone, need not be told.
	Waits() bool
}

// pendingProduce waits for the log or the high watermark to reach end.
type pendingProduce struct {
	end   record.Offset
	to    Appender
	index int
}

// produceQueue holds produce requests in the order of their appends. Requests in flight on all connections bound it: there are at most about as many
// that nobody waits for any more.
type produceQueue struct {
	one, all line // acks=1, acks=all
}

// line is a queue of requests. Those that nobody waits for any more stay until it has doubled.
type line struct {
	fifo[pendingProduce]
	tidy int // length at which they are dropped
}

func (l *line) push(w pendingProduce) {
	if l.len() >= max(l.tidy, leastTidy) {
		l.keep(func(w *pendingProduce) bool { return w.to.Waits() })
		l.tidy = 2 * l.len()
	}
	l.fifo.push(w)
}

// leastTidy is a length up to which a list is left alone.
const leastTidy = 16

// written answers acks=1 below end.
func (q *produceQueue) written(end record.Offset) { release(&q.one.fifo, end) }

// committed answers acks=all below end.
func (q *produceQueue) committed(end record.Offset) { release(&q.all.fifo, end) }

func release(f *fifo[pendingProduce], end record.Offset) {
	for !f.empty() && f.head().end <= end {
		p := f.pop()
		p.to.Settled(p.index, wire.None)
	}
}

func (q *produceQueue) failAll(code wire.ErrorCode) {
	for _, f := range []*line{&q.one, &q.all} {
		for !f.empty() {
			p := f.pop()
			p.to.Settled(p.index, code)
		}
	}
}

// failCommits answers acks=all alone.
func (q *produceQueue) failCommits(code wire.ErrorCode) {
	for !q.all.empty() {
		p := q.all.pop()
		p.to.Settled(p.index, code)
	}
}

// fifo is a queue in one slice; the memory of what was taken is used again.
type fifo[T any] struct {
	items []T
	first int
}

func (f *fifo[T]) empty() bool { return f.first == len(f.items) }
func (f *fifo[T]) head() *T    { return &f.items[f.first] }
func (f *fifo[T]) len() int    { return len(f.items) - f.first }

// keep drops what is not to be kept.
func (f *fifo[T]) keep(wanted func(*T) bool) {
	n := 0
	for i := f.first; i < len(f.items); i++ {
		if wanted(&f.items[i]) {
			f.items[n] = f.items[i]
			n++
		}
	}
	clear(f.items[n:])
	f.items, f.first = f.items[:n], 0
}

func (f *fifo[T]) push(v T) {
	if f.first > 0 && len(f.items) == cap(f.items) {
		n := copy(f.items, f.items[f.first:])
		clear(f.items[n:])
		f.items, f.first = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) pop() T {
	var zero T
	v := f.items[f.first]
	f.items[f.first] = zero
	f.first++
	if f.empty() {
		f.items, f.first = f.items[:0], 0
	}
	return v
}

// Waiting is how many requests to produce or to delete records are held back, with those that nobody waits for any more and that have not been dropped.
func (p *Partition) Waiting() int {
	return p.produces.one.len() + p.produces.all.len() + len(p.deletes.list)
}

// Watch is a reader's wish to be told when any of several partitions has something new. It fires at most once.
type Watch struct {
	fire func()
}

// NewWatch calls fire at the first news from any partition that it is put on.
func NewWatch(fire func()) *Watch { return &Watch{fire: fire} }

// Cancel takes the watch off every partition.
func (w *Watch) Cancel() { w.fire = nil }

// waitList is a list of those who wait. Those whom nobody needs to tell any more stay until it has doubled.
type waitList[T any] struct {
	list []T
	tidy int // length at which they are dropped
}

func (l *waitList[T]) add(v T, over func(T) bool) {
	if len(l.list) >= max(l.tidy, leastTidy) {
		l.list = slices.DeleteFunc(l.list, over)
		l.tidy = 2 * len(l.list)
	}
	l.list = append(l.list, v)
}

// watchList holds the watches of one partition.
type watchList struct{ waitList[*Watch] }

func (l *watchList) add(w *Watch) {
	l.waitList.add(w, func(old *Watch) bool { return old.fire == nil })
}

// wake fires all watches.
func (l *watchList) wake() {
	if len(l.list) == 0 {
		return
	}
	woken := l.list
	l.list = nil
	for _, w := range woken {
		if fire := w.fire; fire != nil {
			w.fire = nil
			fire()
		}
	}
	if l.list == nil {
		clear(woken)
		l.list = woken[:0]
	}
}

// Watch puts w on the partition: it fires when the high watermark moves, or when the replica's role or leader epoch changes or it fails.
func (p *Partition) Watch(w *Watch) { p.watches.add(w) }

// WatchEnd puts w on the partition for a follower: it fires when there is more in the log, safe or not, and like Watch when the role changes.
func (p *Partition) WatchEnd(w *Watch) { p.ends.add(w) }
