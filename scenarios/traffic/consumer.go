package traffic

import (
	"fmt"
	"slices"
	"time"

	"lignum/core/record"
	"lignum/core/wire"
	"lignum/scenarios/ledger"
	"lignum/sim"
)

// ConsumerOptions describe a consumer.
type ConsumerOptions struct {
	Name      string
	Actor     uint64
	Pace      time.Duration // about, between two fetches
	Sessions  bool
	Committed bool // isolation level read_committed
	MinBytes  int32
	MaxBytes  int32
	PartBytes int32
	Wait      time.Duration
	Rack      string
	ReRead    int64 // one fetch in so many begins again at the start; 0: none
}

// Consumer reads partitions from their starts. Its positions outlive its connections.
type Consumer struct {
	stage    *Stage
	o        ConsumerOptions
	rand     sim.Stream
	client   int
	routes   *routes
	fetchers []*fetcher // by place in Stage.Nodes
	cursors  map[*Target]*cursor
}

// fetcher is a consumer's fetches from one broker.
type fetcher struct {
	place   int
	peer    *peer
	version int16
	busy    bool
	asked   []*Target // in the session

	session, epoch int32
}

// cursor is where a consumer is in a partition.
type cursor struct {
	ledger.Cursor
	lost   bool          // the position was out of range
	told   record.Offset // the position that the session knows; -1 for none
	by     *fetcher      // that was used last
	flying bool          // a fetch is on its way
	nearer int           // the place of a follower to read from; nowhere for none
}

// NewConsumer starts a consumer.
func NewConsumer(s *Stage, o ConsumerOptions) *Consumer {
	c := &Consumer{stage: s, o: o, rand: s.World.Stream(domainConsumer, o.Actor), client: int(o.Actor), cursors: map[*Target]*cursor{}}
	c.routes = s.routes(o.Name, o.Actor, nil)
	for i := range s.Nodes {
		c.fetchers = append(c.fetchers, &fetcher{place: i})
	}
	s.consumers = append(s.consumers, c)
	c.later()
	return c
}

func (c *Consumer) later() { c.stage.World.After(c.rand.Between(0, 2*c.o.Pace), c.poll) }

// hurry has a consumer read to the end as fast as it may.
func (c *Consumer) hurry() {
	c.o.Pace, c.o.ReRead, c.o.MinBytes, c.o.MaxBytes, c.o.PartBytes = 20*time.Millisecond, 0, 0, 1<<20, 1<<20
}

// oldest is the oldest version of Fetch that suits a consumer: earlier ones know of no racks, and a follower answers none of them.
func (c *Consumer) oldest() int16 {
	if c.o.Rack != "" {
		return 11
	}
	return 7
}

// Unread says what some consumer has not read of what lies below the end of a partition, as end tells it; "" if everything was read by all.
func (s *Stage) Unread(end func(*Target) (record.Offset, bool)) string {
	for _, c := range s.consumers {
		for _, t := range s.open() {
			if s.Excused != nil && s.Excused(t) {
				continue
			}
			switch e, ok := end(t); {
			case !ok:
				return "nobody can say where " + t.Books.Name + " ends"
			case c.at(t).Position < e:
				return fmt.Sprintf("consumer %s is at %d of %s, which ends at %d", c.o.Name, c.at(t).Position, t.Books.Name, e)
			}
		}
	}
	return ""
}

func (c *Consumer) poll() {
	switch {
	case c.stage.Quiet && !c.stage.Reading:
		c.routes.close()
		return
	case c.stage.Quiet:
		c.hurry()
	}
	c.later()
	for _, f := range c.fetchers {
		targets := c.assigned(f)
		if len(targets) == 0 {
			continue
		}
		switch {
		case f.busy:
		case f.peer == nil || f.peer.over:
			f.session, f.epoch, f.asked = 0, 0, nil
			f.version = version(&c.rand, wire.Fetch, c.oldest())
			f.peer = c.routes.link(f.place)
		case f.peer.ready:
			c.fetch(f, targets)
		}
	}
}

// assigned are the partitions that are read from a broker, and are not being read from another one.
func (c *Consumer) assigned(f *fetcher) (list []*Target) {
	for _, t := range c.stage.open() {
		if at := c.at(t); c.source(t, at) == f.place && (!at.flying || at.by == f) {
			list = append(list, t)
		}
	}
	return list
}

// source is where a partition is read: at its leader, or at the follower that the leader has named.
func (c *Consumer) source(t *Target, at *cursor) int {
	if at.nearer != nowhere {
		return at.nearer
	}
	return c.routes.place(t)
}

// at is the consumer's place in a partition; a new one begins at the start.
func (c *Consumer) at(t *Target) *cursor {
	at := c.cursors[t]
	if at == nil {
		at = &cursor{told: -1, nearer: nowhere}
		at.Seek(0)
		c.cursors[t] = at
	}
	return at
}

// fetch asks for more of everything, or finds the start of what it lost.
func (c *Consumer) fetch(f *fetcher, targets []*Target) {
	for _, t := range targets {
		at := c.at(t)
		if c.o.ReRead > 0 && c.rand.Below(c.o.ReRead) == 0 {
			at.lost = true
		}
		if at.lost {
			c.findStart(f, t)
			return
		}
	}
	if c.moved(f, targets) {
		f.epoch = 0
	}
	for _, t := range targets {
		at := c.at(t)
		if at.by != f || f.epoch == 0 || !slices.Contains(f.asked, t) {
			at.told = -1
		}
		at.by, at.flying = f, true
	}
	f.asked = targets
	r := fetchRequest(f.version, targets, func(t *Target) (record.Offset, bool) {
		at := c.at(t)
		changed := at.told != at.Position || !c.o.Sessions
		at.told = at.Position
		return at.Position, changed
	}, c.o.PartBytes)
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes = int32(c.o.Wait/time.Millisecond), c.o.MinBytes, c.o.MaxBytes
	r.SessionEpoch, r.Rack = -1, []byte(c.o.Rack)
	if c.o.Sessions {
		r.SessionID, r.SessionEpoch = f.session, f.epoch
	}
	if c.o.Committed {
		r.IsolationLevel = 1
	}
	f.busy = true
	from, view := f.peer, c.stage.Books.Look(c.client)
	from.send(wire.Fetch, f.version, c.o.Wait+8*time.Second, func(dst []byte) []byte { return r.AppendTo(dst, f.version) }, func(body []byte) {
		f.busy = false
		for _, t := range targets {
			at := c.at(t)
			if at.flying = false; body == nil {
				at.nearer = nowhere
			}
		}
		if body != nil {
			c.fetched(f, from, view, targets, body)
		}
	})
}

// moved says whether a partition of the session is read from another broker now: the session begins anew without it.
func (c *Consumer) moved(f *fetcher, targets []*Target) bool {
	for _, t := range f.asked {
		if !t.Books.Closed() && !slices.Contains(targets, t) {
			return true
		}
	}
	return false
}

// fetchRequest asks for partitions; position says from where, and whether the request has to name the partition at all.
func fetchRequest(v int16, targets []*Target, position func(*Target) (record.Offset, bool), partBytes int32) *wire.FetchRequest {
	r := &wire.FetchRequest{ReplicaID: -1, ReplicaEpoch: -1}
	for _, t := range targets {
		o, named := position(t)
		if !named {
			continue
		}
		n := len(r.Topics)
		if n == 0 || r.Topics[n-1].ID != t.ID {
			r.Topics = append(r.Topics, wire.FetchTopic{Name: []byte(t.Topic), ID: t.ID})
			n++
		}
		r.Topics[n-1].Partitions = append(r.Topics[n-1].Partitions, wire.FetchPartition{
			Index: t.Index, LeaderEpoch: -1, LastFetchedEpoch: -1, LogStart: -1, HighWatermark: 1<<63 - 1,
			FetchOffset: int64(o), MaxBytes: partBytes,
		})
	}
	return r
}

// fetched takes an answer.
func (c *Consumer) fetched(f *fetcher, from *peer, view ledger.View, targets []*Target, body []byte) {
	var r wire.FetchResponse
	if err := r.Decode(body, f.version); err != nil {
		from.malformed(wire.Fetch, f.version, err)
		return
	}
	if r.Error != wire.None {
		f.session, f.epoch = 0, 0
		return
	}
	if c.o.Sessions {
		f.advanceSession(r.SessionID)
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			if target := find(targets, f.version, t, t.Partitions[j].Index); target != nil {
				c.took(view, target, &t.Partitions[j], f.version < 13)
			}
		}
	}
}

func (f *fetcher) advanceSession(id int32) {
	switch {
	case id == 0:
		f.session, f.epoch = 0, 0
	case f.epoch == 0:
		f.session, f.epoch = id, 1
	default:
		f.epoch++
	}
}

// find is the target that a part of an answer is about.
func find(targets []*Target, v int16, topic *wire.FetchTopicResult, index int32) *Target {
	for _, t := range targets {
		if t.Index == index && (v >= 13 && t.ID == topic.ID || v < 13 && t.Topic == topic.Name) {
			return t
		}
	}
	return nil
}

// took takes what an answer says of one partition. If the request has named its topic without the id, it may be that of the one that was deleted.
func (c *Consumer) took(view ledger.View, t *Target, r *wire.FetchResult, named bool) {
	at := c.at(t)
	c.stage.tell(c.o.Name, "fetched %s from %d: %s, %d bytes, high watermark %d, log start %d", t.Books.Name, at.Position, r.Error, len(r.Records),
		r.HighWatermark, r.LogStart)
	switch stray := named && t.Books.Strays(view); {
	case stray && (r.Error == wire.None || r.Error == wire.OffsetOutOfRange):
		at.told, at.nearer = -1, nowhere
	case r.Error == wire.None:
		before := at.Position
		t.Books.Fetched(view, &at.Cursor, ledger.Fetched{
			HighWatermark: record.Offset(r.HighWatermark), LastStable: record.Offset(r.LastStable), LogStart: record.Offset(r.LogStart),
			Committed: c.o.Committed, Records: r.Records,
		})
		if before > record.Offset(r.HighWatermark) || at.Broken {
			at.lost = true // a fault took what was read already
		}
		if at.nearer != nowhere && c.rand.Below(20) == 0 {
			at.nearer = nowhere
		}
		if r.Preferred >= 0 {
			c.stage.PreferredReads++
			at.nearer = c.stage.placeOf(r.Preferred)
		}
	case r.Error == wire.OffsetOutOfRange:
		t.Books.OutOfRange(view, at.Position)
		at.lost, at.nearer = true, nowhere
	default:
		at.told, at.nearer = -1, nowhere
		c.routes.stale(t, r.Error)
	}
}

// findStart moves to the start of a partition.
func (c *Consumer) findStart(f *fetcher, t *Target) {
	at := c.routes.place(t)
	if at == nowhere {
		return
	}
	from := c.routes.link(at)
	if !from.ready {
		return
	}
	f.busy = true
	c.stage.listOffsets(from, c.routes, c.client, t, wire.EarliestTimestamp, func(o record.Offset, ok bool) {
		f.busy = false
		if ok {
			at := c.at(t)
			at.Seek(o)
			at.lost = false
		}
	})
}

// listOffsets asks for an end of a partition.
func (s *Stage) listOffsets(from *peer, by *routes, client int, t *Target, timestamp int64, then func(o record.Offset, ok bool)) {
	r := &wire.ListOffsetsRequest{ReplicaID: -1, TimeoutMillis: 5000, Topics: []wire.ListOffsetsTopic{{
		Name: []byte(t.Topic), Partitions: []wire.ListOffsetsPartition{{Index: t.Index, LeaderEpoch: -1, Timestamp: timestamp}},
	}}}
	least := int16(1)
	if timestamp == wire.MaxTimestamp {
		least = 7
	}
	v := version(&by.rand, wire.ListOffsets, least)
	view, known := s.Books.Look(client), t.Books.Known()
	from.send(wire.ListOffsets, v, 8*time.Second, func(dst []byte) []byte { return r.AppendTo(dst, v) }, func(body []byte) {
		var answer wire.ListOffsetsResponse
		switch {
		case body == nil:
			then(0, false)
			return
		case answer.Decode(body, v) != nil || len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1:
			from.malformed(wire.ListOffsets, v, nil)
			then(0, false)
			return
		}
		got := &answer.Topics[0].Partitions[0]
		o := record.Offset(got.Offset)
		s.tell("client", "listed offset of %s for time %d: %s, %d", t.Books.Name, timestamp, got.Error, o)
		switch {
		case got.Error != wire.None:
			by.stale(t, got.Error)
		case t.Books.Strays(view):
			then(0, false)
			return
		case timestamp == wire.LatestTimestamp:
			t.Books.Latest(view, o)
		case timestamp == wire.EarliestTimestamp:
			t.Books.Earliest(view, o)
		case timestamp == wire.MaxTimestamp:
			t.Books.AtMax(known, o, got.Timestamp)
		case timestamp >= 0:
			t.Books.AtTime(timestamp, known, o, got.Timestamp)
		}
		then(o, got.Error == wire.None)
	})
}
