package broker

import (
	"time"

	"lignum/core/controller"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/quorum"
	"lignum/core/record"
	"lignum/core/timer"
)

// controlling is what this node does as the active controller. It begins anew with each leadership.
type controlling struct {
	decisions *controller.Decisions // nil while another node is the active controller
	sessions  *controller.Sessions
	expiry    timer.Timer // of the next session
	balance   timer.Timer
	reconcile timer.Timer
}

// leading is told when this node becomes the active controller, and when it is it no more.
func (b *Broker) leading(leads bool) {
	a := &b.active
	b.timers.Stop(&a.expiry)
	b.timers.Stop(&a.balance)
	b.timers.Stop(&a.reconcile)
	if !leads {
		decisions := a.decisions
		a.decisions, a.sessions = nil, nil
		if decisions != nil {
			decisions.Close(quorum.ErrNotLeader)
		}
		return
	}
	a.decisions = controller.NewDecisions(b.propose)
	if b.config.Lone() {
		b.begin()
		return
	}
	a.sessions = controller.NewSessions(b.image, time.Duration(b.config.SessionTimeoutMillis)*time.Millisecond)
	a.sessions.Begin(b.Clock.Now())
	b.watchSessions()
	if b.config.LeaderRebalance {
		b.watchBalance()
	}
	b.reconcile()
}

// watchSessions fences brokers that are not heard of any more.
func (b *Broker) watchSessions() {
	a, now := &b.active, b.Clock.Now()
	at := min(max(a.sessions.Deadline(), now), now.Add(sessionCheck))
	b.timers.Start(&a.expiry, at, func() {
		for _, id := range a.sessions.Expired(b.Clock.Now()) {
			b.expire(id)
		}
		b.watchSessions()
	})
}

// sessionCheck is how long the active controller relies on what it knew of the next session to end.
const sessionCheck = time.Second

func (b *Broker) expire(id record.NodeID) {
	self := b.image.Broker(id)
	if self == nil {
		return
	}
	epoch := self.Epoch
	b.decideFirst(func() ([]metadata.Record, func(error)) {
		if s := b.active.sessions; s == nil || s.Alive(id, b.Clock.Now()) {
			return nil, func(error) {} // it was heard while the decision waited
		}
		b.Log(env.Warn, "a broker is not heard of any more and is fenced", "broker", id)
		return b.controller.ExpireBroker(id, epoch), func(error) {}
	}, func(error) {})
}

// watchBalance gives leadership back to preferred replicas from time to time.
func (b *Broker) watchBalance() {
	interval := time.Duration(b.config.ImbalanceCheckSeconds) * time.Second
	b.timers.Start(&b.active.balance, b.Clock.Now().Add(interval), func() {
		b.repeat(b.controller.BalanceLeaders)
		b.watchBalance()
	})
}

// reconcile brings partitions in line with the settings, now and from time to time.
func (b *Broker) reconcile() {
	b.repeat(b.controller.Reconcile)
	interval := time.Duration(b.config.UncleanElectionMillis) * time.Millisecond
	b.timers.Start(&b.active.reconcile, b.Clock.Now().Add(interval), b.reconcile)
}

// repeat makes a decision that takes several steps.
func (b *Broker) repeat(step func() ([]metadata.Record, bool)) {
	more := false
	b.decide(func() (records []metadata.Record, done func(error)) {
		records, more = step()
		return records, func(err error) {
			if err == nil && more {
				b.repeat(step)
			}
		}
	}, func(error) {})
}

// decide is what requests decide by.
func (b *Broker) decide(d controller.Decision, refused func(error)) {
	if b.active.decisions == nil {
		refused(quorum.ErrNotLeader)
		return
	}
	b.active.decisions.Decide(d, refused)
}

// decideFirst is what requests of brokers decide by, and what concerns their sessions.
func (b *Broker) decideFirst(d controller.Decision, refused func(error)) {
	if b.active.decisions == nil {
		refused(quorum.ErrNotLeader)
		return
	}
	b.active.decisions.DecideFirst(d, refused)
}
