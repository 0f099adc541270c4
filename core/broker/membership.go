package broker

import (
	"errors"
	"fmt"
	"time"

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
	began       env.Instant
	asking      bool
	timer       timer.Timer
	// lease is until when the controller counts on this broker: no other one leads what this one leads before that (F7).
	lease env.Instant
	// resigned: the controller was asked to let this broker go. From then on others may lead what it leads, whether it has heard of that or not, and
	// nobody waits for it: it answers no reads as a leader any more (F7).
	resigned bool
	ready    bool // all replicas are open
	leave    func()
	heard    env.Instant // when the controller answered last, while leaving
}

const (
	// joinPause is the time between two tries while the broker is not let in yet.
	joinPause = 50 * time.Millisecond
	// leaveLimit is how long a stopping broker waits for others to take over.
	leaveLimit = 30 * time.Second
)

// leased reports whether the controller still counts on this broker, so that what it leads has no other leader (F7).
func (b *Broker) leased() bool { return b.config.Lone() || b.Clock.Now() < b.member.lease }

// join asks the controller to let this broker in.
func (b *Broker) join() {
	b.member.incarnation, b.member.epoch, b.member.began = b.uuid(), metadata.NoBrokerEpoch, b.Clock.Now()
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
		case wire.NotController, wire.RequestTimedOut, wire.DuplicateBrokerRegistration:
			// Another process of this id may be one that died a moment ago; its session ends.
			b.again(joinPause, b.askToJoin)
		default:
			b.fail(fmt.Errorf("register broker %d: %s", b.node, code.Message()))
		}
	})
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
	return r
}

// registered begins the replicas once the image shows this life's registration: before that, what the image says of this broker is meant for the
// life before, whose leaderships ended with it (L2).
func (b *Broker) registered() {
	self := b.image.Broker(b.node)
	if b.replicas || b.member.epoch == metadata.NoBrokerEpoch || self == nil || self.Epoch != b.member.epoch {
		return
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
	if b.member.asking || b.state == failed {
		return
	}
	b.member.asking = true
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
				b.leaveAlone()
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
		leave := b.member.leave
		b.member.leave = nil
		b.timers.Stop(&b.member.timer)
		leave()
		return
	case b.member.leave != nil, r.IsFenced:
		interval = min(interval, joinPause)
	case b.state == starting:
		b.serve()
	}
	b.again(interval, b.beat)
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
	if b.state != serving || b.config.Lone() || !b.config.ControlledShutdown {
		done()
		return
	}
	b.quorum.HandOver(func() {
		if !b.config.IsBroker || b.state != serving {
			done()
			return
		}
		b.leaveBroker(done)
	})
}

func (b *Broker) leaveBroker(done func()) {
	limit := new(timer.Timer)
	b.member.heard = b.Clock.Now()
	b.member.leave = func() {
		b.timers.Stop(limit)
		done()
	}
	b.timers.Start(limit, b.Clock.Now().Add(leaveLimit), b.leaveAlone)
	b.beat()
}

// electionLimit is how long a quorum that has a majority is without an active controller at most, if all goes well.
func (b *Broker) electionLimit() time.Duration {
	return time.Duration(b.config.QuorumFetchTimeoutMillis+2*b.config.ElectionTimeoutMillis) * time.Millisecond
}

// leaveAlone leaves with nobody to hand over to: all nodes may be stopping.
func (b *Broker) leaveAlone() {
	leave := b.member.leave
	if leave == nil {
		return
	}
	b.member.leave = nil
	b.timers.Stop(&b.member.timer)
	b.Log(env.Warn, "the controller did not take over what this broker leads; it stops all the same")
	leave()
}
