package transport

import (
	"log/slog"
	"time"

	"lignum/core/env"
)

// Listener is an address to listen at, and its name in the configuration.
type Listener struct {
	Name    string
	Address string // host:port; port 0 takes a free one
	// Nodes: other nodes come here, and no clients. What clients do must not keep them out, so nothing is shared with those: neither the bounds on
	// connections nor the memory for requests. Nor does a MaxFrame below its default hold here.
	Nodes bool
}

// Options are the settings of a Server. Zero means the default where one is named, otherwise no bound.
type Options struct {
	Listeners []Listener
	// Decode makes a request of a frame, the frame's length left out. It runs on the connection's goroutine. The
	// request takes the frame's reference over; with an error the caller keeps it, and the connection is closed.
	Decode func(info env.ConnInfo, frame env.Buffer) (env.Request, error)
	Memory *Pool
	Log    *slog.Logger

	MaxFrame            int           // socket.request.max.bytes; default 100 MiB
	MaxReply            int           // the same on connections that the node opened; default 100 MiB, or MaxFrame if that is more
	MaxConnections      int           // max.connections: of clients
	MaxNodeConnections  int           // of other nodes, on listeners that are for them
	MaxConnectionsPerIP int           // max.connections.per.ip
	MaxOutgoing         int           // connections that the node has opened; default 1024
	RequestBytes        int64         // queued.max.request.bytes: clients' requests in memory, over all connections; as much for those that are arriving, for nodes, for replies
	InFlight            int           // unanswered requests, and unsent answers, of one connection; default 64
	UnsentBytes         int64         // answers of one connection that say how long they are; default 64 MiB
	IdleTimeout         time.Duration // connections.max.idle.ms
	StallTimeout        time.Duration // for a peer that stops inside a frame or stops reading; default 30 s
	DialTimeout         time.Duration // socket.connection.setup.timeout.ms; default 10 s
	SendBuffer          int           // socket.send.buffer.bytes; 0 or less leaves it to the system
	ReceiveBuffer       int           // socket.receive.buffer.bytes; 0 or less leaves it to the system
}

const (
	defaultMaxFrame = 100 << 20
	defaultOutgoing = 1024
	defaultDial     = 10 * time.Second
	defaultInFlight = 64
	defaultUnsent   = 64 << 20
	defaultStall    = 30 * time.Second
)

// lingerTime is how long a connection whose peer has sent its last byte waits for its answers, and how long one that
// is closed from this side waits for the peer to have read them.
const lingerTime = 2 * time.Second

func (o Options) withDefaults() Options {
	if o.MaxFrame <= 0 {
		o.MaxFrame = defaultMaxFrame
	}
	if o.MaxReply <= 0 {
		o.MaxReply = max(defaultMaxFrame, o.MaxFrame)
	}
	if o.MaxOutgoing <= 0 {
		o.MaxOutgoing = defaultOutgoing
	}
	if o.DialTimeout <= 0 {
		o.DialTimeout = defaultDial
	}
	if o.InFlight <= 0 {
		o.InFlight = defaultInFlight
	}
	if o.UnsentBytes <= 0 {
		o.UnsentBytes = defaultUnsent
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Sizer is an env.Outgoing that knows how long it is before it is encoded. Answers that may be long should: the
// server counts them against Options.UnsentBytes.
type Sizer interface {
	Size() int64
}
