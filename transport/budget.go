package transport

import (
	"sync"
	"sync/atomic"
)

// account is what the frames of some connections are charged to. Long ones that are still arriving are counted apart: whoever sends one slowly, or
// never to its end, must not keep out the short ones, nor what is done with as soon as the node has looked at it.
type account struct {
	whole    budget // frames that are here, until the node has done with them
	arriving budget // those that do not fit into a reader's buffer, until they are here and have been let into whole
}

func (a *account) limit(n int64) { a.whole.limit, a.arriving.limit = n, n }

// budget bounds the bytes of requests in memory. Whoever finds some left may take what a frame needs, even if
// that is more than what is left: otherwise the largest frame might never get in, and frames that have begun to
// arrive might wait for each other. A frame that has been let in takes more as it grows without asking.
type budget struct {
	limit   int64 // 0: none
	used    atomic.Int64
	waiting atomic.Int32 // len(queue)

	mu    sync.Mutex
	queue []gate // first come, first served
}

// take takes n bytes if there are any left.
func (b *budget) take(n int64) bool {
	if b.spent() {
		return false
	}
	b.used.Add(n)
	return true
}

// spent reports whether nothing is left.
func (b *budget) spent() bool { return b.limit > 0 && b.used.Load() >= b.limit }

// more takes n bytes in any case.
func (b *budget) more(n int64) { b.used.Add(n) }

// give gives bytes back.
func (b *budget) give(n int64) {
	b.used.Add(-n)
	b.pass()
}

// enqueue asks for g to be opened when there may be bytes left. Whoever is woken tries, and then calls pass.
func (b *budget) enqueue(g gate) {
	b.mu.Lock()
	b.queue = append(b.queue, g)
	b.waiting.Store(int32(len(b.queue)))
	b.mu.Unlock()
}

// leave withdraws g's request, if it is still there.
func (b *budget) leave(g gate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == g {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			break
		}
	}
	b.waiting.Store(int32(len(b.queue)))
}

// crowded reports whether somebody waits because nothing is left.
func (b *budget) crowded() bool { return b.waiting.Load() > 0 && b.spent() }

// pass wakes the first who waits if there are bytes left.
func (b *budget) pass() {
	if b.waiting.Load() == 0 || b.spent() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return
	}
	g := b.queue[0]
	b.queue = b.queue[:copy(b.queue, b.queue[1:])]
	b.waiting.Store(int32(len(b.queue)))
	g.open()
}

// gate is where one goroutine waits for something to change. Opening it before the wait is not lost.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) open() {
	select {
	case g <- struct{}{}:
	default:
	}
}
