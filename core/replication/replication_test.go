package replication_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/record"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func part(topic byte, index int32) record.Partition {
	return record.Partition{Topic: record.TopicID{topic}, Index: index}
}

// TestRecordsReachEveryReplica: acks=all is answered after a round trip of each follower and no later, for many partitions at once.
func TestRecordsReachEveryReplica(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 9)
	r.run(time.Second)
	for round := range 5 {
		var all []*settled
		start := r.clock.Now()
		for i := range int32(9) {
			all = append(all, r.produce(part(1, i), number(round)))
		}
		r.run(50 * time.Millisecond)
		for i, s := range all {
			if !s.done || s.code != wire.None || s.at.Sub(start) > 6*time.Millisecond {
				t.Errorf("round %d, partition %d: answered %v with %v after %v", round, i, s.done, s.code, s.at.Sub(start))
			}
		}
	}
	r.run(2 * time.Second)
	for i := range int32(9) {
		r.same(part(1, i), 5)
	}
}

// TestIdleFollowersAskSeldom: a leader holds a fetch until there is something to say.
func TestIdleFollowersAskSeldom(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 30)
	r.run(time.Second)
	r.fetches = 0
	r.run(10 * time.Second)
	if r.fetches > 6*21 { // six pairs, twice a second
		t.Errorf("%d fetches in ten idle seconds", r.fetches)
	}
}

// TestNewLeaderIsFollowedAtOnce: the fetch that the leader holds for other partitions does not keep a new one waiting.
func TestNewLeaderIsFollowedAtOnce(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 6)
	r.run(time.Second)
	r.produce(part(1, 0), "before")
	r.run(40 * time.Millisecond)
	r.elect(part(1, 0), 1)
	r.run(4 * time.Millisecond)
	start := r.clock.Now()
	s := r.produce(part(1, 0), "after")
	r.run(100 * time.Millisecond)
	if !s.done || s.code != wire.None || s.at.Sub(start) > 30*time.Millisecond {
		t.Errorf("answered %v with %v after %v", s.done, s.code, s.at.Sub(start))
	}
	r.run(time.Second)
	r.same(part(1, 0), 2)
}

// TestWaitersAreToldOfAnElection: nobody knows what becomes of a record that was not committed (D2).
func TestWaitersAreToldOfAnElection(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	r.run(time.Second)
	r.brokers[2].down = true
	s := r.produce(part(1, 0), "lost?")
	r.run(50 * time.Millisecond)
	if s.done {
		t.Fatal("acknowledged without a member of the ISR")
	}
	r.elect(part(1, 0), 1)
	r.run(50 * time.Millisecond)
	if !s.done || s.code != wire.NotLeaderOrFollower {
		t.Errorf("told %v, %v", s.done, s.code)
	}
}

// TestISRFollowsTheReplicas: one that does not fetch leaves after replica.lag.time.max.ms and comes back when it has caught up.
func TestISRFollowsTheReplicas(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	r.run(time.Second)
	id := part(1, 0)
	r.brokers[2].slow = true
	s := r.produce(id, "a")
	r.run(20 * time.Second)
	if !slices.Equal(r.states[id].ISR, []record.NodeID{0, 1}) || !s.done || s.code != wire.None {
		t.Fatalf("ISR %v, told %v %v", r.states[id].ISR, s.done, s.code)
	}
	r.brokers[2].slow = false
	r.run(2 * time.Second)
	if len(r.states[id].ISR) != 3 {
		t.Errorf("ISR %v", r.states[id].ISR)
	}
	r.same(id, 1)
}

// TestJoinsUnderLoad (V3): a replica of a topic under async flushes its copy before it joins. Records that come faster than its disk syncs do not keep it
// from joining.
func TestJoinsUnderLoad(t *testing.T) {
	r := newRig(t, 2)
	r.topic.FlushPolicy = config.Async
	r.create(1, 1, 0)
	id, follower := part(1, 0), r.brokers[1]
	for i := range 1000 {
		follower.slow = i%10 > 0 // a sync takes ten times as long as a record
		r.produce(id, number(i))
		r.run(time.Millisecond)
	}
	if s := r.states[id]; len(s.ISR) != 2 {
		t.Errorf("in sync are %v; the follower ends at %d, the leader at %d", s.ISR, follower.set.Get(id).EndOffset(), r.brokers[0].set.Get(id).EndOffset())
	}
}

// TestFewInSync: below min.insync.replicas acks=all is refused, and what waits is answered.
func TestFewInSync(t *testing.T) {
	r := newRig(t, 3)
	r.topic.MinInSyncReplicas = 2
	r.create(1, 1)
	r.run(time.Second)
	id := part(1, 0)
	r.brokers[1].down, r.brokers[2].down = true, true
	s := r.produce(id, "a")
	r.run(20 * time.Second)
	if s.code != wire.NotEnoughReplicasAfterAppend {
		t.Errorf("told %v, %v; ISR %v", s.done, s.code, r.states[id].ISR)
	}
	if again := r.produce(id, "b"); again.code != wire.NotEnoughReplicas {
		t.Errorf("told %v, %v", again.done, again.code)
	}
	if mark := r.brokers[0].set.Get(id).HighWatermark(); mark != 0 {
		t.Errorf("the mark has moved to %d", mark)
	}
}

// TestWishesOutliveTheController: they are sent again until they are answered.
func TestWishesOutliveTheController(t *testing.T) {
	r := newRig(t, 3)
	tries := 0
	r.controller = func(q *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		switch tries++; tries {
		case 1:
			return nil, errors.New("unreachable")
		case 2:
			out := q.ResponseKind().(*kmsg.AlterPartitionResponse)
			out.ErrorCode = int16(wire.NotController)
			return out, nil
		case 3:
			_, _ = r.alter(q) // the answer is lost
			return nil, errors.New("no answer")
		}
		return r.alter(q)
	}
	r.create(1, 3, 0, 1)
	r.run(3 * time.Second)
	for i := range int32(2) {
		if isr := r.states[part(1, i)].ISR; len(isr) != 3 {
			t.Errorf("ISR %v of partition %d", isr, i)
		}
	}
}

// TestLeaderThatComesBack: a follower whose leader was away goes on in a new session.
func TestLeaderThatComesBack(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 2)
	r.run(time.Second)
	r.brokers[0].down = true
	r.run(40 * time.Second)
	r.brokers[0].down = false
	delete(r.brokers[0].sessions, 1)
	r.brokers[0].replies[1] = nil
	r.run(time.Second)
	s := r.produce(part(1, 0), "a")
	r.run(40 * time.Second)
	if !s.done || s.code != wire.None {
		t.Errorf("told %v %v; log %v", s.done, s.code, r.logged)
	}
}

// TestSyncedTag: this package and the handler that reads the request mean the same tag.
func TestSyncedTag(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	r.run(time.Second)
	s := r.states[part(1, 0)]
	s.FlushPending = true
	s.LeaderEpoch++
	r.decide(part(1, 0), s)
	r.run(time.Second)
	if len(r.altered) == 0 {
		t.Fatal("nobody says that the flush barrier is reached")
	}
	synced := false
	r.altered[0].Topics[0].Partitions[0].UnknownTags.Each(func(tag uint32, _ []byte) { synced = synced || tag == wire.TagSynced })
	if !synced {
		t.Error("the request has no such tag")
	}
}

// TestNearestReplica (KIP-392): a leader sends consumers to a replica in their rack, which serves what is committed and does not guess.
func TestNearestReplica(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	for _, b := range r.brokers {
		b.config.RackAwareReads = true
	}
	id := part(1, 0)
	r.run(time.Second)
	r.produce(id, "a")
	r.produce(id, "b")
	r.run(time.Second)
	for _, c := range []struct {
		at        record.NodeID
		offset    record.Offset
		rack      string
		preferred int32
		code      wire.ErrorCode
		records   bool
	}{
		{0, 0, "rack2", 2, wire.None, false},
		{0, 0, "rack0", -1, wire.None, true},
		{0, 0, "elsewhere", -1, wire.None, true},
		{0, 0, "", -1, wire.None, true},
		{2, 0, "rack2", -1, wire.None, true},
		{2, 2, "rack2", -1, wire.None, false},
		{2, 3, "rack2", -1, wire.OffsetNotAvailable, false},
		{0, 3, "rack0", -1, wire.OffsetOutOfRange, false},
	} {
		got := r.consume(c.at, id, c.offset, c.rack)
		if got.Preferred != c.preferred || got.Error != c.code || (len(got.Records) > 0) != c.records {
			t.Errorf("%+v: prefers %d, %v, %d bytes", c, got.Preferred, got.Error, len(got.Records))
		}
	}
	r.brokers[2].slow = true
	r.produce(id, "c")
	r.run(100 * time.Millisecond)
	if got := r.consume(2, id, 2, "rack2"); got.Error != wire.None || len(got.Records) > 0 {
		t.Errorf("a follower serves what is not committed: %v, %d bytes", got.Error, len(got.Records))
	}
	s := r.states[id]
	s.ISR = []record.NodeID{0, 1}
	r.decide(id, s)
	r.run(10 * time.Millisecond)
	if got := r.consume(0, id, 0, "rack2"); got.Preferred != -1 || len(got.Records) == 0 {
		t.Errorf("a reader is sent to %d, which is not in sync, and gets %d bytes", got.Preferred, len(got.Records))
	}
	r.brokers[2].cluster.Leased = func() bool { return false }
	if got := r.consume(2, id, 0, "rack2"); got.Error != wire.NotLeaderOrFollower || len(got.Records) > 0 {
		t.Errorf("a follower that has lost touch with the controller serves readers: %v, %d bytes", got.Error, len(got.Records))
	}
}

// TestMarkGoesToReadersAtOnce: with readers at the followers the mark does not wait for the fetch that the leader holds.
func TestMarkGoesToReadersAtOnce(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	for _, b := range r.brokers {
		b.config.RackAwareReads = true
	}
	id := part(1, 0)
	r.run(time.Second)
	r.produce(id, "a")
	r.run(15 * time.Millisecond)
	r.same(id, 1)
}

// TestMarkIsNotLostBetweenTwoFetches (V8): a follower's fetch that the leader holds is followed by another one, for its log has been shortened meanwhile. The
// leader answers the first one when it has the second; what is new must be in an answer that the follower listens to.
func TestMarkIsNotLostBetweenTwoFetches(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	id := part(1, 0)
	for i := range 3 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	r.same(id, 3)
	r.produce(id, number(3))
	follower := r.brokers[1]
	r.run(10 * time.Millisecond)
	if p := follower.set.Get(id); p.EndOffset() != 4 || p.HighWatermark() != 3 {
		t.Fatalf("the follower ends at %d, high watermark %d: it does not wait for the mark", p.EndOffset(), p.HighWatermark())
	}
	for _, l := range follower.store.Logs() {
		if l.ID() == id {
			l.AdvanceStart(2, func(error) { follower.manager.Fetchable(follower.set.Get(id)) })
		}
	}
	r.run(2 * time.Second)
	r.same(id, 4)
}

// TestNoRoomForASession: without sessions everything is asked for each time, and no more often.
func TestNoRoomForASession(t *testing.T) {
	r := newRig(t, 2)
	for _, b := range r.brokers {
		b.withoutSessions()
	}
	r.create(1, 4)
	r.run(time.Second)
	r.fetches = 0
	r.run(10 * time.Second)
	if r.fetches > 2*21 {
		t.Errorf("%d fetches in ten idle seconds", r.fetches)
	}
	s := r.produce(part(1, 0), "a")
	r.run(time.Second)
	if !s.done || s.code != wire.None {
		t.Errorf("told %v %v", s.done, s.code)
	}
	r.same(part(1, 0), 1)
}

// TestGreatBatchesTakeTurns: of batches that are greater than the limit the leader gives only the first partition one. Without a session it is another
// one each time that comes first, so that all of them move.
func TestGreatBatchesTakeTurns(t *testing.T) {
	r := newRigOf(t, 2, 1)
	for _, b := range r.brokers {
		b.withoutSessions()
	}
	r.create(1, 7)
	r.run(time.Second)
	r.brokers[1].down = true
	for range 50 {
		for i := int32(0); i < 7; i += 2 {
			r.produce(part(1, i), "a batch")
		}
	}
	r.run(40 * time.Second)
	r.brokers[1].down = false
	least, most := record.Offset(0), record.Offset(0)
	for range 4000 {
		r.run(10 * time.Millisecond)
		least, most = 50, 0
		for i := int32(0); i < 7; i += 2 {
			end := r.brokers[1].set.Get(part(1, i)).EndOffset()
			least, most = min(least, end), max(most, end)
		}
		if most-least > 1 {
			t.Fatalf("one partition was copied up to %d, another up to %d", most, least)
		}
	}
	if least != 50 {
		t.Errorf("copied up to %d", least)
	}
}
