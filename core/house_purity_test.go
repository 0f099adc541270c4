package core_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// typed is one package of core with its types.
type typed struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// at makes a finding at a position.
func (p typed) at(pos token.Pos, rule, format string, args ...any) finding {
	return finding{p.fset.Position(pos), rule, fmt.Sprintf(format, args...)}
}

// object is the thing that an identifier, possibly behind a package name, stands for.
func (p typed) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return p.info.ObjectOf(e)
	case *ast.SelectorExpr:
		return p.info.ObjectOf(e.Sel)
	}
	return nil
}

// checkPurity applies every rule for core's code. Tests are not part of it.
func checkPurity(p typed) []finding {
	found := checkState(p)
	found = append(found, checkOrder(p)...)
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			found = append(found, p.concurrency(n)...)
			found = append(found, p.clocks(n)...)
			found = append(found, p.floats(n)...)
			found = append(found, p.addresses(n)...)
			if f, ok := n.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				found = append(found, p.at(n.Pos(), "init", "nothing happens by itself: no init function"))
			}
			return true
		})
	}
	return found
}

// concurrency finds goroutines and channels, however they are reached.
func (p typed) concurrency(n ast.Node) []finding {
	switch n := n.(type) {
	case *ast.GoStmt:
		return []finding{p.at(n.Pos(), "goroutine", "core starts no goroutine")}
	case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
		return []finding{p.at(n.Pos(), "channel", "core uses no channel")}
	case *ast.SelectorExpr:
		if o := p.info.Uses[n.Sel]; o != nil && o.Pkg() != nil && o.Pkg().Path() == "iter" && strings.HasPrefix(o.Name(), "Pull") {
			return []finding{p.at(n.Pos(), "goroutine", "iter.%s runs its sequence on a coroutine", o.Name())}
		}
	}
	e, ok := n.(ast.Expr)
	if !ok {
		return nil
	}
	t := p.info.TypeOf(e)
	if t == nil {
		return nil
	}
	if _, ok := t.Underlying().(*types.Chan); ok {
		return []finding{p.at(n.Pos(), "channel", "core uses no channel")}
	}
	return nil
}

// clockNames are the parts of package time that read a clock, wait, or know where the machine stands.
var clockNames = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Timer", "Ticker", "Local", "LoadLocation",
}

// clocks finds time that does not come in as an argument.
func (p typed) clocks(n ast.Node) []finding {
	id, ok := n.(*ast.Ident)
	if !ok {
		return nil
	}
	o := p.info.Uses[id]
	if o == nil || o.Pkg() == nil || o.Pkg().Path() != "time" || o.Parent() != o.Pkg().Scope() {
		return nil
	}
	if slices.Contains(clockNames, o.Name()) {
		return []finding{p.at(n.Pos(), "clock", "core does not use time.%s: time comes in as an argument", o.Name())}
	}
	return nil
}

// floats finds expressions, types and variables of floating point: they round differently from machine to machine.
func (p typed) floats(n ast.Node) []finding {
	var t types.Type
	switch n := n.(type) {
	case *ast.Ident:
		if o := p.info.ObjectOf(n); o != nil {
			t = o.Type()
		}
	case ast.Expr:
		t = p.info.TypeOf(n)
	}
	if lit, ok := n.(*ast.BasicLit); ok && (lit.Kind == token.FLOAT || lit.Kind == token.IMAG) {
		return []finding{p.at(n.Pos(), "float", "core computes in integers: %s", lit.Value)}
	}
	if t == nil {
		return nil
	}
	if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&(types.IsFloat|types.IsComplex) != 0 {
		return []finding{p.at(n.Pos(), "float", "core computes in integers: this is %s", t)}
	}
	return nil
}

var pointerVerb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*p`)

// addresses finds addresses that could reach an output or a decision: %p formats and maps keyed by pointers.
func (p typed) addresses(n ast.Node) []finding {
	switch n := n.(type) {
	case *ast.BasicLit:
		v := p.info.Types[n].Value
		if v != nil && v.Kind() == constant.String && pointerVerb.MatchString(strings.ReplaceAll(constant.StringVal(v), "%%", "")) {
			return []finding{p.at(n.Pos(), "address", "%%p prints an address, which differs from run to run")}
		}
	case *ast.MapType:
		if t := p.info.TypeOf(n.Key); t != nil {
			if _, ok := t.Underlying().(*types.Pointer); ok {
				return []finding{p.at(n.Pos(), "address", "a pointer is no key: its order differs from run to run")}
			}
		}
	}
	return nil
}
