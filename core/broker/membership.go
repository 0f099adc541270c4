package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/peer"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// membership is a broker's standing with the active controller: it registers once in a life, then sends heartbeats.
type membership struct {
	incarnation metadata.UUID
	epoch       metadata.BrokerEpoch // NoBrokerEpoch until registered
	replaces    metadata.BrokerEpoch // of the registration that this one is to replace, as far as a controller has told
	began       env.Instant
	asking      bool
	timer       timer.Timer
	// lease is until when the controller counts on this broker: no other one leads what this one leads before that (F7).
	lease env.Instant
	// resigned: the controller was asked to let this broker go. From then on others may lead what it leads, whether it has heard of that or not, and
	// nobody waits for it: it answers no reads as a leader any more (F7).
	resigned bool
	ready    bool // all replicas are open
	hurry    bool // another heartbeat is to follow the one that is under way at once
	leave    func()
	patience timer.Timer
	heard    env.Instant // when the controller answered last, while leaving
}

const (
	// joinPause is the time between two tries while the broker is not let in yet.
	joinPause = 50 * time.Millisecond
	// leaveLimit is how long a stopping broker waits for others to take over.
	leaveLimit = 30 * time.Second
	// stayLimit is how long nodes that stop together wait for each other, stayPause the time between two looks.
	stayLimit = 300 * time.Millisecond
	stayPause = 10 * time.Millisecond
)

// leased reports whether the controller still counts on this broker, so that what it leads has no other leader (F7).
func (b *Broker) leased() bool { return b.config.Lone() || b.Clock.Now() < b.member.lease }

// join asks the controller to let this broker in.
func (b *Broker) join() {
	b.member.incarnation, b.member.epoch, b.member.began = b.uuid(), metadata.NoBrokerEpoch, b.Clock.Now()
	b.member.replaces = metadata.NoBrokerEpoch
	b.askToJoin()
}

func (b *Broker) askToJoin() {
	if b.state == failed || b.state == stopping {
		return
	}
	limit := time.Duration(b.config.RegistrationMillis) * time.Millisecond
	if waited := b.Clock.Now().Sub(b.member.began); waited > limit {
		b.Log(env.Warn, "the broker waits for a controller to register with", "for", waited)
		b.member.began = b.Clock.Now()
	}
	b.askController(b.registration(), func(r kmsg.Response, err error) {
		if err != nil {
			b.again(joinPause, b.askToJoin)
			return
		}
		out := r.(*kmsg.BrokerRegistrationResponse)
		switch code := wire.ErrorCode(out.ErrorCode); code {
		case wire.None:
			b.member.epoch = metadata.BrokerEpoch(out.BrokerEpoch)
			b.registered()
		case wire.DuplicateBrokerRegistration:
			b.askToReplace(metadata.BrokerEpoch(out.BrokerEpoch))
		case wire.NotController, wire.RequestTimedOut:
			b.again(joinPause, b.askToJoin)
		default:
			b.fail(fmt.Errorf("register broker %d: %s", b.node, code.Message()))
		}
	})
}

// askToReplace asks once more when the controller has told which registration there is. It is that of an earlier life, of a request that an earlier life
// sent, or of another process of this id, which may have died a moment ago; then its session ends.
func (b *Broker) askToReplace(epoch metadata.BrokerEpoch) {
	pause := joinPause
	if b.member.replaces != epoch {
		b.member.replaces, pause = epoch, 0
	}
	b.again(pause, b.askToJoin)
}

func (b *Broker) again(after time.Duration, what func()) {
	b.timers.Start(&b.member.timer, b.Clock.Now().Add(after), what)
}

func (b *Broker) registration() *kmsg.BrokerRegistrationRequest {
	meta := b.store.Meta()
	r := kmsg.NewPtrBrokerRegistrationRequest()
	r.SetVersion(r.MaxVersion())
	r.BrokerID, r.ClusterID, r.IncarnationID, r.PreviousBrokerEpoch = int32(b.node), meta.ClusterID, b.member.incarnation, -1
	r.LogDirs = [][16]byte{meta.Directory}
	r.UnknownTags.Set(wire.TagReplaces, binary.BigEndian.AppendUint64(nil, uint64(b.member.replaces)))
	if b.config.Rack != "" {
		r.Rack = &b.config.Rack
	}
	if clean, epoch := b.store.WasClean(); clean {
		r.PreviousBrokerEpoch = epoch
	}
	for _, e := range b.config.Advertised {
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port = e.Listener, e.Host, e.Port
		r.Listeners = append(r.Listeners, l)
	}
	for _, f := range controller.SupportedFeatures() {
		r.Features = append(r.Features, kmsg.BrokerRegistrationRequestFeature{Name: f.Name, MinSupportedVersion: f.Min, MaxSupportedVersion: f.Max})
	}
	return r
}

// registered begins the replicas once the image shows this life's registration: before that, what the image says of this broker is meant for the
// life before, whose leaderships ended with it (L2). A broker that is fenced can be unregistered, and so can this one before it has seen that it is
// registered.
func (b *Broker) registered() {
	asked := b.member.incarnation != metadata.UUID{} // false where there is only a controller
	if b.replicas || !asked || b.member.epoch == metadata.NoBrokerEpoch || metadata.BrokerEpoch(b.image.Offset()) < b.member.epoch {
		return
	}
	switch self := b.image.Broker(b.node); {
	case self == nil, self.Incarnation != b.member.incarnation && slices.Contains(self.Directories, metadata.UUID(b.store.Meta().Directory)):
		// Whoever has been registered since with the directory that this process holds is an earlier life, whose request came late.
		b.Log(env.Warn, "the broker was unregistered while it started, and registers anew", "epoch", b.member.epoch)
		b.member.epoch = metadata.NoBrokerEpoch
		b.again(joinPause, b.askToJoin)
		return
	case self.Incarnation != b.member.incarnation:
		b.fail(fmt.Errorf("another process is registered as broker %d", b.node))
		return
	case self.Epoch != b.member.epoch:
		b.member.epoch = self.Epoch // it was unregistered, and a request that came late has registered it again
	}
	b.replicas = true
	b.setStraysAside()
	b.applyAll()
	b.whenOpened(func() {
		b.member.ready = true
		b.beat()
	})
}

// beat sends a heartbeat, and sees to it that another follows.
func (b *Broker) beat() {
	left := b.member.resigned && b.member.leave == nil
	if b.member.asking || left || b.state == failed {
		return
	}
	b.member.asking, b.member.hurry = true, false
	b.member.resigned = b.member.resigned || b.member.leave != nil
	sent := b.Clock.Now()
	r := kmsg.NewPtrBrokerHeartbeatRequest()
	r.SetVersion(1)
	r.BrokerID, r.BrokerEpoch, r.CurrentMetadataOffset = int32(b.node), int64(b.member.epoch), int64(b.image.Offset())
	r.WantFence, r.WantShutdown = !b.member.ready, b.member.leave != nil
	b.askController(r, func(r kmsg.Response, err error) {
		b.member.asking = false
		if err != nil {
			if b.member.leave != nil && b.Clock.Now().Sub(b.member.heard) > b.electionLimit() {
				b.Log(env.Warn, "no controller takes over what this broker leads; it stops all the same")
				b.leave()
				return
			}
			b.again(joinPause, b.beat)
			return
		}
		b.member.heard = b.Clock.Now()
		b.heartbeatAnswered(r.(*kmsg.BrokerHeartbeatResponse), sent)
	})
}

func (b *Broker) heartbeatAnswered(r *kmsg.BrokerHeartbeatResponse, sent env.Instant) {
	interval := time.Duration(b.config.HeartbeatIntervalMillis) * time.Millisecond
	switch code := wire.ErrorCode(r.ErrorCode); code {
	case wire.None:
	case wire.StaleBrokerEpoch, wire.BrokerIDNotRegistered:
		if b.member.leave != nil {
			b.Log(env.Warn, "the broker was unregistered while it stopped; nobody depends on it any more")
			b.leave()
			return
		}
		b.fail(fmt.Errorf("the controller knows another process as broker %d, or has unregistered it: %s", b.node, code.Message()))
		return
	default:
		b.again(joinPause, b.beat)
		return
	}
	if !r.IsFenced && r.IsCaughtUp {
		session := time.Duration(b.config.SessionTimeoutMillis) * time.Millisecond
		b.member.lease = sent.Add(session - session/leaseMargin)
	}
	switch {
	case r.ShouldShutdown && b.member.leave != nil:
		b.leave()
		return
	case b.member.leave != nil, r.IsFenced:
		interval = min(interval, joinPause)
	case b.state == starting:
		b.serve()
	}
	if b.member.hurry {
		interval = 0
	}
	b.again(interval, b.beat)
}

// hasten sends a heartbeat out of turn if the entry that was just applied is one that somebody waits for this broker to know: a broker that wants to
// stop stays until all others have applied what it lost, and this one gets no more of its lease before it has applied what it lost itself.
func (b *Broker) hasten() {
	if !b.member.ready || b.state == failed {
		return
	}
	for _, o := range b.image.Brokers() {
		if o.Changed != b.image.Offset() || o.ID != b.node && !o.ShuttingDown {
			continue
		}
		if b.member.hurry = b.member.asking; !b.member.hurry {
			b.again(0, b.beat)
		}
		return
	}
}

// leaseMargin is the part of a session that a lease is shorter: clocks of different machines do not run equally fast.
const leaseMargin = 10

// errNoController is why nobody could be asked.
var errNoController = errors.New("no active controller is known")

// askController has the active controller answer: another node over the network, or this one at once.
func (b *Broker) askController(request kmsg.Request, done func(kmsg.Response, error)) {
	if b.active.decisions != nil {
		b.handlers.Control(request, func(r kmsg.Response) { done(r, nil) })
		return
	}
	id, address, _, ok := b.quorum.Leader()
	if !ok || address == "" || id == b.node {
		done(nil, errNoController)
		return
	}
	timeout := time.Duration(min(b.config.RequestTimeoutMillis, b.config.SessionTimeoutMillis/2)) * time.Millisecond
	purpose := peer.Control
	switch request.(type) {
	case *kmsg.EnvelopeRequest, *kmsg.CreateTopicsRequest:
		timeout = time.Duration(b.config.RequestTimeoutMillis) * time.Millisecond
		purpose = peer.Forward // what waits for partitions to open must not hold up heartbeats
	}
	b.peers.Link(id, purpose, address).CallMessage(request, timeout, done)
}

// Leave hands over to others what this node leads, partitions and the quorum; done is called when nobody depends on it any more, or it takes too
// long.
func (b *Broker) Leave(done func()) {
	if b.quorum == nil {
		b.member.resigned = true // it has not registered yet, and is not to be let in when it has
	}
	if !b.takesPart() || b.quorum == nil || b.config.Lone() || !b.config.ControlledShutdown {
		done()
		return
	}
	b.quorum.HandOver(func() {
		switch {
		case !b.config.IsBroker || !b.takesPart():
			done()
		case !b.member.ready:
			b.member.resigned = true // it is fenced, and is not to be let in any more
			done()
		default:
			b.leaveBroker(func() { b.stayForOthers(b.Clock.Now().Add(stayLimit), done) })
		}
	})
}

// takesPart: others may depend on this node. A broker that starts is let in before it serves.
func (b *Broker) takesPart() bool { return b.state == starting || b.state == serving }

func (b *Broker) leaveBroker(done func()) {
	b.member.heard = b.Clock.Now()
	b.member.leave = done
	b.beat()
	b.waitToLeave(b.Clock.Now().Add(leaveLimit))
}

// waitToLeave ends a broker's wait for others to take over when it takes too long, or when all others are gone or stopping.
func (b *Broker) waitToLeave(limit env.Instant) {
	switch {
	case b.member.leave == nil:
	case b.Clock.Now() >= limit:
		b.Log(env.Warn, "the controller did not take over in time what this broker leads; it stops all the same", "after", leaveLimit)
		b.leave()
	case b.lastToLeave(limit):
		b.leave()
	default:
		b.timers.Start(&b.member.patience, b.Clock.Now().Add(joinPause), func() { b.waitToLeave(limit) })
	}
}

// lastToLeave reports whether no broker is left that could take over what this one leads. This one's own wish has to be known, too, or the others might
// wait for it.
func (b *Broker) lastToLeave(limit env.Instant) bool {
	for _, o := range b.image.Brokers() {
		if o.Active() && (o.ID != b.node || limit.Sub(b.Clock.Now()) > leaveLimit-stayLimit) {
			return false
		}
	}
	return true
}

// stayForOthers keeps the active controller until the other brokers that are stopping have been let go, too: when all nodes are stopped at once, no
// other one may come.
func (b *Broker) stayForOthers(limit env.Instant, done func()) {
	leaving := func(o *metadata.Broker) bool { return o.ID != b.node && o.ShuttingDown && !o.Fenced }
	if b.active.decisions == nil || b.Clock.Now() >= limit || !slices.ContainsFunc(b.image.Brokers(), leaving) {
		done()
		return
	}
	b.timers.Start(&b.member.patience, b.Clock.Now().Add(stayPause), func() { b.stayForOthers(limit, done) })
}

// leave lets the stop go on.
func (b *Broker) leave() {
	leave := b.member.leave
	b.member.leave = nil
	b.timers.Stop(&b.member.timer)
	leave()
}

// electionLimit is how long a quorum that has a majority is without an active controller at most, if all goes well.
func (b *Broker) electionLimit() time.Duration {
	return time.Duration(b.config.QuorumFetchTimeoutMillis+2*b.config.ElectionTimeoutMillis) * time.Millisecond
}
