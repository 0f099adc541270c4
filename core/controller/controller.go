// Package controller decides what the cluster shall be: topics, placement, settings, leaders, ids.
//
// A decision is a function of the image, the request, the controller's own settings and chance; it changes nothing. It yields
// the records that make it so, and an answer for each item of the request. All records of one decision are one entry of
// the metadata log: they happen together or not at all.
//
// Two decisions must not be made from the same image, or both would create the same topic and give the same ids away. So they
// go through Decisions: each is made when everything before it has been applied.
//
// Invariants of the image, whatever is decided; Check finds what breaks those that one image shows:
//
//	I3  while the ISR has its minimum nobody else is eligible, so the high watermark waits for everybody who may be elected
//	I4  the leader is in the ISR, the ISR holds active brokers only, ISR and ELR are disjoint sets of replicas
//	I5  a new leader is a new leader epoch; every change of a partition adds one to its partition epoch, and starts from the epoch before
//	I6  a broker joins an ISR under the broker epoch under which it caught up; a new life of it leaves every ISR first
//	I7  who may have lost what it had reported is neither in sync nor eligible: see restart in elect.go, and obeyFlushPolicy
//
// How a partition goes from one state to the next is written once, in turn.go: every decision about it says what it wants, and settle does the rest.
package controller

import (
	"errors"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// Controller makes decisions. Its methods change none of its fields.
type Controller struct {
	Image *metadata.Image
	Rand  env.Rand
	Settings
}

// Settings are what the controller's own configuration says.
type Settings struct {
	NumPartitions            int32
	DefaultReplicationFactor int16
	DeleteTopicEnable        bool
	// Static are the settings of this node's configuration file, for defaults of topics.
	Static config.Overrides
	// Node is this node.
	Node record.NodeID
	// ImbalancePercent is how many in a hundred of the partitions that a broker should lead others may lead before BalanceLeaders acts. 0, as in
	// Apache Kafka 4: none.
	ImbalancePercent int
}

// SettingsOf takes from a broker's configuration what the controller needs.
func SettingsOf(b *config.Broker) Settings {
	return Settings{
		NumPartitions: b.NumPartitions, DefaultReplicationFactor: b.DefaultReplicationFactor,
		DeleteTopicEnable: b.DeleteTopicEnable, Static: b.Static, Node: record.NodeID(b.NodeID),
	}
}

// Refusal says why an item of a request is refused; its zero value is that it is not.
type Refusal struct {
	Code    wire.ErrorCode
	Message string // for people; "" lets the code speak
}

// Refused reports whether there is a refusal.
func (r Refusal) Refused() bool { return r.Code != wire.None }

func refuse(code wire.ErrorCode, message string) Refusal {
	return Refusal{Code: code, Message: message}
}

// maxPartitionsPerRequest bounds the records of one entry.
const maxPartitionsPerRequest = 10_000

const tooManyPartitions = "the request asks for more than 10000 partitions at once; split it"

// defaults are the settings below a topic's own, as this node sees them.
func (c *Controller) defaults() config.Defaults { return c.Image.Defaults(c.Node, c.Static) }

// topicSettings are a topic's effective settings, as this node sees them.
func (c *Controller) topicSettings(t *metadata.Topic) config.Topic {
	return config.NewTopic(t.Config, c.defaults())
}

// ErrBusy: too many decisions are waiting.
var ErrBusy = errors.New("too many requests to the controller are waiting")

// maxWaiting bounds the decisions of one kind that wait.
const maxWaiting = 10_000

// Decision looks at the image and yields records, and a function that is called once they are applied, or with the reason why
// it is not known whether they will be.
type Decision func() (records []metadata.Record, done func(error))

// Decisions makes decisions one after another. It is owned by the loop.
//
// What the brokers' standing depends on, heartbeats first of all, goes before what clients ask for: each decision with records waits for the commit
// of the one before, and behind some thousands of new topics the brokers' sessions and leases would end (V1).
//
// Invariant: while the records of a decision are on their way no other is made.
type Decisions struct {
	// Propose writes records to the metadata log and calls done once they are applied here, or with an error.
	propose         func(records []metadata.Record, done func(error))
	urgent, patient line
	busy            bool
}

// line is decisions that wait, first come, first served.
type line struct {
	waiting []waitingDecision
	head    int // waiting[:head] are made
}

func (l *line) length() int { return len(l.waiting) - l.head }

// add puts one at the end. A line that never comes to an end takes the place of those that are made.
func (l *line) add(w waitingDecision) {
	if len(l.waiting) == cap(l.waiting) && l.head > len(l.waiting)/2 {
		n := copy(l.waiting, l.waiting[l.head:])
		clear(l.waiting[n:])
		l.waiting, l.head = l.waiting[:n], 0
	}
	l.waiting = append(l.waiting, w)
}

// take removes the first one.
func (l *line) take() Decision {
	d := l.waiting[l.head].decide
	l.waiting[l.head] = waitingDecision{}
	if l.head++; l.head == len(l.waiting) {
		l.waiting, l.head = l.waiting[:0], 0
	}
	return d
}

type waitingDecision struct {
	decide  Decision
	refused func(error)
}

// NewDecisions returns a queue in front of propose.
func NewDecisions(propose func(records []metadata.Record, done func(error))) *Decisions {
	return &Decisions{propose: propose}
}

// Decide makes the decision once all earlier ones are done, perhaps at once. If too many wait, refused is called instead, with ErrBusy.
func (q *Decisions) Decide(d Decision, refused func(error)) { q.enter(&q.patient, d, refused) }

// DecideFirst is Decide for a decision that goes before those of Decide.
func (q *Decisions) DecideFirst(d Decision, refused func(error)) { q.enter(&q.urgent, d, refused) }

func (q *Decisions) enter(l *line, d Decision, refused func(error)) {
	if l.length() >= maxWaiting {
		refused(ErrBusy)
		return
	}
	l.add(waitingDecision{d, refused})
	q.run()
}

// Close refuses the decisions that wait: this node is not the active controller any more, and what it would decide by is out of date. What is on its way
// is done as usual. Nothing may be asked for afterwards.
func (q *Decisions) Close(err error) {
	waiting := append(q.urgent.waiting[q.urgent.head:], q.patient.waiting[q.patient.head:]...)
	q.urgent, q.patient = line{}, line{}
	for _, w := range waiting {
		w.refused(err)
	}
}

// Waiting is the number of decisions that are not made yet.
func (q *Decisions) Waiting() int { return q.urgent.length() + q.patient.length() }

// run makes decisions until one has to wait for its records. It does not nest: a proposal that is done at once just lets the loop
// go on, so that many of them need no deep stack.
func (q *Decisions) run() {
	for !q.busy {
		next := &q.urgent
		if next.length() == 0 {
			next = &q.patient
		}
		if next.length() == 0 {
			return
		}
		q.busy = true
		q.make(next.take())
	}
}

func (q *Decisions) make(d Decision) {
	records, done := d()
	if len(records) == 0 {
		q.busy = false
		done(nil)
		return
	}
	atOnce := true
	q.propose(records, func(err error) {
		q.busy = false
		done(err)
		if !atOnce {
			q.run()
		}
	})
	atOnce = false
}
