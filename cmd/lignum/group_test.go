package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"lignum/cmd/lignum/groups"
)

// asMain, in the environment, makes the test binary the program itself.
const asMain = "LIGNUM_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// startProcess runs a broker in a process of its own until the test ends.
func startProcess(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	l.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte("group.initial.rebalance.delay.ms=0\noffsets.topic.num.partitions=3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := exec.Command(self, "serve", "--config", file, "--data-dir", filepath.Join(dir, "data"), "--listen", address)
	p.Env, p.Stdout, p.Stderr = append(os.Environ(), asMain+"=1"), &log, &log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		_ = p.Wait()
		if t.Failed() {
			t.Logf("the broker printed:\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// groupWorld is a broker with a topic of 3 partitions that hold 10 records each, one a second from one hour before on.
type groupWorld struct {
	*testing.T
	address string
	began   time.Time
}

func newGroupWorld(t *testing.T) *groupWorld {
	w := &groupWorld{t, startProcess(t), time.Now().Add(-time.Hour).Truncate(time.Second)}
	c, err := kgo.NewClient(kgo.SeedBrokers(w.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).CreateTopics(t.Context(), 3, 1, nil, "trees", "stones"); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		r := &kgo.Record{Topic: "trees", Partition: int32(i % 3), Value: fmt.Append(nil, i), Timestamp: w.began.Add(time.Duration(i/3) * time.Second)}
		if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// member reads all of the topic and commits it; the function that it returns ends it.
func (w *groupWorld) member(group string, modern bool) (leave func()) {
	w.Helper()
	ctx := w.Context()
	if modern {
		ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true) //lint:ignore SA1029 the client's own key
	}
	c, err := kgo.NewClient(kgo.WithContext(ctx), kgo.SeedBrokers(w.address), kgo.ClientID("reader"), kgo.ConsumerGroup(group), kgo.ConsumeTopics("trees"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond))
	if err != nil {
		w.Fatal(err)
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for n := 0; n < 30; {
		fetched := c.PollFetches(limit)
		if err := fetched.Err(); err != nil {
			w.Fatal(err)
		}
		n += fetched.NumRecords()
	}
	if err := c.CommitUncommittedOffsets(limit); err != nil {
		w.Fatal(err)
	}
	return c.Close
}

// run runs a command about groups as main does.
func (w *groupWorld) run(args ...string) (out string, status int, err error) {
	var b bytes.Buffer
	root := rootCommand()
	root.SetOut(&b)
	root.SetErr(io.Discard)
	root.SetArgs(append([]string{"group", "--bootstrap-server", w.address}, args...))
	if err = root.ExecuteContext(w.Context()); err != nil {
		status = exitStatus(err)
	}
	return b.String(), status, err
}

func (w *groupWorld) must(args ...string) string {
	w.Helper()
	out, _, err := w.run(args...)
	if err != nil {
		w.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

func (w *groupWorld) refused(status int, mention string, args ...string) {
	w.Helper()
	out, got, err := w.run(args...)
	if err == nil || got != status || !strings.Contains(err.Error(), mention) {
		w.Errorf("%v: status %d, error %v, want %d and %q\n%s", args, got, err, status, mention, out)
	}
}

func decodeOutput[T any](w *groupWorld, text string) (list []T) {
	w.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		w.Fatalf("%v in\n%s", err, text)
	}
	return list
}

// committed are the offsets of a group in the topic's partitions, -1 if it has none.
func (w *groupWorld) committed(group string) [3]int64 {
	w.Helper()
	at := [3]int64{-1, -1, -1}
	for _, d := range decodeOutput[groups.Described](w, w.must("describe", "--group", group, "--output", "json")) {
		for _, p := range d.Offsets {
			if p.Topic == "trees" && p.Committed != nil {
				at[p.Partition] = *p.Committed
			}
		}
	}
	return at
}

// TestGroupCommands tells the story of two groups, one of either protocol, as an operator would see it.
func TestGroupCommands(t *testing.T) {
	w := newGroupWorld(t)
	stopOld, stopNew := w.member("old", false), w.member("new", true)

	var lines []string
	for _, l := range decodeOutput[groups.Listed](w, w.must("list", "--output", "json")) {
		lines = append(lines, strings.Join([]string{l.Group, l.Type, l.State, l.ProtocolType}, " "))
	}
	if want := []string{"new consumer Stable consumer", "old classic Stable consumer"}; !slices.Equal(lines, want) {
		t.Errorf("listed: %q, want %q", lines, want)
	}
	for filter, want := range map[string]int{"--type=classic": 1, "--type=consumer,classic": 2, "--state=Empty": 0, "--state=stable": 2} {
		if list := decodeOutput[groups.Listed](w, w.must("list", filter, "--output", "json")); len(list) != want {
			t.Errorf("%s: %+v, want %d groups", filter, list, want)
		}
	}
	for _, group := range []string{"old", "new"} {
		w.checkDescribed(group)
		w.refused(1, "stop them first", "reset-offsets", "--group", group, "--all-topics", "--to-earliest", "--execute")
		w.refused(1, "it has members", "delete", "--group", group)
	}
	stopOld()
	stopNew()
	for _, group := range []string{"old", "new"} {
		w.checkResets(group)
	}
	w.checkFiles()
	w.refused(1, "group none: there is no such group", "delete", "--group", "old,none,new")
	if out := w.must("list", "--output", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("listed after the deletion: %s", out)
	}
	w.refused(1, "there is no such group", "describe", "--group", "old")
}

func (w *groupWorld) checkDescribed(group string) {
	w.Helper()
	d := decodeOutput[groups.Described](w, w.must("describe", "--group", group, "--output", "json"))[0]
	if d.State != "Stable" || len(d.Members) != 1 || len(d.Offsets) != 3 || d.Members[0].ClientID != "reader" || d.Coordinator == "" || d.Protocol == "" {
		w.Fatalf("group %s: %+v", group, d)
	}
	if a := d.Members[0].Assigned; len(a) != 1 || a[0].Topic != "trees" || !slices.Equal(a[0].Partitions, []int32{0, 1, 2}) {
		w.Errorf("group %s: assigned %+v", group, a)
	}
	for _, p := range d.Offsets {
		if *p.Committed != 10 || *p.End != 10 || *p.Lag != 0 || p.Member != d.Members[0].ID {
			w.Errorf("group %s: %+v", group, p)
		}
	}
	out := w.must("describe", "--group", group)
	for _, want := range []string{"group " + group, "topic  partition  committed  end  lag", "trees:0,1,2"} {
		if !strings.Contains(out, want) {
			w.Errorf("group %s has no %q:\n%s", group, want, out)
		}
	}
}

func (w *groupWorld) checkResets(group string) {
	w.Helper()
	for _, step := range []struct {
		args string
		want [3]int64
	}{
		{"--all-topics --to-earliest", [3]int64{10, 10, 10}},
		{"--all-topics --to-earliest --dry-run", [3]int64{10, 10, 10}},
		{"--topic trees:0,2 --to-offset 4 --execute", [3]int64{4, 10, 4}},
		{"--all-topics --shift-by -3 --execute", [3]int64{1, 7, 1}},
		{"--all-topics --shift-by 5 --execute", [3]int64{6, 10, 6}},
		{"--topic trees --to-earliest --execute", [3]int64{0, 0, 0}},
		{"--topic trees --to-datetime " + w.began.Add(3500*time.Millisecond).UTC().Format("2006-01-02T15:04:05.000") + " --execute", [3]int64{4, 4, 4}},
		{"--topic trees:1 --to-datetime " + fmt.Sprint(w.began.Add(7*time.Second).UnixMilli()) + " --execute", [3]int64{4, 7, 4}},
		{"--topic trees:1 --to-datetime 2099-01-01 --execute", [3]int64{4, 10, 4}},
		{"--topic trees --to-latest --execute", [3]int64{10, 10, 10}},
		{"--topic trees --to-offset 99 --execute", [3]int64{10, 10, 10}},
		{"--topic trees:0 --to-offset 2 --execute --export", [3]int64{2, 10, 10}},
	} {
		out := w.must(append([]string{"reset-offsets", "--group", group}, strings.Fields(step.args)...)...)
		if got := w.committed(group); got != step.want {
			w.Errorf("group %s, %s: committed is %v, want %v\n%s", group, step.args, got, step.want, out)
		}
		if strings.Contains(step.args, "99 ") && !strings.Contains(out, "outside of 0 to 10") {
			w.Errorf("%s: no note:\n%s", step.args, out)
		}
	}
	lag := decodeOutput[groups.Described](w, w.must("describe", "--group", group, "--output", "json"))[0].Offsets[0].Lag
	if *lag != 8 {
		w.Errorf("group %s: the lag is %d, want 8", group, *lag)
	}
	w.refused(1, "no topic ants", "reset-offsets", "--group", group, "--topic", "ants", "--to-latest")
	w.refused(1, "no partition trees-7", "reset-offsets", "--group", group, "--topic", "trees:7", "--to-latest")
	w.refused(1, "stones-0", "reset-offsets", "--group", group, "--topic", "stones", "--shift-by", "1")
	w.refused(2, "which topics", "reset-offsets", "--group", group, "--to-latest")
	w.refused(2, "to-earliest", "reset-offsets", "--group", group, "--topic", "trees")
	w.refused(2, "none of the others can be", "reset-offsets", "--group", group, "--topic", "trees", "--to-latest", "--to-earliest")
	w.refused(2, "group", "describe")
	w.refused(2, "--output", "list", "--output", "xml")
}

// checkFiles exports the offsets of both groups and sets a third group, which is new, to those of the first.
func (w *groupWorld) checkFiles() {
	w.Helper()
	export := w.must("reset-offsets", "--group", "old", "--all-topics", "--to-current", "--export")
	if want := "trees,0,2\ntrees,1,10\ntrees,2,10\n"; export != want {
		w.Errorf("exported:\n%s want:\n%s", export, want)
	}
	both := w.must("reset-offsets", "--all-groups", "--all-topics", "--to-current", "--export")
	if !strings.Contains(both, "new,trees,0,2\n") || !strings.Contains(both, "old,trees,2,10\n") {
		w.Errorf("exported:\n%s", both)
	}
	file := filepath.Join(w.TempDir(), "offsets.csv")
	if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
		w.Fatal(err)
	}
	w.must("reset-offsets", "--group", "third", "--from-file", file, "--execute")
	if got, want := w.committed("third"), [3]int64{2, 10, 10}; got != want {
		w.Errorf("committed from a file is %v, want %v", got, want)
	}
	w.must("delete", "--group", "third")
}

func TestReadRows(t *testing.T) {
	for text, want := range map[string]string{
		"a,0,5\n":                  "",
		"g,a,0,5\nh,a,0,6":         "",
		"a,0\n":                    "line 1 has 2 fields",
		"a,0,5\na,0,6\n":           "line 2: partition 0 of topic a is there twice",
		"a,x,5\n":                  `line 1: "x" is no partition`,
		"a,0,-1\n":                 `line 1: "-1" is no offset`,
		"a,0,5\ng,a,0,5\n":         "wrong number of fields",
		"a,0,99999999999999999999": "is no offset",
	} {
		_, err := groups.ReadRows(strings.NewReader(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
