package env

// ConnID names one connection of one process life; it is never used twice.
type ConnID uint64

// ConnInfo is what is known of a connection when it opens.
type ConnInfo struct {
	Listener string // name of the listener that accepted it, e.g. "PLAINTEXT"; empty if this node opened it
	Local    string // host:port on this side
	Remote   string // host:port of the peer
	Outgoing bool   // this node opened it, with Dial: what it receives are replies
}

// Network carries frames to peers. What arrives comes in through the loop's host (see Node).
type Network interface {
	// Send queues one frame behind those sent before on the connection. If the connection is gone the frame
	// is released and forgotten. Whole frames of one connection leave in the order of Send.
	Send(c ConnID, out Outgoing)
	// Close sends what is queued and closes; one that is not connected yet is given up with what is queued. A Disconnected
	// input follows unless one was already given.
	Close(c ConnID)
	// Dial opens a connection to host:port. Connected follows once it stands, or Disconnected alone if it cannot be made, in
	// a bounded time; never during the call. Frames that are sent before are queued. There is a bound on how many
	// connections a node may have opened; past it they cannot be made.
	Dial(address string) ConnID
	// Resume lets the connection read another request: the node has answered (or dropped) one that it got
	// from there. A connection that has Limits.InFlight unanswered requests is not read.
	Resume(c ConnID)
}

// Outgoing is a frame that is encoded at the edge, off the loop. It must be immutable once sent.
type Outgoing interface {
	// Encode writes the whole frame, its length prefix included.
	Encode(w *Pieces)
	// Release is called exactly once, after the bytes have been handed to the kernel or dropped.
	Release()
}

// Piece is a part of a frame: bytes in memory, or a range of a file.
type Piece struct {
	Bytes []byte // used if File is nil
	File  File
	Off   int64
	Len   int64 // bytes, in both cases
}

// Pieces collects the encoded parts of frames. Header bytes are appended to Buf; large parts stay where they are.
// The zero value is ready for use; Reset makes it so again and keeps the memory.
type Pieces struct {
	// Buf is the scratch that encoders append to.
	Buf   []byte
	cut   int // Buf[cut:] is not yet part of a piece
	marks []mark
}

type mark struct {
	from, to int // range of Buf if both outside parts are empty
	outside  Piece
}

// Reset empties w.
func (w *Pieces) Reset() {
	clear(w.marks)
	w.Buf, w.cut, w.marks = w.Buf[:0], 0, w.marks[:0]
}

// Bytes adds p without copying. p must not change until the frame is released.
func (w *Pieces) Bytes(p []byte) {
	if len(p) == 0 {
		return
	}
	w.seal()
	w.marks = append(w.marks, mark{outside: Piece{Bytes: p, Len: int64(len(p))}})
}

// Range adds n bytes of f from off on. They must not change until the frame is released.
func (w *Pieces) Range(f File, off, n int64) {
	if n == 0 {
		return
	}
	w.seal()
	w.marks = append(w.marks, mark{outside: Piece{File: f, Off: off, Len: n}})
}

func (w *Pieces) seal() {
	if len(w.Buf) > w.cut {
		w.marks = append(w.marks, mark{from: w.cut, to: len(w.Buf)})
		w.cut = len(w.Buf)
	}
}

// AppendTo appends the parts in order to dst. The result refers to Buf and is valid until Reset.
func (w *Pieces) AppendTo(dst []Piece) []Piece {
	w.seal()
	for _, m := range w.marks {
		p := m.outside
		if p.Len == 0 {
			b := w.Buf[m.from:m.to:m.to]
			p = Piece{Bytes: b, Len: int64(len(b))}
		}
		dst = append(dst, p)
	}
	return dst
}

// Len is the number of bytes in all parts.
func (w *Pieces) Len() int64 {
	n := int64(len(w.Buf) - w.cut)
	for _, m := range w.marks {
		n += int64(m.to-m.from) + m.outside.Len
	}
	return n
}

// Node is what a host drives: the broker. All calls come from one goroutine, the loop, one at a time. The host
// drains its mailbox whole: it makes one call for each input and then calls EndDrain once.
type Node interface {
	// Connected: a connection was accepted, or one that was dialed stands. Nothing else is said of it before.
	Connected(c ConnID, info ConnInfo)
	// Received: a request has arrived. The node owns it from now on.
	Received(c ConnID, req Request)
	// Disconnected: the connection is gone; the last word about it, and the only one if it was dialed in vain.
	Disconnected(c ConnID)
	// Tick: time has passed, at least up to the last Deadline.
	Tick()
	// EndDrain: all inputs that were waiting have been given.
	EndDrain()
	// Deadline is when Tick is wanted next; Never if it is not.
	Deadline() Instant
}

// Request is a decoded request, opaque to the host. Decoding is pure and runs at the edge.
type Request interface {
	// Release gives back the memory of a request that did not reach the node.
	Release()
}
