package commitlog_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
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

func (m *machine) compare(q commitlog.ReadRequest, p []byte) {
	want := m.expected(q)
	if !strings.HasPrefix(string(want), string(p)) {
		m.fatalf("read %+v: %d bytes that are not what was appended", q, len(p))
	}
	if len(want) == 0 {
		return
	}
	first, _, err := record.Next(want)
	m.ok(err)
	if limit := max(q.MaxBytes, first.Size()); len(p) > limit || (!q.AtLeastOne && len(p) > q.MaxBytes) {
		m.fatalf("read %+v: %d bytes, the first batch has %d", q, len(p), first.Size())
	}
	if (q.AtLeastOne || q.MaxBytes >= first.Size()) && len(p) < first.Size() {
		m.fatalf("read %+v: %d bytes, the first batch has %d", q, len(p), first.Size())
	}
}

// expected are the bytes of all batches that a read may return.
func (m *machine) expected(q commitlog.ReadRequest) []byte {
	var p []byte
	for _, b := range m.model {
		if b.NextOffset() > q.From && b.NextOffset() <= q.UpTo {
			p = append(p, b...)
		}
	}
	return p
}

func (m *machine) lookUp(rt *rapid.T) {
	end := m.log.EndOffset()
	upTo := record.Offset(rapid.Int64Range(int64(m.log.StartOffset()), int64(end)).Draw(rt, "to"))
	at := rapid.Int64Range(0, 51).Draw(rt, "at")
	got, job, err := m.log.OffsetForTime(at, upTo)
	for job != nil {
		job.Run()
		got, job, err = m.log.FinishTime(job)
	}
	m.ok(err)
	first, greatest := commitlog.TimeResult{}, commitlog.TimeResult{Timestamp: -1}
	whole := true // the batches below upTo end there
	for _, b := range m.model {
		if b.NextOffset() > upTo {
			whole = whole && b.BaseOffset() >= upTo
		}
		m.ok(b.Each(record.Limits{}, func(r record.Record) error {
			o := b.BaseOffset() + record.Offset(r.OffsetDelta)
			if o < m.log.ReadableStart() || o >= upTo || r.Timestamp < 0 {
				return nil
			}
			x := commitlog.TimeResult{Found: true, Offset: o, Timestamp: r.Timestamp, Epoch: b.LeaderEpoch()}
			if !first.Found && r.Timestamp >= at {
				first = x
			}
			if r.Timestamp > greatest.Timestamp {
				greatest = x
			}
			return nil
		}))
	}
	if got != first {
		m.fatalf("time %d below %d: %+v, want %+v", at, upTo, got, first)
	}
	got, job, err = m.log.MaxTimestamp(upTo)
	for job != nil {
		job.Run()
		got, job, err = m.log.FinishTime(job)
	}
	m.ok(err)
	if whole && got.Found != greatest.Found || got.Found && whole && got != greatest {
		m.fatalf("greatest time below %d: %+v, want %+v", upTo, got, greatest)
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

// recovered compares what came back with what may, and goes on from there.
func (m *machine) recovered(floor record.Offset) {
	m.rt.Log("names", m.names(), m.found.CutAt, m.log.StartOffset(), m.point, m.start)
	end := m.log.EndOffset()
	if end < floor {
		m.fatalf("the log ends at %d, but was flushed up to %d", end, floor)
	}
	got := m.all()
	candidates := slices.Concat([]version{{m.log0, m.model}}, m.older, m.ghosts)
	for _, v := range candidates {
		if v.h.end(v.log0) < end || end < v.log0 {
			continue
		}
		h := v.h.below(end)
		if h.end(v.log0) != end || !endsWith(h, got, m.log.StartOffset()) {
			continue
		}
		if p, _, _ := h.fold(); !slices.Equal(p.All(), m.log.Producers().All()) {
			for _, n := range m.names() {
				if strings.HasSuffix(n, ".snapshot") {
					m.rt.Logf("%s %x", n, m.content(n))
				}
			}
			m.rt.Logf("a history of as many batches says %+v", p.All())
			continue
		}
		m.model, m.log0, m.older, m.cuts = slices.Clone(h), v.log0, nil, 0
		m.ghosts = candidates
		return
	}
	m.fatalf("%d batches in [%d, %d) and producers %+v are no prefix of any of %d histories",
		len(got), m.log.StartOffset(), end, m.log.Producers().All(), len(candidates))
}

// endsWith reports whether the batches are those of the history from an offset on.
func endsWith(h history, got []record.Batch, start record.Offset) bool {
	for len(h) > 0 && h[0].NextOffset() <= start {
		h = h[1:]
	}
	return slices.EqualFunc(h, got, func(a, b record.Batch) bool { return string(a) == string(b) })
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

// check compares what the log knows with what the history says.
func (m *machine) check() {
	want, aborted, leaders := m.model.fold()
	if end := m.model.end(m.log0); end != m.log.EndOffset() {
		m.fatalf("the log ends at %d, want %d", m.log.EndOffset(), end)
	}
	for _, b := range m.model {
		e := b.LeaderEpoch()
		if b.NextOffset() <= m.log.StartOffset() {
			continue
		}
		epoch, end := m.log.EpochEnd(e)
		wantEpoch, wantEnd := leaders.EndOffset(e, m.log.EndOffset())
		if epoch != wantEpoch || end != wantEnd {
			m.fatalf("epoch %d ended as %d at %d, want %d at %d", e, epoch, end, wantEpoch, wantEnd)
		}
	}
	if len(m.writes) > 0 || m.log.Producers().Empty() && !want.Empty() && m.cuts > 0 {
		return
	}
	if got, want := m.log.Producers().All(), want.All(); !slices.Equal(got, want) {
		m.fatalf("producers %+v, want %+v", got, want)
	}
	if got, want := m.log.LastStable(m.log.EndOffset()), want.LastStable(m.log.EndOffset()); got != want {
		m.fatalf("last stable offset %d, want %d", got, want)
	}
	if m.runs++; m.runs%5 == 0 {
		m.checkFiles(aborted)
	}
}

// checkFiles compares the indexes on disk with the log files on disk.
func (m *machine) checkFiles(aborted []producers.Aborted) {
	m.ok(m.flush())
	m.older, m.cuts = nil, 0
	var listed []byte
	oldest := record.Offset(-1)
	for _, name := range m.names() {
		base := name[:min(20, len(name))]
		switch {
		case strings.HasSuffix(name, ".log"):
			if oldest < 0 {
				_, err := fmt.Sscanf(base, "%d", &oldest)
				m.ok(err)
			}
			m.checkIndexes(base)
		case strings.HasSuffix(name, ".txnindex"):
			listed = append(listed, m.content(name)...)
		}
	}
	var want []byte
	for _, a := range aborted {
		if a.Last < oldest {
			continue
		}
		want = binary.BigEndian.AppendUint16(want, 0)
		for _, n := range []int64{int64(a.Producer), int64(a.First), int64(a.Last), int64(a.LastStable)} {
			want = binary.BigEndian.AppendUint64(want, uint64(n))
		}
	}
	if string(listed) != string(want) {
		m.fatalf("aborted transactions in the index\n%x, want\n%x", listed, want)
	}
}

func (m *machine) checkIndexes(name string) {
	var base int64
	_, err := fmt.Sscanf(name, "%d", &base)
	m.ok(err)
	lasts := map[int64]record.Offset{} // by position
	log := m.content(name + ".log")
	greatest := map[record.Offset]int64{} // by last offset
	most := int64(-1)
	for rest := log; len(rest) > 0; {
		b, r, err := record.Next(rest)
		m.ok(err)
		lasts[int64(len(log)-len(rest))] = b.LastOffset()
		most = max(most, b.MaxTimestamp())
		greatest[b.LastOffset()] = most
		rest = r
	}
	index := m.content(name + ".index")
	for before := int64(0); len(index) > 0; index = index[8:] {
		last, pos := record.Offset(base+int64(binary.BigEndian.Uint32(index))), int64(binary.BigEndian.Uint32(index[4:]))
		if o, ok := lasts[pos]; !ok || o != last || pos <= before {
			m.fatalf("segment %s: index entry %d at %d", name, last, pos)
		}
		before = pos
	}
	times := m.content(name + ".timeindex")
	for before := int64(-1); len(times) > 0; times = times[12:] {
		t, last := int64(binary.BigEndian.Uint64(times)), record.Offset(base+int64(binary.BigEndian.Uint32(times[8:])))
		if greatest[last] != t || t <= before {
			m.fatalf("segment %s: time index entry %d for %d", name, t, last)
		}
		before = t
	}
}
