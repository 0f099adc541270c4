package replication

import (
	"errors"
	"math"
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// Bounds of a fetcher's patience.
const (
	mostFlying  = 2                      // requests under way: one that the leader holds, and one that ends its wait
	holdAtMost  = 100 * time.Millisecond // how long a fetcher waits for the disk before it goes on without the partitions that wait for it
	leastRetry  = 10 * time.Millisecond  // of a partition after its first error; the time doubles up to replica.fetch.backoff.ms
	retryDouble = 10                     // times at most
)

// place is a follower's place in its fetcher.
type place struct {
	p       *partition.Partition
	fetcher *fetcher
	epoch   record.Epoch // in which the tries have failed
	changed bool         // is in fetcher.changed
	waits   bool         // counts in fetcher.waiting: something was appended that is not safe yet
	listed  bool         // the leader's session has it
	sent    partition.FetchState
	since   uint64 // the request that said so
	tries   int
	until   env.Instant // it is not fetched for until then, after an error
}

// fetcher fetches from one leader.
type fetcher struct {
	m   *Manager
	key fetcherKey

	session int32 // of the leader's; 0 before the first answer
	without bool  // the leader had no room for a session
	epoch   int32 // of the next request in it; 0 begins a new one
	listed  map[record.Partition]*place
	changed []*place // their next fetch may be another than the last, or there was none
	left    []record.Partition
	fed     record.Partition // the first that got records last: a request that names all of them begins behind it
	waiting int              // partitions that wait for the disk

	requests uint64 // that were ever sent
	flying   int    // of those
	void     uint64 // requests up to this one are not listened to: the session has ended since
	paused   bool   // after an error of the whole request
	dirty    bool   // is in Manager.dirty

	pause, hold, wake timer.Timer
	request           wire.FetchRequest // its memory is used again
}

// look has the fetcher called when the drain ends.
func (f *fetcher) look() {
	if !f.dirty {
		f.dirty = true
		f.m.dirty = append(f.m.dirty, f)
	}
}

// change notes that what is to be fetched for a partition may have changed.
func (f *fetcher) change(pl *place) {
	if pl.waits {
		pl.waits = false
		f.waiting--
	}
	if !pl.changed {
		pl.changed = true
		f.changed = append(f.changed, pl)
	}
	f.look()
}

// drop takes a partition out.
func (f *fetcher) drop(pl *place) {
	if pl.waits {
		pl.waits = false
		f.waiting--
	}
	if pl.changed {
		pl.changed = false
		f.changed = slices.DeleteFunc(f.changed, func(other *place) bool { return other == pl })
	}
	f.unlist(pl)
	pl.fetcher, pl.tries, pl.until = nil, 0, 0
	f.look()
}

// unlist has the leader forget a partition with the next request.
func (f *fetcher) unlist(pl *place) {
	if !pl.listed {
		return
	}
	pl.listed = false
	delete(f.listed, pl.p.ID)
	f.left = append(f.left, pl.p.ID)
}

// goOn sends the next request if it is time for one.
func (f *fetcher) goOn() {
	if f.paused || f.flying >= mostFlying || f.flying > 0 && f.epoch <= 0 {
		return
	}
	if f.waiting > 0 && f.flying == 0 {
		if !f.hold.Set() {
			f.m.Timers.Start(&f.hold, f.m.Clock.Now().Add(holdAtMost), f.givenUp)
		}
		return
	}
	f.m.Timers.Stop(&f.hold)
	fresh := f.gather()
	if f.flying > 0 && fresh == 0 || len(f.listed) == 0 {
		return
	}
	f.send()
}

// givenUp goes on without those that wait for the disk. Each comes back by itself.
func (f *fetcher) givenUp() {
	for _, pl := range f.m.placesOf(f) {
		if pl.waits {
			pl.waits = false
			f.waiting--
			f.unlist(pl)
		}
	}
	f.look()
}

func (m *Manager) placesOf(f *fetcher) []*place {
	var all []*place
	for _, p := range m.Partitions() {
		if pl := m.places[p.ID]; pl != nil && pl.fetcher == f {
			all = append(all, pl)
		}
	}
	return all
}

// gather sorts out what has changed into the request, and returns how many partitions the leader does not know so yet.
func (f *fetcher) gather() (fresh int) {
	now, due := f.m.Clock.Now(), env.Never
	f.request.Topics = f.request.Topics[:0]
	later := f.changed[:0]
	for _, pl := range f.changed {
		s, ok := pl.p.FetchState()
		leader, _ := pl.p.Leader()
		switch {
		case !ok || leader != f.key.leader:
			f.unlist(pl) // it is called for again, or never
		case pl.until > now:
			f.unlist(pl)
			due = min(due, pl.until)
			later = append(later, pl)
			continue
		case !pl.listed || pl.sent != s:
			f.list(pl, s)
			fresh++
		}
		pl.changed = false
	}
	clear(f.changed[len(later):])
	f.changed = later
	if due != env.Never {
		f.m.Timers.Start(&f.wake, due, f.look)
	}
	return fresh
}

// list puts a partition into the session as of the next request.
func (f *fetcher) list(pl *place, s partition.FetchState) {
	if !pl.listed {
		pl.listed = true
		f.listed[pl.p.ID] = pl
		f.left = slices.DeleteFunc(f.left, func(id record.Partition) bool { return id == pl.p.ID })
	}
	pl.sent, pl.since = s, f.requests+1
	if f.epoch > 0 {
		f.ask(pl)
	}
}

// ask adds a partition to the request.
func (f *fetcher) ask(pl *place) {
	topics := f.request.Topics
	if n := len(topics); n == 0 || topics[n-1].ID != [16]byte(pl.p.ID.Topic) {
		if n < cap(topics) {
			topics = topics[:n+1]
			topics[n].Partitions = topics[n].Partitions[:0]
		} else {
			topics = append(topics, wire.FetchTopic{})
		}
		topics[n].ID = pl.p.ID.Topic
		f.request.Topics = topics
	}
	t := &topics[len(topics)-1]
	t.Partitions = append(t.Partitions, wire.FetchPartition{
		Index: pl.p.ID.Index, LeaderEpoch: int32(pl.sent.LeaderEpoch), FetchOffset: int64(pl.sent.Offset),
		LastFetchedEpoch: int32(pl.sent.LastFetchedEpoch), LogStart: int64(pl.sent.LogStart), MaxBytes: f.m.o.MaxBytes,
		HighWatermark: math.MaxInt64,
	})
}

// send sends the request. The first one of a session names every partition.
func (f *fetcher) send() {
	r, o := &f.request, &f.m.o
	r.ClusterID, r.ReplicaID, r.ReplicaEpoch = []byte(o.ClusterID), int32(o.Node), f.m.BrokerEpoch()
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes = int32(o.Wait/time.Millisecond), o.MinBytes, o.ResponseMaxBytes
	r.SessionID, r.SessionEpoch = f.session, f.epoch
	r.Forgotten = r.Forgotten[:0]
	f.requests++
	if f.epoch == 0 && !f.without {
		r.MaxWaitMillis = 0 // nothing can be added before there is a session
	}
	if f.epoch == 0 {
		r.Topics = r.Topics[:0]
		for _, pl := range f.inOrder() {
			pl.since = f.requests
			f.ask(pl)
		}
	} else {
		f.forget()
	}
	f.left = f.left[:0]
	number := f.requests
	if !f.m.Fetch(f.key.leader, f.key.index, r, o.Wait+o.Timeout, func(body []byte, err error) { f.answered(number, body, err) }) {
		f.rest()
		return
	}
	f.flying++
	if f.epoch > 0 {
		f.nextEpoch()
	}
}

// inOrder lists the partitions of the session, by identity, from behind the one that was fed last on. The leader gives only the first one that has
// something a batch that is greater than the limits; where there is no room for a session nobody but this side sees to it that each has its turn.
func (f *fetcher) inOrder() []*place {
	all := make([]*place, 0, len(f.listed))
	//house:anyorder they are sorted below
	for _, pl := range f.listed {
		all = append(all, pl)
	}
	slices.SortFunc(all, func(a, b *place) int { return a.p.ID.Compare(b.p.ID) })
	next := slices.IndexFunc(all, func(pl *place) bool { return pl.p.ID.Compare(f.fed) > 0 })
	if next <= 0 {
		return all
	}
	return append(all[next:len(all):len(all)], all[:next]...)
}

// forget names those that have left the session.
func (f *fetcher) forget() {
	r := &f.request
	for _, id := range f.left {
		if n := len(r.Forgotten); n == 0 || r.Forgotten[n-1].ID != [16]byte(id.Topic) {
			r.Forgotten = append(r.Forgotten, wire.ForgottenTopic{ID: id.Topic})
		}
		t := &r.Forgotten[len(r.Forgotten)-1]
		t.Partitions = append(t.Partitions, id.Index)
	}
}

func (f *fetcher) nextEpoch() {
	if f.epoch++; f.epoch < 0 {
		f.epoch = 1
	}
}

// answered takes in what the leader says to a request.
func (f *fetcher) answered(number uint64, body []byte, err error) {
	if f.flying--; f.m.stopped {
		return
	}
	if number <= f.void {
		f.look()
		return
	}
	var r wire.FetchResponse
	if err == nil {
		err = r.Decode(body, FetchVersion)
	}
	if err == nil && r.Error != wire.None {
		err = partition.FetchError(r.Error)
	}
	if err != nil {
		f.failed(err)
		return
	}
	f.joined(r.SessionID)
	fed := false
	for i := range r.Topics {
		id := record.Partition{Topic: r.Topics[i].ID}
		for j := range r.Topics[i].Partitions {
			id.Index = r.Topics[i].Partitions[j].Index
			if !fed && len(r.Topics[i].Partitions[j].Records) > 0 {
				f.fed, fed = id, true
			}
			if pl := f.listed[id]; pl != nil && pl.since <= number {
				f.fetched(pl, &r.Topics[i].Partitions[j])
			}
		}
	}
	f.look()
}

// joined notes the session that the leader has opened, if it has room for one.
func (f *fetcher) joined(session int32) {
	switch {
	case f.epoch > 0:
	case session != 0:
		f.session, f.epoch, f.without = session, 1, false
	default:
		f.epoch, f.without = 0, true
	}
}

// failed begins a new session, after a while unless it was the session alone that has failed.
func (f *fetcher) failed(err error) {
	f.void = f.requests
	f.session, f.epoch = 0, 0
	f.look()
	switch wire.ErrorCode(codeOf(err)) {
	case wire.FetchSessionIDNotFound, wire.InvalidFetchSessionEpoch, wire.FetchSessionTopicIDError:
		return
	}
	f.m.Log(env.Debug, "a fetch has failed", "leader", f.key.leader, "error", err)
	f.rest()
}

func codeOf(err error) partition.FetchError {
	var code partition.FetchError
	errors.As(err, &code)
	return code
}

// rest sends nothing for replica.fetch.backoff.ms.
func (f *fetcher) rest() {
	f.paused = true
	f.session, f.epoch, f.void = 0, 0, f.requests
	f.m.Timers.Start(&f.pause, f.m.Clock.Now().Add(f.m.o.Backoff), f.resume)
}

func (f *fetcher) resume() {
	f.paused = false
	f.m.Timers.Stop(&f.pause)
	f.look()
}

// fetched gives a partition its part of an answer.
func (f *fetcher) fetched(pl *place, r *wire.FetchResult) {
	err := pl.p.Fetched(pl.sent, r)
	if err != nil {
		f.retry(pl, err)
	} else {
		pl.tries = 0
	}
	if pl.fetcher != f {
		return // it has a new leader by now
	}
	f.change(pl)
	if _, ok := pl.p.FetchState(); !ok && pl.p.Flushing() && !pl.waits {
		pl.waits = true
		f.waiting++
	}
}

// retry sets a partition aside for a while: soon at first, since leader and follower hear of an election one after the other.
func (f *fetcher) retry(pl *place, err error) {
	level := env.Debug
	if !errors.Is(err, partition.ErrRefused) {
		level = env.Error
	}
	f.m.Log(level, "a replica cannot follow", "topic", pl.p.Topic, "partition", pl.p.ID.Index, "leader", f.key.leader, "tries", pl.tries, "error", err)
	pl.until = f.m.Clock.Now().Add(min(leastRetry<<min(pl.tries, retryDouble), f.m.o.Backoff))
	pl.tries++
}
