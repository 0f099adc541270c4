package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
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
	h.until("ten frames begun", func() bool { return h.server.clients.arriving.used.Load() == 10*trusted })
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 12<<20 {
		t.Errorf("%d bytes of heap for ten claims", used)
	}
	if grown := resident() - resting; grown > 12<<20 {
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
	h.until("five in the queue", func() bool { return h.server.clients.whole.waiting.Load() == 5 })
	h.server.mu.Lock()
	for c := range h.server.open {
		if c.waiting.Load() && c.info.Remote != waiting[4].LocalAddr().String() {
			go c.kill(io.ErrUnexpectedEOF)
		}
	}
	h.server.mu.Unlock()
	h.until("one in the queue", func() bool { return h.server.clients.whole.waiting.Load() == 1 })
	h.on(h.node.release)
	waiting[4].receive()
	holder.receive()
}

// TestFramesThatDoNotCome: whoever announces long requests and does not send them keeps nobody else out, not even those who send long ones.
func TestFramesThatDoNotCome(t *testing.T) {
	h := start(t, Options{RequestBytes: 1 << 20, StallTimeout: 400 * time.Millisecond})
	var hostile []*client
	for range 40 {
		c := h.dial()
		c.send([]byte{0, 0x10, 0, 0, 1, 2, 3})
		hostile = append(hostile, c)
	}
	h.until("the memory is taken", func() bool { return h.server.clients.arriving.spent() })
	drips := make(chan struct{})
	var dripping sync.WaitGroup
	dripping.Go(func() {
		for {
			select {
			case <-drips:
				return
			case <-time.After(50 * time.Millisecond):
			}
			for _, c := range hostile {
				_, _ = c.Write([]byte{7})
			}
		}
	})
	defer dripping.Wait()
	defer close(drips)
	short := h.dial()
	began := time.Now()
	short.send(framed(numbered(doEcho, 1, 1000)))
	short.receive()
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("a short request took %v", took)
	}
	long := h.dial()
	go long.send(framed(numbered(doEcho, 2, 500_000)))
	if got := long.receive(); len(got) != 500_000 {
		t.Errorf("%d bytes came back", len(got))
	}
	h.until("log line", func() bool { return h.log.has("others wait for the memory") })
}

// TestSlowFramesInPeace: as long as nobody waits for the memory a frame may take its time.
func TestSlowFramesInPeace(t *testing.T) {
	h := start(t, Options{RequestBytes: 1 << 20, StallTimeout: 500 * time.Millisecond})
	c := h.dial()
	frame := framed(numbered(doEcho, 1, 34<<10))
	for part := range slices.Chunk(frame, len(frame)/35) {
		c.send(part)
		time.Sleep(20 * time.Millisecond)
	}
	c.receive()
}

// TestWholeFramesWaitToo: long frames that are here count as any others do.
func TestWholeFramesWaitToo(t *testing.T) {
	h := start(t, Options{RequestBytes: 64 << 10})
	var all []*client
	for i := range 5 {
		c := h.dial()
		go c.send(framed(numbered(doHold, i, 60<<10)))
		all = append(all, c)
	}
	h.until("two", func() bool { return h.node.received.Load() == 2 })
	time.Sleep(20 * time.Millisecond)
	if n := h.node.received.Load(); n != 2 {
		t.Fatalf("%d requests of 60 KiB came in, the budget is 64 KiB", n)
	}
	for n := int64(2); n < 5; n++ {
		h.on(h.node.release)
		h.until("more", func() bool { return h.node.received.Load() > n || h.node.received.Load() == 5 })
	}
	h.on(h.node.release)
	for _, c := range all {
		c.receive()
	}
	if n := h.server.clients.arriving.used.Load(); n != 0 {
		t.Errorf("%d bytes are said to be arriving", n)
	}
}

// TestNodesHaveTheirOwn: clients that take every connection and all memory for requests do not keep other nodes out.
func TestNodesHaveTheirOwn(t *testing.T) {
	h := start(t, Options{RequestBytes: 1000, MaxConnections: 3, MaxNodeConnections: 2, Listeners: []Listener{
		{Name: "PLAINTEXT", Address: "127.0.0.1:0"}, {Name: "OTHER", Address: "127.0.0.1:0"}, {Name: "CONTROLLER", Address: "127.0.0.1:0", Nodes: true},
	}})
	for i := range 3 {
		h.dial().send(framed(numbered(doHold, i, 2000)))
	}
	h.until("clients", func() bool { return h.node.conns.Load() == 3 })
	h.until("the memory is taken", func() bool { return h.server.clients.whole.spent() })
	h.addr = h.server.Addresses()[2].String()
	for range 2 {
		c := h.dial()
		c.send(framed(numbered(doEcho, 1, 300)))
		c.receive()
	}
	third := h.dial()
	third.send(framed([]byte("e")))
	_ = third.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if _, err := third.next(); err == nil {
		t.Error("a third node was let in")
	}
	h.until("all requests", func() bool { h.on(h.node.release); return h.node.received.Load() >= 5 })
	h.on(h.node.release)
}

// TestBoundsOfClientsAlone: what a node sends may be longer than a client's requests, and nodes may share an address with clients.
func TestBoundsOfClientsAlone(t *testing.T) {
	h := start(t, Options{MaxFrame: 4096, MaxConnectionsPerIP: 1, Listeners: []Listener{
		{Name: "PLAINTEXT", Address: "127.0.0.1:0"}, {Name: "CONTROLLER", Address: "127.0.0.1:0", Nodes: true},
	}})
	client := h.dial()
	client.send(framed([]byte("e")))
	client.receive()
	clients := h.addr
	h.addr = h.server.Addresses()[1].String()
	for range 2 {
		node := h.dial()
		node.send(framed(numbered(doEcho, 1, 5000)))
		node.receive()
	}
	h.addr = clients
	_ = client.Close()
	h.until("the client is gone", func() bool { return h.node.gone.Load() >= 1 })
	next := h.dial()
	next.send(framed([]byte("e")))
	next.receive()
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
