package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"testing"
	"time"
)

// TestClaimsCostNothing: who announces 100 MB and sends nothing gets no memory for it.
func TestClaimsCostNothing(t *testing.T) {
	h := start(t, Options{Memory: NewPool(PoolOptions{})})
	runtime.GC()
	var before, after runtime.MemStats
	resting := resident()
	runtime.ReadMemStats(&before)
	for range 10 {
		h.dial().send([]byte{0x05, 0xf5, 0xe1, 0x00, 1, 2, 3})
	}
	h.until("ten frames begun", func() bool { return h.server.budget.used.Load() == 10*trusted })
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 12*trusted {
		t.Errorf("%d bytes of heap for ten claims", used)
	}
	if grown := resident() - resting; grown > 12*trusted {
		t.Errorf("%d bytes more are resident", grown)
	}
}

// resident is how many bytes of the process are in memory; 0 where the system does not say it in Linux's way.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}

func TestInFlightLimit(t *testing.T) {
	h := start(t, Options{InFlight: 3})
	c := h.dial()
	for i := range 10 {
		c.send(framed(numbered(doHold, i, 9)))
	}
	for n := int64(3); n <= 10; n++ {
		h.until("three more than answered", func() bool { return h.node.received.Load() == n })
		time.Sleep(2 * time.Millisecond)
		if got := h.node.received.Load(); got != n {
			t.Fatalf("%d requests came in, not %d", got, n)
		}
		h.on(func() {
			first := h.node.held[0]
			h.node.held = h.node.held[1:]
			h.node.answer(first.conn, first.req)
		})
		if got := binary.BigEndian.Uint64(c.receive()[1:]); got != uint64(n-3) {
			t.Fatalf("answer %d instead of %d", got, n-3)
		}
	}
	h.on(h.node.release)
}

func TestBudget(t *testing.T) {
	h := start(t, Options{RequestBytes: 64 << 10})
	var clients []*client
	for i := range 6 {
		c := h.dial()
		c.send(framed(numbered(doHold, i, 40<<10)))
		clients = append(clients, c)
		if i < 2 {
			h.until("request", func() bool { return h.node.received.Load() == int64(i+1) })
		}
	}
	small := h.dial()
	small.send(framed([]byte("e")))
	time.Sleep(20 * time.Millisecond)
	if n := h.node.received.Load(); n != 2 {
		t.Fatalf("%d requests of 40 KiB came in, the budget is 64 KiB", n)
	}
	for n := int64(2); n < 7; n++ {
		h.on(h.node.release)
		h.until("more requests", func() bool { return h.node.received.Load() > n || h.node.received.Load() == 7 })
	}
	h.on(h.node.release)
	for _, c := range append(clients, small) {
		c.receive()
	}
}

// TestBudgetOfTheDead: who waits for the budget and dies passes its turn on.
func TestBudgetOfTheDead(t *testing.T) {
	h := start(t, Options{RequestBytes: 1000})
	holder := h.dial()
	holder.send(framed(numbered(doHold, 0, 2000)))
	h.until("holder", func() bool { return h.node.received.Load() == 1 })
	var waiting []*client
	for i := range 5 {
		c := h.dial()
		c.send(framed(numbered(doEcho, i, 100)))
		waiting = append(waiting, c)
	}
	h.until("five in the queue", func() bool { return h.server.budget.waiting.Load() == 5 })
	h.server.mu.Lock()
	for c := range h.server.open {
		if c.waiting.Load() && c.info.Remote != waiting[4].LocalAddr().String() {
			go c.kill(io.ErrUnexpectedEOF)
		}
	}
	h.server.mu.Unlock()
	h.until("one in the queue", func() bool { return h.server.budget.waiting.Load() == 1 })
	h.on(h.node.release)
	waiting[4].receive()
	holder.receive()
}

func TestConnectionLimits(t *testing.T) {
	t.Run("all", func(t *testing.T) {
		h := start(t, Options{MaxConnections: 2})
		one, two, three := h.dial(), h.dial(), h.dial()
		for _, c := range []*client{one, two, three} {
			c.send(framed([]byte("e")))
		}
		one.receive()
		two.receive()
		time.Sleep(5 * time.Millisecond)
		if n := h.node.conns.Load(); n != 2 {
			t.Fatalf("%d connections", n)
		}
		_ = one.Close()
		three.receive()
	})
	t.Run("one address", func(t *testing.T) {
		h := start(t, Options{MaxConnectionsPerIP: 2})
		one, two := h.dial(), h.dial()
		for _, c := range []*client{one, two} {
			c.send(framed([]byte("e")))
			c.receive()
		}
		h.dial().ended()
		h.until("log line", func() bool { return h.log.has("max.connections.per.ip=2") })
		_ = one.Close()
		h.until("one gone", func() bool { return h.node.gone.Load() == 1 })
		h.until("room", func() bool {
			c := h.dial()
			_, _ = c.Write(framed([]byte("e")))
			_, err := c.next()
			return err == nil
		})
	})
}
