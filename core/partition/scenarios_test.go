package partition

import (
	"slices"
	"testing"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"
)

// Days on which systems like this one have lost records. Each is told by the steps that matter; the checks of the cluster judge them.

// newScenario is three nodes under sync; all have heard of everything.
func newScenario(t *testing.T, minInSync int32) (c *cluster, a, b, z *node) {
	c = newCluster(t, 3, config.Sync, minInSync, 1)
	return c, c.nodes[0], c.nodes[1], c.nodes[2]
}

// exchange is one fetch with its answer.
func (n *node) exchange() {
	n.request()
	n.c.deliver(len(n.c.flights)-1, false)
}

// request is a fetch whose answer stays on its way.
func (n *node) request() {
	before := len(n.c.flights)
	n.fetch()
	if len(n.c.flights) == before {
		n.c.fatalf("node %d does not fetch", n.id)
	}
	n.c.deliver(len(n.c.flights)-1, false)
}

// follow fetches and syncs until nothing new comes.
func (n *node) follow() {
	for range 4 {
		n.work(30)
		n.exchange()
	}
	n.work(30)
}

// put has the leader append n records and sync them.
func (n *node) put(records int) {
	n.append(records, AcksAll)
	n.work(30)
}

// suspend fences a node for a moment, which takes it out of the ISR.
func (c *cluster) suspend(n *node) {
	c.fence(n.id, "session over")
	m := c.copy()
	m.active[n.id] = true
	c.decide(m, "let in again")
}

// elected makes a node of the ISR the leader.
func (c *cluster) elected(n *node) {
	m := c.copy()
	m.state.Leader, m.state.LeaderEpoch = n.id, m.state.LeaderEpoch+1
	c.decide(m, "election")
	n.learn(len(c.history))
}

// grant has the controller decide on every wish.
func (c *cluster) grant() {
	for _, q := range c.changes {
		a := c.alter(q.from, q.c)
		q.answer = &a
	}
	c.changes = nil
	for _, n := range c.nodes {
		c.inspect(n)
	}
}

// TestJoinWaitsForTheStartOfTheEpoch (KAFKA-7128): a new leader's mark lags; a follower that has reached the mark may still lack what is committed.
func TestJoinWaitsForTheStartOfTheEpoch(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	c.suspend(z)
	a.learn(len(c.history))
	a.put(3)
	b.exchange()
	b.work(30)
	b.request() // tells the leader, and does not hear of the mark
	if c.top != 3 || b.p.HighWatermark() != 0 {
		t.Fatalf("%d are committed, the mark of b is %d", c.top, b.p.HighWatermark())
	}
	c.elected(b)
	z.learn(len(c.history))
	z.request()
	c.grant()
	if len(c.now().state.ISR) != 2 {
		t.Errorf("ISR %v", c.now().state.ISR)
	}
	z.follow()
	c.grant()
	if len(c.now().state.ISR) != 3 {
		t.Errorf("ISR %v after it has caught up", c.now().state.ISR)
	}
}

// TestMarkWaitsForPendingMembers (KIP-497): the controller has added a member, and the leader has not heard of it yet.
func TestMarkWaitsForPendingMembers(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	c.suspend(z)
	a.learn(len(c.history))
	b.learn(len(c.history))
	z.learn(len(c.history))
	z.exchange()
	c.grant() // the answer and the metadata are late
	c.clock.Advance(2 * lagMax)
	a.put(2)
	b.follow()
	if c.top != 0 {
		t.Errorf("%d are committed without the new member", c.top)
	}
	z.follow()
	c.inspect(a)
	if c.top != 2 {
		t.Errorf("%d are committed", c.top)
	}
}

// TestShrinkWaitsForTheController: who is to leave the ISR counts until the controller has agreed, for it may be elected until then.
func TestShrinkWaitsForTheController(t *testing.T) {
	c, a, b, _ := newScenario(t, 1)
	c.clock.Advance(lagMax)
	a.put(2)
	b.follow()
	c.clock.Advance(lagMax / 2)
	a.p.Tick(c.clock.Now())
	c.inspect(a)
	if len(c.changes) != 1 || c.top != 0 {
		t.Fatalf("%d wishes, %d are committed", len(c.changes), c.top)
	}
	c.grant()
	a.learn(len(c.history))
	if c.top != 2 || len(c.now().state.ISR) != 2 {
		t.Errorf("%d are committed, ISR %v", c.top, c.now().state.ISR)
	}
}

// TestLeaderThatCameBackWithALongerLog (KAFKA-13141, KAFKA-14704): its first fetch counts for nothing, and it shows nothing of what it must cut.
func TestLeaderThatCameBackWithALongerLog(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(2)
	b.follow()
	z.follow()
	a.put(3) // nobody gets these
	c.elected(b)
	z.learn(len(c.history))
	b.put(4)
	z.follow()
	z.exchange()
	a.learn(len(c.history))
	if c.top != 2 {
		t.Fatalf("%d are committed without a", c.top)
	}
	a.request()
	c.inspect(b)
	if c.top != 2 {
		t.Errorf("%d are committed by a fetch of another log", c.top)
	}
	c.deliver(len(c.flights)-1, false)
	if a.p.EndOffset() != 2 || a.p.HighWatermark() > 2 {
		t.Errorf("a ends at %d, mark %d", a.p.EndOffset(), a.p.HighWatermark())
	}
	a.follow()
	c.inspect(b)
	if c.top != 6 || a.p.EndOffset() != 6 {
		t.Errorf("%d are committed, a ends at %d", c.top, a.p.EndOffset())
	}
}

// TestMarkWaitsForTheCut (KAFKA-14704): two elections make a follower cut its log twice; until then the leader's mark is not for it.
func TestMarkWaitsForTheCut(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(1)
	b.follow()
	z.follow()
	a.put(2) // nobody gets these
	c.elected(b)
	b.put(3)
	c.elected(a)
	a.put(1)
	c.suspend(a)
	c.elected(b)
	b.put(1)
	z.learn(len(c.history))
	z.follow()
	z.exchange()
	if c.top != 5 {
		t.Fatalf("%d are committed", c.top)
	}
	a.learn(len(c.history))
	for range 3 {
		a.exchange()
		a.work(30)
	}
	if a.p.EndOffset() != 5 {
		t.Errorf("a ends at %d", a.p.EndOffset())
	}
}

// TestAnswerOfAnEarlierEpoch (KAFKA-7164): the same leader again, after another one in between; what it said before is not for now.
func TestAnswerOfAnEarlierEpoch(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(2)
	b.request() // with two records
	late := c.flights[len(c.flights)-1]
	c.elected(z)
	c.elected(a)
	b.learn(len(c.history))
	c.flights = append(c.flights[:0], late)
	c.deliver(0, false)
	if b.p.EndOffset() != 0 {
		t.Error("b has taken records of an epoch that is over")
	}
	b.follow()
	if b.p.EndOffset() != 2 {
		t.Errorf("b ends at %d", b.p.EndOffset())
	}
}

// TestFetchOfAnEarlierEpoch: what a follower said to the same leader before another one had it cut its log does not hold any more.
func TestFetchOfAnEarlierEpoch(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(2)
	b.exchange()
	b.work(30)
	b.fetch() // at 2, and it takes its time
	late := c.flights[len(c.flights)-1]
	c.elected(z)
	b.learn(len(c.history))
	b.follow()
	if b.p.EndOffset() != 0 {
		t.Fatalf("b ends at %d", b.p.EndOffset())
	}
	c.suspend(z)
	c.elected(a)
	c.flights = append(c.flights[:0], late)
	c.deliver(0, false)
	if c.top != 0 {
		t.Errorf("%d are committed", c.top)
	}
}

// TestBarrierWaitsForFollowers (I7): a topic that changes to the policy sync is under it when every member of the ISR has synced what it has from before,
// and by that fetches again.
func TestBarrierWaitsForFollowers(t *testing.T) {
	c := newCluster(t, 2, config.Async, 1, 1)
	a, b := c.nodes[0], c.nodes[1]
	a.put(3)
	b.follow()
	c.inspect(a)
	if c.top != 3 {
		t.Fatalf("%d are committed", c.top)
	}
	c.settings.FlushPolicy = config.Sync
	m := c.copy()
	m.state.FlushPending, m.state.LeaderEpoch = true, m.state.LeaderEpoch+1
	c.decide(m, "policy sync")
	for _, n := range c.nodes {
		n.p.Configure(c.settings)
		n.learn(len(c.history))
	}
	synced := func() bool {
		a.p.Tick(c.clock.Now())
		return slices.ContainsFunc(c.changes, func(q *change) bool { return q.c.Synced })
	}
	a.work(60)
	if _, ok := b.p.FetchState(); ok || a.p.log.SafeEnd() < 3 || synced() {
		t.Errorf("the leader, of which %d is synced, says that all is, of b is %d", a.p.log.SafeEnd(), b.p.log.SafeEnd())
	}
	b.follow()
	if !synced() {
		t.Errorf("the barrier is not passed, of b is %d", b.p.log.SafeEnd())
	}
}

// TestSettingsChangeWhileTheLogIsMade (D3): those that hold are the later ones.
func TestSettingsChangeWhileTheLogIsMade(t *testing.T) {
	c := newCluster(t, 1, config.Async, 1, 1)
	n, id := c.nodes[0], record.Partition{Topic: record.TopicID{2}}
	p := New(id, "u", n.id, c.settings, n.ports())
	n.store.Create(id, "u", c.settings, p.Opened)
	later := c.settings
	later.FlushPolicy = config.Sync
	p.Configure(later)
	for !p.Open() {
		n.store.EndDrain()
		if !n.lanes.Step() {
			t.Fatal("the log is not made")
		}
	}
	if p.log.Policy() != config.Sync {
		t.Errorf("the log is kept under %v", p.log.Policy())
	}
}

// TestElectionsWithoutAppends (KAFKA-6361, KAFKA-7415): every leader notes its epoch, so that followers find where they part.
func TestElectionsWithoutAppends(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(1)
	b.follow()
	z.follow()
	for range 3 {
		c.elected(b)
		c.elected(z)
	}
	a.put(2) // it has not heard of anything
	z.put(1)
	a.learn(len(c.history))
	b.learn(len(c.history))
	a.follow()
	b.follow()
	c.inspect(z)
	if c.top != 2 || a.p.EndOffset() != 2 || b.p.EndOffset() != 2 {
		t.Errorf("%d are committed, a ends at %d, b at %d", c.top, a.p.EndOffset(), b.p.EndOffset())
	}
}

// TestPowerOfAll (I7): under sync nobody loses anything, whoever is elected.
func TestPowerOfAll(t *testing.T) {
	c, a, b, z := newScenario(t, 2)
	a.put(3)
	b.follow()
	z.follow()
	c.inspect(a)
	a.append(2, AcksAll)
	b.exchange()
	for _, n := range c.nodes {
		n.crash(true)
	}
	if c.top != 3 {
		t.Fatalf("%d are committed", c.top)
	}
	for _, n := range c.nodes {
		n.boot()
	}
	c.r = nil
	for range 30 {
		c.round()
	}
	if c.top < 3 || len(c.now().state.ISR) != 3 {
		t.Errorf("%d are committed, ISR %v", c.top, c.now().state.ISR)
	}
}

// TestFollowerTakesNothingBad: a batch that was changed on its way, or that no leader of this epoch can have.
func TestFollowerTakesNothingBad(t *testing.T) {
	c, a, b, _ := newScenario(t, 1)
	a.put(2)
	for name, spoil := range map[string]func(batch record.Batch){
		"payload": func(batch record.Batch) { batch[len(batch)-1] ^= 1 },
		"epoch":   func(batch record.Batch) { batch.SetLeaderEpoch(7) },
	} {
		b.request()
		f := c.flights[len(c.flights)-1]
		batch, _, _ := record.Next(f.answer.Records)
		spoil(batch)
		if err := b.p.Fetched(f.sent, f.answer); err == nil || b.p.EndOffset() != 0 {
			t.Errorf("%s: error %v, the log ends at %d", name, err, b.p.EndOffset())
		}
	}
	b.request()
	f := c.flights[len(c.flights)-1]
	f.answer.Records = f.answer.Records[:len(f.answer.Records)-3]
	if err := b.p.Fetched(f.sent, f.answer); err != nil || b.p.EndOffset() != 0 {
		t.Errorf("a batch that is cut short: %v, the log ends at %d", err, b.p.EndOffset())
	}
}

// TestEndIsUnknownAfterAnElection (KIP-207): until a new leader's mark has reached the start of its epoch.
func TestEndIsUnknownAfterAnElection(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(2)
	b.exchange()
	b.work(30)
	z.exchange()
	z.work(30)
	c.elected(b)
	if b.p.Settled() {
		t.Error("it knows the end at once")
	}
	a.learn(len(c.history))
	z.learn(len(c.history))
	a.follow()
	z.follow()
	if !b.p.Settled() || b.p.HighWatermark() != 2 {
		t.Errorf("settled %v, mark %d", b.p.Settled(), b.p.HighWatermark())
	}
}

// TestMarkWaitsWhateverTheAnswer (KIP-497): the wish was carried out and its answer lost. What the leader hears when it asks again does not say that it was not.
func TestMarkWaitsWhateverTheAnswer(t *testing.T) {
	for _, code := range []wire.ErrorCode{wire.InvalidUpdateVersion, wire.FencedLeaderEpoch, wire.NotController, wire.UnknownServerError} {
		c, a, b, z := newScenario(t, 1)
		c.suspend(z)
		a.learn(len(c.history))
		b.learn(len(c.history))
		z.learn(len(c.history))
		z.exchange()
		wish := c.changes[0].c
		c.grant()
		a.p.ISRAltered(wish, ISRAnswer{Code: code})
		c.clock.Advance(2 * lagMax)
		a.put(2)
		b.follow()
		if c.top != 0 {
			t.Errorf("%v: %d are committed without the new member", code, c.top)
		}
		z.follow()
		c.inspect(a)
		if c.top != 2 {
			t.Errorf("%v: %d are committed", code, c.top)
		}
	}
}

// TestFollowerThatStandsStill is taken out of the ISR, however well its broker is.
func TestFollowerThatStandsStill(t *testing.T) {
	c, a, b, z := newScenario(t, 1)
	a.put(1)
	b.follow()
	z.follow()
	a.put(2)
	b.follow()
	if c.top != 1 {
		t.Fatalf("%d are committed without a member", c.top)
	}
	for range 3 {
		c.clock.Advance(lagMax / 2)
		b.follow()
		a.p.Tick(c.clock.Now())
	}
	c.grant()
	a.learn(len(c.history))
	if isr := c.now().state.ISR; c.top != 3 || slices.Contains(isr, z.id) || len(isr) != 2 {
		t.Errorf("%d are committed, ISR %v", c.top, isr)
	}
}
