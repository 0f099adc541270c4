package core_test

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPlantedImpurities: in the sources below testdata a comment "want rule ..." stands on each line that breaks a rule,
// or "want-below rule ..." on the line before it. Every one must be found, and nothing else.
func TestPlantedImpurities(t *testing.T) {
	names, err := filepath.Glob("testdata/house/planted/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no planted sources: %v", err)
	}
	standard := importer.Default()
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			s, err := parse("core/record/"+filepath.Base(name), text)
			if err != nil {
				t.Fatal(err)
			}
			info := &types.Info{
				Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{},
				Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
			}
			c := types.Config{Importer: standard}
			if _, err := c.Check(s.path, s.fset, []*ast.File{s.file}, info); err != nil {
				t.Fatal(err)
			}
			found := append(checkImports(s), checkPurity(typed{s.fset, []*ast.File{s.file}, info})...)
			same(t, tidy(found), wanted(s))
		})
	}
}

// wanted reads the comments that name what must be found.
func wanted(s source) []finding {
	var want []finding
	for _, g := range s.file.Comments {
		for _, c := range g.List {
			where := s.fset.Position(c.Pos())
			rules, here := strings.CutPrefix(c.Text, "// want ")
			if !here {
				if rules, here = strings.CutPrefix(c.Text, "// want-below "); !here {
					continue
				}
				where.Line++
			}
			for _, rule := range strings.Fields(rules) {
				want = append(want, finding{where, rule, "planted"})
			}
		}
	}
	return tidy(want)
}

// same compares findings by line and rule.
func same(t *testing.T, got, want []finding) {
	t.Helper()
	covers := func(all []finding, f finding) bool {
		return slices.ContainsFunc(all, func(g finding) bool { return g.pos.Line == f.pos.Line && g.rule == f.rule })
	}
	for _, f := range want {
		if !covers(got, f) {
			t.Errorf("not found: %v", f)
		}
	}
	for _, f := range got {
		if !covers(want, f) {
			t.Errorf("found without cause: %v", f)
		}
	}
}

// TestPlantedReasonWithoutLoop: the comment that excuses a map loop is itself found where there is none.
func TestPlantedReasonWithoutLoop(t *testing.T) {
	s := planted(t, "core/record/x.go", "package record\n\n//house:anyorder nothing here\n")
	found := checkOrder(typed{s.fset, []*ast.File{s.file}, &types.Info{}})
	same(t, found, []finding{{token.Position{Line: 3}, "order", "planted"}})
}

func planted(t *testing.T, name, text string) source {
	t.Helper()
	s, err := parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlantedImports(t *testing.T) {
	for _, c := range []struct {
		dir, imported string
		ok            bool
	}{
		{"core/record", "lignum/core/invariant", true},
		{"core/record", "lignum/core/env", false},
		{"core/record", "github.com/klauspost/compress/zstd", true},
		{"core/record", "github.com/klauspost/compressed", false},
		{"core/record", "lignum/core/commitlog", false},
		{"core/record", "lignum/sim", false},
		{"core/record", "lignum/transport", false},
		{"core/record", "os", false},
		{"core/record", "sync/atomic", false},
		{"core/record", "math/rand/v2", false},
		{"core/record", "hash/crc32", true},
		{"core/commitlog", "lignum/core/commitlog/producers", true},
		{"core/commitlog/epochs", "lignum/core/commitlog/checkpoint", true},
		{"core/commitlog/epochs", "lignum/core/record", true},
		{"core/commitlog/epochs", "lignum/core/commitlog", false},
		{"core/commitlog/epochs", "lignum/core", false},
		{"core/partition", "lignum/core/commitlog/epochs", true},
		{"core/partition", "github.com/twmb/franz-go/pkg/kmsg", false},
		{"core/partition", "lignum/core/broker", false},
		{"core/broker", "lignum/core/api", true},
		{"core/broker", "lignum/disk", false},
		{"core/newcomer", "fmt", false},
		{"transport", "net", true},
		{"transport", "lignum/core/wire", true},
		{"transport", "lignum/core/record", false},
		{"disk", "lignum/core/wire", false},
		{"sim", "lignum/core/commitlog/producers", true},
		{"sim", "lignum/linearizability/history", true},
		{"sim", "lignum/linearizability", false},
		{"linearizability", "lignum/core/record", false},
		{"scenarios", "lignum/core/config", true},
		{"scenarios", "lignum/core/broker", true},
		{"scenarios", "lignum/transport", false},
		{"cmd/lignum", "github.com/spf13/cobra", true},
		{"tools", "fmt", false},
	} {
		if fault := importFault(c.dir, c.imported); (fault == "") != c.ok {
			t.Errorf("%s imports %s: fault %q, want ok=%v", c.dir, c.imported, fault, c.ok)
		}
	}
}

func TestPlantedNames(t *testing.T) {
	for name, faults := range map[string]int{
		"core/record/util.go": 1, "core/record/helpers_test.go": 1, "core/wire/request_types.go": 1, "core/common/a.go": 1,
		"core/record/batch.go": 0, "core/record/utility.go": 0,
	} {
		if found := checkFileName(planted(t, name, "package x")); len(found) != faults {
			t.Errorf("%s: found %v, want %d", name, found, faults)
		}
	}
}

func TestPlantedComments(t *testing.T) {
	s := planted(t, "core/record/x.go", `package record

type Bare struct{} // line 3: a comment of the line counts

type Plain struct{}

// A Told type.
type Told struct{}

func (Told) Silent() {}

func (hidden) Silent() {}

type hidden int

const Limit = 1

// The group's words cover its constants.
const (
	One = 1
	Two = 2
)

// Nor a type in a group.
type (
	Grouped int
)

//go:noinline
func Directive() {}
`)
	var want []finding
	for _, line := range []int{1, 5, 10, 16, 26, 30} {
		want = append(want, finding{token.Position{Line: line}, "comment", "planted"})
	}
	same(t, tidy(checkComments([]source{s})), want)
}

func TestPlantedSizes(t *testing.T) {
	long := func(lines int) string { return strings.Repeat("\n", lines-1) }
	one := "package x\n\nfunc (t *T[K]) Long() {" + long(maxFunctionLines+1) + "}\n"
	fits := "package x\n\nfunc Fits() {" + long(maxFunctionLines) + "}\n"
	literal := "package x\n\nvar f = func() {" + long(maxFunctionLines+1) + "}\n"
	for i, c := range []struct {
		name, text string
		baseline   map[string]int
		want       string
	}{
		{"a.go", fits, nil, ""},
		{"a.go", one, nil, "a.go:T.Long has 71 lines, at most 70 are allowed"},
		{"a_test.go", one, nil, "a_test.go:T.Long has 71 lines, at most 70 are allowed"},
		{"a.go", literal, nil, "a.go:func literal 0 has 71 lines, at most 70 are allowed"},
		{"a.go", one, map[string]int{"a.go:T.Long": 71}, ""},
		{"a.go", one, map[string]int{"a.go:T.Long": 72}, "a.go:T.Long has shrunk to 71 lines: the baseline must shrink with it"},
		{"a.go", fits, map[string]int{"a.go:Fits": 71}, "a.go:Fits is within the limit now: take it out of the baseline"},
		{"a.go", fits, map[string]int{"b.go": 501}, "b.go is gone: take it out of the baseline"},
		{"a.go", "package x\n" + long(maxFileLines+1), nil, "a.go has 501 lines, at most 500 are allowed"},
		{"a_test.go", "package x\n" + long(maxFileLines+1), nil, ""},
		{"a_test.go", "package x\n" + long(maxTestFileLines+1), nil, "a_test.go has 1001 lines, at most 1000 are allowed"},
	} {
		got := ""
		for _, f := range checkSizes([]source{planted(t, c.name, c.text)}, c.baseline) {
			got += f.text
		}
		if got != c.want {
			t.Errorf("case %d: found %q, want %q", i, got, c.want)
		}
	}
}
