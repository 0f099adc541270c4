package core_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// Names of modules from outside, as the table uses them.
const (
	schema   = "github.com/twmb/franz-go/pkg/kmsg" // the protocol's messages
	schemaIO = "github.com/twmb/franz-go/pkg/kbin" // their primitive types
	raft     = "go.etcd.io/raft/v3"
	compress = "github.com/klauspost/compress"
	lz4      = "github.com/pierrec/lz4/v4"
	checker  = "github.com/anishathalye/porcupine"
	kernel   = "golang.org/x/sys" // system calls that package syscall lacks
)

// room is a package and what it may import: packages of the repository, by directory, and modules from outside.
// Naming a package or module names those below it too. A package's subpackages inherit its row; they and the
// package itself may import each other, except that a subpackage never imports a package above it.
type room struct {
	dir string
	may []string
	// any lifts the table for a package that only wires others.
	any bool
}

// rooms is the import table, from the cellar up: a row may name only rows above it in the list.
var rooms = []room{
	{dir: "core/env"},
	{dir: "core/invariant"},
	{dir: "core/config"},
	{dir: "core/timer", may: []string{"core/env"}},
	{dir: "core/record", may: []string{"core/invariant", compress, lz4}},
	{dir: "core/wire", may: []string{"core/invariant", schema, schemaIO}},
	{dir: "core/peer", may: []string{"core/record", "core/wire", "core/timer", "core/env", "core/invariant", schema}},
	{dir: "core/journal", may: []string{"core/record", "core/env", "core/invariant"}},
	{dir: "core/commitlog", may: []string{"core/record", "core/journal", "core/config", "core/env", "core/invariant"}},
	{dir: "core/storage", may: []string{"core/commitlog", "core/journal", "core/record", "core/config", "core/env", "core/invariant"}},
	{dir: "core/partition", may: []string{
		"core/commitlog", "core/storage", "core/record", "core/config", "core/wire", "core/timer", "core/env", "core/invariant",
	}},
	{dir: "core/replication", may: []string{
		"core/partition", "core/record", "core/config", "core/wire", "core/timer", "core/env", "core/invariant", schema,
	}},
	{dir: "core/coordinator", may: []string{"core/record", "core/config", "core/wire", "core/timer", "core/env", "core/invariant"}},
	{dir: "core/group", may: []string{
		"core/coordinator", "core/record", "core/config", "core/wire", "core/timer", "core/env", "core/invariant",
	}},
	{dir: "core/txn", may: []string{"core/record", "core/config", "core/wire", "core/env", "core/invariant"}},
	{dir: "core/quorum", may: []string{"core/commitlog", "core/record", "core/env", "core/invariant", raft}},
	{dir: "core/metadata", may: []string{"core/quorum", "core/record", "core/config", "core/wire", "core/env", "core/invariant"}},
	{dir: "core/controller", may: []string{"core/metadata", "core/quorum", "core/record", "core/config", "core/wire", "core/env", "core/invariant"}},
	{dir: "core/auth", may: []string{"core/config", "core/metadata", "core/wire", "core/env", "core/invariant"}},
	{dir: "core/api", may: []string{
		"core/partition", "core/coordinator", "core/group", "core/txn", "core/metadata", "core/controller",
		"core/record", "core/config", "core/wire", "core/env", "core/timer", "core/invariant", schema,
	}},
	{dir: "core/broker", may: []string{
		"core/api", "core/auth", "core/coordinator", "core/controller", "core/metadata", "core/quorum", "core/txn", "core/group",
		"core/partition", "core/replication", "core/storage", "core/commitlog", "core/journal", "core/peer", "core/wire", "core/record", "core/config",
		"core/timer", "core/invariant", "core/env", schema,
	}},
	{dir: "core"}, // the house test alone; named by a row it means all of core
	{dir: "transport", may: []string{"core/env", "core/wire", kernel}},
	{dir: "disk", may: []string{"core/env", kernel}},
	{dir: "linearizability", may: []string{checker}},
	{dir: "sim", may: []string{"core", "linearizability/history", schema}},
	{dir: "scenarios/clients", any: true}, // a module of its own: real clients against the real binary
	{dir: "scenarios", may: []string{"sim", "linearizability", "core", schema}},
	{dir: "cmd", any: true},
}

// coreStd are the packages of the standard library that core may import: none of them reaches the outside world. The
// parts of them that do (time.Now) or that have no order (maps.Keys) are found where they are used.
var coreStd = []string{
	"bufio", "bytes", "cmp", "container/heap", "encoding", "encoding/base64", "encoding/binary", "encoding/hex", "errors", "fmt",
	"hash", "hash/crc32", "hash/fnv", "io", "iter", "maps", "math", "math/bits", "regexp", "slices", "sort", "strconv", "strings", "time",
	"unicode", "unicode/utf16", "unicode/utf8",
}

// below says whether name is dir or lies in it.
func below(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// roomOf returns the row of a directory: the longest one that covers it.
func roomOf(dir string) (room, bool) {
	var best room
	for _, r := range rooms {
		if below(dir, r.dir) && len(r.dir) > len(best.dir) && (r.dir != "core" || dir == "core") {
			best = r
		}
	}
	return best, best.dir != ""
}

// importFault says why the package in dir may not import a path, or nothing if it may.
func importFault(dir, imported string) string {
	r, ok := roomOf(dir)
	if !ok {
		return dir + " has no row in the import table"
	}
	if r.any {
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case imported == module || strings.HasPrefix(imported, module+"/"):
		return ownFault(r, dir, strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
	case strings.Contains(first, "."):
		if !slices.ContainsFunc(r.may, func(m string) bool { return below(imported, m) }) {
			return dir + " may not import " + imported
		}
	case below(dir, "core") && !slices.Contains(coreStd, imported):
		return "core may not import " + imported
	}
	return ""
}

// ownFault judges an import inside the repository.
func ownFault(r room, dir, target string) string {
	if below(dir, target) {
		return dir + " imports upward: " + target
	}
	if below(target, r.dir) && target != r.dir {
		if other, _ := roomOf(target); other.dir == r.dir {
			return ""
		}
	}
	if slices.ContainsFunc(r.may, func(m string) bool { return below(target, m) }) {
		return ""
	}
	return dir + " may not import " + target
}

// checkImports holds a file's imports against the table. Tests may stand on any floor and look anywhere.
func checkImports(s source) []finding {
	if s.test() {
		return nil
	}
	var found []finding
	if len(s.file.Imports) == 0 {
		if _, ok := roomOf(s.dir()); !ok {
			found = append(found, s.at(s.file, "import", "%s has no row in the import table", s.dir()))
		}
	}
	for _, spec := range s.file.Imports {
		if fault := importFault(s.dir(), strings.Trim(spec.Path.Value, "\"`")); fault != "" {
			found = append(found, s.at(spec, "import", "%s", fault))
		}
	}
	return found
}

// checkFileName refuses the names that say nothing.
func checkFileName(s source) []finding {
	var found []finding
	name := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.path), ".go"), "_test")
	for _, word := range append(strings.Split(name, "_"), path.Base(s.dir())) {
		switch word {
		case "util", "utils", "common", "helper", "helpers", "misc", "types":
			found = append(found, s.at(s.file, "name", "%s: name the file after what it holds, not %q", s.path, word))
		}
	}
	return found
}

// TestImportTableDescends: no row names a row below it in the list, so the table can hold no circle.
func TestImportTableDescends(t *testing.T) {
	for i, r := range rooms {
		for _, m := range r.may {
			if first, _, _ := strings.Cut(m, "/"); strings.Contains(first, ".") {
				continue
			}
			if !slices.ContainsFunc(rooms[:i], func(lower room) bool { return below(m, lower.dir) || m == "core" }) {
				t.Errorf("%s may import %s, which is not further down", r.dir, m)
			}
		}
	}
}
