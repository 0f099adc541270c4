package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/scenarios/ledger"
	"lignum/scenarios/traffic"
	"lignum/sim"
)

// groupFaults are the kinds that happen in the scenario "groups".
var groupFaults = []string{
	"kill", "kill of several", "power", "power of all", "kill in a call", "power in a call", "stop", "rolling restart", "fail-stop", "pause", "clock jump", "drift",
	"break", "clog", "cut of clients", "isolation", "partition", "sync errors", "write errors", "read errors", "slow calls", "new leaders",
	"member pauses", "member crashes", "members migrated", "groups of both protocols", "expressions", "member leaves", "member quits", "member loses its connection", "late commit", "zombie refused", "rebalances", "groups deleted",
	"offsets deleted", "loads compared",
}

// settled is within what time behind the last fault groups come to rest and all offsets can be fetched (V6).
const settled = 30 * time.Second

// groups is a run with consumer groups: a cluster of one node or three, and a crowd.
type groups struct {
	*cluster
	crowd   *traffic.Crowd
	books   *ledger.Groups
	plan    groupPlan
	keepers []*traffic.Keeper
	begun   bool
	looks   groupBox

	lives uint64      // that there were
	since env.Instant // of the last fault or start
}

// groupPlan is what a seed wants of groups.
type groupPlan struct {
	seed               uint64
	rand               sim.Stream
	nodes              int
	partitions         int32
	session, rebalance time.Duration
	expiring, reborn   bool
	delay              int32
	migration          string // the policy; "" if no group changes its protocol
}

// GroupDays is consumer groups of both protocols: members that share partitions, commit, pause past their timeouts, crash and come back, and commit late, with
// coordinators that crash, lose their power and are replaced.
func GroupDays(o Options) Result {
	s := newGroups(o)
	defer s.world.Close()
	limit := env.Instant(s.cluster.plan.length + 2*settleTime + 8*patience + 2*settled)
	for !s.over() && len(s.world.Findings()) == 0 && s.world.Step(limit) {
		s.step()
	}
	if !s.over() && len(s.world.Findings()) == 0 {
		s.world.Fail("V2", "the run does not come to its end")
	}
	return s.result()
}

func newGroups(o Options) *groups {
	r := sim.NewStream(o.Seed, domainGroups, 0)
	s := &groups{plan: groupPlan{
		seed: o.Seed, nodes: pick(&r, 1, 3), partitions: pick(&r, int32(1), 2, 3), session: pick(&r, time.Second, 3*time.Second), rebalance: pick(&r, 2*time.Second, 4*time.Second),
		expiring: r.Below(4) == 0, reborn: r.Below(2) == 0, delay: pick(&r, int32(0), 300, 1000),
	}}
	s.plan.reborn = s.plan.reborn || s.plan.expiring
	s.plan.rand = r
	if x := sim.NewStream(o.Seed, domainGroups, migrationActor); x.Below(3) == 0 {
		s.plan.migration = pick(&x, "bidirectional", "bidirectional", "upgrade")
	}
	p := newClusterPlan(o)
	s.shrink(&p)
	p.tune = s.tune
	s.cluster = newCluster(o, "groups", p)
	s.faults.only(s.plan.nodes)
	s.books = ledger.NewGroups(s.cluster.books)
	s.books.Expiring, s.books.Reborn = s.plan.expiring, s.plan.reborn
	s.crowd = &traffic.Crowd{Stage: s.stage, Books: s.books, Session: s.plan.session, Counts: s.faults.counts}
	s.looks.begin(s)
	s.tell("plan", fmt.Sprintf("groups: %+v", s.plan))
	s.await()
	return s
}

// shrink makes room in a plan for groups.
func (s *groups) shrink(p *clusterPlan) {
	p.wipes, p.rots, p.removes = false, false, false
	p.producers, p.consumers = p.producers[:1], p.consumers[:1]
	p.roles = p.roles[:0]
	for range s.plan.nodes {
		p.roles = append(p.roles, bothRoles)
	}
	if s.plan.nodes > 1 {
		return
	}
	a := &p.admin
	a.Elect, a.Reassign, a.MinISR = false, false, false
	for _, t := range append([]*traffic.TopicOptions{&a.Passing}, pointers(a.Topics)...) {
		t.Replicas, t.Settings.Replicas, t.Settings.MinISR = 1, 1, 1
		t.Configs = maps.Clone(t.Configs)
		if t.Configs != nil {
			t.Configs["min.insync.replicas"] = "1"
		}
	}
}

func pointers(list []traffic.TopicOptions) (out []*traffic.TopicOptions) {
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// only leaves out the faults that take more nodes than there are.
func (f *clusterFaults) only(nodes int) {
	if nodes > 1 {
		return
	}
	f.on = slices.DeleteFunc(f.on, func(k clusterKind) bool {
		return strings.Contains(k.name, "several") || strings.Contains(k.name, "isolation") || k.name == "cut of two nodes" || k.name == "partition"
	})
}

// tune sets what a configuration file may not say: short timeouts, tiny buffers, offsets that are not kept at all.
func (s *groups) tune(actor uint64, c *config.Broker) {
	r, millis := sim.NewStream(s.plan.seed, domainGroups, 1+actor), func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	values := map[string]string{
		"offsets.topic.num.partitions":         strconv.Itoa(int(s.plan.partitions)),
		"offsets.topic.replication.factor":     strconv.Itoa(s.plan.nodes),
		"offsets.topic.segment.bytes":          pick(&r, "1000", "4000", "100000"),
		"offsets.topic.compression.codec":      pick(&r, "0", "0", "1", "2", "3", "4"),
		"offsets.load.buffer.size":             pick(&r, "1", "500", "5000", "5242880"),
		"offsets.commit.timeout.ms":            pick(&r, "500", "5000"),
		"group.min.session.timeout.ms":         "100",
		"group.initial.rebalance.delay.ms":     strconv.Itoa(int(s.plan.delay)),
		"group.consumer.session.timeout.ms":    millis(s.plan.session),
		"group.consumer.heartbeat.interval.ms": "200",
	}
	if s.plan.migration != "" {
		// The records of a migration are one batch, which has to fit into a segment.
		values["offsets.topic.segment.bytes"] = pick(&r, "10000", "100000")
		values["group.consumer.migration.policy"] = s.plan.migration
	}
	if s.plan.reborn {
		values["offsets.retention.check.interval.ms"] = "1000"
	}
	if s.plan.expiring {
		values["offsets.retention.minutes"] = "0"
	}
	//house:anyorder each is set by itself
	for key, value := range values {
		c.Static = c.Static.With(key, value)
	}
	*c = withJournal(c.With(nil, nil), c)
}

// withJournal takes the sizes over that no file can set.
func withJournal(c, from *config.Broker) config.Broker {
	c.JournalFileBytes, c.JournalFiles, c.ChunkCacheBytes = from.JournalFileBytes, from.JournalFiles, from.ChunkCacheBytes
	return *c
}

// await brings the crowd in once there are topics.
func (s *groups) await() {
	s.world.After(100*time.Millisecond, func() {
		if !s.begun && len(s.stage.Targets) >= len(s.cluster.plan.admin.Topics) {
			s.begun = true
			s.enter()
		}
		s.note()
		if !s.crowd.Over {
			s.await()
		}
	})
}

// note sees when the last fault was.
func (s *groups) note() {
	lives, now := uint64(0), s.world.Now()
	for _, m := range s.members {
		if lives += m.host.Life(); !m.host.Running() {
			s.since = now
		}
	}
	if !s.healed || lives != s.lives {
		s.lives, s.since = lives, now
	}
	s.crowd.Calm = s.healed
	if !s.healed || !s.begun {
		return
	}
	if unsettled := s.unsettled(); len(unsettled) > 0 && now.Sub(s.since) > settled {
		k := unsettled[0]
		s.looks.tell()
		s.fail("V6", "group %s is %q with %q %v after the last fault, told at %d, and nobody has %v; all its offsets were fetched at %d", k.Band.Books.ID, k.State, k.Members, settled, k.Asked,
			k.Idle, k.Fetched)
	}
}

func (s *groups) unsettled() (list []*traffic.Keeper) {
	for _, k := range s.keepers {
		if !k.Settled(int64(s.since)) {
			list = append(list, k)
		}
	}
	return list
}

// over says whether all was looked at, and groups have come to rest since.
func (s *groups) over() bool {
	return s.finished && s.begun && len(s.unsettled()) == 0
}

// enter makes the groups and their members.
func (s *groups) enter() {
	r := &s.plan.rand
	var topics []string
	for _, t := range s.cluster.plan.admin.Topics {
		topics = append(topics, t.Name)
	}
	actor := uint64(0)
	for i := range 2 + int(r.Below(3)) {
		kind := pick(r, "classic", "consumer", "consumer", "classic", "nobody")
		if i < 2 {
			kind = []string{"classic", "consumer"}[i]
		}
		b := &traffic.Band{Crowd: s.crowd, Books: s.books.Add(fmt.Sprintf("g%d-%s", i, kind)), Topics: topics}
		if r.Below(3) == 0 {
			b.Topics = topics[:1]
		}
		restless := r.Below(4) > 0
		for range 1 + r.Below(3) {
			o := traffic.MemberOptions{
				Name: fmt.Sprintf("m%d", actor), Actor: actor, Pace: pick(r, 60*time.Millisecond, 150*time.Millisecond), Session: s.plan.session, Rebalance: s.plan.rebalance,
				Restless: restless, Assignor: pick(r, "", "uniform", "range"),
			}
			if r.Below(2) == 0 {
				o.Instance = "i-" + o.Name
			}
			actor++
			switch kind {
			case "classic":
				traffic.NewMember(b, o)
			case "consumer":
				o.Regex = s.expressions(o.Actor)
				traffic.NewConsumerMember(b, o)
			}
		}
		s.keepers = append(s.keepers, traffic.NewKeeper(b, traffic.KeeperOptions{
			Name: fmt.Sprintf("k%d", i), Actor: uint64(i), Pace: 200 * time.Millisecond, Consumer: kind == "consumer",
			Commits: kind == "nobody" || r.Below(2) == 0, Deletes: r.Below(2) == 0,
		}))
	}
	if s.plan.migration != "" {
		s.migrate(topics, actor)
	}
}

// What is drawn by itself, so that it shifts nothing else.
const (
	migrationActor  = 1000
	expressionActor = 2000
)

// expressions says whether a member subscribes by regular expressions.
func (s *groups) expressions(actor uint64) bool {
	r := sim.NewStream(s.plan.seed, domainGroups, expressionActor+actor)
	return r.Below(4) == 0
}

// migrate makes a group whose members change their protocol one by one, there and back.
func (s *groups) migrate(topics []string, actor uint64) {
	r := sim.NewStream(s.plan.seed, domainGroups, migrationActor+1)
	b := &traffic.Band{Crowd: s.crowd, Books: s.books.Add("g-mixed"), Topics: topics}
	b.Books.Mixed = true
	for range 1 + r.Below(3) {
		o := traffic.MemberOptions{
			Name: fmt.Sprintf("m%d", actor), Actor: actor, Pace: pick(&r, 60*time.Millisecond, 150*time.Millisecond), Session: s.plan.session, Rebalance: s.plan.rebalance,
			Restless: true, Regex: s.expressions(actor),
		}
		if r.Below(2) == 0 {
			o.Instance = "i-" + o.Name
		}
		actor++
		traffic.NewMigrant(b, o, r.Below(2) == 0)
	}
	s.keepers = append(s.keepers, traffic.NewKeeper(b, traffic.KeeperOptions{
		Name: "k-mixed", Actor: uint64(len(s.keepers)), Pace: 200 * time.Millisecond, Mixed: true, Commits: r.Below(2) == 0, Deletes: r.Below(3) == 0,
	}))
}

// result closes the books.
func (s *groups) result() Result {
	s.crowd.Over = true
	var judged uint64
	if len(s.world.Findings()) == 0 {
		judged = s.books.Judge()
		for range s.keepers {
			s.cluster.books.Checked("V5")
			s.cluster.books.Checked("V6")
		}
	}
	r := s.cluster.result()
	r.Judged += judged
	r.Faults["loads compared"] = s.looks.loads
	return r
}
