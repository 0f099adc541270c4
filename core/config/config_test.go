package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTablesAgreeWithKafka holds names, types and defaults equal to those of Kafka 4.0, apart from what is named here.
func TestTablesAgreeWithKafka(t *testing.T) {
	t.Parallel()
	ownDefault := map[string]string{
		"node.id":       "a lone broker needs no configuration",
		"process.roles": "a lone broker needs no configuration",
		"log.dir":       "data belongs where the user starts the broker, not into /tmp",
	}
	data, err := os.ReadFile("testdata/kafka_4_0_keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 5 {
			continue
		}
		table, name := brokerTable, f[1]
		if f[0] == "T" {
			table = topicTable
		}
		known[f[0]+name] = true
		key := find(table, name)
		if key == nil {
			if unknown(name, table).Reason == "" {
				t.Errorf("%s: neither known nor refused with a reason", name)
			}
			continue
		}
		if got := typeName(key.Type); got != f[2] {
			t.Errorf("%s: type %s, Kafka has %s", name, got, f[2])
		}
		want := f[3]
		if key.Null != (want == "<null>") && ownDefault[name] == "" {
			t.Errorf("%s: null is %v, Kafka's default is %s", name, key.Null, want)
		}
		if !key.Null && key.Default != want && ownDefault[name] == "" {
			t.Errorf("%s: default %q, Kafka has %q", name, key.Default, want)
		}
	}
	for _, k := range brokerTable {
		if !known["B"+k.Name] && !strings.HasPrefix(k.Name, "lignum.") {
			t.Errorf("%s is no broker setting of Kafka", k.Name)
		}
	}
	for _, k := range topicTable {
		if !known["T"+k.Name] && !strings.HasPrefix(k.Name, "lignum.") {
			t.Errorf("%s is no topic setting of Kafka", k.Name)
		}
	}
}

func typeName(t Type) string {
	return [...]string{Boolean: "BOOLEAN", String: "STRING", Int: "INT", Short: "SHORT", Long: "LONG", Double: "DOUBLE",
		List: "LIST", Class: "CLASS", Password: "PASSWORD"}[t]
}

// TestTablesAreSound checks what the lookups rely on.
func TestTablesAreSound(t *testing.T) {
	t.Parallel()
	for _, table := range [][]Key{brokerTable, topicTable} {
		for i := range table {
			k := &table[i]
			if i > 0 && table[i-1].Name >= k.Name {
				t.Errorf("%s is not after %s", k.Name, table[i-1].Name)
			}
			if !k.Null {
				if c, err := k.Canonical(k.Default); err != nil || c != k.Default {
					t.Errorf("default of %s becomes %q, %v", k.Name, c, err)
				}
			}
			if !strings.HasSuffix(k.Doc, ".") {
				t.Errorf("%s: documentation %q is no sentence", k.Name, k.Doc)
			}
		}
	}
	for name, behind := range topicDefaults {
		topic := TopicKey(name)
		if topic == nil {
			t.Errorf("%s is no topic setting", name)
			continue
		}
		last := behind[len(behind)-1]
		for _, b := range behind {
			if BrokerKey(b.name) == nil {
				t.Errorf("%s is no broker setting", b.name)
			}
		}
		if got := last.scale.apply(BrokerKey(last.name).Default); got != topic.Default {
			t.Errorf("%s: default %s, but %s gives %s", name, topic.Default, last.name, got)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, value, want, fault string }{
		{"cleanup.policy", " compact , delete ", "compact,delete", ""},
		{"cleanup.policy", "", "", ""},
		{"cleanup.policy", "shred", "", `invalid value "shred" for cleanup.policy: want a list of compact, delete`},
		{"compression.gzip.level", "-1", "-1", ""},
		{"compression.gzip.level", "0", "", `want a whole number from 1 to 9, or -1`},
		{"segment.bytes", "007", "", "want a whole number from 14 to 2147483647"},
		{"segment.bytes", "+20", "20", ""},
		{"segment.bytes", "2147483648", "", "want a whole number from 14 to 2147483647"},
		{"retention.ms", "-2", "", "want a whole number from -1 to 9223372036854775807"},
		{"retention.ms", "soon", "", `invalid value "soon" for retention.ms`},
		{"unclean.leader.election.enable", "TRUE", "true", ""},
		{"unclean.leader.election.enable", "yes", "", "want true or false"},
		{"min.cleanable.dirty.ratio", "0.5", "0.5", ""},
		{"min.cleanable.dirty.ratio", "1.01", "", "want a decimal number from 0 to 1"},
		{"min.cleanable.dirty.ratio", "-0.1", "", "want a decimal number from 0 to 1"},
		{"min.cleanable.dirty.ratio", "half", "", "want a decimal number from 0 to 1"},
		{"message.timestamp.type", "createtime", "", "want one of CreateTime, LogAppendTime"},
		{"lignum.flush.policy", "async", "async", ""},
		{"lignum.flush.policy", "never", "", "want one of sync, async"},
		{"remote.storage.enable", "false", "false", ""},
		{"remote.storage.enable", "true", "", "does not support"},
		{"leader.replication.throttled.replicas", "0:1,1:2", "0:1,1:2", ""},
		{"leader.replication.throttled.replicas", "*", "*", ""},
		{"leader.replication.throttled.replicas", "0", "", "partition:broker"},
	} {
		got, err := TopicKey(c.key).Canonical(c.value)
		if c.fault == "" && (err != nil || got != c.want) {
			t.Errorf("%s=%q: %q, %v, want %q", c.key, c.value, got, err, c.want)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s=%q: %v, want ...%s...", c.key, c.value, err, c.fault)
		}
	}
}

func TestMillionths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"1", 1_000_000, true}, {"0.5", 500_000, true}, {".25", 250_000, true}, {"1.", 1_000_000, true},
		{"-0.5", -500_000, true}, {"5E-1", 500_000, true}, {"1.5e2", 150_000_000, true}, {"0.00000099", 0, true},
		{"1.7976931348623157E308", 1<<63 - 1, true}, {"1e-400", 0, true},
		{"", 0, false}, {".", 0, false}, {"1e", 0, false}, {"1.2.3", 0, false}, {"NaN", 0, false}, {"--1", 0, false},
		{"1e99999", 0, false},
	} {
		if got, ok := parseMillionths(c.text); ok != c.ok || got != c.want {
			t.Errorf("%q: %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"num.partition":                     "num.partitions",
		"num_partitions":                    "num.partitions",
		"Log.Retention.Hour":                "log.retention.hours",
		"lgo.retention.hours":               "log.retention.hours",
		"advertised.listener":               "advertised.listeners",
		"lignum.flush.policy":               "lignum.log.flush.policy",
		"completely.different.thing":        "",
		"zookeeper.connect":                 "quorum",
		"ssl.keystore.lacation":             "TLS",
		"listener.name.internal.ssl.x":      "single listeners",
		strings.Repeat("num.partition", 99): "",
	} {
		_, err := Parse(map[string]string{name: "1"})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", name, err, want)
		}
		if want == "" && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v, want no guess", name, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	a := OverridesOf(map[string]string{"b": "2", "a": "1"})
	b := a.With("c", "3").With("b", "4").Without("a").Without("x")
	if want := (Overrides{{"b", "4"}, {"c", "3"}}); !slices.Equal(b, want) {
		t.Errorf("%v, want %v", b, want)
	}
	if want := (Overrides{{"a", "1"}, {"b", "2"}}); !slices.Equal(a, want) {
		t.Errorf("the original changed: %v", a)
	}
	if got := (Overrides{{"a", "1"}}).Without("a"); got != nil {
		t.Errorf("%v, want nil", got)
	}
}
