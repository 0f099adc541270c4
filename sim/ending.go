package sim

import "time"

// Ways in which an end of a connection learns that it is over (the low byte of B of EventEnd).
const (
	endHost     uint64 = iota // by itself
	endClient                 // by itself
	endUp                     // the host, over the wire: the client has ended it
	endDown                   // the client, over the wire: the host has ended it
	endFinished               // over the wire: the client sends no more
	endLinger                 // the host has waited long enough since
	endGaveUp                 // nothing got through; the outage is in the other bytes
)

// lingerTime is how long a host answers after the client has closed its side.
const lingerTime = 2 * time.Second

func (c *Conn) endEvent(b uint64) {
	switch b & 0xff {
	case endHost, endUp:
		if c.hostLives() {
			c.world.guard(c.host, c.endHostSide)
		}
		c.hostDone = true
	case endClient, endDown:
		c.endClientSide()
	case endFinished:
		c.finish()
	case endLinger:
		if c.hostLives() {
			c.world.guard(c.host, c.endHostSide)
		}
	case endGaveUp:
		c.giveUp(unpackOutage(b))
	}
}

func (c *Conn) endClientSide() {
	if !c.clientDone {
		c.clientDone = true
		c.client.Disconnected(c)
	}
}

// finish is the host's side when the client's last byte has arrived.
func (c *Conn) finish() {
	c.finished = true
	if !c.hostLives() {
		c.hostDone = true
		return
	}
	c.pushEnd(c.world.now.Add(lingerTime), endLinger)
	c.world.guard(c.host, c.endIfIdle)
}

// endIfIdle ends the host's side once a client that has closed its own has all its answers.
func (c *Conn) endIfIdle() {
	if c.finished && c.unanswered == 0 && !c.encoding && !c.hostDone {
		c.endHostSide()
	}
}

// endHostSide ends the host's side: frames that were not sent are released, the node is told, and the client learns of it
// behind what is on its way.
func (c *Conn) endHostSide() {
	if c.hostDone {
		return
	}
	c.hostDone = true
	if c.encoding {
		for _, out := range c.taken {
			out.Release()
		}
	}
	for _, out := range c.queue {
		out.Release()
	}
	c.taken, c.queue = nil, nil
	h := c.host
	for i, other := range h.conns {
		if other == c {
			h.conns = append(h.conns[:i], h.conns[i+1:]...)
			break
		}
	}
	h.put(input{kind: inputDisconnected, conn: c})
	c.down.last = max(c.down.last, c.world.now.Add(c.latency(&c.down)))
	c.pushEnd(c.down.last, endDown)
}

// hostGone is a host that crashed: the client notices within the given time, a node never does.
func (c *Conn) hostGone(noticed time.Duration) {
	c.hostDone = true
	c.taken, c.queue = nil, nil
	c.pushEnd(max(c.down.last, c.world.now.Add(c.rand.Between(0, noticed))), endDown)
}
