package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"lignum/core/env"
)

// numbered is a request of n bytes that carries i.
func numbered(what byte, i, n int) []byte {
	b := bytes.Repeat([]byte{byte(i)}, max(n, 9))
	b[0] = what
	binary.BigEndian.PutUint64(b[1:], uint64(i))
	return b
}

func TestPipelining(t *testing.T) {
	h := start(t, Options{InFlight: 7})
	var all sync.WaitGroup
	for k := range 4 {
		c := h.dial()
		r := rand.New(rand.NewPCG(1, uint64(k)))
		var want [][]byte
		for i := range 500 {
			size := 1 << r.IntN(12)
			if i%50 == 0 {
				size = 1 << (12 + r.IntN(9))
			}
			want = append(want, numbered(doEcho, i, size+r.IntN(100)))
		}
		all.Go(func() {
			for _, b := range want {
				if _, err := c.Write(framed(b)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		all.Go(func() {
			for i := range want {
				got, err := c.next()
				if err != nil || !bytes.Equal(got, want[i]) {
					t.Errorf("answer %d of %d bytes is wrong: %v", i, len(want[i]), err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestManyFramesInOneRead: frames that arrive together, and the beginning of one that does not.
func TestManyFramesInOneRead(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	var stream []byte
	for i := range 300 {
		stream = append(stream, framed(numbered(doEcho, i, 9+i))...)
	}
	c.send(stream[:len(stream)-5])
	for i := range 299 {
		if got := c.receive(); !bytes.Equal(got, numbered(doEcho, i, 9+i)) {
			t.Fatalf("answer %d: %x", i, got)
		}
	}
	c.send(stream[len(stream)-5:])
	c.receive()
}

func TestByteByByte(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	for _, size := range []int{0, 1, 9, 300} {
		b := bytes.Repeat([]byte{doEcho}, size)
		for _, v := range framed(b) {
			c.send([]byte{v})
		}
		if got := c.receive(); !bytes.Equal(got, b) {
			t.Fatalf("%d bytes came back as %d", size, len(got))
		}
	}
}

// TestLargeFrames: they are charged for while they arrive, and are what was sent nevertheless.
func TestLargeFrames(t *testing.T) {
	h := start(t, Options{})
	c := h.dial()
	for _, size := range []int{largeBuffer - 5, largeBuffer - 4, largeBuffer - 3, trusted, trusted + 1, 5*trusted + 77} {
		b := numbered(doEcho, size, size)
		rand.NewChaCha8([32]byte{}).Read(b[9:])
		go c.send(framed(b))
		if got := c.receive(); !bytes.Equal(got, b) {
			t.Fatalf("%d bytes came back as other %d", size, len(got))
		}
	}
}

func TestHostileFrames(t *testing.T) {
	for _, c := range []struct {
		name, log string
		bytes     []byte
	}{
		{"minus one", "frame of -1 bytes", []byte{0xff, 0xff, 0xff, 0xff}},
		{"least", "frame of -2147483648 bytes", []byte{0x80, 0, 0, 0}},
		{"two GiB", "frame of 2147483647 bytes", []byte{0x7f, 0xff, 0xff, 0xff}},
		{"one too many", "frame of 1048577 bytes", []byte{0, 0x10, 0, 1}},
		{"HTTP", "frame of 1195725856 bytes", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"TLS", "frame of 369295617 bytes", []byte{0x16, 3, 1, 1, 0, 1}},
		{"not understood", "a request that nobody understands", framed([]byte("x"))},
		{"behind a good one", "frame of -1 bytes", append(framed([]byte{doNone}), 0xff, 0xff, 0xff, 0xff)},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t, Options{MaxFrame: 1 << 20})
			bystander := h.dial()
			bad := h.dial()
			bad.send(c.bytes)
			bad.ended()
			h.until("log line", func() bool { return h.log.has(c.log) && h.log.has(bad.LocalAddr().String()) })
			bystander.send(framed([]byte("e!")))
			bystander.receive()
		})
	}
}

// TestHungUpInsideFrame: half a frame is worth a line in the log, and nothing else.
func TestHungUpInsideFrame(t *testing.T) {
	h := start(t, Options{})
	for _, part := range [][]byte{{0, 0}, {0, 0, 0, 9, 1}, append([]byte{0, 1, 0, 0}, make([]byte, 40000)...)} {
		c := h.dial()
		c.send(part)
		_ = c.Close()
	}
	h.until("log lines", func() bool { return strings.Count(h.log.String(), "hung up inside a frame") == 3 })
}

// TestSlowReader: who does not read is not read either, keeps little memory busy, and is thrown out.
func TestSlowReader(t *testing.T) {
	h := start(t, Options{InFlight: 10, StallTimeout: 300 * time.Millisecond, SendBuffer: 64 << 10})
	c := h.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	go func() {
		for range 1000 {
			if _, err := c.Write(framed([]byte{doRepeat})); err != nil {
				return
			}
		}
	}()
	h.until("limit", func() bool { return h.node.received.Load() >= 10 })
	other := h.dial()
	other.send(framed([]byte("e")))
	other.receive()
	if n := h.node.received.Load(); n > 40 {
		t.Errorf("%d requests came in of a peer that reads nothing", n)
	}
	h.until("the end", func() bool { return h.node.gone.Load() == 1 && h.log.has("the peer does not read") })
}

// TestUnsentBytes: answers that say how long they are keep the connection from being read.
func TestUnsentBytes(t *testing.T) {
	h := start(t, Options{InFlight: 1000, UnsentBytes: 3 << 20, SendBuffer: 64 << 10})
	c := h.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	var requests []byte
	for range 100 {
		requests = append(requests, framed([]byte{doRepeat})...)
	}
	for i := 0; i < len(requests); i += 5 {
		c.send(requests[i : i+5])
		time.Sleep(100 * time.Microsecond)
	}
	h.until("limit", func() bool { return h.node.received.Load() >= 3 })
	if n := h.node.received.Load(); n > 40 {
		t.Errorf("%d requests came in", n)
	}
	for range 100 {
		if got := c.receive(); !bytes.Equal(got, megabyte) {
			t.Fatal("wrong answer")
		}
	}
}

// TestReadsSlowly: a peer that reads a little now and then is slow, not gone.
func TestReadsSlowly(t *testing.T) {
	h := start(t, Options{StallTimeout: 250 * time.Millisecond, SendBuffer: 128 << 10})
	c := h.dial()
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	for range 4 {
		c.send(framed([]byte{doRepeat}))
	}
	buf := make([]byte, 128<<10)
	for n := 0; n < 4*(4+len(megabyte)); {
		k, err := c.Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		n += k
		time.Sleep(20 * time.Millisecond)
	}
}

func TestStallInsideFrame(t *testing.T) {
	h := start(t, Options{StallTimeout: 50 * time.Millisecond})
	c := h.dial()
	c.send([]byte{0, 0, 1, 0, 5})
	c.ended()
	h.until("log line", func() bool { return h.log.has("stopped in the middle of a frame") })
}

func TestIdle(t *testing.T) {
	h := start(t, Options{IdleTimeout: 100 * time.Millisecond, StallTimeout: 40 * time.Millisecond})
	idle, waits := h.dial(), h.dial()
	waits.send(framed([]byte{doHold}))
	idle.ended()
	h.until("one gone", func() bool { return h.node.gone.Load() == 1 })
	time.Sleep(100 * time.Millisecond)
	h.on(h.node.release)
	waits.receive()
	waits.ended()
}

func TestNoAnswer(t *testing.T) {
	h := start(t, Options{InFlight: 2})
	c := h.dial()
	for range 100 {
		c.send(framed([]byte{doNone}))
	}
	c.send(framed([]byte("e")))
	c.receive()
}

func TestComeAndGo(t *testing.T) {
	h := start(t, Options{})
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for i := range 60 {
				nc, err := net.Dial("tcp", h.addr)
				if err != nil {
					t.Error(err)
					return
				}
				switch (k + i) % 4 {
				case 0: // says nothing
				case 1:
					_, _ = nc.Write(framed([]byte{doRepeat})) // does not wait for the answer
				case 2:
					_ = nc.(*net.TCPConn).SetLinger(0) // resets
					_, _ = nc.Write(framed([]byte("e")))
				case 3:
					_, _ = nc.Write(framed([]byte("e")))
					_, _ = io.ReadFull(nc, make([]byte, 5))
				}
				_ = nc.Close()
			}
		})
	}
	all.Wait()
	h.until("all gone", func() bool { return h.node.gone.Load() == 480 })
	h.on(func() {
		if len(h.server.byID) != 0 {
			t.Errorf("%d connections are still known", len(h.server.byID))
		}
	})
}

// TestServeByName: listeners may begin one after the other.
func TestServeByName(t *testing.T) {
	l := NewLoop(NewClock())
	s, err := Listen(l, Options{
		Listeners: []Listener{{Name: "CONTROLLER", Address: "127.0.0.1:0"}, {Name: "PLAINTEXT", Address: "127.0.0.1:0"}}, Memory: NewPool(PoolOptions{}), Decode: decodeEcho,
	})
	if err != nil {
		t.Fatal(err)
	}
	node := &echo{net: s, open: map[env.ConnID]bool{}, deadline: env.Never}
	var ran sync.WaitGroup
	ran.Go(func() { l.Run(node) })
	answered := func(i int) bool {
		nc, err := net.Dial("tcp", s.Addresses()[i].String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := &client{t, nc}
		_ = nc.SetDeadline(time.Now().Add(200 * time.Millisecond))
		c.send(framed([]byte("e")))
		_, err = c.next()
		return err == nil
	}
	for _, step := range []struct {
		names  []string
		expect [2]bool
	}{{[]string{"CONTROLLER"}, [2]bool{true, false}}, {[]string{"CONTROLLER"}, [2]bool{true, false}}, {nil, [2]bool{true, true}}} {
		s.Serve(step.names...)
		if got := [2]bool{answered(0), answered(1)}; got != step.expect {
			t.Errorf("%v: %v", step.names, got)
		}
	}
	s.Shutdown(time.Second)
	l.Stop()
	ran.Wait()
}

func TestListenFails(t *testing.T) {
	h := start(t, Options{})
	_, err := Listen(NewLoop(NewClock()), Options{Listeners: []Listener{{Name: "A", Address: "127.0.0.1:0"}, {Name: "B", Address: h.addr}}})
	if err == nil || !strings.Contains(err.Error(), "listener B") {
		t.Fatal(err)
	}
}

// TestFiles: ranges of files arrive byte for byte, with sendfile and without.
func TestFiles(t *testing.T) {
	file := tempFile(t, 3<<20)
	content := make([]byte, 3<<20)
	if _, err := file.ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			h := start(t, Options{SendBuffer: 64 << 10})
			h.node.file = file
			if plain {
				h.node.file = plainFile{file}
			}
			c := h.dial()
			ranges := [][2]int{{0, 1}, {0, 3 << 20}, {12345, 678901}, {3<<20 - 1, 1}, {4096, 4096}, {77, 0}}
			for range 3 {
				for _, r := range ranges {
					c.send(framed(fileRequest(r[0], r[1])))
				}
			}
			for i := range 3 * len(ranges) {
				r := ranges[i%len(ranges)]
				got := c.receive()
				want := "head" + string(content[r[0]:r[0]+r[1]]) + "end"
				if string(got) != want {
					t.Fatalf("range %v is wrong", r)
				}
			}
			c.send(framed(fileRequest(3<<20-10, 11)))
			c.ended()
			h.until("log line", func() bool { return h.log.has("connection failed") })
			if n := file.refs.Load(); n != 0 {
				t.Errorf("%d references are left", n)
			}
			if n := file.doubts.Swap(0); !plain && n != 1 {
				t.Errorf("the file was told %d times that it could not be sent", n)
			}
		})
	}
}

func fileRequest(off, n int) []byte {
	b := []byte{doFile}
	b = binary.BigEndian.AppendUint64(b, uint64(off))
	return binary.BigEndian.AppendUint64(b, uint64(n))
}
