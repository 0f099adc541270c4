package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lignum/core/env"
)

// Server accepts connections, feeds a Loop with what arrives there, and is the node's env.Network.
type Server struct {
	o       Options
	loop    *Loop
	clients account // of clients' requests
	nodes   account // of what nodes ask on listeners of their own
	replies account // of replies: were they to wait for requests, two nodes could wait for each other
	log     *quietLog
	started time.Time

	listeners []net.Listener
	forAll    slots
	forNodes  slots
	closing   chan struct{}  // closed when the server stops
	work      sync.WaitGroup // of listeners, of connections that were accepted, of the janitor
	calls     sync.WaitGroup // of connections that this node has opened
	now       atomic.Int64   // nanoseconds since started, moved on by the janitor
	lastID    atomic.Uint64

	mu      sync.Mutex
	open    map[*conn]struct{} // every connection with goroutines
	perIP   map[string]int
	serving []bool // for each listener
	watched bool   // the janitor is at work
	closed  bool   // no connection is accepted
	ended   bool   // none is opened either
	opened  int    // how many of open this node has opened

	// Touched by the loop alone.
	byID  map[env.ConnID]*conn
	dirty []*conn // have frames that their writers have not been told of
}

// Listen opens the listeners. Nothing is accepted before Serve, so that the node can be made with the server at hand.
func Listen(loop *Loop, o Options) (*Server, error) {
	s := &Server{
		o: o.withDefaults(), loop: loop, started: time.Now(),
		closing: make(chan struct{}),
		open:    map[*conn]struct{}{},
		perIP:   map[string]int{},
		byID:    map[env.ConnID]*conn{},
	}
	for _, a := range s.accounts() {
		a.limit(o.RequestBytes)
	}
	s.log = newQuietLog(s.o.Log)
	s.forAll, s.forNodes = newSlots(o.MaxConnections), newSlots(o.MaxNodeConnections)
	for _, l := range o.Listeners {
		nl, err := net.Listen("tcp", l.Address)
		if err != nil {
			s.closeListeners()
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		s.listeners = append(s.listeners, nl)
	}
	s.serving = make([]bool, len(s.listeners))
	loop.OnDrained(s.flush)
	return s, nil
}

// Addresses returns where the listeners listen, in the order of the options.
func (s *Server) Addresses() []net.Addr {
	list := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		list[i] = l.Addr()
	}
	return list
}

// Serve begins to accept connections at the listeners of the given names, or at all of them if none is named, unless the
// server has been stopped already. Those that have begun before go on.
func (s *Server) Serve(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for i, l := range s.listeners {
		of := s.o.Listeners[i]
		if !s.serving[i] && (len(names) == 0 || slices.Contains(names, of.Name)) {
			s.serving[i] = true
			s.work.Go(func() { s.accept(l, of) })
		}
	}
	if !s.watched {
		s.watched = true
		s.work.Go(s.janitor)
	}
}

// StopAccepting closes the listeners; open connections go on.
func (s *Server) StopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.closing)
		s.closeListeners()
	}
}

// Shutdown stops the server: no new connection, no new request; what has been asked is answered if that takes no longer
// than grace; then every connection is closed. It returns when all goroutines have ended. The loop must run until then.
func (s *Server) Shutdown(grace time.Duration) {
	s.StopAccepting()
	over, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	// An answer may need what another node replies, so the connections that this node has opened go last.
	s.hangUp(&s.work, false, over.Done())
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.hangUp(&s.calls, true, over.Done())
}

// hangUp ends the connections that clients have opened, or those that this node has, and waits for their goroutines. Those
// that are still there when the time is over are killed.
func (s *Server) hangUp(work *sync.WaitGroup, outgoing bool, over <-chan struct{}) {
	each := func(f func(c *conn)) {
		for _, c := range s.connections() {
			if c.info.Outgoing == outgoing {
				f(c)
			}
		}
	}
	each((*conn).hangUp)
	done := make(chan struct{})
	go func() {
		work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-over:
	}
	each(func(c *conn) { c.kill(errClosing) })
	<-done
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.open))
	for c := range s.open {
		list = append(list, c)
	}
	return list
}

// slots has an entry for each connection that is open; nil without a bound.
type slots chan struct{}

func newSlots(n int) slots {
	if n <= 0 {
		return nil
	}
	return make(slots, n)
}

// take waits for a slot; false if closing came first.
func (s slots) take(closing <-chan struct{}) bool {
	if s == nil {
		return true
	}
	select {
	case s <- struct{}{}:
		return true
	case <-closing:
		return false
	}
}

func (s slots) free() {
	if s != nil {
		<-s
	}
}

func (s *Server) accounts() []*account { return []*account{&s.clients, &s.nodes, &s.replies} }

// boundsOf is what the connections of a listener share.
func (s *Server) boundsOf(l Listener) (*account, slots) {
	if l.Nodes {
		return &s.nodes, s.forNodes
	}
	return &s.clients, s.forAll
}

// accept takes connections in at one listener. At the bound on connections it keeps the next one waiting and does not call Accept, so that the
// others wait in the system's queue.
func (s *Server) accept(l net.Listener, of Listener) {
	_, slots := s.boundsOf(of)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil && slots.take(s.closing):
			s.admit(nc, of)
			continue
		case err == nil:
			_ = nc.Close()
			return
		case errors.Is(err, net.ErrClosed):
			return
		}
		// Out of descriptors, most likely: it passes when somebody hangs up.
		s.log.warn("accept failed", "listener", of.Name, "error", err)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.closing:
			return
		}
	}
}

// admit starts a connection, or refuses it.
func (s *Server) admit(nc net.Conn, from Listener) {
	ip := hostOf(nc.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.o.MaxConnectionsPerIP > 0 && !from.Nodes && s.perIP[ip] >= s.o.MaxConnectionsPerIP {
		if !s.closed {
			s.log.warn("too many connections from one address", "peer", nc.RemoteAddr(), "max.connections.per.ip", s.o.MaxConnectionsPerIP)
		}
		_ = nc.Close()
		_, slots := s.boundsOf(from)
		slots.free()
		return
	}
	s.tune(nc)
	if !from.Nodes {
		s.perIP[ip]++
	}
	c := newConn(s, nc, env.ConnID(s.lastID.Add(1)), from)
	s.open[c] = struct{}{}
	s.work.Go(c.run)
}

func (s *Server) tune(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tcp.SetNoDelay(true)
	if s.o.SendBuffer > 0 {
		_ = tcp.SetWriteBuffer(s.o.SendBuffer)
	}
	if s.o.ReceiveBuffer > 0 {
		_ = tcp.SetReadBuffer(s.o.ReceiveBuffer)
	}
}

// forget is the last that the server does with a connection.
func (s *Server) forget(c *conn) {
	if c.info.Outgoing {
		s.forgetOutgoing(c)
		return
	}
	ip := hostOf(c.nc.RemoteAddr())
	s.mu.Lock()
	delete(s.open, c)
	if c.counted {
		if s.perIP[ip]--; s.perIP[ip] <= 0 {
			delete(s.perIP, ip)
		}
	}
	s.mu.Unlock()
	c.slots.free()
}

func hostOf(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return a.String()
}

// janitor looks after connections that do nothing for too long, and memory that nobody needs. It keeps the clock that activity is stamped with,
// so that a read or a write need not ask the time.
func (s *Server) janitor() {
	every := s.o.StallTimeout / 4
	if s.o.IdleTimeout > 0 {
		every = min(every, s.o.IdleTimeout/4)
	}
	every = min(max(every, 5*time.Millisecond), time.Second)
	tick := time.NewTicker(every)
	defer tick.Stop()
	trimmed := time.Duration(0)
	for {
		select {
		case <-tick.C:
		case <-s.closing:
			return
		}
		now := time.Since(s.started)
		s.now.Store(int64(now))
		all := s.connections()
		for _, c := range all {
			c.check(now)
		}
		s.relieve(all, now)
		if now-trimmed >= trimInterval {
			s.o.Memory.Trim()
			trimmed = now
		}
	}
}

// A long frame has to arrive at such a pace, in bytes a second and from a while after its beginning on, while others wait for the memory that it takes.
const (
	leastPace = 64 << 10
	paceAfter = 3 * time.Second
)

// relieve ends connections whose frames keep others waiting, the slowest first, until half of the memory is free.
func (s *Server) relieve(all []*conn, now time.Duration) {
	for _, a := range s.accounts() {
		if !a.arriving.crowded() {
			continue
		}
		slow := slices.DeleteFunc(slices.Clone(all), func(c *conn) bool { return c.account != a || !c.slow(now) })
		slices.SortFunc(slow, func(x, y *conn) int { return cmp.Compare(x.pace(now), y.pace(now)) })
		for freed := int64(0); len(slow) > 0 && freed <= a.arriving.limit/2; slow = slow[1:] {
			freed += max(slow[0].arrived.Load(), trusted)
			slow[0].kill(errHeldUp)
		}
	}
}

// trimInterval is how long memory that nobody asks for is kept.
const trimInterval = 10 * time.Second

var (
	errClosing = errors.New("the broker shuts down")
	errIdle    = errors.New("idle for longer than connections.max.idle.ms")
	errStalled = errors.New("the peer stopped in the middle of a frame")
	errSlow    = errors.New("the peer does not read")
	errHeldUp  = errors.New("the peer sends too slowly, and others wait for the memory")
)

// quietLog passes on no more than some lines a second: peers must not be able to fill the disk with them.
type quietLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  int64
	lines   int
	dropped int
}

const linesPerSecond = 20

func newQuietLog(l *slog.Logger) *quietLog { return &quietLog{log: l} }

func (q *quietLog) warn(message string, args ...any) {
	q.mu.Lock()
	if now := time.Now().Unix(); now != q.second {
		q.second, q.lines = now, 0
	}
	q.lines++
	if q.lines > linesPerSecond {
		q.dropped++
		q.mu.Unlock()
		return
	}
	if q.dropped > 0 {
		args = append(args, "lines_dropped", q.dropped)
		q.dropped = 0
	}
	q.mu.Unlock()
	q.log.Warn(message, args...)
}
