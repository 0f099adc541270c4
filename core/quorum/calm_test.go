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
)

// calm lets time pass without faults: what is sent arrives within a millisecond, and disks are faster.
func (c *cluster) calm(d time.Duration) {
	c.faults = false
	for end := c.clock.Now().Add(d); c.clock.Now() < end; {
		c.pass(time.Millisecond)
		c.still()
	}
}

// still goes on until nothing happens without time.
func (c *cluster) still() {
	for {
		for _, m := range c.machines {
			m.run()
		}
		if c.collect(); len(c.flying) == 0 {
			return
		}
		for range len(c.flying) {
			c.deliver()
		}
	}
}

// until lets time pass until something is so, and says how long it took.
func (c *cluster) until(what string, limit time.Duration, so func() bool) time.Duration {
	c.t.Helper()
	c.still()
	for began := c.clock.Now(); ; {
		took := c.clock.Now().Sub(began)
		if so() {
			return took
		}
		if took > limit {
			c.fatalf("not within %v: %s", limit, what)
		}
		c.calm(time.Millisecond)
	}
}

func (c *cluster) led() bool { return c.leader() != nil }

// write has the leader write an entry, and waits for it.
func (c *cluster) write(data string) {
	c.t.Helper()
	done := false
	c.leader().q.Propose([]byte(data), func(err error) {
		if done = true; err != nil {
			c.fatalf("write %s: %v", data, err)
		}
	})
	c.until("it is written", time.Second, func() bool { return done })
}

func (c *cluster) isVoter(m *machine) bool {
	l := c.leader()
	return l != nil && slices.ContainsFunc(l.q.Describe().Voters, func(r quorum.Replica) bool {
		return r.Node == m.id && r.Directory == m.options.Directory
	})
}

func calmCluster(t *testing.T, founders int) *cluster {
	c := newCluster(t, 1, founders)
	c.until("somebody leads", 5*time.Second, c.led)
	c.calm(time.Second)
	return c
}

// The first voters find each other, write down who they are, and everybody follows.
func TestForms(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	c.write("hello")
	c.until("everybody has it", time.Second, func() bool {
		return !slices.ContainsFunc(c.machines, func(m *machine) bool { return !m.has("hello") })
	})
	c.judge()
	d := c.leader().q.Describe()
	if len(d.Voters) != 3 || len(d.Observers) != 2 || d.HighWatermark != c.leader().log.EndOffset() {
		t.Errorf("%+v", d)
	}
	for _, r := range append(d.Voters, d.Observers...) {
		if r.LogEnd < d.HighWatermark-1 || r.LastFetch < c.clock.Wall()-1000 || r.LastCaughtUp < 0 {
			t.Errorf("%+v of %+v", r, d)
		}
	}
}

// One that never was there is waited for, as long as nobody knows whether it would have voted otherwise; two of three go on without the third
// once all have met.
func TestAllMeetFirst(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, 3)
	late := c.machines[2]
	late.kill()
	c.calm(20 * time.Second)
	if c.leader() != nil {
		t.Fatal("somebody leads")
	}
	c.reboot(late)
	c.until("somebody leads", 5*time.Second, c.led)
	late.kill()
	c.until("somebody leads", 5*time.Second, c.led)
}

// Nodes that start together wait for no leader as long as nodes do that have lost one; who comes back to a leader does not disturb it.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	timeout := c.machines[0].options.ElectionTimeout
	for _, m := range c.machines {
		m.kill()
	}
	for _, m := range c.machines {
		c.reboot(m)
	}
	if took := c.until("somebody leads", 5*time.Second, c.led); took > timeout/2 {
		t.Errorf("nobody led for %v; an election timeout is %v", took, timeout)
	}
	c.calm(time.Second)
	first, term := c.leader(), c.leader().q.Describe().Epoch
	for _, m := range c.machines[:3] {
		if m != first {
			m.kill()
			c.calm(100 * time.Millisecond)
			c.reboot(m)
			c.calm(2 * time.Second)
		}
	}
	if l := c.leader(); l != first || l.q.Describe().Epoch != term {
		t.Error("who came back has deposed the leader")
	}
}

// An orderly restart of each node in turn: somebody leads all the time but for some milliseconds, and no proposal is lost.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	for _, m := range c.machines[:3] {
		over := false
		m.q.HandOver(func() { over = true })
		c.until("it has handed over", 50*time.Millisecond, func() bool { return over })
		if took := c.until("another leads", 50*time.Millisecond, c.led); took > 10*time.Millisecond {
			t.Errorf("node %d: nobody led for %v", m.id, took)
		}
		if c.leader() == m {
			t.Fatalf("node %d still leads", m.id)
		}
		m.q.Stop()
		m.kill()
		c.write(fmt.Sprint("without ", m.id))
		c.calm(3 * time.Second)
		m.boot()
		c.checked[m] = 0
		c.until("it has caught up", time.Second, func() bool { return len(m.image) == len(c.history) })
	}
}

// A voter that comes back without its disk takes no part as the voter that it was; it is replaced by itself.
func TestWipedVoterIsReplaced(t *testing.T) {
	t.Parallel()
	for _, victim := range []func(c *cluster) *machine{
		func(c *cluster) *machine { return c.leader() },
		func(c *cluster) *machine { return c.machines[c.leader().id%3] },
	} {
		c := calmCluster(t, 3)
		for i := range 20 {
			c.write(fmt.Sprint("entry ", i, strings.Repeat("x", 100)))
		}
		m := victim(c)
		before := m.options.Directory
		c.empty(m)
		took := c.until("it votes again", 20*time.Second, func() bool { return c.isVoter(m) })
		d := c.leader().q.Describe()
		if len(d.Voters) != 3 || slices.ContainsFunc(append(d.Voters, d.Observers...), func(r quorum.Replica) bool { return r.Directory == before }) {
			t.Errorf("%+v", d)
		}
		t.Logf("replaced after %v", took)
		c.write("after")
		c.calm(time.Second)
		if !m.has("after") || !m.has("entry 0"+strings.Repeat("x", 100)) {
			t.Error("it lacks entries")
		}
	}
}

// firstRelease puts a state file in place as the first release has it.
func (m *machine) firstRelease() {
	m.survive(func() {
		f, err := m.disk.Open(dir+"/quorum-state", env.ReadWrite)
		if err != nil {
			m.t.Fatal(err)
		}
		if err := errors.Join(f.Truncate(0), f.WriteAt(0, quorum.FirstState(2)), f.Sync(), f.Close()); err != nil {
			m.t.Fatal(err)
		}
	})
}

// A single broker, as the first release left it, becomes a cluster of three while it runs, and one of one again.
func TestOneBecomesThree(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, 1)
	first := c.machines[0]
	first.kill()
	c.machines = c.machines[:1]
	first.options.Address = ""
	first.options.Voters = []quorum.Voter{{ID: 1}}
	first.boot()
	c.write("single")
	first.kill()
	first.firstRelease()
	first.options.Address = address(1)
	first.boot()
	c.checked[first] = 0
	if !first.leading || !first.has("single") {
		t.Fatal("it does not go on")
	}
	for id := record.NodeID(2); id <= 3; id++ {
		m := newMachine(t, id, c.clock, 1)
		m.options.Observer, m.options.Bootstrap = true, []string{address(1)}
		c.machines = append(c.machines, m)
		m.boot()
	}
	for _, m := range c.machines[1:] {
		var result error
		done := false
		first.q.AddVoter(m.id, m.options.Directory, m.options.Address, func(err error) { result, done = err, true })
		c.until("it is added", 5*time.Second, func() bool { return done })
		if result != nil || !c.isVoter(m) {
			t.Fatalf("add node %d: %v", m.id, result)
		}
	}
	c.write("three")
	c.calm(time.Second)
	c.judge()
	first.kill()
	c.until("another leads", 5*time.Second, c.led)
	c.reboot(first)
	c.write("without the first")
	c.calm(time.Second)
	for range 2 {
		l := c.leader()
		gone := c.machines[l.id%3]
		if !c.isVoter(gone) {
			gone = c.machines[(l.id+1)%3]
		}
		var result error
		done := false
		l.q.RemoveVoter(gone.id, gone.options.Directory, func(err error) { result, done = err, true })
		c.until("it is removed", 5*time.Second, func() bool { return done })
		if result != nil || c.isVoter(gone) {
			t.Fatalf("remove node %d: %v", gone.id, result)
		}
	}
	c.write("alone")
	c.until("the others follow", 10*time.Second, func() bool {
		return c.machines[0].has("alone") && c.machines[1].has("alone") && c.machines[2].has("alone")
	})
	if err := refusal(func(done func(error)) {
		c.leader().q.RemoveVoter(c.leader().id, c.leader().options.Directory, done)
	}); !errors.Is(err, quorum.ErrLastVoter) {
		t.Errorf("the last voter: %v", err)
	}
}

func refusal(ask func(done func(error))) (result error) {
	ask(func(err error) { result = err })
	return result
}

func TestChangesAreRefused(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	l, spare := c.leader(), c.machines[3]
	other := c.machines[l.id%3]
	add := func(at *machine, id record.NodeID, d quorum.Directory, address string) error {
		return refusal(func(done func(error)) { at.q.AddVoter(id, d, address, done) })
	}
	remove := func(at *machine, id record.NodeID, d quorum.Directory) error {
		return refusal(func(done func(error)) { at.q.RemoveVoter(id, d, done) })
	}
	for what, got := range map[string][2]error{
		"not the leader adds":    {add(other, spare.id, spare.options.Directory, "x:1"), quorum.ErrNotLeader},
		"not the leader removes": {remove(other, l.id, l.options.Directory), quorum.ErrNotLeader},
		"there already":          {add(l, other.id, other.options.Directory, "x:1"), quorum.ErrDuplicate},
		"another directory":      {add(l, other.id, quorum.Directory{99}, "x:1"), quorum.ErrDuplicate},
		"no directory":           {add(l, spare.id, quorum.Directory{}, "x:1"), quorum.ErrNoVoter},
		"no address":             {add(l, spare.id, spare.options.Directory, ""), quorum.ErrNoVoter},
		"no member":              {remove(l, spare.id, spare.options.Directory), quorum.ErrNoVoter},
		"wrong directory":        {remove(l, other.id, quorum.Directory{99}), quorum.ErrNoVoter},
	} {
		if !errors.Is(got[0], got[1]) {
			t.Errorf("%s: %v, want %v", what, got[0], got[1])
		}
	}
	var first error
	l.q.AddVoter(spare.id, spare.options.Directory, spare.options.Address, func(err error) { first = err })
	if err := remove(l, other.id, other.options.Directory); !errors.Is(err, quorum.ErrChanging) {
		t.Errorf("two at a time: %v", err)
	}
	second := add(l, spare.id, spare.options.Directory, spare.options.Address)
	if !errors.Is(first, quorum.ErrChanging) || second != nil {
		t.Errorf("asked again: %v, %v", first, second)
	}
	c.until("it is added", 5*time.Second, func() bool { return c.isVoter(spare) })
	if err := remove(l, l.id, l.options.Directory); err != nil {
		t.Errorf("the leader: %v at once", err)
	}
	c.until("another leads", time.Second, func() bool { return c.led() && c.leader() != l })
}

// An observer far behind gets the image in pieces, and goes on from where it is when the voter that it pulls from goes away.
func TestImageInPieces(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	behind := c.machines[4]
	behind.kill()
	for i := range 6 {
		c.write(fmt.Sprint(i, strings.Repeat("x", 1<<20)))
	}
	c.calm(time.Second)
	c.checked[behind] = 0
	behind.boot()
	for range 3 { // some pieces
		behind.run()
		c.collect()
		for range len(c.flying) {
			c.deliver()
		}
	}
	if len(behind.image) > 0 {
		t.Fatal("it came in one piece")
	}
	l := c.leader()
	l.kill()
	c.until("it is there", 10*time.Second, func() bool { return len(behind.image) >= len(c.history) && len(behind.image) > 6 })
	c.reboot(l)
}

// Payloads of another cluster, or of somebody who is not who they say, are dropped.
func TestStrangersAreNotHeard(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	stranger := newMachine(t, 2, c.clock, 7, 1, 2, 3)
	stranger.options.ClusterID = "another"
	stranger.boot()
	impostor := newMachine(t, 2, c.clock, 7, 1, 2, 3)
	impostor.options.Directory = quorum.Directory{77}
	impostor.boot()
	target, before := c.machines[0], c.machines[0].q.Describe()
	for _, m := range []*machine{stranger, impostor} {
		for range 50 {
			c.clock.Advance(100 * time.Millisecond)
			m.q.Tick()
			m.run()
			for _, o := range m.outbox {
				calls := 0
				target.q.Receive(o.Payload, func(p []byte) {
					if calls++; p != nil {
						m.q.Receive(p, nil)
					}
				})
				if calls != 1 && !o.Polls {
					t.Errorf("%d answers", calls)
				}
			}
			m.outbox = nil
			c.still()
		}
	}
	if after := target.q.Describe(); len(after.Voters) != len(before.Voters) || after.Voters[1].Directory != before.Voters[1].Directory {
		t.Errorf("%+v, before %+v", after, before)
	}
	if len(stranger.image) > 0 || impostor.leading {
		t.Error("a stranger was told")
	}
}

// Who has confirmed has all that anybody was told before; who is cut off is told nothing.
func TestConfirm(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	l := c.leader()
	var results []error
	for range 3 {
		l.q.Confirm(func(err error) { results = append(results, err) })
	}
	c.until("all are answered", 100*time.Millisecond, func() bool { return len(results) == 3 })
	if slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
		t.Errorf("%v", results)
	}
	c.cut[l.id], c.deaf[l.id] = env.Never, env.Never
	results = nil
	l.q.Confirm(func(err error) { results = append(results, err) })
	c.calm(10 * time.Second)
	if len(results) != 1 || !errors.Is(results[0], quorum.ErrNotLeader) || l.leading {
		t.Errorf("%v, leading %v", results, l.leading)
	}
	if err := refusal(func(done func(error)) { l.q.Confirm(done) }); !errors.Is(err, quorum.ErrNotLeader) {
		t.Errorf("%v", err)
	}
	single := alone(t, 1)
	single.boot()
	if err := refusal(func(done func(error)) { single.q.Confirm(done) }); err != nil {
		t.Errorf("alone: %v", err)
	}
}

// A voter that has lost its metadata log and kept the rest of its data directory has lost its votes too.
func TestLostLogIsNoticed(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	c.write("before")
	m := c.machines[c.leader().id%3]
	m.q = nil
	m.disk.Wipe()
	m.format()
	c.checked[m] = 0
	m.boot()
	c.calm(10 * time.Second)
	if d := m.q.Describe(); !m.has("before") || m.log.EndOffset() > 0 || len(d.Voters) != 3 {
		t.Errorf("log ends at %d; %+v", m.log.EndOffset(), d)
	}
	c.write("after")
	for _, change := range []func(done func(error)){
		func(done func(error)) { c.leader().q.RemoveVoter(m.id, m.options.Directory, done) },
		func(done func(error)) { c.leader().q.AddVoter(m.id, m.options.Directory, m.options.Address, done) },
	} {
		done := false
		change(func(err error) {
			if done = true; err != nil {
				t.Error(err)
			}
		})
		c.until("it is done", 5*time.Second, func() bool { return done })
	}
	if !c.isVoter(m) || m.log.EndOffset() == 0 {
		t.Error("it does not vote again")
	}
}

// TestAnotherOfTheSameNumber: somebody starts a second node with a member's number. It gets the metadata, and never the place of a member that is well.
func TestAnotherOfTheSameNumber(t *testing.T) {
	t.Parallel()
	c := calmCluster(t, 3)
	for _, id := range []record.NodeID{c.leader().id, c.machines[c.leader().id%3].id} {
		twin := newMachine(t, id, c.clock, 7)
		twin.options.Directory, twin.options.Address = quorum.Directory{byte(id), 77}, fmt.Sprintf("twin%d:9093", id)
		twin.options.Observer, twin.options.Bootstrap = true, []string{address(1), address(2), address(3)}
		c.machines = append(c.machines, twin)
		twin.boot()
	}
	for i := range 10 {
		c.calm(time.Second)
		c.write(fmt.Sprint("entry ", i))
	}
	for _, m := range c.machines[:3] {
		if !c.isVoter(m) {
			t.Errorf("node %d votes no more", m.id)
		}
	}
	if d := c.leader().q.Describe(); len(d.Voters) != 3 {
		t.Errorf("%+v", d.Voters)
	}
}
