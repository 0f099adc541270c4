package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/wire"
	"lignum/sim"
)

// Node is a broker as clients reach it.
type Node struct {
	ID   int32
	Host *sim.Host
}

// routes is where one client sends what: a connection to each broker, and what it believes of who leads what. With one broker there is nothing to
// believe.
type routes struct {
	stage   *Stage
	name    string
	rand    sim.Stream
	onOver  func(*peer)
	peers   []*peer         // by place in Stage.Nodes; nil before the first use
	leaders map[*Target]int // place of who is believed to lead; absent if not known
	asking  bool
	pausing bool // after an answer, before it is asked again
}

// nowhere is the place of a leader that is not known.
const nowhere = -1

// askAgain is how long a client is content with what it was told.
const askAgain = 50 * time.Millisecond

func (s *Stage) routes(name string, actor uint64, onOver func(*peer)) *routes {
	return &routes{
		stage: s, name: name, rand: s.World.Stream(domainRoutes, actor), onOver: onOver, peers: make([]*peer, len(s.Nodes)), leaders: map[*Target]int{},
	}
}

// place is where a partition's leader is believed to be. If it is not known it is asked for.
func (r *routes) place(t *Target) int {
	if len(r.peers) == 1 {
		return 0
	}
	if at, ok := r.leaders[t]; ok {
		return at
	}
	if t.Books.Closed() {
		return int(r.rand.Below(int64(len(r.peers)))) // nobody leads it, but somebody may still get what is sent late
	}
	r.refresh()
	return nowhere
}

// link is the connection to the broker at a place. A new one is opened if there is none, or none any more.
func (r *routes) link(place int) *peer {
	p := r.peers[place]
	if p != nil && !p.over {
		return p
	}
	var self *peer
	self = r.stage.dial(r.stage.Nodes[place], r.name, nil, func() {
		r.lost(place)
		if r.onOver != nil {
			r.onOver(self)
		}
	})
	r.peers[place] = self
	return self
}

// lost forgets whose leader was at a place with which the connection is over.
func (r *routes) lost(place int) {
	//house:anyorder each is forgotten by itself
	for t, at := range r.leaders {
		if at == place {
			delete(r.leaders, t)
		}
	}
}

// some is the connection to one of the brokers: the same as before for a while, if it stands.
func (r *routes) some() *peer {
	if len(r.peers) == 1 {
		return r.link(0)
	}
	if r.rand.Below(4) > 0 {
		for _, p := range r.peers {
			if p != nil && p.ready && !p.over {
				return p
			}
		}
	}
	return r.link(int(r.rand.Below(int64(len(r.peers)))))
}

// stale notes that an answer says the leader is another one.
func (r *routes) stale(t *Target, code wire.ErrorCode) {
	switch code {
	case wire.NotLeaderOrFollower, wire.UnknownTopicOrPartition, wire.UnknownTopicID, wire.LeaderNotAvailable, wire.FencedLeaderEpoch,
		wire.UnknownLeaderEpoch, wire.KafkaStorageError, wire.ReplicaNotAvailable, wire.InconsistentTopicID:
		delete(r.leaders, t)
	}
}

// refresh asks some broker who leads.
func (r *routes) refresh() {
	if r.asking || r.pausing || r.stage.Ended {
		return
	}
	p := r.some()
	if !p.ready {
		r.rest()
		return
	}
	r.asking = true
	q := kmsg.NewPtrMetadataRequest()
	p.ask(q, version(&r.rand, wire.Metadata, 10), 3*time.Second, func(answer kmsg.Response) {
		r.asking = false
		if got, ok := answer.(*kmsg.MetadataResponse); ok {
			r.learn(got)
		} else {
			p.close()
		}
		r.rest()
	})
}

func (r *routes) rest() {
	r.pausing = true
	r.stage.World.After(askAgain, func() { r.pausing = false })
}

// learn takes an answer in. Partitions whose leader nobody knows stay unknown.
func (r *routes) learn(got *kmsg.MetadataResponse) {
	for i := range got.Topics {
		topic := &got.Topics[i]
		for j := range topic.Partitions {
			part := &topic.Partitions[j]
			at := r.stage.placeOf(part.Leader)
			for _, t := range r.stage.Targets {
				if t.ID != topic.TopicID || t.Index != part.Partition {
					continue
				}
				if at == nowhere || part.ErrorCode != 0 {
					delete(r.leaders, t)
				} else {
					r.leaders[t] = at
				}
			}
		}
	}
}

// placeOf finds a broker by its id.
func (s *Stage) placeOf(id int32) int {
	for i, n := range s.Nodes {
		if n.ID == id {
			return i
		}
	}
	return nowhere
}

// waiting is how many requests have no answer yet.
func (r *routes) waiting() int {
	n := 0
	for _, p := range r.peers {
		if p != nil && !p.over {
			n += len(p.waiting)
		}
	}
	return n
}

// close ends all connections.
func (r *routes) close() {
	for _, p := range r.peers {
		p.closeIfAny()
	}
}
