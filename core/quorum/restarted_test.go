package quorum_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/quorum"
)

// fewCheckpoints has all nodes start anew, with checkpoints so rare that what a test is about stays in the log.
func (c *cluster) fewCheckpoints() {
	for _, m := range c.machines {
		m.kill()
		m.options.SnapshotBytes, m.options.SnapshotInterval = 1<<30, 0
		m.boot()
	}
	c.until("somebody leads", 5*time.Second, c.led)
	c.calm(time.Second)
}

// forgetCommit has the state file say that nothing was committed.
func (m *machine) forgetCommit() {
	m.survive(func() {
		f, err := m.disk.Open(dir+"/quorum-state", env.ReadWrite)
		if err != nil {
			m.t.Fatal(err)
		}
		size, err := f.Size()
		p := make([]byte, size)
		_, readErr := f.ReadAt(p, 0)
		p, stateErr := quorum.ForgetCommit(p)
		if err := errors.Join(err, readErr, stateErr, f.Truncate(0), f.WriteAt(0, p), f.Sync(), f.Close()); err != nil {
			m.t.Fatal(err)
		}
	})
}

// TestMembersOfARestartedVoter: a voter that starts again knows all changes of the members but the last one to be committed, before it has heard of
// anybody: it would else count with the members of long ago (M1).
func TestMembersOfARestartedVoter(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	c.fewCheckpoints()
	l, spare := c.leader(), c.machines[3]
	other := c.machines[l.id%3]
	l.q.AddVoter(spare.id, spare.options.Directory, spare.options.Address, func(error) {})
	c.until("it is added", 5*time.Second, func() bool { return c.isVoter(spare) })
	l.q.RemoveVoter(other.id, other.options.Directory, func(error) {})
	c.until("another one is removed", 5*time.Second, func() bool { return !c.isVoter(other) })
	c.calm(time.Second)
	for _, m := range c.machines {
		m.kill()
	}
	for _, m := range c.machines[:3] {
		if m == other {
			continue
		}
		m.forgetCommit()
		m.boot()
		m.run() // nobody hears it
		if voters := m.q.Voters(); !slices.Contains(voters, spare.id) {
			t.Errorf("node %d begins with the voters %v", m.id, voters)
		}
	}
}

// TestRestartBehindAReplacement: a voter was replaced, which took the votes of all that were left, and another one is gone for good as soon as it was. The
// leader starts anew, and still counts with the new voter: with the members of before there would be no majority ever again.
func TestRestartBehindAReplacement(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	c.fewCheckpoints()
	l, spare := c.leader(), c.machines[3]
	replaced := c.machines[l.id%3]
	l.q.RemoveVoter(replaced.id, replaced.options.Directory, func(error) {})
	c.until("one is removed", 5*time.Second, func() bool { return !c.isVoter(replaced) })
	l.q.AddVoter(spare.id, spare.options.Directory, spare.options.Address, func(error) {})
	c.until("another one votes in its place", 5*time.Second, func() bool { return slices.Contains(l.q.Voters(), spare.id) && c.isVoter(spare) })
	for _, m := range c.machines {
		m.power()
	}
	l.boot()
	spare.boot()
	c.until("the two lead", 10*time.Second, c.led)
}
