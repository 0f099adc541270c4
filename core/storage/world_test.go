package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/journal"
	"lignum/core/record"
	"lignum/sim"
)

// tinyJournal makes every corner of the ring come up within a few turns.
var tinyJournal = journal.Options{FileBytes: 16 << 10, Files: 3, MaxFiles: 6, GroupBytes: 8 << 10, QueueBytes: 64 << 10, StepBytes: 4 << 10}

// model is what a partition must hold.
type model struct {
	id       record.Partition
	topic    string
	settings config.Topic
	log      *Log
	epoch    record.Epoch
	values   []uint64      // by offset
	restart  record.Offset // where the log was last emptied
	restarts int
	emptied  record.Offset // the greatest offset at which that ever happened: what is known of producers from before is gone
	asked    record.Offset // where the log was asked to start
	older    [][]uint64    // histories that truncations have ended since the last crash
	unsure   int           // what is below may have any of several histories: the log was empty there after a crash
	start    record.Offset
	durable  record.Offset // promised to survive a loss of power
	written  record.Offset // promised to survive the end of the process
	gone     bool          // a deletion was asked for
}

// world drives a store by hand.
type world struct {
	t       testing.TB
	seed    uint64
	rand    *sim.Stream
	disk    *sim.Disk
	clock   *sim.ManualClock
	lanes   *sim.Lanes
	memory  *sim.Memory
	store   *Store
	ready   bool
	models  []*model
	blinds  bool     // some starts cannot read some of the directories
	blind   []*model // those that the present life could not read
	ended   []*model // that were deleted, and may come back: a replica that was moved away and is given back
	counter uint64
	life    int
	topics  int
	trace   []string
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{
		t: t, seed: seed, rand: sim.NewRand(seed),
		disk: sim.NewDisk(sim.DiskOptions{Seed: seed}), clock: sim.NewClock(1_700_000_000_000),
	}
}

func (w *world) logf(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.trace[max(0, len(w.trace)-60):] {
		w.t.Log(line)
	}
	w.t.Fatalf("seed %d, life %d: %s", w.seed, w.life, fmt.Sprintf(format, args...))
}

// boot starts a store; it is ready when the lanes have run dry.
func (w *world) boot() {
	w.life++
	w.ready = false
	w.lanes = sim.NewLanes(w.rand.Uint64())
	w.memory = sim.NewMemory()
	o := Options{Journal: tinyJournal, ChunkBytes: 256 << 10, CheckpointInterval: 3 * time.Second}
	o.Meta.NodeID, o.Meta.ClusterID = 1, "cluster"
	w.store = New(
		Ports{Disk: w.disk, Jobs: w.lanes, Memory: w.memory, Clock: w.clock, Rand: w.rand}, o,
		Events{
			Ready: func(err error) {
				if err != nil {
					w.fatalf("start: %v", err)
				}
				w.ready = true
			},
			Failed: func(err error) { w.fatalf("failed: %v", err) },
		})
	w.store.Start()
	for !w.ready && w.lanes.Step() {
	}
	if !w.ready {
		w.fatalf("the store is not ready")
	}
}

// settle runs everything that is under way to its end.
func (w *world) settle() {
	for range 1000 {
		w.store.EndDrain()
		if w.lanes.Waiting() == 0 {
			return
		}
		w.lanes.Drain()
		w.note()
	}
	w.fatalf("the store does not come to rest")
}

// note writes down what is promised now.
func (w *world) note() {
	for _, m := range w.models {
		if m.log == nil || m.gone || m.log.gone || w.store.failure != nil {
			continue
		}
		m.durable = max(m.durable, m.log.DurableEnd())
		if m.log.Policy() == config.Sync {
			m.durable = max(m.durable, m.log.SafeEnd())
		}
		m.written = max(m.written, m.durable)
		if end := m.log.WrittenEnd(); end != m.restart {
			m.written = max(m.written, end)
		}
		if m.durable > record.Offset(len(m.values)) {
			w.fatalf("%s: durable up to %d, but only %d were appended", m.topic, m.durable, len(m.values))
		}
	}
}

func (w *world) settings(p config.FlushPolicy) config.Topic {
	t := config.DefaultTopic()
	t.SegmentBytes, t.IndexIntervalBytes, t.FlushPolicy, t.FileDeleteDelayMillis = 4<<10, 300, p, 1000
	return t
}

func (w *world) create() {
	w.topics++
	m := &model{
		id: record.Partition{Topic: record.TopicID{byte(w.topics), 1}, Index: int32(w.topics % 3)}, topic: fmt.Sprintf("t%d", w.topics),
		settings: w.settings(config.FlushPolicy(w.rand.Below(3) / 2)),
	}
	if n := len(w.ended); n > 0 && w.rand.Below(2) == 0 {
		m.id, m.topic = w.ended[n-1].id, w.ended[n-1].topic
		w.ended = w.ended[:n-1]
	}
	w.models = append(w.models, m)
	w.logf("create %s %v", m.topic, m.settings.FlushPolicy)
	w.store.Create(m.id, m.topic, m.settings, func(l *Log, err error) {
		if err != nil {
			w.fatalf("create %s: %v", m.topic, err)
		}
		m.log = l
	})
}

func batchOf(first uint64, n, size int, offset record.Offset, m *model) record.Batch {
	b := record.NewBuilder(record.None)
	b.SetBaseOffset(offset)
	b.SetLeaderEpoch(m.epoch)
	b.SetProducer(record.ProducerID(m.id.Index), 0, int32(offset))
	for i := range n {
		value := binary.BigEndian.AppendUint64(make([]byte, size), first+uint64(i))
		b.Append(record.Record{Timestamp: 1_700_000_000_000, Value: value})
	}
	return b.Build()
}

// valuesOf are the values of a batch's records, twice; odd for the last one.
func valuesOf(b record.Batch) (values []uint64) {
	_ = b.Each(record.Limits{}, func(r record.Record) error {
		v := 2 * binary.BigEndian.Uint64(r.Value[len(r.Value)-8:])
		if r.OffsetDelta == b.LastOffsetDelta() {
			v++
		}
		values = append(values, v)
		return nil
	})
	return values
}

func (w *world) append(m *model) {
	n, size := int(w.rand.Below(3))+1, []int{0, 50, 400, 1500}[w.rand.Below(4)]
	b := batchOf(w.counter+1, n, size, record.Offset(len(m.values)), m)
	err := m.log.AppendAt(b, commitlog.AppendInfo{})
	if errors.Is(err, commitlog.ErrRebuilding) {
		return
	}
	if err != nil {
		w.fatalf("append to %s: %v", m.topic, err)
	}
	w.counter += uint64(n)
	m.values = append(m.values, valuesOf(b)...)
	w.logf("append %s up to %d, epoch %d, last value %d", m.topic, len(m.values), m.epoch, w.counter)
}

func (w *world) truncate(m *model) {
	if len(m.values) == 0 {
		return
	}
	o := record.Offset(max(0, int64(len(m.values))-w.rand.Below(8)))
	restart := w.rand.Below(6) == 0
	if (o < max(m.asked, m.log.StartOffset()) || o > 0 && m.values[o-1]%2 == 0) && !restart {
		return
	}
	m.older = append(m.older, slices.Clone(m.values))
	m.values = m.values[:o]
	m.durable, m.written = min(m.durable, o), min(m.written, o)
	m.epoch++
	if restart {
		w.logf("restart %s at %d", m.topic, o)
		m.restarts++
		m.emptied = max(m.emptied, o)
		m.asked = 0
		m.log.TruncateFullyAndStartAt(o)
		m.start, m.restart, m.durable, m.written = 0, o, 0, 0
		return
	}
	w.logf("truncate %s to %d", m.topic, o)
	m.log.TruncateTo(o)
}

func (w *world) step() {
	var m *model
	if len(w.models) > 0 {
		m = w.models[w.rand.Below(int64(len(w.models)))]
		if m.log == nil || m.gone {
			m = nil
		}
	}
	switch k := w.rand.Below(40); {
	case len(w.models) < 2:
		w.create()
		w.settle()
	case k < 14 && m != nil && !w.store.Full():
		w.append(m)
	case k < 22:
		w.store.EndDrain()
	case k < 32:
		w.lanes.Step()
	case k < 33 && m != nil:
		w.truncate(m)
	case k < 34:
		w.clock.Advance(time.Duration(w.rand.Below(2_000)) * time.Millisecond)
		w.store.Tick()
	case k < 35 && m != nil && w.rand.Below(3) == 0:
		m.settings.FlushPolicy = 1 - m.settings.FlushPolicy
		w.logf("configure %s %v", m.topic, m.settings.FlushPolicy)
		m.log.Configure(m.settings)
	case k < 36 && m != nil && m.log.WrittenEnd() > m.log.StartOffset():
		w.deleteRecords(m)
	case k < 37 && len(w.models) < 6:
		w.create()
	case k < 38 && m != nil && w.rand.Below(4) == 0:
		w.delete(m)
	case k < 39:
		w.settle()
	}
	w.note()
}

func (w *world) deleteRecords(m *model) {
	start := m.log.StartOffset()
	o := start + record.Offset(w.rand.Below(int64(m.log.WrittenEnd()-start))) + 1
	restarts := m.restarts
	m.asked = max(m.asked, o)
	if w.rand.Below(2) == 0 { // as retention does it: nobody waits
		w.logf("expire %s below %d", m.topic, o)
		m.log.Log.AdvanceStart(o)
		w.store.want(m.log)
		return
	}
	w.logf("delete records of %s below %d", m.topic, o)
	m.log.AdvanceStart(o, func(err error) {
		if err != nil {
			w.fatalf("delete records: %v", err)
		}
		if m.restarts == restarts {
			m.start = max(m.start, o)
		}
	})
}

func (w *world) delete(m *model) {
	w.logf("delete %s", m.topic)
	m.gone = true
	w.store.Delete(m.id, func(err error) {
		if err != nil {
			w.fatalf("delete: %v", err)
		}
		w.models = slices.DeleteFunc(w.models, func(other *model) bool { return other == m })
		w.ended = append(w.ended, m)
	})
}

// readLog returns the values of all records, by offset from the log start on, as they are in the files.
func (w *world) readLog(l *Log) (values []uint64) {
	entries, err := w.disk.ReadDir(l.dir)
	if err != nil {
		w.fatalf("list %s: %v", l.dir, err)
	}
	entries = slices.DeleteFunc(entries, func(e env.Entry) bool { return !strings.HasSuffix(e.Name, ".log") })
	next := l.StartOffset()
	for i, e := range entries {
		limit := l.EndOffset()
		if i+1 < len(entries) {
			n, _ := strconv.ParseInt(strings.TrimSuffix(entries[i+1].Name, ".log"), 10, 64)
			limit = min(limit, record.Offset(n))
		}
		f, err := w.disk.Open(l.dir+"/"+e.Name, env.ReadOnly)
		if err != nil {
			w.fatalf("open %s: %v", e.Name, err)
		}
		p := make([]byte, e.Size)
		if _, err := f.ReadAt(p, 0); err != nil && len(p) > 0 {
			w.fatalf("read %s/%s: %v", l.dir, e.Name, err)
		}
		_ = f.Close()
		for next < limit {
			b, rest, err := record.Next(p)
			if err == nil {
				err = b.CheckCRC()
			}
			if err != nil {
				w.fatalf("%s/%s at offset %d of %d: %v", l.dir, e.Name, next, limit, err)
			}
			for i, v := range valuesOf(b) {
				if o := b.BaseOffset() + record.Offset(i); o == next && o < limit {
					values = append(values, v)
					next++
				}
			}
			p = rest
		}
	}
	return values
}

// verify compares what a restart has found with what was promised, and takes it over.
func (w *world) verify(killed bool) {
	off := map[string]bool{}
	for _, o := range w.store.Offline() {
		if !w.blinds || !errors.Is(o.Err, env.ErrUnreadable) {
			w.fatalf("offline: %v %s %v", o.ID, o.Dir, o.Err)
		}
		off[o.Dir] = true
	}
	var kept []*model
	for _, m := range w.models {
		l := w.store.Log(m.id)
		if l == nil && off[dirName(m.topic, m.id.Index)] {
			w.logf("%s cannot be read", m.topic)
			m.log = nil
			if !killed {
				m.written = m.durable
			}
			w.blind = append(w.blind, m)
			continue
		}
		if l == nil {
			if !m.gone && (m.log != nil || m.written > 0) {
				w.fatalf("%s is gone", m.topic)
			}
			continue
		}
		m.log, m.gone = l, false
		kept = append(kept, m)
		start, end := l.StartOffset(), l.EndOffset()
		promised := m.durable
		if killed {
			promised = m.written
		}
		if end < promised || start < m.start {
			w.fatalf("%s holds [%d, %d), promised [%d, %d)", m.topic, start, end, m.start, promised)
		}
		w.compare(m, w.readLog(l), promised)
		w.checkProducer(m)
		m.restart = 0
		m.durable, m.written = min(m.durable, end), min(m.written, end)
		m.epoch += 2
		l.Configure(m.settings)
	}
	w.models = kept
	for _, l := range w.store.Logs() {
		if !slices.ContainsFunc(kept, func(m *model) bool { return m.id == l.id }) {
			w.fatalf("%s is back", l.dir)
		}
	}
}

// checkProducer checks that a retry of the last batch below the log end would be found out, be it deleted or not (P1).
func (w *world) checkProducer(m *model) {
	last := len(m.values)
	base := last - 1
	for base > 0 && m.values[base-1]%2 == 0 {
		base--
	}
	if last == 0 || record.Offset(base) < m.emptied || base < m.unsure {
		return
	}
	v, err := m.log.Producers().Check(batchOf(0, last-base, 0, record.Offset(base), m))
	if err != nil || !v.Duplicate || v.FirstOffset != record.Offset(base) {
		w.fatalf("%s: a retry of the last batch [%d, %d) of [%d, %d): %+v, %v", m.topic, base, last, m.log.StartOffset(), m.log.EndOffset(), v, err)
	}
}

// compare checks that what was read is a prefix of one history, and of the present one as far as that was promised.
func (w *world) compare(m *model, values []uint64, promised record.Offset) {
	start, end := m.log.StartOffset(), m.log.EndOffset()
	if record.Offset(len(values)) != end-start {
		w.fatalf("%s: %d records in [%d, %d)", m.topic, len(values), start, end)
	}
	within := func(history []uint64) bool {
		return int(end) <= len(history) && slices.Equal(values, history[start:end])
	}
	if start < promised && !slices.Equal(values[:promised-start], m.values[start:promised]) {
		w.fatalf("%s: promised %v, holds %v from %d", m.topic, m.values[start:promised], values, start)
	}
	if within(m.values) {
		m.values = m.values[:end]
		for _, h := range m.older {
			if start == end && within(h) && !slices.Equal(h[:end], m.values) {
				m.unsure = int(end)
			}
		}
		return
	}
	for _, h := range m.older {
		if within(h) {
			m.values = slices.Clone(h[:end])
			return
		}
	}
	w.fatalf("%s: holds %v from %d, which is no history; the present one is %v", m.topic, values, start, m.values)
}
