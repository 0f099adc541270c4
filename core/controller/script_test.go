package controller

import (
	"fmt"
	"slices"
	"strings"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
)

// newReplicated is a cluster of four brokers with the topic t: one partition on brokers 1, 2 and 3.
func newReplicated(settings ...ConfigValue) *cluster {
	c := newCluster(4)
	n := auto("t")
	n.Assignments, n.Configs = []Assignment{{0, []record.NodeID{1, 2, 3}}}, settings
	if said := c.create(n); said["t"] != "ok" {
		panic(said["t"])
	}
	return c
}

func setting(key, value string) ConfigValue { return ConfigValue{Key: key, Value: value} }

func (c *cluster) state() metadata.Partition { return c.Image.Topic("t").Partitions[0] }

func (c *cluster) id() record.Partition { return record.Partition{Topic: c.Image.Topic("t").ID} }

// do makes something happen and says what became of the partition. The words:
//
//	fence N, unfence N, unregister N    the broker
//	clean N, unclean N, wiped N         comes back, fenced: in order, in disorder, with an empty disk
//	same N                              registers anew without having ended
//	lost N                              has lost the replica
//	isr N N...                          the leader wants this ISR
//	to N N..., cancel                   reassignment
//	preferred, any                      election
//	set key value                       of the topic
func (c *cluster) do(what string) string {
	words := strings.Fields(what)
	var list []record.NodeID
	for _, w := range words[1:] {
		if len(w) == 1 && words[0] != "set" {
			list = append(list, record.NodeID(w[0]-'0'))
		}
	}
	var records []metadata.Record
	var refusal Refusal
	switch words[0] {
	case "fence", "unfence":
		records, refusal = c.ChangeBroker(ChangeBroker{ID: list[0], Epoch: c.Image.Broker(list[0]).Epoch, Fenced: words[0] == "fence"})
	case "unregister":
		records, refusal = c.UnregisterBroker(list[0])
	case "clean", "unclean", "wiped", "same":
		r := RegisterBroker{ID: list[0], Incarnation: metadata.UUID{byte(c.entries), 1}, Directories: []metadata.UUID{{9, byte(list[0] - 1)}}, Fenced: true, PreviousEpoch: metadata.NoBrokerEpoch}
		last := c.Image.Broker(list[0])
		if last == nil {
			last = c.Image.Departed(list[0])
		}
		switch words[0] {
		case "wiped":
			r.Directories[0] = metadata.UUID{8, byte(list[0]), byte(c.entries)}
		case "same":
			r.Incarnation = last.Incarnation
		}
		if words[0] == "clean" || words[0] == "wiped" {
			r.PreviousEpoch = last.Epoch
		}
		records, refusal = c.RegisterBroker(r)
	case "lost":
		b := c.Image.Broker(list[0])
		records, _, refusal = c.AssignDirectories(AssignDirectories{b.ID, b.Epoch, []AssignDirectory{{metadata.LostDirectory, []record.Partition{c.id()}}}})
	case "isr":
		var answers []AlteredPartition
		records, answers, refusal = c.AlterPartition(c.wish(list...))
		if !refusal.Refused() {
			refusal = answers[0].Refusal
		}
	case "to", "cancel":
		var answers []ReassignedPartition
		records, answers = c.Reassign(Reassign{AllowFactorChange: true, Partitions: []ReassignPartition{{Topic: "t", Replicas: list, Cancel: words[0] == "cancel"}}})
		refusal = answers[0].Refusal
	case "preferred", "any":
		kind := map[string]ElectionType{"preferred": PreferredElection, "any": UncleanElection}[words[0]]
		var answers []ElectedLeader
		records, answers, _ = c.ElectLeaders(kind, []TopicPartitions{{"t", []int32{0}}}, false)
		refusal = answers[0].Refusal
	case "set":
		var answers []AlteredConfigs
		records, answers = c.AlterConfigs([]AlterConfigs{{Resource: Resource{TopicResource, "t"}, Changes: []config.Alteration{{Key: words[1], Value: words[2]}}}}, false)
		refusal = answers[0].Refusal
	default:
		panic(what)
	}
	before := c.state()
	if len(records) > 0 {
		c.apply(records)
	}
	if refusal.Refused() {
		return refusal.Code.String()
	}
	return tell(before, c.state())
}

// wish is a leader's request, from the present state.
func (c *cluster) wish(isr ...record.NodeID) AlterPartition {
	p := c.state()
	change := ISRChange{ID: c.id(), LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.Epoch, Recovered: true}
	for _, id := range isr {
		m := ISRMember{id, metadata.NoBrokerEpoch}
		if b := c.Image.Broker(id); b != nil {
			m.BrokerEpoch = b.Epoch
		}
		change.NewISR = append(change.NewISR, m)
	}
	return AlterPartition{p.Leader, c.Image.Broker(max(p.Leader, 1)).Epoch, []ISRChange{change}}
}

// tell writes a state: leader | ISR | ELR | last known, and "+" for a new leader epoch.
func tell(before, p metadata.Partition) string {
	text := fmt.Sprint("leader ", p.Leader, " isr ", p.ISR)
	for _, l := range []struct {
		name string
		list []record.NodeID
	}{{"elr", p.ELR}, {"last", p.LastKnownELR}, {"adding", p.Adding}, {"removing", p.Removing}} {
		if len(l.list) > 0 {
			text += fmt.Sprint(" ", l.name, " ", l.list)
		}
	}
	if !slices.Equal(p.Replicas, []record.NodeID{1, 2, 3}) {
		text += fmt.Sprint(" of ", p.Replicas)
	}
	if p.Recovering {
		text += " recovering"
	}
	if p.LeaderEpoch > before.LeaderEpoch {
		text += " +"
	}
	return text
}
