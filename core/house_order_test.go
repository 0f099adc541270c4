package core_test

import (
	"go/ast"
	"go/types"
	"strings"
)

// anyOrder is the comment that says why the order of a map loop cannot matter. It stands on the line before the loop.
const anyOrder = "//house:anyorder"

// checkOrder finds loops in map order without a reason, and reasons without a loop.
func checkOrder(p typed) []finding {
	var found []finding
	for _, file := range p.files {
		reasons := p.reasons(file)
		sorted := map[ast.Node]bool{} // calls whose result is sorted at once
		ast.Inspect(file, func(n ast.Node) bool {
			what := ""
			switch n := n.(type) {
			case *ast.RangeStmt:
				if isMap(p.info.TypeOf(n.X)) {
					what = "a map"
				}
			case *ast.CallExpr:
				name := p.qualified(n.Fun)
				if name == "slices.Sorted" && len(n.Args) == 1 {
					sorted[ast.Unparen(n.Args[0])] = true
				}
				if (name == "maps.Keys" || name == "maps.Values" || name == "maps.All") && !sorted[n] {
					what = name
				}
			}
			if what == "" {
				return true
			}
			line := p.fset.Position(n.Pos()).Line
			if reason, ok := reasons[line-1]; ok && strings.TrimSpace(reason.text) != "" {
				reason.used = true
				return true
			}
			found = append(found, p.at(n.Pos(), "order", "the order of %s differs from run to run; sort it, or say why it cannot matter: %s <reason>", what, anyOrder))
			return true
		})
		for line, r := range reasons {
			if !r.used {
				found = append(found, p.at(r.pos.Pos(), "order", "line %d: %s belongs on the line before a loop in map order, with a reason", line, anyOrder))
			}
		}
	}
	return found
}

type reason struct {
	text string
	pos  ast.Node
	used bool
}

// reasons are the file's anyorder comments by line.
func (p typed) reasons(file *ast.File) map[int]*reason {
	m := map[int]*reason{}
	for _, g := range file.Comments {
		for _, c := range g.List {
			if text, ok := strings.CutPrefix(c.Text, anyOrder); ok {
				m[p.fset.Position(c.Pos()).Line] = &reason{text: text, pos: c}
			}
		}
	}
	return m
}

// qualified is the name of a package-level function from outside, such as "maps.Keys", or nothing.
func (p typed) qualified(e ast.Expr) string {
	if i, ok := ast.Unparen(e).(*ast.IndexExpr); ok { // explicit type argument
		e = i.X
	}
	f, ok := p.object(e).(*types.Func)
	if !ok || f.Pkg() == nil || f.Signature().Recv() != nil {
		return ""
	}
	return f.Pkg().Path() + "." + f.Name()
}

// isMap sees through names and through type parameters that admit a map.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	if tp, ok := t.(*types.TypeParam); ok {
		c, ok := tp.Underlying().(*types.Interface)
		if !ok {
			return false
		}
		for e := range c.EmbeddedTypes() {
			if isMap(e) || unionHasMap(e) {
				return true
			}
		}
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

func unionHasMap(t types.Type) bool {
	u, ok := t.(*types.Union)
	if !ok {
		return false
	}
	for term := range u.Terms() {
		if isMap(term.Type()) {
			return true
		}
	}
	return false
}
