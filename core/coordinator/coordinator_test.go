package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// register is a shard that remembers the last value of each key, and what was done with it.
type register struct {
	host   *Host
	values map[string]string
	staged map[record.ProducerID][]Record
	story  *[]string
}

func (r *register) Replay(at Position, rec Record) {
	if at.Producer != record.NoProducer {
		r.staged[at.Producer] = append(r.staged[at.Producer], rec)
		return
	}
	r.apply(rec)
}

func (r *register) apply(rec Record) {
	if rec.Value == nil {
		delete(r.values, string(rec.Key))
		return
	}
	r.values[string(rec.Key)] = string(rec.Value)
}

func (r *register) EndTransaction(at Position, committed bool) {
	if committed {
		for _, rec := range r.staged[at.Producer] {
			r.apply(rec)
		}
	}
	delete(r.staged, at.Producer)
}

func (r *register) Loaded() { *r.story = append(*r.story, fmt.Sprintf("loaded %d", len(r.values))) }

func (r *register) Unloaded(code wire.ErrorCode) {
	*r.story = append(*r.story, "unloaded "+code.String())
}

// rig is a runtime with one partition whose log is in the test's hand.
type rig struct {
	*testing.T
	now     env.Instant
	timers  timer.Queue
	jobs    []func() func()
	runtime *Runtime
	story   []string

	epoch    record.Epoch
	leads    bool
	mark     record.Offset
	batches  []record.Batch
	watches  []func()
	refuse   wire.ErrorCode
	broken   error
	reads    int
	unleased bool
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, now: 1, leads: true}
	o := Options{Topic: "topic", LoadBytes: 200, Timeout: time.Second, StepRecords: 3}
	r.runtime = New(Ports{Clock: r, Jobs: r, Timers: &r.timers, Log: r.note}, o, func(h *Host) Shard {
		return &register{host: h, values: map[string]string{}, staged: map[record.ProducerID][]Record{}, story: &r.story}
	})
	return r
}

func (r *rig) Now() env.Instant { return r.now }
func (r *rig) Wall() env.Millis { return env.Millis(r.now / 1e6) }

func (r *rig) note(level env.Level, message string, _ ...any) {
	if level >= env.Warn {
		r.story = append(r.story, message)
	}
}

func (r *rig) Start(_ env.Lane, run func() func()) { r.jobs = append(r.jobs, run) }

func (r *rig) run() {
	for len(r.jobs) > 0 {
		job := r.jobs[0]
		r.jobs = r.jobs[1:]
		if done := job(); done != nil {
			done()
		}
	}
}

func (r *rig) Leads() (record.Epoch, bool) { return r.epoch, r.leads }

func (r *rig) Leased() bool { return !r.unleased }

func (r *rig) Overlap() time.Duration { return 0 }

func (r *rig) Damaged(error) {}

func (r *rig) Bounds() (start, mark, end record.Offset) {
	if n := len(r.batches); n > 0 {
		end = r.batches[n-1].NextOffset()
	}
	return 0, r.mark, end
}

func (r *rig) Append(b record.Batch, _ record.Facts) wire.ErrorCode {
	if r.refuse != wire.None {
		return r.refuse
	}
	b = append(record.Batch{}, b...)
	_, _, end := r.Bounds()
	b.SetBaseOffset(end)
	r.batches = append(r.batches, b)
	return wire.None
}

func (r *rig) Watch(fire func()) { r.watches = append(r.watches, fire) }

func (r *rig) Read(from, upTo record.Offset, maxBytes int, done func([]byte, error)) {
	r.reads++
	var data []byte
	for _, b := range r.batches {
		if b.NextOffset() > from && len(data) < maxBytes {
			data = append(data, b...)
		}
	}
	if len(data) > maxBytes && len(data) > len(r.batches[0])*2 {
		data = data[:maxBytes] // cut in the middle of a batch, as files are
	}
	r.Start(0, func() func() { return func() { done(data, r.broken) } })
}

// commit moves the high watermark to the end.
func (r *rig) commit() {
	_, _, r.mark = r.Bounds()
	watches := r.watches
	r.watches = nil
	for _, fire := range watches {
		fire()
	}
	r.runtime.EndDrain()
}

func (r *rig) shard() *register {
	r.Helper()
	s, code := r.runtime.Shard(0)
	if code != wire.None {
		r.Fatal(code)
	}
	return s.(*register)
}

// put writes pairs of keys and values, and tells in the story how it ends.
func (r *rig) put(name string, pairs ...string) {
	r.Helper()
	var b Batch
	for i := 0; i < len(pairs); i += 2 {
		rec := Record{Key: []byte(pairs[i])}
		if pairs[i+1] != "" {
			rec.Value = []byte(pairs[i+1])
		}
		b.Records = append(b.Records, rec)
	}
	code := r.shard().host.Append(b, func(code wire.ErrorCode) { r.story = append(r.story, name+" "+code.String()) })
	if code != wire.None {
		r.story = append(r.story, name+" refused "+code.String())
	}
}

func (r *rig) expect(want ...string) {
	r.Helper()
	if got := strings.Join(r.story, "; "); got != strings.Join(want, "; ") {
		r.Errorf("it went: %s\nwant: %s", got, strings.Join(want, "; "))
	}
	r.story = nil
}

// TestReplyWaits: a decision is applied at once and answered when its records are committed; a reading reply waits for what it rests on.
func TestReplyWaits(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.expect("loaded 0")
	r.put("a", "k", "1")
	r.put("b", "k", "2")
	if got := r.shard().values["k"]; got != "2" {
		t.Errorf("the state is %q", got)
	}
	r.shard().host.Settle(func(code wire.ErrorCode) { r.story = append(r.story, "read "+code.String()) })
	r.expect()
	r.commit()
	r.expect("a NONE", "b NONE", "read NONE")
	r.shard().host.Settle(func(code wire.ErrorCode) { r.story = append(r.story, "read "+code.String()) })
	r.expect("read NONE")
	r.refuse = wire.NotEnoughReplicas
	r.put("c", "k", "3")
	r.expect("c refused COORDINATOR_NOT_AVAILABLE")
	if got := r.shard().values["k"]; got != "2" {
		t.Errorf("what was refused has changed the state to %q", got)
	}
}

// TestDeposed: who waits is told that it is over, and the watermark of another epoch completes nothing (CG01).
func TestDeposed(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.put("a", "k", "1")
	r.epoch++
	r.commit()
	r.expect("loaded 0", "unloaded NOT_COORDINATOR", "a NOT_COORDINATOR")
	if _, code := r.runtime.Shard(0); code != wire.NotCoordinator {
		t.Error(code)
	}
	r.runtime.Elected(0, r)
	if _, code := r.runtime.Shard(0); code != wire.CoordinatorLoadInProgress {
		t.Error(code)
	}
	r.run()
	r.expect("loaded 1")
	r.put("b", "k", "2")
	r.leads = false
	r.runtime.Resigned(0)
	r.expect("unloaded NOT_COORDINATOR", "b NOT_COORDINATOR")
}

// TestLease: a leader that may not answer for now refuses, and goes on when it may.
func TestLease(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.put("a", "k", "1")
	shard := r.shard()
	r.unleased = true
	if _, code := r.runtime.Shard(0); code != wire.NotCoordinator {
		t.Error(code)
	}
	shard.host.Settle(func(code wire.ErrorCode) { r.story = append(r.story, "read "+code.String()) })
	r.commit()
	r.expect("loaded 0", "read NOT_COORDINATOR", "a NONE")
	r.unleased = false
	if r.shard() != shard {
		t.Error("the shard did not stay")
	}
}

// TestTimeout: who has waited too long is answered; what becomes of the records is open.
func TestTimeout(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.put("a", "k", "1")
	r.now += env.Instant(600 * time.Millisecond)
	r.put("b", "k", "2")
	r.now += env.Instant(500 * time.Millisecond)
	r.timers.Fire(r.now)
	r.expect("loaded 0", "a COORDINATOR_NOT_AVAILABLE")
	r.commit()
	r.expect("b NONE")
	if r.timers.Len() != 0 {
		t.Error("a timer is left")
	}
}

// TestLoad reads a log in many chunks and steps; later records win, transactions count when they end.
func TestLoad(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	for i := range 20 {
		r.put("x", "k", fmt.Sprint(i), fmt.Sprint("own", i), "v", "gone", "v", "gone", "")
	}
	host := r.shard().host
	done := func(wire.ErrorCode) {}
	for _, p := range []record.ProducerID{1, 2, 3} {
		b := Batch{Records: []Record{{Key: fmt.Appendf(nil, "txn%d", p), Value: []byte("v")}}, Transactional: true, Producer: p}
		if code := host.Append(b, done); code != wire.None {
			t.Fatal(code)
		}
	}
	host.EndTransaction(1, 0, record.Marker{Type: record.Commit}, done)
	host.EndTransaction(2, 0, record.Marker{Type: record.Abort}, done)
	before := fmt.Sprint(r.shard().values, r.shard().staged)
	r.epoch++
	r.runtime.Elected(0, r)
	r.reads = 0
	r.run()
	if after := fmt.Sprint(r.shard().values, r.shard().staged); after != before {
		t.Errorf("loaded %s\nwant   %s", after, before)
	}
	if r.reads < 5 {
		t.Errorf("%d reads", r.reads)
	}
}

// TestUnreadableLog: it is tried again, from the start.
func TestUnreadableLog(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.put("a", "k", "1")
	r.commit()
	r.epoch++
	r.broken = errors.New("the disk is on fire")
	r.runtime.Elected(0, r)
	r.run()
	if _, code := r.runtime.Shard(0); code != wire.CoordinatorNotAvailable {
		t.Error(code)
	}
	r.broken = nil
	r.batches[0][30] ^= 1
	r.now += env.Instant(loadRetry)
	r.timers.Fire(r.now)
	r.run()
	r.batches[0][30] ^= 1
	r.now += env.Instant(2 * loadRetry)
	r.timers.Fire(r.now)
	r.run()
	r.expect("loaded 0", "a NONE", "unloaded NOT_COORDINATOR", "coordinator could not be loaded", "coordinator could not be loaded", "loaded 1")
	if got := r.shard().values["k"]; got != "1" {
		t.Errorf("k is %q", got)
	}
}

// TestElectedWhileLoading: a load that is overtaken by an election gives way, and its lane to the next.
func TestElectedWhileLoading(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	for range 10 {
		r.put("x", "k", "v")
	}
	r.commit()
	r.story = nil
	for range 3 * LoadLanes {
		r.epoch++
		r.runtime.Elected(0, r)
		job := r.jobs[0]
		r.jobs = r.jobs[1:]
		if done := job(); done != nil {
			done()
		}
	}
	r.run()
	r.expect("unloaded NOT_COORDINATOR", "loaded 1")
	for lane, taken := range r.runtime.lanes {
		if taken {
			t.Errorf("lane %d is still taken", lane)
		}
	}
}

// TestElectedUnheardOf: the replica leads in another epoch, of which the coordinator has not been told yet: a timer of a shard, say, is faster. Nothing is written or
// told by what was known in the epoch before, for others may have written since (C10).
func TestElectedUnheardOf(t *testing.T) {
	r := newRig(t)
	r.runtime.Elected(0, r)
	r.put("a", "k", "1")
	r.commit()
	h := r.shard().host
	r.expect("loaded 0", "a NONE")
	for what, elect := range map[string]func(){"elected again": func() { r.epoch++ }, "deposed": func() { r.leads = false }} {
		elect()
		written := len(r.batches)
		told := func(code wire.ErrorCode) { r.story = append(r.story, "told "+code.String()) }
		code := h.Append(Batch{Records: []Record{{Key: []byte("k"), Value: []byte("2")}}}, told)
		mark := h.EndTransaction(1, 0, record.Marker{Type: record.Commit}, told)
		if code != wire.NotCoordinator || mark != wire.NotCoordinator || len(r.batches) != written {
			t.Errorf("%s: %v and %v, %d batches are written", what, code, mark, len(r.batches)-written)
		}
		h.Settle(told)
		r.expect("told NOT_COORDINATOR")
		r.epoch, r.leads = 0, true
	}
}
