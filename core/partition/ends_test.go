package partition

import (
	"errors"
	"fmt"
	"testing"

	"lignum/core/commitlog"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestWhoWaitsIsTold: whatever ends what requests wait for, each is told at once, and with what is true: that it is not known what becomes of the records, that
// there are too few replicas, or that there is no such partition any more.
func TestWhoWaitsIsTold(t *testing.T) {
	none := wire.ErrorCode(-2) // waits on
	for _, end := range []struct {
		what               string
		do                 func(c *cluster, a, b, z *node)
		one, all, deletion wire.ErrorCode
		woken              bool
	}{
		{"the topic is deleted", func(_ *cluster, a, _, _ *node) { a.p.Close(wire.UnknownTopicOrPartition) },
			wire.UnknownTopicOrPartition, wire.UnknownTopicOrPartition, wire.UnknownTopicOrPartition, true},
		{"another leads", func(c *cluster, a, b, _ *node) { c.elected(b); a.learn(len(c.history)) },
			wire.NotLeaderOrFollower, wire.NotLeaderOrFollower, wire.NotLeaderOrFollower, true},
		{"it leads again", func(c *cluster, a, _, _ *node) { c.elected(a) },
			wire.NotLeaderOrFollower, wire.NotLeaderOrFollower, wire.NotLeaderOrFollower, true},
		{"the log fails", func(_ *cluster, a, _, _ *node) { a.p.fail(errors.New("disk")) },
			wire.KafkaStorageError, wire.KafkaStorageError, wire.KafkaStorageError, true},
		{"one is in sync no more", func(c *cluster, a, b, _ *node) { c.fence(b.id, "session over"); a.learn(len(c.history)) }, none, none, none, false},
		{"nobody else is in sync", func(c *cluster, a, b, z *node) {
			c.fence(b.id, "session over")
			c.fence(z.id, "session over")
			a.learn(len(c.history))
		}, none, wire.NotEnoughReplicasAfterAppend, none, false},
		{"more have to be in sync", func(_ *cluster, a, _, _ *node) {
			s := a.p.settings
			s.MinInSyncReplicas = 3
			a.p.state.ISR = a.p.state.ISR[:2]
			a.p.Configure(s)
		}, none, wire.NotEnoughReplicasAfterAppend, none, false},
	} {
		c, a, b, z := newScenario(t, 2)
		a.put(1)
		b.follow()
		z.follow()
		var one, all settled
		for acks, to := range map[Acks]*settled{AcksLeader: &one, AcksAll: &all} {
			batch := record.NewBuilder(record.None)
			batch.Append(record.Record{Timestamp: 1_700_000_000_000, Value: []byte("12345678")})
			if _, refusal := a.p.Produce(batch.Build(), noTimestamp, acks, c.clock.Wall(), to, 0); refusal != nil {
				t.Fatalf("%s: %v", end.what, refusal.Code)
			}
		}
		deleted, woken := none, 0
		a.p.DeleteRecords(1, nil, func(_ record.Offset, code wire.ErrorCode) { deleted = code })
		a.p.Watch(NewWatch(func() { woken++ }))
		a.p.WatchEnd(NewWatch(func() { woken++ }))
		end.do(c, a, b, z)
		for what, got := range map[string]struct {
			told []wire.ErrorCode
			want wire.ErrorCode
		}{"acks=1": {one.told, end.one}, "acks=all": {all.told, end.all}} {
			if len(got.told) > 1 || len(got.told) == 0 != (got.want == none) || len(got.told) == 1 && got.told[0] != got.want {
				t.Errorf("%s: %s is told %v, want %v", end.what, what, got.told, got.want)
			}
		}
		if deleted != end.deletion || (woken == 2) != end.woken {
			t.Errorf("%s: a deletion is told %v, want %v; %d of two readers are woken", end.what, deleted, end.deletion, woken)
		}
	}
}

// TestRepairSteps: a log that is damaged is emptied when the cluster knows, there is somebody to copy from, and nobody would elect it (L7).
func TestRepairSteps(t *testing.T) {
	damage := fmt.Errorf("read: %w", commitlog.ErrCorrupt)
	const self, other = 1, 0
	for _, q := range []struct {
		what   string
		damage error
		state  State
		want   Repair
	}{
		{"well", nil, State{Leader: other, ISR: []record.NodeID{self, other}}, Sound},
		{"copied anew", nil, State{Leader: other, ISR: []record.NodeID{other}, Lost: true}, Place},
		{"found", damage, State{Leader: other, ISR: []record.NodeID{self, other}}, Report},
		{"in sync", damage, State{Leader: other, ISR: []record.NodeID{self, other}, Lost: true}, Wait},
		{"eligible", damage, State{Leader: other, ISR: []record.NodeID{other}, ELR: []record.NodeID{self}, Lost: true}, Wait},
		{"leads", damage, State{Leader: self, Lost: true}, Wait},
		{"nobody leads", damage, State{Leader: -1, Lost: true}, Wait},
		{"in no set", damage, State{Leader: other, ISR: []record.NodeID{other}, Lost: true}, Renew},
		{"another error", errors.New("disk"), State{Leader: other, ISR: []record.NodeID{other}}, Sound},
	} {
		_, _, b, _ := newScenario(t, 1)
		if b.p.state = q.state; q.damage != nil {
			b.p.failure, b.p.log = q.damage, nil
		}
		if got := b.p.Repair(); got != q.want {
			t.Errorf("%s: step %d, want %d", q.what, got, q.want)
		}
	}
}

// TestEpochsThatFall: neither a leader nor a follower puts a record behind one of a later leader epoch (L3).
func TestEpochsThatFall(t *testing.T) {
	c, a, b, _ := newScenario(t, 1)
	a.put(1)
	b.follow()
	c.elected(b)
	b.put(1)
	build := record.NewBuilder(record.None)
	build.Append(record.Record{Timestamp: 1_700_000_000_000, Value: []byte("12345678")})
	batch := build.Build()
	batch.SetBaseOffset(2)
	for epoch, fits := range map[record.Epoch]bool{0: false, 1: true, 2: false} {
		batch.SetLeaderEpoch(epoch)
		if err := b.p.fits(batch); (err == nil) != fits {
			t.Errorf("epoch %d behind 1, which is the leader's: %v", epoch, err)
		}
	}
	b.p.log.BeginEpoch(9)
	if _, refusal := b.p.Produce(batch, noTimestamp, AcksLeader, c.clock.Wall(), nil, 0); refusal == nil || refusal.Code != wire.NotLeaderOrFollower {
		t.Errorf("a leader of epoch 1 appends behind epoch 9: %v", refusal)
	}
}
