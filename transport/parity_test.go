package transport

import (
	"net"
	"sync"
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
		MaxFrame: l.MaxFrame, InFlight: l.InFlight,
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
