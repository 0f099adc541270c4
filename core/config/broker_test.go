package config

import (
	"slices"
	"strings"
	"testing"
)

// ordinary is what a freshly unpacked Kafka 4.0 has in its server.properties, apart from its paths.
var ordinary = map[string]string{
	"process.roles": "broker,controller", "node.id": "1",
	"controller.quorum.bootstrap.servers": "localhost:9093",
	"listeners":                           "PLAINTEXT://:9092,CONTROLLER://:9093",
	"inter.broker.listener.name":          "PLAINTEXT",
	"advertised.listeners":                "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
	"controller.listener.names":           "CONTROLLER",
	"listener.security.protocol.map":      "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
	"num.network.threads":                 "3", "num.io.threads": "8",
	"socket.send.buffer.bytes": "102400", "socket.receive.buffer.bytes": "102400", "socket.request.max.bytes": "104857600",
	"log.dirs": "/tmp/kraft-combined-logs", "num.partitions": "1", "num.recovery.threads.per.data.dir": "1",
	"offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
	"transaction.state.log.min.isr": "1",
	"log.retention.hours":           "48", "log.segment.bytes": "1073741824", "log.retention.check.interval.ms": "300000",
}

func TestParseOrdinaryConfiguration(t *testing.T) {
	t.Parallel()
	b, err := Parse(ordinary)
	if err != nil {
		t.Fatal(err)
	}
	if b.NodeID != 1 || b.LogDir != "/tmp/kraft-combined-logs" || b.InterBrokerListener != "PLAINTEXT" || !b.IsBroker || !b.Controller {
		t.Errorf("got %+v", b)
	}
	if want := []Listener{{Name: "PLAINTEXT", Port: 9092}, {Name: "CONTROLLER", Port: 9093, Controller: true}}; !slices.Equal(b.Listeners, want) {
		t.Errorf("listeners %v", b.Listeners)
	}
	if want := []Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 9092}}; !slices.Equal(b.Advertised, want) {
		t.Errorf("advertised %v", b.Advertised)
	}
	if got := NewTopic(nil, Defaults{Static: b.Static}).RetentionMillis; got != 48*3_600_000 {
		t.Errorf("retention %d", got)
	}
}

func TestParseNothing(t *testing.T) {
	t.Parallel()
	b, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if b.NodeID != 1 || b.NumPartitions != 1 || b.LogDir != "lignum-data" || !b.AutoCreateTopics {
		t.Errorf("got %+v", b)
	}
	if want := []Endpoint{{Listener: "PLAINTEXT", Host: "localhost", Port: 9092}}; !slices.Equal(b.Advertised, want) {
		t.Errorf("advertised %v", b.Advertised)
	}
	if b.QueuedMaxRequestBytes != ownQueuedBytes {
		t.Errorf("queue of %d bytes", b.QueuedMaxRequestBytes)
	}
}

func TestForNodes(t *testing.T) {
	t.Parallel()
	three := "PLAINTEXT://:9092,BETWEEN://:9094,CONTROLLER://:9093"
	for _, c := range []struct {
		inter, listeners string
		want             []bool
	}{
		{"", three, []bool{false, false, true}},
		{"BETWEEN", three, []bool{false, true, true}},
		{"PLAINTEXT", "PLAINTEXT://:9092,CONTROLLER://:9093", []bool{false, true}},
	} {
		values := map[string]string{
			"process.roles": "broker,controller", "controller.quorum.voters": "1@a:9093,2@b:9093,3@c:9093", "controller.listener.names": "CONTROLLER",
			"listener.security.protocol.map": "BETWEEN:PLAINTEXT,PLAINTEXT:PLAINTEXT", "listeners": c.listeners,
		}
		if c.inter != "" {
			values["inter.broker.listener.name"] = c.inter
		}
		b, err := Parse(values)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range b.Listeners {
			if got := b.ForNodes(l.Name); got != c.want[i] {
				t.Errorf("inter-broker %q: %s is for nodes only: %v", c.inter, l.Name, got)
			}
		}
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := Parse(map[string]string{
		"node.id": "x", "broker.id": "7", "num.partitions": "0", "listeners": "PLAINTEXT://a:1:2", "num.partition": "3",
		"log.dirs": "/a,/b", "process.roles": "broker", "controller.quorum.voters": "1@a:1,7@b:2",
		"broker.session.timeout.ms": "2000", "log.cleaner.max.compaction.lag.ms": "5",
		"log.cleaner.min.compaction.lag.ms": "6", "inter.broker.listener.name": "OTHER", "authorizer.class.name": "A",
	})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`"x" for node.id`, `"0" for num.partitions`, `for listeners`, "num.partition: did you mean num.partitions",
		`log.dirs is "/a,/b"`, "this node (node.id 7) is no controller",
		"broker.session.timeout.ms is 2000", "log.cleaner.min.compaction.lag.ms is 6", `inter.broker.listener.name is "OTHER"`,
		`"A" for authorizer.class.name`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in:\n%v", want, err)
		}
	}
}

func TestListenerFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values map[string]string
		want   string // "" for none
	}{
		{map[string]string{"listeners": "EXTERNAL://:9092"}, "EXTERNAL:PLAINTEXT"},
		{map[string]string{"listeners": "EXTERNAL://:9092", "listener.security.protocol.map": "EXTERNAL:PLAINTEXT"}, ""},
		{map[string]string{"listeners": "SSL://:9092"}, "want PLAINTEXT"},
		{map[string]string{"listeners": "PLAINTEXT://:9092,CONTROLLER://:9092", "controller.listener.names": "CONTROLLER"}, "port"},
		{map[string]string{"listeners": "CONTROLLER://:9092", "controller.listener.names": "CONTROLLER"}, "at least one"},
		{map[string]string{"advertised.listeners": "OTHER://h:1"}, "OTHER"},
		{map[string]string{"advertised.listeners": "PLAINTEXT://0.0.0.0:9092"}, "can reach"},
		{map[string]string{"listeners": "PLAINTEXT://[::1]:9092"}, ""},
		{map[string]string{"listeners": "PLAINTEXT://127.0.0.1:0"}, ""},
		{map[string]string{"listeners": "PLAINTEXT://:70000"}, "listeners"},
		{map[string]string{"listeners": "PLAINTEXT://:1,PLAINTEXT://:2"}, "once"},
		{map[string]string{"broker.id": "3"}, ""},
		{map[string]string{"broker.id": "3", "node.id": "3"}, ""},
		{map[string]string{"broker.id": "3", "node.id": "4"}, "broker.id is 3"},
	} {
		_, err := Parse(c.values)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want ...%s...", c.values, err, c.want)
		}
	}
}

func TestTopicLayers(t *testing.T) {
	t.Parallel()
	below := Defaults{
		Static:  Overrides{{"log.retention.hours", "1"}, {"log.roll.hours", "2"}, {"message.max.bytes", "100"}},
		Cluster: Overrides{{"log.retention.ms", "7"}, {"message.max.bytes", "200"}},
		Broker:  Overrides{{"message.max.bytes", "300"}},
	}
	own := Overrides{{"segment.ms", "9"}}
	got := NewTopic(own, below)
	if got.RetentionMillis != 7 || got.MaxMessageBytes != 300 || got.SegmentMillis != 9 {
		t.Errorf("%+v", got)
	}
	if got := NewTopic(nil, below).SegmentMillis; got != 2*3_600_000 {
		t.Errorf("segment.ms %d", got)
	}
	if got := NewTopic(nil, Defaults{Static: Overrides{{"log.retention.minutes", "-1"}}}).RetentionMillis; got != Unlimited {
		t.Errorf("retention %d", got)
	}

	d := DescribeTopic(own, below, []string{"retention.ms", "no.such.key", "segment.ms"})
	if len(d) != 2 || d[0].Value != "7" || d[0].Source != FromClusterWide || d[1].Source != FromTopic {
		t.Fatalf("%+v", d)
	}
	want := []Synonym{{"log.retention.ms", "7", FromClusterWide}, {"log.retention.hours", "1", FromConfigFile},
		{"log.retention.hours", "168", FromDefault}}
	if !slices.Equal(d[0].Synonyms, want) {
		t.Errorf("synonyms %v", d[0].Synonyms)
	}
	if n := len(DescribeTopic(nil, Defaults{}, nil)); n != len(topicTable) {
		t.Errorf("%d settings described", n)
	}
}

func TestDescribeBroker(t *testing.T) {
	t.Parallel()
	layers := Defaults{Static: Overrides{{"num.partitions", "3"}}, Cluster: Overrides{{"message.max.bytes", "5"}}}
	d := DescribeBroker(layers, []string{"num.partitions", "message.max.bytes", "sasl.jaas.config", "log.retention.ms"})
	if d[0].Value != "3" || !d[0].ReadOnly || d[0].Source != FromConfigFile {
		t.Errorf("%+v", d[0])
	}
	if d[1].Value != "5" || d[1].ReadOnly || d[1].Source != FromClusterWide {
		t.Errorf("%+v", d[1])
	}
	if !d[2].Null || !d[3].Null {
		t.Errorf("%+v %+v", d[2], d[3])
	}
	if w := DescribeClusterWide(layers.Cluster, nil); len(w) != 1 || w[0].Value != "5" {
		t.Errorf("%+v", w)
	}
	if w := DescribeClusterWide(layers.Cluster, []string{"num.partitions"}); len(w) != 0 {
		t.Errorf("%+v", w)
	}
	b, err := Parse(map[string]string{"max.connections": "10"})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.With(Overrides{{"max.connections", "20"}}, nil).MaxConnections; got != 20 {
		t.Errorf("max.connections %d", got)
	}
}

func TestAlter(t *testing.T) {
	t.Parallel()
	own := Overrides{{"retention.ms", "5"}}
	for _, c := range []struct {
		changes []Alteration
		want    string // settings joined, or the fault with a leading !
	}{
		{[]Alteration{{Key: "segment.ms", Value: "7"}, {Key: "retention.ms", Operation: Delete}}, "segment.ms=7"},
		{[]Alteration{{Key: "cleanup.policy", Operation: Append, Value: "compact,delete"}}, "cleanup.policy=delete,compact retention.ms=5"},
		{[]Alteration{{Key: "cleanup.policy", Operation: Subtract, Value: "delete"}}, "cleanup.policy= retention.ms=5"},
		{[]Alteration{{Key: "retention.ms", Operation: Append, Value: "7"}}, "!no list"},
		{[]Alteration{{Key: "retention.mss", Operation: Append, Value: "7"}}, "!did you mean retention.ms"},
		{[]Alteration{{Key: "retention.ms", Null: true}}, "!no value"},
		{[]Alteration{{Key: "retention.ms", Value: "1"}, {Key: "retention.ms", Operation: Delete}}, "!more than once"},
		{[]Alteration{{Key: "retention.ms", Operation: 9, Value: "1"}}, "!unknown operation 9"},
		{[]Alteration{{Key: "min.compaction.lag.ms", Value: "8"}, {Key: "max.compaction.lag.ms", Value: "7"}}, "!min.compaction.lag.ms is 8"},
		{[]Alteration{{Key: "segment.ms", Value: "x"}, {Key: "nonsense", Value: "7"}}, "!unknown key nonsense"},
	} {
		altered, err := AlterTopic(own, c.changes)
		if err == nil {
			altered, err = CheckTopic(altered, Defaults{})
		}
		var parts []string
		for _, s := range altered {
			parts = append(parts, s.Key+"="+s.Value)
		}
		got := strings.Join(parts, " ")
		if fault, expected := strings.CutPrefix(c.want, "!"); expected {
			if err == nil || !strings.Contains(err.Error(), fault) {
				t.Errorf("%v: %v, want ...%s...", c.changes, err, fault)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%v: %s, %v, want %s", c.changes, got, err, c.want)
		}
	}
}

func TestCheckBroker(t *testing.T) {
	t.Parallel()
	if _, err := CheckBroker(Overrides{{"message.max.bytes", "5"}}, ClusterWide); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		setting Setting
		want    string
	}{
		{Setting{"num.partitions", "5"}, "restart"},
		{Setting{"listeners", "PLAINTEXT://:1"}, "restart"},
		{Setting{"message.max.bytes", "-5"}, "message.max.bytes"},
		{Setting{"ssl.keystore.password", "secret"}, "[hidden]"},
	} {
		_, err := CheckBroker(Overrides{c.setting}, ClusterWide)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v, want ...%s...", c.setting, err, c.want)
		}
	}
}

// TestPlaceInTheCluster: what a node is, and what it cannot be.
func TestPlaceInTheCluster(t *testing.T) {
	t.Parallel()
	voters := "1@a:9093,2@b:9093,3@c:9093"
	combined := map[string]string{
		"controller.quorum.voters": voters, "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093", "controller.listener.names": "CONTROLLER",
	}
	with := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for k, v := range combined {
			out[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	for _, c := range []struct {
		name   string
		values map[string]string
		lone   bool
		want   string // "" for none
	}{
		{"nothing", nil, true, ""},
		{"a fresh Kafka", ordinary, true, ""},
		{"combined", combined, false, ""},
		{"alone among the voters", with("controller.quorum.voters", "1@a:9093"), false, ""},
		{"alone and out of reach", map[string]string{"controller.quorum.voters": "1@a:9093"}, true, ""},
		{"not among the voters", with("node.id", "4"), false, "want this node (node.id 4) among them"},
		{"broker", with("node.id", "4", "process.roles", "broker", "listeners", "PLAINTEXT://:9092"), false, ""},
		{"broker among the voters", with("process.roles", "broker", "listeners", "PLAINTEXT://:9092"), false, "no controller"},
		{"broker without controllers", map[string]string{"process.roles": "broker"}, false, "to find the controllers"},
		{"broker on a controller's listener", with("node.id", "4", "process.roles", "broker"), false, "want none of controller.listener.names"},
		{"controller", with("process.roles", "controller", "listeners", "CONTROLLER://:9093"), false, ""},
		{"unreachable controller", with("listeners", "PLAINTEXT://:9092"), false, "controller.listener.names is"},
		{"joining without an id", with("controller.quorum.voters", "", "controller.quorum.bootstrap.servers", "a:9093,b:9093"), false, "lignum.cluster.id is empty"},
		{"joining", with("controller.quorum.voters", "", "controller.quorum.bootstrap.servers", "a:9093,b:9093", "lignum.cluster.id", "x"), false, ""},
	} {
		b, err := Parse(c.values)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: no word of %q in: %v", c.name, c.want, err)
		}
		if b.Lone() != c.lone {
			t.Errorf("%s: lone is %v", c.name, b.Lone())
		}
	}
}

// TestVotersShareAClusterID, in whatever order they are named.
func TestVotersShareAClusterID(t *testing.T) {
	t.Parallel()
	a := clusterOf([]Voter{{1, "a", 1}, {2, "b", 2}})
	if b := clusterOf([]Voter{{2, "b", 2}, {1, "a", 1}}); a != b || len(a) != 22 {
		t.Errorf("%q and %q", a, b)
	}
	if b := clusterOf([]Voter{{2, "b", 2}, {1, "a", 3}}); a == b {
		t.Error("other voters have the same id")
	}
}

func TestGroupFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values string
		want   string // "" for none
	}{
		{"group.consumer.session.timeout.ms=6000", "group.consumer.session.timeout.ms is 6000: want 45000 to 60000"},
		{"group.consumer.session.timeout.ms=6000 group.consumer.min.session.timeout.ms=6000", ""},
		{"group.consumer.heartbeat.interval.ms=20000", "group.consumer.heartbeat.interval.ms is 20000: want 5000 to 15000"},
		{"group.consumer.min.heartbeat.interval.ms=20000", "want at most group.consumer.max.heartbeat.interval.ms, which is 15000"},
		{"group.consumer.session.timeout.ms=5000 group.consumer.min.session.timeout.ms=5000", "want less than group.consumer.session.timeout.ms, which is 5000"},
	} {
		values := map[string]string{}
		for _, s := range strings.Fields(c.values) {
			key, value, _ := strings.Cut(s, "=")
			values[key] = value
		}
		_, err := Parse(values)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want ...%s...", c.values, err, c.want)
		}
	}
}
