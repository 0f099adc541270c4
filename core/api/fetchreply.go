package api

import (
	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/wire"
)

// parkedFetches are the fetches that wait for records (the purgatory). Connections and their requests in flight bound them.
type parkedFetches struct {
	woken []wokenFetch
	count int
}

type wokenFetch struct {
	call   *fetchCall
	budget int64
}

// park holds a fetch until one of its partitions has news or its time is up. A fetch that was woken looks again at the end of the
// drain, once for everything that the drain has brought.
func (q *parkedFetches) park(f *fetchCall, budget int64) {
	q.count++
	f.resume = func() {
		f.resume = nil
		f.watch.Cancel()
		f.h.Timers.Stop(&f.timeout)
		q.woken = append(q.woken, wokenFetch{f, budget})
	}
	f.watch = partition.NewWatch(f.resume)
	for _, part := range f.parts {
		p, code := f.h.fetchedPartition(part.key)
		switch {
		case code != wire.None:
		case f.replica < 0:
			p.Watch(f.watch)
		default:
			p.WatchEnd(f.watch)
			if f.h.Config().RackAwareReads {
				p.Watch(f.watch)
			}
		}
	}
	f.h.Timers.Start(&f.timeout, f.deadline, f.cutShort)
}

// EndDrain goes on with the produce requests that had to wait for the disk, and looks again at the fetches that were woken.
func (h *Handlers) EndDrain() {
	for len(h.stalled) > 0 && !h.Full() {
		c := h.stalled[0]
		h.stalled[0] = nil
		if h.stalled = h.stalled[1:]; len(h.stalled) == 0 {
			h.stalled = nil
		}
		h.produce(c, c.Body.(*wire.ProduceRequest))
	}
	for len(h.parked.woken) > 0 {
		woken := h.parked.woken
		h.parked.woken = nil
		for i, w := range woken {
			woken[i] = wokenFetch{}
			h.parked.count--
			w.call.sweep(w.budget)
		}
		if h.parked.woken == nil {
			h.parked.woken = woken[:0]
		}
	}
}

// Parked is the number of fetches that wait.
func (h *Handlers) Parked() int { return h.parked.count }

// fetchedPartition finds the partition that a client means.
func (h *Handlers) fetchedPartition(k fetchKey) (*partition.Partition, wire.ErrorCode) {
	if k.name == "" {
		return h.byID(k.topic, k.index)
	}
	return h.byName([]byte(k.name), k.index)
}

// fetchHint tells who leads the partition that a client means.
func (h *Handlers) fetchHint(k fetchKey) *wire.LeaderAndEpoch {
	p, _ := h.fetchedPartition(k)
	if k.name == "" {
		return h.hint(p, h.Image.TopicByID(k.topic), k.index)
	}
	return h.hint(p, h.Image.Topic(k.name), k.index)
}

// fetchReply is the response with its records still where they are.
type fetchReply struct {
	response wire.FetchResponse
	data     []partition.Records // of the partitions in the order of the response; empty if it has no records
	base     []int               // index in data of each topic's first partition
}

func (r *fetchReply) encode(w *env.Pieces, version int16) {
	w.Buf = r.response.AppendTo(w.Buf, version, func(dst []byte, topic, part int) []byte {
		w.Buf = dst
		found := &r.data[r.base[topic]+part]
		for i := range found.Spans() {
			w.Bytes(found.Span(i).Bytes)
		}
		if found.File != nil {
			w.Range(found.File, found.Position, found.Length)
		}
		return w.Buf
	})
}

func (r *fetchReply) release() {
	for i := range r.data {
		forget(&r.data[i])
	}
	r.data = nil
}

// forget drops what a read has found. The file was only read from: an error of its close says nothing about data.
func forget(found *partition.Records) {
	found.Release()
	if found.File != nil {
		_ = found.File.Close()
		found.File = nil
	}
}

// answer sends what the sweep has found.
func (f *fetchCall) answer() {
	reply := &fetchReply{}
	if f.session != nil {
		reply.response.SessionID = f.session.id
	}
	byID := f.call.Header.Version >= 13
	var last *fetchPart
	for i := range f.found {
		found := &f.found[i]
		n := int(found.data.Size())
		if f.overtaken(found.part) || f.session != nil && !found.part.news(&found.result, n) && f.partial {
			forget(&found.data)
			continue
		}
		if f.session != nil && n > 0 {
			f.session.toTheBack(found.part)
		}
		found.result.RecordBytes = n
		if e := found.result.Error; e == wire.NotLeaderOrFollower || e == wire.FencedLeaderEpoch {
			found.result.Leader = f.h.fetchHint(found.part.key)
		}
		if last == nil || last.key.topic != found.part.key.topic || last.key.name != found.part.key.name {
			t := wire.FetchTopicResult{Name: found.part.key.name}
			if byID {
				t.ID = found.part.key.topic
			}
			reply.response.Topics = append(reply.response.Topics, t)
			reply.base = append(reply.base, len(reply.data))
		}
		t := &reply.response.Topics[len(reply.response.Topics)-1]
		t.Partitions = append(t.Partitions, found.result)
		reply.data = append(reply.data, found.data)
		last = found.part
		if found.result.Leader != nil && f.call.Header.Version >= 16 {
			reply.response.Endpoints = f.h.addEndpoint(f.call, record.NodeID(found.result.Leader.ID), reply.response.Endpoints)
		}
	}
	f.found, f.call.cancel = nil, nil
	f.call.Answer(reply)
}

// news reports whether the client of a session has to hear of the partition, and remembers what it is told.
func (p *fetchPart) news(r *wire.FetchResult, bytes int) bool {
	mark, start, failed := record.Offset(r.HighWatermark), record.Offset(r.LogStart), r.Error != wire.None
	fresh := !p.told || bytes > 0 || failed || p.toldError || r.Diverging != nil || r.Preferred >= 0 || mark != p.toldMark || start != p.toldStart
	p.told, p.toldMark, p.toldStart, p.toldError = true, mark, start, failed
	return fresh
}
