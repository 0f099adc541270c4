package core_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readPage reads a page of docs.
func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cells splits a row of a table; nil if the line is not one.
func cells(line string) []string {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(line, "|"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// TestStyleRooms: the table of rooms in docs/STYLE.md is the one that is enforced.
func TestStyleRooms(t *testing.T) {
	page := readPage(t, "STYLE.md")
	var got, want [][2]string
	for line := range strings.Lines(page) {
		if c := cells(line); len(c) == 3 && strings.HasPrefix(c[0], "`") {
			if _, ok := roomOf(strings.Trim(c[0], "`")); ok {
				got = append(got, [2]string{c[0], c[1]})
			}
		}
	}
	for _, r := range rooms {
		want = append(want, [2]string{"`" + r.dir + "`", entrants(r)})
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("docs/STYLE.md lacks the row | %s | %s |", row[0], row[1])
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("docs/STYLE.md has a row that is not enforced: | %s | %s |", row[0], row[1])
		}
	}
	if !t.Failed() && !slices.Equal(got, want) {
		t.Error("the rows of docs/STYLE.md stand in another order")
	}
}

// entrants writes what a room may import as the page does: own packages without "core/", modules by their plain name.
func entrants(r room) string {
	if r.any {
		return "anything"
	}
	var names []string
	for _, m := range r.may {
		first, _, _ := strings.Cut(m, "/")
		if !strings.Contains(first, ".") {
			names = append(names, "`"+strings.TrimPrefix(m, "core/")+"`")
			continue
		}
		if base := path.Base(m); base[0] == 'v' && len(base) == 2 {
			m = path.Dir(m)
		}
		names = append(names, path.Base(m))
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

var (
	invariantRow  = regexp.MustCompile(`^\*\*([A-Z]\d+)\*\*$`)
	invariantName = regexp.MustCompile(`\(([A-Z]\d+)\)`)
	namedTest     = regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz|Example)\\w*)`")
	anyTest       = regexp.MustCompile(`\b(Test|Fuzz|Example)[A-Z]\w*`)
)

// invariants reads the names of docs/INVARIANTS.md, with what is said to check each.
func invariants(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(readPage(t, "INVARIANTS.md")) {
		c := cells(line)
		if len(c) != 4 {
			continue
		}
		if m := invariantRow.FindStringSubmatch(c[0]); m != nil {
			if _, twice := all[m[1]]; twice {
				t.Errorf("docs/INVARIANTS.md has %s twice", m[1])
			}
			all[m[1]] = c[3]
		}
	}
	if len(all) == 0 {
		t.Fatal("docs/INVARIANTS.md has no invariants")
	}
	return all
}

// TestInvariantsPage: what is said to check an invariant exists, and what is not checked says so.
func TestInvariantsPage(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range readTree(t, "..") {
		for _, f := range functions(s.file) {
			if s.test() {
				tests[s.dir()+"."+f.name] = true
			}
		}
	}
	for name, status := range invariants(t) {
		if !anyTest.MatchString(status) && !strings.Contains(status, "not yet") {
			t.Errorf("%s: %q names no test and does not say that there is none yet", name, status)
		}
	}
	page := readPage(t, "INVARIANTS.md")
	for _, m := range namedTest.FindAllStringSubmatch(page, -1) {
		if !tests[m[1]+"."+m[2]] {
			t.Errorf("docs/INVARIANTS.md names %s.%s, which is not there", m[1], m[2])
		}
	}
	if left := anyTest.FindString(namedTest.ReplaceAllString(page, "")); left != "" {
		t.Errorf("docs/INVARIANTS.md names %s without its package", left)
	}
}

// TestInvariantNames: an invariant that a violation names, as in "... (M6)", stands in docs/INVARIANTS.md; so do those of MUTANTS.md.
func TestInvariantNames(t *testing.T) {
	known := invariants(t)
	for _, s := range readTree(t, "..") {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			callee, ok := call.Fun.(*ast.SelectorExpr)
			text, literal := call.Args[0].(*ast.BasicLit)
			if !ok || !literal || callee.Sel.Name != "Violated" || text.Kind != token.STRING {
				return true
			}
			message, _ := strconv.Unquote(text.Value)
			for _, m := range invariantName.FindAllStringSubmatch(message, -1) {
				if _, ok := known[m[1]]; !ok {
					t.Error(s.at(call, "invariant", "%s is not in docs/INVARIANTS.md", m[1]))
				}
			}
			return true
		})
	}
	for line := range strings.Lines(readPage(t, "MUTANTS.md")) {
		c := cells(line)
		if len(c) != 7 || c[0] == "id" || strings.HasPrefix(c[0], "-") {
			continue
		}
		for _, name := range regexp.MustCompile(`[A-Z]\d+`).FindAllString(c[5], -1) {
			if _, ok := known[name]; !ok {
				t.Errorf("docs/MUTANTS.md: %s names %s, which is not in docs/INVARIANTS.md", c[0], name)
			}
		}
	}
}

var (
	pageLink = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// TestDocsLinks: links between pages lead to a file, and to a heading in it.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	below, errBelow := filepath.Glob("../docs/*/*.md")
	if err != nil || errBelow != nil || len(pages) == 0 {
		t.Fatal("no pages", err, errBelow)
	}
	for _, page := range append(pages, below...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := page
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))
			}
			there, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			} else if m[2] != "" && !slices.Contains(anchors(string(there)), m[2][1:]) {
				t.Errorf("%s: %s has no heading %s", page, target, m[2])
			}
		}
	}
}

// anchors are the names of a page's headings in links.
func anchors(page string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(m[1])) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				b.WriteRune(r)
			}
		}
		all = append(all, b.String())
	}
	return all
}
