package coordinator

import (
	"fmt"

	"lignum/core/env"
	"lignum/core/record"
)

// load reads a log from its start to the end that it had at the election, and has the shard apply it.
type load struct {
	host *Host
	lane int // -1 while it waits for one
	next record.Offset
	end  record.Offset

	chunk   []entry // decoded, not yet applied
	decoder *decoder
	over    bool
	began   env.Instant
	records int64
}

// load begins, or waits for its turn.
func (h *Host) load() {
	l := &load{host: h, lane: -1, decoder: &decoder{}, began: h.Now()}
	h.loader, h.state = l, loading
	h.runtime.waiting = append(h.runtime.waiting, l)
	h.runtime.startLoads()
}

// startLoads gives free lanes to those who wait for one.
func (r *Runtime) startLoads() {
	for lane := range r.lanes {
		for !r.lanes[lane] && len(r.waiting) > 0 {
			l := r.waiting[0]
			r.waiting[0] = nil
			r.waiting = r.waiting[1:]
			if !l.over {
				r.lanes[lane], l.lane = true, lane
				l.start()
			}
		}
	}
	if len(r.waiting) == 0 {
		r.waiting = nil
	}
}

func (l *load) start() {
	l.next, _, l.end = l.host.log.Bounds()
	l.read()
}

// cancel ends the load at the next step that it takes.
func (l *load) cancel() {
	l.over, l.chunk = true, nil
	l.host.loader = nil
}

// release gives the lane to the next one.
func (l *load) release() {
	if l.lane >= 0 {
		l.host.runtime.lanes[l.lane] = false
		l.lane = -1
		l.host.runtime.startLoads()
	}
}

// read fetches the next chunk, or ends the load.
func (l *load) read() {
	switch {
	case l.over:
		l.release()
		return
	case l.next >= l.end:
		l.finish()
		return
	}
	l.host.log.Read(l.next, l.end, l.host.runtime.options.LoadBytes, func(data []byte, err error) {
		if l.over || err != nil {
			l.fail(err)
			return
		}
		l.decode(data)
	})
}

// decode takes a chunk apart, off the loop.
func (l *load) decode(data []byte) {
	decoder, from, end := l.decoder, l.next, l.end
	l.host.runtime.Jobs.Start(l.jobLane(), func() func() {
		chunk, next, err := decoder.decode(data, from, end)
		return func() {
			if l.over || err != nil {
				l.fail(err)
				return
			}
			l.next, l.chunk = next, chunk
			l.apply()
		}
	})
}

func (l *load) jobLane() env.Lane { return l.host.runtime.options.Lane + env.Lane(l.lane) }

// apply has the shard replay so many records as the loop may do at a time, and comes back for more.
func (l *load) apply() {
	if l.over {
		l.release()
		return
	}
	n := min(len(l.chunk), l.host.runtime.options.StepRecords)
	for i := range l.chunk[:n] {
		e := &l.chunk[i]
		switch e.kind {
		case plain:
			l.host.shard.Replay(e.at, e.record)
		default:
			l.host.shard.EndTransaction(e.at, e.kind == committed)
		}
	}
	l.records += int64(n)
	if l.chunk = l.chunk[n:]; len(l.chunk) == 0 {
		l.chunk = nil
		l.read()
		return
	}
	l.host.runtime.Jobs.Start(l.jobLane(), func() func() { return l.apply })
}

// finish lets requests in (C3). What was loaded may lie above the high watermark: replies wait for it (C4).
func (l *load) finish() {
	h := l.host
	l.over, h.loader = true, nil
	l.release()
	if !h.current() {
		h.retireUnloaded()
		return
	}
	h.state, h.basis = active, l.end
	r := h.runtime
	level := env.Info
	if l.records == 0 {
		level = env.Debug
	}
	r.Log(level, "coordinator is loaded", "topic", r.options.Topic, "partition", h.Index, "epoch", int32(h.epoch),
		"records", l.records, "micros", h.Now().Sub(l.began).Microseconds())
	h.shard.Loaded()
}

// fail ends a load that was cancelled, or whose log could not be read: that is tried again later, with a new shard.
func (l *load) fail(err error) {
	h, r := l.host, l.host.runtime
	stopped := l.over
	l.over, l.chunk = true, nil
	l.release()
	if stopped {
		return
	}
	h.loader = nil
	if h.log.Damaged(err); !h.current() {
		h.retireUnloaded()
		return
	}
	h.state = broken
	r.Log(env.Error, "coordinator could not be loaded", "topic", r.options.Topic, "partition", h.Index, "at", int64(l.next), "error", err)
	r.Timers.Start(&h.retry, h.Now().Add(loadRetry), func() {
		h.shard = r.newer(h)
		h.load()
	})
}

// retireUnloaded ends a host whose shard was never let in.
func (h *Host) retireUnloaded() {
	h.state = retired
	h.Timers().Stop(&h.retry)
}

// entryKind is what an entry of a log means to a shard.
type entryKind uint8

const (
	plain entryKind = iota
	committed
	aborted
)

// entry is a record, or the end of a transaction, with memory of its own.
type entry struct {
	kind   entryKind
	at     Position
	record Record
}

// decoder takes batches apart. It serves one job at a time.
type decoder struct {
	reader *record.Reader
}

// decode lists what lies in [from, end) of the batches, and says where the next chunk begins.
func (d *decoder) decode(p []byte, from, end record.Offset) (list []entry, next record.Offset, err error) {
	if d.reader == nil {
		d.reader = record.NewReader(record.Limits{})
	}
	next = from
	for len(p) > 0 {
		b, rest, err := record.Next(p)
		if err == record.ErrShort {
			break
		}
		if err == nil {
			err = b.CheckCRC()
		}
		if err == nil {
			list, err = d.batch(list, b, from, end)
		}
		if err != nil {
			return nil, next, fmt.Errorf("batch at offset %d: %w", next, err)
		}
		p, next = rest, b.NextOffset()
	}
	if next == from {
		return nil, next, fmt.Errorf("nothing can be read at offset %d: %w", from, record.ErrShort)
	}
	return list, next, nil
}

func (d *decoder) batch(list []entry, b record.Batch, from, end record.Offset) ([]entry, error) {
	at := Position{Producer: record.NoProducer, ProducerEpoch: record.NoProducerEpoch}
	if b.IsTransactional() {
		at.Producer, at.ProducerEpoch = b.ProducerID(), b.ProducerEpoch()
	}
	if b.IsControl() {
		m, ok, err := b.Marker()
		if ok {
			at.Offset = b.BaseOffset()
			kind := aborted
			if m.Type == record.Commit {
				kind = committed
			}
			list = append(list, entry{kind: kind, at: at})
		}
		return list, err
	}
	arena := make([]byte, 0, len(b))
	keep := func(p []byte) []byte {
		if p == nil {
			return nil
		}
		arena = append(arena, p...)
		return arena[len(arena)-len(p) : len(arena) : len(arena)]
	}
	err := d.reader.Each(b, func(r record.Record) error {
		at.Offset = b.BaseOffset() + record.Offset(r.OffsetDelta)
		if at.Offset >= from && at.Offset < end {
			list = append(list, entry{kind: plain, at: at, record: Record{Key: keep(r.Key), Value: keep(r.Value)}})
		}
		return nil
	})
	return list, err
}
