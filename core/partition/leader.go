package partition

import (
	"slices"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/wire"
)

// leadership is what a leader knows in one leader epoch. Nothing of it outlives the epoch.
type leadership struct {
	begun     bool
	start     record.Offset // log end when the epoch began
	followers []follower    // every other replica, by no particular order but a fixed one
	pending   *pendingISR   // the change that the controller was asked for
	moves     startMoves    // of the log start
	promised  record.Offset // no replica that may lead begins before it: log start when the epoch began, then what a DeleteRecords was answered with
}

// follower is what a leader knows of another replica in this leader epoch.
type follower struct {
	id          record.NodeID
	end         record.Offset // everything below is safe there, as of a fetch in this epoch; -1 before the first
	start       record.Offset // its log start; -1 before the first fetch
	brokerEpoch int64         // of that fetch
	fetched     env.Instant   // when its last fetch came
	sawEnd      record.Offset // log end here at that time
	caughtUp    env.Instant   // it held everything that was here at this time; neverCaughtUp if it did not in this epoch
	repeats     int           // fetches in a row at the same offset although there was more
}

const neverCaughtUp = env.Instant(-1 << 63)

// FollowerFetch is a follower's fetch, and by that what the follower says of itself.
type FollowerFetch struct {
	Node        record.NodeID
	BrokerEpoch int64
	LeaderEpoch record.Epoch
	// Offset is where it goes on. Everything below is safe there, if the logs are the same up to it.
	Offset           record.Offset
	LastFetchedEpoch record.Epoch
	LogStart         record.Offset
	Now              env.Instant
	// Again: the leader looks at the fetch once more, which says nothing new about the follower.
	Again bool
}

// begin starts to lead in the present leader epoch. The epoch is noted before anything is appended in it (KAFKA-7415).
func (p *Partition) begin() {
	if p.log.LatestEpoch() > p.state.LeaderEpoch {
		return // see Available
	}
	p.log.BeginEpoch(p.state.LeaderEpoch)
	p.lead = leadership{begun: true, start: p.log.EndOffset(), promised: p.log.ReadableStart()}
	p.muster()
	p.advanced()
	p.confirm()
}

// muster lists the followers anew; what is known of one that stays is kept. A member of the ISR starts as caught up just now.
func (p *Partition) muster() {
	s := &p.state
	if p.cluster == nil || len(s.Replicas) <= 1 && len(s.ISR) <= 1 && len(s.ELR) == 0 {
		p.lead.followers = nil
		return
	}
	var list []follower
	for _, ids := range [...][]record.NodeID{s.Replicas, s.ISR, s.ELR} {
		for _, id := range ids {
			if id == p.self || slices.ContainsFunc(list, func(f follower) bool { return f.id == id }) {
				continue
			}
			if old := p.follower(id); old != nil {
				list = append(list, *old)
				continue
			}
			f := follower{id: id, end: record.NoOffset, start: record.NoOffset, sawEnd: record.NoOffset, caughtUp: neverCaughtUp}
			if slices.Contains(s.ISR, id) {
				f.caughtUp = p.cluster.Clock.Now()
			}
			list = append(list, f)
		}
	}
	p.lead.followers = list
}

func (p *Partition) follower(id record.NodeID) *follower {
	for i := range p.lead.followers {
		if f := &p.lead.followers[i]; f.id == id {
			return f
		}
	}
	return nil
}

// Replicate decides what a follower's fetch is answered with, apart from the records: those are to be read, from its offset to the log end, if there
// is neither an error nor a divergence. A fetch counts for the high watermark if its epochs fit and the logs are one up to its offset.
func (p *Partition) Replicate(q FollowerFetch, index int32) wire.FetchResult {
	code := p.Leading()
	if code == wire.None {
		code = p.CheckEpoch(q.LeaderEpoch)
	}
	if code == wire.None {
		code = p.admitFollower(q.Node, q.BrokerEpoch)
	}
	out := wire.NewFetchResult(index, code)
	if code != wire.None {
		return out
	}
	p.Marks(&out)
	if code := p.Locate(q.Offset, q.LastFetchedEpoch, &out); code != wire.None {
		start := out.LogStart
		out = wire.NewFetchResult(index, code)
		out.LogStart = start // a follower that has fallen behind it starts anew there
		return out
	}
	if out.Diverging == nil && p.unknown(&q) {
		out.Diverging = &wire.EpochEnd{Epoch: int32(q.LastFetchedEpoch), EndOffset: int64(q.Offset)}
	}
	if out.Diverging == nil && !q.Again {
		p.followerFetched(q)
		p.Marks(&out)
	}
	return out
}

// unknown reports whether a follower goes on at the leader's log start, behind a record of an epoch that the leader has forgotten with all that lay there:
// the record may be another one than was committed. It begins anew there: its log start alone would keep nobody from reading it, if its power fails
// before that is durable and it is elected. Who is in sync or eligible, or may be by now, has what was committed, and must
// not lose its place in the log for a moment.
func (p *Partition) unknown(q *FollowerFetch) bool {
	start := p.StartOffset()
	return start > 0 && q.Offset == start && q.LastFetchedEpoch >= 0 && q.LastFetchedEpoch < p.EpochAt(start) && !p.maximal(q.Node)
}

// Marks tells how far the partition is.
func (p *Partition) Marks(out *wire.FetchResult) {
	out.HighWatermark = int64(p.log.HighWatermark())
	out.LastStable = int64(p.LastStable())
	out.LogStart = int64(p.StartOffset())
}

// Locate compares where a fetch goes on, and the epoch of the record before, with the leader's log (F6). The answer names the point where the
// two part, if they do. OffsetOutOfRange says that the leader is sure that the offset is not in the log.
func (p *Partition) Locate(o record.Offset, last record.Epoch, out *wire.FetchResult) wire.ErrorCode {
	if o < p.StartOffset() {
		return wire.OffsetOutOfRange
	}
	if last >= 0 {
		epoch, end := p.EpochEnd(last)
		switch {
		case epoch == record.NoEpoch || end < 0:
			return wire.OffsetOutOfRange
		case epoch < last || end < o:
			out.Diverging = &wire.EpochEnd{Epoch: int32(epoch), EndOffset: int64(end)}
			return wire.None
		}
	}
	if o > p.EndOffset() {
		return wire.OffsetOutOfRange
	}
	return wire.None
}

// admitFollower: it must be one of the partition's replicas, in the present life of its broker. Of a life that the leader has not heard of yet it cannot
// say whether the replica is still in sync: the controller may have taken it out when it came back.
func (p *Partition) admitFollower(id record.NodeID, brokerEpoch int64) wire.ErrorCode {
	if p.follower(id) == nil {
		return wire.UnknownLeaderEpoch // one of us has not heard yet of a reassignment; both will
	}
	switch known := p.cluster.BrokerEpoch(id); {
	case brokerEpoch > known:
		return wire.UnknownLeaderEpoch
	case brokerEpoch < known:
		return wire.NotLeaderOrFollower
	}
	return wire.None
}

// followerFetched takes in what a follower holds. A fetch that is answered with the point where the logs part says nothing (RP12).
func (p *Partition) followerFetched(q FollowerFetch) {
	f, end := p.follower(q.Node), p.log.EndOffset()
	switch {
	case q.Offset >= end:
		f.caughtUp = q.Now
	case q.BrokerEpoch == f.brokerEpoch && f.sawEnd >= 0 && q.Offset >= f.sawEnd:
		f.caughtUp = max(f.caughtUp, f.fetched)
	}
	moved := f.end != q.Offset || f.brokerEpoch != q.BrokerEpoch
	if f.repeats++; moved || f.sawEnd <= q.Offset {
		f.repeats = 0
	}
	f.end, f.brokerEpoch, f.fetched, f.sawEnd = q.Offset, q.BrokerEpoch, q.Now, end
	if f.start != q.LogStart {
		f.start = q.LogStart
		p.settleDeletes()
	}
	p.expand(f)
	p.release()
	if moved {
		p.advanceHighWatermark()
		p.confirm()
	}
}

// advanceHighWatermark moves the mark to the least safe end in the maximal ISR. After an election the followers' ends are unknown until
// their first fetch; the mark then stays, for records below it are acknowledged (P2).
func (p *Partition) advanceHighWatermark() {
	if p.lead.begun && p.enough() {
		least := p.log.SafeEnd()
		for i := range p.lead.followers {
			if f := &p.lead.followers[i]; p.counts(f) {
				least = min(least, p.acked(f))
			}
		}
		if least > p.log.HighWatermark() {
			p.raise(least)
		}
	}
	p.check()
}

// enough reports whether the committed ISR has as many members as the topic asks for (H2).
func (p *Partition) enough() bool { return len(p.state.ISR) >= p.minInSync() }

// minInSync is min.insync.replicas; a partition cannot be asked for more than it has.
func (p *Partition) minInSync() int {
	return min(int(p.settings.MinInSyncReplicas), max(len(p.state.Replicas), 1))
}

// counts reports whether the high watermark waits for a follower: one that may be elected (I3), or one that is about to join, which
// could not catch up with a mark that runs ahead of it.
func (p *Partition) counts(f *follower) bool {
	return p.maximal(f.id) || p.eligible(f) && p.keepsUp(f, p.cluster.Clock.Now())
}

// maximal reports whether a replica is in the maximal ISR: the committed one, with what the controller may have added by now, and those
// that it may elect beside it.
func (p *Partition) maximal(id record.NodeID) bool {
	return slices.Contains(p.state.ISR, id) || slices.Contains(p.state.ELR, id) || p.lead.pending.adds(id)
}

// acked is the end that the follower has told in the present life of its broker; what an earlier one told says nothing (I6).
func (p *Partition) acked(f *follower) record.Offset {
	if f.brokerEpoch < p.cluster.BrokerEpoch(f.id) {
		return record.NoOffset
	}
	return f.end
}

// eligible reports whether the controller would take a follower into the ISR: its broker is up, in the life in which it has fetched.
func (p *Partition) eligible(f *follower) bool {
	return f.end >= 0 && p.cluster.Active(f.id) && p.cluster.BrokerEpoch(f.id) == f.brokerEpoch
}

// keepsUp reports whether a follower holds everything, or did not too long ago. One that has not fetched in this epoch may be the leader of the
// last one: it is not done without while it may still answer readers (F7).
func (p *Partition) keepsUp(f *follower, now env.Instant) bool {
	limit := p.cluster.Lag()
	if f.end == record.NoOffset {
		limit = max(limit, p.cluster.Session())
	}
	return f.end >= p.log.EndOffset() || f.caughtUp != neverCaughtUp && now.Sub(f.caughtUp) <= limit
}

// Tick is to be called twice in replica.lag.time.max.ms for a partition with several replicas: a leader asks for an ISR without those that
// are too far behind, and again for what was not answered.
func (p *Partition) Tick(now env.Instant) {
	if p.log == nil || !p.leads() || len(p.lead.followers) == 0 {
		return
	}
	p.settleDeletes()
	if c := p.lead.pending; c != nil {
		p.again(c)
		return
	}
	keep := make([]record.NodeID, 0, len(p.state.ISR))
	for _, id := range p.state.ISR {
		if f := p.follower(id); f == nil || p.keepsUp(f, now) {
			keep = append(keep, id)
		}
	}
	if len(keep) < len(p.state.ISR) {
		p.propose(keep)
		return
	}
	p.confirm()
	p.release()
	p.advanceHighWatermark() // a follower that was about to join may have fallen behind
}

// Suspects reports whether a follower asks for the same records again and again. It may find them damaged, so the leader should look at them
// itself before it sends them once more.
func (p *Partition) Suspects(id record.NodeID) bool {
	const many = 5
	f := p.follower(id)
	if f == nil || f.repeats < many {
		return false
	}
	f.repeats = 0
	return true
}

// Nearest chooses among the replicas from which a reader may read at an offset and which it accepts: the leader itself if it is
// accepted, otherwise the in-sync follower that holds most; the leader if there is none.
func (p *Partition) Nearest(o record.Offset, accept func(record.NodeID) bool) record.NodeID {
	if accept(p.self) {
		return p.self
	}
	best := record.NoOffset
	id := p.self
	for i := range p.lead.followers {
		f := &p.lead.followers[i]
		if slices.Contains(p.state.ISR, f.id) && f.start >= 0 && f.start <= o && o <= f.end && f.end > best && accept(f.id) {
			best, id = f.end, f.id
		}
	}
	return id
}
