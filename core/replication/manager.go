package replication

import (
	"time"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Ports are what replication needs of the node.
type Ports struct {
	Clock  env.Clock
	Timers *timer.Queue
	Log    env.Log

	// Fetch sends a fetch to a leader, of version FetchVersion. done is called once, later, on the loop; the body is good during the call. It is
	// false if the leader's address is not known.
	Fetch func(leader record.NodeID, fetcher int, r *wire.FetchRequest, timeout time.Duration, done func(body []byte, err error)) bool
	// Control sends a request to the active controller. done is called once, now or later, on the loop.
	Control func(r kmsg.Request, done func(kmsg.Response, error))
	// Renew sets the damaged log of a replica aside and opens the replica with an empty one.
	Renew func(p *partition.Partition)
	// BrokerEpoch is that of this broker's present registration.
	BrokerEpoch func() int64
	// Partitions lists all replicas of this broker.
	Partitions func() []*partition.Partition
}

// FetchVersion is the version of the Fetch requests that followers send.
const FetchVersion = 17

// Options are the settings, under Kafka's names.
type Options struct {
	Node             record.NodeID
	ClusterID        string
	Directory        [16]byte      // identity of the directory that holds the logs
	Fetchers         int           // num.replica.fetchers
	MinBytes         int32         // replica.fetch.min.bytes
	MaxBytes         int32         // replica.fetch.max.bytes, of one partition
	ResponseMaxBytes int32         // replica.fetch.response.max.bytes
	Wait             time.Duration // replica.fetch.wait.max.ms
	Backoff          time.Duration // replica.fetch.backoff.ms
	Timeout          time.Duration // replica.socket.timeout.ms, beyond Wait
	Lag              func() time.Duration
}

// Manager is the replication of one broker. It is owned by the loop.
type Manager struct {
	Ports
	o        Options
	fetchers map[fetcherKey]*fetcher
	order    []*fetcher // in the order in which they were made
	dirty    []*fetcher // have something to look at when the drain ends
	places   map[record.Partition]*place
	alterer  alterer
	repairs  repairs
	ticker   timer.Timer
	asked    uint64 // requests to the controller so far
	stopped  bool
}

type fetcherKey struct {
	leader record.NodeID
	index  int
}

// New makes a Manager that has nothing to do yet.
func New(p Ports, o Options) *Manager {
	o.Fetchers = max(o.Fetchers, 1)
	m := &Manager{Ports: p, o: o, fetchers: map[fetcherKey]*fetcher{}, places: map[record.Partition]*place{}}
	m.alterer = alterer{m: m, wishes: map[record.Partition]alteration{}}
	m.repairs = repairs{m: m, renewing: map[record.Partition]*partition.Partition{}}
	return m
}

// Start begins to look after the in-sync sets.
func (m *Manager) Start() { m.tick() }

// Stop ends everything. Answers that come later are dropped.
func (m *Manager) Stop() {
	m.stopped = true
	m.Timers.Stop(&m.ticker)
	m.Timers.Stop(&m.alterer.retry)
	m.Timers.Stop(&m.repairs.retry)
	for _, f := range m.order {
		m.Timers.Stop(&f.pause)
		m.Timers.Stop(&f.hold)
		m.Timers.Stop(&f.wake)
	}
}

// tick looks at every partition that is led here, twice in replica.lag.time.max.ms.
func (m *Manager) tick() {
	now := m.Clock.Now()
	for _, p := range m.Partitions() {
		p.Tick(now)
	}
	m.Timers.Start(&m.ticker, now.Add(max(m.o.Lag()/2, time.Millisecond)), m.tick)
}

// Fetchable is partition.Cluster's: a follower can fetch, perhaps from a new leader.
func (m *Manager) Fetchable(p *partition.Partition) {
	leader, epoch := p.Leader()
	if m.stopped || leader < 0 || leader == m.o.Node {
		return
	}
	pl := m.places[p.ID]
	if pl == nil || pl.p != p {
		m.forget(p.ID)
		pl = &place{p: p}
		m.places[p.ID] = pl
	}
	key := fetcherKey{leader, m.shard(p.ID)}
	if pl.fetcher == nil || pl.fetcher.key != key {
		if pl.fetcher != nil {
			pl.fetcher.drop(pl)
		}
		pl.fetcher = m.fetcher(key)
	}
	if pl.epoch != epoch {
		pl.epoch, pl.tries, pl.until = epoch, 0, 0
		pl.fetcher.resume() // whatever has failed before, there is a reason to try anew
	}
	pl.fetcher.change(pl)
}

// Forget is called when a replica is closed.
func (m *Manager) Forget(p *partition.Partition) {
	if pl := m.places[p.ID]; pl != nil && pl.p == p {
		m.forget(p.ID)
	}
}

func (m *Manager) forget(id record.Partition) {
	if pl := m.places[id]; pl != nil {
		pl.fetcher.drop(pl)
		delete(m.places, id)
	}
}

// shard spreads the partitions of one leader over its fetchers.
func (m *Manager) shard(id record.Partition) int {
	n := uint32(id.Index)
	for _, b := range id.Topic {
		n = n*31 + uint32(b)
	}
	return int(n % uint32(m.o.Fetchers))
}

func (m *Manager) fetcher(k fetcherKey) *fetcher {
	f := m.fetchers[k]
	if f == nil {
		f = &fetcher{m: m, key: k, listed: map[record.Partition]*place{}}
		m.fetchers[k] = f
		m.order = append(m.order, f)
	}
	return f
}

// AlterISR is partition.Cluster's: a leader wants another in-sync set.
func (m *Manager) AlterISR(p *partition.Partition, c partition.ISRChange) { m.alterer.add(p, c) }

// EndDrain sends what the drain has given rise to. It reports whether the controller was asked for something: if that is in this process, it has
// something to do before the drain is over.
func (m *Manager) EndDrain() (asked bool) {
	if m.stopped {
		return false
	}
	for len(m.dirty) > 0 {
		dirty := m.dirty
		m.dirty = nil
		for _, f := range dirty {
			f.dirty = false
			f.goOn()
		}
	}
	before := m.asked
	m.alterer.send()
	m.repairs.goOn()
	return m.asked > before
}

// ask sends a request to the controller.
func (m *Manager) ask(r kmsg.Request, done func(kmsg.Response, error)) {
	m.asked++
	m.Control(r, done)
}
