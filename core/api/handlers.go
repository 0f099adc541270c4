package api

import (
	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/group"
	"lignum/core/metadata"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// World is what the handlers work on. The broker makes it once and owns everything in it.
type World struct {
	Clock  env.Clock
	Rand   env.Rand
	Jobs   env.Jobs
	Timers *timer.Queue

	Node       record.NodeID
	ClusterID  string
	LogDir     string // what the data directory is called towards clients
	Image      *metadata.Image
	Partitions *partition.Set
	Controller *controller.Controller
	// Groups are those that live on partitions that this broker leads.
	Groups *group.Coordinator

	// Config is the broker's configuration with what was altered while it runs.
	Config func() *config.Broker
	// Leader is the active controller, or -1.
	Leader func() record.NodeID
	// Usage asks for the size and the free space of the data directory's volume.
	Usage func(done func(total, free int64, err error))
	// Full says that so much waits for the disk that no more is to be appended for now.
	Full func() bool
	// Decide makes a decision when its turn comes. Its done is called once its records are applied. If too much waits, or another node is
	// the active controller, refused is called instead.
	Decide func(d controller.Decision, refused func(error))
	// DecideFirst is Decide for what brokers ask for: it goes before what clients do.
	DecideFirst func(d controller.Decision, refused func(error))
	// WhenOpened calls then once every log that this broker has to have so far is open.
	WhenOpened func(then func())

	// Active reports whether this node is the active controller.
	Active func() bool
	// Sessions are those that brokers have with this node as the active controller; nil if it is not, or a cluster by itself.
	Sessions func() *controller.Sessions
	// AskController has the active controller answer a request, wherever it is.
	AskController func(r kmsg.Request, done func(kmsg.Response, error))
	// QuorumPayload hands this node's part of the metadata quorum a payload. reply is called once.
	QuorumPayload func(payload []byte, reply func([]byte))
	// Quorum is the metadata quorum.
	Quorum Quorum
}

// Handlers answers requests. It is owned by the loop.
type Handlers struct {
	World
	sessions *fetchSessions
	parked   parkedFetches
	stalled  []*Call // produce requests that wait until the disk has caught up; their frames count against the transport's budget
	ids      producerIDs
	// describable bounds the settings in one answer; mostDescribed.
	describable int
	// compressors are used by the jobs of one lane each.
	compressors [ReadLanes]record.Compressor
}

// NewHandlers makes the handlers of a broker.
func NewHandlers(w World) *Handlers {
	return &Handlers{World: w, sessions: newFetchSessions(int(w.Config().FetchSessionCacheSlots)), describable: mostDescribed}
}

// Handle answers one call, now or later.
func (h *Handlers) Handle(s *Session, c *Call) {
	s.admit(c)
	if c.Body != nil && !wire.Accepts(c.Header.Key, c.Header.Version, s.Control) {
		s.Close()
		c.Drop()
		return
	}
	switch r := c.Body.(type) {
	case *wire.ProduceRequest:
		if len(h.stalled) > 0 || h.Full() {
			h.stalled = append(h.stalled, c)
			return
		}
		h.produce(c, r)
	case *wire.FetchRequest:
		h.fetch(c, r)
	case *wire.ListOffsetsRequest:
		h.listOffsets(c, r)
	case *wire.MetadataRequest:
		h.metadata(c, r)
	case *wire.QuorumMessageRequest:
		h.quorumMessage(c, r)
	case nil:
		h.unsupportedVersion(c)
	case kmsg.Request:
		if forController(c.Header.Key) && !h.Active() {
			h.forward(c)
		} else if !h.handleGroups(c, r) {
			h.handleRare(c, r)
		}
	}
}

// handleGroups answers the requests about groups; false if it is another.
func (h *Handlers) handleGroups(c *Call, request kmsg.Request) bool {
	switch r := request.(type) {
	case *kmsg.OffsetCommitRequest:
		h.offsetCommit(c, r)
	case *kmsg.OffsetFetchRequest:
		h.offsetFetch(c, r)
	case *kmsg.JoinGroupRequest:
		h.joinGroup(c, r)
	case *kmsg.SyncGroupRequest:
		h.syncGroup(c, r)
	case *kmsg.HeartbeatRequest:
		h.heartbeat(c, r)
	case *kmsg.LeaveGroupRequest:
		h.leaveGroup(c, r)
	case *kmsg.DescribeGroupsRequest:
		h.describeGroups(c, r)
	case *kmsg.ListGroupsRequest:
		h.listGroups(c, r)
	case *kmsg.DeleteGroupsRequest:
		h.deleteGroups(c, r)
	case *kmsg.OffsetDeleteRequest:
		h.offsetDelete(c, r)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		h.consumerGroupHeartbeat(c, r)
	case *kmsg.ConsumerGroupDescribeRequest:
		h.consumerGroupDescribe(c, r)
	default:
		return false
	}
	return true
}

// handleRare answers the requests that nobody sends often.
func (h *Handlers) handleRare(c *Call, request kmsg.Request) {
	switch r := request.(type) {
	case *kmsg.ApiVersionsRequest:
		h.apiVersions(c, r)
	case *kmsg.FindCoordinatorRequest:
		h.findCoordinator(c, r)
	case *kmsg.CreateTopicsRequest:
		h.createTopics(c, r)
	case *kmsg.DeleteTopicsRequest:
		h.deleteTopics(c, r)
	case *kmsg.CreatePartitionsRequest:
		h.createPartitions(c, r)
	case *kmsg.DeleteRecordsRequest:
		h.deleteRecords(c, r)
	case *kmsg.InitProducerIDRequest:
		h.initProducerID(c, r)
	case *kmsg.OffsetForLeaderEpochRequest:
		h.offsetForLeaderEpoch(c, r)
	case *kmsg.DescribeConfigsRequest:
		h.describeConfigs(c, r)
	case *kmsg.AlterConfigsRequest:
		h.alterConfigs(c, r)
	case *kmsg.IncrementalAlterConfigsRequest:
		h.incrementalAlterConfigs(c, r)
	case *kmsg.DescribeLogDirsRequest:
		h.describeLogDirs(c, r)
	case *kmsg.DescribeClusterRequest:
		h.describeCluster(c, r)
	case *kmsg.DescribeProducersRequest:
		h.describeProducers(c, r)
	case *kmsg.DescribeTopicPartitionsRequest:
		h.describeTopicPartitions(c, r)
	case *kmsg.EnvelopeRequest:
		h.envelope(c, r)
	case *kmsg.BrokerRegistrationRequest, *kmsg.BrokerHeartbeatRequest, *kmsg.AlterPartitionRequest, *kmsg.AllocateProducerIDsRequest,
		*kmsg.AssignReplicasToDirsRequest:
		h.control(c, request)
	default:
		h.handleCluster(c, request)
	}
}
