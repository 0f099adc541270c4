package api

import (
	"strconv"
	"strings"
	"time"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Quorum is what the handlers ask of the metadata quorum. On a node that is not its leader Describe says so, and the others refuse.
type Quorum struct {
	Describe func() QuorumDescription
	// AddVoter makes a node a voter once it has caught up, however long that takes; RemoveVoter ends that. done is called once.
	AddVoter    func(v Voter, done func(controller.Refusal))
	RemoveVoter func(v Voter, done func(controller.Refusal))
	// Confirm makes certain that this node was the active controller when it was called.
	Confirm func(done func(error))
}

// Voter is a node that votes in the metadata quorum, or shall.
type Voter struct {
	ID        record.NodeID
	Directory metadata.UUID
	Address   string // host:port; "" where it does not matter
}

// QuorumDescription is the quorum as this node sees it.
type QuorumDescription struct {
	Leads         bool // this node is the leader; the rest is only meant if it is
	Leader        record.NodeID
	Epoch         record.Epoch
	HighWatermark record.Offset // -1 if it is not known
	Voters        []QuorumReplica
	Observers     []QuorumReplica
}

// QuorumReplica is a node that follows the metadata log. What is not known of it is -1.
type QuorumReplica struct {
	Voter
	LogEnd                  record.Offset
	LastFetch, LastCaughtUp env.Millis
}

// describeQuorum tells how the metadata quorum stands (KIP-595). API key 55, versions 0 to 2.
//
//	v1  when a replica last fetched, and was last caught up
//	v2  directories, the voters' addresses (KIP-853)
func (h *Handlers) describeQuorum(c *Call, r *kmsg.DescribeQuorumRequest) {
	out := r.ResponseKind().(*kmsg.DescribeQuorumResponse)
	out.Topics = []kmsg.DescribeQuorumResponseTopic{}
	d := h.Quorum.Describe()
	only := len(r.Topics) == 1 && r.Topics[0].Topic == controller.MetadataTopic && len(r.Topics[0].Partitions) == 1 && r.Topics[0].Partitions[0].Partition == 0
	for _, t := range r.Topics {
		to := kmsg.NewDescribeQuorumResponseTopic()
		to.Topic = t.Topic
		for _, p := range t.Partitions {
			po := kmsg.NewDescribeQuorumResponseTopicPartition()
			po.Partition = p.Partition
			switch {
			case !only:
				po.ErrorCode = int16(wire.UnknownTopicOrPartition)
			case !d.Leads:
				po.ErrorCode = int16(wire.NotLeaderOrFollower)
			default:
				po.LeaderID, po.LeaderEpoch, po.HighWatermark = int32(d.Leader), int32(d.Epoch), int64(d.HighWatermark)
				po.CurrentVoters, po.Observers = quorumReplicas(d.Voters), quorumReplicas(d.Observers)
			}
			if po.ErrorCode != 0 {
				message := wire.ErrorCode(po.ErrorCode).Message()
				po.ErrorMessage = &message
			}
			to.Partitions = append(to.Partitions, po)
		}
		out.Topics = append(out.Topics, to)
	}
	if only && d.Leads {
		out.Nodes = h.quorumNodes(d.Voters)
	}
	c.Answer(out)
}

func quorumReplicas(list []QuorumReplica) []kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
	out := []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{}
	for _, r := range list {
		to := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		to.ReplicaID, to.ReplicaDirectoryID, to.LogEndOffset = int32(r.ID), r.Directory, int64(r.LogEnd)
		to.LastFetchTimestamp, to.LastCaughtUpTimestamp = int64(r.LastFetch), int64(r.LastCaughtUp)
		out = append(out, to)
	}
	return out
}

func (h *Handlers) quorumNodes(voters []QuorumReplica) []kmsg.DescribeQuorumResponseNode {
	out := []kmsg.DescribeQuorumResponseNode{}
	for _, v := range voters {
		to := kmsg.NewDescribeQuorumResponseNode()
		to.NodeID = int32(v.ID)
		if host, port, ok := splitAddress(v.Address); ok {
			l := kmsg.NewDescribeQuorumResponseNodeListener()
			l.Name, l.Host, l.Port = h.controllerListener(), host, port
			to.Listeners = append(to.Listeners, l)
		}
		out = append(out, to)
	}
	return out
}

// controllerListener is the name of the listener on which controllers talk to each other.
func (h *Handlers) controllerListener() string {
	for _, l := range h.Config().Listeners {
		if l.Controller {
			return l.Name
		}
	}
	return "CONTROLLER"
}

// addRaftVoter makes a node a voter of the metadata quorum (KIP-853). API key 80, version 0.
//
// It replies when the node votes, or when the request's time is over: then the node may still become a voter.
func (h *Handlers) addRaftVoter(c *Call, r *kmsg.AddRaftVoterRequest) {
	answer := func(refusal controller.Refusal) {
		out := r.ResponseKind().(*kmsg.AddRaftVoterResponse)
		out.ErrorCode, out.ErrorMessage = outcome(refusal, nil)
		c.Answer(out)
	}
	v := Voter{ID: record.NodeID(r.VoterID), Directory: metadata.UUID(r.VoterDirectoryID)}
	for _, l := range r.Listeners {
		if l.Name == h.controllerListener() {
			v.Address = joinAddress(l.Host, l.Port)
		}
	}
	switch refusal := h.checkVoter(r.ClusterID, v, "Add"); {
	case refusal.Refused():
		answer(refusal)
		return
	case v.Address == "":
		answer(controller.Refusal{Code: wire.InvalidRequest,
			Message: "Add voter request didn't include the endpoint for the default listener " + h.controllerListener()})
		return
	}
	wait := voterWait{answer: answer, timers: h.Timers}
	wait.begin(h.Clock.Now().Add(time.Duration(max(r.TimeoutMillis, 0)) * time.Millisecond))
	h.Quorum.AddVoter(v, wait.end)
}

// voterWait answers once: when the quorum is done, or when the time is over.
type voterWait struct {
	answer   func(controller.Refusal)
	timers   *timer.Queue
	timeout  timer.Timer
	answered bool
}

func (w *voterWait) begin(deadline env.Instant) {
	w.timers.Start(&w.timeout, deadline, func() {
		w.end(controller.Refusal{Code: wire.RequestTimedOut, Message: "Request timed out; the voter may still be added"})
	})
}

func (w *voterWait) end(refusal controller.Refusal) {
	if w.answered {
		return
	}
	w.answered = true
	w.timers.Stop(&w.timeout)
	w.answer(refusal)
}

// removeRaftVoter ends that a node votes (KIP-853). API key 81, version 0.
func (h *Handlers) removeRaftVoter(c *Call, r *kmsg.RemoveRaftVoterRequest) {
	answer := func(refusal controller.Refusal) {
		out := r.ResponseKind().(*kmsg.RemoveRaftVoterResponse)
		out.ErrorCode, out.ErrorMessage = outcome(refusal, nil)
		c.Answer(out)
	}
	v := Voter{ID: record.NodeID(r.VoterID), Directory: metadata.UUID(r.VoterDirectoryID)}
	if refusal := h.checkVoter(r.ClusterID, v, "Remove"); refusal.Refused() {
		answer(refusal)
		return
	}
	h.Quorum.RemoveVoter(v, func(refusal controller.Refusal) {
		if refusal.Code == wire.NotLeaderOrFollower && !h.Active() {
			h.forward(c) // a leader that is to go hands over; the next one removes it
			return
		}
		answer(refusal)
	})
}

func (h *Handlers) checkVoter(cluster *string, v Voter, verb string) controller.Refusal {
	switch {
	case cluster != nil && *cluster != h.ClusterID:
		return controller.Refusal{Code: wire.InconsistentClusterID, Message: "The given id \"" + *cluster + "\" doesn't match the cluster id \"" + h.ClusterID + "\""}
	case v.ID < 0 || v.Directory.Reserved():
		return controller.Refusal{Code: wire.InvalidRequest, Message: verb + " voter request didn't include a valid voter"}
	}
	return controller.Refusal{}
}

// joinAddress is host:port, with an IPv6 address in brackets.
func joinAddress(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(int(port))
}

func splitAddress(address string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(address[i+1:], 10, 16)
	return strings.Trim(address[:i], "[]"), uint16(n), err == nil
}
