package api

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

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
