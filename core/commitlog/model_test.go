package commitlog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/commitlog/epochs"
	"lignum/core/commitlog/producers"
	"lignum/core/record"
	"lignum/sim"

	"pgregory.net/rapid"
)

// history is what a log should hold: every batch since it was last emptied, those that retention has removed included.
type history []record.Batch

// below is the part of the history that ends at or below an offset.
func (h history) below(o record.Offset) history {
	n := 0
	for n < len(h) && h[n].NextOffset() <= o {
		n++
	}
	return h[:n:n]
}

func (h history) end(otherwise record.Offset) record.Offset {
	if len(h) == 0 {
		return otherwise
	}
	return h[len(h)-1].NextOffset()
}

// fold computes from the history what the log should know.
func (h history) fold() (p *producers.State, aborted []producers.Aborted, e *epochs.Cache) {
	p, e = producers.New(producers.Options{}), epochs.New(nil)
	for _, b := range h {
		if a, ok := p.Apply(b, -1); ok {
			aborted = append(aborted, a)
		}
		e.Assign(b.LeaderEpoch(), b.BaseOffset())
	}
	return p, aborted, e
}

// machine drives a log and a history side by side.
type machine struct {
	*rig
	rt *rapid.T

	log0   record.Offset // where the log was last emptied
	model  history
	older  []version // what may come back after a crash: histories that a truncation has cut, until it is done on disk
	ghosts []version // what may come back as long as not all was synced since a crash
	epoch  record.Epoch
	reads  []*pending
	gone   uint64 // counts truncations
	cuts   int
	runs   int
}

type version struct {
	log0 record.Offset
	h    history
}

// pending is a read whose job has not run yet.
type pending struct {
	q    commitlog.ReadRequest
	job  *commitlog.ReadJob
	cuts uint64
}

func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := commitlog.DefaultSettings()
		s.SegmentBytes = rapid.SampledFrom([]int64{400, 1000, 5000, 1 << 20}).Draw(rt, "segment")
		s.IndexIntervalBytes = rapid.SampledFrom([]int64{0, 200, 4096}).Draw(rt, "interval")
		s.RetentionBytes = rapid.SampledFrom([]int64{-1, 3000}).Draw(rt, "retention")
		m := &machine{rig: newRig(rt, rapid.Uint64().Draw(rt, "seed"), s), rt: rt}
		m.create()
		rt.Repeat(map[string]func(*rapid.T){
			"append":      m.append,
			"append more": m.append,
			"replicate":   m.replicate,
			"take":        func(*rapid.T) { m.take() },
			"run":         m.runOne,
			"wrote":       func(*rapid.T) { m.wroteOne() },
			"sync":        m.startSync,
			"synced":      m.endSync,
			"checkpoint":  func(*rapid.T) { m.checkpointed() },
			"truncate":    m.truncate,
			"restart":     m.emptied,
			"advance":     m.advance,
			"expire":      m.expire,
			"release":     func(rt *rapid.T) { m.log.ReleaseMemory(rapid.Int64Range(0, 1<<20).Draw(rt, "bytes")) },
			"read":        m.readSome,
			"read late":   m.readLate,
			"aborted":     m.listAborted,
			"time":        m.lookUp,
			"crash":       m.crash,
			"stop":        m.stopClean,
			"fault":       m.fault,
			"":            func(*rapid.T) { m.check() },
		})
	})
}

func (m *machine) fatalf(format string, args ...any) {
	m.rt.Helper()
	m.rt.Fatalf(format, args...)
}

func (m *machine) ok(err error) {
	m.rt.Helper()
	if err != nil {
		m.rt.Fatal(err)
	}
}

// next is a random batch that its producer may write now.
func (m *machine) next(rt *rapid.T) record.Batch {
	stamp := rapid.Int64Range(-1, 50).Draw(rt, "time")
	stamps := slices.Repeat([]int64{stamp}, rapid.IntRange(1, 4).Draw(rt, "count"))
	switch rapid.IntRange(0, 5).Draw(rt, "kind") {
	case 0:
		return batchOf(rapid.SampledFrom([]int{0, 10, 300, 20000}).Draw(rt, "size"), stamps...)
	case 1, 2:
		return m.idempotent(rapid.SampledFrom([]record.ProducerID{1, 2}).Draw(rt, "producer"), false, stamps)
	case 3:
		return m.idempotent(rapid.SampledFrom([]record.ProducerID{11, 12}).Draw(rt, "producer"), true, stamps)
	case 4:
		kind := rapid.SampledFrom([]record.ControlType{record.Abort, record.Commit}).Draw(rt, "marker")
		id := rapid.SampledFrom([]record.ProducerID{11, 12}).Draw(rt, "producer")
		return record.NewMarker(id, 0, record.Marker{Type: kind}, stamp)
	}
	return batchOf(10, stamps...)
}

func (m *machine) idempotent(id record.ProducerID, transactional bool, stamps []int64) record.Batch {
	state, _, _ := m.model.fold()
	sequence := int32(0)
	for _, p := range state.All() {
		if p.ID == id && p.LastSequence >= 0 {
			sequence = p.LastSequence + 1
		}
	}
	return batchFrom(id, sequence, transactional, stamps...)
}

func (m *machine) append(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "election") == 0 {
		m.epoch++
		m.log.BeginEpoch(m.epoch)
	}
	m.pass(time.Duration(rapid.IntRange(0, 1000).Draw(rt, "ms")) * time.Millisecond)
	b := m.next(rt)
	if int64(b.Size()) > m.settings.SegmentBytes {
		if _, err := m.log.Append(b, m.info(m.epoch)); !errors.Is(err, commitlog.ErrTooLarge) {
			m.fatalf("a batch of %d bytes: %v", b.Size(), err)
		}
		return
	}
	end := m.log.EndOffset()
	first, err := m.log.Append(b, m.info(m.epoch))
	if errors.Is(err, commitlog.ErrRebuilding) && b.HasProducer() {
		return
	}
	m.ok(err)
	if first != end {
		m.fatalf("appended at %d, the log ended at %d", first, end)
	}
	b.SetBaseOffset(first)
	b.SetLeaderEpoch(m.epoch)
	m.model = append(m.model, b)
}

// replicate appends a batch with its offset, perhaps behind a gap as compaction makes them.
func (m *machine) replicate(rt *rapid.T) {
	b := m.next(rt)
	b.SetBaseOffset(m.log.EndOffset())
	b.SetLeaderEpoch(m.epoch)
	m.ok(m.log.AppendAt(b, m.info(0)))
	m.model = append(m.model, b)
}

func (m *machine) runOne(rt *rapid.T) {
	if rapid.IntRange(0, 7).Draw(rt, "die") == 0 && m.ran < len(m.writes) {
		m.disk.CrashAt(uint64(rapid.IntRange(1, 25).Draw(rt, "call")))
		m.disk.Attempt(func() { m.run() })
		m.reopen(rt)
		return
	}
	m.run()
}

func (m *machine) wroteOne() {
	if m.ran == 0 {
		return
	}
	_, cut := m.writes[0].Truncates()
	m.ok(m.wrote())
	// What a truncation has cut is gone for good once the Writes that carries it has run.
	if cut {
		m.cuts--
		if m.cuts == 0 {
			m.older = nil
		}
	}
}

func (m *machine) startSync(rt *rapid.T) {
	if m.sync != nil {
		return
	}
	if m.sync = m.log.TakeSync(); m.sync == nil {
		return
	}
	if rapid.IntRange(0, 7).Draw(rt, "die") == 0 {
		m.disk.CrashAt(uint64(rapid.IntRange(1, 25).Draw(rt, "call")))
		m.disk.Attempt(m.sync.Run)
		m.reopen(rt)
		return
	}
	m.sync.Run()
}

func (m *machine) endSync(*rapid.T) {
	if m.sync != nil {
		m.ok(m.log.Synced(m.sync))
		m.sync = nil
	}
}

func (m *machine) checkpointed() {
	m.checkpoint()
	m.start = min(m.start, m.point)
}

// cut notes that the present history may come back until the next Writes has run.
func (m *machine) cut() {
	m.gone++
	m.older = append(m.older, version{m.log0, m.model})
}

func (m *machine) truncate(rt *rapid.T) {
	if len(m.model) == 0 || rapid.IntRange(0, 2).Draw(rt, "rarely") > 0 {
		return
	}
	to := rapid.SampledFrom(m.model).Draw(rt, "batch").BaseOffset()
	if to < m.log.StartOffset() {
		return
	}
	m.cut()
	m.log.TruncateTo(to)
	m.model = m.model.below(to)
	m.taken()
}

// taken takes the truncation at once, so that it is known which Writes carries it.
func (m *machine) taken() {
	if m.take() {
		m.cuts++
	}
}

func (m *machine) emptied(rt *rapid.T) {
	if rapid.IntRange(0, 5).Draw(rt, "rarely") > 0 {
		return
	}
	m.cut()
	to := m.log.EndOffset() + record.Offset(rapid.IntRange(-3, 3).Draw(rt, "to"))
	to = max(to, m.log.StartOffset())
	m.log.TruncateFullyAndStartAt(to)
	m.model, m.log0 = nil, to
	m.taken()
}

func (m *machine) advance(rt *rapid.T) {
	o := record.Offset(rapid.Int64Range(int64(m.log.StartOffset()), int64(m.log.EndOffset())).Draw(rt, "start"))
	m.log.AdvanceStart(o)
}

func (m *machine) expire(*rapid.T) {
	m.log.Expire(m.now, m.log.EndOffset())
	if d := m.log.TakeDeletes(); d != nil {
		d.Run()
		m.ok(m.log.Deleted(d))
	}
}

func (m *machine) readSome(rt *rapid.T) {
	start, end := m.log.StartOffset(), m.log.EndOffset()
	q := commitlog.ReadRequest{
		From:       record.Offset(rapid.Int64Range(int64(start), int64(end)).Draw(rt, "from")),
		MaxBytes:   rapid.SampledFrom([]int{0, 1, 100, 500, 1 << 20}).Draw(rt, "bytes"),
		AtLeastOne: rapid.Bool().Draw(rt, "one"),
	}
	q.UpTo = record.Offset(rapid.Int64Range(int64(q.From), int64(end)).Draw(rt, "to"))
	if rapid.Bool().Draw(rt, "late") {
		if res, job, err := m.log.Read(q); job != nil {
			m.reads = append(m.reads, &pending{q, job, m.gone})
		} else {
			_, _, err = m.finish(res, nil, err)
			m.ok(err)
		}
		return
	}
	p, _, err := m.read(q)
	m.ok(err)
	m.compare(q, p)
}

// readLate runs a job that was made some time ago.
func (m *machine) readLate(*rapid.T) {
	if len(m.reads) == 0 {
		return
	}
	r := m.reads[0]
	m.reads = m.reads[1:]
	r.job.Run()
	res, job, err := m.log.Finish(r.job)
	p, _, err := m.finish(res, job, err)
	if r.cuts != m.gone {
		return
	}
	if errors.Is(err, commitlog.ErrOutOfRange) && r.q.From < m.log.StartOffset() {
		return
	}
	m.ok(err)
	m.compare(r.q, p)
}

// listAborted compares the list of aborted transactions with the history's.
func (m *machine) listAborted(rt *rapid.T) {
	if m.cuts > 0 {
		return // while producers are rebuilt the list may lag
	}
	from := record.Offset(rapid.Int64Range(int64(m.log.StartOffset()), int64(m.log.EndOffset())).Draw(rt, "from"))
	upTo := record.Offset(rapid.Int64Range(int64(from), int64(m.log.EndOffset())).Draw(rt, "to"))
	if upTo == from {
		return
	}
	got := map[producers.Aborted]bool{}
	if j := m.log.Aborted(from, upTo); j != nil {
		j.Run()
		all, err := m.log.FinishAborted(j)
		m.ok(err)
		for _, a := range all {
			got[a] = true
		}
	}
	_, aborted, _ := m.model.fold()
	for _, a := range aborted {
		if a.Last >= from && a.First < upTo && !got[a] {
			m.fatalf("aborted in [%d, %d): %+v is missing", from, upTo, a)
		}
		delete(got, a)
	}
	if len(got) > 0 {
		m.fatalf("aborted in [%d, %d): %v are none", from, upTo, got)
	}
}

func (m *machine) crash(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "rarely") == 0 {
		m.reopen(rt)
	}
}

// reopen starts again after a crash: what was flushed must be there, and all of it must be what was appended.
func (m *machine) reopen(rt *rapid.T) {
	floor := m.log.RecoveryPoint()
	if rapid.Bool().Draw(rt, "power") {
		m.disk.Power()
	} else {
		m.disk.Kill()
	}
	m.mem, m.reads = sim.NewMemory(), nil
	if rapid.IntRange(0, 3).Draw(rt, "die again") == 0 {
		m.disk.CrashAt(uint64(rapid.IntRange(1, 40).Draw(rt, "call")))
		m.disk.Attempt(func() {
			if err := m.open(false); err != nil {
				m.fatalf("open: %v", err)
			}
		})
		m.disk.Kill()
	}
	m.ok(m.open(false))
	m.recovered(floor)
}

func (m *machine) stopClean(rt *rapid.T) {
	if rapid.IntRange(0, 2).Draw(rt, "rarely") > 0 {
		return
	}
	if m.sync != nil {
		m.endSync(rt)
	}
	for len(m.reads) > 0 {
		m.readLate(rt)
	}
	start := m.log.StartOffset()
	m.ok(m.stop())
	m.ghosts = nil
	if n, bytes := m.mem.Held(); n != 0 {
		m.fatalf("%d buffers of %d bytes are still held", n, bytes)
	}
	if rapid.Bool().Draw(rt, "power") {
		m.disk.Power()
	}
	m.point, m.start = m.log.RecoveryPoint(), start
	m.ok(m.open(true))
	m.older, m.cuts = nil, 0
	m.recovered(m.point)
	if m.log.StartOffset() != start {
		m.fatalf("log start %d, was %d", m.log.StartOffset(), start)
	}
}

// fault lets a call fail while everything is flushed: the log must be failed from then on.
func (m *machine) fault(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "rarely") > 0 {
		return
	}
	left := rapid.IntRange(0, 15).Draw(rt, "call")
	hit := false
	m.disk.Inject(func(op sim.Op) error {
		switch op.Kind {
		case sim.OpWrite, sim.OpSync, sim.OpSyncDir, sim.OpTruncate, sim.OpRename, sim.OpOpen:
			if left--; left < 0 {
				hit = true
				return sim.ErrIO
			}
		}
		return nil
	})
	err := m.settle()
	m.disk.Inject(nil)
	if hit != (err != nil) {
		m.fatalf("a call failed: %v, the error is %v", hit, err)
	}
	if !hit {
		m.ghosts = nil
		m.older, m.cuts = nil, 0
		return
	}
	if _, err := m.log.Append(batchOf(1, 1), m.info(m.epoch)); err == nil || m.log.Failure() == nil {
		m.fatalf("an append after a failure is accepted")
	}
	if m.log.TakeWrites() != nil || m.log.TakeSync() != nil {
		m.fatalf("a failed log writes")
	}
	m.reopen(rt)
}
