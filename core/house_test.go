package core_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// module is the import path of the repository's root.
const module = "lignum"

// finding is one place where the house is not in order.
type finding struct {
	pos  token.Position
	rule string // the word that planted sources name, e.g. "float"
	text string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.pos.Filename, f.pos.Line, f.rule, f.text)
}

// source is one parsed Go file of the tree.
type source struct {
	path string // slash-separated, relative to the root
	fset *token.FileSet
	file *ast.File
	text []byte
}

// test says whether the file belongs to the tests.
func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// dir is the directory of the file, and the name of its row in the import table.
func (s source) dir() string { return path.Dir(s.path) }

// at makes a finding at a node of the file.
func (s source) at(n ast.Node, rule, format string, args ...any) finding {
	return finding{s.fset.Position(n.Pos()), rule, fmt.Sprintf(format, args...)}
}

func TestHouse(t *testing.T) {
	root := ".."
	sources := readTree(t, root)
	t.Run("imports", func(t *testing.T) { report(t, eachSource(sources, checkImports)) })
	t.Run("comments", func(t *testing.T) { report(t, checkComments(sources)) })
	t.Run("names", func(t *testing.T) { report(t, eachSource(sources, checkFileName)) })
	t.Run("sizes", func(t *testing.T) {
		report(t, checkSizes(sources, readBaseline(t, "testdata/house/baseline.txt")))
	})
	t.Run("purity", func(t *testing.T) { report(t, checkCore(t, root)) })
}

// report fails the test with every finding, each once, in the order of the files.
func report(t *testing.T, found []finding) {
	t.Helper()
	for _, f := range tidy(found) {
		t.Error(f)
	}
}

// tidy sorts the findings and keeps one for each line and rule.
func tidy(found []finding) []finding {
	slices.SortStableFunc(found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.pos.Filename, b.pos.Filename), cmp.Compare(a.pos.Line, b.pos.Line), cmp.Compare(a.rule, b.rule))
	})
	return slices.CompactFunc(found, func(a, b finding) bool {
		return a.pos.Filename == b.pos.Filename && a.pos.Line == b.pos.Line && a.rule == b.rule
	})
}

// eachSource gathers what a check of single files finds.
func eachSource(sources []source, check func(source) []finding) []finding {
	var found []finding
	for _, s := range sources {
		found = append(found, check(s)...)
	}
	return found
}

// readTree parses every Go file of the repository, nested modules included, but nothing below testdata.
func readTree(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(rel), text)
		if err != nil {
			return err
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("no Go file found: is the test run in its own directory?")
	}
	return sources
}

// parse reads one file under the name that findings shall carry.
func parse(name string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{name, fset, file, text}, err
}

// checkCore loads core and everything below it with types, and checks its purity. Dependencies come from the build cache's
// export data, so only core itself is type-checked from source.
func checkCore(t *testing.T, root string) []finding {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedExportFile | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo,
		Dir: root,
	}, "./core/...")
	if err != nil {
		t.Fatal(err)
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) < 2 {
		t.Fatalf("%d packages loaded", len(loaded))
	}
	var found []finding
	for _, p := range loaded {
		if len(p.Errors) > 0 || p.TypesInfo == nil {
			t.Errorf("%s does not load: %v", p.PkgPath, p.Errors[:min(1, len(p.Errors))])
			continue
		}
		for _, name := range slices.Concat(p.IgnoredFiles, p.OtherFiles) {
			if !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s: core is Go alone, the same on every machine", name)
			}
		}
		for _, f := range checkPurity(typed{p.Fset, p.Syntax, p.TypesInfo}) {
			if rel, err := filepath.Rel(abs, f.pos.Filename); err == nil {
				f.pos.Filename = filepath.ToSlash(rel)
			}
			found = append(found, f)
		}
	}
	return found
}
