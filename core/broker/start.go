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
	"lignum/core/peer"
	"lignum/core/record"
	"lignum/core/storage"
)

// Start begins to serve; Events.Ready or Events.Failed tells how it went. It is called once, on the loop.
func (b *Broker) Start() {
	b.state = starting
	b.peers = peer.NewSet(peer.Ports{Network: b.Network, Clock: b.Clock, Rand: b.Rand, Timers: &b.timers, Log: b.Log}, peer.Options{
		ClientID: fmt.Sprintf("node-%d", b.node), BackoffMin: time.Duration(b.config.ReconnectBackoffMillis) * time.Millisecond,
	})
	b.newController()
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
	b.newHandlers()
	if b.config.IsBroker && !b.config.Lone() {
		b.newReplication()
	}
	b.openMetadata()
}

// register makes this process known as the broker, in a new life: replicas that it led go on in a new leader epoch (L2).
func (b *Broker) register() {
	meta := b.store.Meta()
	clean, epoch := b.store.WasClean()
	request := controller.RegisterBroker{
		ID: b.node, Incarnation: b.uuid(), Directories: []metadata.UUID{metadata.UUID(meta.Directory)}, Rack: b.config.Rack,
		Features: controller.SupportedFeatures(), Unclean: !clean, PreviousEpoch: metadata.NoBrokerEpoch,
	}
	if clean {
		request.PreviousEpoch = metadata.BrokerEpoch(epoch)
	}
	for _, e := range b.config.Advertised {
		request.Endpoints = append(request.Endpoints, metadata.Endpoint{Listener: e.Listener, Host: e.Host, Port: e.Port})
	}
	var refusal controller.Refusal
	refused := func(err error) {
		if b.state != starting {
			return // it was ended
		}
		if err == nil && refusal.Refused() {
			err = errors.New(refusal.Message)
		}
		if err != nil {
			b.fail(fmt.Errorf("register broker %d: %w", b.node, err))
			return
		}
		b.setStraysAside()
		b.applyAll()
		b.whenOpened(b.outgrowProducers)
	}
	b.decide(func() (records []metadata.Record, done func(error)) {
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
		if b.state != starting {
			return // it was ended while logs were being opened, and decides nothing any more
		}
		if err != nil {
			b.fail(fmt.Errorf("set producer ids of moved logs aside: %w", err))
			return
		}
		b.serve()
	}
	b.decide(func() ([]metadata.Record, func(error)) {
		return b.controller.OutgrowProducerIDs(b.node, b.image.Broker(b.node).Epoch, seen), done
	}, done)
}

// uuid is a random identity.
func (b *Broker) uuid() (id metadata.UUID) {
	binary.BigEndian.PutUint64(id[:8], b.Rand.Uint64())
	binary.BigEndian.PutUint64(id[8:], b.Rand.Uint64())
	return id
}

// newHandlers makes what answers requests. Clients are let in later; other nodes are not kept waiting.
func (b *Broker) newHandlers() {
	b.groups = b.newGroups()
	b.handlers = api.NewHandlers(api.World{
		Clock: b.Clock, Rand: b.Rand, Jobs: b.Jobs, Timers: &b.timers,
		Node: b.node, ClusterID: b.store.Meta().ClusterID, LogDir: b.logDir,
		Image: b.image, Partitions: b.partitions, Controller: b.controller, Groups: b.groups,
		Config: b.effective, Leader: b.activeController, Full: b.store.Full, Decide: b.decide, DecideFirst: b.decideFirst, Usage: b.store.Usage,
		WhenOpened: b.whenOpened, AskController: b.askController, Quorum: b.askedQuorum(),
		Active:        func() bool { return b.active.decisions != nil },
		Sessions:      func() *controller.Sessions { return b.active.sessions },
		QuorumPayload: func(p []byte, reply func([]byte)) { b.quorum.Receive(p, reply) },
	})
}

// serve lets clients in.
func (b *Broker) serve() {
	if b.state == starting {
		b.state = serving
		b.events.Ready()
	}
}

// activeController is the leader of the metadata quorum, or -1.
func (b *Broker) activeController() record.NodeID {
	if id, _, _, ok := b.quorum.Leader(); ok {
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
