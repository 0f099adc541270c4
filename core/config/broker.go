package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Broker is the configuration of one node, parsed. Times are in milliseconds.
type Broker struct {
	// Static is what the user wrote, in canonical form, for DescribeConfigs.
	Static Overrides

	NodeID     int32
	Rack       string // "" for none
	IsBroker   bool
	Controller bool
	Voters     []Voter  // empty: this node alone
	Bootstrap  []string // addresses of controller.quorum.bootstrap.servers
	ClusterID  string   // "": a lone node draws one, nodes with controller.quorum.voters share one that follows from it
	Listeners  []Listener
	Advertised []Endpoint // one for each listener that is for clients
	LogDir     string
	// InterBrokerListener is the name of the listener that other brokers use.
	InterBrokerListener string

	NumPartitions            int32
	DefaultReplicationFactor int16
	AutoCreateTopics         bool
	DeleteTopicEnable        bool

	MaxConnections             int32
	MaxConnectionsPerIP        int32
	ConnectionsMaxIdleMillis   int64 // below 0: never
	RequestMaxBytes            int32
	QueuedMaxRequests          int32
	QueuedMaxRequestBytes      int64 // always above 0
	ConnectionRequestsInFlight int32
	FetchMaxBytes              int32
	FetchSessionCacheSlots     int32
	DescribePartitionsMax      int32

	RetentionCheckMillis      int64
	RecoveryCheckpointMillis  int64
	LogStartCheckpointMillis  int64
	HighWatermarkMillis       int64 // between two checkpoints of high watermarks
	ProducerIDExpiryMillis    int64
	ProducerIDCheckMillis     int64
	CleanerEnable             bool
	CleanerBackoffMillis      int64
	CleanerDedupeBytes        int64
	BatchMaxUncompressedBytes int64
	ChunkCacheBytes           int64
	IOLanes                   int32
	JournalFileBytes          int64
	JournalFiles              int32

	MetadataSnapshotBytes    int64
	MetadataSnapshotMillis   int64 // 0: by size only
	MetadataSegmentBytes     int32
	MetadataSegmentMillis    int64
	ElectionTimeoutMillis    int64
	ElectionBackoffMaxMillis int64
	QuorumFetchTimeoutMillis int64
	HeartbeatIntervalMillis  int64
	SessionTimeoutMillis     int64
	Groups                   Groups
	RegistrationMillis       int64 // how long a starting broker tries to register
	RequestTimeoutMillis     int64 // of requests between nodes
	ReconnectBackoffMillis   int64 // before a lost connection to another node is made again; grows up to a second
	ControlledShutdown       bool
	LeaderRebalance          bool
	ImbalanceCheckSeconds    int64
	UncleanElectionMillis    int64 // between two searches for partitions that need an unclean election

	ReplicaLagMillis           int64
	ReplicaFetchers            int32 // connections to one leader
	ReplicaFetchMinBytes       int32
	ReplicaFetchMaxBytes       int32 // of one partition
	ReplicaFetchResponseBytes  int32
	ReplicaFetchWaitMillis     int64
	ReplicaFetchBackoffMillis  int64
	ReplicaSocketTimeoutMillis int64 // for the answer to a follower's fetch, beyond its wait
	RackAwareReads             bool  // consumers are sent to a replica in their own rack (KIP-392)
}

// Lone reports whether the node is a cluster by itself, which no other node can join.
func (b *Broker) Lone() bool {
	if !b.IsBroker || !b.Controller {
		return false
	}
	if len(b.Voters) > 0 {
		reachable := slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.Controller })
		return len(b.Voters) == 1 && !reachable
	}
	return len(b.Bootstrap) == 0 || len(b.Bootstrap) == 1 && b.isOwn(b.Bootstrap[0])
}

// isOwn reports whether an address is one of this node's listeners for the quorum, as far as names tell.
func (b *Broker) isOwn(address string) bool {
	host, port, _ := parseHostPort(address)
	for _, l := range b.Listeners {
		if l.Controller && l.Port == port && (l.Host == host || everywhere(l.Host) && (host == "localhost" || host == "127.0.0.1")) {
			return true
		}
	}
	return false
}

// IsController reports whether a listener is for the metadata quorum.
func (b *Broker) IsController(listener string) bool {
	return slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.Name == listener && l.Controller })
}

// Inter reports whether the nodes of a cluster talk to each other on a listener.
func (b *Broker) Inter(listener string) bool {
	return !b.Lone() && (listener == b.InterBrokerListener || b.IsController(listener))
}

// ForNodes reports whether clients are not expected on a listener: it is for the metadata quorum, or named as the one between brokers while there is
// another one for clients.
func (b *Broker) ForNodes(listener string) bool {
	if b.IsController(listener) {
		return true
	}
	named, given := b.Static.Value("inter.broker.listener.name")
	return given && named == listener && len(b.Advertised) > 1 && b.Inter(listener)
}

// ControllerAddress is where the other nodes of the quorum reach this one; "" if they do not.
func (b *Broker) ControllerAddress() string {
	for _, v := range b.Voters {
		if v.ID == b.NodeID {
			return v.Address()
		}
	}
	for _, l := range b.Listeners {
		if l.Controller {
			return Voter{Host: l.reachable(), Port: l.Port}.Address()
		}
	}
	return ""
}

// rackAwareSelector is the class name that Apache Kafka has for it.
const rackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

// Parse checks the keys and values of a configuration file and makes them a Broker. The error joins every fault.
func Parse(values map[string]string) (*Broker, error) {
	var faults []error
	var static Overrides
	for _, s := range OverridesOf(values) {
		key := BrokerKey(s.Key)
		if key == nil {
			faults = append(faults, unknown(s.Key, brokerTable))
			continue
		}
		canonical, err := key.Canonical(s.Value)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		static = append(static, Setting{s.Key, canonical}) // in order, as OverridesOf is
	}
	b := newBroker(static, Defaults{Static: static})
	faults = append(faults, b.faults()...)
	return b, errors.Join(faults...)
}

// With returns the broker's configuration with the settings that were altered while it runs: for all brokers, and for
// this one. Settings that need a restart are not looked up there.
func (b *Broker) With(cluster, own Overrides) *Broker {
	return newBroker(b.Static, Defaults{Static: b.Static, Cluster: cluster, Broker: own})
}

// Validate reports every fault of the whole.
func (b *Broker) Validate() error { return errors.Join(b.faults()...) }

// brokerValues looks a broker's settings up through all layers.
type brokerValues struct{ Defaults }

func (v brokerValues) text(name string) string {
	value, _ := v.value(name)
	return value
}

func (v brokerValues) integer(name string) int64 {
	n, err := strconv.ParseInt(v.text(name), 10, 64)
	if err != nil {
		n, _ = strconv.ParseInt(BrokerKey(name).Default, 10, 64) // the tables hold only good defaults
	}
	return n
}

func (v brokerValues) boolean(name string) bool { return v.text(name) == "true" }

func newBroker(static Overrides, layers Defaults) *Broker {
	v := brokerValues{layers}
	b := &Broker{
		Static: static,

		NodeID:    int32(v.integer("node.id")),
		Rack:      v.text("broker.rack"),
		Bootstrap: splitList(v.text("controller.quorum.bootstrap.servers")),
		LogDir:    v.text("log.dir"),

		NumPartitions:            int32(v.integer("num.partitions")),
		DefaultReplicationFactor: int16(v.integer("default.replication.factor")),
		AutoCreateTopics:         v.boolean("auto.create.topics.enable"),
		DeleteTopicEnable:        v.boolean("delete.topic.enable"),

		CleanerEnable:          v.boolean("log.cleaner.enable"),
		CleanerBackoffMillis:   v.integer("log.cleaner.backoff.ms"),
		CleanerDedupeBytes:     v.integer("log.cleaner.dedupe.buffer.size"),
		ProducerIDExpiryMillis: v.integer("producer.id.expiration.ms"),
		ProducerIDCheckMillis:  v.integer("producer.id.expiration.check.interval.ms"),
	}
	b.fillRoles(v)
	b.fillNetwork(v)
	b.fillStorage(v)
	b.fillQuorum(v)
	b.fillReplication(v)
	b.Groups = groupsOf(v)
	if b.ClusterID = v.text("lignum.cluster.id"); b.ClusterID == "" && len(b.Voters) > 0 && !b.Lone() {
		b.ClusterID = clusterOf(b.Voters)
	}
	return b
}

func (b *Broker) fillRoles(v brokerValues) {
	if _, given := b.Static.Value("node.id"); !given && v.integer("broker.id") >= 0 {
		b.NodeID = int32(v.integer("broker.id"))
	}
	if dirs := splitList(v.text("log.dirs")); len(dirs) > 0 {
		b.LogDir = dirs[0]
	}
	roles := splitList(v.text("process.roles"))
	b.IsBroker, b.Controller = slices.Contains(roles, "broker"), slices.Contains(roles, "controller")
	b.Voters, _ = parseVoters(v.text("controller.quorum.voters"))
}

func (b *Broker) fillNetwork(v brokerValues) {
	b.fillListeners(v)
	b.MaxConnections = int32(v.integer("max.connections"))
	b.MaxConnectionsPerIP = int32(v.integer("max.connections.per.ip"))
	b.ConnectionsMaxIdleMillis = v.integer("connections.max.idle.ms")
	b.RequestMaxBytes = int32(v.integer("socket.request.max.bytes"))
	b.QueuedMaxRequests = int32(v.integer("queued.max.requests"))
	b.QueuedMaxRequestBytes = v.integer("queued.max.request.bytes")
	if b.QueuedMaxRequestBytes < 0 {
		b.QueuedMaxRequestBytes = ownQueuedBytes
	}
	b.ConnectionRequestsInFlight = int32(v.integer("lignum.connection.max.requests.in.flight"))
	b.FetchMaxBytes = int32(v.integer("fetch.max.bytes"))
	b.FetchSessionCacheSlots = int32(v.integer("max.incremental.fetch.session.cache.slots"))
	b.DescribePartitionsMax = int32(v.integer("max.request.partition.size.limit"))
}

// ownQueuedBytes bounds the requests that wait in the broker if the user sets no bound. One that is larger gets in as long as there is any
// room.
const ownQueuedBytes = 16 << 20

func (b *Broker) fillListeners(v brokerValues) {
	listeners, _ := parseListeners(v.text("listeners"))
	forQuorum := splitList(v.text("controller.listener.names"))
	for _, l := range listeners {
		b.Listeners = append(b.Listeners, Listener{
			Name: l.Listener, Host: l.Host, Port: l.Port, Controller: slices.Contains(forQuorum, l.Listener),
		})
	}
	advertised, _ := parseListeners(v.text("advertised.listeners"))
	if _, given := v.value("advertised.listeners"); !given {
		advertised = listeners
	}
	for _, e := range advertised {
		if everywhere(e.Host) {
			e.Host = "localhost"
		}
		if !slices.Contains(forQuorum, e.Listener) {
			b.Advertised = append(b.Advertised, e)
		}
	}
	b.InterBrokerListener = v.text("inter.broker.listener.name")
	if b.InterBrokerListener == "" && len(b.Advertised) > 0 {
		b.InterBrokerListener = b.Advertised[0].Listener
	}
}

func (b *Broker) fillStorage(v brokerValues) {
	b.RetentionCheckMillis = v.integer("log.retention.check.interval.ms")
	b.RecoveryCheckpointMillis = v.integer("log.flush.offset.checkpoint.interval.ms")
	b.LogStartCheckpointMillis = v.integer("log.flush.start.offset.checkpoint.interval.ms")
	b.HighWatermarkMillis = v.integer("replica.high.watermark.checkpoint.interval.ms")
	b.BatchMaxUncompressedBytes = v.integer("lignum.batch.max.uncompressed.bytes")
	b.ChunkCacheBytes = v.integer("lignum.chunk.cache.bytes")
	b.IOLanes = int32(v.integer("lignum.io.lanes"))
	b.JournalFileBytes = v.integer("lignum.journal.file.bytes")
	b.JournalFiles = int32(v.integer("lignum.journal.files"))
}

func (b *Broker) fillQuorum(v brokerValues) {
	b.MetadataSnapshotBytes = v.integer("metadata.log.max.record.bytes.between.snapshots")
	b.MetadataSnapshotMillis = v.integer("metadata.log.max.snapshot.interval.ms")
	b.MetadataSegmentBytes = int32(v.integer("metadata.log.segment.bytes"))
	b.MetadataSegmentMillis = v.integer("metadata.log.segment.ms")
	b.ElectionTimeoutMillis = v.integer("controller.quorum.election.timeout.ms")
	b.ElectionBackoffMaxMillis = v.integer("controller.quorum.election.backoff.max.ms")
	b.QuorumFetchTimeoutMillis = v.integer("controller.quorum.fetch.timeout.ms")
	b.HeartbeatIntervalMillis = v.integer("broker.heartbeat.interval.ms")
	b.SessionTimeoutMillis = v.integer("broker.session.timeout.ms")
	b.RegistrationMillis = v.integer("initial.broker.registration.timeout.ms")
	b.RequestTimeoutMillis = v.integer("request.timeout.ms")
	b.ReconnectBackoffMillis = v.integer("controller.quorum.retry.backoff.ms")
	b.ControlledShutdown = v.boolean("controlled.shutdown.enable")
	b.LeaderRebalance = v.boolean("auto.leader.rebalance.enable")
	b.ImbalanceCheckSeconds = v.integer("leader.imbalance.check.interval.seconds")
	b.UncleanElectionMillis = v.integer("unclean.leader.election.interval.ms")
}

func (b *Broker) fillReplication(v brokerValues) {
	b.ReplicaLagMillis = v.integer("replica.lag.time.max.ms")
	b.ReplicaFetchers = int32(v.integer("num.replica.fetchers"))
	b.ReplicaFetchMinBytes = int32(v.integer("replica.fetch.min.bytes"))
	b.ReplicaFetchMaxBytes = int32(v.integer("replica.fetch.max.bytes"))
	b.ReplicaFetchResponseBytes = int32(v.integer("replica.fetch.response.max.bytes"))
	b.ReplicaFetchWaitMillis = v.integer("replica.fetch.wait.max.ms")
	b.ReplicaFetchBackoffMillis = v.integer("replica.fetch.backoff.ms")
	b.ReplicaSocketTimeoutMillis = v.integer("replica.socket.timeout.ms")
	b.RackAwareReads = v.text("replica.selector.class") == rackAwareSelector
}

// faults are what is wrong between settings that are each right by themselves.
func (b *Broker) faults() []error {
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	v := brokerValues{Defaults{Static: b.Static}}
	if id := v.integer("broker.id"); id >= 0 && int32(id) != b.NodeID {
		wrong("broker.id is %d and node.id is %d: want the same number, or only node.id", id, b.NodeID)
	}
	if dirs := splitList(v.text("log.dirs")); len(dirs) > 1 {
		wrong("log.dirs is %q: want one directory", v.text("log.dirs"))
	}
	if b.LogDir == "" {
		wrong("log.dir is empty: want a directory")
	}
	if b.SessionTimeoutMillis <= b.HeartbeatIntervalMillis {
		wrong("broker.session.timeout.ms is %d: want more than broker.heartbeat.interval.ms, which is %d", b.SessionTimeoutMillis, b.HeartbeatIntervalMillis)
	}
	faults = append(faults, lagFaults(NewTopic(nil, Defaults{Static: b.Static}), "log.cleaner.")...)
	faults = append(faults, b.quorumFaults(v)...)
	faults = append(faults, groupFaults(v)...)
	return append(faults, b.listenerFaults(v)...)
}

// quorumFaults are what is wrong about the node's place in the cluster.
func (b *Broker) quorumFaults(v brokerValues) []error {
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	voters, named := v.text("controller.quorum.voters"), false
	for _, other := range b.Voters {
		named = named || other.ID == b.NodeID
	}
	if b.Controller && len(b.Voters) > 0 && !named {
		wrong("controller.quorum.voters is %q: want this node (node.id %d) among them, because it is a controller", voters, b.NodeID)
	}
	if !b.Controller && named {
		wrong("controller.quorum.voters is %q: this node (node.id %d) is no controller, want it not among them", voters, b.NodeID)
	}
	if !b.Controller && len(b.Voters) == 0 && len(b.Bootstrap) == 0 {
		wrong("process.roles is %q: want controller.quorum.voters or controller.quorum.bootstrap.servers too, to find the controllers", v.text("process.roles"))
	}
	listening := slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.Controller })
	if b.Controller && !listening && !b.Lone() {
		wrong("controller.listener.names is %q: want the name of one of listeners, for the other nodes to reach the controller", v.text("controller.listener.names"))
	}
	if !b.Controller && listening {
		wrong("listeners is %q: want none of controller.listener.names, because this node is no controller", v.text("listeners"))
	}
	if !b.Lone() && b.ClusterID == "" {
		wrong("lignum.cluster.id is empty: want the cluster's id, because controller.quorum.voters does not name the first voters")
	}
	return faults
}

func (b *Broker) listenerFaults(v brokerValues) []error {
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	protocols, _ := parseProtocolMap(v.text("listener.security.protocol.map"))
	clients := 0
	for i, l := range b.Listeners {
		protocol, mapped := protocols.Value(l.Name)
		if !mapped && l.Controller {
			protocol, mapped = "PLAINTEXT", true
		}
		if !mapped {
			wrong("listeners names %s, which is not in listener.security.protocol.map: want an entry %s:PLAINTEXT there", l.Name, l.Name)
		} else if protocol != "PLAINTEXT" {
			wrong("listener %s has the security protocol %s: want PLAINTEXT, because TLS and SASL are not supported yet", l.Name, protocol)
		}
		if !l.Controller {
			clients++
		}
		for _, other := range b.Listeners[:i] {
			if other.Port == l.Port && l.Port != 0 && other.Host == l.Host {
				wrong("listeners %s and %s both want port %d: want a port for each", other.Name, l.Name, l.Port)
			}
		}
	}
	if clients == 0 && b.IsBroker && len(b.Listeners) > 0 {
		wrong("listeners is %q: want at least one that is not in controller.listener.names", v.text("listeners"))
	}
	for _, e := range b.Advertised {
		if !b.listens(e.Listener) {
			wrong("advertised.listeners names %s: want only names that are in listeners", e.Listener)
		}
	}
	if name := v.text("inter.broker.listener.name"); name != "" && !b.listens(name) {
		wrong("inter.broker.listener.name is %q: want a name that is in listeners", name)
	}
	return faults
}

func (b *Broker) listens(name string) bool {
	return slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.Name == name })
}
