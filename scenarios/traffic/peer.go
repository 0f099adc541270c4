// Package traffic is the simulated clients: producers, consumers, administrators and the last reader. They speak the wire protocol over
// simulated connections and write down in the ledger what they send and see. Like real clients they know nothing of the broker but its
// answers.
package traffic

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// Domains of the draws.
const (
	domainProducer = sim.DomainUser + 16 + iota
	domainConsumer
	domainAdmin
	domainPayload
	domainRoutes
)

// Stage is what all clients of a run share.
type Stage struct {
	World    *sim.World
	Nodes    []Node
	Listener string
	Books    *ledger.Ledger
	// Created are the topics that somebody was told to be made.
	Created [][16]byte
	// Quiet ends all traffic but the last reader's; Ended that too.
	Quiet, Ended bool
	// Reading has consumers go on when it is quiet, and make haste to the end.
	Reading bool
	// Wall is the time of day that clients believe in, in milliseconds.
	Wall int64
	// Targets are the partitions that there are, in the order in which they came.
	Targets []*Target
	// Requests counts the requests that were sent, Answers the answers.
	Requests, Answers uint64
	// Moves counts the reassignments that were asked for.
	Moves uint64
	// PreferredReads counts how often a leader sent a consumer to a nearer replica.
	PreferredReads uint64
	// Connections are the clients' connections that stand, for faults to strike.
	Connections []*sim.Conn

	// There is the id of the topic of a name, zero if there is none; nil: nobody knows.
	There func(name string) [16]byte
	// Excused says that a partition may be unavailable behind the faults, if it says so; nil: none may.
	Excused func(*Target) bool

	// Acked is told of every batch that was acknowledged as being on stable storage, if it is not nil.
	Acked func(t *Target, b record.Batch, at record.Offset)
	// Unregistered is told of every answer to a request to unregister a broker, and when it was asked for, if it is not nil.
	Unregistered func(broker int32, asked int64, code wire.ErrorCode)
	// Tell gets the clients' side of the story, if it is not nil.
	Tell func(who, text string)

	consumers []*Consumer
	usedIDs   map[record.ProducerID]bool // that the broker has given out
	loyals    int                        // clients that were made to linger
	movers    uint64                     // administrators who have deposed a leader
	removers  uint64                     // administrators who have a broker unregistered
}

// NewStage returns a stage without traffic.
func NewStage(w *sim.World, nodes []Node, listener string, books *ledger.Ledger, wall int64) *Stage {
	return &Stage{World: w, Nodes: nodes, Listener: listener, Books: books, Wall: wall, usedIDs: map[record.ProducerID]bool{}}
}

// Target is a partition as clients name it.
type Target struct {
	Topic string
	ID    [16]byte
	Index int32
	Books *ledger.Partition
}

// Still says whether no client is connected any more.
func (s *Stage) Still() bool { return len(s.Connections) == 0 }

// tell writes a line of the story.
func (s *Stage) tell(who, format string, args ...any) {
	if s.Tell != nil {
		s.Tell(who, fmt.Sprintf(format, args...))
	}
}

func (s *Stage) now() int64 { return int64(s.World.Now()) }

func (s *Stage) wallNow() int64 { return s.Wall + s.now()/int64(time.Millisecond) }

// open are the targets that nobody wants deleted.
func (s *Stage) open() []*Target {
	var list []*Target
	for _, t := range s.Targets {
		if !t.Books.Closed() {
			list = append(list, t)
		}
	}
	return list
}

// peer is a client's connection: requests in order, answers in the same order (X2). It is used once.
type peer struct {
	stage   *Stage
	conn    *sim.Conn
	name    string
	last    int32 // correlation
	waiting []waiting
	ready   bool
	over    bool
	buf     []byte
	timer   bool
	onReady func()
	onOver  func() // after every waiting request was told
}

// waiting is a request without an answer.
type waiting struct {
	correlation int32
	key         wire.Key
	version     int16
	deadline    int64
	then        func(body []byte) // nil body: there will be no answer
}

// dial opens a connection. ready is called when it stands, over when it is gone; what is sent before it stands waits.
func (s *Stage) dial(to Node, name string, ready, over func()) *peer {
	p := &peer{stage: s, name: name, onReady: ready, onOver: over}
	p.conn = s.World.Dial(to.Host, s.Listener, p)
	s.Connections = append(s.Connections, p.conn)
	const patience = 10 * time.Second // to connect
	s.World.After(patience, func() {
		if !p.ready && !p.over {
			p.close()
		}
	})
	return p
}

// Connected implements sim.Client.
func (p *peer) Connected(*sim.Conn) {
	p.ready = true
	if p.onReady != nil {
		p.onReady()
	}
}

// Disconnected implements sim.Client.
func (p *peer) Disconnected(*sim.Conn) { p.end() }

// close ends the connection from this side.
func (p *peer) close() {
	if !p.over {
		p.conn.Close()
		p.end()
	}
}

func (p *peer) end() {
	if p.over {
		return
	}
	p.over = true
	list := p.stage.Connections
	for i, c := range list {
		if c == p.conn {
			p.stage.Connections = append(list[:i], list[i+1:]...)
			break
		}
	}
	for _, w := range p.waiting {
		w.then(nil)
	}
	p.waiting = nil
	if p.onOver != nil {
		p.onOver()
	}
}

// send sends a request. then gets the answer's body, or nil; if it is nil itself there will be no answer.
func (p *peer) send(key wire.Key, version int16, timeout time.Duration, body func(dst []byte) []byte, then func(body []byte)) {
	if p.over {
		if then != nil {
			then(nil)
		}
		return
	}
	p.last++
	p.buf = wire.AppendRequestHeader(p.buf[:0], wire.Header{Key: key, Version: version, CorrelationID: p.last, ClientID: []byte(p.name)})
	p.buf = body(p.buf)
	p.conn.Send(p.buf)
	p.stage.Requests++
	if then == nil {
		return
	}
	p.waiting = append(p.waiting, waiting{p.last, key, version, p.stage.now() + int64(timeout), then})
	p.arm()
}

// arm watches over the oldest request's deadline.
func (p *peer) arm() {
	if p.timer || len(p.waiting) == 0 || p.over {
		return
	}
	p.timer = true
	p.stage.World.After(time.Duration(max(0, p.waiting[0].deadline-p.stage.now())), func() {
		p.timer = false
		if len(p.waiting) > 0 && p.waiting[0].deadline <= p.stage.now() {
			p.close()
			return
		}
		p.arm()
	})
}

// Received implements sim.Client.
func (p *peer) Received(_ *sim.Conn, frame []byte) {
	books := p.stage.Books
	p.stage.Answers++
	if !books.Check("X2", len(frame) >= 4 && len(p.waiting) > 0, "%s: %d bytes come that nobody asked for", p.name, len(frame)) {
		p.close()
		return
	}
	w := p.waiting[0]
	got := int32(binary.BigEndian.Uint32(frame))
	if !books.Check("X2", got == w.correlation, "%s: answer %d comes where %d is due (%v)", p.name, got, w.correlation, w.key) {
		p.close()
		return
	}
	body := frame[4:]
	if w.key != wire.ApiVersions && wire.Flexible(w.key, w.version) {
		body = body[1:]
	}
	n := copy(p.waiting, p.waiting[1:])
	p.waiting[n] = waiting{}
	p.waiting = p.waiting[:n]
	w.then(body)
}

// malformed reports an answer that cannot be read.
func (p *peer) malformed(key wire.Key, version int16, err error) {
	p.stage.Books.Check("X2", false, "%s: the answer to %v version %d cannot be read: %v", p.name, key, version, err)
	p.close()
}

// ask sends one of the rarer requests. then gets the answer, or nil.
func (p *peer) ask(r kmsg.Request, version int16, timeout time.Duration, then func(kmsg.Response)) {
	r.SetVersion(version)
	key := wire.Key(r.Key())
	p.send(key, version, timeout, r.AppendTo, func(body []byte) {
		if body == nil {
			then(nil)
			return
		}
		answer := r.ResponseKind()
		answer.SetVersion(version)
		if err := answer.ReadFrom(body); err != nil {
			p.malformed(key, version, err)
			then(nil)
			return
		}
		then(answer)
	})
}

// version draws one of the versions of a key that are served.
func version(r *sim.Stream, key wire.Key, least int16) int16 {
	lo, hi, _ := wire.Range(key)
	lo = max(lo, least)
	if r.Below(3) > 0 {
		return hi
	}
	return lo + int16(r.Below(int64(hi-lo)+1))
}
