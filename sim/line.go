package sim

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"lignum/core/env"
)

// Line is one line of a story, for people and for tools.
type Line struct {
	At   env.Instant `json:"at"`             // nanoseconds since the start of the world
	Kind string      `json:"kind"`           // of the event, or "disk"
	Host string      `json:"host,omitempty"` // whom it concerns
	Conn env.ConnID  `json:"conn,omitempty"` // which of its connections
	Text string      `json:"text"`
	// Error is what a call on a disk failed with.
	Error string `json:"error,omitempty"`
}

// String is the line for people.
func (l Line) String() string { return fmt.Sprintf("%4d.%09d %s", l.At/1e9, l.At%1e9, l.Words()) }

// Words is the line without its time.
func (l Line) Words() string {
	text := l.Text
	if l.Error != "" {
		text += " fails: " + l.Error
	}
	if l.Conn != 0 {
		return fmt.Sprintf("%s connection %d: %s", l.Host, l.Conn, text)
	}
	return l.Host + ": " + text
}

// JSONLines returns a function for Tell that writes each line as one JSON object. The first error of out is kept in err.
func JSONLines(out io.Writer, err *error) func(Line) {
	enc := json.NewEncoder(out)
	return func(l Line) {
		if e := enc.Encode(l); e != nil && *err == nil {
			*err = e
		}
	}
}

// Tell calls f with a line for every event, before it happens, and for every call on a disk; nil stops it. What f does must not
// change the world.
func (w *World) Tell(f func(Line)) { w.tell = f }

// Describe puts an event that is about to happen in words.
func (w *World) Describe(e Event) Line {
	l := Line{At: e.At, Kind: e.Kind.String()}
	if e.Host == 0 {
		l.Host, l.Text = "world", "the scenario acts"
		return l
	}
	h := w.hosts[e.Host-1]
	l.Host = h.options.Name
	switch e.Kind {
	case EventDrain:
		l.Text = fmt.Sprintf("the loop comes round for %d inputs", len(h.inbox))
	case EventTimer:
		l.Text = "a deadline has come"
	case EventJob:
		l.Text = w.workers[e.A].describe(e.B)
	default:
		l.Conn = env.ConnID(e.A)
		l.Text = w.describeConn(e)
	}
	return l
}

// title names an event that has happened: what it was about may be gone.
func (w *World) title(e Event) string {
	l := Line{At: e.At, Host: "world", Text: fmt.Sprintf("%s %d %d", e.Kind, e.A, e.B)}
	if e.Host != 0 {
		l.Host = w.hosts[e.Host-1].options.Name
	}
	if e.Kind >= EventConnect {
		l.Conn = env.ConnID(e.A)
	}
	return l.String()
}

// describe says where a job stands.
func (k *worker) describe(turn uint64) string {
	switch {
	case turn != k.turn:
		return "a job that is over would go on"
	case !k.begun:
		return fmt.Sprintf("a job of lane %d begins", k.lane)
	}
	return fmt.Sprintf("the job of lane %d goes on with %s", k.lane, k.op)
}

func (w *World) describeConn(e Event) string {
	c := w.conns[env.ConnID(e.A)]
	if c == nil {
		return "something arrives late: the connection is over"
	}
	if s := c.carrier(e); s != nil && (s.cut || c.link(s).Cut || len(s.held) > 0) {
		return fmt.Sprintf("%s: it meets a cut", c.describe(e))
	}
	return c.describe(e)
}

// describe puts an event of a connection in words, as seen by the end that it concerns.
func (c *Conn) describe(e Event) string {
	who := c.whom(e)
	me, other := who.word(), who.other().word()
	switch e.Kind {
	case EventConnect:
		if e.B == 0 {
			return fmt.Sprintf("a %s at %s reaches listener %s", other, c.far.info.Remote, c.far.info.Listener)
		}
		return fmt.Sprintf("the %s knows that it is connected", me)
	case EventUp, EventDown:
		if e.B == 0 {
			return fmt.Sprintf("the %s reads on", me)
		}
		return fmt.Sprintf("%d bytes arrive at the %s", e.B, me)
	case EventEncode:
		return fmt.Sprintf("the %s encodes %d frames", me, len(who.queue))
	case EventFlush:
		return fmt.Sprintf("the %s writes %d frames", me, len(who.taken))
	}
	return strings.NewReplacer("<me>", me, "<other>", other).Replace(endNames[e.B&0xff])
}

// whom is the end that an event concerns.
func (c *Conn) whom(e Event) *end {
	switch {
	case e.Kind == EventEnd:
		return c.concerned(e.B)
	case e.Kind == EventEncode || e.Kind == EventFlush:
		return c.edge(e.B)
	case e.Kind == EventDown || e.Kind == EventConnect && e.B != 0:
		return &c.near
	}
	return &c.far
}

func (e *end) word() string {
	if e.host == nil {
		return "client"
	}
	return "host"
}

var endNames = [...]string{
	endHost:       "the <me> notices that it is over",
	endClient:     "the <me> notices that it is over",
	endUp:         "the <me> is told that it is over",
	endDown:       "the <me> is told that it is over",
	endFinished:   "the <other> has sent its last byte",
	endLinger:     "the <me> has waited long enough for the <other>",
	endGaveUp:     "the <me> has waited long enough for a cut to heal",
	endDownReset:  "the <me> is told that it is torn",
	endNearLinger: "the <me> has waited long enough for the <other>",
}

// String describes the call.
func (o Op) String() string {
	switch o.Kind {
	case OpRead, OpWrite:
		return fmt.Sprintf("%s %s: %d bytes at %d", o.Kind, o.Path, o.Len, o.Off)
	case OpTruncate:
		return fmt.Sprintf("truncate %s to %d", o.Path, o.Off)
	case OpRename:
		return fmt.Sprintf("rename %s to %s", o.Path, o.To)
	}
	return fmt.Sprintf("%s %s", o.Kind, o.Path)
}

// tellOp is the line of a call on a disk.
func (w *World) tellOp(h *Host, op Op, err error) {
	l := Line{At: w.now, Kind: "disk", Host: h.options.Name, Text: op.String()}
	if err != nil {
		l.Error = err.Error()
	}
	w.tell(l)
}
