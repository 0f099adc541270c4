package transport

import (
	"context"
	"errors"
	"net"

	"lignum/core/env"
)

// dialing is what a connection needs that this node opens, until it stands.
type dialing struct {
	address string
	cancel  context.CancelFunc // nil if the connection was accepted
}

var errTooMany = errors.New("as many connections as a node may open")

// Dial opens a connection. It is called on the loop; a goroutine of the connection's own waits for the peer.
func (s *Server) Dial(address string) env.ConnID {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.DialTimeout)
	c := &conn{
		s: s, id: env.ConnID(s.lastID.Add(1)), account: &s.replies, limit: s.o.MaxReply,
		info:    env.ConnInfo{Remote: address, Outgoing: true},
		dialing: dialing{address: address, cancel: cancel},
		gate:    newGate(), wake: newGate(),
	}
	s.byID[c.id] = c
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		c.failed(errClosing)
	case s.opened >= s.o.MaxOutgoing:
		c.failed(errTooMany)
	default:
		s.opened++
		s.open[c] = struct{}{}
		s.calls.Go(func() { c.dial(ctx) })
	}
	return c.id
}

// dial makes the connection, and is its life then.
func (c *conn) dial(ctx context.Context) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", c.address)
	if err == nil {
		err = c.attach(nc)
	}
	if err != nil {
		c.s.forget(c)
		c.failed(err)
		return
	}
	c.run()
}

// attach gives a connection that was dialed its socket, unless nobody wants it any more.
func (c *conn) attach(nc net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() || c.leaving.Load() || c.finishing.Load() {
		_ = nc.Close()
		return errClosing
	}
	c.s.tune(nc)
	c.nc = nc
	c.info.Local, c.info.Remote = nc.LocalAddr().String(), nc.RemoteAddr().String()
	c.readAt.Store(c.s.now.Load())
	c.out.socket.open(nc, c.moved)
	return nil
}

// attached is the socket, nil if there is none yet.
func (c *conn) attached() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nc
}

// giveUp ends the dialing, if it is under way.
func (c *conn) giveUp() {
	if c.cancel != nil {
		c.cancel()
	}
}

// failed is a connection that does not come about: what was to be sent is dropped, and the node is told.
func (c *conn) failed(why error) {
	c.giveUp()
	c.abandon()
	c.s.o.Log.Debug("connection not made", "peer", c.address, "reason", why)
	c.s.loop.put(input{run: c.disconnected})
}

// forgetOutgoing is the last that the server does with a connection that this node opened.
func (s *Server) forgetOutgoing(c *conn) {
	c.giveUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.opened--
}
