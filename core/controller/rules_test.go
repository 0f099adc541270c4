package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lignum/core/config"
	"lignum/core/env"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
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

var (
	two   = setting("min.insync.replicas", "2")
	async = setting("lignum.flush.policy", "async")
)

// stories are the rules, each in steps of what happens and what becomes of the partition.
var stories = []struct {
	name     string
	settings []ConfigValue
	steps    [][2]string
}{
	{"KIP-966: below the minimum, who leaves the ISR stays eligible", []ConfigValue{two}, [][2]string{
		{"fence 3", "leader 1 isr [1 2]"},
		{"isr 1", "leader 1 isr [1] elr [2]"},
		{"fence 1", "leader 2 isr [2] elr [1] +"},
		{"fence 2", "leader -1 isr [] elr [1 2] last [2] +"},
		{"unfence 3", "leader -1 isr [] elr [1 2] last [2]"},
		{"unfence 1", "leader 1 isr [1] elr [2] +"},
		{"isr 1 3", "leader 1 isr [1 3]"},
	}},
	{"KIP-966: an unclean stop under async takes a replica out", []ConfigValue{two, async}, [][2]string{
		{"isr 1", "leader 1 isr [1] elr [2 3]"},
		{"unclean 2", "leader 1 isr [1] elr [3] last [2]"},
		{"clean 3", "leader 1 isr [1] elr [3] last [2]"},
		{"unclean 1", "leader -1 isr [] elr [3] last [1 2] +"},
		{"unfence 1", "leader -1 isr [] elr [3] last [1 2]"},
		{"unclean 3", "leader 1 isr [1] recovering +"},
	}},
	{"KIP-966: with nobody eligible, who led last leads when it is back", []ConfigValue{two, async}, [][2]string{
		{"isr 1", "leader 1 isr [1] elr [2 3]"},
		{"unclean 2", "leader 1 isr [1] elr [3] last [2]"},
		{"unclean 3", "leader 1 isr [1] last [2 3]"},
		{"fence 1", "leader -1 isr [] elr [1] last [1 2 3] +"},
		{"unclean 1", "leader -1 isr [] last [1 2 3]"},
		{"unfence 2", "leader -1 isr [] last [1 2 3]"},
		{"unfence 1", "leader 1 isr [1] recovering +"},
	}},
	{"I7: an unclean stop under sync loses nothing", []ConfigValue{two}, [][2]string{
		{"unclean 1", "leader 2 isr [2 3] +"},
		{"unclean 2", "leader 3 isr [3] elr [2] +"},
		{"unclean 3", "leader -1 isr [] elr [2 3] last [3] +"},
		{"unfence 1", "leader -1 isr [] elr [2 3] last [3]"},
		{"unfence 2", "leader 2 isr [2] elr [3] +"},
		{"isr 2 1", "leader 2 isr [2 1]"},
	}},
	{"RP24: the last replica standing is not elected after it lost its disk", nil, [][2]string{
		{"isr 1", "leader 1 isr [1]"},
		{"wiped 1", "leader -1 isr [] +"},
		{"unfence 1", "leader -1 isr []"},
		{"any", "leader 1 isr [1] recovering +"},
	}},
	{"RP24: with the minimum at two another has everything", []ConfigValue{two}, [][2]string{
		{"isr 1", "leader 1 isr [1] elr [2 3]"},
		{"wiped 1", "leader 2 isr [2] elr [3] +"},
	}},
	{"DM18: after async, sync counts only behind the barrier", []ConfigValue{two, async}, [][2]string{
		{"set lignum.flush.policy sync", "leader 1 isr [1 2 3] +"},
		{"isr 1", "leader 1 isr [1] elr [2 3]"},
		{"unclean 2", "leader 1 isr [1] elr [3] last [2]"},
	}},
	{"a directory of metadata.LostDirectory is quarantine (L7)", []ConfigValue{two}, [][2]string{
		{"lost 1", "leader 2 isr [2 3] +"},
		{"isr 2 3 1", "INELIGIBLE_REPLICA"},
		{"lost 3", "leader 2 isr [2]"},
		{"fence 2", "leader -1 isr [] elr [2] last [2] +"},
	}},
	{"KIP-841: who is fenced, stopping or unknown joins no ISR", nil, [][2]string{
		{"fence 3", "leader 1 isr [1 2]"},
		{"isr 1 2 3", "INELIGIBLE_REPLICA"},
		{"unregister 3", "leader 1 isr [1 2]"},
		{"isr 1 2 3", "INELIGIBLE_REPLICA"},
		{"clean 3", "leader 1 isr [1 2]"},
		{"unfence 3", "leader 1 isr [1 2]"},
		{"isr 1 2 3", "leader 1 isr [1 2 3]"},
		{"isr 2 3", "INVALID_REQUEST"},
		{"isr 1 4", "INVALID_REQUEST"},
		{"isr 1 1", "INVALID_REQUEST"},
	}},
	{"KIP-455: a reassignment ends when all that stay are in sync", nil, [][2]string{
		{"to 4 2", "leader 1 isr [1 2 3] adding [4] removing [1 3] of [4 2 1 3]"},
		{"isr 1 2 4", "NEW_LEADER_ELECTED"},
		{"preferred", "ELECTION_NOT_NEEDED"},
		{"cancel", "NO_REASSIGNMENT_IN_PROGRESS"},
		{"isr 2 4", "NEW_LEADER_ELECTED"},
		{"cancel", "NO_REASSIGNMENT_IN_PROGRESS"},
		{"to 2 4", "leader 4 isr [2 4] of [2 4]"},
		{"preferred", "leader 2 isr [2 4] of [2 4] +"},
		{"to 2 2", "INVALID_REPLICA_ASSIGNMENT"},
		{"to 2 9", "INVALID_REPLICA_ASSIGNMENT"},
		{"to", "INVALID_REPLICA_ASSIGNMENT"},
	}},
	{"KIP-455: fewer replicas", []ConfigValue{two}, [][2]string{
		{"to 3", "leader 3 isr [1 2 3] removing [1 2] of [3 1 2] +"},
		{"preferred", "ELECTION_NOT_NEEDED"},
		{"isr 1 3", "leader 3 isr [1 3] removing [1 2] of [3 1 2]"},
		{"isr 3", "NEW_LEADER_ELECTED"},
		{"to 3 4 1", "leader 3 isr [3] adding [1 4] of [3 4 1]"},
		{"cancel", "leader 3 isr [3] of [3] +"},
	}},
	{"KIP-455: what a reassignment has become is what a new one starts from", nil, [][2]string{
		{"to 4", "leader 1 isr [1 2 3] adding [4] removing [1 2 3] of [4 1 2 3]"},
		{"to 1 2 3", "leader 1 isr [1 2 3] +"},
		{"to 1 2 4", "leader 1 isr [1 2 3] adding [4] removing [3] of [1 2 4 3]"},
		{"isr 1 4", "leader 1 isr [1 4] adding [4] removing [3] of [1 2 4 3]"},
		{"cancel", "leader 1 isr [1 4] removing [4] of [1 2 3 4]"},
		{"isr 1 2 4", "leader 1 isr [1 2 4] removing [4] of [1 2 3 4]"},
		{"isr 1 2", "leader 1 isr [1 2] removing [4] of [1 2 3 4]"},
		{"isr 1 2 3", "NEW_LEADER_ELECTED"},
		{"isr 1 2 3", "leader 1 isr [1 2 3]"},
	}},
	{"KIP-455: who has joined the ISR stays until a new reassignment is complete, too", nil, [][2]string{
		{"to 2 4", "leader 1 isr [1 2 3] adding [4] removing [1 3] of [2 4 1 3]"},
		{"isr 1 4", "leader 1 isr [1 4] adding [4] removing [1 3] of [2 4 1 3]"},
		{"to 1 2 3", "leader 1 isr [1 4] removing [4] of [1 2 3 4]"},
		{"isr 1 2 3 4", "leader 1 isr [1 2 3 4] removing [4] of [1 2 3 4]"},
		{"isr 1 2 3", "NEW_LEADER_ELECTED"},
	}},
	{"F7: a leader that goes hands over, and stays in sync until the next one knows that it has heard of that", nil, [][2]string{
		{"to 4 2", "leader 1 isr [1 2 3] adding [4] removing [1 3] of [4 2 1 3]"},
		{"isr 1 2 4", "NEW_LEADER_ELECTED"},
		{"fence 4", "leader 2 isr [1 2] adding [4] removing [1 3] of [4 2 1 3] +"},
		{"fence 2", "leader 1 isr [1] adding [4] removing [1 3] of [4 2 1 3] +"},
		{"unfence 2", "leader 1 isr [1] adding [4] removing [1 3] of [4 2 1 3]"},
		{"unfence 4", "leader 1 isr [1] adding [4] removing [1 3] of [4 2 1 3]"},
		{"isr 1 2", "leader 1 isr [1 2] adding [4] removing [1 3] of [4 2 1 3]"},
		{"isr 1 2 4", "NEW_LEADER_ELECTED"},
		{"fence 1", "leader 4 isr [2 4] of [4 2] +"},
	}},
	{"F7: what a reassignment has added leads already when it is taken back", nil, [][2]string{
		{"to 4 2 3", "leader 1 isr [1 2 3] adding [4] removing [1] of [4 2 3 1]"},
		{"isr 1 2", "leader 1 isr [1 2] adding [4] removing [1] of [4 2 3 1]"},
		{"isr 1 2 4", "leader 1 isr [1 2 4] adding [4] removing [1] of [4 2 3 1]"},
		{"preferred", "leader 4 isr [1 2 4] adding [4] removing [1] of [4 2 3 1] +"},
		{"cancel", "leader 4 isr [1 2 4] removing [4] of [2 3 1 4]"},
		{"isr 1 2 3 4", "NEW_LEADER_ELECTED"},
		{"preferred", "ELECTION_NOT_NEEDED"},
		{"isr 1 2 3", "NEW_LEADER_ELECTED"},
		{"isr 1 2 3", "leader 2 isr [1 2 3] of [2 3 1]"},
	}},
	{"F7: who may serve is not forgotten", nil, [][2]string{
		{"unregister 1", "REQUEST_TIMED_OUT"},
		{"fence 1", "leader 2 isr [2 3] +"},
		{"unregister 1", "leader 2 isr [2 3]"},
		{"unregister 1", "BROKER_ID_NOT_REGISTERED"},
	}},
	{"I8: who is unregistered stays eligible, and comes back as one that may have lost what it had not synced", []ConfigValue{two, async}, [][2]string{
		{"fence 3", "leader 1 isr [1 2]"},
		{"fence 2", "leader 1 isr [1] elr [2]"},
		{"unregister 2", "leader 1 isr [1] elr [2]"},
		{"unclean 2", "leader 1 isr [1] last [2]"},
	}},
	{"I8: it comes back as one that has lost nothing, if it had stopped in order or is the same process", []ConfigValue{two, async}, [][2]string{
		{"fence 3", "leader 1 isr [1 2]"},
		{"fence 2", "leader 1 isr [1] elr [2]"},
		{"unregister 2", "leader 1 isr [1] elr [2]"},
		{"clean 2", "leader 1 isr [1] elr [2]"},
		{"unregister 2", "leader 1 isr [1] elr [2]"},
		{"same 2", "leader 1 isr [1] elr [2]"},
		{"unclean 2", "leader 1 isr [1] last [2]"},
	}},
	{"I8: under sync it comes back as it was, with the same disk", []ConfigValue{two}, [][2]string{
		{"fence 3", "leader 1 isr [1 2]"},
		{"fence 2", "leader 1 isr [1] elr [2]"},
		{"unregister 2", "leader 1 isr [1] elr [2]"},
		{"unclean 2", "leader 1 isr [1] elr [2]"},
		{"unregister 2", "leader 1 isr [1] elr [2]"},
		{"wiped 2", "leader 1 isr [1]"},
	}},
	{"KIP-455: to go back needs somebody who is complete", nil, [][2]string{
		{"to 4 1", "leader 1 isr [1 2 3] adding [4] removing [2 3] of [4 1 2 3]"},
		{"fence 4", "leader 1 isr [1 2 3] adding [4] removing [2 3] of [4 1 2 3]"},
		{"isr 1", "leader 1 isr [1] adding [4] removing [2 3] of [4 1 2 3]"},
		{"cancel", "leader 1 isr [1] +"},
	}},
	{"KIP-460: elections that people ask for", nil, [][2]string{
		{"preferred", "ELECTION_NOT_NEEDED"},
		{"fence 1", "leader 2 isr [2 3] +"},
		{"preferred", "PREFERRED_LEADER_NOT_AVAILABLE"},
		{"any", "ELECTION_NOT_NEEDED"},
		{"unfence 1", "leader 2 isr [2 3]"},
		{"isr 2 3 1", "leader 2 isr [2 3 1]"},
		{"preferred", "leader 1 isr [2 3 1] +"},
		{"isr 1", "leader 1 isr [1]"},
		{"fence 1", "leader -1 isr [] elr [1] last [1] +"},
		{"any", "leader 2 isr [2] recovering +"},
		{"isr 2 3", "leader 2 isr [2 3]"},
		{"fence 2", "leader 3 isr [3] +"},
		{"fence 3", "leader -1 isr [] elr [3] last [3] +"},
		{"any", "ELIGIBLE_LEADERS_NOT_AVAILABLE"},
	}},
	{"unclean.leader.election.enable", nil, [][2]string{
		{"isr 1", "leader 1 isr [1]"},
		{"fence 1", "leader -1 isr [] elr [1] last [1] +"},
		{"set unclean.leader.election.enable true", "leader 2 isr [2] recovering +"},
		{"fence 2", "leader 3 isr [3] recovering +"},
	}},
	{"min.insync.replicas: with a smaller one nobody is eligible beside the ISR", []ConfigValue{two}, [][2]string{
		{"isr 1", "leader 1 isr [1] elr [2 3]"},
		{"set min.insync.replicas 1", "leader 1 isr [1]"},
		{"set min.insync.replicas 3", "leader 1 isr [1]"},
		{"isr 1 2", "leader 1 isr [1 2]"},
		{"isr 1", "leader 1 isr [1] elr [2]"},
	}},
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, story := range stories {
		c := newReplicated(story.settings...)
		for i, step := range story.steps {
			if got := c.do(step[0]); got != step[1] {
				t.Errorf("%s: step %d, %s:\n got %s\nwant %s", story.name, i, step[0], got, step[1])
				break
			}
			if err := Check(c.Image); err != nil {
				t.Errorf("%s: step %d, %s: %v", story.name, i, step[0], err)
			}
		}
	}
}

// TestAlterPartitionEpochs: a change counts only if it starts from what there is (KIP-497, KIP-903, I5, I6).
func TestAlterPartitionEpochs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*AlterPartition)
		want  string
	}{
		"sound":                       {func(*AlterPartition) {}, "ok"},
		"of an earlier life":          {func(r *AlterPartition) { r.BrokerEpoch-- }, "STALE_BROKER_EPOCH"},
		"of nobody":                   {func(r *AlterPartition) { r.Broker = 9 }, "STALE_BROKER_EPOCH"},
		"of another":                  {func(r *AlterPartition) { r.Broker, r.BrokerEpoch = 2, 1 }, "INVALID_REQUEST"},
		"old leader epoch":            {func(r *AlterPartition) { r.Changes[0].LeaderEpoch-- }, "FENCED_LEADER_EPOCH"},
		"leader epoch to come":        {func(r *AlterPartition) { r.Changes[0].LeaderEpoch++ }, "NOT_CONTROLLER"},
		"old partition epoch":         {func(r *AlterPartition) { r.Changes[0].PartitionEpoch-- }, "INVALID_UPDATE_VERSION"},
		"partition epoch to come":     {func(r *AlterPartition) { r.Changes[0].PartitionEpoch++ }, "NOT_CONTROLLER"},
		"unknown topic":               {func(r *AlterPartition) { r.Changes[0].ID.Topic[0]++ }, "UNKNOWN_TOPIC_ID"},
		"unknown partition":           {func(r *AlterPartition) { r.Changes[0].ID.Index++ }, "UNKNOWN_TOPIC_OR_PARTITION"},
		"RP20: earlier life of 3":     {func(r *AlterPartition) { r.Changes[0].NewISR[2].BrokerEpoch-- }, "INELIGIBLE_REPLICA"},
		"RP20: unknown life of 3":     {func(r *AlterPartition) { r.Changes[0].NewISR[2].BrokerEpoch = metadata.NoBrokerEpoch }, "INELIGIBLE_REPLICA"},
		"unknown life of a member":    {func(r *AlterPartition) { r.Changes[0].NewISR[1].BrokerEpoch = metadata.NoBrokerEpoch }, "ok"},
		"recovering and not alone":    {func(r *AlterPartition) { r.Changes[0].Recovered = false }, "INVALID_REQUEST"},
		"recovering after recovering": {func(r *AlterPartition) { r.Changes[0].Recovered, r.Changes[0].NewISR = false, r.Changes[0].NewISR[:1] }, "INVALID_REQUEST"},
	} {
		cl := newReplicated()
		cl.do("fence 3")
		cl.do("unfence 3")
		cl.do("fence 1")
		cl.do("unfence 1")
		cl.do("isr 2 1")
		cl.do("preferred")
		r := cl.wish(1, 2, 3)
		c.spoil(&r)
		before := cl.state()
		records, answers, refusal := cl.AlterPartition(r)
		if !refusal.Refused() {
			refusal = answers[0].Refusal
		}
		if got, _, _ := strings.Cut(refusal.text(), " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, refusal.text(), c.want)
		}
		if len(records) > 0 {
			cl.apply(records)
		}
		if p := cl.state(); c.want != "ok" && !slices.Equal(p.ISR, before.ISR) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestAlterPartitionAgain: a change that was made is not made again, and is no error.
func TestAlterPartitionAgain(t *testing.T) {
	t.Parallel()
	c := newReplicated(two)
	r := c.wish(1, 2)
	twice := AlterPartition{r.Broker, r.BrokerEpoch, []ISRChange{r.Changes[0], r.Changes[0]}}
	if _, answers, _ := c.AlterPartition(twice); answers[0].Refused() || answers[1].Code != wire.InvalidUpdateVersion {
		t.Errorf("%+v", answers)
	}
	for i := range 2 {
		records, answers, refusal := c.AlterPartition(r)
		if refusal.Refused() || answers[0].Refused() || answers[0].State.Epoch != 1 || !slices.Equal(answers[0].State.ISR, []record.NodeID{1, 2}) || len(records) != 1-i {
			t.Fatalf("time %d: %d records, %+v", i, len(records), answers)
		}
		if len(records) > 0 {
			c.apply(records)
		}
	}
	c.do("fence 2")
	if _, answers, _ := c.AlterPartition(r); answers[0].Code != wire.InvalidUpdateVersion {
		t.Errorf("%+v", answers)
	}
	// A refusal of ineligible replicas moves the partition epoch: the leader counts without them from then on.
	r = c.wish(1, 3)
	c.do("fence 3")
	c.do("isr 1 3")
	c.do("unfence 3")
	if _, answers, _ := c.AlterPartition(r); answers[0].Code != wire.InvalidUpdateVersion {
		t.Errorf("%+v", answers)
	}
}

// TestFlushBarrier is DM18: from async to sync, the leader's word ends the wait, if it speaks for everybody who counts.
func TestFlushBarrier(t *testing.T) {
	t.Parallel()
	c := newReplicated(two, async)
	flush := func(want metadata.Flush) {
		t.Helper()
		if got := c.state().Flush; got != want {
			t.Fatalf("flush state %d, want %d", got, want)
		}
	}
	flush(metadata.FlushAsync)
	synced := func(isr ...record.NodeID) {
		r := c.wish(isr...)
		r.Changes[0].Synced = true
		if records, answers, _ := c.AlterPartition(r); answers[0].Refused() {
			t.Fatal(answers[0].Refusal.text())
		} else if len(records) > 0 {
			c.apply(records)
		}
	}
	synced(1, 2, 3)
	flush(metadata.FlushAsync)
	if got := c.do("set lignum.flush.policy sync"); got != "leader 1 isr [1 2 3] +" {
		t.Error(got)
	}
	flush(metadata.FlushPending)
	synced(1)
	flush(metadata.FlushPending) // 2 and 3 are eligible and have told nothing
	synced(1, 2)
	flush(metadata.FlushSynced)
	c.do("set retention.ms 5")
	flush(metadata.FlushSynced)
	c.do("set lignum.flush.policy async")
	flush(metadata.FlushAsync)
	// The same by the setting of the cluster.
	c.do("set lignum.flush.policy sync")
	synced(1, 2)
	c.apply(must(c.AlterConfigs([]AlterConfigs{
		{Resource: Resource{TopicResource, "t"}, Replace: true},
		{Resource: Resource{BrokerResource, ""}, Changes: []config.Alteration{{Key: "lignum.log.flush.policy", Value: "async"}}},
	}, false)))
	flush(metadata.FlushAsync)
	if p := c.state(); p.MinISR != 1 {
		t.Errorf("%+v", p)
	}
}

func must(records []metadata.Record, answers []AlteredConfigs) []metadata.Record {
	for _, a := range answers {
		if a.Refused() {
			panic(a.text())
		}
	}
	return records
}

// TestReconcile: another configuration file, or a log of an earlier release, is taken over in steps.
func TestReconcile(t *testing.T) {
	t.Parallel()
	c := newCluster(3)
	for i := range 5 {
		c.create(NewTopic{Name: fmt.Sprint("t", i), Partitions: 4_000, ReplicationFactor: 2})
	}
	if records, more := c.Reconcile(); len(records) > 0 || more {
		t.Fatalf("%d records of nothing", len(records))
	}
	c.Static = config.Overrides{{Key: "min.insync.replicas", Value: "2"}}
	entries := 0
	for more := true; more; entries++ {
		var records []metadata.Record
		if records, more = c.Reconcile(); len(records) > maxPartitionsPerRequest {
			t.Errorf("%d records at once", len(records))
		}
		c.apply(records)
	}
	if records, _ := c.Reconcile(); entries != 3 || len(records) > 0 {
		t.Errorf("%d entries, %d records left", entries, len(records))
	}
}

// TestMinimumRisesBeforeItIsUsed: a leader learns of its ISR from the answer, before it may have learned of a setting. Who leaves the ISR then is not eligible under
// a minimum that the leader does not know.
func TestMinimumRisesBeforeItIsUsed(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	c.Static = config.Overrides{{Key: "min.insync.replicas", Value: "3"}}
	if got := c.do("isr 1 2"); got != "leader 1 isr [1 2]" || c.state().MinISR != 1 {
		t.Errorf("%s, minimum %d", got, c.state().MinISR)
	}
	records, _ := c.Reconcile()
	c.apply(records)
	if got := c.do("isr 1"); got != "leader 1 isr [1] elr [2]" || c.state().MinISR != 3 {
		t.Errorf("%s, minimum %d", got, c.state().MinISR)
	}
	c.Static = nil
	if got := c.do("fence 2"); got != "leader 1 isr [1]" || c.state().MinISR != 1 {
		t.Errorf("%s, minimum %d", got, c.state().MinISR)
	}
	for _, steps := range []string{"fence 2", "fence 1", "clean 2", "unclean 1", "wiped 3", "lost 3", "lost 1", "fence 1, unfence 1, isr 2 3 1, preferred"} {
		c := newReplicated()
		c.Static = config.Overrides{{Key: "min.insync.replicas", Value: "3"}}
		for what := range strings.SplitSeq(steps, ", ") {
			if got := c.do(what); c.state().MinISR != 1 || !strings.HasPrefix(got, "leader") {
				t.Errorf("%s of %q: %s, minimum %d", what, steps, got, c.state().MinISR)
			}
		}
	}
}

func TestReassignFactor(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	ask := ReassignPartition{Topic: "t", Replicas: []record.NodeID{1, 2}}
	_, answers := c.Reassign(Reassign{Partitions: []ReassignPartition{ask, ask, {Topic: "u"}, {Topic: "t", Index: 1}}})
	for i, want := range []string{"INVALID_REPLICATION_FACTOR The replication factor is changed from 3 to 2", "INVALID_REQUEST",
		"UNKNOWN_TOPIC_OR_PARTITION Unable to find a topic named u.", "UNKNOWN_TOPIC_OR_PARTITION Unable to find partition t:1."} {
		if got := answers[i].text(); !strings.HasPrefix(got, want) {
			t.Errorf("item %d: %s, want %s", i, got, want)
		}
	}
	c.do("to 1 2 4")
	want := []Reassignment{{"t", 0, []record.NodeID{1, 2, 4, 3}, []record.NodeID{4}, []record.NodeID{3}}}
	for _, got := range [][]Reassignment{c.Reassignments(nil, true), c.Reassignments([]TopicPartitions{{"t", []int32{0, 1}}, {"u", []int32{0}}}, false)} {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestElectAndBalance(t *testing.T) {
	t.Parallel()
	c := newCluster(2)
	c.create(NewTopic{Name: "t", Partitions: 4, ReplicationFactor: 2})
	c.do("fence 1")
	c.do("unfence 1")
	for i := range 4 {
		id := record.Partition{Topic: c.Image.Topic("t").ID, Index: int32(i)}
		r := c.wish(2, 1)
		r.Changes[0].ID = id
		r.Changes[0].LeaderEpoch, r.Changes[0].PartitionEpoch = c.Image.Partition(id).LeaderEpoch, c.Image.Partition(id).Epoch
		records, _, _ := c.AlterPartition(r)
		c.apply(records)
	}
	if _, answers, refusal := c.ElectLeaders(PreferredElection, nil, true); refusal.Refused() || len(answers) != 2 {
		t.Errorf("%v", answers)
	}
	if _, _, refusal := c.ElectLeaders(7, nil, true); refusal.text() != "INVALID_REQUEST Unknown election type 7" {
		t.Error(refusal.text())
	}
	_, answers, _ := c.ElectLeaders(PreferredElection, []TopicPartitions{{"u", []int32{0}}, {"t", []int32{9}}}, false)
	if answers[0].text() != "UNKNOWN_TOPIC_OR_PARTITION No such topic as u" || answers[1].text() != "UNKNOWN_TOPIC_OR_PARTITION No such partition as t-9" {
		t.Errorf("%v", answers)
	}
	c.ImbalancePercent = 100
	if records, _ := c.BalanceLeaders(); len(records) > 0 {
		t.Errorf("%d leaders change, and all might lead elsewhere", len(records))
	}
	c.ImbalancePercent = 10
	records, more := c.BalanceLeaders()
	if len(records) != 2 || more {
		t.Errorf("%d leaders change", len(records))
	}
	c.apply(records)
	if records, _ := c.BalanceLeaders(); len(records) > 0 {
		t.Errorf("%d leaders change again", len(records))
	}
}

func TestRegistrationIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*RegisterBroker)
		want  string
	}{
		"sound":              {func(*RegisterBroker) {}, "ok"},
		"negative":           {func(r *RegisterBroker) { r.ID = -1 }, "INVALID_REQUEST"},
		"no incarnation":     {func(r *RegisterBroker) { r.Incarnation = metadata.UUID{} }, "INVALID_REQUEST"},
		"other alive":        {func(r *RegisterBroker) { r.OtherAlive = true }, "DUPLICATE_BROKER_REGISTRATION"},
		"other, same disk":   {func(r *RegisterBroker) { r.OtherAlive, r.Directories = true, []metadata.UUID{{9, 1}} }, "ok"},
		"late, same disk":    {func(r *RegisterBroker) { r.Late, r.Directories = true, []metadata.UUID{{9, 1}} }, "DUPLICATE_BROKER_REGISTRATION"},
		"late, sent twice":   {func(r *RegisterBroker) { r.Late, r.Incarnation = true, metadata.UUID{2} }, "ok"},
		"no directory":       {func(r *RegisterBroker) { r.Directories = nil }, "INVALID_REGISTRATION"},
		"reserved directory": {func(r *RegisterBroker) { r.Directories[0] = metadata.LostDirectory }, "INVALID_REGISTRATION"},
		"directory twice":    {func(r *RegisterBroker) { r.Directories = append(r.Directories, r.Directories[0]) }, "INVALID_REGISTRATION"},
		"X4: another's":      {func(r *RegisterBroker) { r.Directories[0] = metadata.UUID{9, 0} }, "INVALID_REGISTRATION a directory of broker 2 is registered for broker 1"},
		"too old":            {func(r *RegisterBroker) { r.Features = nil }, "UNSUPPORTED_VERSION"},
	} {
		cl := newCluster(3)
		cl.apply([]metadata.Record{&metadata.FeatureSet{Name: "metadata.version", Level: 25}})
		r := RegisterBroker{ID: 2, Incarnation: metadata.UUID{77}, Directories: []metadata.UUID{{7}}, Features: []metadata.FeatureRange{MetadataVersions}}
		c.spoil(&r)
		if _, refusal := cl.RegisterBroker(r); !strings.HasPrefix(refusal.text(), c.want) {
			t.Errorf("%s: %s, want %s", name, refusal.text(), c.want)
		}
	}
}

// TestHeartbeats tells the life of a broker: it is let in when it knows its registration, and let go when the others know that it leaves (KIP-631).
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	c.do("clean 1")
	epoch := c.Image.Broker(1).Epoch
	at, all := record.Offset(epoch), record.Offset(1<<40)
	for i, step := range []struct {
		h    Heartbeat
		want HeartbeatReply
	}{
		{Heartbeat{MetadataOffset: at - 1}, HeartbeatReply{Fenced: true}},
		{Heartbeat{MetadataOffset: at, WantFence: true}, HeartbeatReply{CaughtUp: true, Fenced: true}},
		{Heartbeat{MetadataOffset: at}, HeartbeatReply{CaughtUp: true}},
		{Heartbeat{MetadataOffset: at}, HeartbeatReply{}}, // F7: it does not know yet that it was let in
		{Heartbeat{MetadataOffset: all}, HeartbeatReply{CaughtUp: true}},
		{Heartbeat{MetadataOffset: all, WantFence: true}, HeartbeatReply{CaughtUp: true, Fenced: true}},
		{Heartbeat{MetadataOffset: all, OfflineDirs: []metadata.UUID{{9, 0}}}, HeartbeatReply{CaughtUp: true, Fenced: true}},
	} {
		step.h.ID, step.h.Epoch = 1, epoch
		records, reply, refusal := c.Heartbeat(step.h)
		if refusal.Refused() || reply != step.want {
			t.Fatalf("step %d: %+v, want %+v %s", i, reply, step.want, refusal.text())
		}
		if len(records) > 0 {
			c.apply(records)
		}
	}
	if _, _, refusal := c.Heartbeat(Heartbeat{ID: 1, Epoch: epoch - 1}); refusal.Code != wire.StaleBrokerEpoch {
		t.Error(refusal.text())
	}
	// F7: who was deposed by choice has to know it before its lease is renewed.
	deposed := Heartbeat{ID: 2, Epoch: c.Image.Broker(2).Epoch, MetadataOffset: c.Image.Broker(2).Changed - 1}
	if _, reply, _ := c.Heartbeat(deposed); reply.CaughtUp {
		t.Errorf("behind its own change: %+v", reply)
	}
	// Broker 2 leads and wants to stop.
	stop := Heartbeat{ID: 2, Epoch: c.Image.Broker(2).Epoch, WantShutDown: true, MetadataOffset: c.Image.Offset()}
	records, reply, _ := c.Heartbeat(stop)
	if c.apply(records); reply.ShouldShutDown || !reply.ShuttingDown || c.state().Leader != 3 {
		t.Errorf("%+v, %+v", reply, c.state())
	}
	left := c.Image.Broker(2).Changed
	stop.Others = left - 1
	if records, reply, _ := c.Heartbeat(stop); len(records) > 0 || reply.ShouldShutDown {
		t.Errorf("let go before the others know: %+v", reply)
	}
	stop.Others = left
	records, reply, _ = c.Heartbeat(stop)
	if c.apply(records); !reply.ShouldShutDown || !c.Image.Broker(2).Fenced {
		t.Errorf("%+v", reply)
	}
	if records, reply, _ = c.Heartbeat(stop); len(records) > 0 || !reply.ShouldShutDown {
		t.Errorf("the answer was lost: %+v", reply)
	}
	// One that leads nothing goes at once; one that loses its last directory is fenced.
	b := c.Image.Broker(4)
	if _, reply, _ := c.Heartbeat(Heartbeat{ID: 4, Epoch: b.Epoch, WantShutDown: true}); !reply.ShouldShutDown {
		t.Errorf("%+v", reply)
	}
	records, _, _ = c.Heartbeat(Heartbeat{ID: 4, Epoch: b.Epoch, OfflineDirs: []metadata.UUID{{9, 3}}})
	if c.apply(records); !c.Image.Broker(4).Fenced || len(c.Image.Broker(4).Directories) > 0 {
		t.Errorf("%+v", c.Image.Broker(4))
	}
}

// TestLeaseOfTheDisplaced (F7): whoever is deposed, or leaves the ISR, by choice of the cluster and while it is well, has its lease renewed only when it has
// applied the entry that says so.
func TestLeaseOfTheDisplaced(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		do        []string
		displaced record.NodeID // by the last step
	}{
		"preferred leader":                 {[]string{"fence 1", "unfence 1", "isr 2 3 1", "preferred"}, 2},
		"the leader fences a follower out": {[]string{"isr 1 3"}, 2},
		"reassigned":                       {[]string{"to 2 3 4", "isr 1 2 3 4"}, 1},
		"the leader is fenced":             {[]string{"fence 1"}, 1},
	} {
		c := newReplicated()
		for _, what := range story.do[:len(story.do)-1] {
			c.do(what)
		}
		before := c.state()
		known := c.Image.Offset()
		c.do(story.do[len(story.do)-1])
		if now := c.state(); before.Leader == now.Leader && len(before.ISR) == len(now.ISR) {
			t.Fatalf("%s: nothing has changed: %+v", name, now)
		}
		for _, id := range []record.NodeID{1, 2, 3, 4} {
			lease := func(offset record.Offset) bool {
				_, reply, _ := c.Heartbeat(Heartbeat{ID: id, Epoch: c.Image.Broker(id).Epoch, MetadataOffset: offset})
				return reply.CaughtUp
			}
			if got := lease(known); got != (id != story.displaced) {
				t.Errorf("%s: the lease of broker %d is renewed before it knows: %v", name, id, got)
			}
			if !lease(c.Image.Offset()) {
				t.Errorf("%s: the lease of broker %d is not renewed", name, id)
			}
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	c := newCluster(3)
	c.create(auto("t"))
	s := NewSessions(c.Image, 9*time.Second)
	second := func(n int) env.Instant { return env.Instant(0).Add(time.Duration(n) * time.Second) }
	epoch := func(id record.NodeID) metadata.BrokerEpoch { return c.Image.Broker(id).Epoch }
	s.Begin(second(1))
	if s.Deadline() != second(10) || len(s.Expired(second(9))) > 0 || s.Others(1) != record.NoOffset {
		t.Error("no fresh sessions", s.Deadline())
	}
	s.Touch(1, epoch(1), 5, second(4))
	s.Touch(2, epoch(2), 7, second(3))
	s.Touch(3, epoch(3)-1, 9, second(8)) // an earlier life
	if got := s.Expired(second(11)); !slices.Equal(got, []record.NodeID{3}) || s.Others(1) != record.NoOffset || s.Others(3) != 5 {
		t.Error(got, s.Others(1), s.Others(3))
	}
	if got := s.Expired(second(11)); len(got) > 0 || s.Deadline() != second(12) {
		t.Error("told again at once", got, s.Deadline())
	}
	if got := s.Expired(second(14)); !slices.Equal(got, []record.NodeID{1, 2, 3}) {
		t.Error("not told again", got)
	}
	s.Touch(1, epoch(1), 5, second(4))
	s.Touch(2, epoch(2), 7, second(3))
	c.apply(c.ExpireBroker(3, epoch(3)))
	if s.Deadline() != second(12) || s.Others(1) != 7 || s.Alive(3, second(11)) || !s.Alive(1, second(11)) {
		t.Error(s.Deadline(), s.Others(1))
	}
	if records := c.ExpireBroker(3, epoch(3)); len(records) > 0 {
		t.Error("fenced twice")
	}
	c.do("clean 3")
	s.Touch(3, epoch(3), 1, second(20))
	c.do("unfence 3")
	if !s.Alive(3, second(28)) || len(s.Expired(second(20))) != 2 {
		t.Error(s.Expired(second(20)))
	}
	if s.Others(1) != 1 {
		t.Error("the others know", s.Others(1))
	}
	c.do("clean 3")
	c.do("unfence 3")
	if s.Others(1) != record.NoOffset {
		t.Error("what an earlier life knew counts", s.Others(1))
	}
}

func TestUpdateFeatures(t *testing.T) {
	t.Parallel()
	c := newCluster(2)
	for _, test := range []struct {
		update UpdateFeature
		want   string
	}{
		{UpdateFeature{"metadata.version", 25, UpgradeFeature}, "ok"},
		{UpdateFeature{"metadata.version", 26, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 26 for feature metadata.version. Local controller 1 only supports versions 7-25"},
		{UpdateFeature{"metadata.version", 20, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 20 for feature metadata.version. Can't downgrade the version"},
		{UpdateFeature{"metadata.version", 20, SafeDowngradeFeature}, "INVALID_UPDATE_VERSION Invalid metadata.version 20. Refusing"},
		{UpdateFeature{"metadata.version", 20, UnsafeDowngradeFeature}, "INVALID_UPDATE_VERSION Invalid metadata.version 20. Unsafe"},
		{UpdateFeature{"metadata.version", 25, 0}, "INVALID_UPDATE_VERSION Invalid update version 25 for feature metadata.version. The controller does not support the given upgrade type."},
		{UpdateFeature{"x", 1, UpgradeFeature}, "INVALID_UPDATE_VERSION Invalid update version 1 for feature x. Local controller 1 does not support this feature."},
		{UpdateFeature{"x", -1, UpgradeFeature}, "INVALID_UPDATE_VERSION"},
		{UpdateFeature{"x", 0, SafeDowngradeFeature}, "ok"},
	} {
		if _, answers := c.UpdateFeatures([]UpdateFeature{test.update}, false); !strings.HasPrefix(answers[0].text(), test.want) {
			t.Errorf("%v: %s, want %s", test.update, answers[0].text(), test.want)
		}
	}
	records, _ := c.UpdateFeatures([]UpdateFeature{{"metadata.version", 25, UpgradeFeature}}, false)
	c.apply(records)
	if records, _ := c.UpdateFeatures([]UpdateFeature{{"metadata.version", 25, UpgradeFeature}}, false); len(records) > 0 || c.Image.FeatureLevel("metadata.version") != 25 {
		t.Error("set twice")
	}
}

func TestAssignDirectories(t *testing.T) {
	t.Parallel()
	c := newReplicated()
	b := c.Image.Broker(4)
	_, answers, _ := c.AssignDirectories(AssignDirectories{4, b.Epoch, []AssignDirectory{{metadata.UUID{9, 3}, []record.Partition{c.id(), {}, {Topic: c.id().Topic, Index: 3}}}}})
	for i, want := range []wire.ErrorCode{wire.NotLeaderOrFollower, wire.UnknownTopicID, wire.UnknownTopicOrPartition} {
		if answers[i].Code != want {
			t.Errorf("item %d: %s, want %s", i, answers[i].Code, want)
		}
	}
	if _, _, refusal := c.AssignDirectories(AssignDirectories{4, b.Epoch + 1, nil}); refusal.Code != wire.StaleBrokerEpoch {
		t.Error(refusal.text())
	}
	c.do("lost 1")
	b = c.Image.Broker(1)
	records, _, _ := c.AssignDirectories(AssignDirectories{1, b.Epoch, []AssignDirectory{{b.Directories[0], []record.Partition{c.id()}}}})
	c.apply(records)
	if p := c.state(); p.Directories[0] != b.Directories[0] || p.Leader != 2 {
		t.Errorf("%+v", p)
	}
	if got := c.do("isr 2 3 1"); got != "leader 2 isr [2 3 1]" {
		t.Error(got)
	}
}
