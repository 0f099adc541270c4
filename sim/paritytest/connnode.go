package paritytest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"lignum/core/env"
)

// connNode answers with what it got, as the request's first byte says: 'e' at once, 'h' when the case lets it, 'n' not at all,
// 'c' at once and closes behind it, 'd' closes and answers then.
type connNode struct {
	net     env.Network
	lives   map[env.ConnID]*connLife
	order   []env.ConnID
	held    []heldRequest
	replies []*connReply
	faults  []string
	peers   []Peer // touched by the case alone
	opened  bool   // nothing is held any more
}

// connLife is what the node has seen of a connection.
type connLife struct {
	id           env.ConnID
	info         env.ConnInfo
	dialed       bool
	connected    int
	received     int
	disconnected int
}

type heldRequest struct {
	conn env.ConnID
	req  *connRequest
}

type connRequest struct {
	frame env.Buffer
	info  env.ConnInfo
}

func (r *connRequest) Release() { r.frame.Release() }

func decodeConn(info env.ConnInfo, f env.Buffer) (env.Request, error) {
	if b := f.Bytes(); len(b) > 0 && b[0] == 'x' {
		return nil, errors.New("not understood")
	}
	return &connRequest{f, info}, nil
}

func (n *connNode) fault(format string, args ...any) {
	n.faults = append(n.faults, fmt.Sprintf(format, args...))
}

func (n *connNode) Connected(c env.ConnID, info env.ConnInfo) {
	l := n.lives[c]
	if l == nil {
		l = &connLife{id: c}
		n.lives[c] = l
		n.order = append(n.order, c)
	}
	l.info = info
	if l.connected++; l.connected > 1 || l.disconnected > 0 || info.Outgoing != l.dialed {
		n.fault("connection %d, dialed %v, is connected as %+v for the %dth time", c, l.dialed, info, l.connected)
	}
}

// dial opens a connection.
func (n *connNode) dial(address string) *connLife {
	l := &connLife{id: n.net.Dial(address), dialed: true}
	if n.lives[l.id] != nil {
		n.fault("connection %d is there twice", l.id)
	}
	n.lives[l.id] = l
	n.order = append(n.order, l.id)
	return l
}

func (n *connNode) Disconnected(c env.ConnID) {
	l := n.lives[c]
	if l == nil {
		n.fault("connection %d ends and was never there", c)
		return
	}
	if l.disconnected++; l.disconnected > 1 {
		n.fault("connection %d ends %d times", c, l.disconnected)
	}
}

func (n *connNode) Received(c env.ConnID, req env.Request) {
	r := req.(*connRequest)
	l := n.lives[c]
	if l == nil || l.connected == 0 || l.disconnected > 0 || r.info.Outgoing != l.dialed || r.info.Remote != l.info.Remote {
		n.fault("a request on connection %d, which is not there", c)
		r.Release()
		return
	}
	l.received++
	if b := r.frame.Bytes(); len(b) > 0 && b[0] == 'h' && !n.opened {
		n.held = append(n.held, heldRequest{c, r})
		return
	}
	n.answer(c, r)
}

func (n *connNode) answer(c env.ConnID, r *connRequest) {
	what := byte('e')
	if b := r.frame.Bytes(); len(b) > 0 {
		what = b[0]
	}
	switch what {
	case 'n':
		r.Release()
	case 'd':
		n.net.Close(c)
		n.send(c, r.frame)
	default:
		n.send(c, r.frame)
	}
	n.net.Resume(c)
	if what == 'c' {
		n.net.Close(c)
	}
}

// letGo answers the first of what is held.
func (n *connNode) letGo(count int) {
	for ; count > 0 && len(n.held) > 0; count-- {
		h := n.held[0]
		n.held = n.held[1:]
		n.answer(h.conn, h.req)
	}
}

// open holds nothing from now on.
func (n *connNode) open() {
	n.opened = true
	n.letGo(len(n.held))
}

func (n *connNode) over() bool {
	return !slices.ContainsFunc(n.order, func(c env.ConnID) bool { return n.lives[c].disconnected == 0 })
}

func (n *connNode) released() bool {
	return !slices.ContainsFunc(n.replies, func(r *connReply) bool { return r.releases.Load() == 0 })
}

func (n *connNode) Tick()                 {}
func (n *connNode) EndDrain()             {}
func (n *connNode) Deadline() env.Instant { return env.Never }

// send sends a buffer as a frame.
func (n *connNode) send(c env.ConnID, body env.Buffer) *connReply {
	r := &connReply{body: body}
	n.replies = append(n.replies, r)
	n.net.Send(c, r)
	return r
}

// sendFile sends a range of a file between two words.
func (n *connNode) sendFile(c env.ConnID, f env.File, off, length int64) {
	f.Retain()
	r := &connReply{file: f, off: off, length: length}
	n.replies = append(n.replies, r)
	n.net.Send(c, r)
}

// connReply is an answer that counts what is done to it.
type connReply struct {
	body        env.Buffer
	file        env.File
	off, length int64
	encodes     atomic.Int32
	releases    atomic.Int32
}

// Encode implements env.Outgoing.
func (r *connReply) Encode(w *env.Pieces) {
	r.encodes.Add(1)
	switch {
	case r.file != nil:
		w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(4+r.length+4))
		w.Buf = append(w.Buf, "head"...)
		w.Range(r.file, r.off, r.length)
		w.Buf = append(w.Buf, "tail"...)
	case r.body == nil:
		w.Buf = append(w.Buf, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o')
	default:
		w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(len(r.body.Bytes())))
		w.Bytes(r.body.Bytes())
	}
}

// Release implements env.Outgoing.
func (r *connReply) Release() {
	r.releases.Add(1)
	switch {
	case r.file != nil:
		_ = r.file.Close()
	case r.body != nil:
		r.body.Release()
	}
}
