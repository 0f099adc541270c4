package peer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/invariant"
	"lignum/core/record"
	"lignum/core/timer"
)

// What a call ends with if there is no reply.
var (
	// ErrUnreachable: the request was not sent, for there was no connection in time.
	ErrUnreachable = errors.New("the node cannot be reached")
	// ErrUnknown: the connection broke behind the request. It may have been carried out.
	ErrUnknown = errors.New("the connection broke before the reply")
	// ErrTimeout: the reply did not come in time. The request may have been carried out, or still be.
	ErrTimeout = errors.New("no reply in time")
	// ErrBusy: too many calls wait on the link. The request was not sent.
	ErrBusy = errors.New("too many calls wait for the node")
)

// Ports are what a Set needs of the world.
type Ports struct {
	Network env.Network
	Clock   env.Clock
	Rand    env.Rand
	Timers  *timer.Queue // the node's; its host fires them
	Log     env.Log      // nil: nothing is logged
}

// Options are the settings of a Set. Zero means the default.
type Options struct {
	ClientID       string
	BackoffMin     time.Duration // reconnect.backoff.ms; default 50 ms
	BackoffMax     time.Duration // reconnect.backoff.max.ms; default 1 s
	ConnectTimeout time.Duration // of one attempt to connect; default 3 s
	MaxQueued      int           // calls that wait on one link, for the connection or for the reply; default 1024
}

func (o Options) withDefaults() Options {
	if o.BackoffMin <= 0 {
		o.BackoffMin = 50 * time.Millisecond
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = time.Second
	}
	o.BackoffMax = max(o.BackoffMax, o.BackoffMin)
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 3 * time.Second
	}
	if o.MaxQueued <= 0 {
		o.MaxQueued = 1024
	}
	return o
}

// Purpose keeps calls apart that must not wait for each other: links of different purposes are different connections.
type Purpose uint8

// The purposes of links.
const (
	Control Purpose = iota // a broker's calls to the controller
	Forward                // clients' requests that are for another node
	Quorum                 // messages between the members of the metadata quorum
	Pull                   // of metadata: these wait at the other side, and must not hold up what does not
	Fetch                  // replication; further fetchers of one leader have the purposes behind it
)

var purposeNames = [...]string{"control", "forward", "quorum", "pull", "fetch"}

// String is the purpose's name.
func (p Purpose) String() string {
	if int(p) < len(purposeNames) {
		return purposeNames[p]
	}
	return purposeNames[Fetch]
}

// Set is all outgoing connections of a node. It is owned by the loop.
type Set struct {
	ports    Ports
	options  Options
	clientID []byte
	links    map[name]*Link
	conns    map[env.ConnID]*Link // until they are over, also those that their link has given up
	late     []outcome            // of calls that ended during a call of the owner's
	lateness timer.Timer
	closed   bool
}

type name struct {
	node    record.NodeID
	purpose Purpose
}

// outcome is a call that has ended and has not been told so.
type outcome struct {
	call *call
	err  error
}

// NewSet returns a Set without links.
func NewSet(p Ports, o Options) *Set {
	return &Set{
		ports: p, options: o.withDefaults(), clientID: []byte(o.ClientID),
		links: map[name]*Link{}, conns: map[env.ConnID]*Link{},
	}
}

// Link returns the link to a node for a purpose. It is made at first use; nothing is connected before the first call. If the address
// is another than last time the old connection is closed, and calls that were not sent yet go to the new one.
func (s *Set) Link(node record.NodeID, purpose Purpose, address string) *Link {
	n := name{node, purpose}
	l := s.links[n]
	switch {
	case s.closed:
		return &Link{set: s, name: n, address: address, state: closed}
	case l == nil:
		l = &Link{set: s, name: n, address: address}
		s.links[n] = l
	case l.address != address:
		l.redirect(address)
	}
	return l
}

// Drop closes all links of a node; what waits there fails, and so does every later call on them.
func (s *Set) Drop(node record.NodeID) {
	for _, l := range s.sorted() {
		if l.name.node == node {
			l.close()
			delete(s.links, l.name)
		}
	}
}

// CloseAll closes all links for good. What waits there fails before it returns.
func (s *Set) CloseAll() {
	s.closed = true
	for _, l := range s.sorted() {
		l.close()
	}
	clear(s.links)
	s.tellLate()
}

func (s *Set) sorted() []*Link {
	list := make([]*Link, 0, len(s.links))
	//house:anyorder they are sorted below
	for _, l := range s.links {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *Link) int {
		return cmp.Or(cmp.Compare(a.name.node, b.name.node), cmp.Compare(a.name.purpose, b.name.purpose))
	})
	return list
}

// Connected takes the input of the same name of env.Node; mine is false if the connection is not one of these.
func (s *Set) Connected(c env.ConnID, _ env.ConnInfo) (mine bool) {
	l, mine := s.conns[c]
	if mine && l.conn == c {
		l.connected()
	}
	return mine
}

// Received takes the input of the same name of env.Node, with the *Reply that DecodeReply made; mine is false if the
// connection is not one of these, and the request is then still the caller's.
func (s *Set) Received(c env.ConnID, req env.Request) (mine bool) {
	l, mine := s.conns[c]
	if !mine {
		return false
	}
	r, ok := req.(*Reply)
	if !ok {
		invariant.Violated("what arrived on connection %d, which this node has opened, was not made by DecodeReply", c)
	}
	s.ports.Network.Resume(c)
	if l.conn == c {
		l.received(r)
	}
	r.Release()
	return true
}

// Disconnected takes the input of the same name of env.Node; mine is false if the connection was not one of these.
func (s *Set) Disconnected(c env.ConnID) (mine bool) {
	l, mine := s.conns[c]
	if !mine {
		return false
	}
	delete(s.conns, c)
	if l.conn == c {
		l.lost("the connection is over")
	}
	return true
}

// later ends a call as soon as the loop comes round.
func (s *Set) later(c *call, err error) {
	s.late = append(s.late, outcome{c, err})
	if !s.lateness.Set() {
		s.ports.Timers.Start(&s.lateness, s.ports.Clock.Now(), s.tellLate)
	}
}

// tellLate tells those that wait now; who ends meanwhile has to wait again.
func (s *Set) tellLate() {
	s.ports.Timers.Stop(&s.lateness)
	late := s.late
	s.late = nil
	for _, o := range late {
		o.call.done(Reply{}, o.err)
	}
}

func (s *Set) log(level env.Level, message string, pairs ...any) {
	if s.ports.Log != nil {
		s.ports.Log(level, message, pairs...)
	}
}
