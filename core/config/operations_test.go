package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/OPERATIONS.md anew")

const operationsPage = "../../docs/OPERATIONS.md"

// TestOperationsTable: the tables of settings in docs/OPERATIONS.md say what the code does.
func TestOperationsTable(t *testing.T) {
	text, err := os.ReadFile(operationsPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, part := range []struct{ name, table string }{
		{"own", brokerRows(func(k *Key) bool { return isOwn(k.Name) })},
		{"broker", brokerRows(func(k *Key) bool { return !isOwn(k.Name) && !behindTopics(k.Name) })},
		{"topic", topicRows()},
		{"refused", refusedNames()},
	} {
		begin, end := "<!-- begin "+part.name+" -->\n", "<!-- end "+part.name+" -->"
		before, rest, ok := strings.Cut(page, begin)
		old, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no part %q", operationsPage, part.name)
		}
		if old != part.table && !*rewrite {
			t.Errorf("%s: part %q is out of date; run go test ./core/config -run TestOperationsTable -rewrite\n%s", operationsPage, part.name, firstDifference(old, part.table))
		}
		page = before + begin + part.table + end + after
	}
	if *rewrite && page != string(text) {
		if err := os.WriteFile(operationsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func isOwn(name string) bool { return strings.HasPrefix(name, "lignum.") }

// behindTopics reports whether a broker setting is the default of a topic's and nothing else.
func behindTopics(name string) bool {
	for _, list := range topicDefaults {
		for _, d := range list {
			if d.name == name {
				return true
			}
		}
	}
	return false
}

// brokerRows is the table of those active settings that want says yes to.
func brokerRows(want func(*Key) bool) string {
	var b strings.Builder
	b.WriteString("\n| key | default | changed by | meaning |\n| --- | --- | --- | --- |\n")
	for i := range brokerTable {
		k := &brokerTable[i]
		if k.Effect != Active || !want(k) {
			continue
		}
		how := [...]string{Static: "restart", ClusterWide: "request", PerBroker: "request, for one broker"}[k.Scope]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, shown(k), how, cell(k.Doc))
	}
	b.WriteString("\n")
	return b.String()
}

// topicRows is the table of a topic's active settings.
func topicRows() string {
	var b strings.Builder
	b.WriteString("\n| key | default | from the broker's | meaning |\n| --- | --- | --- | --- |\n")
	for i := range topicTable {
		k := &topicTable[i]
		if k.Effect != Active {
			continue
		}
		var behind []string
		for _, d := range topicDefaults[k.Name] {
			behind = append(behind, "`"+d.name+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, shown(k), strings.Join(behind, ", "), cell(k.Doc))
	}
	b.WriteString("\n")
	return b.String()
}

// refusedNames lists the settings of brokers and topics that only have their default.
func refusedNames() string {
	var names []string
	for _, table := range [...][]Key{brokerTable, topicTable} {
		for i := range table {
			if table[i].Effect == Refused {
				names = append(names, "`"+table[i].Name+"`")
			}
		}
	}
	return "\n" + strings.Join(names, ",\n") + ".\n\n"
}

// shown is a default as the tables show it.
func shown(k *Key) string {
	switch {
	case k.Null:
		return "none"
	case k.Default == "":
		return "empty"
	case k.Default == maxInt64Text, k.Default == maxInt32Text:
		return "no bound"
	}
	return "`" + strings.ReplaceAll(k.Default, ",", ", ") + "`"
}

// cell makes text fit into a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

func firstDifference(old, fresh string) string {
	a, b := strings.Split(old, "\n"), strings.Split(fresh, "\n")
	for i := range b {
		if i >= len(a) || a[i] != b[i] {
			return "want: " + b[i]
		}
	}
	return "there are lines too many"
}
