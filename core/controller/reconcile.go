package controller

import (
	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
)

// Reconcile decides about partitions whose state does not follow from the settings and the brokers that there are: after a start with another
// configuration file, or with a log of an earlier release. It also elects leaders where an unclean one is allowed and was not before. It yields at most as many
// records as an entry may hold; more says that there may be others to change, and the next decision does it.
//
// The active controller calls it when it becomes that, and every unclean.leader.election.interval.ms.
func (c *Controller) Reconcile() (records []metadata.Record, more bool) {
	defaults := c.defaults()
	for _, topic := range c.Image.Topics() {
		if len(records) > 0 && len(records)+len(topic.Partitions) > maxPartitionsPerRequest {
			return records, true
		}
		records = append(records, c.reconcile(topic, config.NewTopic(topic.Config, defaults))...)
	}
	return records, false
}

// reconcile brings a topic's partitions in line with settings. All in one entry: a partition is never seen with the one and without the other.
func (c *Controller) reconcile(topic *metadata.Topic, s config.Topic) []metadata.Record {
	v := &view{Controller: c}
	var records []metadata.Record
	for i := range topic.Partitions {
		t := v.turn(&topic.Partitions[i], rulesOf(s))
		t.obeyFlushPolicy()
		if t.settle() {
			records = append(records, &metadata.PartitionChanged{Topic: topic.ID, Index: int32(i), Partition: t.next})
		}
	}
	return records
}

// obeyFlushPolicy takes over the flush policy. From async to sync begins a new leader epoch: whoever fetches in it has learned of the policy and
// reports only what it has synced. When all have reported what the leader had when the epoch began, the leader says so (DM18).
func (t *turn) obeyFlushPolicy() {
	switch {
	case !t.sync:
		t.next.Flush = metadata.FlushAsync
	case t.next.Flush == metadata.FlushAsync:
		t.next.Flush, t.newEpoch = metadata.FlushPending, true
	}
}

// alteredSettings are settings as they will be once a request's records are applied.
type alteredSettings struct {
	topics   []*metadata.Topic // with settings of their own that change, in the order of the request
	own      map[record.TopicID]config.Overrides
	defaults config.Defaults
	all      bool // the defaults change
}

// obey yields the records for the partitions that altered settings concern.
func (c *Controller) obey(a *alteredSettings) []metadata.Record {
	topics := a.topics
	if a.all {
		topics = c.Image.Topics()
	}
	var records []metadata.Record
	for _, topic := range topics {
		own, altered := a.own[topic.ID]
		if !altered {
			own = topic.Config
		}
		records = append(records, c.reconcile(topic, config.NewTopic(own, a.defaults))...)
	}
	return records
}
