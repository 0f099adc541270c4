package scenarios

import (
	"math"
	"strconv"
	"time"

	"lignum/core/broker"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/scenarios/inspect"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// How often it is looked into the broker. Each look is at one log.
const (
	nodeID      = 1 // of the broker
	lookEvery   = 200 * time.Millisecond
	lookBudget  = 64 << 10              // bytes that may be read for a look; whoever has read more waits
	ackedEvery  = 8                     // of so many acknowledged batches one is looked for on the medium
	flushLeeway = 2 * time.Second       // of a disk on which nothing takes unusually long
	syncTime    = 20 * time.Millisecond // of each file that is synced meanwhile: a start may leave hundreds, on one lane
	joining     = 2 * time.Second       // how long what is acknowledged is looked at closely when a log has changed to sync
	longest     = 10 * time.Second      // of a pause or a slow call
)

// whitebox holds what the broker believes and what it does to its disk against what the files say, while it runs. Clients cannot see that; but
// what is wrong there is seen long before it costs a record.
type whitebox struct {
	s       *single
	eye     *inspect.Inspector
	last    *broker.Broker // the last process that was ready, as it is or as it ended
	looks   int
	acked   uint64
	durable map[record.Partition]record.Offset // of the present process
	own     map[record.Partition]record.Offset // up to there in the log's own files on the medium
	waiting map[record.Partition]unflushed
	async   map[record.Partition]env.Instant // when a log was last seen under async
	joined  map[record.Partition]join        // what was looked at since
	over    int64                            // bytes read beyond what the looks so far may cost
	read    int64                            // bytes read up to the last look
	slow    uint64                           // what has taken long so far
	calm    env.Instant                      // from when on none of it goes on
}

// unflushed is a log end that flush.ms wants on the medium.
type unflushed struct {
	end   record.Offset
	at    env.Instant
	syncs uint64 // up to then
}

// begin starts looking. A disk that lies is not looked at: there anything may be found.
func (w *whitebox) begin(s *single) {
	w.s, w.eye = s, inspect.New(s.host.Disk(), s.books.Check)
	if s.lies {
		return
	}
	s.stage.Acked = w.acknowledged
	w.later()
}

func (w *whitebox) check(name string, holds bool, format string, args ...any) {
	if !holds {
		format = inspect.WhiteBox + format
	}
	w.s.books.Check(name, holds, format, args...)
}

func (w *whitebox) later() {
	w.s.world.After(lookEvery, func() {
		w.later()
		w.look()
	})
}

// born is a new process that begins to load.
func (w *whitebox) born() {
	if !w.s.lies {
		w.eye.Begin()
		w.eye.Recover(int(w.s.host.Life()))
		w.eye.Watch(w.inUse).Committing = w.committing
	}
	w.calm = w.s.world.Now()
	w.durable, w.own, w.waiting = map[record.Partition]record.Offset{}, map[record.Partition]record.Offset{}, map[record.Partition]unflushed{}
	w.async, w.joined = map[record.Partition]env.Instant{}, map[record.Partition]join{}
}

// inUse finds the log of a directory, if the process serves.
func (w *whitebox) inUse(dir string) *storage.Log {
	if !w.s.ready {
		return nil
	}
	for _, l := range w.s.node.Logs() {
		if l.Dir() == dir {
			return l
		}
	}
	return nil
}

// ready is a process that has loaded: what the one before had promised is still there.
func (w *whitebox) ready() {
	before := w.last
	w.last = w.s.node
	if before == nil || w.s.lies {
		return
	}
	now := map[record.Partition]*storage.Log{}
	for _, l := range w.s.node.Logs() {
		now[l.ID()] = l
	}
	for _, old := range before.Logs() {
		if l := now[old.ID()]; l != nil {
			w.eye.Survived(old, l, w.mayLose(old))
		}
	}
}

// mayLose is how many records of a topic flush.messages puts at stake; -1 if that is not known.
func (w *whitebox) mayLose(l *storage.Log) record.Offset {
	t := w.s.plan.topic(l.Topic())
	if t == nil || w.s.plan.admin.Policies {
		return -1
	}
	if !t.Settings.Async {
		return 0
	}
	return record.Offset(number64(t.Configs["flush.messages"]))
}

// topic is what the plan says of a topic; nil if it says nothing.
func (p *plan) topic(name string) *traffic.TopicOptions {
	for i := range p.admin.Topics {
		if p.admin.Topics[i].Name == name {
			return &p.admin.Topics[i]
		}
	}
	return nil
}

func number64(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// look looks at the next log.
func (w *whitebox) look() {
	s := w.s
	w.settle()
	w.over = max(0, w.over-lookBudget)
	if !s.host.Running() || !s.ready {
		return
	}
	logs := s.node.Logs()
	if len(logs) == 0 {
		return
	}
	w.looks++
	if w.tired() {
		return
	}
	l := logs[w.looks%len(logs)]
	if l.Failure() != nil || !l.AtRest() {
		return
	}
	w.joins(l)
	w.flushed(l)
	if p := s.node.Image().Partition(l.ID()); p != nil && s.node.Leads(l.ID()) {
		w.eye.Elected(l, p.LeaderEpoch)
	}
	if w.eye.Live(l) && l.ID() == quorum.Partition() {
		w.eye.Image(s.node.Image())
	}
}

// tired says whether the last looks have cost so much that others shall wait. Big logs are looked at less often by that.
func (w *whitebox) tired() bool {
	read := w.eye.Spent()
	w.over = max(0, w.over+read-w.read)
	w.read = read
	return w.over > lookBudget
}

// flushed looks at what a log counts as flushed: it never goes back (D4), is really on the medium, covers the high watermark under sync (D3), and keeps
// up with flush.ms under async.
func (w *whitebox) flushed(l *storage.Log) {
	s, id := w.s, l.ID()
	durable, mark := min(l.DurableEnd(), l.EndOffset()), l.HighWatermark()
	w.check("D4", durable >= w.durable[id], "%s: durable up to %d, and before up to %d", l.Dir(), durable, w.durable[id])
	w.durable[id] = durable
	if w.looks/len(s.node.Logs())%4 == 0 {
		w.own[id] = w.eye.Flushed(l.Dir(), durable, w.own[id])
	}
	t := s.plan.topic(l.Topic())
	if t == nil || s.plan.admin.Policies {
		return
	}
	if !t.Settings.Async {
		w.check("D3", mark <= durable, "%s: the high watermark is %d, durable is what lies below %d", l.Dir(), mark, durable)
		return
	}
	millis := number64(t.Configs["flush.ms"])
	if l.Policy() != config.Async || millis > 1e6 {
		return
	}
	since, now := w.waiting[id], s.world.Now()
	if since.at < w.calm || durable >= since.end || now < w.calm {
		w.waiting[id] = unflushed{l.EndOffset(), now, w.eye.Syncs()}
		return
	}
	leeway := flushLeeway + time.Duration(w.eye.Syncs()-since.syncs)*syncTime
	w.check("flush.ms", now.Sub(since.at) <= time.Duration(millis)*time.Millisecond+leeway,
		"%s: offset %d is not on the medium %v after it was written, flush.ms is %d", l.Dir(), since.end-1, now.Sub(since.at), millis)
}

// settle notes what excuses a late flush for a while.
func (w *whitebox) settle() {
	d := w.s.host.Disk()
	slow := d.Happened(sim.FaultSlow) + d.Happened(sim.FaultStuck) + w.s.faults.counts["pause"]
	if slow != w.slow {
		w.slow, w.calm = slow, w.s.world.Now().Add(longest)
	}
}

// acknowledged looks for a batch on the medium that was acknowledged to acks=all under sync (D3), and for what lies below it: it was acknowledged with
// it. That is worth a look every time while a log changes from async to sync, where the journal has only what is new.
func (w *whitebox) acknowledged(t *traffic.Target, b record.Batch, at record.Offset) {
	w.acked++
	some := w.acked%ackedEvery == 0 && !w.tired()
	if w.last == nil || !some && !w.s.plan.admin.Policies {
		return
	}
	dir := t.Topic + "-" + strconv.Itoa(int(t.Index))
	for _, l := range w.last.Logs() {
		if l.Dir() != dir || at < l.StartOffset() {
			continue
		}
		if w.joins(l) {
			some = true
		} else if !some {
			return
		}
		w.check("D3", w.eye.Holds(dir, at, b), "%s: the batch of %d records at offset %d was acknowledged and is not on the medium", dir, b.Count(), at)
		if (w.joins(l) || w.acked%(2*ackedEvery) == 0) && w.s.ready && l.Failure() == nil && l.WrittenEnd() >= at {
			w.own[l.ID()] = w.eye.Flushed(dir, at, w.own[l.ID()])
		}
	}
}

// join is a look at a log that has changed to sync.
type join struct {
	durable record.Offset
	looks   int
}

// closeLooks is how many such looks there are for a change.
const closeLooks = 4

// committing holds logs that have changed to sync against the journal, at the moment before its next sync: what it keeps of them has to be told there, or a
// power cut takes it.
func (w *whitebox) committing() {
	if !w.s.plan.admin.Policies || !w.s.ready {
		return
	}
	for _, l := range w.s.node.Logs() {
		if !w.joins(l) {
			delete(w.joined, l.ID())
			continue
		}
		seen, durable := w.joined[l.ID()], l.DurableEnd()
		if seen.looks == closeLooks || durable == seen.durable || durable <= l.RecoveryPoint() || l.Failure() != nil {
			continue
		}
		w.joined[l.ID()] = join{durable, seen.looks + 1}
		w.eye.Promised(l.Dir(), l.ID(), durable)
	}
}

// joins says whether a log has changed to sync a short while ago.
func (w *whitebox) joins(l *storage.Log) bool {
	now := w.s.world.Now()
	if l.Policy() == config.Async {
		w.async[l.ID()] = now
		return false
	}
	last, was := w.async[l.ID()]
	return was && now.Sub(last) < joining
}
