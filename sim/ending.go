package sim

import "time"

// Ways in which an end of a connection learns that it is over (the low byte of B of EventEnd).
const (
	endHost       uint64 = iota // the far one, by itself
	endClient                   // the near one, by itself
	endUp                       // the far one, over the wire: the near one has ended it
	endDown                     // the near one, over the wire: the far one has ended it
	endFinished                 // the far one, over the wire: the near one sends no more
	endLinger                   // the far one has waited long enough since
	endGaveUp                   // nothing got through; the outage is in the other bytes
	endDownReset                // the near one, a host's, over the wire: the far one has torn it
	endNearLinger               // the near one has waited long enough since the far one sent its last byte
)

// lingerTime is how long a host answers after the client has closed its side.
const lingerTime = 2 * time.Second

// What an end tells the other one over the wire.
const (
	toldFinished = iota // no more bytes come
	toldOver            // and none are taken
	toldReset           // nor are those that are on their way
)

// told is how the other end hears of it.
func (e *end) told(what int) uint64 {
	switch {
	case e.isNear() && what == toldFinished:
		return endFinished
	case e.isNear():
		return endUp
	case what == toldReset && e.other().host != nil:
		return endDownReset
	}
	return endDown
}

// tell sends word to the other end, behind what is on its way there.
func (e *end) tell(what int) {
	e.out.last = max(e.out.last, e.conn.world.now.Add(e.conn.latency(e.out)))
	e.conn.pushEnd(e.out.last, e.told(what))
}

// itself is how this end learns that it is over, by itself.
func (e *end) itself() uint64 {
	if e.isNear() {
		return endClient
	}
	return endHost
}

// concerned is the end that learns something.
func (c *Conn) concerned(how uint64) *end {
	switch how & 0xff {
	case endClient, endDown, endDownReset, endNearLinger:
		return &c.near
	case endGaveUp:
		if !unpackOutage(how).far {
			return &c.near
		}
	}
	return &c.far
}

func (c *Conn) endEvent(b uint64) {
	e := c.concerned(b)
	switch b & 0xff {
	case endGaveUp:
		c.giveUp(unpackOutage(b))
	case endFinished:
		e.finish()
	case endDown:
		if e.host != nil {
			e.finish()
			return
		}
		e.over()
	case endLinger, endNearLinger:
		if e.lives() {
			c.world.guard(e.host, e.end)
		}
	default:
		e.over()
	}
}

// over ends this end whatever it is about.
func (e *end) over() {
	switch {
	case e.host == nil:
		e.endClientSide()
		return
	case e.lives():
		e.conn.world.guard(e.host, e.end)
	}
	e.done = true
}

func (e *end) endClientSide() {
	if !e.done {
		e.done = true
		if e.client != nil {
			e.client.Disconnected(e.conn)
		}
	}
}

// finish is an end to which the last byte of the other has come.
func (e *end) finish() {
	if e.host == nil {
		e.endClientSide()
		return
	}
	e.finished = true
	if !e.lives() {
		e.done = true
		return
	}
	how := endLinger
	if e.isNear() {
		how = endNearLinger
	}
	e.conn.pushEnd(e.conn.world.now.Add(lingerTime), how)
	e.conn.world.guard(e.host, e.endIfIdle)
}

// endIfIdle ends a host's end once the other one has closed its own and has all its answers.
func (e *end) endIfIdle() {
	if e.finished && e.unanswered == 0 && !e.encoding && !e.done {
		e.end()
	}
}

// end ends a host's end: frames that were not sent are released, the node is told, and the other end learns of it
// behind what is on its way.
func (e *end) end() {
	if e.done {
		return
	}
	e.done = true
	e.dropFrames()
	h := e.host
	for i, other := range h.conns {
		if other == e {
			h.conns = append(h.conns[:i], h.conns[i+1:]...)
			break
		}
	}
	h.put(input{kind: inputDisconnected, end: e})
	e.tell(toldFinished)
}

func (e *end) dropFrames() {
	if e.encoding {
		for _, out := range e.taken {
			out.Release()
		}
	}
	for _, out := range e.queue {
		out.Release()
	}
	e.taken, e.queue = nil, nil
}

// gone is the end of a host that crashed: the other one notices within the given time, a node never does.
func (e *end) gone(noticed time.Duration) {
	e.done = true
	e.taken, e.queue = nil, nil
	c := e.conn
	c.pushEnd(max(e.out.last, c.world.now.Add(c.rand.Between(0, noticed))), e.told(toldOver))
}
