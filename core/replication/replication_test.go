package replication_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"lignum/core/commitlog"
	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/partition"
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

// TestLogStartReachesFollowers: DeleteRecords is answered when the start has moved everywhere, without a wait for the fetch that the leader holds.
func TestLogStartReachesFollowers(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	r.run(time.Second)
	id := part(1, 0)
	for i := range 4 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	var low record.Offset = -1
	start := r.clock.Now()
	took := time.Duration(-1)
	r.brokers[0].set.Get(id).DeleteRecords(3, nil, func(o record.Offset, code wire.ErrorCode) {
		if low, took = o, r.clock.Now().Sub(start); code != wire.None {
			t.Error(code)
		}
	})
	r.run(2 * time.Second)
	if low != 3 || took < 0 || took > 100*time.Millisecond {
		t.Errorf("low watermark %d after %v", low, took)
	}
	for _, b := range r.brokers {
		if o := b.set.Get(id).StartOffset(); o != 3 {
			t.Errorf("the log of broker %d starts at %d", b.id, o)
		}
	}
}

// TestFollowerBehindTheLogStart starts anew where the leader's log begins.
func TestFollowerBehindTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1, 0)
	id := part(1, 0)
	r.brokers[1].down = true
	for i := range 4 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	r.brokers[0].set.Get(id).DeleteRecords(3, nil, func(record.Offset, wire.ErrorCode) {})
	r.run(time.Second)
	r.brokers[1].down = false
	r.run(40 * time.Second)
	r.same(id, 4)
	if o := r.brokers[1].set.Get(id).StartOffset(); o != 3 || len(r.states[id].ISR) != 2 {
		t.Errorf("the follower starts at %d, ISR %v", o, r.states[id].ISR)
	}
}

// TestNothingInCommonAtTheLogStart (I1, F2): a follower ends where the leader's log begins, with a record that was never committed, of an epoch that the
// leader has forgotten. It does not join with it, but begins anew: its log start alone is not durable yet.
func TestNothingInCommonAtTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	id, a, b := part(1, 0), r.brokers[0], r.brokers[1]
	r.run(time.Second)
	r.produce(id, "a")
	r.run(time.Second)
	a.down = true
	r.elect(id, 1)
	r.run(10 * time.Millisecond)
	r.produce(id, "never committed")
	r.run(10 * time.Millisecond)
	a.down, b.down = false, true
	s := r.states[id]
	s.ISR = []record.NodeID{0}
	r.decide(id, s)
	for _, l := range a.store.Logs() {
		if l.ID() == id {
			l.TruncateFullyAndStartAt(2) // as if all had been deleted, another record at 1 included
			l.SetHighWatermark(2)
		}
	}
	r.elect(id, 0)
	r.run(time.Second)
	if a.set.Get(id).StartOffset() != 2 || b.set.Get(id).EndOffset() != 2 {
		t.Fatalf("the leader begins at %d, the follower ends at %d", a.set.Get(id).StartOffset(), b.set.Get(id).EndOffset())
	}
	b.down = false
	r.decide(id, r.states[id])
	r.run(time.Minute) // the requests from before have to time out
	r.same(id, 2)
	if epoch, _ := b.set.Get(id).EpochEnd(1); epoch != record.NoEpoch {
		t.Errorf("it is in sync, and knows of epoch %d", epoch)
	}
	r.produce(id, "c")
	r.run(time.Second)
	r.same(id, 3)
}

// TestInSyncAtTheLogStart (I2, I7): who is in sync has what was committed, also when the leader has forgotten the epoch of it. It does not begin anew, for
// until that is durable its power could take back what it had.
func TestInSyncAtTheLogStart(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 1)
	id, a, b := part(1, 0), r.brokers[0], r.brokers[1]
	r.run(time.Second)
	r.produce(id, "a")
	r.run(time.Second)
	for _, l := range a.store.Logs() {
		if l.ID() == id {
			l.TruncateFullyAndStartAt(1) // as if it had been deleted
			l.SetHighWatermark(1)
		}
	}
	r.elect(id, 0)
	r.run(time.Minute)
	r.same(id, 1)
	if epoch, _ := b.set.Get(id).EpochEnd(0); epoch != 0 {
		t.Errorf("it knows of epoch %d", epoch)
	}
}

// TestForgottenReplicas: a replica that is gone is fetched for no more, and a new one of the same name is.
func TestForgottenReplicas(t *testing.T) {
	r := newRig(t, 2)
	r.create(1, 2)
	r.run(time.Second)
	b := r.brokers[1]
	p := b.set.Take(part(1, 0))
	p.Close(wire.UnknownTopicOrPartition)
	b.manager.Forget(p)
	r.run(time.Second)
	s := r.states[part(1, 0)]
	again := partition.New(part(1, 0), "t1", 1, r.topic, b.cluster)
	b.set.Add(again)
	again.Follow(s)
	b.store.Delete(part(1, 0), func(error) { b.store.Create(part(1, 0), "t1", r.topic, again.Opened) })
	r.run(time.Second)
	done := r.produce(part(1, 0), "a")
	r.run(time.Second)
	if !done.done || done.code != wire.None {
		t.Errorf("told %v %v", done.done, done.code)
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

// newWritten is three brokers with a partition of three records, which all of them have; so many have to be in sync.
func newWritten(t *testing.T, minimum int32) (*rig, record.Partition) {
	r := newRig(t, 3)
	r.topic.MinInSyncReplicas = minimum
	r.create(1, 1)
	id := part(1, 0)
	r.run(time.Second)
	for i := range 3 {
		r.produce(id, number(i))
	}
	r.run(time.Second)
	return r, id
}

// TestDamagedReplica is reported, taken out of every set, and copied anew; a leader hands over before that (L7).
func TestDamagedReplica(t *testing.T) {
	r, id := newWritten(t, 1)
	r.brokers[0].set.Get(id).ReadFailed(fmt.Errorf("a cold read: %w", commitlog.ErrCorrupt))
	r.run(5 * time.Second)
	if r.renewed != 1 || len(r.lost) != 0 || r.states[id].Leader == 0 || len(r.states[id].ISR) != 3 {
		t.Errorf("renewed %d times, lost %v, leader %d, ISR %v", r.renewed, r.lost, r.states[id].Leader, r.states[id].ISR)
	}
	r.same(id, 3)
}

// TestDamagedLeaderThatIsAlone hands over to a replica that may be elected, if one is up: it has all that was committed (L7).
func TestDamagedLeaderThatIsAlone(t *testing.T) {
	for _, up := range []bool{true, false} {
		r, id := newWritten(t, 2)
		r.brokers[1].down, r.brokers[2].down = !up, true
		s := r.states[id]
		s.ISR, s.ELR = []record.NodeID{0}, []record.NodeID{1}
		r.decide(id, s)
		r.run(3 * time.Millisecond)
		r.brokers[0].set.Get(id).ReadFailed(fmt.Errorf("a cold read: %w", commitlog.ErrCorrupt))
		r.run(5 * time.Second)
		if leader := r.states[id].Leader; (leader == 1) != up || (r.renewed == 1) != up {
			t.Errorf("with another one that is up (%v) the leader is %d, and %d were renewed", up, leader, r.renewed)
		}
	}
}

// TestUnreadableReplica: a replica whose log cannot be read is copied anew if another one can take its place; otherwise nobody gives it up, for it may be
// well at the next start.
func TestUnreadableReplica(t *testing.T) {
	for _, alone := range []bool{false, true} {
		r, id := newWritten(t, 1)
		if alone {
			r.brokers[1].down, r.brokers[2].down = true, true
			s := r.states[id]
			s.ISR, s.ELR = []record.NodeID{0}, nil
			r.decide(id, s)
			r.run(3 * time.Millisecond)
		}
		r.brokers[0].set.Get(id).Opened(nil, fmt.Errorf("open log: %w", env.ErrUnreadable))
		r.run(5 * time.Second)
		if s := r.states[id]; (r.renewed == 0) != alone || (s.Leader == 0) != alone || s.Lost {
			t.Errorf("alone %v: renewed %d times, leader %d, ISR %v, lost %v", alone, r.renewed, s.Leader, s.ISR, s.Lost)
		}
		if !alone {
			r.same(id, 3)
		}
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

// TestLeaderWithDamagedRecords: followers do not take them, and ask again; the leader looks at them then, and gives up.
func TestLeaderWithDamagedRecords(t *testing.T) {
	r := newRig(t, 3)
	r.create(1, 1)
	id := part(1, 0)
	r.run(time.Second)
	lost := r.produce(id, "a")
	p := r.brokers[0].set.Get(id)
	found, _, err := p.Read(partition.ReadRequest{UpTo: p.EndOffset(), MaxBytes: 1 << 20, AtLeastOne: true})
	if err != nil {
		t.Fatal(err)
	}
	bytes := found.Span(0).Bytes
	bytes[len(bytes)-1] ^= 1
	found.Release()
	r.run(20 * time.Second)
	if lost.code != wire.NotLeaderOrFollower && lost.code != wire.KafkaStorageError {
		t.Errorf("told %v, %v", lost.done, lost.code)
	}
	s := r.states[id]
	if s.Leader == 0 || len(s.ISR) != 3 || r.renewed != 1 {
		t.Fatalf("leader %d, ISR %v, renewed %d times", s.Leader, s.ISR, r.renewed)
	}
	if again := r.produce(id, "a"); again.done {
		t.Error(again.code)
	}
	r.run(time.Second)
	r.same(id, 1)
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
