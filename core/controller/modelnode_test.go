package controller

import (
	"slices"

	"pgregory.net/rapid"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
)

// item is a record in the model's logs. No two are alike.
type item struct {
	epoch record.Epoch
	id    int
}

// modelReplica is one broker's copy of a partition.
type modelReplica struct {
	log    []item
	synced int
	view   metadata.Partition // as the broker knows it, be it from the metadata log or from the controller's answer
	// leading
	hw, start   int // high watermark; end of the log when the leader epoch began
	acks        map[record.NodeID]modelAck
	pending     []record.NodeID // members of a set that was asked for
	pendingFrom metadata.PartitionEpoch
	asked       AlterPartition
	damaged     bool // lost since the broker registered
}

type modelAck struct {
	end    int
	broker metadata.BrokerEpoch
}

// modelNode is a broker.
type modelNode struct {
	id         record.NodeID
	up         bool
	lives      byte
	disks      byte
	epoch      metadata.BrokerEpoch // of its registration; NoBrokerEpoch before
	clean      metadata.BrokerEpoch // what the mark of a clean stop holds
	power      bool                 // lost power since it registered
	image      *metadata.Image
	applied    int
	partitions map[record.Partition]*modelReplica
}

func (n *modelNode) directory() metadata.UUID { return metadata.UUID{9, byte(n.id), n.disks} }

// serves: the broker knows of its own registration and acts as a broker.
func (n *modelNode) serves() bool {
	return n.up && n.epoch != metadata.NoBrokerEpoch && n.image.Offset() >= record.Offset(n.epoch)
}

func common(a, b []item) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (n *modelNode) replica(id record.Partition) *modelReplica {
	r := n.partitions[id]
	if r == nil {
		r = &modelReplica{}
		n.partitions[id] = r
	}
	return r
}

// view is how the broker knows the partition, if it knows that it has a replica and acts on it.
func (n *modelNode) view(id record.Partition) (*modelReplica, bool) {
	r := n.partitions[id]
	if !n.serves() || r == nil || r.damaged || !slices.Contains(r.view.Replicas, n.id) {
		return nil, false
	}
	return r, true
}

func (n *modelNode) settings(id record.Partition) config.Topic {
	return config.NewTopic(n.image.TopicByID(id.Topic).Config, n.image.Defaults(n.id, nil))
}

// sync: the replica reports only what it has synced.
func (n *modelNode) sync(id record.Partition, r *modelReplica) bool {
	return r.view.Flush != metadata.FlushAsync || n.settings(id).FlushPolicy == config.Sync
}

func (m *model) leader(n *modelNode, id record.Partition) (*modelReplica, bool) {
	r, ok := n.view(id)
	return r, ok && r.view.Leader == n.id
}

func (m *model) produce(n *modelNode, id record.Partition) {
	if r, ok := m.leader(n, id); ok {
		m.items++
		r.log = append(r.log, item{r.view.LeaderEpoch, m.items})
	}
}

func (m *model) fetch(n *modelNode, id record.Partition) {
	r, ok := n.view(id)
	if !ok || r.view.Leader == metadata.NoNode || r.view.Leader == n.id {
		return
	}
	l := m.nodes[r.view.Leader-1]
	from, ok := m.leader(l, id)
	if !ok || from.view.LeaderEpoch != r.view.LeaderEpoch || !slices.Contains(from.view.Replicas, n.id) {
		return
	}
	if same := common(r.log, from.log); same < len(r.log) {
		r.log, r.synced = slices.Clone(r.log[:same]), min(r.synced, same) // diverging: that was no fetch (RP12)
		return
	}
	if n.sync(id, r) {
		r.synced = len(r.log)
	}
	from.acks[n.id] = modelAck{len(r.log), n.epoch}
	more := from.log[len(r.log):]
	if !m.calm {
		more = more[:min(len(more), rapid.IntRange(0, 4).Draw(m.t, "records"))]
	}
	r.log = append(r.log, more...)
}

// advance moves the leader's high watermark over the maximal ISR, never under the minimum.
func (m *model) advance(n *modelNode, id record.Partition) {
	r, ok := m.leader(n, id)
	if !ok {
		return
	}
	least := max(rulesOf(n.settings(id)).effectiveMinISR(len(r.view.Replicas)), r.view.MinISR)
	if len(r.view.ISR) < int(least) {
		return
	}
	if n.sync(id, r) {
		r.synced = len(r.log)
	}
	hw := len(r.log)
	for _, other := range union(r.view.ISR, r.pending) {
		if other != n.id {
			hw = min(hw, r.acks[other].end)
		}
	}
	if r.hw = max(r.hw, hw); r.view.LeaderEpoch < m.unclean[id] {
		return // what it commits is lost, as somebody has decided
	}
	if was := m.committed[id]; common(was, r.log) < min(len(was), r.hw) {
		m.t.Fatalf("broker %d commits other records than before: %v, was %v", n.id, r.log[:r.hw], was)
	}
	if r.hw > len(m.committed[id]) {
		m.committed[id] = slices.Clone(r.log[:r.hw])
	}
}

// alter asks for another ISR.
func (m *model) alter(n *modelNode, id record.Partition) {
	r, ok := m.leader(n, id)
	if !ok {
		return
	}
	if r.pending != nil {
		m.requests = append(m.requests, r.asked) // perhaps it was lost
		return
	}
	want := []record.NodeID{n.id}
	members := []ISRMember{{n.id, n.epoch}}
	synced := r.view.Flush == metadata.FlushPending
	stays := only(r.view.Replicas, func(id record.NodeID) bool { return !slices.Contains(r.view.Removing, id) })
	for _, other := range r.view.Replicas {
		ack, heard := r.acks[other]
		in := slices.Contains(r.view.ISR, other)
		caughtUp := heard && ack.end >= max(r.hw, r.start)
		released := heard && slices.Contains(r.view.Removing, other) && !slices.Contains(r.view.Removing, n.id) && subset(stays, r.view.ISR)
		if other == n.id || released || !in && !caughtUp || !m.calm && rapid.IntRange(0, 3).Draw(m.t, "leave out") == 0 {
			continue
		}
		member := ISRMember{other, ack.broker}
		if !heard {
			member.BrokerEpoch = metadata.NoBrokerEpoch
		}
		synced = synced && heard && ack.end >= r.start
		want, members = append(want, other), append(members, member)
	}
	if synced {
		r.synced = len(r.log)
	}
	if sameMembers(want, r.view.ISR) && !synced && !r.view.Recovering {
		return
	}
	r.pending, r.pendingFrom = want, r.view.Epoch
	r.asked = AlterPartition{n.id, n.epoch, []ISRChange{{id, r.view.LeaderEpoch, r.view.Epoch, members, true, synced}}}
	m.requests = append(m.requests, r.asked)
}

func (n *modelNode) follow(id record.Partition, p *metadata.Partition) {
	if !slices.Contains(p.Replicas, n.id) {
		delete(n.partitions, id)
		return
	}
	r := n.replica(id)
	if p.Epoch <= r.view.Epoch && len(r.view.Replicas) > 0 {
		return // the controller's answer was faster
	}
	if p.Leader == n.id && (r.view.Leader != n.id || r.view.LeaderEpoch != p.LeaderEpoch) {
		r.start, r.acks, r.pending = len(r.log), map[record.NodeID]modelAck{}, nil
	}
	if p.Epoch > r.pendingFrom {
		r.pending = nil
	}
	for i, id := range p.Replicas {
		if p.Directories[i] == metadata.LostDirectory {
			delete(r.acks, id) // what it has told is true no more
		}
	}
	if r.view.Directory(n.id) == metadata.LostDirectory && p.Directory(n.id) == n.directory() {
		r.damaged = false
	}
	r.view = *p
}

func (m *model) heartbeat(n *modelNode, shutDown bool) {
	if !n.up || n.epoch == metadata.NoBrokerEpoch {
		return
	}
	records, reply, refusal := m.Heartbeat(Heartbeat{ID: n.id, Epoch: n.epoch, MetadataOffset: n.image.Offset(), WantShutDown: shutDown, Others: m.Image.Offset()})
	if refusal.Refused() {
		return
	}
	m.commit(records)
	if reply.ShouldShutDown {
		for _, r := range n.partitions {
			r.synced = len(r.log)
		}
		n.clean, n.up, n.epoch = n.epoch, false, metadata.NoBrokerEpoch
	}
}

func (m *model) register(n *modelNode) {
	if !n.up || n.epoch != metadata.NoBrokerEpoch && n.epoch == m.registered(n) {
		return
	}
	n.lives++
	records, refusal := m.RegisterBroker(RegisterBroker{
		ID: n.id, Incarnation: metadata.UUID{n.lives, byte(n.id)}, Directories: []metadata.UUID{n.directory()}, Fenced: true, PreviousEpoch: n.clean,
	})
	if refusal.Refused() {
		m.t.Fatal(refusal.text())
	}
	for _, id := range m.ids() {
		m.lossy = m.lossy || m.Image.Partition(id).Flush != metadata.FlushSynced && n.clean == metadata.NoBrokerEpoch
	}
	m.commit(records)
	n.epoch, n.clean, n.power = m.registered(n), metadata.NoBrokerEpoch, false
	for _, r := range n.partitions {
		r.damaged = false
	}
}

func (m *model) fetchAll(n *modelNode, id record.Partition) {
	for range 3 {
		m.fetch(n, id)
	}
}
