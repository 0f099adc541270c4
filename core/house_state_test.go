package core_test

import (
	"go/ast"
	"go/token"
	"go/types"
)

// checkState finds package-level variables that are anything but errors and tables, and every statement that writes to a
// package-level variable, of this package or another, or takes its address.
func checkState(p typed) []finding {
	var found []finding
	for _, file := range p.files {
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
				found = append(found, p.variables(g)...)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			found = append(found, p.writes(n)...)
			return true
		})
	}
	return found
}

// variables judges one var declaration at package level by its types.
func (p typed) variables(g *ast.GenDecl) []finding {
	var found []finding
	for _, spec := range g.Specs {
		for _, name := range spec.(*ast.ValueSpec).Names {
			if name.Name == "_" {
				continue
			}
			if t := p.info.TypeOf(name); t != nil && !isError(t) && !isTable(t, nil) {
				found = append(found, p.at(name.Pos(), "state", "package variable %s is a %s: neither an error nor a table", name.Name, t))
			}
		}
	}
	return found
}

func isError(t types.Type) bool { return types.Identical(t, types.Universe.Lookup("error").Type()) }

// isTable says whether values of the type can be read without ever leading to something that changes: no interface but
// error, no channel, no pointer except one to an array, as hash/crc32 makes them.
func isTable(t types.Type, above []types.Type) bool {
	for _, a := range above {
		if types.Identical(a, t) {
			return true
		}
	}
	above = append(above, t)
	if isError(t) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() != types.UnsafePointer
	case *types.Array:
		return isTable(u.Elem(), above)
	case *types.Slice:
		return isTable(u.Elem(), above)
	case *types.Map:
		return isTable(u.Key(), above) && isTable(u.Elem(), above)
	case *types.Struct:
		for f := range u.Fields() {
			if !isTable(f.Type(), above) {
				return false
			}
		}
		return true
	case *types.Signature:
		return len(above) > 1 // a column of functions; a lone function variable is a hook
	case *types.Pointer:
		_, ok := u.Elem().Underlying().(*types.Array)
		return ok && isTable(u.Elem(), above)
	}
	return false
}

// writes finds what one node does to package-level variables.
func (p typed) writes(n ast.Node) []finding {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			return nil
		}
		return p.touched("written", n.Lhs...)
	case *ast.IncDecStmt:
		return p.touched("written", n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return p.touched("written", n.Key, n.Value)
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return p.touched("shared by its address", n.X)
		}
	case *ast.CallExpr:
		return p.calls(n)
	}
	return nil
}

// calls finds builtins and sorts that write to their argument, and methods that take their receiver's address.
func (p typed) calls(n *ast.CallExpr) []finding {
	if sel, ok := ast.Unparen(n.Fun).(*ast.SelectorExpr); ok {
		if s := p.info.Selections[sel]; s != nil && s.Kind() == types.MethodVal {
			_, wants := s.Obj().Type().(*types.Signature).Recv().Type().(*types.Pointer)
			_, has := s.Recv().Underlying().(*types.Pointer)
			if wants && !has {
				return p.touched("shared by its address", sel.X)
			}
			return nil
		}
	}
	o := p.object(n.Fun)
	if o == nil || len(n.Args) == 0 {
		return nil
	}
	if b, ok := o.(*types.Builtin); ok {
		switch b.Name() {
		case "append", "copy", "clear", "delete":
			return p.touched("written by "+b.Name(), n.Args[0])
		}
		return nil
	}
	if o.Pkg() == nil {
		return nil
	}
	switch o.Pkg().Path() + "." + o.Name() {
	case "slices.Sort", "slices.SortFunc", "slices.SortStableFunc", "slices.Reverse", "slices.Delete", "slices.Insert", "slices.Compact",
		"sort.Slice", "sort.SliceStable", "sort.Strings", "sort.Ints", "maps.Copy", "maps.Insert", "maps.DeleteFunc":
		return p.touched("written by "+o.Name(), n.Args[0])
	}
	return nil
}

// touched reports the expressions that lead into a package-level variable.
func (p typed) touched(how string, exprs ...ast.Expr) []finding {
	var found []finding
	for _, e := range exprs {
		if v := p.root(e); v != nil {
			found = append(found, p.at(e.Pos(), "write", "package variable %s is %s", v.Name(), how))
		}
	}
	return found
}

// root is the package-level variable that an expression is a part of, if it is.
func (p typed) root(e ast.Expr) *types.Var {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			if p.info.Selections[x] == nil {
				return p.packageVar(x.Sel)
			}
			e = x.X
		case *ast.Ident:
			return p.packageVar(x)
		default:
			return nil
		}
	}
}

func (p typed) packageVar(id *ast.Ident) *types.Var {
	v, ok := p.info.Uses[id].(*types.Var)
	if !ok || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() {
		return nil
	}
	return v
}
