package traffic

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"lignum/core/record"
)

// mover is an administrator who has the lead of one partition taken away from a broker that could go on.
type mover struct {
	stage  *Stage
	routes *routes
	steps  []moverStep
	tries  int
}

// moverStep is a request, in a version.
type moverStep struct {
	request kmsg.Request
	version int16
}

const (
	// firstMover is the number of the first mover's draws; other clients have other ones.
	firstMover = 1_000_000
	moverPace  = 20 * time.Millisecond
	moverTries = 200
)

// Depose moves a partition to other replicas, if there are any, and then gives the lead to the first of all.
func (s *Stage) Depose(id record.Partition, replicas []int32) {
	t := s.target(id)
	if t == nil || s.Quiet {
		return
	}
	m := &mover{stage: s, routes: s.routes("mover", firstMover+s.movers, nil)}
	s.movers++
	if len(replicas) > 0 {
		t.Books.Moving()
		s.Moves++
		m.steps = append(m.steps, moverStep{reassignment(t, replicas), 0})
	}
	m.steps = append(m.steps, moverStep{preferredElection(t), 2})
	s.tell("mover", "moves %s to %v, and has a leader elected", t.Books.Name, replicas)
	m.next()
}

func (m *mover) next() {
	if m.tries++; m.stage.Quiet || len(m.steps) == 0 || m.tries > moverTries {
		m.routes.close()
		return
	}
	to := m.routes.some()
	if !to.ready {
		m.stage.World.After(moverPace, m.next)
		return
	}
	s := m.steps[0]
	m.steps = m.steps[1:]
	to.ask(s.request, s.version, 8*time.Second, func(kmsg.Response) { m.stage.World.After(moverPace, m.next) })
}

// target finds a partition that clients use.
func (s *Stage) target(id record.Partition) *Target {
	for _, t := range s.Targets {
		if t.ID == id.Topic && t.Index == id.Index && !t.Books.Closed() {
			return t
		}
	}
	return nil
}

// reassignment asks for other replicas; none: that a move is taken back.
func reassignment(t *Target, replicas []int32) kmsg.Request {
	r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	r.TimeoutMillis = 5000
	topic := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	topic.Topic = t.Topic
	part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	part.Partition, part.Replicas = t.Index, replicas
	topic.Partitions = append(topic.Partitions, part)
	r.Topics = append(r.Topics, topic)
	return r
}

// preferredElection asks that the preferred replica leads.
func preferredElection(t *Target) kmsg.Request {
	r := kmsg.NewPtrElectLeadersRequest()
	r.TimeoutMillis, r.ElectionType = 5000, 0
	topic := kmsg.NewElectLeadersRequestTopic()
	topic.Topic, topic.Partitions = t.Topic, []int32{t.Index}
	r.Topics = append(r.Topics, topic)
	return r
}
