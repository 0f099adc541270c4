package core_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"strings"
	"testing"
)

// The most lines that a reader is asked to hold in mind. Aim for half.
const (
	maxFunctionLines = 70
	maxFileLines     = 500
	maxTestFileLines = 1000
)

// checkSizes finds functions and files that are too long. The baseline holds what was too long when the rule came; an entry
// must give the present size, so it can only shrink, and it must go once the size is within the limit.
func checkSizes(sources []source, baseline map[string]int) []finding {
	var found []finding
	left := map[string]bool{}
	for name := range baseline {
		left[name] = true
	}
	judge := func(s source, n ast.Node, name string, lines, limit int) {
		allowed, listed := baseline[name]
		delete(left, name)
		switch {
		case listed && lines <= limit:
			found = append(found, s.at(n, "size", "%s is within the limit now: take it out of the baseline", name))
		case listed && lines < allowed:
			found = append(found, s.at(n, "size", "%s has shrunk to %d lines: the baseline must shrink with it", name, lines))
		case lines > max(limit, allowed):
			found = append(found, s.at(n, "size", "%s has %d lines, at most %d are allowed", name, lines, max(limit, allowed)))
		}
	}
	for _, s := range sources {
		limit := maxFileLines
		if s.test() {
			limit = maxTestFileLines
		}
		judge(s, s.file, s.path, bytes.Count(s.text, []byte("\n")), limit)
		for _, f := range functions(s.file) {
			lines := s.fset.Position(f.node.End()).Line - s.fset.Position(f.node.Pos()).Line + 1
			judge(s, f.node, s.path+":"+f.name, lines, maxFunctionLines)
		}
	}
	for name := range left {
		found = append(found, finding{token.Position{Filename: "baseline.txt"}, "size", name + " is gone: take it out of the baseline"})
	}
	return found
}

// function is a piece of code that is judged as one.
type function struct {
	name string
	node ast.Node
}

// functions are the declared functions of a file, without their comments, and function literals outside of them.
func functions(file *ast.File) []function {
	var all []function
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil && len(d.Recv.List) == 1 {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			all = append(all, function{name, &ast.FuncLit{Type: d.Type, Body: body(d)}})
		case *ast.GenDecl:
			ast.Inspect(d, func(n ast.Node) bool {
				if lit, ok := n.(*ast.FuncLit); ok {
					all = append(all, function{fmt.Sprintf("func literal %d", len(all)), lit})
					return false
				}
				return true
			})
		}
	}
	return all
}

// body gives a declaration without one, as for assembly, an empty body in the same place.
func body(d *ast.FuncDecl) *ast.BlockStmt {
	if d.Body != nil {
		return d.Body
	}
	return &ast.BlockStmt{Lbrace: d.End(), Rbrace: d.End()}
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return "?"
		}
	}
}

// readBaseline reads lines of "lines path" or "lines path:function"; # starts a comment.
func readBaseline(t *testing.T, name string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]int{}
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var lines int
		var what string
		if _, err := fmt.Sscan(line, &lines, &what); err != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		m[what] = lines
	}
	return m
}
