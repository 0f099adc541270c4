package api

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

const readCommitted = 1 // isolation level

// fetchCall is one fetch request: it goes over its partitions, may wait for cold reads, and parks until there is enough.
type fetchCall struct {
	h       *Handlers
	call    *Call
	session *fetchSession // nil without one
	number  uint64        // of the request in it
	partial bool          // answers only for what is new: an incremental request of a session
	parts   []*fetchPart

	committed bool          // read_committed
	replica   record.NodeID // of the follower that asks; -1 for a consumer
	epoch     int64         // of that broker
	rack      string        // of a consumer that may be sent to a nearer replica; "" if not
	minBytes  int64
	deadline  env.Instant
	timeout   timer.Timer
	watch     *partition.Watch
	resume    func() // ends the wait; nil while it does not wait
	expired   bool

	// The sweep over the partitions under way.
	next   int
	left   int64 // bytes that may still be added
	total  int64
	ready  int64 // total, and what there would be more of within the limit of a partition
	urgent bool  // something to tell at once: an error, a divergence
	again  bool  // it is not the first
	found  []fetchFound
}

// fetchFound is what one sweep found in one partition.
type fetchFound struct {
	part   *fetchPart
	result wire.FetchResult
	data   partition.Records

	limit int64                // of bytes
	from  *partition.Partition // where a cold read reads, as of this leader epoch
	epoch record.Epoch
}

// fetch returns record batches. API key 1, versions 4 to 17.
//
//	v7   fetch sessions (KIP-227)
//	v9   leader epochs (KIP-320)
//	v11  the consumer's rack; reads from followers (KIP-392)
//	v12  flexible encoding, diverging epochs (KIP-595)
//	v13  topics by id
//	v16  the new leader's address (KIP-951)
//
// It replies when min bytes are there, or would be but for the borders of batches and segments, when max wait is over, or at once if a partition has an error
// to tell. The first partition with records always yields one whole batch, whatever the limits.
//
// A request with a replica's id is a follower's: it gets what is not committed too, and by its offsets it says what it holds. Followers come on the
// listeners of the cluster only. One whose next request is here has no use for waiting on: the one before is answered at once.
func (h *Handlers) fetch(c *Call, r *wire.FetchRequest) {
	f := &fetchCall{h: h, call: c, committed: r.IsolationLevel == readCommitted, minBytes: int64(r.MinBytes), replica: record.NodeID(r.ReplicaID), epoch: r.ReplicaEpoch}
	switch {
	case f.replica < 0 && h.Config().RackAwareReads:
		f.rack = string(r.Rack)
	case f.replica >= 0 && !c.session.Inter:
		c.Answer(&fetchReply{response: wire.FetchResponse{Error: wire.ClusterAuthorizationFailed}})
		return
	case f.replica >= 0 && r.ClusterID != nil && string(r.ClusterID) != h.ClusterID:
		c.Answer(&fetchReply{response: wire.FetchResponse{Error: wire.InconsistentClusterID}})
		return
	case f.replica >= 0:
		c.session.Cancel()
	}
	f.deadline = h.Clock.Now().Add(millis(r.MaxWaitMillis))
	f.expired = r.MaxWaitMillis <= 0
	c.cancel = f
	if code := f.open(r); code != wire.None {
		c.Answer(&fetchReply{response: wire.FetchResponse{Error: code}})
		return
	}
	f.left = min(int64(max(r.MaxBytes, 0)), int64(h.Config().FetchMaxBytes))
	if c.Header.Version < 3 {
		f.left = int64(h.Config().FetchMaxBytes)
	}
	budget := f.left
	f.minBytes = min(f.minBytes, budget)
	c.dropFrame()
	f.sweep(budget)
}

// cutShort: nobody waits any more for what there is not. The fetch may be looking just now.
func (f *fetchCall) cutShort() {
	f.expired = true
	if f.resume != nil {
		f.resume()
	}
}

// open finds or makes the session and lists what is wanted.
func (f *fetchCall) open(r *wire.FetchRequest) wire.ErrorCode {
	h, now := f.h, f.h.Clock.Now()
	byID := f.call.Header.Version >= 13
	n := numberWanted(r)
	if !h.plausible(n) {
		return wire.InvalidRequest
	}
	wanted := h.wanted(r, byID, n)
	if r.SessionEpoch != sessionless && r.SessionEpoch != firstInIt {
		s, code := h.sessions.resume(r.SessionID, r.SessionEpoch, byID, now)
		if code != wire.None {
			return code
		}
		for _, p := range wanted {
			s.put(p)
		}
		if !h.plausible(len(s.parts)) {
			h.sessions.drop(s) // the client names all of them anew, and only those that it wants
			return wire.FetchSessionIDNotFound
		}
		for i := range r.Forgotten {
			t := &r.Forgotten[i]
			for _, index := range t.Partitions {
				s.forget(h.fetchKey(t.Name, t.ID, index, byID))
			}
		}
		f.session, f.partial, f.number = s, true, s.requests
		f.parts = make([]*fetchPart, 0, len(s.parts))
		for _, p := range s.order {
			if p != nil {
				f.parts = append(f.parts, p)
			}
		}
		return wire.None
	}
	h.sessions.close(r.SessionID)
	f.parts = wanted
	if r.SessionEpoch == firstInIt && len(wanted) > 0 {
		f.session = h.sessions.open(wanted, byID, h.Rand, now)
	}
	return wire.None
}

// wanted copies the request's partitions out of its frame.
func (h *Handlers) wanted(r *wire.FetchRequest, byID bool, n int) []*fetchPart {
	all := make([]fetchPart, n)
	list := make([]*fetchPart, n)
	n = 0
	for i := range r.Topics {
		t := &r.Topics[i]
		key := h.fetchKey(t.Name, t.ID, 0, byID)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			key.index = p.Index
			all[n] = fetchPart{
				key: key, offset: record.Offset(p.FetchOffset), maxBytes: p.MaxBytes,
				leaderEpoch: record.Epoch(p.LeaderEpoch), lastFetchedEpoch: record.Epoch(p.LastFetchedEpoch), logStart: record.Offset(p.LogStart),
			}
			list[n] = &all[n]
			n++
		}
	}
	return list
}

// fetchKey keeps no part of the frame.
func (h *Handlers) fetchKey(name []byte, id record.TopicID, index int32, byID bool) fetchKey {
	if byID {
		return fetchKey{topic: id, index: index}
	}
	return fetchKey{name: h.Partitions.NameOf(name), index: index}
}

// sweep reads from every partition once.
func (f *fetchCall) sweep(budget int64) {
	f.next, f.left, f.total, f.ready, f.urgent = 0, budget, 0, 0, false
	f.found = slices.Grow(f.found[:0], len(f.parts))
	f.goOn(budget)
}

// goOn continues the sweep where it is. A cold read interrupts it.
func (f *fetchCall) goOn(budget int64) {
	for f.next < len(f.parts) {
		part := f.parts[f.next]
		f.next++
		if f.overtaken(part) {
			continue
		}
		f.found = append(f.found, fetchFound{part: part})
		found := &f.found[len(f.found)-1]
		if cold := f.look(found); cold != nil {
			f.readCold(found, cold, budget)
			return
		}
		if f.inspect(found, budget) {
			return
		}
		f.count(found)
	}
	f.decide(budget)
}

// overtaken reports whether a later request of the session has named the partition anew. A follower whose next request is under way drops what this one
// says of it, and takes the later one's word for all that is new.
func (f *fetchCall) overtaken(part *fetchPart) bool { return f.session != nil && part.since > f.number }

// readCold runs reads from the disk until there is a result, and goes on with the sweep.
func (f *fetchCall) readCold(found *fetchFound, cold *partition.ColdRead, budget int64) {
	f.h.Jobs.Start(readLane(found.part.key.index), func() func() {
		cold.Run()
		return func() {
			data, next, err := cold.Finish()
			if next != nil {
				f.readCold(found, next, budget)
				return
			}
			f.took(found, data, err)
			if f.inspect(found, budget) {
				return
			}
			f.count(found)
			f.goOn(budget)
		}
	})
}

// inspect has another job look at what a follower gets, if that is needed: the sweep then goes on when it is done.
//
// Batches above the high watermark may be cut off again before they are sent, so they are not left in their file. Nor is what is in a file that a connection
// could not be given something of: that ends the connection, and with it what was to be told of other partitions, each time. A follower that seems to be unable
// to take what it gets is a reason to check it.
func (f *fetchCall) inspect(found *fetchFound, budget int64) bool {
	if found.data.Size() == 0 {
		return false
	}
	uncommitted := f.replica >= 0 && found.from.HighWatermark() < found.from.EndOffset()
	load := found.data.File != nil && (uncommitted || doubtful(found.data.File))
	check := f.replica >= 0 && found.from.Suspects(f.replica)
	if !load && !check {
		return false
	}
	data := found.data
	f.h.Jobs.Start(readLane(found.part.key.index), func() func() {
		var err error
		if load {
			err = data.Load(make(plain, data.Length))
		}
		if err == nil && check {
			err = checkBatches(&data)
		}
		return func() {
			found.data = partition.Records{}
			if err != nil {
				forget(&data)
			}
			f.took(found, data, err)
			f.count(found)
			f.goOn(budget)
		}
	})
	return true
}

// doubtful reports whether the file remembers that something in it could not be sent.
func doubtful(f env.File) bool {
	d, ok := f.(interface{ Doubtful() bool })
	return ok && d.Doubtful()
}

// checkBatches finds the first batch that is damaged. The last one may be cut short.
func checkBatches(data *partition.Records) error {
	for i := range data.Spans() {
		if err := checkCRCs(data.Span(i).Bytes); err != nil {
			return err
		}
	}
	if data.File == nil {
		return nil
	}
	p := make([]byte, data.Length)
	if _, err := data.File.ReadAt(p, data.Position); err != nil {
		return fmt.Errorf("read batches anew: %w", err)
	}
	return checkCRCs(p)
}

func checkCRCs(p []byte) error {
	for len(p) > 0 {
		b, rest, err := record.Next(p)
		if errors.Is(err, record.ErrShort) {
			return nil
		}
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil {
			return err
		}
		p = rest
	}
	return nil
}

// took notes what a read has brought. What came from the disk after the leader epoch has ended is no answer to the request (F6).
func (f *fetchCall) took(found *fetchFound, data partition.Records, err error) {
	_, epoch := found.from.Leader()
	switch {
	case epoch != found.epoch || !found.from.Open():
		forget(&data)
		found.result = wire.NewFetchResult(found.part.key.index, wire.NotLeaderOrFollower)
		f.urgent = true
	case err == nil:
		found.data = data
	case partition.OutOfRange(err):
		// Retention was faster than the read.
		found.result = wire.NewFetchResult(found.part.key.index, wire.OffsetOutOfRange)
		f.urgent = true
	default:
		found.result = wire.NewFetchResult(found.part.key.index, wire.KafkaStorageError)
		f.urgent = true
		found.from.ReadFailed(err)
	}
}

// look reads what is in memory, or returns the read that goes to the disk.
func (f *fetchCall) look(found *fetchFound) *partition.ColdRead {
	part := found.part
	p, code := f.h.fetchedPartition(part.key)
	var upTo record.Offset
	switch {
	case code != wire.None:
		found.result = wire.NewFetchResult(part.key.index, code)
	case f.replica >= 0:
		found.result = f.replicate(p, part)
		if p.Open() {
			upTo = p.EndOffset()
		}
	default:
		found.result = f.consume(p, part)
		upTo = f.readable(p)
	}
	out := &found.result
	if out.Error != wire.None || out.Diverging != nil || out.Preferred >= 0 {
		f.urgent = true
		return nil
	}
	if part.offset >= upTo || f.left <= 0 && f.total > 0 {
		return nil
	}
	found.from, found.limit = p, min(f.left, int64(max(part.maxBytes, 0)))
	_, found.epoch = p.Leader()
	data, cold, err := p.Read(partition.ReadRequest{
		From: part.offset, UpTo: upTo,
		MaxBytes:   int(found.limit),
		AtLeastOne: f.total == 0,
	})
	if cold == nil {
		f.took(found, data, err)
	}
	return cold
}

// replicate answers a follower. It learns of a new log start at once, and of the high watermark if readers come to it.
func (f *fetchCall) replicate(p *partition.Partition, part *fetchPart) wire.FetchResult {
	out := p.Replicate(partition.FollowerFetch{
		Node: f.replica, BrokerEpoch: f.epoch, LeaderEpoch: part.leaderEpoch, Offset: part.offset, LastFetchedEpoch: part.lastFetchedEpoch,
		LogStart: part.logStart, Now: f.h.Clock.Now(), Again: f.again,
	}, part.key.index)
	if f.partial && out.Error == wire.None && out.Diverging == nil {
		mark := f.h.Config().RackAwareReads && record.Offset(out.HighWatermark) != part.toldMark
		f.urgent = f.urgent || mark || record.Offset(out.LogStart) != part.toldStart
	}
	return out
}

// consume answers a consumer, apart from the records. From version 11 on it may read from any replica (KIP-392).
func (f *fetchCall) consume(p *partition.Partition, part *fetchPart) wire.FetchResult {
	code := p.Available()
	if f.call.Header.Version >= 11 {
		code = p.Readable()
	}
	if code == wire.None {
		code = p.CheckEpoch(part.leaderEpoch)
	}
	out := wire.NewFetchResult(part.key.index, code)
	if code != wire.None {
		return out
	}
	p.Marks(&out)
	if code = p.Locate(part.offset, part.lastFetchedEpoch, &out); code == wire.OffsetOutOfRange && !p.Leads() && part.offset >= p.StartOffset() {
		code = wire.OffsetNotAvailable // the leader may have it (F5)
	}
	if code != wire.None {
		return wire.NewFetchResult(part.key.index, code)
	}
	if f.committed {
		out.Aborted = []wire.AbortedTransaction{}
	}
	if f.rack != "" && p.Leads() && out.Diverging == nil {
		if id := p.Nearest(part.offset, f.near); id != f.h.Node {
			out.Preferred = int32(id)
		}
	}
	return out
}

// readable is where a consumer's reading ends.
func (f *fetchCall) readable(p *partition.Partition) record.Offset {
	switch {
	case !p.Open():
		return 0
	case f.committed:
		return p.LastStable()
	}
	return p.HighWatermark()
}

// near reports whether a broker is up and in the consumer's rack.
func (f *fetchCall) near(id record.NodeID) bool {
	b := f.h.Image.Broker(id)
	return b != nil && b.Active() && b.Rack == f.rack
}

func (f *fetchCall) count(found *fetchFound) {
	n := found.data.Size()
	f.total += n
	f.left -= n
	if f.ready += n; found.data.More {
		f.ready += max(found.limit-n, 0) // batches are whole, and a read ends with its segment
	}
	if found.result.Error == wire.None && found.part.told && f.partial && found.part.toldError {
		f.urgent = true // the end of an error is news too
	}
}

// decide answers if there is enough to say, and parks if not.
func (f *fetchCall) decide(budget int64) {
	if f.ready >= f.minBytes || f.urgent || f.expired || len(f.parts) == 0 || f.call.session.gone {
		f.answer()
		return
	}
	f.again = true
	f.forgetFound()
	f.h.parked.park(f, budget)
}

func (f *fetchCall) forgetFound() {
	for i := range f.found {
		forget(&f.found[i].data)
	}
	clear(f.found)
	f.found = f.found[:0]
}

// Lanes of this package's own. Cold reads are spread over ReadLanes of them, and do not depend on one another; compression likewise, and
// there all batches of a partition take the same one.
const (
	laneRead       env.Lane = 1 << 41
	laneRecompress env.Lane = 1<<41 + ReadLanes
	// ReadLanes is how many jobs of one kind may run at a time.
	ReadLanes = 8
)

func readLane(index int32) env.Lane { return laneRead + env.Lane(uint32(index)%ReadLanes) }

func millis(n int32) time.Duration { return time.Duration(max(n, 0)) * time.Millisecond }
