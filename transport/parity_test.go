package transport

import (
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/disk"
	"lignum/sim/paritytest"
)

// TestConnectionParity: the real network passes the suite that the simulated one passes too.
func TestConnectionParity(t *testing.T) {
	paritytest.RunConnections(t, func(t *testing.T) paritytest.Side { return &paritySide{t: t} })
}

// paritySide is the real side of the seam env.Network: a loop and a server on loopback, and clients on sockets.
type paritySide struct {
	t      *testing.T
	loop   *Loop
	server *Server
	pool   *Pool
	node   env.Node
}

func (s *paritySide) Start(l paritytest.Limits, boot func(env.Network) env.Node, decode func(env.ConnInfo, env.Buffer) (env.Request, error)) {
	s.loop = NewLoop(NewClock())
	s.pool = NewPool(PoolOptions{Poison: true})
	server, err := Listen(s.loop, Options{
		Listeners: []Listener{{Name: "PLAINTEXT", Address: "127.0.0.1:0"}}, Decode: decode, Memory: s.pool,
		MaxFrame: l.MaxFrame, MaxReply: l.MaxFrame, InFlight: l.InFlight, MaxOutgoing: l.MaxOutgoing, DialTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.server, s.node = server, boot(server)
	var ran sync.WaitGroup
	ran.Go(func() { s.loop.Run(s.node) })
	server.Serve()
	s.t.Cleanup(func() {
		server.Shutdown(time.Second)
		s.loop.Stop()
		ran.Wait()
	})
}

func (s *paritySide) Do(f func()) {
	done := make(chan struct{})
	s.loop.Post(func() { defer close(done); f() })
	<-done
}

func (s *paritySide) Until(ok func() bool) bool {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Microsecond) {
		yes := false
		s.Do(func() { yes = ok() })
		if yes || time.Now().After(end) {
			return yes
		}
	}
}

func (s *paritySide) Settle() { time.Sleep(3 * time.Millisecond) }

func (s *paritySide) File(content []byte) env.File {
	d, err := disk.Open(s.t.TempDir())
	if err != nil {
		s.t.Error(err)
		return nil
	}
	f, err := d.Open("file", env.Create)
	if err == nil {
		err = f.WriteAt(0, content)
	}
	if err != nil {
		s.t.Error(err)
	}
	s.t.Cleanup(func() {
		_ = f.Close()
		_ = d.Close()
	})
	return f
}

func (s *paritySide) Held() int64 { return s.pool.InUse() }

func (s *paritySide) Dial() paritytest.Peer {
	nc, err := net.Dial("tcp", s.server.Addresses()[0].String())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	s.t.Cleanup(func() { _ = nc.Close() })
	return &parityPeer{client: &client{s.t, nc}}
}

func (s *paritySide) Listen() paritytest.Place {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	return &parityPlace{t: s.t, l: l.(*net.TCPListener)}
}

func (s *paritySide) Address(k paritytest.AddressKind) string {
	switch k {
	case paritytest.Own:
		return s.server.Addresses()[0].String()
	case paritytest.Unknown:
		return "nobody.invalid:9092"
	case paritytest.Silent:
		return silentAddress(s.t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Error(err)
		return ""
	}
	_ = l.Close()
	return l.Addr().String()
}

// silentAddress is one at which connections are neither accepted nor refused: the queue of those to be accepted is full.
func silentAddress(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	at, errName := syscall.Getsockname(fd)
	if err != nil || errName != nil {
		t.Error(err, errName)
		return ""
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	address := fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
	for {
		nc, err := net.DialTimeout("tcp", address, 20*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
}

// parityPlace is a socket that listens.
type parityPlace struct {
	t *testing.T
	l *net.TCPListener
}

func (p *parityPlace) Address() string { return p.l.Addr().String() }

func (p *parityPlace) Accept() paritytest.Peer {
	_ = p.l.SetDeadline(time.Now().Add(20 * time.Second))
	nc, err := p.l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	p.t.Cleanup(func() { _ = nc.Close() })
	return &parityPeer{client: &client{p.t, nc}}
}

func (p *parityPlace) Reset() {
	go func() {
		for {
			nc, err := p.l.Accept()
			if err != nil {
				return
			}
			_ = nc.(*net.TCPConn).SetLinger(0)
			_ = nc.Close()
		}
	}()
}

type parityPeer struct{ *client }

// Write writes on a goroutine of its own, for the host may not read before somebody reads its answers.
func (p *parityPeer) Write(b []byte) {
	b = append([]byte(nil), b...)
	if len(b) < 16<<10 {
		_, _ = p.Conn.Write(b) // the host may have closed
		return
	}
	go func() { _, _ = p.Conn.Write(b) }()
}

func (p *parityPeer) CloseWrite() { _ = p.Conn.(*net.TCPConn).CloseWrite() }
func (p *parityPeer) Close()      { _ = p.Conn.Close() }

func (p *parityPeer) Reset() {
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	_ = p.Conn.Close()
}

func (p *parityPeer) Frame() ([]byte, bool) {
	b, err := p.next()
	if e, ok := err.(net.Error); ok && e.Timeout() {
		p.t.Fatal("neither a frame nor the end in twenty seconds")
	}
	return b, err == nil
}
