package paritytest

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// numbers are n requests of a kind that differ, of some length.
func numbers(what byte, n, length int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%c%06d%s", what, i, strings.Repeat("-", max(0, length-7))))
	}
	return list
}

func ask(requests []string, want ...string) func(b *connBench) {
	return func(b *connBench) {
		p, _ := b.dial()
		p.Write(frame(requests...))
		if want == nil {
			want = requests
		}
		b.answers(p, want...)
	}
}

// streamCases say what becomes of bytes.
var streamCases = []connCase{
	{"one request", ask([]string{"e1"})},
	{"an empty frame", ask([]string{""})},
	{"frames in one write, in order", ask(numbers('e', 200, 10))},
	{"a frame as long as the limit", ask([]string{"e" + strings.Repeat("x", 1<<20-1)})},
	{"long frames among short ones", ask([]string{"e1", "e" + strings.Repeat("x", 300_000), "e2", "e" + strings.Repeat("y", 40_000), "e3"})},
	{"requests without an answer", ask(append(numbers('n', 50, 9), "e1"), "e1")},
	{"a frame cut at every byte", func(b *connBench) {
		p, l := b.dial()
		whole := frame("e-cut")
		for cut := 1; cut < len(whole); cut++ {
			p.Write(whole[:cut])
			b.received(l, cut-1)
			p.Write(whole[cut:])
			b.answers(p, "e-cut")
		}
	}},
	{"a frame byte by byte", func(b *connBench) {
		p, _ := b.dial()
		for _, c := range frame("e-bytes", "e-again") {
			p.Write([]byte{c})
		}
		b.answers(p, "e-bytes", "e-again")
	}},
	{"two frames cut in the second", func(b *connBench) {
		p, _ := b.dial()
		whole := frame("e-first", "e-second")
		p.Write(whole[:14])
		b.answers(p, "e-first")
		p.Write(whole[14:])
		b.answers(p, "e-second")
	}},
	{"answers in the order of Send, not of the requests", func(b *connBench) {
		p, _ := b.dial()
		p.Write(frame("h1", "e2", "h3"))
		b.answers(p, "e2")
		b.eventually("two are held", func() bool { return len(b.node.held) == 2 })
		b.Do(func() { b.node.held[0], b.node.held[1] = b.node.held[1], b.node.held[0] })
		b.Do(func() { b.node.letGo(2) })
		b.answers(p, "h3", "h1")
	}},
	{"a frame that nobody asked for", func(b *connBench) {
		p, l := b.dial()
		b.Do(func() { b.node.send(l.id, nil) })
		b.answers(p, "hello")
	}},
	{"many frames sent at once", func(b *connBench) {
		p, l := b.dial()
		b.Do(func() {
			for range 100 {
				b.node.send(l.id, nil)
			}
		})
		for range 100 {
			b.answers(p, "hello")
		}
	}},
	{"ranges of a file are its bytes", func(b *connBench) {
		p, l := b.dial()
		content := string(pattern(400_000))
		f := b.File([]byte(content))
		ranges := [][2]int{{0, 1}, {0, 400_000}, {12_345, 67_890}, {399_999, 1}, {4096, 4096}, {77, 0}}
		b.Do(func() {
			for _, r := range ranges {
				b.node.sendFile(l.id, f, int64(r[0]), int64(r[1]))
			}
		})
		for _, r := range ranges {
			b.answers(p, "head"+content[r[0]:r[0]+r[1]]+"tail")
		}
	}},
	{"ranges of files among other frames", func(b *connBench) {
		p, l := b.dial()
		f := b.File([]byte("content"))
		b.Do(func() {
			b.node.send(l.id, nil)
			b.node.sendFile(l.id, f, 3, 4)
			b.node.send(l.id, nil)
			b.node.sendFile(l.id, f, 0, 3)
		})
		b.answers(p, "hello", "headtenttail", "hello", "headcontail")
	}},
	{"a connection says where it comes from", func(b *connBench) {
		_, l := b.dial()
		b.Do(func() {
			if (l.info.Listener == "PLAINTEXT") == l.dialed || l.info.Outgoing != l.dialed || !strings.Contains(l.info.Local, ":") || !strings.Contains(l.info.Remote, ":") {
				b.t.Errorf("info %+v", l.info)
			}
		})
	}},
	{"connections have names of their own", func(b *connBench) {
		p, first := b.dial()
		p.Close()
		b.eventually("the first ends", func() bool { return first.disconnected == 1 })
		_, second := b.dial()
		_, third := b.dial()
		if first.id == second.id || second.id == third.id || first.id == third.id {
			b.t.Errorf("names %d, %d and %d", first.id, second.id, third.id)
		}
	}},
	{"connections do not wait for each other", func(b *connBench) {
		full, l := b.dial()
		full.Write(frame(numbers('h', 10, 9)...))
		b.received(l, 4)
		other, _ := b.dial()
		other.Write(frame(numbers('e', 20, 9)...))
		b.answers(other, numbers('e', 20, 9)...)
		b.Do(b.node.open)
		b.answers(full, numbers('h', 10, 9)...)
	}},
	{"an answer while a request is half here", func(b *connBench) {
		p, l := b.dial()
		half := frame("e-rest")
		p.Write(append(frame("h1"), half[:6]...))
		b.received(l, 1)
		b.Do(func() { b.node.letGo(1) })
		b.answers(p, "h1")
		p.Write(half[6:])
		b.answers(p, "e-rest")
	}},
}

// endCases say how connections end.
var endCases = []connCase{
	{"half close: all is answered, then it ends", func(b *connBench) {
		p, _ := b.dial()
		p.Write(frame(numbers('e', 30, 9)...))
		p.CloseWrite()
		b.answers(p, numbers('e', 30, 9)...)
		b.ends(p)
	}},
	{"half close waits for what is not answered yet", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("h1", "h2"))
		p.CloseWrite()
		b.received(l, 2)
		b.Do(func() { b.node.letGo(2) })
		b.answers(p, "h1", "h2")
		b.ends(p)
	}},
	{"half close with nothing asked", func(b *connBench) {
		p, l := b.dial()
		p.CloseWrite()
		b.ends(p)
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"half close inside a frame", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("e-half")[:7])
		p.CloseWrite()
		b.ends(p)
		b.received(l, 0)
	}},
	{"the client closes inside a frame", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("e-half")[:2])
		p.Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		b.received(l, 0)
	}},
	{"the client closes and leaves answers behind", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame(numbers('e', 3, 50_000)...))
		p.Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"the client resets", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("e1"))
		b.answers(p, "e1")
		p.Reset()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"a reset while requests are held", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("h1", "h2"))
		b.received(l, 2)
		p.Reset()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		b.Do(func() { b.node.letGo(2) })
		b.eventually("the answers are dropped", b.node.released)
	}},
	{"a reset leaves others alone", func(b *connBench) {
		p, l := b.dial()
		other, _ := b.dial()
		p.Reset()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		other.Write(frame("e1"))
		b.answers(other, "e1")
	}},
	{"the node closes: what is queued arrives", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame("e1", "e2", "c3"))
		b.answers(p, "e1", "e2", "c3")
		b.ends(p)
		p.Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"the node closes behind long answers", func(b *connBench) {
		p, l := b.dial()
		f := b.File(pattern(500_000))
		b.Do(func() {
			for range 4 {
				b.node.sendFile(l.id, f, 0, 500_000)
			}
			b.node.net.Close(l.id)
		})
		for range 4 {
			b.answers(p, "head"+string(pattern(500_000))+"tail")
		}
		b.ends(p)
	}},
	{"the node closes with nothing queued", func(b *connBench) {
		p, l := b.dial()
		b.Do(func() { b.node.net.Close(l.id) })
		b.ends(p)
	}},
	{"the node closes twice", func(b *connBench) {
		p, l := b.dial()
		b.Do(func() {
			b.node.send(l.id, nil)
			b.node.net.Close(l.id)
			b.node.net.Close(l.id)
		})
		b.answers(p, "hello")
		b.ends(p)
	}},
	{"what is sent behind a close is dropped", func(b *connBench) {
		p, _ := b.dial()
		p.Write(frame("d1"))
		b.ends(p)
		b.eventually("it is released", b.node.released)
	}},
	{"requests behind a close get no answer", func(b *connBench) {
		p, _ := b.dial()
		p.Write(frame("c1", "e2", "e3"))
		b.answers(p, "c1")
		b.ends(p)
	}},
	{"what is sent behind the end is dropped", func(b *connBench) {
		p, l := b.dial()
		p.Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		b.Do(func() {
			if r := b.node.send(l.id, nil); r.releases.Load() != 1 || r.encodes.Load() != 0 {
				b.t.Error("it is not dropped at once")
			}
			b.node.net.Close(l.id)
			b.node.net.Resume(l.id)
		})
	}},
	{"a connection that never was", func(b *connBench) {
		_, _ = b.dial()
		b.Do(func() {
			if r := b.node.send(99_999, nil); r.releases.Load() != 1 || r.encodes.Load() != 0 {
				b.t.Error("what is sent there is not dropped at once")
			}
			b.node.net.Close(99_999)
			b.node.net.Resume(99_999)
		})
	}},
}

// hostile expects bytes to cost the sender the connection, and nobody else anything.
func hostile(bytes []byte, requests int) func(b *connBench) {
	return func(b *connBench) {
		bystander, _ := b.dial()
		p, l := b.dial()
		p.Write(bytes)
		b.ends(p)
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		b.received(l, requests)
		bystander.Write(frame("e1"))
		b.answers(bystander, "e1")
	}
}

// boundCases say what a connection may not do.
var boundCases = []connCase{
	{"a length of minus one", hostile([]byte{0xff, 0xff, 0xff, 0xff}, 0)},
	{"the least length there is", hostile([]byte{0x80, 0, 0, 0}, 0)},
	{"the greatest length there is", hostile([]byte{0x7f, 0xff, 0xff, 0xff}, 0)},
	{"a length one above the limit", hostile([]byte{0, 0x10, 0, 1}, 0)},
	{"another protocol", hostile([]byte("GET / HTTP/1.1\r\n\r\n"), 0)},
	{"a request that is not understood", hostile(frame("x"), 0)},
	{"a bad length behind a good request", hostile(append(frame("n1"), 0xff, 0xff, 0xff, 0xff), 1)},
	{"unanswered requests have a limit", func(b *connBench) {
		p, l := b.dial()
		want := numbers('h', 10, 9)
		p.Write(frame(want...))
		for n := 4; n <= 10; n++ {
			b.received(l, n)
			b.Do(func() { b.node.letGo(1) })
			b.answers(p, want[n-4])
		}
		b.Do(b.node.open)
		b.answers(p, want[7:]...)
	}},
	{"the limit is lifted by Resume, not by the answer", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame(numbers('h', 6, 9)...))
		b.received(l, 4)
		var early heldRequest
		b.Do(func() {
			early, b.node.held = b.node.held[0], b.node.held[1:]
			b.node.net.Resume(l.id)
		})
		b.received(l, 5)
		b.Do(func() {
			b.node.send(l.id, nil)
			b.node.send(l.id, nil)
		})
		b.answers(p, "hello", "hello")
		b.received(l, 5)
		b.Do(func() { b.node.send(l.id, early.req.frame) })
		b.answers(p, numbers('h', 1, 9)...)
		b.received(l, 5)
	}},
	{"half close at the limit", func(b *connBench) {
		p, l := b.dial()
		want := numbers('h', 7, 9)
		p.Write(frame(want...))
		p.CloseWrite()
		b.received(l, 4)
		b.Do(b.node.open)
		b.answers(p, want...)
		b.ends(p)
	}},
	{"the node closes at the limit", func(b *connBench) {
		p, l := b.dial()
		p.Write(frame(numbers('h', 9, 9)...))
		b.received(l, 4)
		b.Do(func() {
			b.node.letGo(1)
			b.node.net.Close(l.id)
		})
		b.answers(p, numbers('h', 1, 9)...)
		b.ends(p)
	}},
	{"a length is counted without itself", func(b *connBench) {
		p, _ := b.dial()
		p.Write(binary.BigEndian.AppendUint32(nil, 2))
		p.Write([]byte("e1"))
		b.answers(p, "e1")
	}},
	{"limits are each connection's own", func(b *connBench) {
		var peers []Peer
		for range 3 {
			p, l := b.dial()
			p.Write(frame(numbers('h', 5, 9)...))
			b.received(l, 4)
			peers = append(peers, p)
		}
		b.Do(b.node.open)
		for _, p := range peers {
			b.answers(p, numbers('h', 5, 9)...)
		}
	}},
}
