package sim_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"lignum/core/env"
	"lignum/sim"
)

// ledger is a small node: it appends what it is sent to a file and answers once that is durable. A request is 'a'
// and 8 bytes to append, or 'r' to read all. Answers are 8 bytes, the record's place, or the file.
type ledger struct {
	sim.Ports
	file     env.File
	end      int64 // where the next record goes
	durable  int64
	waiting  []entry
	inFlight bool
	deadline env.Instant
	ticks    int
	options  ledgerOptions
	gone     map[env.ConnID]bool

	connected int
}

// ledgerOptions make a ledger that is wrong.
type ledgerOptions struct {
	noSync     bool
	panicAfter int
	loopIO     bool
	stuckTimer bool
	badFrame   bool
	early      bool // releases what it is about to send
}

type entry struct {
	conn env.ConnID
	req  *request
	at   int64
}

type request struct{ frame env.Buffer }

func (r *request) Release() { r.frame.Release() }

func decode(_ env.ConnInfo, frame env.Buffer) (env.Request, error) {
	if len(frame.Bytes()) == 0 {
		return nil, errors.New("empty")
	}
	return &request{frame: frame}, nil
}

// answer is a frame of n bytes in front of a buffer or a file.
type answer struct {
	word  uint64
	buf   env.Buffer
	file  env.File
	n     int64
	extra int
}

func (a *answer) Encode(w *env.Pieces) {
	if a.file != nil {
		w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(a.n))
		w.Range(a.file, 0, a.n)
		return
	}
	w.Buf = binary.BigEndian.AppendUint32(w.Buf, uint32(8+len(a.buf.Bytes())+a.extra))
	w.Buf = binary.BigEndian.AppendUint64(w.Buf, a.word)
	w.Bytes(a.buf.Bytes())
}

func (a *answer) Release() {
	if a.file != nil {
		_ = a.file.Close()
		return
	}
	a.buf.Release()
}

func bootLedger(o ledgerOptions) func(p sim.Ports) env.Node {
	return func(p sim.Ports) env.Node {
		l := &ledger{Ports: p, deadline: p.Clock.Now().Add(time.Second), options: o, gone: map[env.ConnID]bool{}}
		p.Jobs.Start(0, func() func() {
			f, end, err := recoverLedger(p.Disk)
			return func() {
				if err != nil {
					panic(err)
				}
				l.file, l.end, l.durable = f, end, end
			}
		})
		return l
	}
}

func recoverLedger(d env.Disk) (env.File, int64, error) {
	f, err := d.Open("ledger", env.Create)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	end := int64(0)
	for b := make([]byte, 8); err == nil && end+8 <= size; end += 8 {
		if _, err = f.ReadAt(b, end); err != nil || binary.BigEndian.Uint64(b) == 0 {
			break
		}
	}
	return f, end, errors.Join(err, f.Truncate(end), f.Sync(), d.SyncDir("."))
}

func (l *ledger) Connected(env.ConnID, env.ConnInfo) { l.connected++ }

func (l *ledger) Disconnected(c env.ConnID) {
	if l.gone[c] {
		panic("a connection ends twice")
	}
	l.gone[c] = true
}

func (l *ledger) Deadline() env.Instant { return l.deadline }

func (l *ledger) Tick() {
	l.ticks++
	if !l.options.stuckTimer {
		l.deadline = l.Clock.Now().Add(time.Second)
	}
}

func (l *ledger) Received(c env.ConnID, req env.Request) {
	r := req.(*request)
	if l.gone[c] {
		panic("request after the end of its connection")
	}
	if l.options.panicAfter > 0 && l.durable >= int64(l.options.panicAfter) {
		panic(fmt.Sprintf("had enough at %d", l.durable))
	}
	if l.options.loopIO {
		_, _ = l.Disk.Open("x", env.Create)
	}
	if l.file == nil { // not yet recovered: no answer is fine
		r.Release()
		l.Network.Close(c)
		return
	}
	if r.frame.Bytes()[0] == 'r' {
		l.file.Retain()
		l.Network.Send(c, &answer{file: l.file, n: l.durable})
		l.Network.Resume(c)
		r.Release()
		return
	}
	l.waiting = append(l.waiting, entry{conn: c, req: r, at: l.end})
	l.end += 8
}

// EndDrain writes everything that waits, unless a write is under way.
func (l *ledger) EndDrain() {
	if l.inFlight || len(l.waiting) == 0 {
		return
	}
	l.inFlight = true
	batch := l.waiting
	l.waiting = nil
	f := l.file
	l.Jobs.Start(1, func() func() {
		var p [][]byte
		for _, e := range batch {
			p = append(p, e.req.frame.Bytes()[1:9])
		}
		err := f.WriteAt(batch[0].at, p...)
		if err == nil && !l.options.noSync {
			err = f.Sync()
		}
		return func() { l.wrote(batch, err) }
	})
}

func (l *ledger) wrote(batch []entry, err error) {
	if err != nil {
		panic(err)
	}
	l.inFlight = false
	for _, e := range batch {
		a := &answer{word: uint64(e.at), buf: e.req.frame}
		if l.options.badFrame {
			a.extra = 1
		}
		if l.options.early {
			e.req.frame.Release()
		}
		l.Network.Send(e.conn, a)
		l.Network.Resume(e.conn)
		l.durable = e.at + 8
	}
}

// writer is a workload: it appends numbers, one at a time, on new connections after failures.
type writer struct {
	world *sim.World
	host  *sim.Host
	site  sim.End
	name  uint64
	next  uint64
	acked map[uint64]int64 // number to place
	conn  *sim.Conn
	wrong string
}

func newWriter(w *sim.World, h *sim.Host, name uint64) *writer {
	c := &writer{world: w, host: h, name: name, acked: map[uint64]int64{}}
	w.After(time.Duration(name)*time.Millisecond, c.dial)
	return c
}

func (c *writer) dial() {
	if c.host != nil {
		c.conn = c.world.DialFrom(c.site, c.host, "PLAINTEXT", c)
	}
}

func (c *writer) Connected(conn *sim.Conn) {
	if conn == c.conn {
		c.append()
	}
}

func (c *writer) append() {
	c.next++
	c.conn.Send(binary.BigEndian.AppendUint64([]byte{'a'}, c.name<<32|c.next))
}

func (c *writer) Received(conn *sim.Conn, frame []byte) {
	if len(frame) != 17 || binary.BigEndian.Uint64(frame[9:]) != c.name<<32|c.next {
		c.wrong = fmt.Sprintf("answer %x to %x", frame, c.name<<32|c.next)
	}
	c.acked[c.name<<32|c.next] = int64(binary.BigEndian.Uint64(frame))
	c.append()
}

func (c *writer) Disconnected(*sim.Conn) {
	c.world.After(10*time.Millisecond, c.dial)
}

// reader reads everything once.
type reader struct {
	data []byte
	ok   bool
	over bool
}

func (r *reader) Connected(c *sim.Conn) { c.Send([]byte{'r'}) }
func (r *reader) Received(c *sim.Conn, frame []byte) {
	r.data, r.ok = append([]byte{}, frame...), true
	c.Close()
}
func (r *reader) Disconnected(*sim.Conn) { r.over = true }

func readLedger(d env.Disk) []byte {
	f, err := d.Open("ledger", env.ReadOnly)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	size, _ := f.Size()
	p := make([]byte, size)
	if _, err := f.ReadAt(p, 0); err != nil && err != io.EOF {
		return nil
	}
	return p
}
