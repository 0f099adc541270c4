package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"lignum/core/api"
	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
)

// laneQuorum is the lane of the metadata quorum's own files.
const laneQuorum env.Lane = 1

// Start begins to serve; Events.Ready or Events.Failed tells how it went. It is called once, on the loop.
func (b *Broker) Start() {
	b.state = starting
	topics := config.NewTopic(nil, config.Defaults{Static: b.config.Static})
	b.store = storage.New(
		storage.Ports{Disk: b.Disk, Jobs: b.Jobs, Memory: b.Memory, Clock: b.Clock, Rand: b.Rand},
		storage.OptionsOf(b.config, topics),
		storage.Events{Ready: b.stored, Failed: b.fail},
	)
	b.store.Start()
}

// stored goes on once the store has opened its logs.
func (b *Broker) stored(err error) {
	if err != nil {
		b.fail(err)
		return
	}
	clean, _ := b.store.WasClean()
	b.Log(env.Debug, "logs are open", "logs", len(b.store.Logs()), "clean", clean)
	id := quorum.Partition()
	if log := b.store.Log(id); log != nil {
		log.Configure(b.metadataTopic())
		b.startQuorum(log)
		return
	}
	for _, bad := range b.store.Offline() {
		if bad.ID == id {
			b.fail(fmt.Errorf("the metadata log cannot be used: %w", bad.Err))
			return
		}
	}
	b.store.Create(id, quorum.TopicName, b.metadataTopic(), func(log *storage.Log, err error) {
		if err != nil {
			b.fail(fmt.Errorf("create the metadata log: %w", err))
			return
		}
		b.startQuorum(log)
	})
}

// metadataTopic is how the metadata log is kept: synced before anything is answered, and shortened by snapshots only.
func (b *Broker) metadataTopic() config.Topic {
	t := config.DefaultTopic()
	t.FlushPolicy = config.Sync
	t.CleanupDelete, t.CleanupCompact = false, false
	t.SegmentBytes, t.SegmentMillis = b.config.MetadataSegmentBytes, b.config.MetadataSegmentMillis
	t.RetentionBytes, t.RetentionMillis = config.Unlimited, config.Unlimited
	return t
}

// metadataLog is the log as the quorum sees it.
type metadataLog struct{ *storage.Log }

// AdvanceStart moves the log start. The quorum does so only behind a checkpoint that is durable, so nothing waits for it.
func (m metadataLog) AdvanceStart(o record.Offset) { m.Log.AdvanceStart(o, func(error) {}) }

func (b *Broker) startQuorum(log *storage.Log) {
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	b.quorum = quorum.New(
		quorum.Ports{Disk: b.Disk, Jobs: b.Jobs, Clock: b.Clock, Rand: b.Rand},
		quorum.Options{
			Node: b.node, Voters: []record.NodeID{b.node}, Dir: log.Dir(), Lane: laneQuorum,
			ElectionTimeout:  millis(b.config.ElectionTimeoutMillis),
			ElectionBackoff:  millis(b.config.ElectionBackoffMaxMillis),
			FetchTimeout:     millis(b.config.QuorumFetchTimeoutMillis),
			SnapshotBytes:    b.config.MetadataSnapshotBytes,
			SnapshotInterval: millis(b.config.MetadataSnapshotMillis),
		},
		quorum.Events{
			Restore: b.restore, Apply: b.applyEntry, Snapshot: func() []byte { return b.image.Snapshot() },
			Leading: b.leading, Send: func(record.NodeID, *quorum.Message) {}, Failed: b.fail,
		},
	)
	b.quorum.Start(metadataLog{log})
}

// restore takes over the image of a snapshot, at the start.
func (b *Broker) restore(_ quorum.Position, snapshot []byte) error {
	image, err := metadata.DecodeSnapshot(snapshot)
	if err != nil {
		return err
	}
	*b.image = *image
	return nil
}

// applyEntry takes a committed entry into the image and, once there are replicas, has them follow.
func (b *Broker) applyEntry(at quorum.Position, data []byte) {
	records, err := metadata.DecodeRecords(data)
	if err != nil {
		b.fail(fmt.Errorf("metadata entry at offset %d: %w", at.Offset, err))
		return
	}
	changes := b.image.Apply(metadata.Position{Offset: at.Offset, Epoch: at.Epoch}, records)
	if b.replicas {
		b.apply(changes)
	}
}

// leading is told when this node becomes the active controller, and when it is it no more.
func (b *Broker) leading(leads bool) {
	if !leads || b.replicas || b.state != starting {
		return
	}
	b.replicas = true
	b.controller = &controller.Controller{Image: b.image, Rand: b.Rand, Settings: controller.SettingsOf(b.config)}
	b.decisions = controller.NewDecisions(b.propose)
	b.register()
}

// propose writes records to the metadata log.
func (b *Broker) propose(records []metadata.Record, done func(error)) {
	b.quorum.Propose(metadata.AppendRecords(nil, records), func(err error) {
		if err != nil {
			done(err)
			return
		}
		done(nil)
	})
}

// decide is what requests decide by: the answer waits until the partitions are open.
func (b *Broker) decide(d controller.Decision, refused func(error)) {
	b.decisions.Decide(func() ([]metadata.Record, func(error)) {
		records, done := d()
		return records, func(err error) {
			if err != nil {
				done(err)
				return
			}
			b.whenOpened(func() { done(nil) })
		}
	}, refused)
}

// register makes this process known as the broker, in a new life: replicas that it led go on in a new leader epoch (L2).
func (b *Broker) register() {
	meta := b.store.Meta()
	clean, _ := b.store.WasClean()
	request := controller.RegisterBroker{
		ID: b.node, Incarnation: b.uuid(), Directories: []metadata.UUID{metadata.UUID(meta.Directory)}, Rack: b.config.Rack,
		Unclean: !clean,
	}
	for _, e := range b.config.Advertised {
		request.Endpoints = append(request.Endpoints, metadata.Endpoint{Listener: e.Listener, Host: e.Host, Port: e.Port})
	}
	var refusal controller.Refusal
	refused := func(err error) {
		if err == nil && refusal.Refused() {
			err = errors.New(refusal.Message)
		}
		if err != nil {
			b.fail(fmt.Errorf("register broker %d: %w", b.node, err))
			return
		}
		b.applyAll()
		b.whenOpened(b.outgrowProducers)
	}
	b.decisions.Decide(func() (records []metadata.Record, done func(error)) {
		records, refusal = b.controller.RegisterBroker(request)
		return records, refused
	}, refused)
}

// outgrowProducers sees to it that no producer id is given away that a log remembers: one that came from another cluster may.
func (b *Broker) outgrowProducers() {
	seen := record.NoProducer
	for _, log := range b.store.Logs() {
		seen = max(seen, log.Producers().Greatest())
	}
	done := func(err error) {
		if err != nil {
			b.fail(fmt.Errorf("set producer ids of moved logs aside: %w", err))
			return
		}
		b.serve()
	}
	b.decisions.Decide(func() ([]metadata.Record, func(error)) {
		return b.controller.OutgrowProducerIDs(b.node, b.image.Broker(b.node).Epoch, seen), done
	}, done)
}

// uuid is a random identity.
func (b *Broker) uuid() (id metadata.UUID) {
	binary.BigEndian.PutUint64(id[:8], b.Rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], b.Rand.Uint64())
	return id
}

// serve lets clients in.
func (b *Broker) serve() {
	if b.state != starting {
		return
	}
	b.handlers = api.NewHandlers(api.World{
		Clock: b.Clock, Rand: b.Rand, Jobs: b.Jobs, Timers: &b.timers,
		Node: b.node, ClusterID: b.store.Meta().ClusterID, LogDir: b.logDir,
		Image: b.image, Partitions: b.partitions, Controller: b.controller,
		Config: b.effective, Leader: b.activeController, Full: b.store.Full, Decide: b.decide, Usage: b.store.Usage,
	})
	b.state = serving
	b.events.Ready()
}

// activeController is the leader of the metadata quorum, or -1.
func (b *Broker) activeController() record.NodeID {
	if id, _, ok := b.quorum.Leader(); ok {
		return id
	}
	return metadata.NoNode
}

// effective is the configuration with what was altered while the broker runs.
func (b *Broker) effective() *config.Broker {
	if b.current == nil {
		b.current = b.config.With(b.image.ClusterConfig(), b.image.BrokerConfig(b.node))
	}
	return b.current
}
