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
}

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
}

// faults are what is wrong between settings that are each right by themselves.
func (b *Broker) faults() []error {
	var faults []error
	wrong := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	v := brokerValues{Defaults{Static: b.Static}}
	if id := v.integer("broker.id"); id >= 0 && int32(id) != b.NodeID {
		wrong("broker.id is %d and node.id is %d: want the same number, or only node.id", id, b.NodeID)
	}
	if !b.IsBroker || !b.Controller {
		wrong("process.roles is %q: want broker,controller, because a cluster of several nodes is not supported yet", v.text("process.roles"))
	}
	if len(b.Voters) > 1 || len(b.Voters) == 1 && b.Voters[0].ID != b.NodeID {
		wrong("controller.quorum.voters is %q: want this node (node.id %d) alone, because a cluster of several nodes is not supported yet",
			v.text("controller.quorum.voters"), b.NodeID)
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
	return append(faults, b.listenerFaults(v)...)
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
