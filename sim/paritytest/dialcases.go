package paritytest

import (
	"encoding/binary"
	"strings"
)

// dialCases say what becomes of connections that the node opens.
var dialCases = []connCase{
	{"dial: nobody listens", func(b *connBench) { b.inVain(b.try(b.Address(Refusing))) }},
	{"dial: nobody answers", func(b *connBench) { b.inVain(b.try(b.Address(Silent))) }},
	{"dial: nobody has the name", func(b *connBench) { b.inVain(b.try(b.Address(Unknown))) }},
	{"dial: no address", func(b *connBench) {
		for _, address := range []string{"", ":", "nobody", "nobody:", "127.0.0.1:99999", "127.0.0.1:port", strings.Repeat("x", 10_000)} {
			b.inVain(b.try(address))
		}
	}},
	{"dial: in vain, among others", func(b *connBench) {
		p, _ := b.reach(b.Listen())
		b.inVain(b.try(b.Address(Refusing)))
		p.Write(frame("e1"))
		b.answers(p, "e1")
	}},
	{"dial: it says where it leads", func(b *connBench) {
		_, l := b.reach(b.Listen())
		b.Do(func() {
			if !l.info.Outgoing || l.info.Listener != "" || !strings.Contains(l.info.Local, ":") || !strings.Contains(l.info.Remote, ":") {
				b.t.Errorf("info %+v", l.info)
			}
		})
	}},
	{"dial: what is sent at once waits", func(b *connBench) {
		place, f := b.Listen(), b.File([]byte("content"))
		b.Do(func() {
			l := b.node.dial(place.Address())
			for range 10 {
				b.node.send(l.id, nil)
			}
			b.node.sendFile(l.id, f, 0, 7)
		})
		p := place.Accept()
		b.node.peers = append(b.node.peers, p)
		for range 10 {
			b.answers(p, "hello")
		}
		b.answers(p, "headcontenttail")
	}},
	{"dial: what is sent in vain is dropped", func(b *connBench) {
		for _, k := range []AddressKind{Refusing, Silent} {
			var r *connReply
			var l *connLife
			address := b.Address(k)
			b.Do(func() {
				l = b.node.dial(address)
				r = b.node.send(l.id, nil)
			})
			b.inVain(l)
			b.Do(func() {
				if r.encodes.Load() != 0 || r.releases.Load() != 1 {
					b.t.Errorf("encoded %d and released %d times", r.encodes.Load(), r.releases.Load())
				}
			})
		}
	}},
	{"dial: closed before it stands", func(b *connBench) {
		place := b.Listen()
		for _, address := range []string{place.Address(), b.Address(Refusing), b.Address(Silent)} {
			var l *connLife
			b.Do(func() {
				l = b.node.dial(address)
				b.node.send(l.id, nil)
				b.node.net.Close(l.id)
				if r := b.node.send(l.id, nil); r.releases.Load() != 1 || r.encodes.Load() != 0 {
					b.t.Error("what is sent behind a close is not dropped at once")
				}
				b.node.net.Close(l.id)
			})
			b.inVain(l)
		}
	}},
	{"dial: closed while nobody answers", func(b *connBench) {
		l := b.try(b.Address(Silent))
		b.Settle()
		b.Do(func() { b.node.net.Close(l.id) })
		b.inVain(l)
	}},
	{"dial: torn at once", func(b *connBench) {
		place := b.Listen()
		place.Reset()
		l := b.try(place.Address())
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
		b.Do(func() { b.node.send(l.id, nil) })
	}},
	{"dial: the other side closes at once", func(b *connBench) {
		place := b.Listen()
		l := b.try(place.Address())
		place.Accept().Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"dial: many at once", func(b *connBench) {
		place := b.Listen()
		b.Do(func() {
			for range 30 {
				b.node.send(b.node.dial(place.Address()).id, nil)
			}
		})
		for range 30 {
			p := place.Accept()
			b.node.peers = append(b.node.peers, p)
			b.answers(p, "hello")
		}
		b.eventually("they stand", func() bool {
			for _, c := range b.node.order {
				if b.node.lives[c].connected != 1 {
					return false
				}
			}
			return len(b.node.order) == 30
		})
	}},
	{"dial: there is a bound", func(b *connBench) {
		place := b.Listen()
		var first *connLife
		for i := range 40 {
			if _, l := b.reach(place); i == 0 {
				first = l
			}
		}
		b.inVain(b.try(place.Address()))
		b.Do(func() { b.node.net.Close(first.id) })
		b.node.peers[0].Close()
		b.eventually("the first ends", func() bool { return first.disconnected == 1 })
		b.Settle()
		p, _ := b.reach(place)
		p.Write(frame("e1"))
		b.answers(p, "e1")
		incoming := b.Dial() // the bound is not one on others
		b.node.peers = append(b.node.peers, incoming)
		incoming.Write(frame("e2"))
		b.answers(incoming, "e2")
	}},
	{"dial: idle for a while", func(b *connBench) {
		p, l := b.reach(b.Listen())
		for range 20 {
			b.Settle()
		}
		p.Write(frame("e1"))
		b.answers(p, "e1")
		b.Do(func() { b.node.send(l.id, nil) })
		b.answers(p, "hello")
	}},
	{"dial: again behind an end", func(b *connBench) {
		place := b.Listen()
		p, first := b.reach(place)
		p.Reset()
		b.eventually("the first ends", func() bool { return first.disconnected == 1 })
		p, second := b.reach(place)
		if first.id == second.id {
			b.t.Error("they have one name")
		}
		p.Write(frame("e1"))
		b.answers(p, "e1")
	}},
	{"dial: a reply longer than allowed", func(b *connBench) {
		p, l := b.reach(b.Listen())
		p.Write(binary.BigEndian.AppendUint32(nil, 1<<20+1))
		b.ends(p)
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"dial: closed with replies on their way", func(b *connBench) {
		p, l := b.reach(b.Listen())
		p.Write(frame(numbers('h', 3, 9)...))
		b.received(l, 3)
		b.Do(func() {
			b.node.send(l.id, nil)
			b.node.net.Close(l.id)
		})
		b.answers(p, "hello")
		b.ends(p)
		p.Close()
		b.eventually("it ends", func() bool { return l.disconnected == 1 })
	}},
	{"dial: the node itself", func(b *connBench) {
		out := b.try(b.Address(Own))
		b.eventually("it stands", func() bool { return out.connected == 1 && len(b.node.order) == 2 })
		var in *connLife
		b.Do(func() {
			in = b.node.lives[b.node.order[1]]
			if in.dialed || in.id == out.id {
				b.t.Errorf("%+v is the other end of %+v", in, out)
			}
			b.node.send(out.id, nil)
			b.node.send(in.id, nil)
		})
		b.received(in, 1)
		b.received(out, 1)
		b.Do(func() { b.node.net.Close(out.id) })
		b.eventually("it ends", func() bool { return out.disconnected == 1 && in.disconnected == 1 })
	}},
}
