package replication_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"lignum/core/api"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/replication"
	"lignum/core/storage"
	"lignum/core/timer"
	"lignum/core/wire"
	"lignum/sim"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rig is a few brokers, each with its own storage, request handlers and replication, and a controller that is a table. Messages take a millisecond.
type rig struct {
	testing.TB
	clock      *sim.ManualClock
	brokers    []*broker
	events     []event
	order      int
	states     map[record.Partition]partition.State
	topic      config.Topic
	altered    []kmsg.AlterPartitionRequest
	controller func(r *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error)
	lost       map[record.Partition]record.NodeID // where a replica is known to be damaged
	renewed    int
	fetches    int
	maxBytes   int32 // of one partition in a fetch
	logged     []string
}

type event struct {
	at    env.Instant
	order int
	fire  func()
}

// broker is one node.
type broker struct {
	r        *rig
	id       record.NodeID
	lanes    *sim.Lanes
	store    *storage.Store
	timers   timer.Queue
	set      *partition.Set
	world    api.World
	handlers *api.Handlers
	manager  *replication.Manager
	cluster  *partition.Cluster
	config   *config.Broker
	down     bool
	slow     bool // its disk does not work
	sessions map[record.NodeID]*api.Session
	replies  map[env.ConnID][]func([]byte)
	memory   *sim.Memory
}

func newRig(t testing.TB, brokers int) *rig { return newRigOf(t, brokers, 1<<20) }

func newRigOf(t testing.TB, brokers int, maxBytes int32) *rig {
	r := &rig{TB: t, maxBytes: maxBytes, clock: sim.NewClock(1_700_000_000_000), states: map[record.Partition]partition.State{}, lost: map[record.Partition]record.NodeID{}, topic: config.DefaultTopic()}
	r.topic.MinInSyncReplicas = 1
	r.controller = r.alter
	for i := range brokers {
		r.brokers = append(r.brokers, newBroker(r, record.NodeID(i)))
	}
	return r
}

func newBroker(r *rig, id record.NodeID) *broker {
	c, err := config.Parse(map[string]string{"node.id": fmt.Sprint(id), "listeners": "PLAINTEXT://127.0.0.1:9092"})
	if err != nil {
		r.Fatal(err)
	}
	b := &broker{
		r: r, id: id, lanes: sim.NewLanes(uint64(id)), set: partition.NewSet(), config: c,
		sessions: map[record.NodeID]*api.Session{}, replies: map[env.ConnID][]func([]byte){}, memory: sim.NewMemory(),
	}
	o := storage.Options{}
	o.Meta.NodeID, o.Meta.ClusterID = id, "cluster"
	o.Journal.FileBytes, o.Journal.Files = 1<<20, 2
	ready := false
	b.store = storage.New(
		storage.Ports{Disk: sim.NewDisk(sim.DiskOptions{Seed: uint64(id)}), Jobs: b.lanes, Memory: b.memory, Clock: r.clock, Rand: sim.NewRand(uint64(id))}, o,
		storage.Events{Ready: func(err error) { ready = err == nil }, Failed: func(err error) { r.Errorf("broker %d: %v", id, err) }})
	b.store.Start()
	for !ready && b.lanes.Step() {
	}
	image := metadata.New()
	for n := range 3 {
		image.Apply(metadata.Position{Offset: record.Offset(n)}, []metadata.Record{
			&metadata.BrokerRegistered{ID: record.NodeID(n), Epoch: metadata.BrokerEpoch(n + 1), Rack: fmt.Sprint("rack", n)}})
	}
	b.world = api.World{
		Clock: r.clock, Rand: sim.NewRand(uint64(id) + 100), Jobs: b.lanes, Timers: &b.timers, Node: id, ClusterID: "cluster", Image: image,
		Partitions: b.set, Config: func() *config.Broker { return b.config }, Full: func() bool { return false },
	}
	b.handlers = api.NewHandlers(b.world)
	b.manager = replication.New(replication.Ports{
		Clock: r.clock, Timers: &b.timers, Fetch: b.fetch, Control: b.control, Renew: b.renew,
		Log: func(_ env.Level, message string, pairs ...any) {
			r.logged = append(r.logged, fmt.Sprint(id, message, pairs))
		},
		BrokerEpoch: func() int64 { return int64(id) + 1 }, Partitions: b.set.All,
	}, replication.Options{
		Node: id, ClusterID: "cluster", Directory: [16]byte{1, byte(id)}, MinBytes: 1, MaxBytes: r.maxBytes, ResponseMaxBytes: 10 << 20,
		Wait: 500 * time.Millisecond, Backoff: time.Second, Timeout: 30 * time.Second, Lag: func() time.Duration { return 10 * time.Second },
	})
	b.cluster = &partition.Cluster{
		Clock: r.clock, AlterISR: b.manager.AlterISR, Fetchable: b.manager.Fetchable, Damaged: b.manager.Damaged, Leased: func() bool { return true },
		BrokerEpoch: func(n record.NodeID) int64 { return int64(n) + 1 }, Active: func(n record.NodeID) bool { return !r.brokers[n].down },
		Lag: func() time.Duration { return 10 * time.Second }, Session: func() time.Duration { return 9 * time.Second },
	}
	b.manager.Start()
	return b
}

// withoutSessions makes a leader that has no room for fetch sessions.
func (b *broker) withoutSessions() {
	b.config.FetchSessionCacheSlots = 0
	b.handlers = api.NewHandlers(b.world)
}

// after has something happen later.
func (r *rig) after(d time.Duration, fire func()) {
	r.order++
	r.events = append(r.events, event{r.clock.Now().Add(d), r.order, fire})
}

// run lets time pass.
func (r *rig) run(d time.Duration) {
	for end := r.clock.Now().Add(d); ; {
		r.settle()
		next := end
		for _, b := range r.brokers {
			next = min(next, b.timers.Deadline())
		}
		first := -1
		for i, e := range r.events {
			if e.at <= next && (first < 0 || e.at < r.events[first].at || e.at == r.events[first].at && e.order < r.events[first].order) {
				first, next = i, e.at
			}
		}
		if next > r.clock.Now() {
			r.clock.Advance(next.Sub(r.clock.Now()))
		}
		if first >= 0 {
			e := r.events[first]
			r.events = append(r.events[:first], r.events[first+1:]...)
			e.fire()
			continue
		}
		due := false
		for _, b := range r.brokers {
			if b.timers.Deadline() <= r.clock.Now() {
				due = true
				b.timers.Fire(r.clock.Now())
			}
		}
		if !due && next >= end {
			r.settle()
			return
		}
	}
}

// settle ends the drains of all brokers and runs their disks.
func (r *rig) settle() {
	for _, b := range r.brokers {
		for range 100 {
			b.handlers.EndDrain()
			b.manager.EndDrain()
			b.store.EndDrain()
			if b.slow || !b.lanes.Step() {
				break
			}
		}
	}
}

// fetch carries a follower's fetch to the leader's handlers, as a frame.
func (b *broker) fetch(leader record.NodeID, _ int, q *wire.FetchRequest, timeout time.Duration, done func([]byte, error)) bool {
	r, to := b.r, b.r.brokers[leader]
	r.fetches++
	frame := wire.BeginRequest(nil, wire.Header{Key: wire.Fetch, Version: replication.FetchVersion})
	frame = q.AppendTo(frame, replication.FetchVersion)
	once := func(body []byte, err error) {
		if d := done; d != nil {
			done = nil
			d(body, err)
		}
	}
	r.after(timeout, func() { once(nil, errTimeout) })
	r.after(time.Millisecond, func() {
		if to.down || b.down {
			return
		}
		s := to.sessions[b.id]
		if s == nil {
			s = api.NewSession(env.ConnID(b.id), env.ConnInfo{}, (*network)(to))
			s.Inter, s.Control = true, true
			to.sessions[b.id] = s
		}
		buffer := b.memory.Get(len(frame) - 4)
		copy(buffer.Bytes(), frame[4:])
		call, err := api.Decode(buffer, record.NewReader(record.Limits{}))
		if err != nil {
			r.Fatal(err)
		}
		to.replies[s.ID] = append(to.replies[s.ID], func(body []byte) {
			r.after(time.Millisecond, func() {
				if !b.down {
					once(body, nil)
				}
			})
		})
		to.handlers.Handle(s, call.(*api.Call))
	})
	return true
}

var errTimeout = fmt.Errorf("no answer in time")

// network takes replies.
type network broker

func (n *network) Send(c env.ConnID, out env.Outgoing) {
	var pieces env.Pieces
	out.Encode(&pieces)
	var frame []byte
	for _, p := range pieces.AppendTo(nil) {
		if p.File == nil {
			frame = append(frame, p.Bytes...)
			continue
		}
		part := make([]byte, p.Len)
		if _, err := p.File.ReadAt(part, p.Off); err != nil {
			n.r.Fatal(err)
		}
		frame = append(frame, part...)
	}
	out.Release()
	reply := n.replies[c][0]
	n.replies[c] = n.replies[c][1:]
	const head = 4 + 4 + 1 // length, correlation, no tags
	reply(frame[head:])
}

func (n *network) Close(env.ConnID)       {}
func (n *network) Resume(env.ConnID)      {}
func (n *network) Dial(string) env.ConnID { return 0 }

// control carries AlterPartition to the controller.
func (b *broker) control(q kmsg.Request, done func(kmsg.Response, error)) {
	if a, ok := q.(*kmsg.AssignReplicasToDirsRequest); ok {
		b.r.after(time.Millisecond, func() { b.r.assign(a, done) })
		return
	}
	b.r.after(time.Millisecond, func() {
		answer, err := b.r.controller(q.(*kmsg.AlterPartitionRequest))
		b.r.after(time.Millisecond, func() {
			if err != nil {
				done(nil, err)
				return
			}
			done(answer, nil)
		})
	})
}

// alter grants every wish that names the present epochs.
func (r *rig) alter(q *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
	r.altered = append(r.altered, *q)
	out := q.ResponseKind().(*kmsg.AlterPartitionResponse)
	for _, t := range q.Topics {
		to := kmsg.NewAlterPartitionResponseTopic()
		to.TopidID = t.TopicID
		for _, p := range t.Partitions {
			id := record.Partition{Topic: t.TopicID, Index: p.Partition}
			s := r.states[id]
			po := kmsg.NewAlterPartitionResponseTopicPartition()
			po.Partition = p.Partition
			switch {
			case record.Epoch(p.LeaderEpoch) != s.LeaderEpoch:
				po.ErrorCode = int16(wire.FencedLeaderEpoch)
			case p.PartitionEpoch != s.PartitionEpoch:
				po.ErrorCode = int16(wire.InvalidUpdateVersion)
			default:
				s.ISR, s.Recovering = nil, false
				for _, m := range p.NewEpochISR {
					s.ISR = append(s.ISR, record.NodeID(m.BrokerID))
				}
				r.decide(id, s)
				po.PartitionEpoch = s.PartitionEpoch + 1
			}
			to.Partitions = append(to.Partitions, po)
		}
		out.Topics = append(out.Topics, to)
	}
	return out, nil
}

// decide makes a new state known to everybody, a while later.
func (r *rig) decide(id record.Partition, s partition.State) {
	s.PartitionEpoch++
	r.states[id] = s
	for _, b := range r.brokers {
		r.after(2*time.Millisecond, func() {
			if p := b.set.Get(id); p != nil && !b.down {
				s := s
				at, lost := r.lost[id]
				s.Lost = lost && at == b.id
				p.Follow(s)
			}
		})
	}
}

// elect makes a broker the leader.
func (r *rig) elect(id record.Partition, leader record.NodeID) {
	s := r.states[id]
	s.Leader, s.LeaderEpoch = leader, s.LeaderEpoch+1
	r.decide(id, s)
}

// create makes partitions with a replica on every broker, led by them in turn.
func (r *rig) create(topic byte, partitions int, isr ...record.NodeID) {
	for i := range partitions {
		id := record.Partition{Topic: record.TopicID{topic}, Index: int32(i)}
		s := partition.State{Leader: record.NodeID(i % len(r.brokers)), ISR: isr}
		for _, b := range r.brokers {
			s.Replicas = append(s.Replicas, b.id)
		}
		if len(isr) == 0 {
			s.ISR = s.Replicas
		}
		r.states[id] = s
		for _, b := range r.brokers {
			p := partition.New(id, fmt.Sprintf("t%d", topic), b.id, r.topic, b.cluster)
			b.set.Add(p)
			p.Follow(s)
			b.store.Create(id, p.Topic, r.topic, p.Opened)
		}
	}
	r.settle()
}

// settled is what became of a batch.
type settled struct {
	code wire.ErrorCode
	done bool
	at   env.Instant
	r    *rig
}

func (s *settled) Waits() bool { return true }

func (s *settled) Settled(_ int, code wire.ErrorCode) {
	s.code, s.done, s.at = code, true, s.r.clock.Now()
}

// produce appends a batch at the leader with acks=all.
func (r *rig) produce(id record.Partition, value string) *settled {
	s := &settled{r: r}
	p := r.brokers[r.states[id].Leader].set.Get(id)
	b := record.NewBuilder(record.None)
	b.Append(record.Record{Timestamp: 1_700_000_000_000, Value: []byte(value)})
	if _, refusal := p.Produce(b.Build(), record.Facts{MaxTimestamp: record.NoTimestamp}, partition.AcksAll, r.clock.Wall(), s, 0); refusal != nil {
		s.code, s.done = refusal.Code, true
	}
	return s
}

// same checks that all logs of a partition are one, and that everybody knows that.
func (r *rig) same(id record.Partition, end record.Offset) {
	r.Helper()
	for _, b := range r.brokers {
		p := b.set.Get(id)
		if b.down {
			continue
		}
		if p.EndOffset() != end || p.HighWatermark() != end {
			r.Errorf("%v on broker %d ends at %d, high watermark %d, want %d", id, b.id, p.EndOffset(), p.HighWatermark(), end)
		}
	}
}

func number(i int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(i))) }

// assign takes a broker's word on its replicas: one that is damaged is in no set.
func (r *rig) assign(q *kmsg.AssignReplicasToDirsRequest, done func(kmsg.Response, error)) {
	node := record.NodeID(q.BrokerID)
	for _, d := range q.Directories {
		for _, t := range d.Topics {
			for _, p := range t.Partitions {
				id := record.Partition{Topic: t.TopicID, Index: p.Partition}
				s := r.states[id]
				delete(r.lost, id)
				if d.ID == ([16]byte)(metadata.LostDirectory) {
					r.lost[id] = node
					s.ISR = slices.DeleteFunc(slices.Clone(s.ISR), func(n record.NodeID) bool { return n == node })
					if s.Leader == node {
						if len(s.ISR) == 0 {
							s.ISR, s.ELR = s.ELR[:1], s.ELR[1:]
						}
						s.Leader, s.LeaderEpoch = s.ISR[0], s.LeaderEpoch+1
					}
				}
				r.decide(id, s)
			}
		}
	}
	r.after(time.Millisecond, func() { done(q.ResponseKind(), nil) })
}

// renew sets a damaged log aside.
func (b *broker) renew(p *partition.Partition) {
	b.r.renewed++
	b.store.SetAside(p.ID, func(_ string, err error) {
		if err != nil {
			b.r.Error(err)
		}
		b.store.Create(p.ID, p.Topic, b.r.topic, p.Opened)
	})
}

// consume is a consumer's fetch of one partition.
func (r *rig) consume(at record.NodeID, id record.Partition, o record.Offset, rack string) wire.FetchResult {
	r.Helper()
	to := r.brokers[at]
	q := wire.FetchRequest{ReplicaID: -1, ReplicaEpoch: -1, SessionEpoch: -1, MaxBytes: 1 << 20, Rack: []byte(rack), Topics: []wire.FetchTopic{{
		ID: id.Topic, Partitions: []wire.FetchPartition{{Index: id.Index, LeaderEpoch: -1, LastFetchedEpoch: -1, LogStart: -1, FetchOffset: int64(o), MaxBytes: 1 << 20}},
	}}}
	frame := q.AppendTo(wire.BeginRequest(nil, wire.Header{Key: wire.Fetch, Version: replication.FetchVersion}), replication.FetchVersion)
	buffer := to.memory.Get(len(frame) - 4)
	copy(buffer.Bytes(), frame[4:])
	call, err := api.Decode(buffer, record.NewReader(record.Limits{}))
	if err != nil {
		r.Fatal(err)
	}
	var response wire.FetchResponse
	s := api.NewSession(1000, env.ConnInfo{}, (*network)(to))
	to.replies[s.ID] = append(to.replies[s.ID], func(body []byte) {
		if err := response.Decode(body, replication.FetchVersion); err != nil {
			r.Fatal(err)
		}
	})
	to.handlers.Handle(s, call.(*api.Call))
	r.run(0)
	if len(response.Topics) == 0 {
		r.Fatalf("no answer: %v", response.Error)
	}
	return response.Topics[0].Partitions[0]
}
