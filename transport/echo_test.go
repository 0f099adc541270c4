package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lignum/core/env"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the first byte of a request asks the echo node for.
const (
	doEcho   = 'e' // the same bytes back
	doHold   = 'h' // the same, but not before release
	doClose  = 'c' // the same, then close the connection
	doFile   = 'f' // a range of the node's file
	doNone   = 'n' // no answer, as to acks=0
	doRepeat = 'r' // an answer of 1 MiB
)

// echo is a node that answers with what it got.
type echo struct {
	net  env.Network
	file env.File

	open     map[env.ConnID]bool
	held     []held
	deadline env.Instant
	ticks    atomic.Int64
	received atomic.Int64
	conns    atomic.Int64
	gone     atomic.Int64
}

type held struct {
	conn env.ConnID
	req  *echoRequest
}

type echoRequest struct{ frame env.Buffer }

func (r *echoRequest) Release() { r.frame.Release() }

func decodeEcho(_ env.ConnInfo, frame env.Buffer) (env.Request, error) {
	if b := frame.Bytes(); len(b) > 0 && b[0] == 'x' {
		return nil, errors.New("a request that nobody understands")
	}
	return &echoRequest{frame: frame}, nil
}

func (e *echo) Connected(c env.ConnID, info env.ConnInfo) {
	if e.open[c] || info.Listener == "" || info.Remote == "" {
		panic(fmt.Sprint("connected twice, or by nobody ", info))
	}
	e.open[c] = true
	e.conns.Add(1)
}

func (e *echo) Disconnected(c env.ConnID) {
	if !e.open[c] {
		panic("disconnected twice")
	}
	delete(e.open, c)
	e.gone.Add(1)
}

func (e *echo) Received(c env.ConnID, req env.Request) {
	if !e.open[c] {
		panic("a request from a connection that is not open")
	}
	e.received.Add(1)
	r := req.(*echoRequest)
	if b := r.frame.Bytes(); len(b) > 0 && b[0] == doHold {
		e.held = append(e.held, held{c, r})
		return
	}
	e.answer(c, r)
}

func (e *echo) answer(c env.ConnID, r *echoRequest) {
	what := byte(doEcho)
	if b := r.frame.Bytes(); len(b) > 0 {
		what = b[0]
	}
	switch what {
	case doNone:
		r.Release()
	case doFile:
		b := r.frame.Bytes()
		off, n := int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint64(b[9:]))
		e.file.Retain()
		e.net.Send(c, &fileReply{file: e.file, off: off, n: n})
		r.Release()
	case doShort:
		r.Release()
		e.net.Send(c, shortReply{})
	case doRepeat:
		r.Release()
		e.net.Send(c, &bigReply{})
	default:
		e.net.Send(c, (*echoReply)(r))
	}
	e.net.Resume(c)
	if what == doClose {
		e.net.Close(c)
	}
}

// release answers what is held.
func (e *echo) release() {
	for _, h := range e.held {
		e.answer(h.conn, h.req)
	}
	e.held = nil
}

func (e *echo) Tick()                 { e.ticks.Add(1); e.deadline = env.Never }
func (e *echo) EndDrain()             {}
func (e *echo) Deadline() env.Instant { return e.deadline }

type echoReply echoRequest

func (r *echoReply) Encode(w *env.Pieces) {
	b := r.frame.Bytes()
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(len(b)))
	if len(b) < 512 {
		w.Buf = append(w.Buf, b...)
	} else {
		w.Bytes(b)
	}
}

func (r *echoReply) Release() { r.frame.Release() }

// fileReply is a frame of head, range of a file, and tail.
type fileReply struct {
	file   env.File
	off, n int64
}

func (r *fileReply) Encode(w *env.Pieces) {
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(4+r.n+3))
	w.Buf = append(w.Buf, "head"...)
	w.Range(r.file, r.off, r.n)
	w.Buf = append(w.Buf, "end"...)
}

func (r *fileReply) Release()    { _ = r.file.Close() }
func (r *fileReply) Size() int64 { return r.n }

type shortReply struct{}

func (shortReply) Encode(w *env.Pieces) {
	var b [shortReplySize]byte
	b[3] = shortReplySize - 4
	w.Buf = append(w.Buf, b[:]...)
}
func (shortReply) Release() {}

var megabyte = bytes.Repeat([]byte("lignum!\n"), 1<<17)

type bigReply struct{}

func (r *bigReply) Encode(w *env.Pieces) {
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(len(megabyte)))
	w.Bytes(megabyte)
}
func (r *bigReply) Release()    {}
func (r *bigReply) Size() int64 { return int64(len(megabyte)) }

// host is an echo node on a loop behind a server.
type host struct {
	t      testing.TB
	node   *echo
	loop   *Loop
	server *Server
	pool   *Pool
	log    *lines
	addr   string
	ran    sync.WaitGroup
}

func start(t testing.TB, o Options) *host {
	t.Helper()
	h := &host{t: t, log: &lines{}}
	h.loop = NewLoop(NewClock())
	if o.Memory == nil {
		o.Memory = NewPool(PoolOptions{Footprint: 64 << 20, Poison: true})
	}
	h.pool = o.Memory
	if o.Listeners == nil {
		o.Listeners = []Listener{{Name: "PLAINTEXT", Address: "127.0.0.1:0"}}
	}
	o.Decode = decodeEcho
	o.Log = slog.New(slog.NewTextHandler(h.log, nil))
	s, err := Listen(h.loop, o)
	if err != nil {
		t.Fatal(err)
	}
	h.server, h.addr = s, s.Addresses()[0].String()
	h.node = &echo{net: s, open: map[env.ConnID]bool{}, deadline: env.Never}
	h.ran.Go(func() { h.loop.Run(h.node) })
	s.Serve()
	t.Cleanup(h.stop)
	return h
}

func (h *host) stop() {
	h.server.Shutdown(5 * time.Second)
	h.loop.Stop()
	h.ran.Wait()
	if c, g := h.node.conns.Load(), h.node.gone.Load(); c != g {
		h.t.Errorf("%d connections came and %d went", c, g)
	}
	for i, a := range h.server.accounts() {
		if w, n := a.whole.used.Load(), a.arriving.used.Load(); w != 0 || n != 0 {
			h.t.Errorf("%d and %d bytes of the budgets of account %d are still taken", w, n, i)
		}
	}
}

// on runs f on the loop and waits for it.
func (h *host) on(f func()) {
	done := make(chan struct{})
	h.loop.Post(func() { f(); close(done) })
	<-done
}

// until waits for a condition that other goroutines bring about.
func (h *host) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("%s: not within ten seconds; log:\n%s", what, h.log)
		}
	}
}

type client struct {
	t testing.TB
	net.Conn
}

func (h *host) dial() *client {
	h.t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{h.t, nc}
	h.t.Cleanup(func() { _ = nc.Close() })
	return c
}

func framed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() []byte {
	c.t.Helper()
	b, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *client) next() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

// ended expects the server to have closed the connection.
func (c *client) ended() {
	c.t.Helper()
	if b, err := c.next(); err == nil {
		c.t.Fatalf("got %.40q instead of the end", b)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection stays open")
	}
}

// lines collects log output.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) has(s string) bool { return bytes.Contains([]byte(l.String()), []byte(s)) }
