package broker

import (
	"fmt"
	"time"

	"lignum/core/config"
	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/peer"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"
)

// laneQuorum is the lane of the metadata quorum's own files.
const laneQuorum env.Lane = 1

// maxUnanswered bounds the payloads that one member has not answered. What is too much is dropped, as if it had been lost on the way.
const maxUnanswered = 256

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

// startQuorum has this node take part in the quorum with the log that it has, if it has one.
func (b *Broker) startQuorum(log *storage.Log) {
	dir := ""
	if log != nil {
		dir = log.Dir()
	}
	b.newQuorum(b.quorumDirectory(), dir)
	if log == nil {
		b.quorum.Start(nil)
	} else {
		b.quorum.Start(metadataLog{log})
	}
	b.beginMembership()
}

// beginMembership has a broker of a cluster look for its controller.
func (b *Broker) beginMembership() {
	if b.config.IsBroker && !b.config.Lone() {
		b.join()
	}
	if !b.config.IsBroker {
		b.serve()
	}
}

// newQuorum makes this node's part in the quorum, which knows it by a directory; dir is the metadata log's.
func (b *Broker) newQuorum(directory quorum.Directory, dir string) {
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	meta := b.store.Meta()
	o := quorum.Options{
		Node: b.node, Directory: directory, ClusterID: meta.ClusterID, Lane: laneQuorum, Dir: dir,
		Bootstrap: b.config.Bootstrap, Observer: !b.config.Controller || !b.config.Lone() && len(b.config.Voters) == 0,
		ElectionTimeout:  millis(b.config.ElectionTimeoutMillis),
		ElectionBackoff:  millis(b.config.ElectionBackoffMaxMillis),
		FetchTimeout:     millis(b.config.QuorumFetchTimeoutMillis),
		SnapshotBytes:    b.config.MetadataSnapshotBytes,
		SnapshotInterval: millis(b.config.MetadataSnapshotMillis),
	}
	for _, v := range b.config.Voters {
		o.Voters = append(o.Voters, quorum.Voter{ID: record.NodeID(v.ID), Address: v.Address()})
	}
	if b.config.Controller {
		o.Address = b.config.ControllerAddress()
	}
	if b.config.Lone() {
		o.Voters, o.Bootstrap = []quorum.Voter{{ID: b.node, Address: o.Address}}, nil
	}
	b.quorum = quorum.New(quorum.Ports{Disk: b.Disk, Jobs: b.Jobs, Clock: b.Clock, Rand: b.Rand}, o, quorum.Events{
		Restore: b.restore, Apply: b.applyEntry, Snapshot: func() []byte { return b.image.Snapshot() },
		Leading: b.leading, Send: b.sendPayload, Failed: b.fail, Damaged: b.metadataDamaged,
	})
}

// sendPayload sends what the quorum has to say to another node.
func (b *Broker) sendPayload(o quorum.Outgoing) {
	purpose, timeout := peer.Quorum, time.Duration(b.config.QuorumFetchTimeoutMillis)*time.Millisecond
	if o.Polls {
		purpose, timeout = peer.Pull, timeout+quorum.PollWait
	}
	link := b.peers.Link(o.To, purpose, o.Address)
	if link.Pending() >= maxUnanswered {
		return
	}
	request := wire.QuorumMessageRequest{ClusterID: []byte(b.store.Meta().ClusterID), Payload: o.Payload}
	body := func(dst []byte) []byte { return request.AppendTo(dst, 0) }
	link.Call(wire.QuorumMessage, 0, body, timeout, func(r peer.Reply, err error) {
		var answer wire.QuorumMessageResponse
		if err != nil || answer.Decode(r.Body, 0) != nil || len(answer.Payload) == 0 {
			return
		}
		b.quorum.Receive(answer.Payload, nil)
	})
}

// restore takes over the image of a snapshot: at the start, or when this node has fallen far behind.
func (b *Broker) restore(_ quorum.Position, snapshot []byte) error {
	image, err := metadata.DecodeSnapshot(snapshot)
	if err != nil {
		return err
	}
	old := b.image.Topics()
	*b.image = *image
	if b.replicas {
		b.catchUp(old)
	}
	b.registered()
	return nil
}

// catchUp brings everything in line with an image that came as a whole: this node was not told each entry before it. old are the topics
// that there were.
func (b *Broker) catchUp(old []*metadata.Topic) {
	b.current, b.topicsAt = nil, b.image.Offset()
	for _, t := range old {
		if b.image.TopicByID(t.ID) == nil {
			b.groups.TopicDeleted(t.Name, t.ID)
		}
	}
	b.removeUnknown()
	b.applyAll()
	for _, p := range b.partitions.All() {
		b.configure(p)
	}
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
	b.registered()
	b.hasten()
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

// begin lets a node that is a cluster by itself go on, once it leads its quorum.
func (b *Broker) begin() {
	if b.replicas || b.state != starting {
		return
	}
	b.replicas = true
	b.register()
}

// newController makes the decider. It decides nothing before this node is the active controller.
func (b *Broker) newController() {
	b.controller = &controller.Controller{Image: b.image, Rand: b.Rand, Settings: controller.SettingsOf(b.config)}
}
