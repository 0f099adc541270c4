package commitlog_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"lignum/core/commitlog"
	"lignum/core/commitlog/producers"
	"lignum/core/record"

	"pgregory.net/rapid"
)

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
