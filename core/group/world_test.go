package group

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/coordinator"
	"lignum/core/env"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"
)

// fakeLog is a partition that commits when it is told to, and loses what is not committed at an election.
type fakeLog struct {
	world   *world
	epoch   record.Epoch
	leads   bool
	mark    record.Offset
	end     record.Offset
	batches []record.Batch
	watches []func()
	refuse  wire.ErrorCode
	overlap time.Duration
}

func (f *fakeLog) Leads() (record.Epoch, bool) { return f.epoch, f.leads }

func (f *fakeLog) Leased() bool { return true }

func (f *fakeLog) Overlap() time.Duration { return f.overlap }

func (f *fakeLog) Damaged(error) {}

func (f *fakeLog) Bounds() (start, mark, end record.Offset) { return 0, f.mark, f.end }

func (f *fakeLog) Append(b record.Batch, _ record.Facts) wire.ErrorCode {
	if f.refuse != wire.None {
		return f.refuse
	}
	if !f.leads {
		return wire.NotLeaderOrFollower
	}
	own := append(record.Batch{}, b...)
	own.SetBaseOffset(f.end)
	own.SetLeaderEpoch(f.epoch)
	f.batches = append(f.batches, own)
	f.end = own.NextOffset()
	return wire.None
}

func (f *fakeLog) Watch(fire func()) { f.watches = append(f.watches, fire) }

func (f *fakeLog) wake() {
	watches := f.watches
	f.watches = nil
	for _, fire := range watches {
		fire()
	}
}

// Read cuts the last batch short now and then, as a file does.
func (f *fakeLog) Read(from, upTo record.Offset, maxBytes int, done func([]byte, error)) {
	var data []byte
	for _, b := range f.batches {
		if b.NextOffset() <= from || b.BaseOffset() >= upTo {
			continue
		}
		if len(data) > 0 && len(data)+len(b) > maxBytes {
			data = append(data, b[:max(maxBytes-len(data), 0)]...)
			break
		}
		data = append(data, b...)
	}
	f.world.Start(99, func() func() { return func() { done(data, nil) } })
}

// commit moves the high watermark, to the edge of a batch.
func (f *fakeLog) commit(to record.Offset) {
	for _, b := range f.batches {
		if b.BaseOffset() < to && b.NextOffset() > f.mark {
			f.mark = b.NextOffset()
			f.wake()
		}
	}
}

// cut loses everything from an offset on, at the edge of a batch.
func (f *fakeLog) cut(at record.Offset) {
	i := slices.IndexFunc(f.batches, func(b record.Batch) bool { return b.NextOffset() > at })
	if i < 0 {
		return
	}
	f.end = f.batches[i].BaseOffset()
	f.batches = f.batches[:i]
}

// world is a coordinator on one fake partition, with its clock in the test's hand.
type world struct {
	now      env.Instant
	wall     env.Millis
	timers   timer.Queue
	jobs     []func() func()
	seed     uint64
	log      *fakeLog
	groups   *Coordinator
	settings config.Groups
	own      config.Overrides
	topics   []Topic
	version  record.Offset
	logged   []string
}

func (w *world) Now() env.Instant { return w.now }
func (w *world) Wall() env.Millis { return w.wall }

func (w *world) Uint64() uint64 {
	w.seed += 0x9e3779b97f4a7c15
	z := w.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (w *world) Start(_ env.Lane, run func() func()) { w.jobs = append(w.jobs, run) }

// step runs one job.
func (w *world) step() bool {
	if len(w.jobs) == 0 {
		return false
	}
	run := w.jobs[0]
	w.jobs = w.jobs[1:]
	if done := run(); done != nil {
		done()
	}
	return true
}

// run runs all jobs.
func (w *world) run() {
	for w.step() {
	}
}

// settled runs all jobs and commits everything.
func (w *world) settled() {
	for range 100 {
		for w.step() {
		}
		w.log.commit(w.log.end)
		w.groups.EndDrain()
	}
}

// pass lets time go by, in steps in which timers fire one after another.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); ; {
		at := min(w.timers.Deadline(), end)
		w.wall += env.Millis(max(at-w.now, 0) / env.Instant(time.Millisecond))
		w.now = max(w.now, at)
		if w.timers.Deadline() > w.now {
			return
		}
		w.timers.Fire(w.now)
	}
}

func newWorld(t interface {
	Fatal(...any)
}) *world {
	b, err := config.Parse(map[string]string{"listeners": "PLAINTEXT://127.0.0.1:9092", "group.initial.rebalance.delay.ms": "0"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: 1, wall: 1_700_000_000_000, settings: b.Groups}
	w.settings.LoadBytes = 300
	w.log = &fakeLog{world: w, leads: true}
	w.topics = []Topic{{Name: "t", ID: record.TopicID{1}, Partitions: 4}, {Name: "u", ID: record.TopicID{2}, Partitions: 3}}
	w.groups = NewCoordinator(coordinator.Ports{Clock: w, Jobs: w, Timers: &w.timers, Log: w.note}, 0, w.world(), func() int32 { return 1 })
	w.groups.Elected(0, w.log)
	w.settled()
	return w
}

func (w *world) note(level env.Level, message string, pairs ...any) {
	if level >= env.Warn {
		w.logged = append(w.logged, message+fmt.Sprint(pairs...))
	}
}

func (w *world) world() World {
	return World{Rand: w, Log: w.note, Settings: func() *config.Groups { return &w.settings }, Own: func(string) config.Overrides { return w.own }, Topics: Topics{
		Version: func() record.Offset { return w.version },
		ByName: func(name string) (Topic, bool) {
			i := slices.IndexFunc(w.topics, func(t Topic) bool { return t.Name == name })
			if i < 0 {
				return Topic{}, false
			}
			return w.topics[i], true
		},
		ByID: func(id record.TopicID) (Topic, bool) {
			i := slices.IndexFunc(w.topics, func(t Topic) bool { return t.ID == id })
			if i < 0 {
				return Topic{}, false
			}
			return w.topics[i], true
		},
		Names: func() []string {
			var names []string
			for _, t := range w.topics {
				names = append(names, t.Name)
			}
			slices.Sort(names)
			return names
		},
	}}
}

// elect makes this replica lead in another epoch; of what is not committed it keeps so many bytes' worth of offsets.
func (w *world) elect(keep record.Offset) {
	w.log.leads = false
	w.log.wake()
	w.groups.Resigned(0)
	w.log.cut(max(w.log.mark, min(keep, w.log.end)))
	w.log.epoch++
	w.log.leads = true
	w.groups.Elected(0, w.log)
}

// electQuietly is elect where nobody was told that another replica led in between, wrote something of its own, and had it committed.
func (w *world) electQuietly() {
	lost := w.log.end - w.log.mark
	w.log.cut(w.log.mark)
	w.log.epoch++
	b := record.NewBuilder(record.None)
	for range lost {
		b.Append(record.Record{Key: []byte{0, 99}, Value: []byte("another leader's")})
	}
	if lost > 0 {
		w.log.Append(b.Build(), record.Facts{})
		w.log.commit(w.log.end)
	}
	w.groups.EndDrain()
	w.log.epoch++
	w.groups.Elected(0, w.log)
}

func (w *world) shard(t *testing.T) *Shard {
	t.Helper()
	s, code := w.groups.Find("any")
	if code != wire.None {
		t.Fatalf("no shard: %v", code)
	}
	return s
}

// fold is what a new shard makes of the log.
func (w *world) fold() *Shard {
	var s *Shard
	given := w.world()
	r := coordinator.New(coordinator.Ports{Clock: w, Jobs: w, Timers: &timer.Queue{}, Log: w.note}, coordinator.Options{}, func(h *coordinator.Host) coordinator.Shard {
		s = New(h, &given)
		return s
	})
	r.Elected(0, &fakeLog{world: w, leads: true})
	for _, b := range w.log.batches {
		if m, ok, _ := b.Marker(); ok {
			s.EndTransaction(coordinator.Position{Offset: b.BaseOffset(), Producer: b.ProducerID()}, m.Type == record.Commit)
			continue
		}
		at := coordinator.Position{Producer: record.NoProducer}
		if b.IsTransactional() {
			at.Producer = b.ProducerID()
		}
		_ = b.Each(record.Limits{}, func(r record.Record) error {
			at.Offset = b.BaseOffset() + record.Offset(r.OffsetDelta)
			value := r.Value
			if value != nil {
				value = append([]byte{}, value...)
			}
			s.Replay(at, coordinator.Record{Key: append([]byte{}, r.Key...), Value: value})
			return nil
		})
	}
	return s
}

// dump is what a shard's state is, as far as the log has it. A classic group in the middle of a round is left out.
func (s *Shard) dump(skip map[string]bool) string {
	var b strings.Builder
	for _, id := range s.ids() {
		g := s.groups[id]
		for _, t := range g.offsets.topics {
			for _, c := range t.list {
				fmt.Fprintf(&b, "%s %s %+v\n", id, t.name, c)
			}
		}
		switch {
		case g.consumer != nil:
			b.WriteString(g.consumer.dump(id))
		case g.stored && !skip[id]:
			fmt.Fprintf(&b, "%s %x\n", id, g.classic.record(id, held)[0].Value)
		}
	}
	for i, t := range s.transactions() {
		for _, g := range t.groups {
			for _, topic := range g.topics {
				fmt.Fprintf(&b, "transaction %d %s %s %+v\n", i, g.id, topic.name, topic.list)
			}
		}
	}
	return b.String()
}

// unsettled lists the classic groups whose live state is ahead of the log.
func (s *Shard) unsettled() map[string]bool {
	out := map[string]bool{}
	for id, g := range s.groups {
		if g.consumer == nil && (g.classic.state == preparing || g.classic.state == completing) {
			out[id] = true
		}
	}
	return out
}

// dump is the group as the log has it.
func (c *consumer) dump(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s epoch %d target %d hash %d\n", id, c.epoch, c.targetEpoch, c.hash)
	for _, id := range c.ids() {
		m := c.members[id]
		fmt.Fprintf(&b, "  %s %x %x target %v\n", id, m.facts.encode(), currentRecord("", "", &m.current).Value, c.target[id])
	}
	for _, regex := range c.expressions() {
		fmt.Fprintf(&b, "  %s %v\n", regex, c.regexes[regex])
	}
	return b.String()
}
