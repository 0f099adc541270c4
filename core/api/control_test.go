package api

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/controller"
	"lignum/core/metadata"
	"lignum/core/wire"
)

// TestDeposedControllerTurnsNobodyAway: a broker that is told that it is unknown, or another process, ends. A controller says so only if it is certain
// that it still is one, for it may lack what its successor has decided.
func TestDeposedControllerTurnsNobodyAway(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	deposed := false
	d.Quorum.Confirm = func(done func(error)) {
		if deposed {
			done(errors.New("another leads"))
			return
		}
		done(nil)
	}
	beat := kmsg.NewPtrBrokerHeartbeatRequest()
	beat.BrokerID, beat.BrokerEpoch = 2, 77
	join := kmsg.NewPtrBrokerRegistrationRequest()
	join.BrokerID, join.ClusterID, join.IncarnationID = 2, "cluster", [16]byte{5}
	for _, c := range []struct {
		deposed    bool
		beat, join wire.ErrorCode
	}{
		{false, wire.StaleBrokerEpoch, wire.InvalidRegistration},
		{true, wire.NotController, wire.NotController},
	} {
		deposed = c.deposed
		if got := wire.ErrorCode(ask[*kmsg.BrokerHeartbeatResponse](d, beat, 1).ErrorCode); got != c.beat {
			t.Errorf("deposed %v: the heartbeat of another process: %v, want %v", deposed, got, c.beat)
		}
		if got := wire.ErrorCode(ask[*kmsg.BrokerRegistrationResponse](d, join, 3).ErrorCode); got != c.join {
			t.Errorf("deposed %v: a registration without directories: %v, want %v", deposed, got, c.join)
		}
	}
}

// TestUnregisteredWhileItIsConfirmed (V1): a broker asks for its registration again, and is unregistered while a majority is asked whether this node is the
// controller still. It is told the epoch that it had, and finds in the log that it has gone; without one it would wait for ever.
func TestUnregisteredWhileItIsConfirmed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	join := kmsg.NewPtrBrokerRegistrationRequest()
	join.BrokerID, join.ClusterID, join.IncarnationID, join.LogDirs = 9, "cluster", [16]byte{9}, [][16]byte{{9, 9}}
	epoch := ask[*kmsg.BrokerRegistrationResponse](d, join, 3).BrokerEpoch
	d.Quorum.Confirm = func(done func(error)) {
		records, _ := d.Controller.UnregisterBroker(9)
		d.apply(records)
		done(nil)
	}
	out := ask[*kmsg.BrokerRegistrationResponse](d, join, 3)
	if code := wire.ErrorCode(out.ErrorCode); d.Image.Broker(9) != nil || code != wire.None || epoch < 0 || out.BrokerEpoch != epoch {
		t.Errorf("epoch %d, %v; want %d", out.BrokerEpoch, code, epoch)
	}
}

// TestWhatBrokersAskGoesFirst (V1): brokers' sessions do not hang on how much clients ask for.
func TestWhatBrokersAskGoesFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := 0
	d.DecideFirst = func(_ controller.Decision, refused func(error)) {
		first++
		refused(errors.New("busy"))
	}
	join := kmsg.NewPtrBrokerRegistrationRequest()
	join.ClusterID = "cluster"
	requests := []kmsg.Request{
		join, kmsg.NewPtrBrokerHeartbeatRequest(), kmsg.NewPtrAlterPartitionRequest(), kmsg.NewPtrAllocateProducerIDsRequest(), kmsg.NewPtrAssignReplicasToDirsRequest(),
	}
	for i, r := range requests {
		d.Control(r, func(kmsg.Response) {})
		if first != i+1 {
			t.Fatalf("%T waits for clients", r)
		}
	}
}

// TestWhoIsReplacedIsSeenInTheDecision: a registration waits for other decisions. In between the broker that it means to replace may be let in, and lead; it
// has a lease then, unless it is the same directory's earlier life (F7).
func TestWhoIsReplacedIsSeenInTheDecision(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		letIn     bool
		replaces  metadata.BrokerEpoch
		directory metadata.UUID
		want      wire.ErrorCode
	}{
		{false, 1, metadata.UUID{5}, wire.None},
		{true, 1, metadata.UUID{5}, wire.DuplicateBrokerRegistration},
		{true, 1, metadata.UUID{9, 1}, wire.None},
		{true, 0, metadata.UUID{9, 1}, wire.DuplicateBrokerRegistration},
		{true, metadata.NoBrokerEpoch, metadata.UUID{9, 1}, wire.DuplicateBrokerRegistration},
	} {
		d := newDesk(t)
		sessions := controller.NewSessions(d.Image, time.Minute)
		d.Sessions = func() *controller.Sessions { return sessions }
		b := d.Image.Broker(2)
		change := func(fenced bool) {
			records, _ := d.Controller.ChangeBroker(controller.ChangeBroker{ID: b.ID, Epoch: b.Epoch, Fenced: fenced})
			d.apply(records)
		}
		change(true)
		sessions.Begin(0)
		decide := d.Decide
		d.Decide = func(decision controller.Decision, refused func(error)) {
			change(!c.letIn)
			decide(decision, refused)
		}
		join := kmsg.NewPtrBrokerRegistrationRequest()
		join.BrokerID, join.ClusterID, join.IncarnationID, join.LogDirs = 2, "cluster", [16]byte{5}, [][16]byte{c.directory}
		join.UnknownTags.Set(wire.TagReplaces, binary.BigEndian.AppendUint64(nil, uint64(c.replaces)))
		out := ask[*kmsg.BrokerRegistrationResponse](d, join, 4)
		if got := wire.ErrorCode(out.ErrorCode); got != c.want || out.BrokerEpoch != int64(d.Image.Broker(2).Epoch) {
			t.Errorf("%+v: %v, epoch %d", c, got, out.BrokerEpoch)
		}
	}
}
