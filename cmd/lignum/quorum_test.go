package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func twoVoters() *quorumState {
	replica := func(id int32, end int64) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
		r := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		r.ReplicaID, r.ReplicaDirectoryID, r.LogEndOffset = id, [16]byte{byte(id)}, end
		r.LastFetchTimestamp, r.LastCaughtUpTimestamp = 99_000, -1
		return r
	}
	d := &quorumState{}
	d.LeaderID, d.LeaderEpoch, d.HighWatermark = 1, 7, 20
	d.CurrentVoters = append(d.CurrentVoters, replica(1, 21), replica(2, 20))
	d.Observers = append(d.Observers, replica(4, 15))
	node := kmsg.NewDescribeQuorumResponseNode()
	l := kmsg.NewDescribeQuorumResponseNodeListener()
	l.Name, l.Host, l.Port = "QUORUM", "::1", 9093
	node.NodeID, node.Listeners = 1, append(node.Listeners, l)
	d.nodes = append(d.nodes, node)
	return d
}

func TestQuorumPrint(t *testing.T) {
	var out strings.Builder
	if err := twoVoters().print(&out, time.UnixMilli(100_000)); err != nil {
		t.Fatal(err)
	}
	want := `leader 1, epoch 7, high watermark 20

node  role      log end  lag  last fetch  caught up  address     directory
1     leader    21       0    1s ago      -          [::1]:9093  AQAAAAAAAAAAAAAAAAAAAA
2     voter     20       1    1s ago      -          -           AgAAAAAAAAAAAAAAAAAAAA
4     observer  15       6    1s ago      -          -           BAAAAAAAAAAAAAAAAAAAAA
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestQuorumDirectory(t *testing.T) {
	d := twoVoters()
	for _, c := range []struct {
		node voterFlags
		want byte
		err  string
	}{
		{voterFlags{id: 4}, 4, ""},
		{voterFlags{id: 4, directory: "CQAAAAAAAAAAAAAAAAAAAA"}, 9, ""},
		{voterFlags{id: 5}, 0, "does not know node 5"},
		{voterFlags{id: 5, directory: "CQ"}, 0, "want 22 characters"},
	} {
		id, err := c.node.directoryIn(d)
		if id[0] != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %v, %v", c.node, id, err)
		}
	}
	if d.listener() != "QUORUM" || d.votes(4) || !d.votes(2) {
		t.Error("listener or votes")
	}
}
