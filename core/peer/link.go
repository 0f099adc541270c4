package peer

import (
	"time"

	"lignum/core/env"
	"lignum/core/timer"
	"lignum/core/wire"
)

// Link is the way to one node for one purpose.
type Link struct {
	set     *Set
	name    name
	address string

	state    state
	conn     env.ConnID  // while dialing or up
	failures int         // since the last reply
	retryAt  env.Instant // no attempt to connect before
	alarm    timer.Timer // the next attempt, or the end of the one under way

	// Those at calls[first:] wait: all of them for their replies if the link is up, none of them sent if it is not.
	calls       []*call
	first       int
	correlation int32
}

type state uint8

const (
	idle    state = iota // no connection, and nobody who wants one
	waiting              // for the next attempt to connect
	dialing
	up
	closed // for good
)

// Up says whether there is a connection.
func (l *Link) Up() bool { return l.state == up }

// Pending is how many calls wait.
func (l *Link) Pending() int { return len(l.calls) - l.first }

// Address is where the node is reached.
func (l *Link) Address() string { return l.address }

// connect sees to it that there is a connection soon, if somebody waits for one.
func (l *Link) connect() {
	if l.state != idle || l.Pending() == 0 {
		return
	}
	if now := l.set.ports.Clock.Now(); now < l.retryAt {
		l.state = waiting
		l.set.ports.Timers.Start(&l.alarm, l.retryAt, l.dial)
		return
	}
	l.dial()
}

func (l *Link) dial() {
	p := &l.set.ports
	l.state = dialing
	l.conn = p.Network.Dial(l.address)
	l.set.conns[l.conn] = l
	p.Timers.Start(&l.alarm, p.Clock.Now().Add(l.set.options.ConnectTimeout), func() {
		p.Network.Close(l.conn)
		l.lost("it does not answer")
	})
}

func (l *Link) connected() {
	l.set.ports.Timers.Stop(&l.alarm)
	l.state = up
	if l.failures > 0 {
		l.set.log(env.Info, "connected again", "node", l.name.node, "for", l.name.purpose, "address", l.address)
	}
	for _, c := range l.calls[l.first:] {
		l.send(c)
	}
}

func (l *Link) send(c *call) {
	frame := c.frame
	c.frame, c.sent = nil, true
	l.set.ports.Network.Send(l.conn, request(frame))
}

// received ends the call that a reply belongs to: the first one.
func (l *Link) received(r *Reply) {
	if l.state != up || l.Pending() == 0 || l.calls[l.first].correlation != r.correlation() {
		l.hangUp("it replies to what nobody asked")
		return
	}
	c := l.calls[l.first]
	_, body, err := wire.DecodeResponseHeader(r.Frame.Bytes(), c.key, c.version)
	if err != nil {
		l.hangUp("its reply cannot be read")
		return
	}
	l.remove(l.first)
	l.failures = 0
	l.set.ports.Timers.Stop(&c.expiry)
	c.done(Reply{Body: body, Frame: r.Frame}, nil)
}

// remove takes the i'th call out.
func (l *Link) remove(i int) {
	copy(l.calls[l.first+1:i+1], l.calls[l.first:i])
	l.calls[l.first] = nil
	l.first++
	if l.first*2 >= len(l.calls) {
		n := copy(l.calls, l.calls[l.first:])
		clear(l.calls[n:])
		l.calls, l.first = l.calls[:n], 0
	}
}

// expired is a call whose time is over. If it was sent the connection is worth nothing any more: replies come in order.
func (l *Link) expired(c *call) {
	if c.sent {
		l.take(c)
		l.hangUp("it does not reply in time")
		c.done(Reply{}, ErrTimeout)
		return
	}
	l.take(c)
	if l.state == waiting && l.Pending() == 0 {
		l.set.ports.Timers.Stop(&l.alarm)
		l.state = idle
	}
	c.done(Reply{}, ErrUnreachable)
}

// take removes a call from wherever it stands.
func (l *Link) take(c *call) {
	for i := l.first; i < len(l.calls); i++ {
		if l.calls[i] == c {
			l.remove(i)
			return
		}
	}
}

// hangUp closes a connection that is of no more use.
func (l *Link) hangUp(why string) {
	l.set.ports.Network.Close(l.conn)
	l.lost(why)
}

// lost is a link whose connection is over, or did not come about: everybody who waits is told.
func (l *Link) lost(why string) {
	now := l.set.ports.Clock.Now()
	failed := l.detach()
	l.failures++
	l.retryAt = now.Add(l.backoff())
	level := env.Debug
	if l.failures == 1 && len(failed) > 0 {
		level = env.Warn
	}
	l.set.log(level, "connection lost", "node", l.name.node, "for", l.name.purpose, "address", l.address, "reason", why, "calls", len(failed))
	for _, c := range failed {
		c.done(Reply{}, c.fate())
	}
}

// detach leaves the connection and returns the calls that waited on it.
func (l *Link) detach() []*call {
	l.set.ports.Timers.Stop(&l.alarm)
	failed := l.calls[l.first:]
	l.calls, l.first, l.conn, l.state = nil, 0, 0, idle
	for _, c := range failed {
		l.set.ports.Timers.Stop(&c.expiry)
	}
	return failed
}

// fate is what a call ends with whose connection is gone.
func (c *call) fate() error {
	if c.sent {
		return ErrUnknown
	}
	return ErrUnreachable
}

// backoff is how long to wait after so many failures.
func (l *Link) backoff() time.Duration {
	o := &l.set.options
	d := o.BackoffMin
	for i := 1; i < l.failures && d < o.BackoffMax; i++ {
		d *= 2
	}
	d = min(d, o.BackoffMax)
	return d*4/5 + time.Duration(l.set.ports.Rand.Uint64()%uint64(d*2/5+1))
}

// redirect goes on at another address. Calls that were sent to the old one end; the others go to the new one.
func (l *Link) redirect(address string) {
	if l.state == dialing || l.state == up {
		l.set.ports.Network.Close(l.conn)
	}
	sent := l.state == up
	l.set.ports.Timers.Stop(&l.alarm)
	l.address, l.failures, l.retryAt = address, 0, 0
	if sent {
		for _, c := range l.detach() {
			l.set.later(c, c.fate())
		}
	}
	l.state, l.conn = idle, 0
	l.connect()
}

// close ends the link; everybody who waits is told later.
func (l *Link) close() {
	if l.state == dialing || l.state == up {
		l.set.ports.Network.Close(l.conn)
	}
	for _, c := range l.detach() {
		l.set.later(c, c.fate())
	}
	l.state = closed
}
