package controller

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestClusterModel drives the controller with a cluster of brokers that replicate by the book: they apply the metadata log late, ask for ISR changes
// whose requests are lost, repeated and delayed, crash, lose power, lose their disks. After each step the image is sound (Check), it equals the
// one read back from its snapshot (M5), and whoever is in an in-sync or eligible set has everything that was committed (I2, I7). In the end,
// when all is healed, every partition has a leader, all replicas in sync, and everything that was committed (V1, V3).
func TestClusterModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(20, 200).Draw(t, "steps") {
			m.step()
			m.check()
		}
		m.heal()
	})
}

type model struct {
	*cluster
	t         *rapid.T
	nodes     []*modelNode
	log       [][]byte // entries of the metadata log
	requests  []AlterPartition
	items     int
	committed map[record.Partition][]item
	unclean   map[record.Partition]record.Epoch // leader epoch of the last unclean election
	forced    bool                              // somebody asked for unclean elections, or they are allowed
	lossy     bool                              // a broker stopped in disorder under async, or lost its disk
	calm      bool                              // no more faults
}

func newModel(t *rapid.T) *model {
	m := &model{
		t:       t,
		cluster: &cluster{Controller: Controller{Image: metadata.New(), Rand: &dice{1}, Settings: Settings{NumPartitions: 1, DefaultReplicationFactor: 3, DeleteTopicEnable: true, Node: 1}}},

		committed: map[record.Partition][]item{}, unclean: map[record.Partition]record.Epoch{},
	}
	for id := range record.NodeID(4) {
		n := &modelNode{id: id + 1, up: true, epoch: metadata.NoBrokerEpoch, clean: metadata.NoBrokerEpoch, image: metadata.New(),
			partitions: map[record.Partition]*modelReplica{}}
		m.nodes = append(m.nodes, n)
		m.register(n)
		m.catchUp(n, 1000)
		m.heartbeat(n, false)
	}
	m.createTopic("a")
	for _, n := range m.nodes {
		m.catchUp(n, 1000)
	}
	return m
}

// commit makes records an entry of the metadata log and notes elections that lose records. A leader may have asked for an ISR.
func (m *model) commit(records []metadata.Record, asked ...record.NodeID) {
	if len(records) == 0 {
		return
	}
	for _, r := range records {
		c, ok := r.(*metadata.PartitionChanged)
		if !ok {
			continue
		}
		id := record.Partition{Topic: c.Topic, Index: c.Index}
		old := m.Image.Partition(id)
		if old == nil || c.Leader == metadata.NoNode || c.Leader == old.Leader || slices.Contains(old.ISR, c.Leader) || slices.Contains(old.ELR, c.Leader) {
			continue
		}
		if old.Reassigning() && slices.Contains(old.Removing, old.Leader) && !c.Recovering {
			continue // it has just joined, and takes over from one that goes
		}
		if !m.forced && !m.lossy {
			m.t.Fatalf("unclean election: %+v to %+v", *old, c.Partition)
		}
		m.unclean[id] = c.LeaderEpoch
		have := m.nodes[c.Leader-1].replica(id)
		m.committed[id] = m.committed[id][:common(m.committed[id], have.log[:have.synced])]
	}
	m.log = append(m.log, metadata.AppendRecords(nil, records))
	before := map[record.Partition][]record.NodeID{}
	for _, id := range m.ids() {
		before[id] = m.Image.Partition(id).ISR
	}
	m.apply(records)
	for id, isr := range before {
		m.mayServe(id, isr, asked)
	}
}

// mayServe: nobody who is up leaves an ISR, and with it who is waited for, unless it is the leader who wants that: it knows who has heard of it (F7).
func (m *model) mayServe(id record.Partition, before, asked []record.NodeID) {
	p := m.Image.Partition(id)
	if p == nil {
		return
	}
	for _, member := range before {
		b := m.Image.Broker(member)
		if slices.Contains(p.ISR, member) || asked != nil && !slices.Contains(asked, member) {
			continue
		}
		if slices.Contains(p.Replicas, member) && p.Directory(member) == metadata.LostDirectory || m.nodes[member-1].replica(id).damaged {
			continue // it has said so; where it was to go anyway nothing tells of it any more
		}
		if b == nil || b.Active() {
			m.t.Fatalf("replica %d is in sync no more, and may serve (F7): %v, then %+v", member, before, *p)
		}
	}
}

// ids lists the partitions that there are, and those that are gone but not for everybody yet.
func (m *model) ids() []record.Partition {
	var ids []record.Partition
	for _, t := range m.Image.Topics() {
		for i := range t.Partitions {
			ids = append(ids, record.Partition{Topic: t.ID, Index: int32(i)})
		}
	}
	return ids
}

func (m *model) step() {
	t := m.t
	n := m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(t, "node")]
	ids := m.ids()
	if len(ids) == 0 {
		m.createTopic("a")
		return
	}
	id := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "partition")]
	what := rapid.SampledFrom([]string{"produce", "fetch", "fetch", "fetch", "advance", "alter", "alter", "deliver", "deliver", "apply", "apply",
		"heartbeat", "register", "start", "expire", "crash", "admin", "leader", "restart", "round"}).Draw(t, "step")
	if p := m.Image.Partition(id); (what == "produce" || what == "advance" || what == "alter") && p.Leader != metadata.NoNode && rapid.Bool().Draw(t, "at the leader") {
		n = m.nodes[p.Leader-1]
	}
	switch what {
	case "produce":
		m.produce(n, id)
	case "fetch":
		m.fetch(n, id)
	case "advance":
		m.advance(n, id)
	case "alter":
		m.alter(n, id)
	case "deliver":
		m.deliver()
	case "apply":
		m.catchUp(n, rapid.IntRange(1, 5).Draw(t, "entries"))
	case "heartbeat":
		m.heartbeat(n, rapid.IntRange(0, 9).Draw(t, "shut down") == 0)
	case "register":
		m.register(n)
	case "start":
		m.start(n)
	case "expire":
		m.commit(m.ExpireBroker(n.id, m.registered(n)))
	case "crash":
		m.crash(n)
	case "restart":
		m.crash(n)
		m.join(n)
	case "round":
		for _, n := range m.nodes {
			m.fetch(n, id)
			m.catchUp(n, rapid.IntRange(0, 5).Draw(t, "entries"))
			m.advance(n, id)
		}
	case "admin":
		m.admin(n, id)
	case "leader":
		kind := ElectionType(rapid.IntRange(0, 1).Draw(t, "kind"))
		m.forced = m.forced || kind == UncleanElection
		records, _, _ := m.ElectLeaders(kind, []TopicPartitions{{m.Image.TopicByID(id.Topic).Name, []int32{id.Index}}}, false)
		m.commit(records)
	}
}

func (m *model) registered(n *modelNode) metadata.BrokerEpoch {
	if b := m.Image.Broker(n.id); b != nil {
		return b.Epoch
	}
	return metadata.NoBrokerEpoch
}

// deliver brings some request to the controller, perhaps not for the last time, and perhaps the answer to the broker.
func (m *model) deliver() {
	if len(m.requests) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.requests)-1).Draw(m.t, "request")
	request := m.requests[i]
	if m.calm || !rapid.Bool().Draw(m.t, "again later") {
		m.requests = slices.Delete(m.requests, i, i+1)
	}
	records, answers, refusal := m.AlterPartition(request)
	var asked []record.NodeID
	for _, member := range request.Changes[0].NewISR {
		asked = append(asked, member.ID)
	}
	m.commit(records, asked...)
	n := m.nodes[request.Broker-1]
	change := request.Changes[0]
	r, ok := m.leader(n, change.ID)
	if refusal.Refused() || !ok || n.epoch != request.BrokerEpoch || r.view.LeaderEpoch != change.LeaderEpoch || r.pendingFrom != change.PartitionEpoch || !m.calm && rapid.Bool().Draw(m.t, "answer lost") {
		return
	}
	switch a := answers[0]; a.Code {
	case wire.None:
		if a.State.Epoch >= r.view.Epoch {
			r.view, r.pending = a.State, nil
		}
	case wire.IneligibleReplica, wire.InvalidRequest:
		r.pending = nil
	}
}

// catchUp applies entries of the metadata log.
func (m *model) catchUp(n *modelNode, entries int) {
	for ; entries > 0 && n.up && n.applied < len(m.log); entries-- {
		records, err := metadata.DecodeRecords(m.log[n.applied])
		if err != nil {
			m.t.Fatal(err)
		}
		changes := n.image.Apply(metadata.Position{Offset: record.Offset(n.applied), Epoch: 1}, records)
		n.applied++
		for _, topic := range changes.Deleted {
			for i := range topic.Partitions {
				delete(n.partitions, record.Partition{Topic: topic.ID, Index: int32(i)})
			}
		}
		for _, id := range changes.Partitions {
			n.follow(id, n.image.Partition(id))
		}
	}
}

// crash ends a broker's life, one way or another.
func (m *model) crash(n *modelNode) {
	if n.up && !m.enough() {
		return
	}
	n.up, n.epoch = false, metadata.NoBrokerEpoch
	how := rapid.SampledFrom([]string{"kill", "power", "power of all", "wipe"}).Draw(m.t, "how")
	switch how {
	case "power":
		m.losePower(n)
	case "power of all":
		for _, n := range m.nodes {
			n.up, n.epoch = false, metadata.NoBrokerEpoch
			m.losePower(n)
		}
	case "wipe":
		m.lossy = true
		n.disks++
		n.clean = metadata.NoBrokerEpoch
		for _, r := range n.partitions {
			r.log, r.synced, r.damaged = nil, 0, true
		}
	}
}

// enough keeps some runs free of crashes of more brokers than one.
func (m *model) enough() bool {
	up := 0
	for _, n := range m.nodes {
		if n.serves() {
			up++
		}
	}
	return m.calm || up > 2 || rapid.Bool().Draw(m.t, "crash all the same")
}

func (m *model) losePower(n *modelNode) {
	n.power = true
	for _, id := range m.ids() {
		r := n.partitions[id]
		if r == nil {
			continue
		}
		keep := rapid.IntRange(min(r.synced, len(r.log)), len(r.log)).Draw(m.t, "kept")
		r.log = slices.Clone(r.log[:keep])
	}
}

func (m *model) start(n *modelNode) {
	if !n.up {
		n.up = true
		// What happened on the way counts for nothing, just what there is now: a replica that was moved away and back was not away for this broker.
		before := n.partitions
		n.image, n.applied, n.partitions = metadata.New(), 0, map[record.Partition]*modelReplica{}
		m.catchUp(n, len(m.log))
		for id, r := range n.partitions {
			if old := before[id]; old != nil {
				r.log, r.synced, r.damaged = old.log, old.synced, old.damaged
				r.start = len(r.log)
			}
		}
	}
}

// join brings a broker back as far as it gets without the others.
func (m *model) join(n *modelNode) {
	m.start(n)
	m.register(n)
	m.catchUp(n, len(m.log))
	m.heartbeat(n, false)
}

func (m *model) createTopic(name string) {
	records, _ := m.CreateTopics(CreateTopics{Topics: []NewTopic{{Name: name, Partitions: 1, ReplicationFactor: 3, Configs: []ConfigValue{
		{Key: "min.insync.replicas", Value: fmt.Sprint(rapid.IntRange(1, 3).Draw(m.t, "minimum"))},
		{Key: "lignum.flush.policy", Value: rapid.SampledFrom([]string{"sync", "sync", "async"}).Draw(m.t, "policy")},
	}}}})
	m.commit(records)
}

// admin does what people ask for.
func (m *model) admin(n *modelNode, id record.Partition) {
	topic := m.Image.TopicByID(id.Topic)
	set := func(key, value string) {
		records, _ := m.AlterConfigs([]AlterConfigs{{Resource: Resource{TopicResource, topic.Name}, Changes: []config.Alteration{{Key: key, Value: value}}}}, false)
		m.commit(records)
	}
	switch rapid.IntRange(0, 10).Draw(m.t, "admin") {
	case 0:
		m.createTopic(rapid.SampledFrom([]string{"a", "b"}).Draw(m.t, "topic"))
	case 1:
		if rapid.IntRange(0, 3).Draw(m.t, "really") == 0 {
			records, _ := m.DeleteTopics([]NamedTopic{{Name: topic.Name, ByName: true}})
			m.commit(records)
		}
	case 2:
		records, _ := m.CreatePartitions([]GrowTopic{{Name: topic.Name, Count: 2}}, false)
		m.commit(records)
	case 3, 4, 5:
		replicas := rapid.Permutation([]record.NodeID{1, 2, 3, 4}).Draw(m.t, "replicas")[:rapid.IntRange(1, 4).Draw(m.t, "factor")]
		records, _ := m.Reassign(Reassign{AllowFactorChange: true, Partitions: []ReassignPartition{
			{Topic: topic.Name, Index: id.Index, Replicas: replicas, Cancel: rapid.IntRange(0, 3).Draw(m.t, "cancel") == 0},
		}})
		m.commit(records)
	case 6:
		set("min.insync.replicas", fmt.Sprint(rapid.IntRange(1, 3).Draw(m.t, "minimum")))
	case 7:
		set("lignum.flush.policy", rapid.SampledFrom([]string{"sync", "async"}).Draw(m.t, "policy"))
	case 8:
		records, _ := m.BalanceLeaders()
		m.commit(records)
	case 9:
		if !n.up {
			records, _ := m.UnregisterBroker(n.id)
			m.commit(records)
		}
	case 10:
		r, ok := n.view(id)
		if ok && m.Image.Partition(id).Directory(n.id) != metadata.LostDirectory {
			m.lossy = true
			r.log, r.synced, r.hw, r.damaged = nil, 0, 0, true
			m.place(n, id, metadata.LostDirectory)
		}
	}
}

func (m *model) place(n *modelNode, id record.Partition, d metadata.UUID) {
	records, _, refusal := m.AssignDirectories(AssignDirectories{n.id, n.epoch, []AssignDirectory{{d, []record.Partition{id}}}})
	if !refusal.Refused() {
		m.commit(records)
	}
}

// check asserts what must hold after every step.
func (m *model) check() {
	if err := Check(m.Image); err != nil {
		m.t.Fatal(err)
	}
	snapshot := m.Image.Snapshot()
	if restored, err := metadata.DecodeSnapshot(snapshot); err != nil || !bytes.Equal(restored.Snapshot(), snapshot) {
		m.t.Fatalf("the image is another after a snapshot: %v", err)
	}
	for _, id := range m.ids() {
		p := m.Image.Partition(id)
		for _, member := range union(p.ISR, p.ELR) {
			n := m.nodes[member-1]
			r := n.replica(id)
			have := r.log
			switch {
			case r.damaged || n.power && p.Flush != metadata.FlushSynced:
				continue // the controller does not know yet
			case p.Flush == metadata.FlushSynced && !n.serves():
				have = r.log[:min(r.synced, len(r.log))]
			}
			if want := m.committed[id]; common(have, want) < len(want) {
				m.t.Fatalf("replica %d of %+v has %v (%d synced), want %v", member, *p, r.log, r.synced, want)
			}
		}
	}
}

// heal ends all faults and lets the cluster come to rest.
func (m *model) heal() {
	m.calm = true
	for round := range 30 {
		for _, n := range m.nodes {
			m.start(n)
			m.catchUp(n, 1000)
			m.register(n)
			m.catchUp(n, 1000)
			m.heartbeat(n, false)
		}
		for len(m.requests) > 0 {
			m.deliver()
		}
		records, _ := m.Reconcile()
		m.commit(records)
		if round == 5 {
			m.electLost()
		}
		for _, id := range m.ids() {
			for _, n := range m.nodes {
				m.catchUp(n, 1000)
				if m.Image.Partition(id).Directory(n.id) == metadata.LostDirectory {
					m.place(n, id, n.directory())
				}
				m.fetchAll(n, id)
			}
			for _, n := range m.nodes {
				m.advance(n, id)
				m.alter(n, id)
			}
		}
		m.check()
	}
	for _, id := range m.ids() {
		p := m.Image.Partition(id)
		if p.Leader == metadata.NoNode || len(p.ISR) != len(p.Replicas) || p.Reassigning() || p.Recovering {
			for _, n := range m.nodes {
				m.t.Logf("broker %d: epoch %d, %+v, %+v", n.id, n.epoch, *n.replica(id), *m.Image.Broker(n.id))
			}
			m.t.Fatalf("not healed (V1, V3): %+v", *p)
		}
		if sync := rulesOf(m.topicSettings(m.Image.TopicByID(id.Topic))).sync; sync != (p.Flush == metadata.FlushSynced) {
			m.t.Fatalf("not healed, sync %v: %+v", sync, *p)
		}
	}
}

// electLost elects leaders where nobody is left who is known to be complete, as an administrator would.
func (m *model) electLost() {
	for _, id := range m.ids() {
		if p := m.Image.Partition(id); p.Leader == metadata.NoNode && !m.lossy && !m.forced {
			m.t.Fatalf("nobody leads (V1): %+v", *p)
		}
	}
	m.forced = true
	records, _, _ := m.ElectLeaders(UncleanElection, nil, true)
	m.commit(records)
}
