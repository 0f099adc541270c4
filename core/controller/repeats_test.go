package controller

import (
	"testing"

	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

// TestNamedTwice (I5): a partition that a request names twice changes once. Both changes would start from the same state, and no node could apply the second.
func TestNamedTwice(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	c.do("fence 1")
	c.do("unfence 1")
	c.do("isr 2 3 1")
	records, elected, _ := c.ElectLeaders(PreferredElection, []TopicPartitions{{"t", []int32{0, 0}}, {"t", []int32{0}}}, false)
	if len(records) != 1 || elected[0].Refused() || elected[1].Code != wire.ElectionNotNeeded || elected[2].Code != wire.ElectionNotNeeded {
		t.Errorf("elect: %d records, %+v", len(records), elected)
	}
	ask := ReassignPartition{Topic: "t", Replicas: []record.NodeID{4, 1}}
	records, moved := c.Reassign(Reassign{Partitions: []ReassignPartition{ask, ask}, AllowFactorChange: true})
	if len(records) != 1 || moved[0].Refused() || moved[1].Code != wire.InvalidRequest {
		t.Errorf("reassign: %d records, %+v", len(records), moved)
	}
	list := []record.Partition{c.id()}
	records, placed, _ := c.AssignDirectories(AssignDirectories{3, c.Image.Broker(3).Epoch, []AssignDirectory{{metadata.LostDirectory, list}, {metadata.UUID{9, 2}, list}}})
	if len(records) != 1 || placed[0].Refused() || placed[1].Code != wire.InvalidRequest {
		t.Errorf("place: %d records, %+v", len(records), placed)
	}
	id := c.id().Topic
	records, deleted := c.DeleteTopics([]NamedTopic{{Name: "t", ByName: true}, {ID: id}})
	if len(records) != 1 || deleted[0].Refused() || deleted[1].Code != wire.InvalidRequest {
		t.Errorf("delete: %d records, %+v", len(records), deleted)
	}
}
