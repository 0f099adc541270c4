package traffic

import (
	"time"

	"lignum/sim"
)

// migrant is a member that is restarted with the other protocol now and then, as it happens in a group that is migrated (KIP-848). Static, it comes back under its
// instance id.
type migrant struct {
	*Band
	rand     sim.Stream
	classic  *Member
	consumer *ConsumerMember
	due      bool // it is time for the other protocol
}

// otherActor keeps the draws of the two apart.
const otherActor = 100

// NewMigrant starts a member that changes its protocol; consumer says with which it begins.
func NewMigrant(b *Band, o MemberOptions, consumer bool) {
	g := &migrant{Band: b, rand: b.Stage.World.Stream(domainMigrant, o.Actor), classic: newMember(b, o)}
	o.Actor += otherActor
	g.consumer = newConsumerMember(b, o)
	old, next := &g.classic.life, &g.consumer.life
	next.holder = old.holder
	old.benched, next.benched = consumer, !consumer
	old.onEnd = func() { g.turn(old, next) }
	next.onEnd = func() { g.turn(next, old) }
	g.classic.later()
	g.consumer.later()
	g.later()
}

func (g *migrant) later() {
	g.Stage.World.After(g.rand.Between(500*time.Millisecond, 5*time.Second), g.restart)
}

// restart ends the present life, in order or not.
func (g *migrant) restart() {
	if g.Over || g.Calm {
		return
	}
	g.later()
	l, m, c := &g.classic.life, g.classic, g.consumer
	if l.benched {
		l = &c.life
	}
	g.due = true
	p, orderly := l.seat.peer, g.rand.Below(2) == 0
	switch {
	case l.busy || g.Stage.now() < l.awake:
		return // it ends by itself, or next time
	case orderly && p != nil && p.ready && !p.over && l == &c.life && c.epoch > 0:
		c.goAway(p)
	case orderly && p != nil && p.ready && !p.over && l == &m.life && m.state == working && m.o.Instance == "":
		m.goAway(p)
	case l == &m.life:
		m.remember()
		m.seat.close()
		m.die()
	default:
		c.seat.close()
		c.die()
	}
}

// turn lets the other one act from now on, perhaps.
func (g *migrant) turn(from, to *life) {
	if g.Calm || from.benched || !g.due && g.rand.Below(2) == 0 {
		return
	}
	g.due = false
	from.benched, to.benched = true, false
	to.awake = g.Stage.now() + int64(g.rand.Between(0, 2*to.o.Session))
	to.pasts = append(to.pasts[:0:0], from.pasts...)
	g.Counts["members migrated"]++
}
