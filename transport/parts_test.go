package transport

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"lignum/core/env"
)

type counting struct {
	inputs, drains, ticks int
	deadline              env.Instant
	ticked                chan struct{}
}

func (n *counting) Connected(env.ConnID, env.ConnInfo) {}
func (n *counting) Disconnected(env.ConnID)            {}
func (n *counting) Received(env.ConnID, env.Request)   { n.inputs++ }
func (n *counting) EndDrain()                          { n.drains++ }
func (n *counting) Deadline() env.Instant              { return n.deadline }
func (n *counting) Tick() {
	n.ticks++
	n.deadline = env.Never
	n.ticked <- struct{}{}
}

func TestLoop(t *testing.T) {
	clock := NewClock()
	l := NewLoop(clock)
	n := &counting{deadline: env.Never, ticked: make(chan struct{}, 10)}
	flushed := 0
	l.OnDrained(func() { flushed++ })
	var order []int
	for i := range 100 {
		l.Post(func() { order = append(order, i) })
	}
	l.put(input{}, input{})
	var ran sync.WaitGroup
	ran.Go(func() { l.Run(n) })
	l.Wake()
	<-n.ticked
	at := clock.Now().Add(20 * time.Millisecond)
	l.Post(func() { n.deadline = at })
	<-n.ticked
	if early := at.Sub(clock.Now()); early > 0 {
		t.Errorf("tick %v early", early)
	}
	l.Post(func() { n.deadline = clock.Now().Add(-time.Second) })
	<-n.ticked
	done := make(chan struct{})
	l.Post(func() { l.Post(func() { close(done) }); l.Stop() })
	<-done
	ran.Wait()
	if l.Post(func() { t.Error("called after the end") }) {
		t.Error("a stopped loop takes inputs in")
	}
	if n.inputs != 2 || n.ticks != 3 || flushed != n.drains || len(order) != 100 || order[99] != 99 {
		t.Errorf("%+v, %d flushes, %d in order", n, flushed, len(order))
	}
}

// TestLoopFromManySides: nothing is lost and nobody sleeps through it.
func TestLoopFromManySides(t *testing.T) {
	l := NewLoop(NewClock())
	n := &counting{deadline: env.Never, ticked: make(chan struct{}, 10)}
	var ran, senders sync.WaitGroup
	ran.Go(func() { l.Run(n) })
	for range 8 {
		senders.Go(func() {
			for range 2000 {
				l.put(input{})
				back := make(chan struct{})
				l.Post(func() { close(back) })
				<-back
			}
		})
	}
	senders.Wait()
	l.Stop()
	ran.Wait()
	if n.inputs != 16000 {
		t.Errorf("%d inputs", n.inputs)
	}
}

func TestPool(t *testing.T) {
	p := NewPool(PoolOptions{Footprint: 1 << 20, Poison: true})
	for _, n := range []int{0, 1, 255, 256, 257, 4096, 1 << 14, 1 << 20, 1<<20 + 1, 2 << 20, 5<<20 + 1, 1<<24 - 1, 1 << 24, 1<<24 + 1} {
		b := p.Get(n)
		if len(b.Bytes()) != n || cap(b.Bytes()) != n {
			t.Errorf("%d bytes of %d", len(b.Bytes()), n)
		}
		b.Retain()
		b.Release()
		b.Release()
		if p.Retained() > 1<<20 {
			t.Errorf("%d bytes are kept", p.Retained())
		}
		if p.InUse() != 0 {
			t.Errorf("%d bytes are in use", p.InUse())
		}
	}
	var many []env.Buffer
	for range 100 {
		many = append(many, p.Get(1<<16))
	}
	for _, b := range many {
		b.Release()
	}
	if got := p.Retained(); got > 1<<20 || got < 1<<19 {
		t.Errorf("%d bytes are kept", got)
	}
	one := p.Get(100)
	memory := one.Bytes()
	one.Release()
	expectPanic(t, "released too often", one.Release)
	memory[3] = 1
	expectPanic(t, "written to after release", func() { p.Get(100) })
}

func TestPoolReuses(t *testing.T) {
	p := NewPool(PoolOptions{Footprint: 8 << 20})
	for _, c := range []struct{ first, then int }{{1000, 1024}, {1 << 20, 1<<19 + 1}, {5 << 20, 3<<20 - 7}} {
		p.Get(c.first).Release()
		if n := testing.AllocsPerRun(100, func() { p.Get(c.then).Release() }); n != 0 {
			t.Errorf("%v allocations for %d bytes after %d", n, c.then, c.first)
		}
	}
}

func TestPoolTrim(t *testing.T) {
	p := NewPool(PoolOptions{})
	a, b := p.Get(1<<20), p.Get(1<<20)
	a.Release()
	b.Release()
	p.Trim() // the first look: they have just come back
	p.Get(1 << 20).Release()
	p.Trim()
	if got := p.Retained(); got != 1<<20 {
		t.Errorf("%d bytes are kept of which one half was asked for", got)
	}
	p.Trim()
	if got := p.Retained(); got != 0 {
		t.Errorf("%d bytes are kept that nobody asked for", got)
	}
}

func TestPoolFromManySides(t *testing.T) {
	p := NewPool(PoolOptions{Footprint: 1 << 18, Poison: true})
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			var mine []env.Buffer
			for i := range 500 {
				b := p.Get(1 + (i*37+k)%5000)
				for j := range b.Bytes() {
					b.Bytes()[j] = byte(k)
				}
				mine = append(mine, b)
				if len(mine) > 10 {
					if c := mine[0].Bytes(); !bytes.Equal(c, bytes.Repeat([]byte{byte(k)}, len(c))) {
						t.Error("somebody else has written to the buffer")
					}
					mine[0].Release()
					mine = mine[1:]
				}
			}
			for _, b := range mine {
				b.Release()
			}
		})
	}
	all.Wait()
}

func expectPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestClockAndRand(t *testing.T) {
	c := NewClock()
	a := c.Now()
	if b := c.Now(); b < a {
		t.Error("time goes back")
	}
	if d := c.Wall() - env.Millis(time.Now().UnixMilli()); d > 1000 || d < -1000 {
		t.Error("wall time", d)
	}
	r := NewRand()
	seen := map[uint64]bool{}
	for range 1000 {
		seen[r.Uint64()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different numbers of 1000", len(seen))
	}
}
