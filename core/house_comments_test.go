package core_test

import (
	"go/ast"
	"go/token"
	"slices"
)

// checkComments finds packages and exported names that nobody explained. Tests explain themselves.
func checkComments(sources []source) []finding {
	var found []finding
	explained := map[string]bool{}
	first := map[string]source{}
	var dirs []string
	for _, s := range sources {
		if s.test() {
			continue
		}
		if _, ok := first[s.dir()]; !ok {
			first[s.dir()] = s
			dirs = append(dirs, s.dir())
		}
		explained[s.dir()] = explained[s.dir()] || said(s.file.Doc)
		for _, d := range s.file.Decls {
			found = append(found, checkComment(s, d)...)
		}
	}
	slices.Sort(dirs)
	for _, dir := range dirs {
		if !explained[dir] {
			found = append(found, first[dir].at(first[dir].file, "comment", "package %s has no comment", dir))
		}
	}
	return found
}

// checkComment judges one declaration.
func checkComment(s source, d ast.Decl) []finding {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil && len(d.Recv.List) == 1 && !ast.IsExported(receiver(d.Recv.List[0].Type)) {
			return nil
		}
		if d.Name.IsExported() && !said(d.Doc) {
			return []finding{s.at(d, "comment", "%s has no comment", d.Name.Name)}
		}
	case *ast.GenDecl:
		var found []finding
		for _, spec := range d.Specs {
			found = append(found, checkSpec(s, d, spec)...)
		}
		return found
	}
	return nil
}

// checkSpec judges a type, or the constants or variables of one line. A group's comment covers its constants and variables;
// a type needs its own.
func checkSpec(s source, d *ast.GenDecl, spec ast.Spec) []finding {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if spec.Name.IsExported() && !said(spec.Doc) && !said(spec.Comment) && (d.Lparen.IsValid() || !said(d.Doc)) {
			return []finding{s.at(spec, "comment", "%s has no comment", spec.Name.Name)}
		}
	case *ast.ValueSpec:
		if said(d.Doc) || said(spec.Doc) || said(spec.Comment) || (d.Tok != token.CONST && d.Tok != token.VAR) {
			return nil
		}
		for _, name := range spec.Names {
			if name.IsExported() {
				return []finding{s.at(spec, "comment", "%s has no comment", name.Name)}
			}
		}
	}
	return nil
}

// said says whether a comment holds words, not only directives.
func said(c *ast.CommentGroup) bool { return c != nil && c.Text() != "" }
