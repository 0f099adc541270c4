package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lignum/core/config"
	"lignum/core/metadata"
	"lignum/core/record"
	"lignum/core/wire"
)

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
