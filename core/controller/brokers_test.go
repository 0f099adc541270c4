package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

func TestRegistrationIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*RegisterBroker)
		want  string
	}{
		"sound":              {func(*RegisterBroker) {}, "ok"},
		"negative":           {func(r *RegisterBroker) { r.ID = -1 }, "INVALID_REQUEST"},
		"no incarnation":     {func(r *RegisterBroker) { r.Incarnation = metadata.UUID{} }, "INVALID_REQUEST"},
		"other alive":        {func(r *RegisterBroker) { r.OtherAlive = true }, "DUPLICATE_BROKER_REGISTRATION"},
		"other, same disk":   {func(r *RegisterBroker) { r.OtherAlive, r.Directories = true, []metadata.UUID{{9, 1}} }, "ok"},
		"late, same disk":    {func(r *RegisterBroker) { r.Late, r.Directories = true, []metadata.UUID{{9, 1}} }, "DUPLICATE_BROKER_REGISTRATION"},
		"late, sent twice":   {func(r *RegisterBroker) { r.Late, r.Incarnation = true, metadata.UUID{2} }, "ok"},
		"no directory":       {func(r *RegisterBroker) { r.Directories = nil }, "INVALID_REGISTRATION"},
		"reserved directory": {func(r *RegisterBroker) { r.Directories[0] = metadata.LostDirectory }, "INVALID_REGISTRATION"},
		"directory twice":    {func(r *RegisterBroker) { r.Directories = append(r.Directories, r.Directories[0]) }, "INVALID_REGISTRATION"},
		"X4: another's":      {func(r *RegisterBroker) { r.Directories[0] = metadata.UUID{9, 0} }, "INVALID_REGISTRATION a directory of broker 2 is registered for broker 1"},
		"too old":            {func(r *RegisterBroker) { r.Features = nil }, "UNSUPPORTED_VERSION"},
	} {
		cl := newCluster(3)
		cl.apply([]metadata.Record{&metadata.FeatureSet{Name: "metadata.version", Level: 25}})
		r := RegisterBroker{ID: 2, Incarnation: metadata.UUID{77}, Directories: []metadata.UUID{{7}}, Features: []metadata.FeatureRange{MetadataVersions}}
		c.spoil(&r)
		if _, refusal := cl.RegisterBroker(r); !strings.HasPrefix(refusal.text(), c.want) {
			t.Errorf("%s: %s, want %s", name, refusal.text(), c.want)
		}
	}
}

// TestHeartbeats tells the life of a broker: it is let in when it knows its registration, and let go when the others know that it leaves (KIP-631).
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	c.do("clean 1")
	epoch := c.Image.Broker(1).Epoch
	at, all := record.Offset(epoch), record.Offset(1<<40)
	for i, step := range []struct {
		h    Heartbeat
		want HeartbeatReply
	}{
		{Heartbeat{MetadataOffset: at - 1}, HeartbeatReply{Fenced: true}},
		{Heartbeat{MetadataOffset: at, WantFence: true}, HeartbeatReply{CaughtUp: true, Fenced: true}},
		{Heartbeat{MetadataOffset: at}, HeartbeatReply{CaughtUp: true}},
		{Heartbeat{MetadataOffset: at}, HeartbeatReply{}}, // F7: it does not know yet that it was let in
		{Heartbeat{MetadataOffset: all}, HeartbeatReply{CaughtUp: true}},
		{Heartbeat{MetadataOffset: all, WantFence: true}, HeartbeatReply{CaughtUp: true, Fenced: true}},
		{Heartbeat{MetadataOffset: all, OfflineDirs: []metadata.UUID{{9, 0}}}, HeartbeatReply{CaughtUp: true, Fenced: true}},
	} {
		step.h.ID, step.h.Epoch = 1, epoch
		records, reply, refusal := c.Heartbeat(step.h)
		if refusal.Refused() || reply != step.want {
			t.Fatalf("step %d: %+v, want %+v %s", i, reply, step.want, refusal.text())
		}
		if len(records) > 0 {
			c.apply(records)
		}
	}
	if _, _, refusal := c.Heartbeat(Heartbeat{ID: 1, Epoch: epoch - 1}); refusal.Code != wire.StaleBrokerEpoch {
		t.Error(refusal.text())
	}
	// F7: who was deposed by choice has to know it before its lease is renewed.
	deposed := Heartbeat{ID: 2, Epoch: c.Image.Broker(2).Epoch, MetadataOffset: c.Image.Broker(2).Changed - 1}
	if _, reply, _ := c.Heartbeat(deposed); reply.CaughtUp {
		t.Errorf("behind its own change: %+v", reply)
	}
	// Broker 2 leads and wants to stop.
	stop := Heartbeat{ID: 2, Epoch: c.Image.Broker(2).Epoch, WantShutDown: true, MetadataOffset: c.Image.Offset()}
	records, reply, _ := c.Heartbeat(stop)
	if c.apply(records); reply.ShouldShutDown || !reply.ShuttingDown || c.state().Leader != 3 {
		t.Errorf("%+v, %+v", reply, c.state())
	}
	left := c.Image.Broker(2).Changed
	stop.Others = left - 1
	if records, reply, _ := c.Heartbeat(stop); len(records) > 0 || reply.ShouldShutDown {
		t.Errorf("let go before the others know: %+v", reply)
	}
	stop.Others = left
	records, reply, _ = c.Heartbeat(stop)
	if c.apply(records); !reply.ShouldShutDown || !c.Image.Broker(2).Fenced {
		t.Errorf("%+v", reply)
	}
	if records, reply, _ = c.Heartbeat(stop); len(records) > 0 || !reply.ShouldShutDown {
		t.Errorf("the answer was lost: %+v", reply)
	}
	// One that leads nothing goes at once; one that loses its last directory is fenced.
	b := c.Image.Broker(4)
	if _, reply, _ := c.Heartbeat(Heartbeat{ID: 4, Epoch: b.Epoch, WantShutDown: true}); !reply.ShouldShutDown {
		t.Errorf("%+v", reply)
	}
	records, _, _ = c.Heartbeat(Heartbeat{ID: 4, Epoch: b.Epoch, OfflineDirs: []metadata.UUID{{9, 3}}})
	if c.apply(records); !c.Image.Broker(4).Fenced || len(c.Image.Broker(4).Directories) > 0 {
		t.Errorf("%+v", c.Image.Broker(4))
	}
}

// TestLeaseOfTheDisplaced (F7): whoever is deposed, or leaves the ISR, by choice of the cluster and while it is well, has its lease renewed only when it has
// applied the entry that says so.
func TestLeaseOfTheDisplaced(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		do        []string
		displaced record.NodeID // by the last step
	}{
		"preferred leader":                 {[]string{"fence 1", "unfence 1", "isr 2 3 1", "preferred"}, 2},
		"the leader fences a follower out": {[]string{"isr 1 3"}, 2},
		"reassigned":                       {[]string{"to 2 3 4", "isr 1 2 3 4"}, 1},
		"the leader is fenced":             {[]string{"fence 1"}, 1},
	} {
		c := newReplicated()
		for _, what := range story.do[:len(story.do)-1] {
			c.do(what)
		}
		before := c.state()
		known := c.Image.Offset()
		c.do(story.do[len(story.do)-1])
		if now := c.state(); before.Leader == now.Leader && len(before.ISR) == len(now.ISR) {
			t.Fatalf("%s: nothing has changed: %+v", name, now)
		}
		for _, id := range []record.NodeID{1, 2, 3, 4} {
			lease := func(offset record.Offset) bool {
				_, reply, _ := c.Heartbeat(Heartbeat{ID: id, Epoch: c.Image.Broker(id).Epoch, MetadataOffset: offset})
				return reply.CaughtUp
			}
			if got := lease(known); got != (id != story.displaced) {
				t.Errorf("%s: the lease of broker %d is renewed before it knows: %v", name, id, got)
			}
			if !lease(c.Image.Offset()) {
				t.Errorf("%s: the lease of broker %d is not renewed", name, id)
			}
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	c := newCluster(3)
	c.create(auto("t"))
	s := NewSessions(c.Image, 9*time.Second)
	second := func(n int) env.Instant { return env.Instant(0).Add(time.Duration(n) * time.Second) }
	epoch := func(id record.NodeID) metadata.BrokerEpoch { return c.Image.Broker(id).Epoch }
	s.Begin(second(1))
	if s.Deadline() != second(10) || len(s.Expired(second(9))) > 0 || s.Others(1) != record.NoOffset {
		t.Error("no fresh sessions", s.Deadline())
	}
	s.Touch(1, epoch(1), 5, second(4))
	s.Touch(2, epoch(2), 7, second(3))
	s.Touch(3, epoch(3)-1, 9, second(8)) // an earlier life
	if got := s.Expired(second(11)); !slices.Equal(got, []record.NodeID{3}) || s.Others(1) != record.NoOffset || s.Others(3) != 5 {
		t.Error(got, s.Others(1), s.Others(3))
	}
	if got := s.Expired(second(11)); len(got) > 0 || s.Deadline() != second(12) {
		t.Error("told again at once", got, s.Deadline())
	}
	if got := s.Expired(second(14)); !slices.Equal(got, []record.NodeID{1, 2, 3}) {
		t.Error("not told again", got)
	}
	s.Touch(1, epoch(1), 5, second(4))
	s.Touch(2, epoch(2), 7, second(3))
	c.apply(c.ExpireBroker(3, epoch(3)))
	if s.Deadline() != second(12) || s.Others(1) != 7 || s.Alive(3, second(11)) || !s.Alive(1, second(11)) {
		t.Error(s.Deadline(), s.Others(1))
	}
	if records := c.ExpireBroker(3, epoch(3)); len(records) > 0 {
		t.Error("fenced twice")
	}
	c.do("clean 3")
	s.Touch(3, epoch(3), 1, second(20))
	c.do("unfence 3")
	if !s.Alive(3, second(28)) || len(s.Expired(second(20))) != 2 {
		t.Error(s.Expired(second(20)))
	}
	if s.Others(1) != 1 {
		t.Error("the others know", s.Others(1))
	}
	c.do("clean 3")
	c.do("unfence 3")
	if s.Others(1) != record.NoOffset {
		t.Error("what an earlier life knew counts", s.Others(1))
	}
}

func TestUpdateFeatures(t *testing.T) {
	t.Parallel()
	c := newCluster(2)
	for _, test := range []struct {
		update UpdateFeature
		want   string
	}{
		{UpdateFeature{"metadata.version", 25, UpgradeFeature}, "ok"},
		{UpdateFeature{"metadata.version", 26, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 26 for feature metadata.version. Local controller 1 only supports versions 7-25"},
		{UpdateFeature{"metadata.version", 20, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 20 for feature metadata.version. Can't downgrade the version"},
		{UpdateFeature{"metadata.version", 20, SafeDowngradeFeature}, "INVALID_UPDATE_VERSION Invalid metadata.version 20. Refusing"},
		{UpdateFeature{"metadata.version", 20, UnsafeDowngradeFeature}, "INVALID_UPDATE_VERSION Invalid metadata.version 20. Unsafe"},
		{UpdateFeature{"metadata.version", 25, 0}, "INVALID_UPDATE_VERSION Invalid update version 25 for feature metadata.version. The controller does not support the given upgrade type."},
		{UpdateFeature{"x", 1, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 1 for feature x. Local controller 1 does not support this feature."},
		{UpdateFeature{"x", -1, UpgradeFeature}, "INVALID_UPDATE_VERSION"},
		{UpdateFeature{"x", 0, SafeDowngradeFeature}, "ok"},
	} {
		if _, answers := c.UpdateFeatures([]UpdateFeature{test.update}, false); !strings.HasPrefix(answers[0].text(), test.want) {
			t.Errorf("%v: %s, want %s", test.update, answers[0].text(), test.want)
		}
	}
	records, _ := c.UpdateFeatures([]UpdateFeature{{"metadata.version", 25, UpgradeFeature}}, false)
	c.apply(records)
	if records, _ := c.UpdateFeatures([]UpdateFeature{{"metadata.version", 25, UpgradeFeature}}, false); len(records) > 0 || c.Image.FeatureLevel("metadata.version") != 25 {
		t.Error("set twice")
	}
}

func TestAssignDirectories(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	b := c.Image.Broker(4)
	_, answers, _ := c.AssignDirectories(AssignDirectories{4, b.Epoch, []AssignDirectory{{metadata.UUID{9, 3}, []record.Partition{c.id(), {}, {Topic: c.id().Topic, Index: 3}}}}})
	for i, want := range []wire.ErrorCode{wire.NotLeaderOrFollower, wire.UnknownTopicID, wire.UnknownTopicOrPartition} {
		if answers[i].Code != want {
			t.Errorf("item %d: %s, want %s", i, answers[i].Code, want)
		}
	}
	if _, _, refusal := c.AssignDirectories(AssignDirectories{4, b.Epoch + 1, nil}); refusal.Code != wire.StaleBrokerEpoch {
		t.Error(refusal.text())
	}
	c.do("lost 1")
	b = c.Image.Broker(1)
	records, _, _ := c.AssignDirectories(AssignDirectories{1, b.Epoch, []AssignDirectory{{b.Directories[0], []record.Partition{c.id()}}}})
	c.apply(records)
	if p := c.state(); p.Directories[0] != b.Directories[0] || p.Leader != 2 {
		t.Errorf("%+v", p)
	}
	if got := c.do("isr 2 3 1"); got != "leader 2 isr [2 3 1]" {
		t.Error(got)
	}
}
