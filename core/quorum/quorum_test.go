package quorum_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/sim"
)

func alone(t *testing.T, seed uint64) *machine {
	return newMachine(t, 1, sim.NewClock(1000), seed, 1)
}

func (m *machine) has(data string) bool {
	return slices.ContainsFunc(m.image, func(e entry) bool { return e.data == data })
}

// A lone voter leads without waiting for any time to pass.
func TestLoneVoterLeadsAtOnce(t *testing.T) {
	t.Parallel()
	m := alone(t, 1)
	m.boot()
	if m.failure != nil || !m.leading || !m.q.Leading() {
		t.Fatalf("leading %v, failure %v", m.leading, m.failure)
	}
	if id, _, epoch, ok := m.q.Leader(); id != 1 || epoch != 1 || !ok {
		t.Errorf("leader %d in epoch %d, %v", id, epoch, ok)
	}
	if d := m.q.Deadline(); d != env.Never {
		t.Errorf("wants a tick at %d", d)
	}
	a, b := m.propose("a"), m.propose("b")
	if a.done {
		t.Error("done before it is durable")
	}
	m.run()
	if !a.done || a.err != nil || !b.done || b.err != nil {
		t.Errorf("%+v %+v", a, b)
	}
	want := []entry{{quorum.Position{Offset: 0, Epoch: 1}, ""}, {quorum.Position{Offset: 1, Epoch: 1}, "a"}, {quorum.Position{Offset: 2, Epoch: 1}, "b"}}
	if !slices.Equal(m.image, want) || m.q.Applied() != 2 {
		t.Errorf("image %v", m.image)
	}
	if n := m.log.EndOffset(); n != 3 {
		t.Errorf("log ends at %d", n)
	}
}

func TestRestartRestoresImage(t *testing.T) {
	t.Parallel()
	for _, snapshotBytes := range []int64{1, 200, 1 << 20} {
		t.Run(fmt.Sprint("snapshot after ", snapshotBytes), func(t *testing.T) {
			t.Parallel()
			m := alone(t, 2)
			m.options.SnapshotBytes = snapshotBytes
			n := 0
			for life := range 5 {
				m.boot()
				if m.failure != nil || !m.leading {
					t.Fatalf("life %d: leading %v, failure %v", life, m.leading, m.failure)
				}
				for range 20 {
					m.propose(fmt.Sprint(strings.Repeat("x", 100), n))
					n++
					m.run()
				}
				count := 0
				for _, e := range m.image {
					if e.data == "" {
						continue
					}
					if want := fmt.Sprint(strings.Repeat("x", 100), count); e.data != want {
						t.Fatalf("life %d: entry %d is %q", life, count, e.data)
					}
					count++
				}
				if count != n {
					t.Fatalf("life %d: %d entries, want %d", life, count, n)
				}
				m.kill()
			}
			if names, _ := m.disk.ReadDir(dir); snapshotBytes < 1<<20 {
				checkpoints, segments := 0, 0
				for _, e := range names {
					checkpoints += strings.Count(e.Name, ".checkpoint")
					segments += strings.Count(e.Name, ".log")
				}
				if checkpoints != 1 || segments > 3 {
					t.Errorf("%d checkpoints, %d segments: %v", checkpoints, segments, names)
				}
			}
		})
	}
}

func TestProposeRefuses(t *testing.T) {
	t.Parallel()
	m := alone(t, 3)
	m.boot()
	for _, data := range []string{"", strings.Repeat("x", 33<<20)} {
		if o := m.propose(data); !errors.Is(o.err, quorum.ErrTooLarge) {
			t.Errorf("%d bytes: %v", len(data), o.err)
		}
	}
	o := m.propose("never durable")
	m.q.Stop()
	if !errors.Is(o.err, quorum.ErrStopped) || m.leading {
		t.Errorf("%+v, leading %v", o, m.leading)
	}
	if o := m.propose("late"); !errors.Is(o.err, quorum.ErrStopped) {
		t.Errorf("%+v", o)
	}
	follower := newMachine(t, 1, sim.NewClock(0), 3, 1, 2, 3)
	follower.boot()
	if o := follower.propose("x"); !errors.Is(o.err, quorum.ErrNotLeader) {
		t.Errorf("%+v", o)
	}
}

// TestEveryCrashPoint lets the power go in each call of a first life, again and again: what was acknowledged is there in the next, and
// no term comes twice.
func TestEveryCrashPoint(t *testing.T) {
	t.Parallel()
	for n := uint64(1); ; n++ {
		m := alone(t, n)
		m.options.SnapshotBytes = 300
		m.disk.CrashAt(n)
		m.boot()
		var outcomes []*outcome
		for i := 0; i < 8 && !m.down(); i++ {
			outcomes = append(outcomes, m.propose(fmt.Sprint("entry ", i, strings.Repeat("x", 60))))
			m.run()
		}
		crashed := m.down()
		epoch := record.Epoch(0)
		if len(m.image) > 0 {
			epoch = m.image[len(m.image)-1].at.Epoch
		}
		m.power()
		m.boot()
		if m.failure != nil || !m.leading {
			t.Fatalf("crash in call %d: leading %v, failure %v", n, m.leading, m.failure)
		}
		for _, o := range outcomes {
			if o.done && o.err == nil && !m.has(o.data) {
				t.Fatalf("crash in call %d: %s was acknowledged and is gone", n, o.data)
			}
		}
		if _, _, again, _ := m.q.Leader(); again <= epoch {
			t.Fatalf("crash in call %d: leads in epoch %d, and did so before (M1)", n, again)
		}
		if !crashed {
			if n < 50 {
				t.Fatalf("only %d calls", n)
			}
			return
		}
	}
}

// A disk that fails ends it; nothing is acknowledged after that.
func TestFailureIsFinal(t *testing.T) {
	t.Parallel()
	for _, kind := range []sim.OpKind{sim.OpSync, sim.OpWrite, sim.OpRename} {
		m := alone(t, 5)
		m.options.SnapshotBytes = 300
		m.boot()
		m.disk.Inject(func(op sim.Op) error {
			if op.Kind == kind {
				return sim.ErrIO
			}
			return nil
		})
		var last *outcome
		for range 20 {
			last = m.propose(strings.Repeat("x", 100))
			m.run()
		}
		if m.failure == nil || m.leading || last.err == nil || !errors.Is(last.err, sim.ErrIO) {
			t.Errorf("%v: failure %v, leading %v, outcome %+v", kind, m.failure, m.leading, last)
		}
	}
}

// What cannot be what was written is not taken for it.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	build := func() *machine {
		m := alone(t, 6)
		m.options.SnapshotBytes = 300
		m.boot()
		for range 40 {
			m.propose(strings.Repeat("x", 100))
			m.run()
		}
		m.kill()
		return m
	}
	names, err := build().disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, e := range names {
		if e.Name != "quorum-state" && !strings.HasSuffix(e.Name, ".checkpoint") || e.Name == "leader-epoch-checkpoint" {
			continue
		}
		damaged++
		for _, damage := range []func(m *machine, path string) error{
			func(m *machine, path string) error { m.disk.Rot(path, 20, 0xff); return nil },
			func(m *machine, path string) error { return m.disk.Remove(path) },
			func(m *machine, path string) error {
				f, err := m.disk.Open(path, env.ReadWrite)
				if err != nil {
					return err
				}
				return errors.Join(f.Truncate(7), f.Close())
			},
		} {
			m := build()
			if err := damage(m, dir+"/"+e.Name); err != nil {
				t.Fatal(err)
			}
			m.boot()
			if !errors.Is(m.failure, quorum.ErrCorrupt) || m.leading {
				t.Errorf("%s: failure %v, leading %v", e.Name, m.failure, m.leading)
			}
		}
	}
	if damaged != 2 {
		t.Errorf("%d files were damaged: %v", damaged, names)
	}
}

// TestTermRots: no checksum covers the term of an entry, but an entry in an impossible term is noticed before anything is applied.
func TestTermRots(t *testing.T) {
	t.Parallel()
	m := alone(t, 6)
	for range 3 {
		m.boot()
		for range 20 {
			m.propose(strings.Repeat("x", 100))
			m.run()
		}
		m.kill()
	}
	m.recoveryPoint = m.log.EndOffset()
	const termAt = 12 // its four bytes in a batch
	m.disk.Rot(dir+"/00000000000000000000.log", termAt+2, 8)
	m.boot()
	if !errors.Is(m.failure, quorum.ErrCorrupt) || m.leading || len(m.image) > 0 {
		t.Errorf("failure %v, leading %v, %d entries applied", m.failure, m.leading, len(m.image))
	}
}

func TestSnapshotByTime(t *testing.T) {
	t.Parallel()
	m := alone(t, 7)
	m.options.SnapshotInterval = time.Minute
	m.boot()
	m.propose("a")
	m.run()
	checkpoints := func() int {
		names, _ := m.disk.ReadDir(dir)
		n := 0
		for _, e := range names {
			if strings.HasSuffix(e.Name, "01.checkpoint") {
				n++
			}
		}
		return n
	}
	if checkpoints() != 0 {
		t.Error("a checkpoint before its time")
	}
	m.clock.Advance(m.q.Deadline().Sub(m.clock.Now()))
	m.q.Tick()
	m.run()
	if checkpoints() != 1 {
		t.Error("no checkpoint in time")
	}
	before := m.q.Deadline()
	m.clock.Advance(before.Sub(m.clock.Now()))
	m.q.Tick()
	m.run()
	if m.log.StartOffset() != 2 || m.q.Deadline() <= before {
		t.Errorf("log starts at %d, deadline %d after %d", m.log.StartOffset(), m.q.Deadline(), before)
	}
}
