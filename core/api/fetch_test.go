package api

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/env"
	"lignum/core/wire"
)

// TestFollowersAreNodesOfTheCluster: by its offsets a follower says what it holds, and records are acknowledged by that, so nobody who is no node of the
// cluster may pass for one.
func TestFollowersAreNodesOfTheCluster(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		what    string
		inter   bool
		replica int32
		cluster []byte
		want    wire.ErrorCode
	}{
		{"a consumer", false, -1, nil, wire.None},
		{"a follower", true, 2, []byte("cluster"), wire.None},
		{"a follower that names no cluster", true, 2, nil, wire.None},
		{"a client that passes for a follower", false, 2, []byte("cluster"), wire.ClusterAuthorizationFailed},
		{"one that names no cluster", false, 2, nil, wire.ClusterAuthorizationFailed},
		{"one that passes for node 0", false, 0, nil, wire.ClusterAuthorizationFailed},
		{"a follower of another cluster", true, 2, []byte("clustes"), wire.InconsistentClusterID},
		{"a follower of a cluster without a name", true, 2, []byte{}, wire.InconsistentClusterID},
	} {
		s := NewSession(1, env.ConnInfo{}, d)
		s.Inter, d.replies = c.inter, nil
		d.Handle(s, &Call{
			Header: wire.Header{Key: wire.Fetch, Version: 17},
			Body:   &wire.FetchRequest{ReplicaID: c.replica, ReplicaEpoch: 1, ClusterID: c.cluster, SessionEpoch: sessionless},
		})
		if got := d.replies[0].(*fetchReply).response.Error; got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// TestProducerIDsOfSeveralBlocks: what comes behind the last id of a block belongs to somebody else (M8).
func TestProducerIDsOfSeveralBlocks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.AskController = func(r kmsg.Request, done func(kmsg.Response, error)) {
		d.Control(r, func(out kmsg.Response) { done(out, nil) })
	}
	seen := map[int64]bool{}
	for range 2500 {
		out := ask[*kmsg.InitProducerIDResponse](d, kmsg.NewPtrInitProducerIDRequest(), 4)
		if out == nil || out.ErrorCode != 0 || seen[out.ProducerID] || out.ProducerID >= int64(d.Image.NextProducerID()) {
			t.Fatalf("behind %d ids: %+v, with the ids below %d given away", len(seen), out, d.Image.NextProducerID())
		}
		seen[out.ProducerID] = true
	}
}
