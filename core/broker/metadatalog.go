package broker

import (
	"fmt"
	"time"

	"lignum/core/commitlog/checkpoint"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/storage"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A metadata log that cannot be used, or is gone, is not begun anew under the name that this node has in the quorum: what it held the node has
// voted for and acknowledged, and it may be the one that a majority rests on (M1, M2). With nobody else in the quorum nothing can take its place,
// and the node does not start. Otherwise the node follows the others as an observer, without a log, and what is on the disk stays as it is: the next
// start may be able to read it. Only once somebody leads whom a majority confirms, so that the others are a quorum without this node, it sets the log aside, takes another
// directory id in the quorum, and gets an empty log. From there on it is what a node with an empty disk is, see core/quorum/identity.go: the leader
// replaces the voter that it was. Its partitions, and the directory that they are known by, are as they were.
//
// A crash on the way leaves the data directory without a metadata log, and so does somebody who removes that: then a start takes another directory id
// in the quorum before it makes one.

// unledLimit is how long a node whose metadata log cannot be used waits for a leader before it gives up: another start may be able to read it.
const unledLimit = 15 * time.Second

// metadataLoss is what a node knows that follows the quorum without the metadata log that it had; its zero value is that of one that has it.
type metadataLoss struct {
	reason  error
	since   env.Instant
	asking  bool // a leader whether it is one
	next    env.Instant
	renewed bool // the log is being set aside, or was
}

// openMetadata finds or makes the metadata log. A node that is no controller has none: it keeps the image in memory.
func (b *Broker) openMetadata() {
	id := quorum.Partition()
	b.store.Identify(id, quorum.TopicName)
	if !b.config.Controller {
		b.startQuorum(nil)
		return
	}
	if log := b.store.Log(id); log != nil {
		log.Configure(b.metadataTopic())
		b.startQuorum(log)
		return
	}
	for _, bad := range b.store.Offline() {
		if bad.ID == id {
			b.metadataDamaged(bad.Err)
			return
		}
	}
	logs := len(b.store.Logs()) + len(b.store.Offline())
	switch {
	case b.store.Fresh(), b.sole() && logs == 0: // or its first start was broken off
		b.makeMetadataLog(b.startQuorum)
	case b.sole():
		b.fail(fmt.Errorf("there are %d partitions, but no metadata log (directory %s-0) that knows of them; this node is the only voter, so nobody else has it. %s",
			logs, quorum.TopicName, soleAdvice))
	default:
		b.Log(env.Warn, "there is no metadata log; this node takes part in the metadata quorum as another one than before")
		b.rename(quorum.Directory(b.uuid()), func() { b.makeMetadataLog(b.startQuorum) })
	}
}

// soleAdvice is what can be done about the metadata log of the only voter.
const soleAdvice = "Put a copy of the directory in its place, or copy the whole data directory to a good disk as far as it can be read, and start there"

// sole reports whether nobody but this node keeps the metadata, as far as its configuration tells.
func (b *Broker) sole() bool {
	return b.config.Lone() || len(b.config.Voters) == 1 && record.NodeID(b.config.Voters[0].ID) == b.node
}

// makeMetadataLog makes an empty one.
func (b *Broker) makeMetadataLog(then func(*storage.Log)) {
	b.store.Create(quorum.Partition(), quorum.TopicName, b.metadataTopic(), func(log *storage.Log, err error) {
		if err != nil {
			b.failUnlessStopping(fmt.Errorf("create the metadata log: %w", err))
			return
		}
		then(log)
	})
}

// failUnlessStopping ends the broker, unless it is being ended: then its store takes nothing any more.
func (b *Broker) failUnlessStopping(err error) {
	if b.state != stopping {
		b.fail(err)
	}
}

// rename gives this node another directory id in the quorum, durably.
func (b *Broker) rename(to quorum.Directory, then func()) {
	b.store.SetQuorumDirectory(checkpoint.DirectoryID(to), func(err error) {
		if err != nil {
			b.failUnlessStopping(fmt.Errorf("take another directory id in the metadata quorum: %w", err))
			return
		}
		then()
	})
}

// quorumDirectory is the id by which the quorum knows this node's directory.
func (b *Broker) quorumDirectory() quorum.Directory {
	meta := b.store.Meta()
	if !meta.Quorum.IsZero() {
		return quorum.Directory(meta.Quorum)
	}
	return quorum.Directory(meta.Directory)
}

// metadataDamaged is called at the start if the metadata log cannot be used. Nothing was done with what is left of it.
func (b *Broker) metadataDamaged(err error) {
	if b.sole() {
		b.fail(fmt.Errorf("the metadata log (directory %s-0) cannot be used, and this node is the only voter, so nobody else has it: %w. %s",
			quorum.TopicName, err, soleAdvice))
		return
	}
	b.Log(env.Error, "the metadata log cannot be used: this node follows the others as an observer, and sets it aside when they have a leader", "error", err)
	b.metadataLoss = metadataLoss{reason: err, since: b.Clock.Now()}
	began := b.quorum != nil
	b.newQuorum(quorum.Directory(b.uuid()), "")
	b.quorum.Start(nil)
	if !began {
		b.beginMembership()
	}
}

// replaceMetadataLog sets a metadata log aside that cannot be used, once the others are a quorum without this node.
func (b *Broker) replaceMetadataLog() {
	r := &b.metadataLoss
	if r.reason == nil || r.renewed || b.state != starting && b.state != serving {
		return
	}
	_, _, _, led := b.quorum.Leader()
	switch now := b.Clock.Now(); {
	case now.Sub(r.since) > unledLimit:
		b.fail(fmt.Errorf("the metadata log (directory %s-0) cannot be used, and no controller leads without this node: %w. Another start may be able to read it",
			quorum.TopicName, r.reason))
	case led && b.quorum.Applied() >= 0 && !r.asking && now >= r.next:
		r.asking, r.next = true, now.Add(joinPause)
		b.confirmLeader(func() {
			if !r.renewed {
				r.renewed = true
				b.renewMetadata()
			}
		})
	}
}

// confirmLeader calls then if who leads has heard from a majority of the voters since, which this node is none of. One that has lost them may not know it
// yet. Every answer to a heartbeat says so, and one that refuses a life that nobody has does nothing else.
func (b *Broker) confirmLeader(then func()) {
	q := kmsg.NewPtrBrokerHeartbeatRequest()
	q.SetVersion(1)
	q.BrokerID, q.BrokerEpoch, q.WantFence = int32(b.node), int64(metadata.NoBrokerEpoch), true
	b.askController(q, func(out kmsg.Response, err error) {
		b.metadataLoss.asking = false
		if err == nil && wire.ErrorCode(out.(*kmsg.BrokerHeartbeatResponse).ErrorCode) != wire.NotController && b.state != stopping && b.state != failed {
			then()
		}
	})
}

// renewMetadata sets the metadata log aside and begins an empty one, as another member of the quorum. The names are changed in this order, so that there is
// never a log, old or new, under an id that is not its own.
func (b *Broker) renewMetadata() {
	id := quorum.Partition()
	b.store.SetAside(id, func(to string, err error) {
		if err != nil {
			b.failUnlessStopping(fmt.Errorf("set the metadata log aside: %w", err))
			return
		}
		b.Log(env.Warn, "the metadata log was set aside, and is copied anew", "now", to)
		b.rename(b.quorum.Directory, func() {
			b.makeMetadataLog(func(log *storage.Log) { b.quorum.Equip(metadataLog{log}, log.Dir()) })
		})
	})
}
