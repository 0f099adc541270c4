package wire_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"lignum/core/wire"
)

// TestProtocolPage: the table in docs/PROTOCOL.md is the one that is served.
func TestProtocolPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range strings.Lines(string(page)) {
		c := strings.Split(line, "|")
		if len(c) == 8 && strings.Trim(c[1], " 0123456789") == "" { // key, name, served, announced, flexible from, note
			got = append(got, strings.Join(c[:6], "|")+"|")
		}
	}
	for _, r := range wire.Table() {
		flexible := "none"
		for v := r.Max; v >= 0 && wire.Flexible(r.Key, v); v-- {
			flexible = fmt.Sprint(v)
		}
		want = append(want, fmt.Sprintf("| %d | %v | %d-%d | %d-%d | %s |", r.Key, r.Key, r.Min, r.Max, r.Announced, r.Max, flexible))
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("docs/PROTOCOL.md lacks %s", row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("docs/PROTOCOL.md has %s, which is not served", row)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return slices.Index(want, a) - slices.Index(want, b) }) {
		t.Error("the rows of docs/PROTOCOL.md are not in the order of the keys")
	}
}
