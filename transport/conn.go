package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lignum/core/env"
)

// conn is one connection: a goroutine that reads, which also begins and ends it, and one that writes.
type conn struct {
	s       *Server
	id      env.ConnID
	nc      net.Conn // nil as long as it is being dialed; changed under mu
	info    env.ConnInfo
	account *account // that its frames are charged to
	limit   int      // of a frame
	slots   slots    // that it has taken one of
	counted bool     // among those of its address
	dialing

	// The reader's side.
	gate       gate        // where the reader waits for a limit to be kept again
	waiting    atomic.Bool // it does
	unanswered atomic.Int32
	inFrame    atomic.Bool  // part of a frame has arrived
	readAt     atomic.Int64 // when bytes arrived last, by the janitor's clock
	arriving   atomic.Bool  // a long frame is
	began      atomic.Int64 // when it began, by the janitor's clock
	arrived    atomic.Int64 // bytes of it so far

	// The writer's side.
	wake        gate // where the writer waits for frames
	unsent      atomic.Int32
	unsentBytes atomic.Int64
	writing     atomic.Bool
	wroteAt     atomic.Int64 // when bytes left last, by the janitor's clock
	out         outbox       // belongs to whoever has set busy

	dead      atomic.Bool // the socket is closed
	leaving   atomic.Bool // no more requests are taken: the server shuts down
	finishing atomic.Bool // nor here: the node closes the connection

	mu    sync.Mutex
	queue []frame
	busy  bool  // somebody is writing, or has been told to
	gone  bool  // nothing is taken for sending any more
	cause error // why the connection ended; the first reason counts

	dirty bool // touched by the loop alone: it is in Server.dirty
}

// frame is an entry of a connection's queue for output.
type frame struct {
	out  env.Outgoing
	size int64 // as counted in unsentBytes
}

func newConn(s *Server, nc net.Conn, id env.ConnID, from Listener) *conn {
	account, slots := s.boundsOf(from)
	limit := s.o.MaxFrame
	if from.Nodes {
		limit = max(limit, defaultMaxFrame)
	}
	c := &conn{
		s: s, id: id, nc: nc, account: account, slots: slots, limit: limit, counted: !from.Nodes,
		info: env.ConnInfo{Listener: from.Name, Local: nc.LocalAddr().String(), Remote: nc.RemoteAddr().String()},
		gate: newGate(), wake: newGate(),
	}
	c.readAt.Store(s.now.Load())
	c.out.socket.open(nc, c.moved)
	return c
}

// run is the life of the connection.
func (c *conn) run() {
	defer c.s.forget(c)
	if !c.s.loop.put(input{run: c.connected}) {
		_ = c.nc.Close()
		c.abandon()
		return
	}
	var writer sync.WaitGroup
	writer.Go(c.write)
	err := c.read()
	if err == io.EOF || err == errClosing {
		c.linger(err)
	}
	c.kill(err)
	writer.Wait()
	c.report()
	c.s.loop.put(input{run: c.disconnected})
}

func (c *conn) connected(node env.Node) {
	if c.info.Outgoing && c.finishing.Load() {
		return // the node has given it up meanwhile
	}
	c.s.byID[c.id] = c
	node.Connected(c.id, c.info)
}

func (c *conn) disconnected(node env.Node) {
	delete(c.s.byID, c.id)
	node.Disconnected(c.id)
}

// kill closes the socket; both goroutines end.
func (c *conn) kill(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	if c.dead.CompareAndSwap(false, true) {
		if nc := c.attached(); nc != nil {
			_ = nc.Close()
		}
	}
	c.wake.open()
	c.gate.open()
}

// hangUp makes the connection end once what has been asked is answered.
func (c *conn) hangUp() {
	c.leaving.Store(true)
	if nc := c.attached(); nc != nil {
		_ = nc.SetReadDeadline(time.Unix(1, 0))
	}
	c.giveUp()
	c.gate.open()
}

// finish makes the connection end behind what is queued. It is called on the loop.
func (c *conn) finish() { c.finishing.Store(true) }

// linger waits until all that has been asked is answered, though not longer than a server that shuts down does, or
// than a peer that has closed its side deserves: it may have closed the other too.
func (c *conn) linger(why error) {
	var expired <-chan time.Time
	if why == io.EOF {
		timer := time.NewTimer(lingerTime)
		defer timer.Stop()
		expired = timer.C
	}
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	for !c.dead.Load() && (c.unanswered.Load() > 0 || c.unsent.Load() > 0) {
		select {
		case <-c.gate:
		case <-expired:
			return
		}
	}
}

// changed wakes the reader if it waits for a limit.
func (c *conn) changed() {
	if c.waiting.Load() {
		c.gate.open()
	}
}

// moved notes that bytes have left.
func (c *conn) moved() { c.wroteAt.Store(c.s.now.Load()) }

// check is the janitor's look at the connection.
func (c *conn) check(now time.Duration) {
	read, wrote := time.Duration(c.readAt.Load()), time.Duration(c.wroteAt.Load())
	stall, idle := c.s.o.StallTimeout, c.s.o.IdleTimeout
	switch {
	case c.writing.Load() && now-wrote > stall:
		c.kill(errSlow)
	case c.inFrame.Load() && !c.waiting.Load() && now-read > stall:
		c.kill(errStalled)
	case idle > 0 && !c.info.Outgoing && now-max(read, wrote) > idle && c.unanswered.Load() == 0 && c.unsent.Load() == 0:
		c.kill(errIdle)
	}
}

// pace is how fast the frame arrives that has begun, in bytes a second.
func (c *conn) pace(now time.Duration) int64 {
	age := max(now-time.Duration(c.began.Load()), time.Millisecond)
	return c.arrived.Load() * 1000 / age.Milliseconds()
}

// slow reports whether a long frame takes its time to arrive.
func (c *conn) slow(now time.Duration) bool {
	return c.arriving.Load() && now-time.Duration(c.began.Load()) >= min(paceAfter, c.s.o.StallTimeout) && c.pace(now) < leastPace
}

// report says why the connection ended if somebody should know.
func (c *conn) report() {
	c.mu.Lock()
	err := c.cause
	c.mu.Unlock()
	var fault *faultError
	switch {
	case errors.As(err, &fault) || errors.Is(err, errStalled) || errors.Is(err, errSlow) || errors.Is(err, errHeldUp):
		c.s.log.warn("connection closed", "peer", c.info.Remote, "listener", c.info.Listener, "reason", err)
	case err == io.EOF, errors.Is(err, errIdle), errors.Is(err, errClosing), errors.Is(err, errFinished),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		c.s.o.Log.Debug("connection closed", "peer", c.info.Remote, "listener", c.info.Listener, "reason", err)
	default:
		c.s.log.warn("connection failed", "peer", c.info.Remote, "listener", c.info.Listener, "reason", err)
	}
}

var errFinished = errors.New("closed by the broker")

// faultError is what a peer did against the protocol.
type faultError struct {
	err error
}

func (f *faultError) Error() string { return f.err.Error() }
func (f *faultError) Unwrap() error { return f.err }

func fault(format string, args ...any) error {
	return &faultError{err: fmt.Errorf(format, args...)}
}
