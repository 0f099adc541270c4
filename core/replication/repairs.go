package replication

import (
	"slices"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// lostDirectory is Kafka's name for a directory that is gone (KIP-858).
var lostDirectory = [16]byte{15: 2}

// repairs looks after damaged replicas: the controller learns of the damage by an AssignReplicasToDirs that places the replica in a directory that
// is lost; once the metadata says so the log is renewed, and the replica placed in this broker's directory again.
type repairs struct {
	m        *Manager
	queue    []*partition.Partition // need something; looked at when the drain ends
	renewing map[record.Partition]*partition.Partition
	flying   bool
	retry    timer.Timer
}

// Damaged is partition.Cluster's: a replica needs repair, or has had it.
func (m *Manager) Damaged(p *partition.Partition) {
	if !m.stopped && !slices.Contains(m.repairs.queue, p) {
		m.repairs.queue = append(m.repairs.queue, p)
	}
}

// goOn does what the replicas need, as far as it can be done now.
func (r *repairs) goOn() {
	if r.flying || r.retry.Set() || len(r.queue) == 0 {
		return
	}
	queue := r.queue
	r.queue = nil
	var report []*partition.Partition
	for _, p := range queue {
		switch p.Repair() {
		case partition.Renew:
			if r.renewing[p.ID] != p {
				r.renewing[p.ID] = p
				r.m.Log(env.Warn, "a damaged replica is copied anew", "topic", p.Topic, "partition", p.ID.Index, "damage", p.Failure())
				r.m.Renew(p)
			}
		case partition.Report:
			r.m.Log(env.Error, "a replica is damaged", "topic", p.Topic, "partition", p.ID.Index, "damage", p.Failure())
			report = append(report, p)
		case partition.Place:
			delete(r.renewing, p.ID)
			report = append(report, p)
		}
	}
	if len(report) == 0 {
		return
	}
	slices.SortStableFunc(report, func(a, b *partition.Partition) int { return a.ID.Compare(b.ID) })
	r.flying = true
	r.m.ask(r.request(report), func(response kmsg.Response, err error) { r.answered(report, response, err) })
}

func (r *repairs) request(report []*partition.Partition) *kmsg.AssignReplicasToDirsRequest {
	q := kmsg.NewPtrAssignReplicasToDirsRequest()
	q.BrokerID, q.BrokerEpoch = int32(r.m.o.Node), r.m.BrokerEpoch()
	for _, step := range []partition.Repair{partition.Report, partition.Place} {
		d := kmsg.NewAssignReplicasToDirsRequestDirectory()
		if d.ID = r.m.o.Directory; step == partition.Report {
			d.ID = lostDirectory
		}
		for _, p := range report {
			if p.Repair() != step {
				continue
			}
			if n := len(d.Topics); n == 0 || d.Topics[n-1].TopicID != [16]byte(p.ID.Topic) {
				t := kmsg.NewAssignReplicasToDirsRequestDirectoryTopic()
				t.TopicID = p.ID.Topic
				d.Topics = append(d.Topics, t)
			}
			po := kmsg.NewAssignReplicasToDirsRequestDirectoryTopicPartition()
			po.Partition = p.ID.Index
			t := &d.Topics[len(d.Topics)-1]
			t.Partitions = append(t.Partitions, po)
		}
		if len(d.Topics) > 0 {
			q.Directories = append(q.Directories, d)
		}
	}
	return q
}

// answered waits for the metadata, which calls again for what is to be done next, and looks at everything once more in case nothing comes.
func (r *repairs) answered(report []*partition.Partition, response kmsg.Response, err error) {
	if r.flying = false; r.m.stopped {
		return
	}
	if err != nil {
		r.m.Log(env.Debug, "the controller could not be told of damaged replicas", "replicas", len(report), "error", err)
	}
	for _, p := range report {
		r.m.Damaged(p)
	}
	r.m.Timers.Start(&r.retry, r.m.Clock.Now().Add(r.m.o.Backoff), func() {})
}
