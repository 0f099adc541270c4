package transport

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

func TestHalfClose(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	for i := range 20 {
		c.send(framed(numbered(doHold, i, 9)))
	}
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	h.until("requests", func() bool { return h.node.received.Load() == 20 })
	h.on(h.node.release)
	for i := range 20 {
		if got := binary.BigEndian.Uint64(c.receive()[1:]); got != uint64(i) {
			t.Fatalf("answer %d instead of %d", got, i)
		}
	}
	c.ended()
}

// TestCloseSendsWhatIsQueued: the node closes; what it sent before arrives, though the peer keeps talking.
func TestCloseSendsWhatIsQueued(t *testing.T) {
	h := start(t, Options{SendBuffer: 16 << 10})
	c := h.dial()
	for range 5 {
		c.send(framed([]byte{doRepeat}))
	}
	c.send(framed([]byte("c!")))
	for range 5 {
		time.Sleep(5 * time.Millisecond)
		_, _ = c.Write(framed([]byte("e")))
		if got := c.receive(); !bytes.Equal(got, megabyte) {
			t.Fatal("wrong answer")
		}
	}
	if got := c.receive(); string(got) != "c!" {
		t.Fatalf("%q", got)
	}
	c.ended()
}

// TestShutdown: what has been asked is answered, what is asked afterwards is not.
func TestShutdown(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	c.send(framed([]byte("h1")))
	h.until("request", func() bool { return h.node.received.Load() == 1 })
	done := make(chan struct{})
	go func() {
		h.server.Shutdown(10 * time.Second)
		close(done)
	}()
	h.until("refusal", func() bool {
		nc, err := net.Dial("tcp", h.addr)
		if err == nil {
			_ = nc.Close()
		}
		return err != nil
	})
	h.on(h.node.release)
	if got := c.receive(); string(got) != "h1" {
		t.Fatalf("%q", got)
	}
	_, _ = c.Write(framed([]byte("e2"))) // too late, or just in time: the listener closes a moment before the connections are told
	if got, err := c.next(); err == nil && string(got) == "e2" {
		c.ended()
	}
	<-done
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	c.send(framed([]byte("h")))
	h.until("request", func() bool { return h.node.received.Load() == 1 })
	h.server.Shutdown(10 * time.Millisecond)
	c.ended()
	h.on(h.node.release)
}

func TestServeAfterShutdown(t *testing.T) {
	l := NewLoop(NewClock())
	s, err := Listen(l, Options{Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0"}}, Memory: NewPool(PoolOptions{}), Decode: decodeEcho})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown(0)
	s.Serve()
	s.Shutdown(0)
}
