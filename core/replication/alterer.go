package replication

import (
	"slices"
	"time"

	"lignum/core/env"
	"lignum/core/partition"
	"lignum/core/record"
	"lignum/core/timer"
	"lignum/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// alterRetry is how long a request waits that could not be carried out.
	alterRetry = 50 * time.Millisecond
	// mostAltered is how many partitions one request has.
	mostAltered = 2_000
)

// alterer brings the wishes of leaders to the controller: one request at a time, with all that have come together meanwhile. A leader has one wish
// at a time, so the partitions bound what waits.
type alterer struct {
	m      *Manager
	wishes map[record.Partition]alteration
	queue  []record.Partition // those with a wish that is to be sent, in order
	flying bool
	retry  timer.Timer
}

type alteration struct {
	p      *partition.Partition
	change partition.ISRChange
}

func (a *alterer) add(p *partition.Partition, c partition.ISRChange) {
	if _, waits := a.wishes[p.ID]; !waits {
		a.queue = append(a.queue, p.ID)
	}
	a.wishes[p.ID] = alteration{p, c}
}

// send sends the next request.
func (a *alterer) send() {
	for !a.flying && !a.retry.Set() && len(a.queue) > 0 {
		batch := a.take()
		if len(batch) == 0 {
			continue
		}
		a.flying = true
		a.m.ask(a.request(batch), func(r kmsg.Response, err error) { a.answered(batch, r, err) })
	}
}

// take takes wishes out of the queue, without those that the metadata has overtaken.
func (a *alterer) take() []alteration {
	n := min(len(a.queue), mostAltered)
	batch := make([]alteration, 0, n)
	for _, id := range a.queue[:n] {
		if q := a.wishes[id]; q.p.AwaitsISR(q.change) {
			batch = append(batch, q)
		}
		delete(a.wishes, id)
	}
	a.queue = slices.Delete(a.queue, 0, n)
	slices.SortStableFunc(batch, func(x, y alteration) int { return x.p.ID.Compare(y.p.ID) })
	return batch
}

func (a *alterer) request(batch []alteration) *kmsg.AlterPartitionRequest {
	r := kmsg.NewPtrAlterPartitionRequest()
	r.Version = 3
	r.BrokerID, r.BrokerEpoch = int32(a.m.o.Node), a.m.BrokerEpoch()
	for _, q := range batch {
		if n := len(r.Topics); n == 0 || r.Topics[n-1].TopicID != [16]byte(q.p.ID.Topic) {
			t := kmsg.NewAlterPartitionRequestTopic()
			t.TopicID = q.p.ID.Topic
			r.Topics = append(r.Topics, t)
		}
		p := kmsg.NewAlterPartitionRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.PartitionEpoch = q.p.ID.Index, int32(q.change.LeaderEpoch), q.change.PartitionEpoch
		for _, member := range q.change.ISR {
			e := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
			e.BrokerID, e.BrokerEpoch = int32(member.ID), member.BrokerEpoch
			p.NewEpochISR = append(p.NewEpochISR, e)
		}
		if q.change.Synced {
			p.UnknownTags.Set(wire.TagSynced, nil)
		}
		t := &r.Topics[len(r.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return r
}

// answered tells each leader what became of its wish. What has no answer is asked for again: the controller knows what it has done already.
func (a *alterer) answered(batch []alteration, response kmsg.Response, err error) {
	if a.flying = false; a.m.stopped {
		return
	}
	r, _ := response.(*kmsg.AlterPartitionResponse)
	if err != nil || r == nil || r.ErrorCode != 0 {
		var code wire.ErrorCode
		if r != nil {
			code = wire.ErrorCode(r.ErrorCode)
		}
		a.m.Log(env.Debug, "in-sync sets could not be changed", "partitions", len(batch), "error", err, "code", code)
		a.again(batch)
		return
	}
	answers := map[record.Partition]partition.ISRAnswer{}
	for i := range r.Topics {
		t := &r.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			id := record.Partition{Topic: t.TopidID, Index: p.Partition}
			answers[id] = partition.ISRAnswer{Code: wire.ErrorCode(p.ErrorCode), PartitionEpoch: p.PartitionEpoch}
		}
	}
	var missing []alteration
	for _, q := range batch {
		answer, ok := answers[q.p.ID]
		if !ok || answer.Code == wire.NotController {
			missing = append(missing, q)
			continue
		}
		if answer.Code != wire.None {
			a.m.Log(env.Debug, "an in-sync set was not changed", "topic", q.p.Topic, "partition", q.p.ID.Index, "code", answer.Code)
		}
		q.p.ISRAltered(q.change, answer)
	}
	a.again(missing)
}

// again puts wishes back, behind newer ones of the same leaders, and waits.
func (a *alterer) again(batch []alteration) {
	if len(batch) == 0 {
		return
	}
	for _, q := range batch {
		if _, newer := a.wishes[q.p.ID]; !newer {
			a.add(q.p, q.change)
		}
	}
	a.m.Timers.Start(&a.retry, a.m.Clock.Now().Add(alterRetry), func() {})
}
