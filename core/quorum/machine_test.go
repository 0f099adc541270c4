package quorum_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/env"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/sim"
)

const dir = "__cluster_metadata-0"

// entry is what a machine has applied.
type entry struct {
	at   quorum.Position
	data string
}

// machine is one node with a quorum, a real log on a simulated disk, and the least of a store around it.
type machine struct {
	t        *testing.T
	id       record.NodeID
	options  quorum.Options
	seed     uint64
	disk     *sim.Disk
	clock    *sim.ManualClock
	diskless bool // a broker that is no controller has no metadata log

	// what the store's own files would say of the log
	recoveryPoint, start record.Offset

	// of one life
	lives    uint64
	lanes    *sim.Lanes
	log      *store
	q        *quorum.Quorum
	image    []entry // everything applied, as a snapshot holds it too
	restored int     // times an image was replaced
	leading  bool
	failure  error
	outbox   []quorum.Outgoing
	died     bool
	deciding bool // a proposal is under way
}

func address(id record.NodeID) string { return fmt.Sprintf("controller-%d:9093", id) }

func newMachine(t *testing.T, id record.NodeID, clock *sim.ManualClock, seed uint64, voters ...record.NodeID) *machine {
	m := &machine{
		t: t, id: id, seed: seed, clock: clock,
		disk: sim.NewDisk(sim.DiskOptions{Seed: seed, Actor: uint64(id)}),
		options: quorum.Options{
			Node: id, Directory: quorum.Directory{byte(id), 1}, ClusterID: "cluster", Address: address(id),
			Dir: dir, Lane: 1, ElectionTimeout: time.Second, ElectionBackoff: time.Second,
			FetchTimeout: 2 * time.Second, SnapshotBytes: 1 << 20,
		},
	}
	for _, v := range voters {
		m.options.Voters = append(m.options.Voters, quorum.Voter{ID: v, Address: address(v)})
	}
	m.format()
	return m
}

// format makes the metadata log.
func (m *machine) format() {
	m.recoveryPoint, m.start = 0, 0
	m.survive(func() {
		r, err := commitlog.Create(m.disk, dir, quorum.Partition(), 0, m.clock.Wall())
		if err != nil {
			m.t.Fatal(err)
		}
		r.Close()
		if err := m.disk.SyncDir("."); err != nil {
			m.t.Fatal(err)
		}
	})
}

// survive runs what may meet a crash, and notes it.
func (m *machine) survive(f func()) {
	if !m.disk.Attempt(f) {
		m.died = true
	}
}

// boot begins a life.
func (m *machine) boot() {
	m.lives++
	m.died, m.leading, m.deciding, m.failure, m.image, m.outbox = false, false, false, nil, nil, nil
	m.lanes = sim.NewLanes(m.seed + m.lives)
	rand := sim.NewRand(m.seed ^ m.lives<<8 ^ uint64(m.id))
	if !m.diskless {
		m.survive(func() {
			s := commitlog.DefaultSettings()
			s.SegmentBytes = 2 << 10
			r, err := commitlog.Open(m.disk, dir, quorum.Partition(), s, m.claims())
			if err != nil {
				m.t.Fatalf("seed %d, node %d, life %d: %v", m.seed, m.id, m.lives, err)
			}
			m.log = &store{Log: commitlog.New(r, s, sim.NewMemory(), rand, m.clock.Now(), m.clock.Wall()), jobs: m.lanes}
		})
		if m.died {
			return
		}
	}
	m.q = quorum.New(quorum.Ports{Disk: m.disk, Jobs: m.lanes, Clock: m.clock, Rand: rand}, m.options, quorum.Events{
		Restore: m.restore, Apply: m.apply, Snapshot: m.snapshot,
		Leading: m.lead,
		Send:    func(o quorum.Outgoing) { m.outbox = append(m.outbox, o) },
		Failed:  func(err error) { m.failure = err },
		Damaged: func(err error) { m.failure = err },
	})
	if m.diskless {
		m.q.Start(nil)
	} else {
		m.q.Start(m.log)
	}
	m.run()
}

func (m *machine) lead(leading bool) {
	m.leading = leading
	if _, _, epoch, _ := m.q.Leader(); leading && m.image[len(m.image)-1].at.Epoch != epoch {
		m.t.Fatalf("node %d leads in epoch %d and has not applied an entry of it (M7)", m.id, epoch)
	}
}

func (m *machine) apply(at quorum.Position, data []byte) {
	if n := len(m.image); int(at.Offset) != n || n > 0 && at.Epoch < m.image[n-1].at.Epoch {
		m.t.Fatalf("node %d: entry at %v applied behind %d (M4)", m.id, at, n)
	}
	m.image = append(m.image, entry{at, string(data)})
}

func (m *machine) snapshot() []byte {
	var p []byte
	for _, e := range m.image {
		p = binary.AppendVarint(p, int64(e.at.Epoch))
		p = binary.AppendUvarint(p, uint64(len(e.data)))
		p = append(p, e.data...)
	}
	return p
}

func (m *machine) restore(at quorum.Position, p []byte) error {
	before := len(m.image)
	m.image = nil
	m.restored++
	for len(p) > 0 {
		epoch, n := binary.Varint(p)
		size, k := binary.Uvarint(p[n:])
		p = p[n+k:]
		m.image = append(m.image, entry{quorum.Position{Offset: record.Offset(len(m.image)), Epoch: record.Epoch(epoch)}, string(p[:size])})
		p = p[size:]
	}
	if n := len(m.image); n == 0 || m.image[n-1].at != at {
		return fmt.Errorf("image of %d entries for %v (M5)", n, at)
	} else if n <= before {
		m.t.Fatalf("node %d: image of %d entries restored over one of %d (M6)", m.id, n, before)
	}
	return nil
}

// run drains everything that can go on without time.
func (m *machine) run() {
	for m.step() {
	}
}

// step runs one job; false if there is none, or the machine is down.
func (m *machine) step() bool {
	if m.down() {
		return false
	}
	more := false
	m.survive(func() {
		m.drained()
		more = m.lanes.Step()
		m.drained()
		m.claim()
	})
	return more && !m.died
}

// drained ends a drain.
func (m *machine) drained() {
	m.q.EndDrain()
	if m.log != nil {
		m.log.EndDrain()
	}
}

// claim writes down how far the log is synced and where it starts, as a store does from time to time.
func (m *machine) claim() {
	if m.log == nil {
		return
	}
	mark := m.log.RecoveryMark()
	m.recoveryPoint, m.start = m.log.RecoveryPoint(), m.log.StartOffset()
	m.log.Checkpointed(mark)
}

func (m *machine) claims() commitlog.OpenOptions {
	return commitlog.OpenOptions{Wall: m.clock.Wall(), RecoveryPoint: m.recoveryPoint, StartOffset: m.start}
}

func (m *machine) down() bool { return m.q == nil || m.died }

// power cuts the power.
func (m *machine) power() {
	m.q = nil
	m.disk.Power()
}

// kill ends the process.
func (m *machine) kill() {
	m.q = nil
	m.disk.Kill()
}

// store is the least that a log needs: what is appended is written and synced, in turns.
type store struct {
	*commitlog.Log
	jobs    env.Jobs
	advance func()
	busy    bool
}

// OnAdvance is the store's part of quorum.Log.
func (s *store) OnAdvance(f func()) { s.advance = f }

func (s *store) EndDrain() {
	if s.busy {
		return
	}
	w := s.TakeWrites()
	if w == nil {
		s.sync()
		return
	}
	s.busy = true
	s.jobs.Start(2, func() func() {
		w.Run()
		return func() {
			s.busy = false
			_ = s.Wrote(w)
			s.told()
			s.sync()
		}
	})
}

func (s *store) sync() {
	job := s.TakeSync()
	if job == nil {
		return
	}
	s.jobs.Start(3, func() func() {
		job.Run()
		return func() {
			_ = s.Synced(job)
			s.told()
		}
	})
}

func (s *store) told() {
	if s.advance != nil {
		s.advance()
	}
}

// propose proposes, and returns where its outcome will stand.
func (m *machine) propose(data string) *outcome {
	o := &outcome{data: data, by: m, life: m.lives}
	m.q.Propose([]byte(data), func(err error) { o.done, o.err = true, err })
	return o
}

type outcome struct {
	data string
	by   *machine
	life uint64
	done bool
	err  error
}
